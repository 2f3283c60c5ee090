"""A child process for engines that is always there: when it crashes, hangs or is killed, another one takes its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
import logging
from typing import Any, Final

from ..errors import EngineFailed, EngineUnavailable, SidecarError
from .child_process import BEAT_S, ChildProcess
from .child_protocol import Answer

_LOGGER = logging.getLogger(__name__)
PREPARE_S: Final = 120.0


@dataclass(frozen=True)
class RestartDelay:
    """How long to wait before the next child: twice as long each time, until one stays healthy."""

    first_s: float = 0.5
    # A person may have asked what it died of, and asks again.
    longest_s: float = 1.0
    longest_unready_s: float = 10.0
    healthy_s: float = 60.0

    def after(self, previous_s: float, lived_s: float) -> float:
        """The delay after a child that was ready for `lived_s`, 0 when it never was."""
        if lived_s >= self.healthy_s or previous_s == 0:
            return self.first_s
        return min(2 * previous_s, self.longest_s if lived_s else self.longest_unready_s)


async def _nothing(_: ChildProcess) -> None:
    """Most children need no preparation."""


class EngineProcess:
    """Runs `command`, which ends in `child_host.run`, for as long as it is open.

    `prepare` is asked for each new child before anybody else may use it: it loads again what the last one had loaded.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        prepare: Callable[[ChildProcess], Awaitable[None]] = _nothing,
        on_change: Callable[[bool], None] = lambda _: None,
        delay: RestartDelay = RestartDelay(),
        beat_s: float = BEAT_S,
    ) -> None:
        """`on_change` is told whenever the engines become ready (True) or are lost (False)."""
        self._command = command
        self._prepare, self._on_change = prepare, on_change
        self._delay, self._beat_s = delay, beat_s
        self._child: ChildProcess | None = None
        self._serves = False
        self._restart_now = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None
        self._problem = "the engine process is not started"
        self.restarts = 0

    @property
    def ready(self) -> bool:
        """Whether the engines can be asked now."""
        return self._serves and self._child is not None and self._child.alive

    @property
    def pid(self) -> int | None:
        """The process id of the child that serves."""
        return self._child.pid if self._serves and self._child is not None else None

    async def start(self) -> None:
        """Starts the first child and waits until it is ready; raises EngineUnavailable, and then nothing is left."""
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._supervisor = asyncio.create_task(self._supervise(first))
        self._supervisor.add_done_callback(lambda _: self._give_up(first))
        try:
            await first
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Kills the child and waits until nothing is left of it; safe to call twice."""
        self._problem = "the engine process was shut down"
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)

    def restart(self, reason: str, command: Sequence[str] | None = None) -> None:
        """Kills the child, and every request in flight; another one, of another command if given, begins at once."""
        if command is not None:
            self._command = command
        self._restart_now.set()
        if self._child is not None:
            self._child.kill(f"the engine process was restarted ({reason})")

    async def call(
        self, method: str, value: Mapping[str, Any] | None = None, payload: bytes = b"", *, deadline_s: float
    ) -> Answer:
        """The answer to a request; raises as `ChildProcess.call`, and EngineFailed at once while no child is ready."""
        return await self._get().call(method, value, payload, deadline_s=deadline_s)

    def stream(
        self, method: str, value: Mapping[str, Any] | None = None, payload: bytes = b"", *, deadline_s: float
    ) -> AsyncGenerator[Answer, None]:
        """The answers to a request as they are made; raises as `ChildProcess.stream`, and EngineFailed as `call`."""
        return self._get().stream(method, value, payload, deadline_s=deadline_s)

    def _get(self) -> ChildProcess:
        if self._child is None or not self._serves:
            raise EngineFailed(f"{self._problem}: try again in a moment")
        return self._child

    def _give_up(self, first: asyncio.Future[None]) -> None:
        if not first.done():
            first.set_exception(EngineUnavailable(self._problem))

    async def _supervise(self, first: asyncio.Future[None]) -> None:
        delay_s = 0.0
        while True:
            lived_s = await self._live(first)
            if not first.done():
                return
            delay_s = self._delay.after(delay_s, lived_s)
            wait_s = 0.0 if self._restart_now.is_set() else delay_s
            _LOGGER.error("%s; another one starts in %g s", self._problem, wait_s)
            self.restarts += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._restart_now.wait()

    async def _live(self, first: asyncio.Future[None]) -> float:
        """One child's life; gives for how long it was ready, and leaves in `_problem` what it died of."""
        loop = asyncio.get_running_loop()
        self._restart_now.clear()
        try:
            child = await ChildProcess.start(self._command, beat_s=self._beat_s)
        except EngineUnavailable as error:
            self._problem = str(error)
            return 0.0
        self._child = child
        if self._restart_now.is_set():
            child.kill("the engine process was restarted while it started")
        try:
            async with asyncio.timeout(PREPARE_S):
                await self._prepare(child)
            self._serves, ready_s = True, loop.time()
            self._on_change(True)
            if not first.done():
                first.set_result(None)
            self._problem = await child.ended()
            return loop.time() - ready_s
        except TimeoutError:
            self._problem = f"the engines were not prepared within {PREPARE_S:g} s"
        except SidecarError as error:
            self._problem = str(error)
        except Exception as error:
            _LOGGER.exception("the engines could not be prepared")
            self._problem = f"the engines could not be prepared ({error!r})"
        finally:
            self._child = None
            if self._serves:
                self._serves = False
                self._on_change(False)
            await child.close()
        return 0.0
