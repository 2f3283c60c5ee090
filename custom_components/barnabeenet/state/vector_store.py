"""The vectors of the model in use: loaded once, kept in step with the database, searched in a thread of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
import logging
import sqlite3
import time
from typing import Final, NamedTuple, TypeVar

from .database import Database
from .vectors import DTYPE, Index, Matrix, Near, Place, Vector
from .vectors_sqlite import FileIndex, loads

_LOGGER = logging.getLogger(__name__)

# Beyond that a search reads the file if it can: a home's computer has other things to hold.
MATRIX_MAX_BYTES: Final = 512 * 1024 * 1024
LOAD_ROWS: Final = 1_000

ResultT = TypeVar("ResultT")

_CHOOSE: Final = """
INSERT INTO embedding_models (name, dimensions, chosen_at) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET dimensions = excluded.dimensions, chosen_at = excluded.chosen_at
"""
_LOAD: Final = """
SELECT m.id, m.owner, m.visibility, m.kind, v.vector
FROM memory_vectors AS v JOIN memories AS m ON m.id = v.memory_id
WHERE v.model = ? AND v.memory_id > ? ORDER BY v.memory_id LIMIT ?
"""
# The text may have changed or gone while the model read it.
_KEEP: Final = """
INSERT OR REPLACE INTO memory_vectors (memory_id, model, vector)
SELECT id, ?, ? FROM memories WHERE id = ? AND text = ? RETURNING memory_id
"""


class Read(NamedTuple):
    """A memory's text and what a model made of it."""

    id: int
    text: str
    vector: Vector


class VectorStore:
    """One model's at a time; `model` is None until one was ever chosen."""

    def __init__(self, database: Database, *, matrix_max_bytes: int = MATRIX_MAX_BYTES) -> None:
        self._database = database
        self._matrix_max_bytes = matrix_max_bytes
        self._thread = ThreadPoolExecutor(1, "barnabeenet-memory-vectors")
        # Of the thread alone.
        self._index: Index | None = None
        self.model: str | None = None
        self.dimensions = 0
        self.loaded = False
        self._closed = False

    async def load(self) -> None:
        """Takes up the model that was chosen last; raises StateError."""
        for row in await self._database.read("SELECT * FROM embedding_models ORDER BY chosen_at DESC LIMIT 1"):
            await self._take_up(row["name"], row["dimensions"])
        self.loaded = True

    async def choose(self, model: str, dimensions: int) -> bool:
        """Goes over to a model and loads what it has read before, unless it is in use already; raises StateError."""
        if (model, dimensions) == (self.model, self.dimensions):
            return False

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(_CHOOSE, (model, dimensions, time.time()))
            # The same name with another length is another model.
            wrong = (model, dimensions * DTYPE.itemsize)
            connection.execute("DELETE FROM memory_vectors WHERE model = ? AND length(vector) <> ?", wrong)

        await self._database.transact(job)
        await self._take_up(model, dimensions)
        return True

    async def keep(self, model: str, read: Sequence[Read]) -> int:
        """Writes vectors of texts that are still the same, and tells how many; raises StateError."""

        def job(connection: sqlite3.Connection) -> list[tuple[Place, bytes]]:
            kept = []
            for each in read:
                blob = each.vector.astype(DTYPE).tobytes()
                if connection.execute(_KEEP, (model, blob, each.id, each.text)).fetchall():
                    kept.append((_place(connection, each.id), blob))
            return kept

        kept = await self._database.transact(job, lambda kept: self._put(model, kept))
        return len(kept)

    def move(self, place: Place) -> None:
        """Takes note of who sees a memory; from the thread of the database's writer, as those below."""
        self._post(lambda index: index.move(place))

    def drop(self, ids: Iterable[int]) -> None:
        """Leaves memories out from now on."""
        self._post(lambda index: index.drop(ids))

    async def nearest(
        self, model: str, vector: Vector, *, speaker: str | None, limit: int, kinds: Collection[str] | None
    ) -> list[Near]:
        """The nearest that the speaker may see; none when the model is not the one in use."""
        return await self._ask(model, lambda index: index.nearest(vector, speaker, limit, kinds), [])

    async def similarities(self, model: str, vector: Vector, ids: Sequence[int]) -> dict[int, float]:
        """How near those are that have a vector of this model."""
        return await self._ask(model, lambda index: index.similarities(vector, ids), {})

    async def close(self) -> None:
        """Ends the thread; safe to call twice. The database is closed by whoever opened it, after this."""
        if not self._closed:
            self._post(lambda index: index.close())
            self._closed = True
            await asyncio.to_thread(self._thread.shutdown)

    async def _take_up(self, model: str, dimensions: int) -> None:
        self.loaded = False
        ((memories,),) = await self._database.read("SELECT COUNT(*) FROM memories")
        large = memories * dimensions * DTYPE.itemsize > self._matrix_max_bytes

        def make() -> Index:
            return FileIndex(self._database.path, model) if large and loads() else Matrix(dimensions)

        self.model, self.dimensions = model, dimensions
        await self._run(lambda: self._replace(make()))
        last: int | None = 0
        while last is not None:
            last = await self._load_part(model, last)
        self.loaded = True

    async def _load_part(self, model: str, after: int) -> int | None:
        """Loads some and gives the last one's number, None at the end.

        By the writer's thread: a write comes before a part or after it and never into the middle.
        """

        def job(connection: sqlite3.Connection) -> list[tuple[Place, bytes]]:
            rows = connection.execute(_LOAD, (model, after, LOAD_ROWS)).fetchall()
            return [(Place(*row[:4]), row["vector"]) for row in rows]

        part = await self._database.transact(job, lambda part: self._put(model, part))
        return part[-1][0].id if part else None

    def _replace(self, index: Index) -> None:
        if self._index is not None:
            self._index.close()
        self._index = index

    def _put(self, model: str, rows: Sequence[tuple[Place, bytes]]) -> None:
        def put(index: Index) -> None:
            if model == self.model:
                for place, vector in rows:
                    index.put(place, vector)

        self._post(put)

    def _post(self, job: Callable[[Index], None]) -> None:
        def run() -> None:
            if self._index is not None:
                job(self._index)

        if not self._closed:
            self._thread.submit(run)

    async def _ask(self, model: str, job: Callable[[Index], ResultT], otherwise: ResultT) -> ResultT:
        def run() -> ResultT:
            return job(self._index) if self._index is not None and self.model == model else otherwise

        return otherwise if self._closed else await self._run(run)

    async def _run(self, job: Callable[[], ResultT]) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)


def _place(connection: sqlite3.Connection, number: int) -> Place:
    (row,) = connection.execute("SELECT id, owner, visibility, kind FROM memories WHERE id = ?", (number,)).fetchall()
    return Place(*row)
