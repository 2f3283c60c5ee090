"""Ledger and budget on a real database: what was spent is known after a restart, at midnight and without the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
import sqlite3
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from custom_components.barnabeenet.state.budget import BudgetLimits, Level, Reason
from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.errors import Conflict, Unavailable
from custom_components.barnabeenet.state.money import PaidCall
from custom_components.barnabeenet.state.outbox import Outbox
from custom_components.barnabeenet.state.purse import Purse

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 20, 11, tzinfo=UTC)


class Moody:
    """A database that can be away; what it is given while it is there it writes for real."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.error: Exception | None = None
        self.writes = 0
        self.wrote = asyncio.Event()
        self.gate: asyncio.Event | None = None

    async def write(self, *statements: tuple[str, Sequence[Any]]) -> None:
        self.writes += 1
        self.wrote.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        await self.database.write(*statements)

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        return await self.database.read(sql, parameters)


class Home:
    """Home Assistant with a purse, to be started again."""

    def __init__(self, database: Database, limits: BudgetLimits | None = None) -> None:
        self.database = Moody(database)
        self.limits = limits
        self.now = NOON
        self.zone = BERLIN
        self.purse: Purse = None  # type: ignore[assignment]

    async def start(self) -> Purse:
        self.purse = await Purse.open(
            self.database,  # type: ignore[arg-type]
            self.limits,
            zone=lambda: self.zone,
            now=lambda: self.now,
        )
        return self.purse

    async def restart(self) -> Purse:
        await self.purse.close()
        return await self.start()

    async def rows(self, columns: str = "*") -> list[tuple[Any, ...]]:
        await self.purse.outbox.flush()
        return [tuple(row) for row in await self.database.read(f"SELECT {columns} FROM calls ORDER BY number")]


@pytest.fixture
async def home(database: Database) -> AsyncIterator[Home]:
    home = Home(database)
    await home.start()
    yield home
    home.database.error, home.database.gate = None, None
    await home.purse.close()


def call(usd: float | None = 0.01, **changes: Any) -> PaidCall:
    usual = PaidCall(
        provider="Vendor",
        model="small-1",
        tier="cloud_fast",
        agent="interaction",
        outcome="answered",
        trace_id="t1",
        speaker="anna",
        session_id="s1",
        latency_ms=812.4,
        prompt_tokens=2000,
        cached_tokens=1500,
        completion_tokens=60,
        cost_usd=usd,
        cost_source="provider",
    )
    return replace(usual, **changes)


# The ledger


async def test_everything_about_a_call_is_kept(home: Home) -> None:
    entry = home.purse.record(call(0.00123))
    assert await home.rows() == [
        (
            *(1, entry.id, int(NOON.timestamp() * 1000), "2026-11-20", "Vendor", "small-1", "cloud_fast"),
            *("interaction", "anna", "s1", "t1", "answered", 812, 2000, 1500, 60, 1230, "provider"),
        )
    ]


async def test_the_day_is_the_homes(home: Home) -> None:
    home.now = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    home.purse.record(call())
    home.zone = ZoneInfo("America/New_York")
    home.purse.record(call())
    assert await home.rows("local_day") == [("2026-11-21",), ("2026-11-20",)]


async def test_what_a_vendor_says_cannot_break_the_ledger(home: Home) -> None:
    home.purse.record(call(float("nan"), prompt_tokens=10**40, cached_tokens=10**50, completion_tokens=-3))
    home.purse.record(call(1e300, model="x" * 10_000, outcome="\ud83d'; DROP TABLE calls; --", speaker=None))
    rows = await home.rows("prompt_tokens, cached_tokens, completion_tokens, cost_source, length(model), speaker")
    assert rows == [(10**9, 10**9, 0, "estimate", 7, "anna"), (2000, 1500, 60, "estimate", 200, None)]
    assert home.purse.outbox.lost == 0


