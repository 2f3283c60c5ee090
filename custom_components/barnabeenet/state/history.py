"""What was said in a session, page by page, and which sessions there were: for their own speaker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from .database import Database
from .errors import StateError

PAGE_MAX: Final = 100

_SESSION: Final = "SELECT 1 FROM sessions WHERE id = ? AND speaker IS ?"
_PAGE: Final = """
SELECT id, at, said, replied, trace_id FROM turns WHERE session_id = ? AND id < ? ORDER BY id DESC LIMIT ?
"""
# Those in which nothing was kept are not shown. Sessions may begin at the same moment, so a page ends at a session.
_SESSIONS: Final = """
SELECT id, device_id, started_at, last_active, (SELECT COUNT(*) FROM turns WHERE session_id = s.id)
FROM sessions AS s
WHERE speaker IS ?1 AND EXISTS (SELECT 1 FROM turns WHERE session_id = s.id)
  AND (?2 IS NULL OR (started_at, id) < (SELECT started_at, id FROM sessions WHERE id = ?2))
ORDER BY started_at DESC, id DESC LIMIT ?3
"""
_LARGEST_ID: Final = 2**63 - 1


class NoSuchSession(StateError):
    """There is no such session of this speaker: that another has one is not told."""


@dataclass(frozen=True)
class Item:
    """One turn; `at` is seconds since 1970."""

    id: int
    at: float
    said: str
    replied: str
    trace_id: str | None


@dataclass(frozen=True)
class Page:
    """Items, the oldest first; `before` asks for the page of older ones, None when there are none."""

    items: tuple[Item, ...]
    before: int | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "items": [
                {"id": item.id, "at": item.at, "said": item.said, "replied": item.replied, "trace_id": item.trace_id}
                for item in self.items
            ],
            "before": self.before,
        }


@dataclass(frozen=True)
class Talk:
    """A session with `turns` items; times are seconds since 1970."""

    id: str
    device_id: str
    started_at: float
    last_active: float
    turns: int


async def sessions(
    database: Database, *, speaker: str | None, before: str | None = None, limit: int = PAGE_MAX
) -> tuple[Talk, ...]:
    """The last 1 to 100 sessions of a speaker (None: of guests) that began before the session `before`, the newest first.

    Raises ValueError for a limit out of bounds, NoSuchSession for a `before` that is not this speaker's, StateError.
    """
    _check(limit)
    if before is not None:
        await _require(database, before, speaker)
    rows = await database.read(_SESSIONS, (speaker, before, limit))
    return tuple(Talk(*row) for row in rows)


async def history(
    database: Database, session_id: str, *, speaker: str | None, before: int | None = None, limit: int = PAGE_MAX
) -> Page:
    """The last 1 to 100 items of a session that are older than the item `before`.

    A speaker of None is a guest and sees guests' sessions. Raises ValueError for a limit out of bounds, NoSuchSession
    for what is not this speaker's, StateError.
    """
    _check(limit)
    await _require(database, session_id, speaker)
    end = _LARGEST_ID if before is None else max(0, min(before, _LARGEST_ID))
    # One more than is shown tells whether there are older ones.
    rows = await database.read(_PAGE, (session_id, end, limit + 1))
    items = tuple(Item(*row) for row in reversed(rows[:limit]))
    return Page(items, items[0].id if len(rows) > limit else None)


def _check(limit: int) -> None:
    if not 1 <= limit <= PAGE_MAX:
        raise ValueError(f"A page has 1 to {PAGE_MAX} items, not {limit}")


async def _require(database: Database, session_id: str, speaker: str | None) -> None:
    if not await database.read(_SESSION, (session_id, speaker)):
        raise NoSuchSession("There is no such session of this speaker")
