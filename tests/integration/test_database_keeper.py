"""The home's database in Home Assistant: opened whatever its state, told about, cared for at night, backed up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
import json
from pathlib import Path
import sqlite3
import tarfile
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.repairs import ConfirmRepairFlow
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import Context, CoreState, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser, async_fire_time_changed

from custom_components.barnabeenet import database_issues, database_keeper
from custom_components.barnabeenet.backup import async_post_backup, async_pre_backup
from custom_components.barnabeenet.const import DOMAIN
from custom_components.barnabeenet.database_keeper import DatabaseKeeper, async_keeper
from custom_components.barnabeenet.diagnostics import async_get_config_entry_diagnostics
from custom_components.barnabeenet.repairs import async_create_fix_flow
from custom_components.barnabeenet.state import maintenance as maintenance_module
from custom_components.barnabeenet.state.copies import Copy
from custom_components.barnabeenet.state.database import Database, faults_of, suspicion
from custom_components.barnabeenet.state.errors import CopyFailed, Corrupt, StateError, Unavailable
from custom_components.barnabeenet.state.maintenance import Maintenance
from custom_components.barnabeenet.state.recovery import Recovery

pytestmark = pytest.mark.usefixtures("starting")

SENSOR = "sensor.barnabee_last_maintenance"
NEW_SESSION = (
    "INSERT INTO sessions (id, device_id, mode, thread, started_at, last_active, ended_at, end_reason)"
    " VALUES (?, 'd', 'command', 't', 1, 1, 4102444800, 'asked')"
)


@pytest.fixture
def path(home: HomeAssistant) -> Path:
    return Path(home.config.path("barnabeenet", "barnabeenet.db"))


@pytest.fixture
def keeper(home: HomeAssistant) -> DatabaseKeeper:
    return async_keeper(home)


def told(hass: HomeAssistant) -> dict[str, ir.IssueEntry]:
    return {issue_id: issue for (domain, issue_id), issue in ir.async_get(hass).issues.items() if domain == DOMAIN}


def database_of(entry: MockConfigEntry) -> Database:
    database: Database = entry.runtime_data.brain._state.database
    return database


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


async def furnish(hass: HomeAssistant, path: Path, keeper: DatabaseKeeper, *, copies: int = 1) -> None:
    """A database that holds something, as an earlier run left it."""
    database = await Database.open(path)
    await database.write((NEW_SESSION, ("kept",)))
    for _ in range(copies):
        await hass.async_add_executor_job(keeper.copies.make, path, dt_util.utcnow())
    await database.write(*((NEW_SESSION, (f"{number:0300}",)) for number in range(200)))
    await database.close()


def damage(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[4096 * 6 :] = b"\x5a" * len(raw[4096 * 6 :])
    path.write_bytes(raw)


async def sessions(entry: MockConfigEntry) -> list[str]:
    return [row["id"] for row in await database_of(entry).read("SELECT id FROM sessions ORDER BY id")]


# Opening


async def test_a_damaged_file_is_restored_and_told_until_it_was_read(
    home: HomeAssistant, entry: MockConfigEntry, sidecar: Any, path: Path, keeper: DatabaseKeeper
) -> None:
    await furnish(home, path, keeper)
    damage(path)
    await set_up(home, entry)
    assert await sessions(entry) == ["kept"]
    (issue,) = told(home).values()
    assert (issue.issue_id, issue.is_fixable, issue.is_persistent) == ("database_restored", True, True)
    said = issue.translation_placeholders
    assert said is not None
    assert "is damaged" in said["reason"]
    assert Path(said["set_aside"]).is_file()
    assert Path(said["copy"]) == keeper.copies.list()[0].path
    assert said["made_at"] == dt_util.as_local(keeper.copies.list()[0].made_at).strftime("%Y-%m-%d %H:%M")
    # It outlives the entry: somebody has to read it.
    assert await home.config_entries.async_unload(entry.entry_id)
    assert list(told(home)) == ["database_restored"]
    assert type(await async_create_fix_flow(home, "database_restored", None)) is ConfirmRepairFlow


async def test_without_a_copy_it_says_that_the_memory_is_empty(
    home: HomeAssistant, entry: MockConfigEntry, sidecar: Any, path: Path, keeper: DatabaseKeeper
) -> None:
    await furnish(home, path, keeper, copies=0)
    damage(path)
    await set_up(home, entry)
    assert await sessions(entry) == []
    (issue,) = told(home).values()
    assert issue.issue_id == "database_empty"
    assert issue.translation_placeholders is not None
    assert Path(issue.translation_placeholders["set_aside"]).stat().st_size > 50_000


async def test_one_that_cannot_be_opened_is_told_and_taken_up_again_without_a_restart(
    home: HomeAssistant, entry: MockConfigEntry, sidecar: Any, path: Path, keeper: DatabaseKeeper
) -> None:
    await furnish(home, path, keeper)
    elsewhere = path.with_name("elsewhere.db")
    await home.async_add_executor_job(path.rename, elsewhere)
    path.mkdir()
    await set_up(home, entry)
    passing = database_of(entry)
    assert passing.path != path
    issue = told(home)["database_unavailable"]
    assert "cannot be opened" in (issue.translation_placeholders or {})["error"]
    with pytest.raises(StateError, match="cannot be opened"):
        await keeper.copy()  # no copy of what passes
    for still in (True, False):
        if not still:
            path.rmdir()
            elsewhere.rename(path)
        async_fire_time_changed(home, dt_util.utcnow() + timedelta(seconds=database_keeper.RETRY_S + 1))
        await home.async_block_till_done(wait_background_tasks=True)
        assert ("database_unavailable" in told(home)) is still
    assert "kept" in await sessions(entry)
    assert not passing.path.parent.exists()


async def test_submitting_the_issue_tries_at_once(
    home: HomeAssistant, entry: MockConfigEntry, sidecar: Any, path: Path, keeper: DatabaseKeeper
) -> None:
    path.mkdir(parents=True)
    await set_up(home, entry)
    flow = await async_create_fix_flow(home, "database_unavailable", None)
    flow.hass, flow.handler, flow.flow_id, flow.issue_id = home, DOMAIN, "1", "database_unavailable"
    assert (await flow.async_step_init())["type"] == "form"  # type: ignore[attr-defined]
    still = await flow.async_step_confirm({})  # type: ignore[attr-defined]
    assert (still["type"], still["reason"]) == ("abort", "still_unavailable")
    assert "cannot be opened" in still["description_placeholders"]["error"]
    assert list(told(home)) == ["database_unavailable"]
    assert (await async_get_config_entry_diagnostics(home, entry))["brain"]["database_error"] == "CannotOpen"
    path.rmdir()
    assert (await flow.async_step_confirm({}))["type"] == "create_entry"  # type: ignore[attr-defined]
    await home.async_block_till_done()
    assert told(home) == {}
    assert database_of(entry).path == path


async def test_damage_met_while_it_runs_is_told_and_mended_when_it_is_opened_again(
    home: HomeAssistant, loaded: MockConfigEntry, path: Path, keeper: DatabaseKeeper
) -> None:
    await database_of(loaded).write((NEW_SESSION, ("kept",)))
    await keeper.copy()
    await database_of(loaded).damaged(Corrupt("a page is garbage"))
    assert told(home)["database_damaged"].translation_placeholders == {"error": "a page is garbage"}
    assert suspicion(path).exists()
    # What is on the disk is worse than it was.
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute(
            "UPDATE sqlite_master SET sql = replace(sql, '(speaker', '(device_id') WHERE name = 'sessions_of_speaker'"
        )
        other.commit()
    await keeper.reopen()
    await home.async_block_till_done()
    assert list(told(home)) == ["database_restored"]
    assert await sessions(loaded) == ["kept"]


async def test_two_entries_share_one_database_and_the_last_closes_it(
    home: HomeAssistant, loaded: MockConfigEntry, keeper: DatabaseKeeper
) -> None:
    other = MockConfigEntry(domain=DOMAIN, title="Other", unique_id="sidecar-2", data=dict(loaded.data))
    other.add_to_hass(home)
    await set_up(home, other)
    database = database_of(loaded)
    assert database_of(other) is database
    await home.config_entries.async_unload(loaded.entry_id)
    await database.write((NEW_SESSION, ("a",)))
    await keeper.reopen()
    assert database_of(other) is not database
    await home.config_entries.async_unload(other.entry_id)
    with pytest.raises(Unavailable, match="closed"):
        await keeper.copy()


# Writing


async def test_a_full_disk_is_told_and_taken_back_when_writing_goes_on(
    home: HomeAssistant, loaded: MockConfigEntry
) -> None:
    database = database_of(loaded)
    (pages,) = await database.maintain(lambda writer: writer.execute("PRAGMA page_count").fetchone())
    await database.maintain(lambda writer: writer.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    with pytest.raises(Unavailable):
        await database.write((NEW_SESSION, ("a" * 100_000,)))
    assert "the disk is full: make room" in (told(home)["database_writes_fail"].translation_placeholders or {})["error"]
    await database.maintain(lambda writer: writer.execute("PRAGMA max_page_count = 1000000").fetchone())
    await database.write((NEW_SESSION, ("b",)))
    assert told(home) == {}


# Care


async def test_every_night_it_is_cared_for_and_the_sensor_tells(
    home: HomeAssistant, loaded: MockConfigEntry, keeper: DatabaseKeeper, freezer: FrozenDateTimeFactory
) -> None:
    assert home.states.get(SENSOR).state == "unknown"  # type: ignore[union-attr]
    freezer.move_to(dt_util.start_of_local_day() + timedelta(days=1, hours=3, seconds=1))
    async_fire_time_changed(home, dt_util.utcnow())
    await home.async_block_till_done(wait_background_tasks=True)
    (copy,) = keeper.copies.list()
    state = home.states.get(SENSOR)
    assert state is not None
    assert dt_util.as_local(dt_util.parse_datetime(state.state)).hour == 3  # type: ignore[arg-type]
    assert state.attributes["ok"] is True
    assert state.attributes["steps"]["copy"]["path"] == str(copy.path)
    assert told(home) == {}
    # A new start still knows.
    again = DatabaseKeeper(home)
    assert await again._store.async_load() == keeper.result


async def test_a_failed_step_is_told_until_one_goes_well(
    home: HomeAssistant, loaded: MockConfigEntry, keeper: DatabaseKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: object) -> None:
        raise CopyFailed("no")

    with monkeypatch.context() as patch:
        patch.setattr(maintenance_module, "_optimize", fails)
        await keeper.maintain()
    assert told(home)["maintenance_failed"].translation_placeholders == {"step": "optimize", "error": "no"}
    await home.async_block_till_done()
    assert home.states.get(SENSOR).attributes["failed"] == "optimize"  # type: ignore[union-attr]
    await keeper.maintain()
    assert told(home) == {}


async def test_damage_that_the_check_finds_is_told_and_no_copy_is_made_of_it(
    home: HomeAssistant, loaded: MockConfigEntry, path: Path, keeper: DatabaseKeeper
) -> None:
    await database_of(loaded).write(*((NEW_SESSION, (f"{number:0300}",)) for number in range(200)))
    await database_of(loaded).maintain(lambda writer: writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
    await home.async_add_executor_job(damage, path)
    result = await keeper.maintain()
    assert (result["ok"], result["failed"]) == (False, "check")
    assert set(told(home)) == {"database_damaged", "maintenance_failed"}
    assert keeper.copies.list() == []


async def test_unloading_ends_a_maintenance_that_is_at_work(
    home: HomeAssistant, loaded: MockConfigEntry, keeper: DatabaseKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def long(*_: object) -> dict[str, int]:
        begun.set()
        await go_on.wait()
        return {}

    def told_to_stop(work: Maintenance) -> None:
        stop(work)
        go_on.set()

    stop = Maintenance.stop
    monkeypatch.setattr(Maintenance, "stop", told_to_stop)
    monkeypatch.setattr(maintenance_module, "drop_old", long)
    working = asyncio.create_task(keeper.maintain())
    await begun.wait()
    assert await home.config_entries.async_unload(loaded.entry_id)
    assert "It was stopped" in (await working)["error"]
    assert keeper.result is None
    assert told(home) == {}


# Actions


async def call(hass: HomeAssistant, name: str, **more: Any) -> Any:
    return await hass.services.async_call(DOMAIN, name, {}, blocking=True, return_response=True, **more)


async def test_a_copy_on_demand(home: HomeAssistant, loaded: MockConfigEntry, keeper: DatabaseKeeper) -> None:
    answer = await call(home, "backup_now")
    (copy,) = keeper.copies.list()
    assert answer == copy.as_dict() == {"path": str(copy.path), "made_at": answer["made_at"], "bytes": copy.size}


async def test_a_maintenance_on_demand(
    home: HomeAssistant, loaded: MockConfigEntry, keeper: DatabaseKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await call(home, "maintenance_now"))["ok"] is True
    assert json.dumps(await call(home, "maintenance_now"))

    def fails(_: object) -> None:
        raise CopyFailed("no")

    monkeypatch.setattr(maintenance_module, "_optimize", fails)
    assert (await call(home, "maintenance_now"))["failed"] == "optimize"
    with pytest.raises(HomeAssistantError, match="no"):
        await home.services.async_call(DOMAIN, "maintenance_now", {}, blocking=True)


@pytest.mark.parametrize("name", ["backup_now", "maintenance_now"])
async def test_they_are_for_administrators_and_say_why_they_cannot(
    home: HomeAssistant, loaded: MockConfigEntry, hass_read_only_user: MockUser, name: str
) -> None:
    with pytest.raises(Unauthorized):
        await call(home, name, context=Context(user_id=hass_read_only_user.id))
    await home.config_entries.async_unload(loaded.entry_id)
    with pytest.raises(HomeAssistantError, match="The database is closed"):
        await call(home, name)


# Home Assistant's own backup


def restored(archive: Path, target: Path) -> list[str]:
    """The sessions of a database that was taken out of an archive."""
    with closing(sqlite3.connect(target)) as connection:
        assert faults_of(connection, "integrity_check") == []
        return [row[0] for row in connection.execute("SELECT id FROM sessions ORDER BY id")]


@pytest.mark.parametrize("order", [("", "-wal"), ("-wal", "")])
async def test_files_copied_one_after_the_other_under_load_are_one_database(
    home: HomeAssistant, loaded: MockConfigEntry, path: Path, tmp_path: Path, order: tuple[str, str]
) -> None:
    """With writes before, between and after, and other programs that would move the log into the file."""
    database = database_of(loaded)

    async def write(first: int, last: int) -> None:
        for number in range(first, last):
            await database.write((NEW_SESSION, (f"{number:05}" + "x" * 500,)))
        with closing(sqlite3.connect(path, timeout=0)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    await write(0, 50)
    await async_pre_backup(home)
    static = path.read_bytes()
    await write(50, 100)
    for part in order:
        (tmp_path / f"again.db{part}").write_bytes(path.with_name(path.name + part).read_bytes())
        await write(*((100, 150) if part == order[0] else (150, 200)))
    assert path.read_bytes() == static
    await async_post_backup(home)
    await write(200, 210)
    assert path.read_bytes() != static
    found = restored(path, tmp_path / "again.db")
    # Whole transactions, without a gap; at least what was there before.
    assert len(found) >= 100
    assert [name[:5] for name in found] == [f"{number:05}" for number in range(len(found))]
    assert len(await sessions(loaded)) == 210


async def test_a_real_backup_of_home_assistant_holds_it(
    home: HomeAssistant,
    loaded: MockConfigEntry,
    path: Path,
    tmp_path: Path,
    keeper: DatabaseKeeper,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[str] = []

    def noting(name: str) -> Callable[[DatabaseKeeper], Awaitable[None]]:
        step = getattr(DatabaseKeeper, name)

        async def noted(own: DatabaseKeeper) -> None:
            await step(own)
            called.append(f"{name}: {own._snapshot is not None}")

        return noted

    for name in ("hold", "resume"):
        monkeypatch.setattr(DatabaseKeeper, name, noting(name))
    assert await async_setup_component(home, "backup", {})
    await home.async_block_till_done()
    await database_of(loaded).write((NEW_SESSION, ("kept",)))
    home.set_state(CoreState.running)
    home.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await home.async_block_till_done()
    await home.services.async_call("backup", "create", {}, blocking=True)
    await home.async_block_till_done()
    assert called == ["hold: True", "resume: False"]
    (archive,) = Path(home.config.path("backups")).glob("*.tar")
    with tarfile.open(archive) as outer:
        outer.extractall(tmp_path / "outer", filter="data")
    with tarfile.open(next((tmp_path / "outer").rglob("homeassistant.tar.gz"))) as inner:
        names = [name for name in inner.getnames() if "/barnabeenet/barnabeenet.db" in name]
        assert any(name.endswith(".db") for name in names)
        inner.extractall(tmp_path / "inner", filter="data", members=[inner.getmember(name) for name in names])
    assert "kept" in restored(archive, next((tmp_path / "inner").rglob("barnabeenet.db")))
    await call(home, "backup_now")  # it goes on


async def test_while_home_assistant_backs_up_no_copy_is_begun(
    home: HomeAssistant, loaded: MockConfigEntry, keeper: DatabaseKeeper
) -> None:
    await async_pre_backup(home)
    await async_pre_backup(home)
    with pytest.raises(Unavailable, match="Home Assistant is making a backup"):
        await keeper.copy()
    night = asyncio.create_task(keeper._nightly(dt_util.utcnow()))
    await asyncio.sleep(0)
    assert not night.done()
    await async_post_backup(home)
    await night
    assert len(keeper.copies.list()) == 1


async def test_a_backup_that_never_ends_is_not_waited_for(
    home: HomeAssistant, loaded: MockConfigEntry, keeper: DatabaseKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    await async_pre_backup(home)
    async_fire_time_changed(home, dt_util.utcnow() + timedelta(seconds=database_keeper.HOLD_MAX_S + 1))
    await home.async_block_till_done(wait_background_tasks=True)
    assert "has not said that it is over" in caplog.text
    assert isinstance(await keeper.copy(), Copy)
    await async_post_backup(home)


async def test_a_backup_is_made_even_when_the_database_cannot_be_held(
    home: HomeAssistant, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: Path) -> None:
        raise sqlite3.OperationalError("no")

    monkeypatch.setattr(database_keeper, "Snapshot", fails)
    await async_pre_backup(home)
    await async_post_backup(home)
    assert "only the copies of the database can be relied on" in caplog.text


async def test_a_maintenance_makes_way_for_a_backup(
    home: HomeAssistant, loaded: MockConfigEntry, keeper: DatabaseKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def long(*_: object) -> dict[str, int]:
        begun.set()
        await go_on.wait()
        return {}

    monkeypatch.setattr(maintenance_module, "drop_old", long)
    working = asyncio.create_task(keeper.maintain())
    await begun.wait()
    backing_up = asyncio.create_task(async_pre_backup(home))
    await asyncio.sleep(0)
    assert not backing_up.done()
    go_on.set()
    await backing_up
    assert "It was stopped" in (await working)["error"]
    assert told(home) == {}
    await async_post_backup(home)


async def test_a_passing_database_is_not_cared_for(
    home: HomeAssistant,
    entry: MockConfigEntry,
    sidecar: Any,
    path: Path,
    keeper: DatabaseKeeper,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path.mkdir(parents=True)
    await set_up(home, entry)
    await keeper._nightly(dt_util.utcnow())
    await async_pre_backup(home)
    await async_post_backup(home)
    assert "The nightly maintenance was left out" in caplog.text
    assert keeper.copies.list() == []


async def test_a_backup_without_a_database_is_none_of_our_business(home: HomeAssistant) -> None:
    await async_pre_backup(home)
    await async_post_backup(home)


# Texts


def texts(root: Path, language: str) -> dict[str, Any]:
    file = root / "custom_components/barnabeenet/translations" / f"{language}.json"
    issues: dict[str, Any] = json.loads(file.read_text())["issues"]
    return issues


ISSUES: list[Callable[[HomeAssistant], None]] = [
    lambda hass: database_issues.async_unavailable(hass, "why"),
    lambda hass: database_issues.async_damaged(hass, "why"),
    lambda hass: database_issues.async_writes_fail(hass, "why"),
    lambda hass: database_issues.async_maintenance_failed(hass, "copy", "why"),
    lambda hass: database_issues.async_recovered(hass, Recovery("why", Path("aside"), None)),
    lambda hass: database_issues.async_recovered(hass, Recovery("why", None, Copy(Path("copy"), dt_util.utcnow(), 1))),
]


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "nl"])
@pytest.mark.parametrize("tell", ISSUES)
async def test_every_issue_has_its_words(
    home: HomeAssistant, root: Path, language: str, tell: Callable[[HomeAssistant], None]
) -> None:
    tell(home)
    (issue,) = told(home).values()
    found = texts(root, language)[str(issue.translation_key)]
    assert ("fix_flow" in found) is issue.is_fixable
    step = found["fix_flow"]["step"]["confirm"] if issue.is_fixable else found
    if issue.issue_id in (database_issues.DAMAGED, database_issues.UNAVAILABLE):
        assert "{error}" in found["fix_flow"]["abort"]["still_unavailable"]
    placeholders = issue.translation_placeholders
    assert placeholders is not None
    assert step["description"].format(**placeholders)
    assert all(f"{{{name}}}" in step["description"] for name in placeholders)