async def test_a_later_figure_replaces_the_estimate(home: Home) -> None:
    entry = home.purse.record(call(None, cost_source="unknown"))
    assert entry.cost_micro_usd == 2000 * 3 + 100 * 15
    corrected = home.purse.correct(entry, 0.0021)
    corrected = home.purse.correct(corrected, "0.0020")
    assert await home.rows("cost_micro_usd, cost_source") == [(2000, "provider")]
    assert home.purse.budget.status().day == 2000
    with pytest.raises(ValueError, match="no amount of money"):
        home.purse.correct(corrected, "much")


async def test_sums_are_exact(home: Home) -> None:
    """A tenth of a dollar ten times is not a dollar in binary fractions."""
    for _ in range(10):
        home.purse.record(call(0.1))
    assert home.purse.budget.status().day == 1_000_000
    assert await home.rows("SUM(cost_micro_usd)") == [(1_000_000,)]


# While the database is away


async def test_a_turn_does_not_wait_for_the_disk(home: Home) -> None:
    home.database.gate = asyncio.Event()
    home.purse.record(call())
    await home.database.wrote.wait()
    for _ in range(50):
        home.purse.record(call())
    assert home.purse.budget.status().day == 51 * 10_000
    home.database.gate.set()
    assert len(await home.rows()) == 51
    # The fifty that waited were one transaction (and the level's change with them).
    assert home.database.writes == 2


