"""The nearest vectors: in memory and by sqlite-vec, with the same results; and what is kept in step with the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
import sqlite3

import numpy as np
import pytest

from custom_components.barnabeenet.state import vector_store, vectors as vectors_module
from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.memories import Memories
from custom_components.barnabeenet.state.vector_store import Read, VectorStore
from custom_components.barnabeenet.state.vectors import DTYPE, Matrix, Near, Place, Vector, unit_vectors
from custom_components.barnabeenet.state.vectors_sqlite import FileIndex, loads

from .conftest import Reader

DIMENSIONS = 24
KINDS = ("fact", "note", "journal")
SPEAKERS = ("anna", "ben", "eve", None)
ROW = "INSERT INTO memories (id, owner, visibility, kind, text, at, changed_at) VALUES (?, ?, ?, ?, ?, 1, 1)"
needs_sqlite_vec = pytest.mark.skipif(not loads(), reason="sqlite-vec does not load here: pip install sqlite-vec")


def random_vectors(count: int, seed: int = 1) -> Vector:
    numbers = np.random.default_rng(seed).standard_normal((count, DIMENSIONS))
    return unit_vectors(numbers.astype(np.float32), count, DIMENSIONS)


def place(number: int) -> Place:
    return Place(number, ("anna", "ben")[number % 2], ("owner", "family")[number % 3 == 0], KINDS[number // 3 % 3])


def sees(speaker: str | None, at: Place) -> bool:
    return at.visibility == "family" or at.owner == speaker


async def fill(database: Database, vectors: Vector) -> VectorStore:
    """As many memories as vectors, kept by a model."""
    store = VectorStore(database)
    await store.choose("small", DIMENSIONS)
    await database.write(*((ROW, (*place(number)[:4], f"text {number}")) for number in range(1, len(vectors) + 1)))
    read = [Read(number, f"text {number}", vector) for number, vector in enumerate(vectors, start=1)]
    assert await store.keep("small", read) == len(vectors)
    return store


def same(found: list[Near], expected: list[Near]) -> bool:
    return [near.id for near in found] == [near.id for near in expected] and [
        near.similarity for near in found
    ] == pytest.approx([near.similarity for near in expected], abs=1e-5)


def test_the_nearest_that_a_speaker_may_see_are_those_by_hand() -> None:
    vectors, matrix = random_vectors(500), Matrix(DIMENSIONS)
    for number, vector in enumerate(vectors):
        matrix.put(place(number), vector.tobytes())
    for question in random_vectors(5, seed=2):
        for speaker in SPEAKERS:
            for kinds in (None, {"note"}, {"note", "fact"}, {"unknown"}, set[str]()):
                by_hand = sorted(
                    (
                        Near(float(vector @ question), number)
                        for number, vector in enumerate(vectors)
                        if sees(speaker, place(number)) and (kinds is None or place(number).kind in kinds)
                    ),
                    reverse=True,
                )[:7]
                assert same(matrix.nearest(question, speaker, 7, kinds), by_hand)


@pytest.mark.parametrize("exact_rows", [vectors_module.EXACT_ROWS, 0])
def test_rows_come_go_and_move(monkeypatch: pytest.MonkeyPatch, exact_rows: int) -> None:
    """Also when the signs are looked at first; as many are likely here as there are."""
    monkeypatch.setattr(vectors_module, "EXACT_ROWS", exact_rows)
    vectors, matrix = random_vectors(300), Matrix(DIMENSIONS)
    kept: dict[int, tuple[Place, int]] = {}
    random = np.random.default_rng(7)
    for _ in range(3000):
        number, row = int(random.integers(100)), int(random.integers(300))
        action = random.integers(3)
        if action == 0:
            matrix.put(place(number), vectors[row].tobytes())
            kept[number] = (place(number), row)
        elif action == 1:
            matrix.drop([number, 12345])
            kept.pop(number, None)
        else:
            moved = Place(number, "eve", "owner", "note")
            matrix.move(moved)
            if number in kept:
                kept[number] = (moved, kept[number][1])
    for speaker in SPEAKERS:
        found = matrix.nearest(vectors[0], speaker, 1000, None)
        seen = {number: row for number, (at, row) in kept.items() if sees(speaker, at)}
        assert {near.id for near in found} == set(seen)
        for near in found:
            assert near.similarity == pytest.approx(float(vectors[seen[near.id]] @ vectors[0]), abs=1e-5)
    assert set(matrix.similarities(vectors[0], list(range(200)))) == set(kept)


def test_among_many_the_nearest_are_found_by_their_signs_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few of what is only just among the nearest are missed, and never one of another person's."""
    monkeypatch.setattr(vectors_module, "LIKELY_LEAST", 10)
    random, rows, dimensions = np.random.default_rng(5), vectors_module.EXACT_ROWS + 1000, 384
    topics = random.standard_normal((300, dimensions))
    numbers = topics[random.integers(300, size=2 * rows)] + random.standard_normal((2 * rows, dimensions))
    vectors = unit_vectors(numbers.astype(np.float32), 2 * rows, dimensions)
    matrix = Matrix(dimensions)
    for number, vector in enumerate(vectors):
        matrix.put(Place(number, ("anna", "ben")[number % 2], "owner", KINDS[number % 5 == 0]), vector.tobytes())
    hits = 0
    for question in unit_vectors(topics[:50].astype(np.float32), 50, dimensions):
        similarities = vectors @ question
        for kinds, own in ((None, np.arange(0, 2 * rows, 2)), ({KINDS[1]}, np.arange(0, 2 * rows, 10))):
            found = matrix.nearest(question, "anna", 5, kinds)
            best = own[np.argsort(-similarities[own])[:5]]
            assert {near.id for near in found} <= set(own)
            assert all(near.similarity == pytest.approx(similarities[near.id], abs=1e-5) for near in found)
            assert len(found) == 5
            hits += len({near.id for near in found} & set(best))
    assert hits / (50 * 2 * 5) > 0.98


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([[1.0, 0.0]], r"shape \(1, 2\) and not \(2, 2\)"),
        ([[1.0], [1.0]], r"shape \(2, 1\)"),
        ([[1.0, 0.0], [1.0]], "inhomogeneous"),
        ([], "shape"),
        ([["a", "b"], ["c", "d"]], "could not convert"),
    ],
)
def test_vectors_of_another_shape_are_refused(given: list[list[float]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        unit_vectors(given, 2, 2)


def test_vectors_are_brought_to_length_one_and_those_without_direction_to_zero() -> None:
    given = [[3.0, 4.0], [0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0], [3e38, 3e38]]
    assert unit_vectors(given, 5, 2).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], *[[0.0, 0.0]] * 4]


