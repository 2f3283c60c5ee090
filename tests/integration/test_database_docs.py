"""docs/database.md: its commands bring back what they say, and it names what there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
import os
from pathlib import Path
import re
import shutil
import sqlite3
import subprocess
import sys

import pytest
import yaml

from custom_components.barnabeenet import database_keeper
from custom_components.barnabeenet.state import copies as copies_module, outbox, retention, session_store
from custom_components.barnabeenet.state.copies import Copies
from custom_components.barnabeenet.state.database import Database, suspicion
from custom_components.barnabeenet.state.maintenance import Maintenance
from custom_components.barnabeenet.state.recovery import open_or_recover

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "database.md").read_text(encoding="utf-8")
SESSION = (
    "INSERT INTO sessions (id, device_id, mode, thread, started_at, last_active) VALUES (?, 'd', 'command', 't', 1, 1)"
)
TURN = "INSERT INTO turns (session_id, thread, at, said, replied) VALUES (?, 't', 1, ?, 'hi')"
FIRST_DAY = datetime(2026, 11, 16, 2, 0, tzinfo=UTC)
DAYS = 5
# Where the document replicates to.
NAS = "/mnt/nas/barnabeenet"
LITESTREAM_PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))


def blocks(title: str) -> list[tuple[list[str], str]]:
    """What the shell blocks of a section need, and their commands."""
    section = DOCUMENT.split(f"## {title}\n")[1].split("\n## ")[0]
    return [(needs.split(), text) for needs, text in re.findall(r"```sh ?(.*?)\n(.*?)```", section, re.DOTALL)]


def can_recover() -> bool:
    """Whether the sqlite3 of this machine was built with what `.recover` needs."""
    if shutil.which("sqlite3") is None:
        return False
    tried = subprocess.run(["sqlite3", ":memory:", "CREATE TABLE t(a);", ".recover"], check=False, capture_output=True)
    return tried.returncode == 0


class Home:
    """A configuration folder: a session for each of five days with a copy of each, and one more today."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.path = config / database_keeper.DATABASE
        self.copies = Copies(config / database_keeper.COPIES)

    async def furnish(self) -> None:
        database = await Database.open(self.path)
        for day in range(DAYS + 1):
            name = f"day {day}"
            await database.write((SESSION, (name,)), *((TURN, (name, "hello " * 50)) for _ in range(50)))
            if day < DAYS:
                self.copies.make(self.path, FIRST_DAY + timedelta(days=day))
        await database.close()

    async def does(self, title: str) -> str:
        """Runs what a section says; returns what it prints."""
        printed = ""
        for needs, commands in blocks(title):
            for program in needs:
                if not (can_recover() if program == "recover" else shutil.which(program)):
                    pytest.skip(f"{program} is not on this machine")
            shell = await asyncio.create_subprocess_exec(
                *("bash", "-euo", "pipefail", "-c", commands),
                env={**os.environ, "CONFIG": str(self.config)},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            out, _ = await shell.communicate()
            assert shell.returncode == 0, out.decode()
            printed += out.decode()
        return printed

    async def starts(self) -> list[str]:
        """The sessions that are there once Home Assistant has started."""
        database, _ = await open_or_recover(self.path, self.copies)
        rows = await database.read("SELECT id FROM sessions ORDER BY id")
        await database.close()
        return [row[0] for row in rows]


@pytest.fixture
async def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "config")
    await home.furnish()
    return home


async def test_back_to_the_newest_copy(home: Home) -> None:
    await home.does("Go back to the newest copy")
    assert await home.starts() == [f"day {day}" for day in range(5)]


async def test_back_to_an_older_copy(home: Home) -> None:
    await home.does("Go back to an older copy")
    assert await home.starts() == ["day 0", "day 1", "day 2"]
    assert len(list((home.path.parent / "away").glob("*.zst"))) == 2


async def test_beginning_anew(home: Home) -> None:
    await home.does("Begin anew")
    assert await home.starts() == []
    assert (home.path.parent / "away" / "barnabeenet.db").is_file()


async def test_looking_at_a_copy(home: Home) -> None:
    printed = await home.does("Look at a copy")
    assert printed.splitlines()[-2:] == ["ok", "250"]


