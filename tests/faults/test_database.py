"""The database under faults 16, 17 and 18: killed, on a full disk, with garbage in it, copied under load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
import os
from pathlib import Path
import random
import signal
import sqlite3
import subprocess
import sys
from typing import Any

from homeassistant.components import conversation
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.barnabeenet.const import DOMAIN
from custom_components.barnabeenet.database_keeper import async_keeper
from custom_components.barnabeenet.state import copies as copies_module, outbox, session_courier
from custom_components.barnabeenet.state.copies import Copies
from custom_components.barnabeenet.state.database import Database, faults_of
from custom_components.barnabeenet.state.errors import StateError, Unavailable
from custom_components.barnabeenet.state.money import PaidCall
from custom_components.barnabeenet.state.recovery import open_or_recover
from tests.integration.conftest import entry, hass_config_dir, home, loaded, no_turn_under_way, sidecar, starting

__all__ = ["entry", "hass_config_dir", "home", "loaded", "no_turn_under_way", "sidecar", "starting"]

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
KILLS = 200
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
SESSION = (
    "INSERT INTO sessions (id, device_id, mode, thread, started_at, last_active) VALUES (?, ?, 'command', 't', 1, 1)"
)


# 16: killed while it writes


class Writers:
    """Starts one writer after the other and kills it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> list[str]:
        assert self._process.stdout is not None
        read = await self._process.stdout.readline()
        assert read.endswith(b"\n")
        return read.decode().split()

    async def kill_one(self, after_lines: int) -> tuple[tuple[int, int] | None, int]:
        """What it found (count, last) when it came so far, and the last row that it promised (0: none)."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        found, promised, pid, seen = None, 0, 0, 0
        while True:
            match await self.line():
                case ["pid", number]:
                    pid = int(number)
                case ["found", count, last]:
                    found, seen = (int(count), int(last)), seen + 1
                case ["gone"]:
                    return found, promised
                case [number]:
                    promised, seen = int(number), seen + 1
            if pid and seen >= after_lines:
                os.kill(pid, signal.SIGKILL)
                after_lines = 1_000_000_000


@pytest.fixture
async def writers(tmp_path: Path) -> AsyncIterator[Writers]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "tests/faults/database_writer.py"), str(tmp_path / "barnabeenet.db")),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    yield Writers(process)
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


async def test_two_hundred_kills_lose_no_promised_row(writers: Writers, tmp_path: Path) -> None:
    path = tmp_path / "barnabeenet.db"
    random_, promised = random.Random(16), 0
    for _ in range(KILLS):
        # At once, while it opens, or after some rows.
        found, last = await writers.kill_one(random_.choice([0, 0, 1, 2, 3, 5, 8]))
        if found is not None:
            count, newest = found
            assert count == newest, "no row in between is missing"
            # One more than was promised is no harm.
            assert promised <= newest <= promised + 1
            promised = newest
        promised = max(promised, last)
    assert promised > KILLS
    database = await Database.open(path)
    ((sessions, turns, notes),) = await database.read(
        "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM turns), (SELECT count(*) FROM notes)"
    )
    assert promised <= sessions == turns == notes <= promised + 1
    assert (await database.read("PRAGMA integrity_check"))[0][0] == "ok"
    await database.write(("INSERT INTO notes (notes) VALUES ('integrity-check')", ()))
    found_words = await database.read("SELECT rowid FROM notes WHERE notes MATCH ?", (f'"number {promised}"',))
    assert [row[0] for row in found_words] == [promised]
    await database.close()


# 17: a full disk


class Disk:
    """A folder that can be full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        with (self.folder / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(b"\0" * 4096)

    def make_room(self) -> None:
        (self.folder / "ballast").unlink()


@pytest.fixture
def disk(home: HomeAssistant) -> Iterator[Disk]:
    """A real file system of two megabytes, where the database will be."""
    folder = Path(home.config.path("barnabeenet"))
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def hears(hass: HomeAssistant, text: str) -> str:
    """Somebody goes on talking at one device."""
    result = await conversation.async_converse(
        hass, text, "talk", Context(), language="en", agent_id="conversation.barnabee", device_id="kitchen"
    )
    await hass.async_block_till_done()
    return str(result.response.speech["plain"]["speech"])


def told(hass: HomeAssistant) -> list[str]:
    return sorted(issue_id for domain, issue_id in ir.async_get(hass).issues if domain == DOMAIN)


async def until(condition: Callable[[], bool], subscribe: Callable[[Callable[[], None]], Callable[[], None]]) -> None:
    """Waits for what is told by calling a listener."""
    changed = asyncio.Event()
    stop = subscribe(changed.set)
    while not condition():
        changed.clear()
        await changed.wait()
    stop()


async def count(database: Database, table: str) -> int:
    return int((await database.read(f"SELECT count(*) FROM {table}"))[0][0])


def a_call() -> PaidCall:
    return PaidCall(
        provider="p", model="m", tier="local", agent="a", outcome="answered", trace_id="t", cost_usd=None, latency_ms=1
    )


@pytest.mark.usefixtures("starting")
async def test_on_a_full_disk_turns_are_answered_and_all_is_written_when_there_is_room(
    home: HomeAssistant, entry: MockConfigEntry, sidecar: Any, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_courier, "RETRY_S", 0.05)
    monkeypatch.setattr(outbox, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(outbox, "LONGEST_RETRY_S", 0.05)
    assert await home.config_entries.async_setup(entry.entry_id)
    await home.async_block_till_done()
    state = entry.runtime_data.brain._state
    assert await hears(home, "what time is it")
    await state.sessions.settled()
    before = await count(state.database, "turns")
    await home.async_add_executor_job(disk.fill)

    for _ in range(3):
        assert await hears(home, "what time is it")
        state.purse.record(a_call())
    await until(lambda: state.database.error is not None, state.database.subscribe)
    assert told(home) == ["database_writes_fail"]
    assert await hears(home, "what time is it")
    with pytest.raises(Unavailable, match="has no room"):
        await async_keeper(home).copy()

    await home.async_add_executor_job(disk.make_room)
    await until(lambda: state.sessions.store_error is None, state.sessions.subscribe_health)
    await state.purse.outbox.flush()
    assert told(home) == []
    assert await hears(home, "what time is it")
    await state.sessions.settled()
    assert (await count(state.database, "turns"), await count(state.database, "calls")) == (before + 5, 3)
    assert (await state.database.read("PRAGMA integrity_check"))[0][0] == "ok"
    assert (await async_keeper(home).copy()).size > 0


@pytest.mark.usefixtures("starting")
async def test_a_start_on_a_full_disk_is_heard_told_and_made_good(
    home: HomeAssistant, entry: MockConfigEntry, sidecar: Any, disk: Disk
) -> None:
    keeper = async_keeper(home)
    database = await Database.open(keeper.path)
    await database.write((SESSION, ("kept", "d")))
    await database.close()
    await home.async_add_executor_job(disk.fill)
    assert await home.config_entries.async_setup(entry.entry_id)
    await home.async_block_till_done()
    assert told(home) == ["database_unavailable"]
    assert await hears(home, "what time is it")
    await home.async_add_executor_job(disk.make_room)
    await keeper.reopen()
    await home.async_block_till_done()
    assert told(home) == []
    found = await entry.runtime_data.brain._state.database.read("SELECT count(*) FROM sessions WHERE id = 'kept'")
    assert found[0][0] == 1


async def test_a_disk_that_fills_while_a_copy_is_made_leaves_no_half_of_one(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, copies = tmp_path / "barnabeenet.db", Copies(disk.folder / "copies")
    await furnish(path, copies)
    (good,) = copies.list()
    monkeypatch.setattr(copies_module, "room_for", lambda *_: None)
    for left in (0, 20_000, 150_000):  # bytes: none for the plain copy, some of it, none for the packed one
        disk.fill()
        with (disk.folder / "ballast").open("r+b") as ballast:
            ballast.truncate(max(0, ballast.seek(0, os.SEEK_END) - left))
        with suppress(StateError):
            copies.make(path, NOW + timedelta(days=1))
            copies.list()[0].path.unlink()
        assert list(copies.folder.iterdir()) == [good.path]
        disk.make_room()
    copies.unpack(good, tmp_path / "again.db")


# A limit on the size of files stands for the disk where none can be mounted.
LIMITED = """
import asyncio, pathlib, resource, signal, sys
from tests.faults import state_alone
from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.errors import StateError, Unavailable
SQL = "INSERT INTO sessions (id, device_id, mode, thread, started_at, last_active) VALUES (?, 'd', 'command', 't', 1, 1)"
async def main():
    database = await Database.open(pathlib.Path(sys.argv[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    await database.write((SQL, ("before",)))
    size = pathlib.Path(sys.argv[1] + "-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, resource.RLIM_INFINITY))
    try:
        await database.write((SQL, ("x" * 100_000,)))
    except Unavailable as error:
        print(type(database.error).__name__)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await database.write((SQL, ("after",)))
    print(database.error, [row[0] for row in await database.read("SELECT id FROM sessions ORDER BY id")])
    await database.close()
asyncio.run(main())
"""


async def test_a_write_that_finds_no_room_leaves_nothing_and_the_next_goes_well(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LIMITED, str(tmp_path / "barnabeenet.db")), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().splitlines() == ["Unavailable", "None ['after', 'before']"]


# 18: garbage in a page


async def furnish(path: Path, copies: Copies) -> None:
    """200 rows with a copy, and 50 more; every table and index has a page of its own."""
    database = await Database.open(path)
    await database.write(("CREATE VIRTUAL TABLE notes USING fts5(text)", ()))
    for first, last in ((0, 200), (200, 250)):
        await database.write(*((SESSION, (f"{number:04}", "d" * 400)) for number in range(first, last)))
        await database.write(*(("INSERT INTO notes VALUES (?)", (f"number {each}",)) for each in range(first, last)))
        if first == 0:
            await asyncio.to_thread(copies.make, path, NOW)
    await database.close()


async def test_garbage_in_any_page_is_set_aside_and_the_copy_restored(tmp_path: Path) -> None:
    original = tmp_path / "original.db"
    copies = Copies(tmp_path / "copies")
    await furnish(original, copies)
    raw, random_ = original.read_bytes(), random.Random(18)
    pages, restored = len(raw) // 4096, 0
    for page in range(pages):
        folder = tmp_path / str(page)
        folder.mkdir()
        path = folder / "barnabeenet.db"
        garbage = raw[: page * 4096] + random_.randbytes(4096) + raw[(page + 1) * 4096 :]
        path.write_bytes(garbage)
        database, recovery = await open_or_recover(path, copies)
        ((count, notes),) = await database.read("SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM notes)")
        assert (await database.read("PRAGMA integrity_check"))[0][0] == "ok"
        await database.close()
        if recovery is None:  # a page of no use
            assert (count, notes) == (250, 250)
            continue
        restored += 1
        assert (count, notes) == (200, 200)
        assert recovery.set_aside is not None
        assert recovery.set_aside.read_bytes() == garbage
    assert restored >= pages - 1


@pytest.mark.usefixtures("starting")
async def test_the_owner_is_told_of_garbage_in_a_page(
    home: HomeAssistant, entry: MockConfigEntry, sidecar: Any
) -> None:
    keeper = async_keeper(home)
    await furnish(keeper.path, keeper.copies)
    raw = bytearray(keeper.path.read_bytes())
    raw[4096 * 10 : 4096 * 11] = random.Random(18).randbytes(4096)
    keeper.path.write_bytes(raw)
    assert await home.config_entries.async_setup(entry.entry_id)
    await home.async_block_till_done()
    assert told(home) == ["database_restored"]
    database = entry.runtime_data.brain._state.database
    assert (await database.read("SELECT count(*) FROM sessions"))[0][0] == 200
    assert await hears(home, "what time is it")


# A copy under load


async def test_a_copy_that_was_made_under_load_restores(tmp_path: Path) -> None:
    path, copies = tmp_path / "barnabeenet.db", Copies(tmp_path / "copies")
    await furnish(path, copies)
    database = await Database.open(path)
    written, done = 0, False

    async def write() -> None:
        nonlocal written
        while not done:
            await database.write((SESSION, (f"load {written:06}", "d" * 400)))
            written += 1

    writing = [asyncio.create_task(write())]
    while written < 10:
        await asyncio.sleep(0)
    before = written
    await asyncio.to_thread(copies.make, path, NOW + timedelta(days=1))
    done = True
    await asyncio.gather(*writing)
    await database.close()
    path.write_bytes(b"gone")
    database, recovery = await open_or_recover(path, copies)
    assert recovery is not None
    assert recovery.restored == copies.list()[0]
    rows = await database.read("SELECT id FROM sessions WHERE id LIKE 'load%' ORDER BY id")
    assert before <= len(rows) <= written
    assert [row[0] for row in rows] == [f"load {number:06}" for number in range(len(rows))]
    await database.close()
    with closing(sqlite3.connect(path)) as connection:
        assert faults_of(connection, "integrity_check") == []
