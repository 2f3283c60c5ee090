"""How fast memories are found, and whether the right ones are.

Speed, for 1,000, 10,000 and 100,000 memories that the asker may all see: the family's and her own in equal parts.

  keyword_..k_p50_ms     by the words alone, as when the sidecar is away (and p95)
  vector_..k_p50_ms      the nearest vectors, in memory, and their texts
  hybrid_..k_p50_ms      both together, as a turn asks for them
  sqlite_vec_..k_p50_ms  the nearest vectors by that extension, where it loads
  growth_...             how many times longer it takes for ten times as many
  remember_..k_p50_ms    one more, until it is safe on the disk
  load_..k_ms            all vectors from the file into memory, at the start
  matrix_..k_mb          what they take there
  embed_query_p50_ms     the model's own time for a question, which the others leave out

Quality: the questions of `memories.tsv`; a question counts when what answers it is among the first five.

  recall5_keyword, recall5_vector, recall5_hybrid   among the memories of that file
  recall5_..._crowded                               among 3,000 more that look like them
  recall5_..._PART                                  of the part of that file with this name

All vectors of the quality part are MiniLM's. Those of the speed part are MiniLM's for 1,000 texts and lie near one of them
for the others: a search takes as long whatever the numbers are.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from itertools import pairwise
import json
from pathlib import Path
import random
import sqlite3
from statistics import median
import sys
import time
from typing import TypeAlias

import numpy as np

from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.errors import StateError
from custom_components.barnabeenet.state.memories import CANDIDATES, Memories
from custom_components.barnabeenet.state.memory_rows import fetch
from custom_components.barnabeenet.state.vector_store import VectorStore
from custom_components.barnabeenet.state.vectors import DTYPE, unit_vectors
from custom_components.barnabeenet.state.vectors_sqlite import FileIndex, loads

from . import report
from .crowd_of_memories import look_alikes
from .memory_reader import DIMENSIONS, NAME, Known, Vectors, reader
from .process import ProcessFailed
from .stage import workplace

SET = Path(__file__).parent / "memories.tsv"
SIZES = (1_000, 10_000, 100_000)
QUERIES = 200
CROWD = 3_000
REAL = 1_000
FIRST = 5
ASKER = "anna"
# How far one that is made up lies from one that was read.
_NOISE = 0.03
WAYS = ("keyword", "vector", "hybrid")

Figures: TypeAlias = dict[str, float]

_INSERT = "INSERT INTO memories (owner, visibility, kind, text, at, changed_at) VALUES (?, ?, 'fact', ?, 0, 0)"
_VECTOR = "INSERT INTO memory_vectors (memory_id, model, vector) VALUES (?, ?, ?)"
_MODEL = "INSERT INTO embedding_models (name, dimensions, chosen_at) VALUES (?, ?, 0)"


@dataclass(frozen=True)
class Case:
    """A memory of the set and how somebody asks for it; without a question it is there to be mistaken for another."""

    part: str
    told: str
    asked: str


def cases(path: Path = SET) -> list[Case]:
    """The set; parts are headed by a line `# name`."""
    found, part = [], ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            part = line.removeprefix("#").strip().replace(",", "").replace(" ", "_")
        else:
            told, asked = line.split("\t")
            found.append(Case(part, told, asked))
    return found


class Searched:
    """Memories on a file, and the ways of looking for them."""

    def __init__(self, database: Database, memories: Memories, model: Known) -> None:
        self._database = database
        self.memories = memories
        self._model = model

    async def first(self, way: str, questions: Sequence[str]) -> AsyncIterator[tuple[list[str], float]]:
        """The texts of the first five for each question, and the milliseconds it took."""
        self.memories.use(None if way == "keyword" else self._model)
        await self.memories.settled()
        find = self._by_meaning if way == "vector" else self._recalled
        for question in questions:
            started = time.perf_counter()
            found = await find(question)
            yield found, (time.perf_counter() - started) * 1000

    async def _recalled(self, question: str) -> list[str]:
        return [found.memory.text for found in await self.memories.recall(question, speaker=ASKER, limit=FIRST)]

    async def _by_meaning(self, question: str) -> list[str]:
        near = (await self.memories._nearest(question, ASKER, None)).near[:FIRST]  # noqa: SLF001 - nobody else wants half
        texts = await self._database.look(fetch([each.id for each in near], ASKER, None))
        return [texts[each.id].text for each in near]


@asynccontextmanager
async def searched(path: Path, vectors: Mapping[str, Vectors], texts: Sequence[str]) -> AsyncIterator[Searched]:
    """A file with these memories, all loaded, for the length of the block."""
    database = await Database.open(path)
    try:
        await database.transact(lambda connection: _fill(connection, vectors, texts))
        model = Known(vectors)
        memories = await Memories.open(database, model)
        try:
            await memories.settled()
            yield Searched(database, memories, model)
        finally:
            await memories.close()
    finally:
        await database.close()


def _fill(connection: sqlite3.Connection, vectors: Mapping[str, Vectors], texts: Sequence[str]) -> None:
    """All at once: one by one they would wait for the disk, as people do."""
    visible = (("ben", "family"), (ASKER, "owner"))
    connection.executemany(_INSERT, ((*visible[number % 2], text) for number, text in enumerate(texts)))
    connection.execute(_MODEL, (NAME, DIMENSIONS))
    blobs = ((number, NAME, vectors[text].astype(DTYPE).tobytes()) for number, text in enumerate(texts, start=1))
    connection.executemany(_VECTOR, blobs)


async def quality(folder: Path, vectors: Mapping[str, Vectors], crowd: Sequence[str]) -> Figures:
    """The part of the questions whose answer is among the first five."""
    told = cases()
    asked = [case for case in told if case.asked]
    found: Figures = {"set_memories": len(told), "set_questions": len(asked)}
    for suffix, others in (("", ()), ("_crowded", crowd)):
        async with searched(folder / f"set{suffix}.db", vectors, [*(case.told for case in told), *others]) as memories:
            for way in WAYS:
                firsts = [texts async for texts, _ in memories.first(way, [case.asked for case in asked])]
                hits = [(case.part, case.told in texts) for case, texts in zip(asked, firsts, strict=True)]
                found[f"recall5_{way}{suffix}"] = _share(hits)
                if not suffix:
                    parts = dict.fromkeys(case.part for case in asked)
                    found |= {f"recall5_{way}_{part}": _share(hits, part) for part in parts}
    return found


def _share(hits: Sequence[tuple[str, bool]], part: str | None = None) -> float:
    chosen = [hit for name, hit in hits if part in (None, name)]
    return round(sum(chosen) / len(chosen), 3)


async def speed(folder: Path, real: Mapping[str, Vectors], size: int, questions: Sequence[str]) -> Figures:
    """Times for so many memories."""
    label = f"{size // 1000}k" if size >= 1000 else f"{size}"
    texts = look_alikes(size)
    vectors = {**_near(real, texts), **real}
    found: Figures = {}
    async with searched(folder / f"{label}.db", vectors, texts) as memories:
        for way in WAYS:
            times_ms = [passed_ms async for _, passed_ms in memories.first(way, questions)]
            found |= _spread(f"{way}_{label}", times_ms)
        memories.memories.use(None)
        found |= _spread(f"remember_{label}", [await _remember_ms(memories.memories, number) for number in range(20)])
    found[f"matrix_{label}_mb"] = round(size * DIMENSIONS * DTYPE.itemsize / 1e6, 1)
    found[f"load_{label}_ms"] = await _load_ms(folder / f"{label}.db")
    if loads():
        found |= _spread(
            f"sqlite_vec_{label}", _sqlite_vec_ms(folder / f"{label}.db", [real[each] for each in questions])
        )
    return found


def _near(real: Mapping[str, Vectors], texts: Sequence[str]) -> dict[str, Vectors]:
    numbers, known = np.random.default_rng(1), np.array(list(real.values()))
    around = known[numbers.integers(len(known), size=len(texts))]
    around = around + numbers.normal(0, _NOISE, around.shape)
    return dict(zip(texts, unit_vectors(around.astype(np.float32), *around.shape), strict=True))


async def _remember_ms(memories: Memories, number: int) -> float:
    started = time.perf_counter()
    await memories.remember(f"One more that is told while somebody waits, number {number}", speaker=ASKER)
    return (time.perf_counter() - started) * 1000


async def _load_ms(path: Path) -> float:
    database = await Database.open(path)
    store = VectorStore(database)
    started = time.perf_counter()
    await store.load()
    passed_ms = (time.perf_counter() - started) * 1000
    await store.close()
    await database.close()
    return round(passed_ms, 1)


def _sqlite_vec_ms(path: Path, questions: Sequence[Vectors]) -> list[float]:
    times_ms = []
    with closing(FileIndex(path, NAME)) as index:
        for question in questions[: QUERIES // 10]:
            started = time.perf_counter()
            index.nearest(question, ASKER, CANDIDATES, None)
            times_ms.append((time.perf_counter() - started) * 1000)
    return times_ms


def _spread(name: str, times_ms: Sequence[float]) -> Figures:
    high = sorted(times_ms)[max(0, -(-len(times_ms) * 95 // 100) - 1)]
    return {f"{name}_p50_ms": round(median(times_ms), 2), f"{name}_p95_ms": round(high, 2)}


def growth(found: Figures, sizes: Sequence[int]) -> Figures:
    """How many times longer the larger sizes take."""
    labels = [f"{size // 1000}k" if size >= 1000 else f"{size}" for size in sizes]
    return {
        f"growth_{way}_{small}_to_{large}": round(found[f"{way}_{large}_p50_ms"] / found[f"{way}_{small}_p50_ms"], 2)
        for small, large in pairwise(labels)
        for way in WAYS
    }


async def bench(folder: Path, asked: argparse.Namespace) -> Figures:
    """Holds the whole bench; returns the figures."""
    set_, crowd = cases(), look_alikes(asked.crowd)
    questions = [case.asked for case in set_ if case.asked]
    async with reader() as model:
        report.note(f"MiniLM reads {len(set_) + len(questions) + len(crowd)} texts ...")
        texts = [*(case.told for case in set_), *crowd]
        vectors = dict(zip(texts, await model.embed(texts), strict=True))
        model.times_ms.clear()
        for question in questions:
            vectors[question] = (await model.embed([question]))[0]
        found = {**_spread("embed_query", model.times_ms)}
    found |= await quality(folder, vectors, crowd)
    real = {text: vectors[text] for text in (*crowd[:REAL], *questions)}
    chosen = random.Random(1).choices(questions, k=asked.queries)  # noqa: S311 - the same in every run
    for size in asked.sizes:
        report.note(f"{size:,} memories ...")
        found |= await speed(folder, real, size, chosen)
    return found | growth(found, asked.sizes)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/bench memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="how many memories (%(default)s)")
    parser.add_argument("--queries", type=int, default=QUERIES, help="for each figure (%(default)s)")
    parser.add_argument("--crowd", type=int, default=CROWD, help="look-alikes in the quality part (%(default)s)")
    return parser.parse_args()


def main() -> int:
    """Prints the figures, or one JSON object as the last line; returns 0, or 2 when the bench could not be held."""
    asked = _options()
    try:
        with workplace("bench_memory") as folder:
            found = asyncio.run(bench(folder, asked))
    except (ProcessFailed, StateError, TimeoutError, OSError) as error:
        report.note(f"error: {error or type(error).__name__}")
        return 2
    if asked.json:
        print(json.dumps({"bench": "memory", "figures": found}))
    else:
        print("\n".join(f"{name:<44}{figure:>10}" for name, figure in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
