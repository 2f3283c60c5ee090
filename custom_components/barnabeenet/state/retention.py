"""What is kept for how long: rows that are too old go, a few at a time so that no write waits long for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
import sqlite3
from typing import Final

from .bound import Bound
from .database import Database

DAY_S: Final = 24 * 3600
ROWS_PER_STEP: Final = 500


@dataclass(frozen=True)
class Rule:
    """Rows of a table go when `column` (a moment since 1970, `per_second` of it a second) is so many days ago.

    A column that is NULL keeps its row. A table that is not there, or has not that column, is left out.
    """

    table: str
    column: str
    days: int
    per_second: int = 1
    # A row of some takes many of another table with it.
    rows_per_step: int = ROWS_PER_STEP


RULES: Final = (
    Rule("calls", "at_ms", 90, per_second=1000),
    # With their turns.
    Rule("sessions", "ended_at", 90, rows_per_step=20),
    Rule("wake_events", "at", 30),
    Rule("wake_events", "at_ms", 30, per_second=1000),
)


async def drop_old(database: Database, now_s: float, bound: Bound) -> dict[str, int]:
    """How many rows of each table have gone; raises StateError, and what has gone by then stays so."""
    dropped: dict[str, int] = {}
    for rule in RULES:
        if not await database.read("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", (rule.table, rule.column)):
            continue
        before = (now_s - rule.days * DAY_S) * rule.per_second
        dropped[rule.table] = 0
        while count := await database.maintain(partial(_step, rule=rule, before=before)):
            dropped[rule.table] += count
            bound.check()
    return dropped


def _step(writer: sqlite3.Connection, rule: Rule, before: float) -> int:
    """One statement is one transaction."""
    chosen = f"SELECT rowid FROM {rule.table} WHERE {rule.column} < ? LIMIT {rule.rows_per_step}"  # noqa: S608 - ours
    return writer.execute(f"DELETE FROM {rule.table} WHERE rowid IN ({chosen})", (before,)).rowcount  # noqa: S608
