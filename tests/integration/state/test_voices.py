"""Voices on a real SQLite file: what is kept, what is bounded, and that nothing is left of what was removed."""

from __future__ import annotations

from array import array
import random
import sqlite3

import pytest

from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.errors import StateError, Unavailable
from custom_components.barnabeenet.state.voices import SAMPLES_MAX, Sample, Voices

ANNA, BEN = "person anna", "person ben"


def sample(speaker: str = ANNA, number: int = 0, engine: str = "resemblyzer") -> Sample:
    """A phrase whose vector is nobody else's."""
    random_ = random.Random(f"{speaker} {number} {engine}")
    vector = tuple(array("f", (random_.uniform(-1, 1) for _ in range(256))))
    return Sample(speaker, engine, vector, 2_400.0, 28.5, number % 5, 1_800_000_000.0 + number)


def files(database: Database) -> bytes:
    """All that the disk holds of the database, the write-ahead log included."""
    return b"".join(path.read_bytes() for path in sorted(database.path.parent.glob(f"{database.path.name}*")))


def traces(samples: list[Sample]) -> list[bytes]:
    """Pieces of the vectors as they lie in the file: a vector may be spread over two pages."""
    return [array("f", each.vector).tobytes()[start : start + 32] for each in samples for start in (0, 512, 960)]


async def test_what_is_kept_is_there_after_a_restart(database: Database) -> None:
    voices = await Voices.open(database)
    kept = [sample(number=number) for number in range(5)]
    await voices.add(*kept)
    await voices.add(sample(BEN), sample(BEN, engine="other"))
    again = await Voices.open(database)
    assert list(again.samples(ANNA)) == kept
    assert again.speakers == {ANNA, BEN}
    assert again.of_engine("other") == {BEN: [sample(BEN, engine="other").vector]}
    assert again.of_engine("resemblyzer").keys() == {ANNA, BEN}
    assert again.of_engine("unheard of") == {}


async def test_a_new_set_takes_the_place_of_the_old_one(database: Database) -> None:
    voices = await Voices.open(database)
    old = [sample(number=number) for number in range(5)]
    await voices.add(*old, sample(BEN))
    await voices.replace(ANNA, [sample(number=9)])
    for known in (voices, await Voices.open(database)):
        assert known.samples(ANNA) == (sample(number=9),)
        assert known.samples(BEN) == (sample(BEN),)
    assert not any(trace in files(database) for trace in traces(old))


async def test_nobody_is_replaced_by_another_or_by_nothing(database: Database) -> None:
    voices = await Voices.open(database)
    await voices.add(sample())
    for samples in ([], [sample(BEN)]):
        with pytest.raises(ValueError, match="same person"):
            await voices.replace(ANNA, samples)
    assert voices.samples(ANNA) == (sample(),)


async def test_the_newest_samples_of_each_engine_are_kept(database: Database) -> None:
    voices = await Voices.open(database)
    await voices.add(sample(engine="other"))
    for number in range(SAMPLES_MAX + 3):
        await voices.add(sample(number=number))
    expected = [sample(number=number) for number in range(3, SAMPLES_MAX + 3)]
    for known in (voices, await Voices.open(database)):
        assert known.of_engine("resemblyzer")[ANNA] == [each.vector for each in expected]
        assert len(known.samples(ANNA)) == SAMPLES_MAX + 1


async def test_a_removed_voice_leaves_no_trace_in_the_files(database: Database) -> None:
    voices = await Voices.open(database)
    gone = [sample(number=number) for number in range(SAMPLES_MAX)]
    await voices.add(*gone)
    await voices.add(sample(BEN))
    assert any(trace in files(database) for trace in traces(gone)), "the search finds what is there"
    assert await voices.remove([ANNA, "nobody"]) == SAMPLES_MAX
    assert voices.speakers == {BEN}
    assert voices.samples(ANNA) == ()
    assert not any(trace in files(database) for trace in traces(gone))
    assert ANNA.encode() not in files(database)
    assert any(trace in files(database) for trace in traces([sample(BEN)]))
    assert await voices.remove([ANNA]) == 0


async def test_a_reader_that_is_still_at_it_is_told_of(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was deleted is in the log as long as somebody reads from it."""
    voices = await Voices.open(database)
    await voices.add(sample())
    other = sqlite3.connect(database.path, isolation_level=None)
    try:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM voice_samples").fetchone()
        database._connections[0].execute("PRAGMA busy_timeout = 0")
        with pytest.raises(Unavailable, match="still in"):
            await voices.remove([ANNA])
    finally:
        other.close()
    assert voices.speakers == frozenset()
    await database.scrub()
    assert not any(trace in files(database) for trace in traces([sample()]))


@pytest.mark.parametrize(
    "vector", [(), (float("nan"),), (float("inf"), 0.0), (0.0,) * 3_000], ids=["empty", "nan", "infinite", "too long"]
)
async def test_what_is_no_voice_is_refused_without_repeating_it(vector: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="finite values") as caught:
        Sample(ANNA, "resemblyzer", vector, 2_000.0, 20.0, 0)
    assert "nan" not in str(caught.value)


async def test_a_voice_is_in_no_repr_and_in_no_error(database: Database) -> None:
    one = sample()
    assert str(one.vector[0])[:6] not in repr(one)
    voices = await Voices.open(database)
    await database.close()
    with pytest.raises(StateError) as caught:
        await voices.add(one)
    assert str(one.vector[0])[:6] not in str(caught.value)
    assert voices.samples(ANNA) == (), "what is not written is not known either"
