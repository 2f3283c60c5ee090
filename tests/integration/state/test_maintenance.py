"""The nightly care: what goes, what stays, what is found, and what it says when a step fails."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from custom_components.barnabeenet.state import maintenance as maintenance_module, packing, retention
from custom_components.barnabeenet.state.bound import Bound
from custom_components.barnabeenet.state.copies import Copies
from custom_components.barnabeenet.state.database import Database, Statement, suspicion
from custom_components.barnabeenet.state.errors import CopyFailed, Corrupt, TooLong
from custom_components.barnabeenet.state.maintenance import Maintenance, Result, check_whole
from custom_components.barnabeenet.state.retention import drop_old

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
SESSION = (
    "INSERT INTO sessions (id, device_id, mode, thread, started_at, last_active, ended_at, end_reason)"
    " VALUES (?, 'd', 'command', 't', ?, ?, ?, ?)"
)
TURN = "INSERT INTO turns (session_id, thread, at, said, replied) VALUES (?, 't', ?, 'hello', 'hi')"
CALL = """
INSERT INTO calls VALUES (NULL, ?, ?, '2026-01-01', 'p', 'm', 'local', 'a', NULL, NULL, 't', 'answered', 1, 1, 0, 1, 0, 'free')
"""


def ago(days: float) -> float:
    return (NOW - timedelta(days=days)).timestamp()


def talk(name: str, days: float, *, ended: bool = True, turns: int = 2) -> list[Statement]:
    at = ago(days)
    return [
        (SESSION, (name, at, at, at if ended else None, "expired" if ended else None)),
        *[(TURN, (name, at))] * turns,
    ]


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    return Copies(tmp_path / "copies")


@pytest.fixture
def maintenance(database: Database, copies: Copies) -> Maintenance:
    return Maintenance(database, copies, now=NOW)


async def column(database: Database, sql: str) -> list[object]:
    return [row[0] for row in await database.read(sql)]


async def full_text(database: Database, name: str = "notes") -> None:
    """A full-text table as many small writes leave it."""
    await database.write((f"CREATE VIRTUAL TABLE {name} USING fts5(text)", ()))
    await database.write((f"INSERT INTO {name}({name}, rank) VALUES ('automerge', 0)", ()))
    for number in range(40):
        await database.write((f"INSERT INTO {name} VALUES (?)", (f"remember number {number}",)))


async def test_all_is_done_and_told(database: Database, copies: Copies, maintenance: Maintenance) -> None:
    await full_text(database)
    await database.write(*talk("old", 91), *talk("new", 1))
    result = await maintenance.run()
    assert (result.ok, result.failed, result.error) == (True, None, None)
    (copy,) = copies.list()
    told = result.as_dict()
    assert told["started_at"] == NOW.isoformat()
    steps = told["steps"]
    assert list(steps) == ["check", "drop_old", "full_text", "vacuum", "optimize", "copy"]
    assert steps["check"] == steps["optimize"] == "ok"
    assert steps["drop_old"] == {"calls": 0, "sessions": 1}
    assert steps["full_text"]["notes"] > 1
    assert steps["vacuum"] == {"freed_bytes": 0}
    assert steps["copy"] == copy.as_dict()


# What is kept for how long


async def test_ended_sessions_go_with_their_turns_and_live_ones_stay(database: Database) -> None:
    await database.write(*talk("old", 90.1), *talk("young", 89.9), *talk("alive", 400, ended=False))
    assert (await drop_old(database, NOW.timestamp(), Bound(60)))["sessions"] == 1
    assert await column(database, "SELECT id FROM sessions ORDER BY id") == ["alive", "young"]
    assert await column(database, "SELECT DISTINCT session_id FROM turns ORDER BY 1") == ["alive", "young"]


async def test_calls_go_by_their_milliseconds(database: Database) -> None:
    await database.write((CALL, ("old", int(ago(90.1) * 1000))), (CALL, ("young", int(ago(89.9) * 1000))))
    assert (await drop_old(database, NOW.timestamp(), Bound(60)))["calls"] == 1
    assert await column(database, "SELECT id FROM calls") == ["young"]


@pytest.mark.parametrize(("name", "per_second"), [("at", 1), ("at_ms", 1000)])
async def test_wake_events_go_after_a_month_when_there_are_any(database: Database, name: str, per_second: int) -> None:
    await database.write((f"CREATE TABLE wake_events (id INTEGER PRIMARY KEY, {name} REAL NOT NULL)", ()))
    for days in (30.1, 29.9):
        await database.write((f"INSERT INTO wake_events ({name}) VALUES (?)", (ago(days) * per_second,)))
    assert (await drop_old(database, NOW.timestamp(), Bound(60)))["wake_events"] == 1
    assert await column(database, "SELECT id FROM wake_events") == [2]


async def test_many_rows_go_in_steps_between_which_others_write(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.write(*[(CALL, (f"{number}", 1)) for number in range(2_200)])
    steps: list[int] = []
    step = retention._step

    def counted(*args: object, **rest: object) -> int:
        steps.append(step(*args, **rest))  # type: ignore[arg-type]
        return steps[-1]

    monkeypatch.setattr(retention, "_step", counted)
    dropping = asyncio.create_task(drop_old(database, NOW.timestamp(), Bound(60)))
    while not steps:
        await asyncio.sleep(0)
    await database.write(*talk("meanwhile", 0))
    assert not dropping.done()
    assert await dropping == {"calls": 2_200, "sessions": 0}
    assert steps == [500, 500, 500, 500, 200, 0, 0]


async def test_it_ends_between_two_steps_when_told_to(database: Database) -> None:
    await database.write(*[(CALL, (f"{number}", 1)) for number in range(1_200)])
    with pytest.raises(TooLong):
        await drop_old(database, NOW.timestamp(), Bound(0))
    assert await column(database, "SELECT count(*) FROM calls") == [700]


# Tidying up


async def test_every_full_text_index_becomes_one_segment(database: Database, maintenance: Maintenance) -> None:
    await full_text(database, "one")
    await full_text(database, "the_other")
    segments = "SELECT count(DISTINCT segid) FROM one_idx"
    assert (await column(database, segments))[0] > 5  # type: ignore[operator]
    result = await maintenance.run()
    assert {"one", "the_other"} <= result.steps["full_text"].keys()
    assert await column(database, segments) == [1]
    assert await column(database, "SELECT text FROM one WHERE one MATCH 'number 7'") == ["remember number 7"]


async def test_the_file_is_made_smaller_when_that_pays(database: Database, maintenance: Maintenance) -> None:
    await database.write(*(talk(f"{number:05}" * 40, 100, turns=0)[0] for number in range(8_000)))
    await database.write(*talk("kept", 1))
    await database.maintain(lambda writer: writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
    before = database.path.stat().st_size
    result = await maintenance.run()
    assert result.steps["vacuum"]["freed_bytes"] > 2_000_000
    assert database.path.stat().st_size < before / 10
    assert await column(database, "SELECT id FROM sessions") == ["kept"]


async def test_a_vacuum_that_takes_too_long_is_given_up_and_no_failure(
    database: Database, maintenance: Maintenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance_module, "FREE_BYTES", 0)
    monkeypatch.setattr(maintenance_module, "FREE_SHARE", 0.0)
    monkeypatch.setattr(maintenance_module, "VACUUM_S", 0.0)
    monkeypatch.setattr(maintenance_module, "STEPS_PER_LOOK", 1)
    await database.write(*(talk(f"{number}", 1)[0] for number in range(100)))
    result = await maintenance.run()
    assert result.ok
    assert "took longer than 0 seconds" in result.steps["vacuum"]["given_up"]
    await database.write(*talk("after", 0))


async def test_the_planner_knows_the_tables(database: Database, maintenance: Maintenance) -> None:
    await database.write(*(talk(f"{number}", 1)[0] for number in range(300)))
    await maintenance.run()
    assert "sessions" in await column(database, "SELECT tbl FROM sqlite_stat1")


# What goes wrong


async def test_damage_ends_it_before_anything_is_touched_and_is_told(
    database: Database, copies: Copies, maintenance: Maintenance
) -> None:
    await full_text(database)
    await database.write(("UPDATE notes_data SET block = zeroblob(length(block)) WHERE id > 1000000", ()))
    told: list[object] = []
    database.subscribe(lambda: told.append(database.error))
    result = await maintenance.run()
    assert (result.ok, result.failed, result.steps) == (False, "check", {})
    assert "fts5" in (result.error or "")
    assert isinstance(told[0], Corrupt)
    assert suspicion(database.path).exists()
    assert copies.list() == []


async def test_a_step_that_fails_keeps_no_other_from_being_taken(
    database: Database, maintenance: Maintenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: object) -> None:
        raise CopyFailed("the optimizer is tired")

    monkeypatch.setattr(maintenance_module, "_optimize", fails)
    result = await maintenance.run()
    assert (result.failed, result.error) == ("optimize", "the optimizer is tired")
    assert list(result.steps) == ["check", "drop_old", "full_text", "vacuum", "copy"]


async def test_no_room_is_a_failure_of_the_copy_alone(
    database: Database, copies: Copies, maintenance: Maintenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    result = await maintenance.run()
    assert result.failed == "copy"
    assert "has no room" in (result.error or "")
    assert copies.list() == []


async def test_one_that_is_stopped_ends_at_once(maintenance: Maintenance, copies: Copies) -> None:
    maintenance.stop()
    result = await maintenance.run()
    assert (result.failed, result.error, result.steps) == ("check", "It was stopped", {})
    assert copies.list() == []


async def test_a_check_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance_module, "STEPS_PER_LOOK", 1)
    with pytest.raises(TooLong):
        await asyncio.to_thread(check_whole, database.path, Bound(0))


def test_a_result_is_whole_without_having_run() -> None:
    assert Result(NOW).as_dict()["steps"] == {}
