"""The parent's side of a worker: a child process with a deadline for each answer, killed when it misses one."""

from __future__ import annotations

import asyncio
from collections import deque
import contextlib
import json
import logging
import sys
from typing import Final

from ..errors import BadRequest, EngineFailed, EngineUnavailable, SidecarError
from ..telemetry import logs
from .worker_protocol import HEADER, Kind, pack, unpack_header

_LOGGER = logging.getLogger(__name__)
_MODULE: Final = f"{__package__}.recognition_worker"
_EXIT_S: Final = 2.0
_ERRORS: Final[dict[str, type[SidecarError]]] = {error.code: error for error in (EngineFailed, BadRequest)}


class WorkerProcess:
    """A running worker.

    asyncio's own subprocesses rather than multiprocessing: pipes that never block the event loop, an exit that is
    awaited, and a child that imports what it needs and nothing of the parent's `__main__`.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._dead = False
        self._killed = False
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls) -> WorkerProcess:
        """Starts a worker; raises EngineUnavailable when the machine cannot."""
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", _MODULE),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=logs.child_environment(),
            )
        except OSError as error:
            raise EngineUnavailable(f"no process for speech recognition can be started: {error}") from error
        return cls(process)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked anything."""
        return not self._dead

    async def ended(self) -> None:
        """Waits until the worker has died and nothing is left of it."""
        await asyncio.shield(self._reader)

    def send(self, kind: Kind, body: bytes = b"") -> None:
        """Sends what needs no answer, without waiting; a dead worker takes no notice."""
        if self.alive and self._process.stdin is not None:
            self._process.stdin.write(pack(kind, body))

    async def request(self, kind: Kind, body: bytes = b"", *, deadline_s: float) -> bytes:
        """The answer to a request; raises what the worker raised, or EngineFailed when it dies or is late and killed.

        A caller that is cancelled leaves the worker at work, and the answer is dropped when it comes.
        """
        if not self.alive:
            raise EngineFailed("the recogniser died: try again")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self.send(kind, body)
        try:
            async with asyncio.timeout(deadline_s):
                return await answer
        except TimeoutError:
            self._kill()
            raise EngineFailed(f"the recogniser took more than {deadline_s:.0f} s for {kind.name}: try again") from None

    async def close(self) -> None:
        """Kills the process and waits until nothing is left of it; safe to call twice."""
        self._kill()
        await self.ended()

    def _kill(self) -> None:
        # Not a second time: to signal a process that has just died would take its exit status away from asyncio.
        if not self._dead and not self._killed:
            self._killed = True
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _read(self) -> None:
        """Hands each answer to the request that has waited longest, until the worker dies."""
        try:
            while True:
                kind, body = await self._read_frame()
                if self._waiting and not (answer := self._waiting.popleft()).done():
                    _settle(answer, kind, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it died
        except ValueError as error:
            _LOGGER.warning("recogniser %d does not keep its protocol: %s", self.pid, error)
        finally:
            self._dead = True
            for answer in self._waiting:
                if not answer.done():
                    answer.set_exception(EngineFailed("the recogniser died: try again"))
            await self._exit()

    async def _exit(self) -> None:
        """Waits for the process to end, as it does when its input is closed; kills it when it hangs."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_EXIT_S):
                await self._process.wait()
        except TimeoutError:
            # It may have ended in this very moment.
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _read_frame(self) -> tuple[Kind, bytes]:
        stdout = self._process.stdout
        assert stdout is not None
        kind, length = unpack_header(await stdout.readexactly(HEADER.size))
        return kind, await stdout.readexactly(length)


def _settle(answer: asyncio.Future[bytes], kind: Kind, body: bytes) -> None:
    if kind is Kind.ANSWER:
        answer.set_result(body)
    else:
        failure = json.loads(body)
        answer.set_exception(_ERRORS.get(failure["code"], EngineFailed)(failure["text"]))
