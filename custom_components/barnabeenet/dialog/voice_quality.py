"""Whether a phrase is good enough to know a voice by, and a voice that is being learnt phrase by phrase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import hypot
from typing import Final

from ..state.voices import Voice

# From 1.6 s on everybody is told apart. A quiet room is 13 dB and more by the sidecar's estimate; at 10 dB half of what is
# said later would be nobody's.
SPEECH_MIN_MS: Final = 1_600.0
SNR_MIN_DB: Final = 12.0
# How alike a phrase is at least to the others of one person (1: the same). Nineteen of twenty are 0.78 like a whole set,
# fewer where there is only one other; strangers are 0.74 at most, so this finds most of them and refuses few of one's own.
LIKENESS_MIN: Final = 0.68

PHRASES: Final = 5


class Feedback(StrEnum):
    """What is said of a phrase."""

    ACCEPTED = "accepted"
    TOO_SHORT = "too_short"
    TOO_NOISY = "too_noisy"
    TOO_DIFFERENT = "too_different"
    NOT_AVAILABLE = "not_available"
    """The sidecar makes no voice prints, or another engine has begun to make them meanwhile."""


@dataclass
class Progress:
    """A voice under way. `known` are vectors of the same person and `engine` from before, to compare with."""

    known: Sequence[Sequence[float]] = field(default=(), repr=False)
    engine: str | None = None
    accepted: list[tuple[int, Voice]] = field(default_factory=list, repr=False)
    _doubted: tuple[int, Voice] | None = field(default=None, repr=False)

    @property
    def is_complete(self) -> bool:
        """Whether there is a whole set."""
        return len(self.accepted) >= PHRASES

    def hear(self, voice: Voice | None, phrase: int) -> Feedback:
        """Takes a phrase (its number) if it is good; says what is wrong with it otherwise."""
        if voice is None or self.engine not in (None, voice.engine):
            return Feedback.NOT_AVAILABLE
        # Of too little speech there is no vector at all.
        if not voice.vector or not voice.speech_ms >= SPEECH_MIN_MS:
            return Feedback.TOO_SHORT
        if not voice.snr_db >= SNR_MIN_DB:
            return Feedback.TOO_NOISY
        if not self._is_alike(voice):
            return self._doubt(voice, phrase)
        self._accept(voice, phrase)
        return Feedback.ACCEPTED

    def _is_alike(self, voice: Voice) -> bool:
        others = [*self.known, *(each.vector for _, each in self.accepted)]
        return not others or likeness(_middle(others), voice.vector) >= LIKENESS_MIN

    def _doubt(self, voice: Voice, phrase: int) -> Feedback:
        """Where there is one phrase only it may be that one that was odd: two that are alike against it tell so."""
        doubted = self._doubted
        self._doubted = (phrase, voice)
        alone = not self.known and len(self.accepted) == 1
        if not alone or doubted is None or likeness(doubted[1].vector, voice.vector) < LIKENESS_MIN:
            return Feedback.TOO_DIFFERENT
        self.accepted.clear()
        self._accept(doubted[1], doubted[0])
        self._accept(voice, phrase)
        return Feedback.ACCEPTED

    def _accept(self, voice: Voice, phrase: int) -> None:
        self.engine = voice.engine
        self.accepted.append((phrase, voice))
        self._doubted = None


def likeness(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two vectors; -1 when they cannot be compared."""
    if len(one) != len(other):
        return -1.0
    size = hypot(*one) * hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / size if size > 0 else -1.0


def _middle(vectors: Sequence[Sequence[float]]) -> list[float]:
    """The mean of those that can be compared with the last."""
    same = [vector for vector in vectors if len(vector) == len(vectors[-1])]
    return [sum(values) / len(same) for values in zip(*same, strict=True)]
