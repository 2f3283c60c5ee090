"""Copies of a database in use: consistent, packed, checked, few, and what is said when one cannot be made."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
import sqlite3
import stat
from types import SimpleNamespace

import pytest

from custom_components.barnabeenet.state import copies as copies_module, packing
from custom_components.barnabeenet.state.bound import Bound
from custom_components.barnabeenet.state.copies import Copies
from custom_components.barnabeenet.state.database import Database, faults_of
from custom_components.barnabeenet.state.errors import CopyFailed, Corrupt, StateError, Unavailable

NOW = datetime(2026, 11, 20, 3, 0, 0, 123456, UTC)
NEW_SESSION = (
    "INSERT INTO sessions (id, device_id, mode, thread, started_at, last_active) VALUES (?, ?, 'command', 't', 1, 1)"
)


def session(number: int) -> tuple[str, tuple[str, str]]:
    return NEW_SESSION, (f"{number:06}", "d" * 200)


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    return Copies(tmp_path / "copies")


def unpacked(copies: Copies, target: Path) -> set[str]:
    """The sessions of the newest copy."""
    copies.unpack(copies.list()[0], target)
    with closing(sqlite3.connect(target)) as connection:
        assert faults_of(connection, "integrity_check") == []
        return {row[0] for row in connection.execute("SELECT id FROM sessions")}


@pytest.mark.parametrize("with_zstd", [True, False])
async def test_a_copy_holds_what_was_written(
    database: Database, copies: Copies, tmp_path: Path, with_zstd: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_zstd:  # as on a Python that was built without it
        monkeypatch.setattr(packing, "zstd", None)
        monkeypatch.setattr(copies_module, "SUFFIX", packing.GZIP_SUFFIX)
    await database.write(*map(session, range(1000)))
    copy = copies.make(database.path, NOW)
    assert copy.path.name == f"barnabeenet-20261120T030000Z.db{'.zst' if with_zstd else '.gz'}"
    assert copies.list() == [copy]
    assert (copy.made_at, copy.size) == (NOW.replace(microsecond=0), copy.path.stat().st_size)
    assert copy.size < 1000 * 200 / 3
    assert len(unpacked(copies, tmp_path / "again.db")) == 1000


async def test_it_is_the_owners_alone_and_nothing_else_is_left_in_the_folder(
    database: Database, copies: Copies
) -> None:
    copies.folder.mkdir()
    (copies.folder / "copy.db.part").write_bytes(b"what an interrupted copy has left")
    copy = copies.make(database.path, NOW)
    assert stat.S_IMODE(copy.path.stat().st_mode) == 0o600
    assert list(copies.folder.iterdir()) == [copy.path]


async def test_the_newest_fourteen_are_kept(database: Database, copies: Copies) -> None:
    days = [NOW + timedelta(days=day) for day in range(17)]
    for day in days:
        copies.make(database.path, day)
    assert [copy.made_at for copy in copies.list()] == [day.replace(microsecond=0) for day in reversed(days[3:])]


async def test_what_is_no_copy_is_neither_listed_nor_removed(database: Database, copies: Copies) -> None:
    copies.folder.mkdir()
    names = ("notes.txt", "barnabeenet-20261120T030000Z.db", "barnabeenet-20269920T030000Z.db.zst", "x.db.zst")
    for name in names:
        (copies.folder / name).write_bytes(b"")
    (copies.folder / "barnabeenet-20261119T030000Z.db.gz").mkdir()
    for day in range(15):
        copies.make(database.path, NOW + timedelta(days=day))
    assert len(copies.list()) == 14
    assert all((copies.folder / name).exists() for name in names)


async def test_a_copy_under_load_is_one_moment_and_hinders_no_write(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    """Every write before it began is in it, and of later ones none without those before."""
    await database.write(*map(session, range(5000)))
    written, done = 5000, False

    async def write() -> None:
        nonlocal written
        while not done:
            await database.write(session(written))
            written += 1

    writing = asyncio.create_task(write())
    for number in range(3):
        before = written
        await asyncio.to_thread(copies.make, database.path, NOW + timedelta(days=number))
        after = written
        found = await asyncio.to_thread(unpacked, copies, tmp_path / f"{number}.db")
        assert before <= len(found) <= after + 1
        assert found == {f"{each:06}" for each in range(len(found))}
    done = True
    await writing
    assert written > 5003


# When it cannot be made


def failure(copies: Copies, database: Database, bound: Bound | None = None) -> StateError:
    with pytest.raises(StateError) as caught:
        copies.make(database.path, NOW, bound)
    assert copies.list() == []
    assert not copies.folder.is_dir() or not list(copies.folder.iterdir())
    return caught.value


async def test_one_that_takes_too_long_or_is_stopped_leaves_nothing(database: Database, copies: Copies) -> None:
    assert "It took longer than 0 seconds" in str(failure(copies, database, Bound(0)))
    bound = Bound(60)
    bound.stop()
    assert "It was stopped" in str(failure(copies, database, bound))


async def test_one_for_which_there_is_no_room_is_not_begun(
    database: Database, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
    error = failure(copies, database)
    assert isinstance(error, Unavailable)
    assert "has no room" in str(error)


async def test_a_folder_that_cannot_be_made_is_told(database: Database, tmp_path: Path) -> None:
    (tmp_path / "copies").write_text("a file in the way")
    with pytest.raises(Unavailable, match="cannot be written"):
        Copies(tmp_path / "copies").make(database.path, NOW)


async def test_a_packed_file_that_is_not_what_was_written_is_no_copy(
    database: Database, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a disk does that says it has written."""
    flush = packing._flush

    def forget(file: packing.IO[bytes], path: Path) -> None:
        flush(file, path)
        if path.name.endswith(".zst.part"):
            path.write_bytes(path.read_bytes()[:-100])

    monkeypatch.setattr(packing, "_flush", forget)
    assert isinstance(failure(copies, database), CopyFailed)