async def test_what_could_not_be_written_is_written_later_and_once(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.database.error = Unavailable("The disk is full")
    home.purse.record(call())
    await home.database.wrote.wait()
    home.purse.record(call())
    await home.purse.outbox.flush()
    assert len(home.purse.outbox) == 2
    assert str(home.purse.outbox.error) == "The disk is full"
    home.database.error = None
    home.purse.record(call())
    assert len(await home.rows()) == 3
    assert home.purse.outbox.error is None
    assert caplog.messages.count("What was spent is kept in memory for now: The disk is full") == 1


async def test_an_entry_that_was_written_without_our_knowing_counts_once(home: Home, database: Database) -> None:
    home.database.gate = asyncio.Event()
    home.purse.record(call())
    (statement,) = home.purse.outbox._waiting
    await database.write(statement)
    home.database.gate.set()
    assert len(await home.rows()) == 1


async def test_what_waits_is_bounded_and_what_is_lost_is_counted(database: Database) -> None:
    moody = Moody(database)
    moody.error = Unavailable("The disk is full")
    outbox = Outbox(moody, kept=10)  # type: ignore[arg-type]
    for number in range(25):
        outbox.post("INSERT INTO nothing VALUES (?)", (number,))
    await moody.wrote.wait()
    await outbox.flush()
    assert len(outbox) == 10
    assert outbox.lost == 15
    assert [parameters for _, parameters in outbox._waiting] == [(number,) for number in range(15, 25)]
    await outbox.close()
    assert outbox.lost == 25
    outbox.post("INSERT INTO nothing VALUES (0)", ())
    assert outbox.lost == 26


async def test_one_refused_row_does_not_take_the_others_with_it(home: Home) -> None:
    home.database.gate = asyncio.Event()
    home.purse.record(call())
    for wrong in ("(2, 'mauve', 0, 0, 0, 0, 0)", "(1, 'green', 0, 0, 0, 0)", f"(1, '{chr(0xD83D)}', 0, 0, 0, 0, 0)"):
        home.purse.outbox.post(f"INSERT INTO budget VALUES {wrong}", ())
    home.purse.record(call())
    home.database.gate.set()
    assert len(await home.rows()) == 2
    assert home.purse.outbox.lost == 3
    with pytest.raises(Conflict):
        await home.database.write(("INSERT INTO budget VALUES (2, 'green', 0, 0, 0, 0, 0)", ()))


async def test_a_database_that_is_away_is_tried_again_by_itself(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custom_components.barnabeenet.state.outbox.FIRST_RETRY_S", 0.01)
    home.database.error = Unavailable("The disk is full")
    home.purse.record(call())
    await home.database.wrote.wait()
    home.database.error = None
    writer = home.purse.outbox._writer
    assert writer is not None
    await asyncio.wait_for(writer, 5)
    assert len(home.purse.outbox) == 0


async def test_close_writes_what_waits(home: Home, database: Database) -> None:
    home.purse.record(call())
    await home.purse.close()
    assert len(await database.read("SELECT * FROM calls")) == 1


# The budget on the ledger


async def test_at_81_percent_only_basic_commands_are_left_also_after_a_restart(home: Home) -> None:
    for _ in range(81):
        home.purse.record(call(0.01))
    for _ in range(2):
        budget = home.purse.budget
        assert budget.level is Level.RED
        assert budget.allows("cloud_fast", "interaction").reason is Reason.DAY_USED_UP
        assert budget.allows("local", "command").allowed
        assert budget.status().tiers == {"cloud_fast": 810_000}
        await home.restart()
    home.now = datetime(2026, 11, 20, 23, tzinfo=UTC)
    assert home.purse.budget.level is Level.GREEN
    await home.restart()
    assert home.purse.budget.level is Level.GREEN
    assert home.purse.budget.status().month == 810_000


async def test_a_restart_within_the_band_does_not_change_the_level(home: Home) -> None:
    entry = home.purse.record(call(0.81))
    home.purse.correct(entry, 0.77)
    await home.restart()
    assert home.purse.budget.level is Level.RED
    home.now += timedelta(days=1)
    await home.restart()
    assert home.purse.budget.level is Level.GREEN


async def test_the_switch_survives_a_restart(home: Home) -> None:
    home.purse.budget.local_only = True
    await home.restart()
    assert home.purse.budget.allows("cloud_fast", "command").reason is Reason.LOCAL_ONLY
    home.purse.budget.local_only = False
    await home.restart()
    assert home.purse.budget.allows("cloud_fast", "command").allowed


async def test_a_reset_counter_begins_at_nothing_also_after_a_restart(home: Home) -> None:
    entry = home.purse.record(call(0.9))
    home.now += timedelta(minutes=1)
    home.purse.budget.reset()
    home.purse.record(call(0.2))
    # What was spent before the reset is not counted, and so not given back either.
    home.purse.correct(entry, 0.1)
    for _ in range(2):
        status = home.purse.budget.status()
        assert (status.level, status.day, status.month) == (Level.GREEN, 200_000, 200_000)
        await home.restart()
    # The ledger forgets nothing.
    assert await home.rows("cost_micro_usd") == [(100_000,), (200_000,)]


async def test_in_the_months_last_minute_after_a_restart(home: Home) -> None:
    home.limits = BudgetLimits(month=2_000_000, day=100_000_000)
    home.now = datetime(2026, 10, 31, 22, 59, 30, tzinfo=UTC)  # October still, the clocks are back
    await home.restart()
    home.purse.record(call(2.0))
    await home.restart()
    assert home.purse.budget.allows("cloud_fast", "command").reason is Reason.MONTH_USED_UP
    home.now += timedelta(seconds=30)
    await home.restart()
    assert home.purse.budget.allows("cloud_fast", "command").allowed
    assert home.purse.budget.status().month == 0


async def test_every_day_of_a_month_counts_after_a_restart(home: Home) -> None:
    for day in range(1, 31):
        home.now = datetime.combine(date(2026, 11, day), datetime.min.time(), BERLIN).astimezone(UTC)
        home.purse.record(call(0.5))
    await home.restart()
    assert home.purse.budget.status().month == 15_000_000
    assert home.purse.budget.status().day == 500_000


async def test_the_database_that_holds_it_is_one_file(home: Home, tmp_path: Path) -> None:
    home.purse.record(call())
    await home.rows()
    with sqlite3.connect(home.database.database.path) as file:
        assert file.execute("SELECT COUNT(*) FROM calls").fetchone() == (1,)
    file.close()
