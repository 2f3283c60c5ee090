"""The words of one utterance as they become known: provisional, settled, final."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
import logging
from typing import Any

from ..engines.base import Recognition, Transcription
from ..telemetry.content import Content
from .messages import Partial
from .request import PeerGoneError, Write
from .turns import Turns, of_recognition

_LOGGER = logging.getLogger(__name__)


class Words:
    """Decodes an utterance beside the listening, one decode at a time and each in a turn, and sends what comes of it.

    Words are *settled* in a pause: decoded as final and sent as stable, in the hope that nothing more is said. If so,
    `final` has them at once. A decode whose words are overtaken is dropped, whether it waits or runs: those that are
    wanted now never wait for it.
    """

    def __init__(
        self,
        recognition: Recognition,
        write: Write,
        turns: Turns,
        *,
        heard_ms: Callable[[], float],
        silence_ms: Callable[[], float],
    ) -> None:
        self._recognition, self._write, self._turns = recognition, write, turns
        self._heard_ms, self._silence_ms = heard_ms, silence_ms
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
        self._drop()
        self._settled = self._start(self._settle())

    def unsettle(self) -> None:
        """More is being said."""
        self._settled = None
        self._drop()

    def hide(self) -> None:
        """Sends no more words: the utterance is over and the final ones go out as its transcript."""
        self._is_shown = False

    async def final(self) -> Transcription:
        """The words of all audio; raises EngineFailed, and Busy when too many wait."""
        if self._settled is not None:
            return await self._settled
        self._drop()
        return await self._decode()

    async def close(self) -> None:
        """Stops the decodes."""
        await asyncio.gather(*self._drop(), return_exceptions=True)

    def _drop(self) -> Collection[asyncio.Task[Transcription]]:
        """Cancels the decodes, to which nobody listens any more."""
        dropped = tuple(self._tasks)
        for task in dropped:
            task.cancel()
        return dropped

    async def _provisional(self) -> Transcription:
        priority = of_recognition(self._heard_ms(), provisional=True)
        async with self._decoding, self._turns.turn(priority, beside=True):
            words = await self._recognition.partial()
        await self._send(words, stable=False)
        return words

    async def _settle(self) -> Transcription:
        words = await self._decode()
        if self._settled is asyncio.current_task():
            await self._send(words, stable=True)
        return words

    async def _decode(self) -> Transcription:
        priority = of_recognition(self._heard_ms(), provisional=False)
        async with self._decoding, self._turns.turn(priority):
            return await self._recognition.decode()

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
            _LOGGER.warning("an early decode was lost: %s", Content(err))
