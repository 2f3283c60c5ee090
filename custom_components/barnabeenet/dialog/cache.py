"""Answers that are given again for a while: to everybody, or only to the one whose answer it was.

A key says who may have the value, so that it cannot be forgotten; whoever asks while the same is being made waits for
it instead of making it a second time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from datetime import datetime
import time
from typing import Any, Final, Generic, TypeVar

TIME_TTL_S: Final = 30.0
WEATHER_TTL_S: Final = 300.0
STATE_TTL_S: Final = 10.0
ENTRIES_MAX: Final = 512

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Key:
    """What was asked, and who may have the answer; made by `shared` or `private`."""

    topic: str
    parts: tuple[Hashable, ...]
    speaker: str | None
    session: str | None

    @classmethod
    def shared(cls, topic: str, *parts: Hashable) -> Key:
        """The same answer for everybody."""
        return cls(topic, parts, None, None)

    @classmethod
    def private(cls, topic: str, *parts: Hashable, speaker: str | None, session: str) -> Key:
        """An answer for this speaker in this session; guests are told apart by their sessions alone."""
        if not session:
            raise ValueError("a private answer needs the session it belongs to")
        return cls(topic, parts, speaker, session)


@dataclass
class _Entry(Generic[ValueT]):
    value: ValueT
    until_s: float
    tags: frozenset[str]


@dataclass(eq=False)
class _Flight(Generic[ValueT]):
    task: asyncio.Task[ValueT]
    tags: frozenset[str]
    until_s: float
    waiting: int = 0
    stale: bool = False


@dataclass
class Counts:
    """How often a value was there, was made, was waited for and was thrown away for room."""

    hits: int = 0
    made: int = 0
    joined: int = 0
    evicted: int = 0


@dataclass(eq=False)
class Cache(Generic[ValueT]):
    """At most `entries_max` values, the least recently used goes first; `clock` is monotonic, in seconds."""

    clock: Callable[[], float] = time.monotonic
    entries_max: int = ENTRIES_MAX
    counts: Counts = field(default_factory=Counts)
    _entries: OrderedDict[Key, _Entry[ValueT]] = field(default_factory=OrderedDict, repr=False)
    _flights: dict[Key, _Flight[ValueT]] = field(default_factory=dict, repr=False)
    _tagged: dict[str, set[Key]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self._entries)

    async def get(
        self,
        key: Key,
        make: Callable[[], Coroutine[Any, Any, ValueT]],
        *,
        ttl_s: float,
        tags: frozenset[str] = frozenset(),
    ) -> ValueT:
        """The value that is there or being made, else what `make` makes; its error reaches all who wait for it."""
        entry = self._entries.get(key)
        if entry is not None:
            if self.clock() < entry.until_s:
                self._entries.move_to_end(key)
                self.counts.hits += 1
                return entry.value
            self._drop(key)
        flight = self._flights.get(key)
        if flight is None:
            # A value is as old as the question for it.
            flight = self._flights[key] = _Flight(asyncio.create_task(make()), tags, self.clock() + ttl_s)
            flight.task.add_done_callback(lambda _: self._land(key, flight))
            self.counts.made += 1
        else:
            self.counts.joined += 1
        return await self._wait(key, flight)

    def invalidate(self, tag: str) -> None:
        """Forgets what depends on the tag; what is being made still reaches those who wait for it, and no one else."""
        for key in tuple(self._tagged.get(tag, ())):
            self._drop(key)
        for key, flight in tuple(self._flights.items()):
            if tag in flight.tags:
                self._leave(key, flight)

    def clear(self) -> None:
        """Forgets everything."""
        self._entries.clear()
        self._tagged.clear()
        for key, flight in tuple(self._flights.items()):
            self._leave(key, flight)

    async def _wait(self, key: Key, flight: _Flight[ValueT]) -> ValueT:
        flight.waiting += 1
        try:
            # The one who gives up must not take the answer from the others.
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._leave(key, flight)
                flight.task.cancel()

    def _leave(self, key: Key, flight: _Flight[ValueT]) -> None:
        """Nobody may join it from now on."""
        flight.stale = True
        if self._flights.get(key) is flight:
            del self._flights[key]

    def _land(self, key: Key, flight: _Flight[ValueT]) -> None:
        failed = flight.task.cancelled() or flight.task.exception() is not None
        kept = not failed and not flight.stale
        self._leave(key, flight)
        if not kept:
            return
        self._entries[key] = _Entry(flight.task.result(), flight.until_s, flight.tags)
        self._entries.move_to_end(key)
        for tag in flight.tags:
            self._tagged.setdefault(tag, set()).add(key)
        while len(self._entries) > self.entries_max:
            self._drop(next(iter(self._entries)))
            self.counts.evicted += 1

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        for tag in () if entry is None else entry.tags:
            keys = self._tagged[tag]
            keys.discard(key)
            if not keys:
                del self._tagged[tag]


class Answers:
    """The three kinds of answers that are kept, each for as long as it stays true."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, entries_max: int = ENTRIES_MAX) -> None:
        self._cache: Cache[Any] = Cache(clock, entries_max)

    @property
    def counts(self) -> Counts:
        """For telemetry."""
        return self._cache.counts

    @property
    def entries(self) -> int:
        """How many answers are kept now."""
        return len(self._cache)

    async def time(
        self, now: datetime, language: str, make: Callable[[], Coroutine[Any, Any, ValueT]], *, question: str = "time"
    ) -> ValueT:
        """The same within one minute of the house's clock."""
        minute = now.replace(second=0, microsecond=0)
        value: ValueT = await self._cache.get(
            Key.shared("time", question, language, minute.isoformat()), make, ttl_s=TIME_TTL_S
        )
        return value

    async def weather(
        self, place: str, language: str, make: Callable[[], Coroutine[Any, Any, ValueT]], *, question: str = "weather"
    ) -> ValueT:
        """The same for everybody who asks about one place."""
        value: ValueT = await self._cache.get(
            Key.shared("weather", question, language, place), make, ttl_s=WEATHER_TTL_S
        )
        return value

    async def states(
        self,
        entity_ids: frozenset[str],
        question: Hashable,
        make: Callable[[], Coroutine[Any, Any, ValueT]],
        *,
        speaker: str | None,
        session: str,
    ) -> ValueT:
        """An answer that follows from the states of these entities, until one of them changes; see `state_changed`."""
        key = Key.private("states", entity_ids, question, speaker=speaker, session=session)
        value: ValueT = await self._cache.get(key, make, ttl_s=STATE_TTL_S, tags=entity_ids)
        return value

    def state_changed(self, entity_id: str) -> None:
        """To be called with every state that changes; costs next to nothing for one that nobody asked about."""
        self._cache.invalidate(entity_id)
