"""The embedded database on real files: what it promises, and what it says when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
import contextlib
from contextlib import closing, contextmanager
import os
from pathlib import Path
import sqlite3
import threading
import time

import pytest

from custom_components.barnabeenet.state import database as database_module, migrations
from custom_components.barnabeenet.state.database import Database, suspicion
from custom_components.barnabeenet.state.errors import CannotOpen, Conflict, Corrupt, StateError, TooNew, Unavailable

ROOT = Path(__file__).resolve().parents[3]
NEW_SESSION = (
    "INSERT INTO sessions (id, device_id, mode, thread, started_at, last_active) VALUES (?, 'd', ?, 't', 1, 1)"
)
NEW_TURN = "INSERT INTO turns (session_id, thread, at, said, replied) VALUES (?, 't', 1, 'hello', 'hi')"


def session(name: str, mode: str = "command") -> tuple[str, tuple[str, str]]:
    return NEW_SESSION, (name, mode)


async def names(database: Database) -> list[str]:
    return [row["id"] for row in await database.read("SELECT id FROM sessions ORDER BY id")]


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Another program in the middle of a write."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_the_folder_is_made_and_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there" / "barnabeenet.db"
    database = await Database.open(path)
    await database.write(session("a"))
    assert path.stat().st_mode & 0o077 == 0
    assert path.with_name(path.name + "-wal").stat().st_mode & 0o077 == 0
    await database.close()


async def test_what_was_written_is_there_after_reopening_and_no_log_is_left(tmp_path: Path) -> None:
    path = tmp_path / "barnabeenet.db"
    database = await Database.open(path)
    await database.write(session("a"), session("b"))
    await database.close()
    assert [file.name for file in tmp_path.iterdir()] == ["barnabeenet.db"]
    database = await Database.open(path)
    assert await names(database) == ["a", "b"]
    await database.close()


async def test_it_is_in_wal_mode_and_waits_for_the_disk(database: Database) -> None:
    connection = database._connections[0]

    def pragma(name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert (pragma("journal_mode"), pragma("synchronous"), pragma("foreign_keys")) == ("wal", 2, 1)
    assert pragma("busy_timeout") == 5000


async def test_a_write_is_whole_or_not_at_all(database: Database) -> None:
    with pytest.raises(Conflict):
        await database.write(session("a"), session("b", mode="no such mode"))
    assert await names(database) == []
    await database.write(session("c"))
    assert await names(database) == ["c"]


async def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(Conflict, match="FOREIGN KEY"):
        await database.write((NEW_TURN, ("nobody",)))
    await database.write(session("a"), (NEW_TURN, ("a",)))
    await database.write(("DELETE FROM sessions WHERE id = ?", ("a",)))
    assert await database.read("SELECT * FROM turns") == []


async def test_a_wrong_statement_is_a_bug_and_no_failure_of_the_store(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.write(("INSERT INTO nowhere VALUES (1)", ()))
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.read("SELECT * FROM nowhere")
    await database.write(session("a"))


async def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises(Unavailable):
        await database.read(*session("a"))
    assert await names(database) == []


async def test_reads_go_on_beside_a_write_that_waits(database: Database) -> None:
    with lock(database.path):
        writing = asyncio.create_task(database.write(session("a")))
        await asyncio.sleep(0)
        assert await asyncio.gather(*(names(database) for _ in range(20))) == [[]] * 20
        assert not writing.done()
    await writing
    assert await names(database) == ["a"]


async def test_a_lock_that_is_not_let_go_is_unavailable_and_the_next_write_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_S", 0.05)
    database = await Database.open(tmp_path / "barnabeenet.db")
    with lock(database.path), pytest.raises(Unavailable, match="another program holds its lock"):
        await database.write(session("a"))
    await database.write(session("b"))
    assert await names(database) == ["b"]
    await database.close()


async def test_a_full_disk_is_unavailable_and_writing_goes_on_when_there_is_room(database: Database) -> None:
    (pages,) = database._connections[0].execute("PRAGMA page_count").fetchone()
    database._connections[0].execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable, match="the disk is full: make room"):
        await database.write(session("a" * 100_000))
    assert await names(database) == []
    database._connections[0].execute("PRAGMA max_page_count = 1000000")
    await database.write(session("b"))
    assert await names(database) == ["b"]


async def test_it_works_while_the_event_loop_is_busy(database: Database) -> None:
    """A transaction needs no turn of the loop between its statements: one blocked turn, and it is all there."""
    writing = asyncio.create_task(database.write(*(session(f"{number:02}") for number in range(50))))
    await asyncio.sleep(0)
    with closing(sqlite3.connect(database.path)) as other:
        deadline = time.monotonic() + 10
        while other.execute("SELECT count(*) FROM sessions").fetchone() != (50,):
            assert time.monotonic() < deadline
    await writing


async def test_a_cancelled_caller_leaves_no_transaction_open(database: Database) -> None:
    for number in range(50):
        task = asyncio.create_task(database.write(session(f"cancelled {number}")))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    await database.write(session("kept"))
    assert "kept" in await names(database)


async def test_everything_asked_for_is_written_before_it_closes(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "barnabeenet.db")
    writes = [asyncio.create_task(database.write(session(f"{number:02}"))) for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.gather(database.close(), database.close())
    await asyncio.gather(*writes)
    database = await Database.open(tmp_path / "barnabeenet.db")
    assert len(await names(database)) == 20
    await database.close()


async def test_closed_it_says_so_and_no_thread_is_left(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    database = await Database.open(tmp_path / "barnabeenet.db")
    await names(database)
    await database.close()
    with pytest.raises(Unavailable, match="closed"):
        await database.write(session("a"))
    with pytest.raises(Unavailable, match="closed"):
        await names(database)
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not any("database" in name for name in left)


# Files it cannot use


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "barnabeenet.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 9999")
    with pytest.raises(TooNew, match=r"schema 9999.*update BarnabeeNet"):
        await Database.open(path)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


@pytest.mark.parametrize("content", [b"this is no database " * 300, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "barnabeenet.db"
    path.write_bytes(content)
    with pytest.raises(Corrupt, match=r"barnabeenet\.db is damaged"):
        await Database.open(path)
    assert path.read_bytes() == content


def damage(path: Path) -> None:
    """Overwrites all pages but the first ones."""
    damaged = bytearray(path.read_bytes())
    # The schema, which comes first, can still be read.
    half = len(damaged) // 2
    damaged[half:] = b"\x5a" * len(damaged[half:])
    path.write_bytes(damaged)


async def large(path: Path) -> Database:
    database = await Database.open(path)
    await database.write(*(session(f"{number:05}" * 50) for number in range(500)))
    return database


async def test_damaged_pages_are_found_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "barnabeenet.db"
    await (await large(path)).close()
    damage(path)
    with pytest.raises(Corrupt, match=r"is damaged \(Tree") as caught:
        await Database.open(path)
    assert len(str(caught.value)) < 300


async def test_a_check_that_takes_too_long_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "barnabeenet.db"
    await (await large(path)).close()
    monkeypatch.setattr(database_module, "CHECK_S", 0.0)
    monkeypatch.setattr(database_module, "STEPS_PER_LOOK", 1)
    database = await Database.open(path)
    assert "is used unchecked: It took longer than 0 seconds" in caplog.text
    assert len(await names(database)) == 500
    await database.close()


async def test_damage_met_while_it_runs_is_told_and_remembered_for_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "barnabeenet.db"
    await (await large(path)).close()
    database = await Database.open(path)
    told: list[StateError | None] = []
    stop = database.subscribe(lambda: told.append(database.error))
    damage(path)
    with pytest.raises(Corrupt):
        await names(database)
    assert [type(error) for error in told] == [Corrupt]
    assert suspicion(path).exists()
    with contextlib.suppress(StateError):
        await database.write(session("a"))
    assert isinstance(database.error, Corrupt)  # a write that succeeds mends nothing
    stop()
    await database.close()


async def test_a_suspect_file_is_checked_as_a_whole_and_cleared_when_it_is_well(tmp_path: Path) -> None:
    """An index that lacks a row is nothing that the quick check finds."""
    path = tmp_path / "barnabeenet.db"
    database = await Database.open(path)
    await database.write(session("a"))
    await database.close()
    suspicion(path).touch()
    await (await Database.open(path)).close()
    assert not suspicion(path).exists()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute(
            "UPDATE sqlite_master SET sql = replace(sql, '(speaker', '(device_id') WHERE name = 'sessions_of_speaker'"
        )
        other.commit()
    await (await Database.open(path)).close()
    suspicion(path).touch()
    with pytest.raises(Corrupt, match="sessions_of_speaker"):
        await Database.open(path)


async def test_writes_that_fail_are_told_once_and_taken_back_by_the_first_that_succeeds(database: Database) -> None:
    told: list[str] = []
    database.subscribe(lambda: told.append(type(database.error).__name__))
    (pages,) = database._connections[0].execute("PRAGMA page_count").fetchone()
    database._connections[0].execute(f"PRAGMA max_page_count = {pages}")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await database.write(session("a" * 100_000))
    database._connections[0].execute("PRAGMA max_page_count = 1000000")
    await database.write(session("b"))
    with pytest.raises(Conflict):
        await database.write(session("b"))
    assert told == ["Unavailable", "NoneType"]


async def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotOpen, match="check that its folder exists"):
        await Database.open(tmp_path)


async def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(CannotOpen, match="check that its folder exists"):
        await Database.open(tmp_path / "state" / "barnabeenet.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CannotOpen, match="may be written"):
        await Database.open(tmp_path / "state" / "barnabeenet.db")


def test_every_error_is_a_state_error() -> None:
    assert all(issubclass(kind, StateError) for kind in (CannotOpen, TooNew, Corrupt, Unavailable, Conflict))


# Migrations


def test_the_steps_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(path.name[:4]) for path in migrations.FOLDER.glob("*.sql"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_each_step_is_taken_once_and_a_failing_one_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "0001_one.sql").write_text("CREATE TABLE one (a);")
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
        migrations.migrate(connection, tmp_path)
        migrations.migrate(connection, tmp_path)
        (tmp_path / "0002_two.sql").write_text("CREATE TABLE two (a); INSERT INTO two VALUES (1); broken;")
        with pytest.raises(sqlite3.OperationalError, match="broken"):
            migrations.migrate(connection, tmp_path)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("one",)]
        (tmp_path / "0002_two.sql").write_text("CREATE TABLE two (a); INSERT INTO two SELECT 1;")
        migrations.migrate(connection, tmp_path)
        assert connection.execute("SELECT a FROM two").fetchall() == [(1,)]
