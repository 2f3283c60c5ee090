"""Which turns a request takes on the engines: how soon somebody needs a piece of work, and how long it waited."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ..gpu.queue import AGEING_S, Kind, Priority, WorkQueue
from ..telemetry.metrics import Metrics

# A command is over by then, some seconds of silence before it included; what goes on is dictation.
COMMAND_MS: Final = 15_000
# Some twelve seconds of speech: a confirmation, or the sentence that an answer begins with.
SHORT_TEXT_CHARS: Final = 200
# Who has so much to listen to can wait until a long piece of work has aged, and has as much again in reserve.
AHEAD_S: Final = 2 * AGEING_S


def of_recognition(heard_ms: float, *, provisional: bool) -> Priority:
    """How soon the words of an utterance are needed: a command's at once, in its pauses too, for it may be over."""
    if heard_ms > COMMAND_MS:
        return Priority.LONG
    return Priority.NORMAL if provisional else Priority.SHORT


def of_synthesis(*, reply_chars: int, sentence_chars: int, ahead_s: float | None) -> Priority:
    """How soon the next audio of a sentence is needed.

    `reply_chars` is how long the whole reply is known to be, `ahead_s` how much audio the listener has not heard yet,
    None while there has been no audio at all. A person waits in silence for a reply to begin, and for the whole of a
    short one, which may be played only when it is there; the rest of a long one only has to stay ahead.
    """
    waits_in_silence = ahead_s is None and sentence_chars <= SHORT_TEXT_CHARS
    if waits_in_silence or reply_chars <= SHORT_TEXT_CHARS:
        return Priority.SHORT
    return Priority.LONG if ahead_s is not None and ahead_s >= AHEAD_S else Priority.NORMAL


class Turns:
    """The turns of one request; `waited_ms` is how long its answer waited for them in all."""

    def __init__(self, queue: WorkQueue, metrics: Metrics, kind: Kind) -> None:
        self.waited_ms = 0.0
        self._queue, self._metrics, self._kind = queue, metrics, kind

    @asynccontextmanager
    async def turn(self, priority: Priority, *, beside: bool = False) -> AsyncIterator[None]:
        """Holds a turn for the length of the block; no answer waits for work that is done `beside`. Raises Busy."""
        async with self._queue.turn(priority, self._kind) as ticket:
            self._metrics.queue_wait(priority.name.lower(), self._kind.value, ticket.waited_s)
            if not beside:
                self.waited_ms += ticket.waited_s * 1000
            yield
