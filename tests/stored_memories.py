"""The memories of a home as they lie in its database, for tests to look at and to break."""

from __future__ import annotations

from contextlib import closing
import sqlite3
from typing import Any

from homeassistant.core import HomeAssistant

from custom_components.barnabeenet.coordinator import BarnabeeNetConfigEntry
from custom_components.barnabeenet.database_keeper import async_keeper
from custom_components.barnabeenet.state.memories import Memory

_ALL = "SELECT id, text, owner, visibility, kind, source_trace AS source, at, language FROM memories ORDER BY id"
_CALLS = ("remember", "recall", "forget", "forget_all_of", "change", "page")


class StoredMemories:
    """The entry's own memories; `kept` are all of them, whosever they are."""

    def __init__(self, hass: HomeAssistant, entry: BarnabeeNetConfigEntry) -> None:
        self._memories = entry.runtime_data.brain.memories
        self._path = async_keeper(hass).path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memories, name)

    @property
    def kept(self) -> list[Memory]:
        with closing(sqlite3.connect(self._path)) as database:
            database.row_factory = sqlite3.Row
            return [Memory(**row) for row in database.execute(_ALL)]

    def texts(self, owner: str) -> list[str]:
        """What somebody has told, oldest first."""
        return [each.text for each in self.kept if each.owner == owner]

    def fail(self, failure: Exception) -> None:
        """From now on every call raises this."""

        async def broken(*_: object, **__: object) -> None:
            raise failure

        for name in _CALLS:
            setattr(self._memories, name, broken)
