"""One life of a child process that hosts engines: asked over pipes, and killed when it is late, silent or odd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
import itertools
import logging
import signal
from typing import Any, Final

from ..engines.device import EngineOutOfMemory
from ..errors import BadRequest, Busy, EngineFailed, EngineUnavailable, SidecarError, Unsupported
from ..telemetry import request_log
from ..telemetry.logs import child_environment
from .child_protocol import CREDIT, Answer, Frame, ProtocolError, pack, read_frame
from .vram import OutOfMemory

_LOGGER = logging.getLogger(__name__)
BEAT_S: Final = 0.4
BEATS_MISSED_MAX: Final = 4
# Loading a library of a gigabyte may hold the interpreter's lock for some seconds.
BEATS_MISSED_LOADING_MAX: Final = 40
START_S: Final = 30.0
_EXIT_S: Final = 1.0
_ERRORS: Final[dict[str, type[SidecarError]]] = {
    **{
        error.__name__: error for error in (BadRequest, Busy, EngineFailed, EngineUnavailable, OutOfMemory, Unsupported)
    },
    EngineOutOfMemory.__name__: OutOfMemory,
}


@dataclass(eq=False)
class _Request:
    """A request and its answers that nobody has taken yet.

    The child owes an answer, within the deadline, for as long as it has credit; and an end when nobody wants more.
    """

    number: int
    method: str
    deadline_s: float
    loads: bool = False
    answers: asyncio.Queue[Answer | SidecarError | None] = field(default_factory=asyncio.Queue)
    credit: int = CREDIT
    abandoned: bool = False
    timer: asyncio.TimerHandle | None = None

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class ChildProcess:
    """A running child.

    asyncio's own subprocesses rather than multiprocessing: pipes that never block the event loop, an exit that is
    awaited, nothing pickled, and a child that imports what it needs and nothing of the parent's `__main__`.
    """

    def __init__(self, process: asyncio.subprocess.Process, beat_s: float) -> None:
        self._process = process
        self._beat_s = beat_s
        self._beats_missed = 0
        self._beat: asyncio.TimerHandle | None = None
        self._numbers = itertools.count(1)
        self._requests: dict[int, _Request] = {}
        self._death: str | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live())

    @classmethod
    async def start(cls, command: Sequence[str], *, beat_s: float = BEAT_S, start_s: float = START_S) -> ChildProcess:
        """Starts a command that ends in `child_host.run`; raises EngineUnavailable when it does not get that far."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=child_environment()
            )
        except OSError as error:
            raise EngineUnavailable(f"no process for the engines can be started: {error}") from error
        child = cls(process, beat_s)
        try:
            async with asyncio.timeout(start_s):
                await child._ready
        except TimeoutError:
            await child.close()
            raise EngineUnavailable(f"the engine process is not ready after {start_s:.0f} s: see the log") from None
        except BaseException:
            await child.close()
            raise
        return child

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked anything."""
        return self._death is None

    async def call(
        self,
        method: str,
        value: Mapping[str, Any] | None = None,
        payload: bytes = b"",
        *,
        deadline_s: float,
        loads: bool = False,
    ) -> Answer:
        """The answer to a request, or the first of several; raises as `stream` does."""
        async with aclosing(self.stream(method, value, payload, deadline_s=deadline_s, loads=loads)) as answers:
            async for answer in answers:
                return answer
        raise EngineFailed(f"the engine gave no answer to {method}")

    async def stream(
        self,
        method: str,
        value: Mapping[str, Any] | None = None,
        payload: bytes = b"",
        *,
        deadline_s: float,
        loads: bool = False,
    ) -> AsyncGenerator[Answer, None]:
        """The answers to a request as they are made; the child is never more than four ahead of who takes them.

        While a request runs that `loads` something, the child may be silent for longer. Closing the iterator cancels
        the work. Raises what the engine raised, BadRequest for a request too large, or
        EngineFailed when the child dies or takes more than `deadline_s` for an answer, or to end what was cancelled:
        then it is killed.
        """
        request = self._begin(_Request(next(self._numbers), method, deadline_s, loads), value or {}, payload)
        try:
            with suppress(ConnectionError):  # it died, and the request has been told
                await self._stdin.drain()
            while (answer := await request.answers.get()) is not None:
                if isinstance(answer, SidecarError):
                    raise answer
                yield answer
                self._credit(request)
        finally:
            self._abandon(request)

    def kill(self, reason: str) -> None:
        """Ends it, and every request in flight with EngineFailed; does nothing when it is dead."""
        self._die(reason)
        self._kill()

    async def ended(self) -> str:
        """Waits until it has died and nothing is left of it; gives what it died of."""
        await asyncio.shield(self._life)
        assert self._death is not None
        return self._death

    async def close(self) -> None:
        """Kills it and waits until nothing is left of it; safe to call twice."""
        self.kill("the engine process was shut down")
        await self.ended()

    @property
    def _stdin(self) -> asyncio.StreamWriter:
        assert self._process.stdin is not None
        return self._process.stdin

    def _write(self, header: Mapping[str, Any]) -> None:
        if self._death is None:
            self._stdin.write(pack(header))

    def _begin(self, request: _Request, value: Mapping[str, Any], payload: bytes) -> _Request:
        if self._death is not None:
            raise EngineFailed(f"{self._death}: try again")
        try:
            header = {"id": request.number, "method": request.method, "value": value, "about": request_log.fields()}
            frame = pack(header, payload)
        except (TypeError, ValueError) as error:
            raise BadRequest(f"{request.method} cannot be asked: {error}") from error
        self._requests[request.number] = request
        self._stdin.write(frame)
        self._expect(request)
        return request

    def _expect(self, request: _Request) -> None:
        """From now on the child has until the deadline, unless it owes nothing."""
        request.stop_timer()
        if request.credit or request.abandoned:
            late = f"the engine took more than {request.deadline_s:g} s for {request.method}"
            request.timer = asyncio.get_running_loop().call_later(request.deadline_s, self.kill, late)

    def _credit(self, request: _Request) -> None:
        if request.number in self._requests:
            self._write({"id": request.number, "credit": 1})
            request.credit += 1
            if request.credit == 1:
                self._expect(request)

    def _abandon(self, request: _Request) -> None:
        """Nobody takes its answers any more, and the child has to end it."""
        if request.number in self._requests:
            self._write({"id": request.number, "cancel": True})
            request.abandoned = True
            self._expect(request)

    def _finish(self, request: _Request, outcome: SidecarError | None) -> None:
        request.stop_timer()
        request.answers.put_nowait(outcome)
        del self._requests[request.number]

    async def _live(self) -> None:
        """Hands out what the child says, until it dies."""
        stdout = self._process.stdout
        assert stdout is not None
        try:
            while frame := await read_frame(stdout):
                self._take(frame)
        except ProtocolError as error:
            self.kill(f"the engine process does not keep its protocol ({error})")
        finally:
            self._stdin.close()
            self._die(f"the engine process died ({_status(await self._exit())})")

    async def _exit(self) -> int:
        """The exit status, after the pipe from the child has ended or makes no sense any more."""
        # A signal sent now would make asyncio lose the status of a process that is just dying by itself.
        with suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_S):
                return await self._process.wait()
        self._kill()
        return await self._process.wait()

    def _kill(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    def _die(self, reason: str) -> None:
        if self._death is not None:
            return
        self._death = reason
        if self._beat is not None:
            self._beat.cancel()
        if not self._ready.done():
            self._ready.set_exception(EngineUnavailable(f"{reason} before it was ready: see the log"))
        for request in list(self._requests.values()):
            self._finish(request, EngineFailed(f"{reason}: try again"))

    def _take(self, frame: Frame) -> None:
        self._beats_missed = 0
        match frame.header:
            case {"ready": True} if not self._ready.done():
                self._ready.set_result(None)
                self._tick()
            case {"pong": True}:
                pass
            case {"id": int(number), **said} if number in self._requests:
                self._take_answer(self._requests[number], said, frame.payload)
            case _:
                raise ProtocolError("it answers what nobody asked")

    def _take_answer(self, request: _Request, said: dict[str, Any], payload: bytes) -> None:
        if "value" in said:
            request.credit -= 1
            if request.credit < 0:
                raise ProtocolError("it answers more than it may")
            if not request.abandoned:
                request.answers.put_nowait(Answer(said["value"], payload))
        if "error" in said:
            self._finish(request, _ERRORS.get(str(said["error"]), EngineFailed)(str(said.get("text"))))
        elif "last" in said:
            self._finish(request, None)
        else:
            self._expect(request)

    def _tick(self) -> None:
        """Asks for a sign of life now and then."""
        if self._death is not None:
            return
        loads = any(request.loads for request in self._requests.values())
        if self._beats_missed >= (BEATS_MISSED_LOADING_MAX if loads else BEATS_MISSED_MAX):
            self.kill(f"the engine process gave no sign of life for {self._beat_s * self._beats_missed:g} s")
            return
        self._beats_missed += 1
        self._write({"ping": True})
        self._beat = asyncio.get_running_loop().call_later(self._beat_s, self._tick)


def _status(returncode: int) -> str:
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"
