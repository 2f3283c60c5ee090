"""The voices of the home's people: in memory to compare with, in the database to last.

A vector is what a person is known by, so it is in no repr, no error and no log, and what is removed is gone from the
file, too.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
import math
import sqlite3
import sys
import time
from typing import Any, Final

from ..telemetry.trace import Voice
from .database import Database, Statement

__all__ = ["Sample", "Voice", "Voices"]

# Of one person and engine; the oldest goes first.
SAMPLES_MAX: Final = 20
VECTOR_MAX_VALUES: Final = 2_048

_INSERT: Final = (
    "INSERT INTO voice_samples (speaker, engine, vector, speech_ms, snr_db, phrase, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_REMOVE: Final = "DELETE FROM voice_samples WHERE speaker = ?"
_REMOVE_OLDEST: Final = (
    "DELETE FROM voice_samples WHERE speaker = ?1 AND engine = ?2 AND id NOT IN "
    "(SELECT id FROM voice_samples WHERE speaker = ?1 AND engine = ?2 ORDER BY id DESC LIMIT ?3)"
)


@dataclass(frozen=True)
class Sample:
    """One phrase in somebody's voice; `speaker` is their key, `at` seconds since 1970."""

    speaker: str
    engine: str
    vector: tuple[float, ...] = field(repr=False)
    speech_ms: float
    snr_db: float
    phrase: int
    at: float = field(default_factory=time.time)

    @classmethod
    def of(cls, voice: Voice, speaker: str, phrase: int) -> Sample:
        """A person's phrase as it was heard; raises ValueError for what is no voice."""
        return cls(speaker, voice.engine, tuple(map(float, voice.vector)), voice.speech_ms, voice.snr_db, phrase)

    def __post_init__(self) -> None:
        """Raises ValueError for what is no voice, without saying what it is."""
        if not 0 < len(self.vector) <= VECTOR_MAX_VALUES or not all(map(math.isfinite, self.vector)):
            raise ValueError(f"A voice has 1 to {VECTOR_MAX_VALUES} finite values")
        if not self.speaker or not self.engine:
            raise ValueError("A voice is somebody's and made by an engine")


class Voices:
    """All samples, as they are in the database; one object for a database."""

    def __init__(self, database: Database, samples: Iterable[Sample]) -> None:
        self._database = database
        self._samples: dict[str, list[Sample]] = {}
        for sample in samples:
            self._samples.setdefault(sample.speaker, []).append(sample)

    @classmethod
    async def open(cls, database: Database) -> Voices:
        """Reads all of them; raises StateError."""
        rows = await database.read("SELECT * FROM voice_samples ORDER BY id")
        return cls(database, map(_sample, rows))

    @property
    def speakers(self) -> frozenset[str]:
        """Who has a voice here."""
        return frozenset(self._samples)

    def samples(self, speaker: str) -> tuple[Sample, ...]:
        """What there is of somebody, oldest first."""
        return tuple(self._samples.get(speaker, ()))

    def of_engine(self, engine: str) -> Mapping[str, Sequence[tuple[float, ...]]]:
        """Everybody's vectors of one engine, by speaker."""
        found = {
            speaker: [sample.vector for sample in samples if sample.engine == engine]
            for speaker, samples in self._samples.items()
        }
        return {speaker: vectors for speaker, vectors in found.items() if vectors}

    async def add(self, *samples: Sample) -> None:
        """Keeps them beside what is there; all or none and StateError."""
        await self._keep(samples, ())

    async def replace(self, speaker: str, samples: Sequence[Sample]) -> None:
        """Keeps them in place of all that is there of this speaker; all or none and StateError."""
        if not samples or any(sample.speaker != speaker for sample in samples):
            raise ValueError("One voice takes the place of the same person's")
        await self._keep(samples, ((_REMOVE, (speaker,)),))
        await self._database.scrub()

    async def remove(self, speakers: Iterable[str]) -> int:
        """Leaves no trace of these people's voices; returns how many samples there were. Raises StateError."""
        gone = [speaker for speaker in dict.fromkeys(speakers) if speaker in self._samples]
        if not gone:
            return 0
        await self._database.write(*((_REMOVE, (speaker,)) for speaker in gone))
        count = sum(len(self._samples.pop(speaker, ())) for speaker in gone)
        await self._database.scrub()
        return count

    async def _keep(self, samples: Sequence[Sample], before: Sequence[Statement]) -> None:
        kept = {(sample.speaker, sample.engine): None for sample in samples}
        await self._database.write(
            *before,
            *((_INSERT, _row(sample)) for sample in samples),
            *((_REMOVE_OLDEST, (speaker, engine, SAMPLES_MAX)) for speaker, engine in kept),
        )
        for speaker in {sample.speaker for sample in samples}:
            there = [] if before else self._samples.get(speaker, [])
            self._samples[speaker] = _newest([*there, *(each for each in samples if each.speaker == speaker)])


def _newest(samples: Sequence[Sample]) -> list[Sample]:
    """The last SAMPLES_MAX of each engine, in their order."""
    counts: dict[str, int] = {}
    kept = []
    for sample in reversed(samples):
        counts[sample.engine] = counts.get(sample.engine, 0) + 1
        if counts[sample.engine] <= SAMPLES_MAX:
            kept.append(sample)
    return kept[::-1]


def _row(sample: Sample) -> tuple[Any, ...]:
    vector = array("f", sample.vector)
    if sys.byteorder == "big":
        vector.byteswap()
    blob = vector.tobytes()
    return sample.speaker, sample.engine, blob, sample.speech_ms, sample.snr_db, sample.phrase, sample.at


def _sample(row: sqlite3.Row) -> Sample:
    vector = array("f", row["vector"])
    if sys.byteorder == "big":
        vector.byteswap()
    return Sample(
        row["speaker"], row["engine"], tuple(vector), row["speech_ms"], row["snr_db"], row["phrase"], row["at"]
    )
