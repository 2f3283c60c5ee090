"""Real SQLite files and a real redis-server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from custom_components.barnabeenet.state.database import Database
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
