"""The words of one utterance as they become known: provisional, settled, final."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
import logging
from typing import Any

from ..engines.base import Recognition, Transcription
from .messages import Partial
from .request import PeerGoneError, Write

_LOGGER = logging.getLogger(__name__)


class Words:
    """Decodes an utterance beside the listening, one decode at a time, and sends what comes of it.

    Words are *settled* in a pause: decoded as final and sent as stable, in the hope that nothing more is said. If so,
    `final` has them at once.
    """

    def __init__(self, recognition: Recognition, write: Write, silence_ms: Callable[[], float]) -> None:
        self._recognition, self._write, self._silence_ms = recognition, write, silence_ms
        self._decoding = asyncio.Lock()
        self._tasks: set[asyncio.Task[Transcription]] = set()
        self._settled: asyncio.Task[Transcription] | None = None
        self._is_shown = True

    def show(self) -> None:
        """Sends provisional words, unless a decode is under way."""
        if not self._tasks:
            self._start(self._provisional())

    def settle(self) -> None:
        """Decodes what was said so far, in the hope that it is all."""
        self._settled = self._start(self._settle())

    def unsettle(self) -> None:
        """More is being said."""
        self._settled = None

    def hide(self) -> None:
        """Sends no more words: the utterance is over and the final ones go out as its transcript."""
        self._is_shown = False

    async def final(self) -> Transcription:
        """The words of all audio; raises EngineFailed."""
        if self._settled is not None:
            return await self._settled
        async with self._decoding:
            return await self._recognition.decode()

    async def close(self) -> None:
        """Stops the decodes."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _provisional(self) -> Transcription:
        async with self._decoding:
            words = await self._recognition.partial()
        await self._send(words, stable=False)
        return words

    async def _settle(self) -> Transcription:
        async with self._decoding:
            words = await self._recognition.decode()
        if self._settled is asyncio.current_task():
            await self._send(words, stable=True)
        return words

    async def _send(self, words: Transcription, *, stable: bool) -> None:
        if self._is_shown:
            await self._write(Partial(words.text, self._silence_ms(), stable).event())

    def _start(self, work: Coroutine[Any, Any, Transcription]) -> asyncio.Task[Transcription]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[Transcription]) -> None:
        self._tasks.discard(task)
        # Of a settled decode `final` hears too; the loss of a provisional one matters to nobody else.
        if not task.cancelled() and (err := task.exception()) and not isinstance(err, PeerGoneError):
            _LOGGER.warning("an early decode was lost: %r", err)
