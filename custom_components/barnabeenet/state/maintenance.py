"""The nightly care of the database, step by step, none of which keeps a turn waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
import sqlite3
from time import monotonic
from typing import Any, Final
from urllib.parse import quote

from .bound import Bound
from .copies import Copies, Copy
from .database import STEPS_PER_LOOK, Database, faults_of, state_error
from .errors import Corrupt, StateError, TooLong
from .packing import room_for
from .retention import drop_old

# All steps together.
MAINTENANCE_S: Final = 900.0
# Writes wait in memory while the file is written anew.
VACUUM_S: Final = 30.0
# It pays when this share of the pages is free, and it is more than a little.
FREE_SHARE: Final = 0.25
FREE_BYTES: Final = 1024 * 1024
# Rows of an index that ANALYZE looks at.
ANALYSIS_LIMIT: Final = 1_000
# Pages of a full-text index that are merged while a write waits: some ten milliseconds.
MERGE_PAGES: Final = 500

_FULL_TEXT: Final = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%USING fts5%' ORDER BY name"
)


@dataclass
class Result:
    """What a maintenance did: each step that was taken, with what came of it; `failed` names the first that did not work."""

    started_at: datetime
    seconds: float = 0.0
    steps: dict[str, Any] = field(default_factory=dict)
    failed: str | None = None
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether every step came to its end."""
        return self.failed is None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "started_at": self.started_at.isoformat(),
            "seconds": round(self.seconds, 3),
            "ok": self.ok,
            "failed": self.failed,
            "error": self.error,
            "steps": self.steps,
        }


class Maintenance:
    """One run over a database; `stop` ends it within moments."""

    def __init__(self, database: Database, copies: Copies, *, now: datetime | None = None) -> None:
        self._database = database
        self._copies = copies
        self._now = now or datetime.now(UTC)
        self._bound = Bound(MAINTENANCE_S)

    def stop(self) -> None:
        """Ends it at its next look; may be called from any thread."""
        self._bound.stop()

    async def run(self) -> Result:
        """Takes every step; one that fails keeps none of the others from being taken, but a damaged file ends it."""
        result, began_s = Result(self._now), monotonic()
        steps: dict[str, Callable[[], Awaitable[Any]]] = {
            "check": self._check,
            "drop_old": lambda: drop_old(self._database, self._now.timestamp(), self._bound),
            "full_text": self._merge_full_text,
            "vacuum": self._vacuum,
            "optimize": self._optimize,
            "copy": self._copy,
        }
        for name, step in steps.items():
            try:
                self._bound.check()
                result.steps[name] = await step()
            except StateError as error:
                result.failed, result.error = result.failed or name, result.error or str(error)
                if isinstance(error, Corrupt | TooLong):
                    break
        result.seconds = monotonic() - began_s
        return result

    async def _check(self) -> str:
        try:
            await asyncio.to_thread(check_whole, self._database.path, self._bound)
        except Corrupt as error:
            await self._database.damaged(error)
            raise
        return "ok"

    async def _merge_full_text(self) -> dict[str, int]:
        """The steps that each full-text index took to become one segment."""
        taken = {}
        for row in await self._database.read(_FULL_TEXT):
            steps, pages = 1, -MERGE_PAGES
            while await self._database.maintain(partial(_merge, name=row["name"], pages=pages)):
                steps, pages = steps + 1, MERGE_PAGES
                self._bound.check()
            taken[row["name"]] = steps
        return taken

    async def _vacuum(self) -> dict[str, Any]:
        pages, free, page_bytes = [await self._figure(name) for name in ("page_count", "freelist_count", "page_size")]
        if free * page_bytes < FREE_BYTES or free < pages * FREE_SHARE:
            return {"freed_bytes": 0}
        # The new file lies in the temporary folder and in the log.
        await asyncio.to_thread(room_for, 2 * pages * page_bytes, self._database.path.parent)
        try:
            await self._database.maintain(_vacuum)
        except TooLong as error:  # the file stays as large as it is, which harms nobody
            return {"freed_bytes": 0, "given_up": str(error)}
        return {"freed_bytes": free * page_bytes}

    async def _figure(self, name: str) -> int:
        return int((await self._database.read(f"PRAGMA {name}"))[0][0])

    async def _optimize(self) -> str:
        await self._database.maintain(_optimize)
        return "ok"

    async def _copy(self) -> dict[str, Any]:
        return (await self.copy()).as_dict()

    async def copy(self) -> Copy:
        """A copy as it is now; raises StateError."""
        return await asyncio.to_thread(self._copies.make, self._database.path, self._now, self._bound)


def check_whole(path: Path, bound: Bound) -> None:
    """Checks every row, index and full-text index of a database in use; raises Corrupt, or TooLong. Blocks."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            connection.set_progress_handler(bound.is_over, STEPS_PER_LOOK)
            faults = faults_of(connection, "integrity_check")
    except sqlite3.Error as error:
        bound.check()
        raise state_error(path, error) or error from error
    if faults:
        raise Corrupt(f"The database {path} is damaged ({faults[0]})")


def _merge(writer: sqlite3.Connection, name: str, pages: int) -> bool:
    """Whether there is more to merge."""
    before = writer.total_changes
    table = '"' + name.replace('"', '""') + '"'
    writer.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)", (pages,))  # noqa: S608 - quoted
    # Less than two changes: nothing was merged, as SQLite's manual has it.
    return writer.total_changes - before >= 2


def _vacuum(writer: sqlite3.Connection) -> None:
    bound = Bound(VACUUM_S)
    writer.set_progress_handler(bound.is_over, STEPS_PER_LOOK)
    try:
        writer.execute("VACUUM")
    except sqlite3.OperationalError as error:
        bound.check()
        raise error from None
    finally:
        writer.set_progress_handler(None, 0)
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _optimize(writer: sqlite3.Connection) -> None:
    writer.execute(f"PRAGMA analysis_limit = {ANALYSIS_LIMIT}")
    # Every table, also those that were not queried since the start.
    writer.execute("PRAGMA optimize = 0x10002")
