"""The child's side of an engine process: answers the parent's requests until the parent is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
import ctypes
import logging
import os
import signal
import sys
from typing import Any, Final

from ..errors import EngineFailed, SidecarError
from ..telemetry.request_log import carried
from .child_protocol import CREDIT, Answer, Frame, pack, read_frame

_LOGGER = logging.getLogger(__name__)
_PR_SET_PDEATHSIG: Final = 1

# One answer, or one after the other; the arguments are the request's value and payload.
Method = Callable[[Mapping[str, Any], bytes], Awaitable[Answer] | AsyncGenerator[Answer, None]]


def run(methods: Mapping[str, Method]) -> None:
    """Serves the parent over standard input and output, several requests at a time; never returns.

    A method may raise any SidecarError, or MemoryError when its accelerator is full. What libraries print goes to
    standard error. The process ends with its parent, even while an engine hangs.
    """
    _die_with_parent()
    # Ctrl-C and a service manager signal all processes; the parent drains with our help, and then ends us.
    for signal_ in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_, signal.SIG_IGN)
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asyncio.run(_serve(methods, answers))


def _die_with_parent() -> None:
    # The kernel does it when the thread that started us ends: the one of the parent's event loop.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


async def _serve(methods: Mapping[str, Method], answers: int) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(answers, "wb"))
    host = _Host(methods, asyncio.StreamWriter(transport, protocol, None, loop))
    host.write({"ready": True})
    while frame := await read_frame(reader):
        host.take(frame)
    # Returning would wait for the threads, and one may hang in an engine.
    os._exit(0)


class _Host:
    """The requests being worked on."""

    def __init__(self, methods: Mapping[str, Method], writer: asyncio.StreamWriter) -> None:
        self._methods = methods
        self._writer = writer
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._credits: dict[int, asyncio.Semaphore] = {}

    def write(self, header: Mapping[str, Any], payload: bytes = b"") -> None:
        """Sends a frame without waiting."""
        self._writer.write(pack(header, payload))

    def take(self, frame: Frame) -> None:
        """Does what a frame of the parent's says."""
        match frame.header:
            case {"ping": _}:
                self.write({"pong": True})
            case {"id": int(number), "method": str(method), "value": dict(value)}:
                self._credits[number] = asyncio.Semaphore(CREDIT)
                with carried(frame.header.get("about", {})):
                    task = asyncio.create_task(self._work(number, method, value, frame.payload))
                self._tasks[number] = task
                task.add_done_callback(lambda _: self._forget(number))
            case {"id": number, "credit": _} if number in self._credits:
                self._credits[number].release()
            case {"id": number, "cancel": _} if number in self._tasks:
                self._tasks[number].cancel()

    def _forget(self, number: int) -> None:
        del self._tasks[number], self._credits[number]

    async def _work(self, number: int, method: str, value: dict[str, Any], payload: bytes) -> None:
        """One request; whatever becomes of it, the parent is told that it has ended."""
        try:
            await self._answer(number, self._method(method)(value, payload))
        except asyncio.CancelledError:
            self.write({"id": number, "last": True})
        except SidecarError as error:
            self._fail(number, type(error).__name__, str(error))
        except MemoryError as error:
            self._fail(number, "OutOfMemory", f"{method} needs more memory than there is: {error}")
        except Exception as error:
            _LOGGER.exception("%s broke", method)
            self._fail(number, EngineFailed.__name__, f"the engine broke on {method}: {error!r}")

    def _method(self, name: str) -> Method:
        if name not in self._methods:
            raise EngineFailed(f"the engine process has no method {name}")
        return self._methods[name]

    async def _answer(self, number: int, answers: Awaitable[Answer] | AsyncGenerator[Answer, None]) -> None:
        if not isinstance(answers, AsyncGenerator):
            only = await answers
            self.write({"id": number, "value": only.value, "last": True}, only.payload)
            return
        async with aclosing(answers):
            async for answer in answers:
                await self._credits[number].acquire()
                self.write({"id": number, "value": answer.value}, answer.payload)
                await self._writer.drain()
        self.write({"id": number, "last": True})

    def _fail(self, number: int, error: str, text: str) -> None:
        self.write({"id": number, "error": error, "text": text[:4096]})
