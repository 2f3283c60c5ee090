"""A file that is damaged or gone: set aside with its log, the newest good copy in its place, nothing deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
import shutil
import sqlite3
from types import SimpleNamespace

import pytest

from custom_components.barnabeenet.state import packing, recovery as recovery_module
from custom_components.barnabeenet.state.copies import Copies
from custom_components.barnabeenet.state.database import Database, suspicion
from custom_components.barnabeenet.state.errors import CannotOpen, TooNew
from custom_components.barnabeenet.state.recovery import Recovery, open_or_recover

NOW = datetime(2026, 11, 19, 3, 0, tzinfo=UTC)
NEW_SESSION = (
    "INSERT INTO sessions (id, device_id, mode, thread, started_at, last_active) VALUES (?, ?, 'command', 't', 1, 1)"
)


def sessions(first: int, last: int) -> list[tuple[str, tuple[str, str]]]:
    return [(NEW_SESSION, (f"{number:05}", "d" * 300)) for number in range(first, last)]


def overwrite_pages(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[4096 * 8 : 4096 * 40] = b"\x5a" * 4096 * 32
    path.write_bytes(raw)


def overwrite_header(path: Path) -> None:
    path.write_bytes(b"this is no database any more" + path.read_bytes()[28:])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 4096 * 20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = (overwrite_pages, overwrite_header, cut, empty)


class Home:
    """A folder with a database of 500 sessions, copied when it had 300 and when it had 400."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "barnabeenet.db"
        self.copies = Copies(folder / "copies")

    async def furnish(self) -> Home:
        database = await Database.open(self.path)
        await database.write(*sessions(0, 300))
        self.copies.make(self.path, NOW)
        await database.write(*sessions(300, 400))
        self.copies.make(self.path, NOW + timedelta(days=1))
        await database.write(*sessions(400, 500))
        await database.close()
        return self

    async def open(self) -> tuple[int, Recovery | None]:
        """How many sessions there are, and what had to be done."""
        database, done = await open_or_recover(self.path, self.copies)
        rows = await database.read("SELECT count(*) FROM sessions")
        await database.write(*sessions(90_000 + rows[0][0], 90_001 + rows[0][0]))
        await database.close()
        return rows[0][0], done

    @property
    def files(self) -> list[str]:
        """Databases; an empty log may stay beside one that was found damaged."""
        return sorted(file.name for file in self.path.parent.iterdir() if file.suffix == ".db")


@pytest.fixture
async def home(tmp_path: Path) -> Home:
    return await Home(tmp_path).furnish()


async def test_a_good_file_is_opened_as_it_is(home: Home) -> None:
    assert await home.open() == (500, None)
    assert home.files == ["barnabeenet.db"]


async def test_a_first_start_is_no_recovery(tmp_path: Path) -> None:
    home = Home(tmp_path / "new")
    assert await home.open() == (0, None)
    assert await home.open() == (1, None)


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_file_is_set_aside_and_the_newest_copy_takes_its_place(
    home: Home, damage: Callable[[Path], None]
) -> None:
    damage(home.path)
    damaged = home.path.read_bytes()
    count, done = await home.open()
    assert count == 400
    assert done is not None
    assert done.restored == home.copies.list()[0]
    assert done.set_aside is not None
    assert done.set_aside.read_bytes() == damaged
    assert home.files == sorted(["barnabeenet.db", done.set_aside.name])
    assert home.path.stat().st_mode & 0o077 == 0
    # And only once.
    assert await home.open() == (401, None)


async def test_the_log_belongs_to_the_file_and_goes_with_it(home: Home, tmp_path: Path) -> None:
    """What is left of a log must never be taken for the restored file's."""
    log = home.path.with_name("barnabeenet.db-wal")
    database = await Database.open(home.path)
    await database.write(*sessions(500, 600))
    raw = log.read_bytes()
    await database.close()
    overwrite_pages(home.path)
    log.write_bytes(raw)
    home.path.with_name("barnabeenet.db-shm").write_bytes(b"\0" * 32768)
    count, done = await home.open()
    assert count == 400
    assert done is not None
    assert done.set_aside is not None
    assert (done.set_aside.parent / f"{done.set_aside.name}-wal").exists()
    assert not log.exists()


