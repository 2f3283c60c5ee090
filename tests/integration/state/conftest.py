"""Real SQLite files and a real redis-server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
import zlib

import numpy as np
from numpy.typing import NDArray
import pytest

from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.memories import Memories
from custom_components.barnabeenet.state.session_types import Clock, Options
from custom_components.barnabeenet.state.sessions import Sessions
from tests.redis_server import redis_server

__all__ = ["redis_server"]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "state" / "barnabeenet.db")
    yield database
    await database.close()


class Time:
    """A clock in the hands of a test."""

    def __init__(self) -> None:
        self.monotonic_s = 1_000.0
        self.wall_s = 1_800_000_000.0
        self.clock = Clock(lambda: self.monotonic_s, lambda: self.wall_s)

    def passes(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.wall_s += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(params=["sqlite", "sqlite and redis"])
def redis_url(request: pytest.FixtureRequest) -> str | None:
    """What stands on it behaves the same with a Redis and without."""
    return None if request.param == "sqlite" else request.getfixturevalue("redis_server").url


@pytest.fixture
async def open_sessions(
    database: Database, redis_url: str | None, time: Time
) -> AsyncIterator[Callable[..., Awaitable[Sessions]]]:
    """Opens sessions on the same database, closes them before it."""
    opened: list[Sessions] = []

    async def open_sessions(**options: Any) -> Sessions:
        opened.append(
            await Sessions.open(
                database, redis_url=redis_url, instance="home-1", clock=time.clock, options=Options(**options)
            )
        )
        return opened[-1]

    yield open_sessions
    for sessions in opened:
        await sessions.close()


@pytest.fixture
async def sessions(open_sessions: Callable[..., Awaitable[Sessions]]) -> Sessions:
    return await open_sessions()


# Words that mean the same to the reader below.
_SAME = {"dentist": "teeth", "fridge": "kitchen", "car": "vehicle", "automobile": "vehicle", "password": "code"}


class Reader:
    """A model in the hands of a test: texts with words in common, or words of one meaning, lie close together."""

    def __init__(self, name: str = "small", dimensions: int = 64) -> None:
        self.name = name
        self.dimensions = dimensions
        self.asked: list[list[str]] = []
        self.fails: Exception | None = None
        # Texts that it gives no numbers for.
        self.dumb: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked.append(list(texts))
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        return np.array([self.vector(text) for text in texts], np.float32)

    def vector(self, text: str) -> NDArray[np.float32]:
        if text in self.dumb:
            return np.full(self.dimensions, np.nan, np.float32)
        words = [_SAME.get(word, word) for word in text.lower().replace("?", "").split()]
        seeds = [zlib.crc32(f"{self.name} {word}".encode()) for word in words]
        vectors = [np.random.default_rng(seed).standard_normal(self.dimensions) for seed in seeds]
        return np.asarray(sum(vectors) / np.linalg.norm(sum(vectors)), np.float32)


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
async def memories(database: Database, reader: Reader) -> AsyncIterator[Memories]:
    """Those of a home with a model that reads them."""
    memories = await Memories.open(database, reader)
    yield memories
    await memories.close()


@pytest.fixture
async def wordy(database: Database) -> AsyncIterator[Memories]:
    """Those of a home without one."""
    memories = await Memories.open(database)
    yield memories
    await memories.close()
