"""Every call of a language model: for whom, how much, and who says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Final, NamedTuple, cast
from uuid import uuid4

from .database import Database
from .money import CostSource, PaidCall, Tier, call_micro_usd, counted, priced, short
from .outbox import Outbox

# Every zone's midnight falls on the beginning of a quarter of an hour in UTC, so sums by quarters serve every zone.
QUARTER_MS: Final = 15 * 60 * 1000

_INSERT: Final = """
INSERT OR IGNORE INTO calls (
    id, at_ms, local_day, provider, model, tier, agent, speaker, session_id, trace_id, outcome, latency_ms,
    prompt_tokens, cached_tokens, completion_tokens, cost_micro_usd, cost_source
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_CORRECT: Final = "UPDATE calls SET cost_micro_usd = ?, cost_source = 'provider' WHERE id = ?"
_SPENT: Final = f"""
SELECT at_ms / {QUARTER_MS} AS quarter, tier, provider, SUM(cost_micro_usd) AS micro FROM calls
WHERE at_ms >= ? GROUP BY quarter, tier, provider HAVING micro > 0
"""  # noqa: S608 - a number of ours


@dataclass(frozen=True, slots=True)
class Entry:
    """A call as it was counted."""

    id: str
    at: datetime
    tier: Tier
    provider: str
    cost_micro_usd: int
    cost_source: CostSource


class Spent(NamedTuple):
    """What a tier of a provider cost in one quarter of an hour, counted from 1970 (UTC)."""

    quarter: int
    tier: Tier
    provider: str
    micro: int


class Ledger:
    """Writes in the background; `now` and `zone` (the home's) may change under it."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        *,
        zone: Callable[[], tzinfo],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.database = database
        self.zone = zone
        self.now = now
        self._outbox = outbox

    def record(self, call: PaidCall) -> Entry:
        """Counts a call at once and writes it later; never waits and never raises for what a vendor said."""
        now = self.now()
        micro, source = priced(call)
        entry = Entry(uuid4().hex, now, call.tier, short(call.provider), micro, source)
        prompt_tokens = counted(call.prompt_tokens)
        row = (
            *(entry.id, at_ms(now), now.astimezone(self.zone()).date().isoformat()),
            *(entry.provider, short(call.model), call.tier, short(call.agent)),
            *(call.speaker and short(call.speaker), call.session_id and short(call.session_id), short(call.trace_id)),
            *(short(call.outcome), counted(round(call.latency_ms))),
            *(prompt_tokens, min(counted(call.cached_tokens), prompt_tokens), counted(call.completion_tokens)),
            *(micro, source),
        )
        self._outbox.post(_INSERT, row)
        return entry

    def correct(self, entry: Entry, cost_usd: Decimal | float | str) -> Entry:
        """Puts the provider's own, later figure in the place of an entry's; raises ValueError when it cannot be one."""
        corrected = replace(entry, cost_micro_usd=call_micro_usd(cost_usd), cost_source="provider")
        self._outbox.post(_CORRECT, (corrected.cost_micro_usd, entry.id))
        return corrected

    async def flush(self) -> None:
        """Returns when all that was recorded has been written, or once the database has failed."""
        await self._outbox.flush()

    async def spent_since(self, since: datetime) -> list[Spent]:
        """What has been written since then; raises StateError."""
        return [
            Spent(row["quarter"], cast(Tier, row["tier"]), row["provider"], row["micro"])
            for row in await self.database.read(_SPENT, (at_ms(since),))
        ]


def at_ms(moment: datetime) -> int:
    """Milliseconds since 1970 (UTC)."""
    return int(moment.timestamp() * 1000)
