"""The model that reads memories: away, slow, wrong, changed; what is told is kept and found all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import logging
from pathlib import Path

import numpy as np
import pytest

from custom_components.barnabeenet.client.errors import SidecarError
from custom_components.barnabeenet.state import embedding as embedding_module
from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.memories import Backlog, Memories

from .conftest import Reader

TOLD = "teeth check-up at ten"
FAILURES = [SidecarError("away"), OSError("refused"), TimeoutError(), ValueError("no numbers")]


async def ways(memories: Memories, question: str, speaker: str | None = "anna") -> list[tuple[str, frozenset[str]]]:
    return [(found.memory.text, found.how) for found in await memories.recall(question, speaker=speaker)]


async def models(database: Database) -> dict[str, int]:
    """How many memories each model has read."""
    rows = await database.read("SELECT model, COUNT(*) AS read FROM memory_vectors GROUP BY model")
    return {row["model"]: row["read"] for row in rows}


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_while_it_fails_words_find_and_later_it_catches_up(
    memories: Memories, reader: Reader, failure: Exception
) -> None:
    reader.fails = failure
    await memories.remember(TOLD, speaker="anna")
    await memories.settled()
    assert memories.error is failure
    assert await ways(memories, "teeth") == [(TOLD, {"keyword"})]
    assert await ways(memories, "dentist") == []
    reader.fails = None
    memories.wake()
    await memories.settled()
    assert memories.error is None
    assert await ways(memories, "teeth") == [(TOLD, {"keyword", "vector"})]
    assert await ways(memories, "dentist") == [(TOLD, {"vector"})]
    # And when it goes again:
    reader.fails = failure
    assert await ways(memories, "teeth") == [(TOLD, {"keyword"})]


async def test_it_tries_again_by_itself(
    database: Database, reader: Reader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(embedding_module, "FIRST_RETRY_S", 0.001)
    answer, caught_up = reader.embed, asyncio.Event()

    async def fails_thrice(texts: list[str]) -> np.ndarray:
        reader.fails = OSError("refused") if len(reader.asked) < 3 else None
        return await answer(texts)

    monkeypatch.setattr(reader, "embed", fails_thrice)
    memories = await Memories.open(database, reader)
    memories.subscribe(lambda: caught_up.set() if memories.backlog.done else None)
    await memories.remember(TOLD, speaker="anna")
    await caught_up.wait()
    assert memories.error is None
    await memories.close()
    assert len(reader.asked) == 4
    # One line for the whole outage.
    levels = [record.levelno for record in caplog.records if record.name.startswith("custom_components")]
    assert levels == [logging.WARNING]


async def test_a_failure_that_nobody_foresaw_is_logged_and_does_not_end_it(
    memories: Memories, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    reader.fails = RuntimeError("a bug")
    await memories.remember(TOLD, speaker="anna")
    await memories.settled()
    assert "could not be read" in caplog.text
    reader.fails = None
    memories.wake()
    await memories.settled()
    assert await ways(memories, "dentist") == [(TOLD, {"vector"})]


async def test_who_is_slow_is_not_waited_for(
    memories: Memories, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await memories.remember(TOLD, speaker="anna")
    await memories.settled()
    monkeypatch.setattr(embedding_module, "QUESTION_S", 0.01)
    reader.gate.clear()
    assert await ways(memories, "teeth") == [(TOLD, {"keyword"})]
    # Nobody waits for it to be remembered either.
    await memories.remember("teeth again", speaker="anna")
    reader.gate.set()
    await memories.settled()
    monkeypatch.undo()
    assert {how for _, how in await ways(memories, "teeth")} == {frozenset({"keyword", "vector"})}


@pytest.mark.parametrize(
    "numbers",
    [
        np.zeros((1, 63), np.float32),
        np.zeros((2, 64), np.float32),
        np.zeros((1, 64), np.float32),
        np.full((1, 64), np.nan, np.float32),
        np.full((1, 64), np.inf, np.float32),
        np.zeros((0, 64), np.float32),
    ],
    ids=["short", "two", "zero", "nan", "inf", "none"],
)
async def test_wrong_numbers_are_no_numbers(
    memories: Memories, reader: Reader, numbers: np.ndarray, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    await memories.remember("The bins go out on Monday", speaker="anna")
    await memories.settled()

    async def wrong(texts: list[str]) -> np.ndarray:
        return numbers

    monkeypatch.setattr(reader, "embed", wrong)
    await memories.remember(TOLD, speaker="anna")
    await memories.settled()
    assert isinstance(memories.error, ValueError)
    assert await models(database) == {"small": 1}
    assert await ways(memories, "teeth") == [(TOLD, {"keyword"})]


async def test_a_text_without_numbers_holds_up_no_other(memories: Memories, reader: Reader, database: Database) -> None:
    reader.dumb = {"☃ ☃"}
    reader.gate.clear()
    for text in ("teeth check-up", "☃ ☃", "vehicle insurance"):
        await memories.remember(text, speaker="anna")
    reader.gate.set()
    await memories.settled()
    assert await models(database) == {"small": 2}
    assert await ways(memories, "automobile") == [("vehicle insurance", {"vector"})]


async def test_without_a_model_there_are_words(wordy: Memories, reader: Reader) -> None:
    await wordy.remember(TOLD, speaker="anna")
    assert await ways(wordy, "teeth") == [(TOLD, {"keyword"})]
    assert (wordy.error, wordy.backlog) == (None, Backlog())
    wordy.use(reader)
    await wordy.settled()
    assert await ways(wordy, "dentist") == [(TOLD, {"vector"})]
    wordy.use(None)
    assert await ways(wordy, "dentist") == []


async def test_a_model_whose_name_comes_with_its_first_answer(database: Database) -> None:
    class Late(Reader):
        def __init__(self) -> None:
            super().__init__()
            self.real, self.name, self.dimensions = self.name, "", 0

        async def embed(self, texts: list[str]) -> np.ndarray:
            vectors = await Reader("small").embed(texts)
            self.name, self.dimensions = "small", 64
            return vectors

    for _ in range(2):
        memories = await Memories.open(database, Late())
        await memories.settled()
        await memories.remember(TOLD, speaker="anna")
        await memories.settled()
        assert await ways(memories, "dentist") == [(TOLD, {"vector"})]
        assert await models(database) == {"small": 1}
        await memories.close()


# Another model


async def test_a_change_of_model_reads_all_again_and_searches_stay_right(
    memories: Memories, reader: Reader, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_module, "BATCH", 4)
    for number in range(10):
        await memories.remember(f"note {number}", speaker="anna")
    await memories.remember(TOLD, speaker="anna")
    await memories.settled()
    progress: list[Backlog] = []
    memories.subscribe(lambda: progress.append(memories.backlog))
    other = Reader("large", 96)
    other.gate.clear()
    memories.use(other)
    # The question waits behind the gate as well: words alone find.
    monkeypatch.setattr(embedding_module, "QUESTION_S", 0.01)
    assert await ways(memories, "teeth") == [(TOLD, {"keyword"})]
    monkeypatch.setattr(embedding_module, "QUESTION_S", 5)
    other.gate.set()
    await memories.settled()
    assert [(each.model, each.left, each.done, each.percent) for each in progress] == [
        ("large", 11, 0, 0),
        ("large", 7, 4, 36),
        ("large", 3, 8, 72),
        ("large", 0, 11, 100),
    ]
    assert await models(database) == {"large": 11}
    assert await ways(memories, "dentist") == [(TOLD, {"vector"})]
    rows = await database.read("SELECT name, dimensions FROM embedding_models ORDER BY chosen_at")
    assert [tuple(row) for row in rows] == [("small", 64), ("large", 96)]


async def test_in_the_middle_of_a_change_each_is_found_by_what_there_is(
    memories: Memories, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are read first; those that are not yet are found by their words and compared with nothing."""
    monkeypatch.setattr(embedding_module, "BATCH", 1)
    await memories.remember("teeth of the shark", speaker="anna")
    await memories.remember(TOLD, speaker="anna")
    await memories.settled()
    other = Reader("large")
    answer, asked = other.embed, asyncio.Event()

    async def once_then_wait(texts: list[str]) -> np.ndarray:
        if texts == ["teeth of the shark"]:
            asked.set()
            await asyncio.Event().wait()
        return await answer(texts)

    monkeypatch.setattr(other, "embed", once_then_wait)
    memories.use(other)
    await asked.wait()
    assert await ways(memories, "dentist") == [(TOLD, {"vector"})]
    assert sorted(await ways(memories, "teeth")) == [
        (TOLD, {"keyword", "vector"}),
        ("teeth of the shark", {"keyword"}),
    ]


