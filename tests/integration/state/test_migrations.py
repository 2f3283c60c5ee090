"""A file of every schema that was released comes forward to the newest one with all of its rows."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
import shutil
import sqlite3
from typing import Any

import pytest

from custom_components.barnabeenet.state.copies import Copies
from custom_components.barnabeenet.state.database import Database, faults_of
from custom_components.barnabeenet.state.migrations import FOLDER, migrate, newest
from custom_components.barnabeenet.state.recovery import open_or_recover
from tests.integration.state.rows import fill

VERSIONS = range(1, newest() + 1)


def of_schema(path: Path, version: int, steps: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Makes a file as an earlier version of BarnabeeNet left it; returns its rows by table."""
    steps.mkdir()
    for step in FOLDER.glob("*.sql"):
        if int(step.name[:4]) <= version:
            shutil.copy(step, steps)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        migrate(connection, steps)
        fill(connection)
        return rows_of(connection)


def rows_of(connection: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Of every ordinary table."""
    listed = connection.execute("PRAGMA table_list").fetchall()
    tables = [row[1] for row in listed if row[2] == "table" and not row[1].startswith("sqlite_")]
    columns = {table: [row[1] for row in connection.execute(f"PRAGMA table_info('{table}')")] for table in tables}
    return {
        table: [tuple(zip(columns[table], row, strict=True)) for row in connection.execute(f"SELECT * FROM {table}")]
        for table in tables
    }


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_row_comes_forward(tmp_path: Path, version: int) -> None:
    path = tmp_path / "barnabeenet.db"
    before = of_schema(path, version, tmp_path / "steps")
    assert before
    assert all(before.values()), "every table of the fixture has rows"
    await (await Database.open(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (newest(),)
        assert faults_of(connection, "integrity_check") == []
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        after = rows_of(connection)
    for table, rows in before.items():
        assert len(after[table]) == len(rows)
        # What a row had it still has, whatever columns came to it.
        for old, new in zip(rows, after[table], strict=True):
            assert set(old) <= set(new)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_file_that_came_forward_is_like_a_new_one(tmp_path: Path, version: int) -> None:
    path, fresh = tmp_path / "barnabeenet.db", tmp_path / "fresh.db"
    of_schema(path, version, tmp_path / "steps")
    schemas = []
    for each in (path, fresh):
        await (await Database.open(each)).close()
        with closing(sqlite3.connect(each)) as connection:
            schemas.append(set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")))
    assert schemas[0] == schemas[1]


async def test_what_is_said_while_it_comes_forward_is_private(tmp_path: Path) -> None:
    path = tmp_path / "barnabeenet.db"
    of_schema(path, 4, tmp_path / "steps")
    with closing(sqlite3.connect(path)) as connection, connection:
        talks = [("over", "anna", 2.0, "asked"), ("on", "anna", None, None), ("a guest's", None, None, None)]
        for name, speaker, ended_at, reason in talks:
            row = (name, speaker, name, ended_at, reason)
            connection.execute("INSERT INTO sessions VALUES (?, 'kitchen', ?, 'command', ?, NULL, 1, 1, ?, ?)", row)
            turn = "INSERT INTO turns (session_id, thread, at, said, replied) VALUES (?, ?, 1, 'hello', 'hi')"
            connection.execute(turn, (name, name))
    database = await Database.open(path)
    found = await database.read("SELECT session_id FROM turns WHERE is_private AND said = 'hello'")
    await database.close()
    assert [row[0] for row in found] == ["on"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_copy_of_an_earlier_schema_is_restored_and_comes_forward(tmp_path: Path, version: int) -> None:
    """The update came after the last copy and before the damage."""
    path, copies = tmp_path / "barnabeenet.db", Copies(tmp_path / "copies")
    before = of_schema(path, version, tmp_path / "steps")
    copies.make(path, datetime(2026, 11, 20, tzinfo=UTC))
    path.write_bytes(b"gone")
    database, recovery = await open_or_recover(path, copies)
    assert recovery is not None
    assert recovery.restored is not None
    assert (await database.read("PRAGMA user_version"))[0][0] == newest()
    assert (await database.read("SELECT count(*) FROM sessions"))[0][0] == len(before["sessions"])
    await database.close()
