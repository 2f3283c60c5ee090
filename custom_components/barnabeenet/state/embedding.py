"""Has a model read what it has not read yet, and the questions as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
import logging
import sqlite3
from typing import Final

from ..client.errors import SidecarError
from .database import Database
from .errors import StateError
from .memory_types import Backlog, Embedder
from .vector_store import Read, VectorStore
from .vectors import Vector, unit_vectors

_LOGGER = logging.getLogger(__name__)

# A sentence takes some 5 ms; who waits for longer hears what the words alone find.
QUESTION_S: Final = 0.25
BATCH: Final = 64
BATCH_S: Final = 60.0
FIRST_RETRY_S: Final = 2.0
LONGEST_RETRY_S: Final = 300.0

_FAILURES: Final = (SidecarError, OSError, TimeoutError, ValueError)

_UNREAD: Final = """
SELECT id, text FROM memories AS m
WHERE id < ? AND NOT EXISTS (SELECT 1 FROM memory_vectors AS v WHERE v.model = ? AND v.memory_id = m.id)
ORDER BY id DESC LIMIT ?
"""
_LEFT: Final = """
SELECT (SELECT COUNT(*) FROM memories) - (SELECT COUNT(*) FROM memory_vectors WHERE model = ?)
"""
_NEWEST: Final = 1 << 62


class Embedding:
    """Reads in the background, the newest first; what a search finds by meaning is always of one model."""

    def __init__(self, database: Database, vectors: VectorStore, embedder: Embedder | None) -> None:
        self._database = database
        self._vectors = vectors
        self._embedder = embedder
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[], None]] = []
        self.backlog = Backlog()
        self.error: Exception | None = None

    def start(self) -> None:
        """Begins to read."""
        self._reader = asyncio.create_task(self._read_on(), name="barnabeenet memories are read")
        self.wake()

    def use(self, embedder: Embedder | None) -> None:
        """Asks this one from now on."""
        self._embedder = embedder
        self.wake()

    def wake(self) -> None:
        """There is something to read, or the model may be back."""
        self._idle.clear()
        self._wake.set()

    async def settled(self) -> None:
        """Waits until everything is loaded and read, or an attempt at it has failed."""
        await self._idle.wait()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls the listener when `backlog` or `error` changed, until the returned function is called."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    async def close(self) -> None:
        """Stops in the middle if need be; the next start goes on there."""
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader

    async def question(self, query: str) -> tuple[str, Vector] | None:
        """The model and the vector of a question; None when there is none in time, or of another model than the memories'."""
        if self._embedder is None or self._vectors.model is None:
            # Nothing has been read yet that it could be compared with.
            return None
        try:
            model, vectors = await self._embed(self._embedder, [query], QUESTION_S)
        except _FAILURES as error:
            _LOGGER.debug("A question is looked up by its words alone: %s", error)
            return None
        if (model, vectors.shape[1]) != (self._vectors.model, self._vectors.dimensions):
            self.wake()
            return None
        return (model, vectors[0]) if vectors[0].any() else None

    async def _read_on(self) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            await self._woken()
            error = await self._tried()
            if error is None:
                retry_s = FIRST_RETRY_S
                continue
            self._tell(self.backlog, error)
            with suppress(TimeoutError):
                async with asyncio.timeout(retry_s):
                    await self._woken()
            self._wake.set()
            retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    async def _tried(self) -> Exception | None:
        try:
            await self._catch_up()
        except (*_FAILURES, StateError) as error:
            return error
        except Exception as error:
            _LOGGER.exception("Memories could not be read")
            return error
        return None

    async def _woken(self) -> None:
        if not self._wake.is_set():
            self._idle.set()
        await self._wake.wait()
        self._wake.clear()

    async def _catch_up(self) -> None:
        """Loads what is not loaded and reads until nothing is left; raises one of the failures or StateError."""
        if not self._vectors.loaded:
            await self._vectors.load()
        embedder = self._embedder
        if embedder is None:
            return
        if embedder.name:
            await self._vectors.choose(embedder.name, embedder.dimensions)
        before, done = _NEWEST, 0
        while embedder is self._embedder and (batch := await self._unread(before)):
            left = len(batch) if len(batch) < BATCH else await self._count_left()
            self._tell(Backlog(self._vectors.model, left, done), self.error)
            await self._read(embedder, batch)
            self.error = None
            done += len(batch)
            before = batch[-1]["id"]
            if self._wake.is_set():
                # Newer ones first.
                self._wake.clear()
                before = _NEWEST
        self._tell(Backlog(self._vectors.model, 0, done), None)

    async def _read(self, embedder: Embedder, batch: Sequence[sqlite3.Row]) -> None:
        model, vectors = await self._embed(embedder, [row["text"] for row in batch], BATCH_S)
        if await self._vectors.choose(model, vectors.shape[1]):
            # Also those of the model before are to be read.
            self.wake()
        told = [
            Read(row["id"], row["text"], vector) for row, vector in zip(batch, vectors, strict=True) if vector.any()
        ]
        if not told:
            raise ValueError(f"The model {model} gave no numbers for any of {len(batch)} texts")
        await self._vectors.keep(model, told)

    async def _embed(self, embedder: Embedder, texts: list[str], seconds: float) -> tuple[str, Vector]:
        async with asyncio.timeout(seconds):
            before, given = embedder.name, await embedder.embed(texts)
            if before and before != embedder.name:
                # Nobody can say which of the two models these are of.
                before, given = embedder.name, await embedder.embed(texts)
        if not embedder.name or (before and before != embedder.name):
            raise ValueError("The model was changed again and again while it read")
        return embedder.name, unit_vectors(given, len(texts), embedder.dimensions)

    async def _unread(self, before: int) -> list[sqlite3.Row]:
        return await self._database.read(_UNREAD, (before, self._vectors.model or "", BATCH))

    async def _count_left(self) -> int:
        ((left,),) = await self._database.read(_LEFT, (self._vectors.model or "",))
        return int(left)

    def _tell(self, backlog: Backlog, error: Exception | None) -> None:
        if error is not None and self.error is None:
            _LOGGER.warning("Memories are found by their words alone until the model reads them: %s", error)
        if (backlog, error) == (self.backlog, self.error):
            return
        self.backlog, self.error = backlog, error
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception:
                _LOGGER.exception("A subscriber failed on the memories' progress")