async def test_a_change_that_is_interrupted_goes_on_after_a_restart(
    tmp_path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_module, "BATCH", 3)
    database = await Database.open(tmp_path / "barnabeenet.db")
    memories = await Memories.open(database, reader)
    for number in range(9):
        await memories.remember(f"note {number}", speaker="anna")
    await memories.settled()
    other = Reader("large")
    stopped = asyncio.Event()
    answer = other.embed

    async def stops(texts: list[str]) -> np.ndarray:
        if len(other.asked) == 2:
            stopped.set()
            await asyncio.Event().wait()
        return await answer(texts)

    monkeypatch.setattr(other, "embed", stops)
    memories.use(other)
    await stopped.wait()
    await memories.close()
    assert await models(database) == {"large": 6, "small": 3}
    await database.close()
    database = await Database.open(tmp_path / "barnabeenet.db")
    last = Reader("large")
    memories = await Memories.open(database, last)
    await memories.settled()
    assert await models(database) == {"large": 9}
    assert sum(map(len, last.asked)) == 3
    await memories.close()
    await database.close()


async def test_the_same_name_with_another_length_is_another_model(
    memories: Memories, reader: Reader, database: Database
) -> None:
    await memories.remember(TOLD, speaker="anna")
    await memories.settled()
    await memories.close()
    again = await Memories.open(database, Reader("small", 32))
    await again.settled()
    await again.remember("vehicle insurance", speaker="anna")
    again.wake()
    await again.settled()
    rows = await database.read("SELECT DISTINCT length(vector) AS bytes FROM memory_vectors")
    assert [row["bytes"] for row in rows] == [128]
    assert await ways(again, "dentist") == [(TOLD, {"vector"})]
    await again.close()


async def test_a_model_that_changes_while_it_reads_is_asked_again(
    memories: Memories, reader: Reader, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    await memories.remember("The bins go out on Monday", speaker="anna")
    await memories.settled()
    answer = reader.embed

    async def changes(texts: list[str]) -> np.ndarray:
        vectors = await answer(texts)
        reader.name = "large"
        return vectors

    monkeypatch.setattr(reader, "embed", changes)
    await memories.remember(TOLD, speaker="anna")
    await memories.settled()
    assert await models(database) == {"large": 2}
    assert await ways(memories, "dentist") == [(TOLD, {"vector"})]


# Listeners


async def test_a_listener_that_fails_or_has_gone_holds_up_nobody(
    memories: Memories, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def fails() -> None:
        raise RuntimeError("a bug")

    def listener(name: str) -> Callable[[], None]:
        return lambda: told.append(name)

    memories.subscribe(fails)
    gone = memories.subscribe(listener("gone"))
    memories.subscribe(listener("here"))
    gone()
    gone()
    await memories.remember(TOLD, speaker="anna")
    await memories.settled()
    assert set(told) == {"here"}
    assert "A subscriber failed" in caplog.text
