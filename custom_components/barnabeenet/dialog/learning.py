"""Learns voices from recordings, in one go or some at a time: nothing is kept before there is a whole set."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
import time
from typing import Final

from ..state.voices import SAMPLES_MAX, Sample, Voice, Voices
from .voice_quality import PHRASES, Feedback, Progress

# Who brings recordings one by one has that long for the next one.
EXPIRE_S: Final = 1_800.0
_PENDING_MAX: Final = 16


@dataclass(frozen=True)
class Learnt:
    """What is said of each recording, and how many more are needed before the voice is known."""

    feedback: tuple[Feedback, ...]
    missing: int
    samples: int
    """How many there are of this person now, all engines together."""


@dataclass
class _Pending:
    progress: Progress
    until_s: float


class Learning:
    """Sets that are not whole yet are in memory only; `clock` is monotonic, in seconds."""

    def __init__(self, voices: Voices, clock: Callable[[], float] = time.monotonic) -> None:
        self._voices = voices
        self._clock = clock
        self._pending: OrderedDict[str, _Pending] = OrderedDict()

    async def hear(self, speaker: str, heard: Sequence[Voice | None], *, anew: bool = False) -> Learnt:
        """Takes recordings of a person, added to a voice that is known unless it is to be learnt anew.

        Raises StateError, and then has kept nothing of them.
        """
        engine = next((voice.engine for voice in heard if voice is not None), None)
        known = [sample for sample in self._voices.samples(speaker) if sample.engine == engine]
        is_known = len(known) >= PHRASES and not anew and speaker not in self._pending
        vectors = [sample.vector for sample in known]
        progress = Progress(vectors, engine) if is_known else self._progress(speaker)
        feedback = tuple(self._take(progress, voice) for voice in heard)
        if is_known:
            await self._voices.add(*_samples(progress, speaker))
        elif progress.is_complete:
            self._pending.pop(speaker, None)
            await self._voices.replace(speaker, _samples(progress, speaker))
        missing = 0 if is_known else max(0, PHRASES - len(progress.accepted))
        return Learnt(feedback, missing, len(self._voices.samples(speaker)))

    def forget(self, speaker: str) -> None:
        """Drops what was heard and is not kept yet."""
        self._pending.pop(speaker, None)

    def _take(self, progress: Progress, voice: Voice | None) -> Feedback:
        if len(progress.accepted) >= SAMPLES_MAX:
            progress.accepted.pop(0)
        return progress.hear(voice, len(progress.accepted) % PHRASES)

    def _progress(self, speaker: str) -> Progress:
        now_s = self._clock()
        for other in [other for other, pending in self._pending.items() if pending.until_s <= now_s]:
            del self._pending[other]
        pending = self._pending.pop(speaker, None) or _Pending(Progress(), 0.0)
        pending.until_s = now_s + EXPIRE_S
        self._pending[speaker] = pending
        while len(self._pending) > _PENDING_MAX:
            self._pending.popitem(last=False)
        return pending.progress


def _samples(progress: Progress, speaker: str) -> list[Sample]:
    return [Sample.of(voice, speaker, number) for number, voice in progress.accepted]
