"""The home's money in one place: what is recorded counts against the budget at once and is in the ledger soon after."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Final

from .budget import KEPT, Budget, BudgetLimits, Level, Saved
from .database import Database
from .ledger import Entry, Ledger, at_ms
from .money import PaidCall
from .outbox import Outbox

_SAVE: Final = """
INSERT OR REPLACE INTO budget (
    only_row, day_level, day_ends_ms, month_over, month_ends_ms, local_only, counted_from_ms
) VALUES (1, ?, ?, ?, ?, ?, ?)
"""


class Purse:
    """Ledger and budget of one database; both clocks and the zone may change under it."""

    def __init__(self, ledger: Ledger, budget: Budget, outbox: Outbox) -> None:
        self.ledger = ledger
        self.budget = budget
        self.outbox = outbox
        self._unsubscribe = budget.subscribe(self._save)

    @classmethod
    async def open(
        cls,
        database: Database,
        limits: BudgetLimits | None = None,
        *,
        zone: Callable[[], tzinfo],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Purse:
        """Adds up what the ledger has of this month; raises StateError."""
        outbox = Outbox(database)
        ledger = Ledger(database, outbox, zone=zone, now=now)
        budget = Budget(limits, zone=zone, now=now)
        saved, since = await _saved(database), now() - KEPT
        budget.load(await ledger.spent_since(max(since, saved.counted_from) if saved else since), saved)
        return cls(ledger, budget, outbox)

    def record(self, call: PaidCall) -> Entry:
        """Counts a call; returns at once, whatever the database does."""
        entry = self.ledger.record(call)
        self.budget.spend(entry.at, entry.tier, entry.provider, entry.cost_micro_usd)
        return entry

    def correct(self, entry: Entry, cost_usd: Decimal | float | str) -> Entry:
        """Counts the provider's own, later figure instead; raises ValueError when it cannot be one."""
        corrected = self.ledger.correct(entry, cost_usd)
        self.budget.spend(entry.at, entry.tier, entry.provider, corrected.cost_micro_usd - entry.cost_micro_usd)
        return corrected

    async def close(self) -> None:
        """Writes what is not yet written; the database is closed by whoever opened it."""
        self._unsubscribe()
        await self.outbox.close()

    def _save(self) -> None:
        saved = self.budget.saved()
        self.outbox.post(
            _SAVE,
            (
                saved.day_level,
                at_ms(saved.day_ends),
                saved.month_over,
                at_ms(saved.month_ends),
                saved.local_only,
                at_ms(saved.counted_from),
            ),
        )


async def _saved(database: Database) -> Saved | None:
    rows = await database.read("SELECT * FROM budget")
    if not rows:
        return None
    row = rows[0]
    day_ends, month_ends, counted_from = (
        datetime.fromtimestamp(row[name] / 1000, UTC) for name in ("day_ends_ms", "month_ends_ms", "counted_from_ms")
    )
    level = Level(row["day_level"])
    return Saved(level, day_ends, bool(row["month_over"]), month_ends, bool(row["local_only"]), counted_from)