async def test_a_damaged_database_gives_no_copy_and_takes_no_older_one_away(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    await database.write(*map(session, range(2000)))
    await database.close()
    good = copies.make(database.path, NOW)
    damaged = bytearray(database.path.read_bytes())
    damaged[4096 * 20 : 4096 * 24] = b"\x5a" * 4096 * 4
    database.path.write_bytes(damaged)
    with pytest.raises((CopyFailed, Corrupt), match="damaged"):
        copies.make(database.path, NOW + timedelta(days=1))
    assert copies.list() == [good]


async def test_a_file_that_is_not_there_gives_no_copy(copies: Copies, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be"):
        copies.make(tmp_path / "nothing.db", NOW)
    assert not (tmp_path / "nothing.db").exists()


# Copies that are no good


@pytest.mark.parametrize("harm", ["cut", "changed", "other content", "empty", "of nothing"])
async def test_a_broken_copy_is_refused(database: Database, copies: Copies, tmp_path: Path, harm: str) -> None:
    await database.write(*map(session, range(1000)))
    path = copies.make(database.path, NOW).path
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    content = {
        "cut": path.read_bytes()[:-10],
        "changed": bytes(raw),
        "other content": b"this is no copy",
        "empty": b"",
        "of nothing": packing.zstd.compress(b""),
    }
    path.write_bytes(content[harm])
    with pytest.raises(CopyFailed):
        copies.unpack(copies.list()[0], tmp_path / "again.db")
    assert not (tmp_path / "again.db").exists()


async def test_a_copy_in_zstd_is_told_apart_from_a_bad_one_where_there_is_no_zstd(
    database: Database, copies: Copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies.make(database.path, NOW)
    monkeypatch.setattr(packing, "zstd", None)
    with pytest.raises(Unavailable, match="packed with zstd, which this Python does not have"):
        copies.unpack(copies.list()[0], tmp_path / "again.db")


async def test_a_copy_of_a_newer_schema_is_refused(database: Database, copies: Copies, tmp_path: Path) -> None:
    await database.maintain(lambda writer: writer.execute("PRAGMA user_version = 9999"))
    with pytest.raises(CopyFailed, match="schema 9999"):
        copies.make(database.path, NOW)


async def test_without_room_for_it_the_copy_is_not_called_bad(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    copies.make(database.path, NOW)
    with pytest.raises(Unavailable):
        copies.unpack(copies.list()[0], tmp_path / "no such folder" / "again.db")
