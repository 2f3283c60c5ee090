"""A child process that is always taken down again, with its output in a file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
import contextlib
import itertools
import os
from pathlib import Path
import random
import signal
import socket
from typing import Final, Self

import aiohttp

_AGAIN_S = 0.05
# Below those that systems give to whoever asks for any port, so that nobody is given ours before we listen on it.
_PORTS: Final = range(20_000, 32_000)
# None is given twice: who asks for two before listening on the first would otherwise get the same one now and then.
_UNTRIED: Final = itertools.cycle(random.SystemRandom().sample(_PORTS, len(_PORTS)))


class ProcessFailed(Exception):
    """A process ended or did not get ready; the text holds the end of its output."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on and nobody was given; raises OSError when there is none."""
    for port in itertools.islice(_UNTRIED, len(_PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no port from {_PORTS.start} to {_PORTS.stop} is free")


def child_environment(added: Mapping[str, str]) -> dict[str, str]:
    """Our environment for a program of another Python environment: what we import is none of its business."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | dict(added)


class Process:
    """One program in a process group of its own, so that Ctrl-C reaches it only through `stop` and nothing outlives it."""

    def __init__(self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        self._command = list(command)
        self._env = child_environment(env or {})
        self._child: asyncio.subprocess.Process | None = None
        self.log = log

    @property
    def pid(self) -> int:
        """The process id; only while running."""
        assert self._child is not None
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.returncode is None

    async def start(self) -> None:
        """Starts the program; raises OSError when it cannot be executed."""
        with self.log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises ProcessFailed when the program has ended."""
        if not self.running:
            raise ProcessFailed(f"{self._command[0]} ended; the last of its output:\n{self.tail()}")

    async def until_answered(self, url: str, *, within_s: float) -> None:
        """Waits until it answers a GET well; raises ProcessFailed when it ends first or takes too long."""
        async with aiohttp.ClientSession() as http:
            await self._until(lambda: _answers(http, url), f"{url} did not answer", within_s)

    async def until_printed(self, text: str, *, within_s: float) -> None:
        """Waits until its output holds a text; raises ProcessFailed when it ends first or takes too long."""

        async def printed() -> bool:
            return text in await asyncio.to_thread(self.log.read_text, errors="replace")

        await self._until(printed, f"it did not print {text}", within_s)

    async def _until(self, happened: Callable[[], Awaitable[bool]], otherwise: str, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not await happened():
                    self.check()
                    await asyncio.sleep(_AGAIN_S)
        except TimeoutError:
            raise ProcessFailed(f"{otherwise} within {within_s} s; the last of its output:\n{self.tail()}") from None

    def tail(self, lines: int = 20) -> str:
        """The last lines it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    async def stop(self, *, grace_s: float = 15) -> int | None:
        """Asks it to end, then makes it; returns the exit status, None when it never ran."""
        if self._child is None:
            return None
        if self._child.returncode is None:
            self._child.terminate()
        try:
            async with asyncio.timeout(grace_s):
                return await self._child.wait()
        except TimeoutError:
            return await self.kill()
        finally:
            # What it may have started itself stands in the same group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)

    async def kill(self) -> int:
        """Ends it at once, as a crash or a power cut would."""
        assert self._child is not None
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()
        return await self._child.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(self.stop())


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as response:
            return response.ok
    except aiohttp.ClientConnectionError:
        return False
