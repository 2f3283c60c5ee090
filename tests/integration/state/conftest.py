"""Real SQLite files and a real redis-server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from custom_components.barnabeenet.state.database import Database
from tests.redis_server import redis_server

__all__ = ["redis_server"]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "state" / "barnabeenet.db")
    yield database
    await database.close()
