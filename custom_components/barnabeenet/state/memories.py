"""What each person asked to remember: kept, found by words and by meaning, seen by nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
import time
from typing import Final, NamedTuple, Self

from . import memory_rows as rows
from .database import Database
from .embedding import Embedding
from .memory_types import (
    KIND_MAX_CHARS,
    VISIBILITIES,
    Backlog,
    Embedder,
    Found,
    How,
    Memory,
    Visibility,
    checked_name,
    checked_text,
)
from .vector_store import VectorStore
from .vectors import Near, Place, Vector
from .words import QUERY_MAX_CHARS

__all__ = ["Backlog", "Embedder", "Found", "Memories", "Memory", "Visibility"]

RECALL_MAX: Final = 50
PAGE_MAX: Final = 500
# How far down each way looks.
CANDIDATES: Final = 30
# Of a question whose words are all there, beside a similarity of 1 at most; measured by `script/bench memory`.
_WORDS_WEIGHT: Final = 0.3
# How near such a one is as a rule: for those that the model has not read yet.
_LIKELY: Final = 0.7
# Sentences that have nothing to do with each other are nearer than this by chance only.
NEAR_LEAST: Final = 0.2
# Forgotten while it was looked for.
_GONE_MEANWHILE: Final = 5


class Memories:
    """The only way to memories. A speaker sees her own and the family's, a guest (None) the family's alone."""

    def __init__(
        self, database: Database, embedder: Embedder | None = None, *, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._now = now
        self._vectors = VectorStore(database)
        self._embedding = Embedding(database, self._vectors, embedder)

    @classmethod
    async def open(
        cls, database: Database, embedder: Embedder | None = None, *, now: Callable[[], float] = time.time
    ) -> Self:
        """Opens them; the vectors are loaded in the background, and until then the words alone find what is missing."""
        memories = cls(database, embedder, now=now)
        memories._embedding.start()
        return memories

    async def close(self) -> None:
        """Ends what runs in the background; the database is closed by whoever opened it, after this."""
        await self._embedding.close()
        await self._vectors.close()

    # Keeping

    async def remember(
        self,
        text: str,
        *,
        speaker: str,
        visibility: Visibility = "owner",
        kind: str = "fact",
        source: str | None = None,
        language: str | None = None,
    ) -> Memory:
        """Keeps a text, durably when it returns; the same one of the same owner again is refreshed.

        Raises ValueError for what cannot be kept, and StateError.
        """
        if visibility not in VISIBILITIES:
            raise ValueError(f"A memory is seen by its owner or by the family, not by {visibility!r}")
        new = rows.New(
            checked_name(speaker, "speaker's key"),
            visibility,
            checked_name(kind, "kind of memory", KIND_MAX_CHARS),
            checked_text(text),
            language and checked_name(language, "language"),
            source and checked_name(source, "source"),
            self._now(),
        )
        try:
            return await self._database.transact(rows.remember(new), self._placed)
        finally:
            self._embedding.wake()

    async def change(self, memory_id: int, text: str, *, speaker: str) -> Memory | None:
        """Gives the speaker's own memory another text; None when it is not there. Raises ValueError and StateError."""
        job = rows.change(memory_id, checked_text(text), speaker, self._now())
        try:
            changed = await self._database.transact(job, self._reworded)
        finally:
            self._embedding.wake()
        return changed and changed.memory

    async def forget(self, memory_id: int, *, speaker: str | None) -> bool:
        """Deletes the speaker's own memory; False when there is none that she may forget. Raises StateError."""
        if speaker is None:
            return False
        forgotten = await self._database.transact(rows.forget(memory_id, speaker), self._vectors.drop)
        return bool(forgotten)

    async def forget_all_of(self, speaker: str) -> int:
        """Deletes all that this person asked to remember and tells how many; raises StateError."""
        forgotten = await self._database.transact(rows.forget_all(speaker), self._vectors.drop)
        return len(forgotten)

    async def hand_over(self, owner: str, to: str) -> int:
        """Makes all of one key's memories another's, when both are the same person, and tells how many; raises StateError."""
        if owner == to:
            return 0
        handed = await self._database.transact(rows.hand_over(owner, checked_name(to, "speaker's key")), self._handed)
        return len(handed.moved)

    # Finding

    async def recall(
        self, query: str, *, speaker: str | None, limit: int = 5, kinds: Collection[str] | None = None
    ) -> list[Found]:
        """What answers a question best, of what the speaker may see, the best first; raises StateError."""
        query = query[:QUERY_MAX_CHARS]
        only = None if kinds is None else tuple(sorted(set(kinds)))
        covered, by_meaning = await asyncio.gather(
            self._database.look(rows.by_words(query, speaker, CANDIDATES, only)), self._nearest(query, speaker, only)
        )
        near = {each.id: each.similarity for each in by_meaning.near}
        similarities = near | await self._measured(by_meaning, [number for number in covered if number not in near])
        order = ranked(covered, similarities)[: min(limit, RECALL_MAX) + _GONE_MEANWHILE]
        found = await self._database.look(rows.fetch(order, speaker, only))
        return [
            Found(found[number], similarities.get(number, 0.0), _how(number, covered, near))
            for number in order
            if number in found
        ][: min(limit, RECALL_MAX)]

    async def page(self, *, speaker: str | None, limit: int = 50, before: int | None = None) -> list[Memory]:
        """What the speaker may see, the newest first, or those older than the one of this number; raises StateError."""
        return await self._database.look(rows.page(speaker, min(limit, PAGE_MAX), before))

    async def count(self, *, speaker: str | None) -> int:
        """How many the speaker may see; raises StateError."""
        return await self._database.look(rows.count(speaker))

    # The model that reads them

    @property
    def backlog(self) -> Backlog:
        """What the model has still to read."""
        return self._embedding.backlog

    @property
    def error(self) -> Exception | None:
        """Why the model does not read now; None while it does, or has nothing to read."""
        return self._embedding.error

    def use(self, embedder: Embedder | None) -> None:
        """Asks this one from now on; without one, words alone find."""
        self._embedding.use(embedder)

    def wake(self) -> None:
        """The embedder is back or has changed its model: goes on at once with what is unread."""
        self._embedding.wake()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls the listener when `backlog` or `error` changed, until the returned function is called."""
        return self._embedding.subscribe(listener)

    async def settled(self) -> None:
        """Waits until everything is loaded and read, or an attempt at it has failed."""
        await self._embedding.settled()

    async def _nearest(self, query: str, speaker: str | None, kinds: Collection[str] | None) -> _ByMeaning:
        question = await self._embedding.question(query)
        if question is None:
            return _ByMeaning(None, [])
        near = await self._vectors.nearest(*question, speaker=speaker, limit=CANDIDATES, kinds=kinds)
        return _ByMeaning(question, [each for each in near if each.similarity >= NEAR_LEAST])

    async def _measured(self, by_meaning: _ByMeaning, ids: Sequence[int]) -> dict[int, float]:
        if by_meaning.question is None or not ids:
            return {}
        return await self._vectors.similarities(*by_meaning.question, ids)

    # In the thread of the database's writer

    def _placed(self, memory: Memory) -> None:
        self._vectors.move(Place(memory.id, memory.owner, memory.visibility, memory.kind))

    def _handed(self, handed: rows.Handed) -> None:
        self._vectors.drop(handed.doubled)
        for memory in handed.moved:
            self._placed(memory)

    def _reworded(self, changed: rows.Changed | None) -> None:
        if changed is not None:
            self._vectors.drop(changed.unread)


class _ByMeaning(NamedTuple):
    """The question's vector with its model, None when nobody reads it, and what is near."""

    question: tuple[str, Vector] | None
    near: list[Near]


def ranked(covered: Mapping[int, float], similarities: Mapping[int, float]) -> list[int]:
    """The numbers by how much of the question's words they have and how near they are, the newer first among equals.

    Not by their places in both lists: next to a question without a telling word in common, the first of the words' list
    is as good as any. That part is squared, so that the few words of chance weigh little and a name or a code decides.
    """

    def score(number: int) -> float:
        part = covered.get(number, 0.0)
        return similarities.get(number, _LIKELY * part) + _WORDS_WEIGHT * part**2

    return sorted({**covered, **similarities}, key=lambda number: (-score(number), -number))


def _how(number: int, by_words: Collection[int], by_meaning: Collection[int]) -> frozenset[How]:
    ways: dict[How, Collection[int]] = {"keyword": by_words, "vector": by_meaning}
    return frozenset(how for how, found in ways.items() if number in found)