# The extension


@needs_sqlite_vec
async def test_both_ways_find_the_same(database: Database) -> None:
    store = await fill(database, random_vectors(400))
    assert isinstance(store._index, Matrix)
    with closing(FileIndex(database.path, "small")) as file:
        for question in random_vectors(8, seed=3):
            for speaker in SPEAKERS:
                for kinds in (None, {"note"}, {"journal", "fact"}, set[str]()):
                    found = await store.nearest("small", question, speaker=speaker, limit=9, kinds=kinds)
                    assert same(file.nearest(question, speaker, 9, kinds), found)
                    assert len(found) == (0 if kinds == set() else 9)
            numbers = [1, 7, 399, 5000]
            measured = await store.similarities("small", question, numbers)
            assert file.similarities(question, numbers) == pytest.approx(measured, abs=1e-5)
    await store.close()


@needs_sqlite_vec
async def test_beyond_a_bound_the_file_is_searched(
    tmp_path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes are seen at once there, as they are in memory."""
    monkeypatch.setattr(vector_store, "MATRIX_MAX_BYTES", 0)
    database = await Database.open(tmp_path / "barnabeenet.db")
    memories = await Memories.open(database, reader)
    monkeypatch.setattr(memories._vectors, "_matrix_max_bytes", 0)
    told = await memories.remember("teeth check-up", speaker="anna", visibility="family")
    await memories.settled()
    assert isinstance(memories._vectors._index, FileIndex)
    (found,) = await memories.recall("dentist", speaker="ben")
    assert (found.memory, found.how) == (told, {"vector"})
    await memories.remember("teeth check-up", speaker="anna")
    assert await memories.recall("dentist", speaker="ben") == []
    assert await memories.forget(told.id, speaker="anna")
    assert await memories.recall("dentist", speaker="anna") == []
    await memories.close()
    await database.close()


def test_without_the_extension_it_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sqlite_vec", None)
    assert not loads()


async def test_beyond_the_bound_and_without_the_extension_it_is_in_memory(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_store, "loads", lambda: False)
    store = VectorStore(database, matrix_max_bytes=-1)
    await store.choose("small", DIMENSIONS)
    assert isinstance(store._index, Matrix)
    await store.close()


# In step with the database


async def test_what_a_restart_loads_is_what_was_there(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_store, "LOAD_ROWS", 7)
    vectors = random_vectors(50)
    store = await fill(database, vectors)
    before = await store.nearest("small", vectors[3], speaker="ben", limit=50, kinds=None)
    await store.close()
    store = VectorStore(database)
    assert await store.nearest("small", vectors[3], speaker="ben", limit=50, kinds=None) == []
    await store.load()
    assert store.loaded
    assert same(await store.nearest("small", vectors[3], speaker="ben", limit=50, kinds=None), before)
    await store.close()


async def test_writes_in_the_middle_of_loading_are_right_at_its_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_store, "LOAD_ROWS", 3)
    vectors = random_vectors(60)
    await (await fill(database, vectors)).close()
    store = VectorStore(database)
    loading = asyncio.create_task(store.load())

    def forget(number: int) -> Callable[[sqlite3.Connection], list[int]]:
        def job(connection: sqlite3.Connection) -> list[int]:
            return [
                row["id"] for row in connection.execute("DELETE FROM memories WHERE id = ? RETURNING id", (number,))
            ]

        return job

    for number in range(1, 61, 2):
        await database.transact(forget(number), store.drop)
    await loading
    found = await store.nearest("small", vectors[0], speaker="anna", limit=100, kinds=None)
    found += await store.nearest("small", vectors[0], speaker="ben", limit=100, kinds=None)
    assert {near.id for near in found} == set(range(2, 61, 2))
    await store.close()


async def test_a_text_that_changed_while_it_was_read_is_not_kept(database: Database) -> None:
    store = await fill(database, random_vectors(2))
    await database.write(
        ("UPDATE memories SET text = 'new' WHERE id = 1", ()), ("DELETE FROM memories WHERE id = 2", ())
    )
    read = [Read(1, "text 1", random_vectors(1)[0]), Read(2, "text 2", random_vectors(1)[0])]
    assert await store.keep("small", read) == 0
    assert await database.read("SELECT * FROM memory_vectors") == []
    await store.close()


async def test_vectors_lie_in_the_file_as_floats_with_their_model(database: Database) -> None:
    vectors = random_vectors(3)
    await (await fill(database, vectors)).close()
    rows = await database.read("SELECT * FROM memory_vectors ORDER BY memory_id")
    assert [row["model"] for row in rows] == ["small"] * 3
    assert np.array_equal(np.array([np.frombuffer(row["vector"], DTYPE) for row in rows]), vectors)
    ((name, dimensions),) = await database.read("SELECT name, dimensions FROM embedding_models")
    assert (name, dimensions) == ("small", DIMENSIONS)


async def test_a_closed_store_finds_nothing_and_takes_nothing(database: Database) -> None:
    store = await fill(database, random_vectors(3))
    await store.close()
    await store.close()
    store.drop([1])
    assert await store.nearest("small", random_vectors(1)[0], speaker="anna", limit=3, kinds=None) == []


def test_another_program_reads_the_file_without_the_extension(tmp_path: Path) -> None:
    """A backup that goes from glibc to musl is whole: no table in the file is the extension's."""
    path = tmp_path / "barnabeenet.db"
    asyncio.run(_open_and_close(path))
    with closing(sqlite3.connect(path)) as connection:
        virtual = connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'").fetchall()
    assert virtual == [("memories_words",)]


async def _open_and_close(path: Path) -> None:
    await (await Database.open(path)).close()