async def test_a_broken_copy_is_passed_over_for_the_one_before(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    newest, older = home.copies.list()
    newest.path.write_bytes(newest.path.read_bytes()[:-50])
    overwrite_pages(home.path)
    count, done = await home.open()
    assert (count, done and done.restored) == (300, older)
    assert "the one before it is tried" in caplog.text


async def test_without_a_good_copy_a_new_one_is_made_and_it_says_so(home: Home) -> None:
    for copy in home.copies.list():
        copy.path.write_bytes(b"broken as well")
    overwrite_pages(home.path)
    count, done = await home.open()
    assert count == 0
    assert done is not None
    assert done.restored is None
    assert done.set_aside is not None
    assert done.set_aside.exists()
    assert len(home.copies.list()) == 2


async def test_a_file_that_is_gone_comes_back_from_its_copy(home: Home) -> None:
    """Also what is left when the power went in the middle of a recovery."""
    home.path.unlink()
    log = home.path.with_name("barnabeenet.db-wal")
    log.write_bytes(b"the log of a file that was set aside")
    count, done = await home.open()
    assert count == 400
    assert done is not None
    assert "not there any more" in done.reason
    assert done.set_aside is not None
    assert done.set_aside.read_bytes() == b"the log of a file that was set aside"


async def test_two_damaged_files_in_a_second_have_two_names(home: Home) -> None:
    names = set()
    for _ in range(3):
        overwrite_header(home.path)
        _, done = await home.open()
        assert done is not None
        assert done.set_aside is not None
        names.add(done.set_aside)
    assert len(names) == 3
    assert all(name.exists() for name in names)


async def test_what_only_a_whole_check_finds_is_restored_once_it_was_met(home: Home) -> None:
    with sqlite3.connect(home.path) as other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute(
            "UPDATE sqlite_master SET sql = replace(sql, '(speaker', '(device_id') WHERE name = 'sessions_of_speaker'"
        )
    other.close()
    assert (await home.open())[1] is None
    suspicion(home.path).touch()
    count, done = await home.open()
    assert count == 400
    assert done is not None
    assert not suspicion(home.path).exists()


# When it must not be done


async def test_a_newer_schema_is_nothing_to_recover_from(home: Home) -> None:
    with sqlite3.connect(home.path) as other:
        other.execute("PRAGMA user_version = 9999")
    other.close()
    with pytest.raises(TooNew):
        await home.open()
    assert home.files == ["barnabeenet.db"]


async def test_a_folder_in_place_of_the_file_is_nothing_to_recover_from(home: Home) -> None:
    home.path.unlink()
    home.path.mkdir()
    with pytest.raises(CannotOpen):
        await home.open()
    assert home.path.is_dir()


async def test_with_no_room_for_the_copy_everything_stays_where_it_is(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is good and must not be passed over for an empty memory."""
    overwrite_pages(home.path)
    damaged = home.path.read_bytes()

    def full(path: Path) -> None:
        raise packing.unwritable(path, OSError(28, "No space left on device"))

    with monkeypatch.context() as patch:
        patch.setattr(packing, "_new", full)
        with pytest.raises(CannotOpen, match="No space left"):
            await home.open()
    assert home.path.read_bytes() == damaged
    assert home.files == ["barnabeenet.db"]
    assert (await home.open())[0] == 400


async def test_with_no_time_for_the_copy_everything_stays_where_it_is(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    overwrite_pages(home.path)
    monkeypatch.setattr(recovery_module, "COPY_S", 0.0)
    with pytest.raises(CannotOpen, match="took longer"):
        await home.open()
    assert home.files == ["barnabeenet.db"]


async def test_a_recovery_that_breaks_off_anywhere_is_finished_by_the_next(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power goes after each of its moves in turn."""
    overwrite_pages(home.path)
    home.path.with_name("barnabeenet.db-wal").write_bytes(b"a log")
    rename, found = Path.rename, []
    for moves in range(4):
        folder = tmp_path / f"try-{moves}"
        shutil.copytree(tmp_path, folder, ignore=shutil.ignore_patterns("try-*"))
        there, left = Home(folder), SimpleNamespace(moves=moves)

        def until(path: Path, target: Path, left: SimpleNamespace = left) -> Path:
            if left.moves == 0:
                raise KeyboardInterrupt
            left.moves -= 1
            return rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", until)
            try:
                recovery_module.recover(there.path, there.copies, "damaged")
            except KeyboardInterrupt:
                found.append(moves)
        count, _ = await there.open()
        assert count == 400
        kept = [file for file in folder.iterdir() if "damaged" in file.name]
        assert any(file.stat().st_size > 100_000 for file in kept), "the damaged file is still there"
    assert found == [0, 1, 2]