async def test_saving_rows_of_a_damaged_file(home: Home) -> None:
    raw = bytearray(home.path.read_bytes())
    raw[4096 * 9 : 4096 * 10] = b"\x5a" * 4096
    home.path.write_bytes(raw)
    assert len(await home.starts()) == 5
    printed = await home.does("Save what can be saved of a damaged file")
    result, turns = printed.splitlines()[-2:]
    assert result == "ok"
    # More than the copy has.
    assert 250 < int(turns) <= 300
    with closing(sqlite3.connect(home.path.parent / "rescued.db")) as rescued:
        assert rescued.execute("SELECT count(*) FROM sessions").fetchone()[0] > 0


@asynccontextmanager
async def litestream(home: Home, nas: Path) -> AsyncIterator[None]:
    """Replicates the home as the document says, but to a folder of the test's."""
    (_, commands), _ = blocks("Replicate it with Litestream")
    process = await asyncio.create_subprocess_exec(
        *(
            "bash",
            "-euo",
            "pipefail",
            "-c",
            commands.replace(NAS, str(nas)).replace("\nlitestream", "\nexec litestream"),
        ),
        env={**os.environ, "CONFIG": str(home.config), "PATH": LITESTREAM_PATH},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            async for line in process.stdout:
                if b"snapshot complete" in line:
                    break
        yield
    finally:
        # It sends what is left, and ends.
        process.terminate()
        told = (await process.communicate())[0].decode()
    assert process.returncode == 0, told
    assert "level=ERROR" not in told


async def test_a_home_that_was_replicated_comes_back_without_its_disk(home: Home, tmp_path: Path) -> None:
    nas = tmp_path / "nas"
    async with litestream(home, nas):
        database = await Database.open(home.path)
        for number in range(40):
            await database.write((SESSION, (f"live {number}",)), *((TURN, (f"live {number}", "hello " * 1_000)),) * 20)
            if number == 20:
                # Enough to have the whole file written anew meanwhile.
                await database.write(("DELETE FROM turns WHERE session_id != 'live 20'", ()))
                done = await Maintenance(database, home.copies).run()
                assert done.ok, done.error
                assert done.steps["vacuum"]["freed_bytes"] > 0
        await database.close()
    shutil.rmtree(home.path.parent)
    home.path.parent.mkdir()
    # A new Home Assistant has begun with an empty one.
    await (await Database.open(home.path)).close()
    _, (_, restore) = blocks("Replicate it with Litestream")
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", restore.replace(NAS, str(nas))),
        env={**os.environ, "CONFIG": str(home.config), "PATH": LITESTREAM_PATH},
        stderr=asyncio.subprocess.PIPE,
    )
    assert (await shell.wait()) == 0, (await shell.communicate())[1]
    assert len(await home.starts()) == DAYS + 1 + 40


def test_every_block_that_is_not_run_says_what_it_needs() -> None:
    found = [needs for _, needs in re.findall(r"^```(sh)(?: (.*))?$", DOCUMENT, re.MULTILINE)]
    assert found.count("litestream") == 2
    assert set(found) == {"", "recover", "zstd sqlite3", "litestream"}


def test_it_names_the_files_that_there_are(tmp_path: Path) -> None:
    for name in (
        database_keeper.DATABASE,
        suspicion(database_keeper.DATABASE),
        database_keeper.COPIES / "barnabeenet-DATE",
    ):
        assert f"`{name}" in DOCUMENT


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"the newest {copies_module.KEPT}" in DOCUMENT
    assert f"Every night at {database_keeper.NIGHTLY_HOUR:02}:00" in DOCUMENT
    assert {rule.table: rule.days for rule in retention.RULES} == {"calls": 90, "sessions": 90, "wake_events": 30}
    assert database_keeper.RETRY_S == 300
    assert f"{session_store.TURNS_WAITING_MAX:,} turns and {outbox.KEPT:,} entries" in " ".join(DOCUMENT.split())


def test_litestream_is_told_of_the_same_file() -> None:
    told = yaml.safe_load((ROOT / "deploy" / "litestream.yml").read_text())
    (database,) = told["dbs"]
    assert database["path"] == "${BARNABEENET_DB}"
    assert database["replica"]["url"] == "${BARNABEENET_REPLICA}"
    assert f'BARNABEENET_DB="$CONFIG/{database_keeper.DATABASE}"' in DOCUMENT
