"""Whose voice it is, or nobody's for certain: to personalise with, never to authorise with alone.

The bounds were chosen on three of six readers and judged on the others, see `script/bench speaker`: a voice is at least
0.78 like its own (cosine) in 95 of 100 utterances of 1.6 s, and a stranger's at most 0.74 like anybody's. Noise makes
voices less like themselves, not more like others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, sqrt
from operator import mul
from typing import Final, Literal, TypeAlias

from ..telemetry.trace import Voice

# Everybody's unit vectors, by speaker; all of one engine.
People: TypeAlias = Mapping[str, Sequence[Sequence[float]]]
Why: TypeAlias = Literal["match", "too_little", "too_noisy", "nobody_known", "not_alike", "too_alike"]

# Below, hardly anybody is known, and more are mistaken for others than are left.
SNR_MIN_DB: Final = 5.0
# The least speech that is printed, and from how much on the encoder hears what it was taught with.
SPEECH_MIN_MS: Final = 480.0
SPEECH_FULL_MS: Final = 1_600.0
# How alike (cosine) a voice must be to the middle of somebody's, and how much more than to anybody else's: in full, and
# in the least speech, where the nearest is the wrong one now and then, but never by more than 0.08 down to 10 dB.
LIKENESS_MIN: Final = 0.72
LIKENESS_MIN_SHORT: Final = 0.74
MARGIN_MIN: Final = 0.05
MARGIN_MIN_SHORT: Final = 0.10
# What who is surely elsewhere loses in likeness. Who is here wins nothing: presence makes nobody's voice theirs.
ABSENT_LIKENESS: Final = 0.04
# The confidence just at the bounds, and over how much more (cosine) the odds grow by a factor of e: 0.9 lies 0.06 above
# the bounds, where most utterances of 1.6 s are and no stranger was.
_CONFIDENCE_AT_BOUND: Final = 0.6
_CONFIDENCE_STEP: Final = 0.035


@dataclass(frozen=True)
class Match:
    """Whose voice it is; None is a guest.

    `confidence` (0 to 1) is how sure it is, for a guest of who comes nearest; `margin` how much more alike (cosine) the
    voice is to the nearest than to the next; `why` what decided it.
    """

    speaker: str | None
    confidence: float
    margin: float
    why: Why


def match(voice: Voice, people: People, presence: Mapping[str, float] | None = None) -> Match:
    """Finds the speaker among people, whose vectors are of the voice's engine.

    `presence` says how likely somebody is here, from 0 to 1, the likeliest being 1; who is left out is as likely as can
    be. Vectors of another length than the voice's are passed over.
    """
    if not voice.vector or voice.speech_ms < SPEECH_MIN_MS:
        return _guest("too_little")
    if not voice.snr_db >= SNR_MIN_DB:
        return _guest("too_noisy")
    alike = sorted(_likenesses(voice.vector, people, presence or {}), reverse=True)
    if not alike:
        return _guest("nobody_known")
    likeness, speaker = alike[0]
    margin = likeness - alike[1][0] if len(alike) > 1 else 1.0
    likeness_min, margin_min = bounds(voice.speech_ms)
    confidence = _confidence(min(likeness - likeness_min, margin - margin_min))
    if likeness < likeness_min:
        return Match(None, confidence, margin, "not_alike")
    if margin < margin_min:
        return Match(None, confidence, margin, "too_alike")
    return Match(speaker, confidence, margin, "match")


def bounds(speech_ms: float) -> tuple[float, float]:
    """The least likeness and margin of a voice that was heard for so long: the shorter, the more chance is in it."""
    missing = min(1.0, max(0.0, (SPEECH_FULL_MS - speech_ms) / (SPEECH_FULL_MS - SPEECH_MIN_MS)))
    return (
        LIKENESS_MIN + (LIKENESS_MIN_SHORT - LIKENESS_MIN) * missing,
        MARGIN_MIN + (MARGIN_MIN_SHORT - MARGIN_MIN) * missing,
    )


def _guest(why: Why) -> Match:
    return Match(None, 0.0, 0.0, why)


def _likenesses(vector: Sequence[float], people: People, presence: Mapping[str, float]) -> list[tuple[float, str]]:
    found = []
    for speaker, vectors in people.items():
        middle = _middle([each for each in vectors if len(each) == len(vector)])
        if middle:
            absence = 1 - min(1.0, max(0.0, presence.get(speaker, 1.0)))
            found.append((fsum(map(mul, middle, vector)) - ABSENT_LIKENESS * absence, speaker))
    return found


def _middle(vectors: Sequence[Sequence[float]]) -> list[float]:
    """The unit vector between all of these; empty when there is none."""
    total = [sum(column) for column in zip(*vectors, strict=True)]
    length = sqrt(fsum(map(mul, total, total)))
    return [value / length for value in total] if length > 0 else []


def _confidence(over: float) -> float:
    """By how far a match is over its bounds (cosine), or under them."""
    at_bound = _CONFIDENCE_AT_BOUND / (1 - _CONFIDENCE_AT_BOUND)
    odds = at_bound * exp(max(-1.0, min(1.0, over)) / _CONFIDENCE_STEP)
    return odds / (1 + odds)
