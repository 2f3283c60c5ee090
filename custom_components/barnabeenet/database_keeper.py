"""Keeps the home's one database and what of it lies in memory: opened by the first entry, maintained every night."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
import logging
import os
from pathlib import Path
import shutil
import sqlite3
from tempfile import mkdtemp
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later, async_track_time_change
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from . import database_issues as issues
from .const import DOMAIN
from .state.copies import Copies, Copy
from .state.database import Database
from .state.errors import Corrupt, StateError, Unavailable
from .state.maintenance import Maintenance
from .state.memories import Embedder, Memories
from .state.recovery import open_or_recover
from .state.snapshot import Snapshot
from .state.voices import Voices

_LOGGER = logging.getLogger(__name__)

# One for all entries: what a family tells belongs to the home, not to a sidecar.
DATABASE: Final = Path(DOMAIN) / "barnabeenet.db"
COPIES: Final = Path(DOMAIN) / "copies"

NIGHTLY_HOUR: Final = 3
# While the file cannot be opened.
RETRY_S: Final = 300.0
# A backup of Home Assistant waits this long for a maintenance that was told to end.
GIVE_WAY_S: Final = 45.0
# A backup of Home Assistant takes minutes; one that never says that it is over must not let the log grow for ever.
HOLD_MAX_S: Final = 2 * 3600.0

MEMORY: Final = "/dev/shm"  # noqa: S108 - a folder for us alone is made in it

_KEY: Final[HassKey[DatabaseKeeper]] = HassKey(f"{DOMAIN}_database")


@callback
def async_keeper(hass: HomeAssistant) -> DatabaseKeeper:
    """The home's one keeper, whether or not its database is open."""
    if _KEY not in hass.data:
        hass.data[_KEY] = DatabaseKeeper(hass)
    return hass.data[_KEY]


class DatabaseKeeper:
    """Opens, recovers, copies and maintains; `result` is what the last maintenance did, as Result.as_dict() gives it."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self.path = Path(hass.config.path(str(DATABASE)))
        self.copies = Copies(Path(hass.config.path(str(COPIES))))
        self.result: dict[str, Any] | None = None
        # Why a passing database stands in for the home's.
        self.error: StateError | None = None
        self._database: Database | None = None
        self._memories: Memories | None = None
        self._voices: Voices | None = None
        # Who reads memories, by the entry whose sidecar it is; the one that came last is asked.
        self._embedders: dict[str, Embedder] = {}
        self._passing_folder: str | None = None
        self._owners: set[str] = set()
        self._opening = asyncio.Lock()
        self._upkeep = asyncio.Lock()
        self._running: Maintenance | None = None
        self._snapshot: Snapshot | None = None
        self._end_hold: CALLBACK_TYPE | None = None
        self._free = asyncio.Event()
        self._free.set()
        self._retry: CALLBACK_TYPE | None = None
        self._store: Store[dict[str, Any]] = Store(hass, 1, f"{DOMAIN}.maintenance")
        self._cleanup: list[CALLBACK_TYPE] = []
        self._listeners: list[Callable[[], None]] = []

    # Who has it open

    async def take(self, owner: str) -> Database:
        """The home's database, or one that passes when that cannot be opened: people are heard anyway.

        `owner` is an entry's id. Raises StateError when not even that can be had.
        """
        async with self._opening:
            if self._database is None:
                self.result = self.result or await self._store.async_load()
                database = await self._open()
                try:
                    self._voices = await Voices.open(database)
                    self._memories = await Memories.open(database)
                except BaseException:
                    await database.close()
                    raise
                self._database = database
                self._follow(database)
            self._owners.add(owner)
            return self._database

    @property
    def database(self) -> Database | None:
        """The home's database, or the one that passes; None while nobody has it open."""
        return self._database

    @property
    def memories(self) -> Memories:
        """What people asked to remember, while somebody has the database open."""
        assert self._memories is not None
        return self._memories

    @property
    def voices(self) -> Voices:
        """How people's voices sound, while somebody has the database open."""
        assert self._voices is not None
        return self._voices

    @callback
    def lend(self, owner: str, embedder: Embedder) -> None:
        """Has memories read by this one, until `release`."""
        self._embedders[owner] = embedder
        self.memories.use(embedder)

    async def release(self, owner: str) -> None:
        """Closes it when nobody else has it; safe to call twice."""
        async with self._opening:
            self._owners.discard(owner)
            if self._embedders.pop(owner, None) is not None and self._memories is not None:
                self._memories.use(next(reversed(self._embedders.values()), None))
            if not self._owners and self._database is not None:
                database, self._database = self._database, None
                await self._close(database)

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls the listener after each maintenance until the returned function is called."""
        self._listeners.append(listener)
        return partial(self._listeners.remove, listener)

    async def reopen(self) -> None:
        """Sets every entry up anew, with the file as it is now."""
        entries = [self._hass.config_entries.async_get_entry(owner) for owner in self._owners]
        loaded = [entry for entry in entries if entry is not None and entry.state is ConfigEntryState.LOADED]
        for entry in loaded:
            await self._hass.config_entries.async_unload(entry.entry_id)
        for entry in loaded:
            await self._hass.config_entries.async_setup(entry.entry_id)

    # Care

    async def maintain(self) -> dict[str, Any]:
        """Does at once what is done every night; returns what came of it. Raises StateError when it cannot begin."""
        async with self._at_work() as work:
            result = await work.run()
            if self._running is work:  # and was not told to make way
                self.result = result.as_dict()
                await self._store.async_save(self.result)
                self._tell_of(result.failed, result.error)
            return result.as_dict()

    async def copy(self) -> Copy:
        """Makes a copy at once; raises StateError."""
        async with self._at_work() as work:
            return await work.copy()

    async def hold(self) -> None:
        """Lets the files in the folder be copied one after the other, until `resume`; writes go on meanwhile."""
        # A read transaction is all it takes. While it is open SQLite neither begins the log anew nor moves into the
        # file what was written after it began. So whenever the file and its log are copied, the log holds all that the
        # file may lack, and SQLite takes up whole transactions of it and leaves out a torn end.
        if not self._free.is_set():
            return
        self._free.clear()
        self._end_hold = async_call_later(self._hass, HOLD_MAX_S, self._hold_too_long)
        self._make_way()
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_WAY_S), self._upkeep:
                pass
        if self._database is None or self.error is not None:
            return
        try:
            # Not needed, but what lies in the file is not copied twice.
            await self._database.maintain(_checkpoint)
            self._snapshot = await self._hass.async_add_executor_job(Snapshot, self.path)
        except (StateError, sqlite3.Error) as error:
            _LOGGER.warning("In this backup only the copies of the database can be relied on: %s", error)

    async def resume(self) -> None:
        """Ends what `hold` began; safe to call at any time."""
        if self._end_hold is not None:
            self._end_hold()
            self._end_hold = None
        if self._snapshot is not None:
            snapshot, self._snapshot = self._snapshot, None
            await self._hass.async_add_executor_job(snapshot.close)
        self._free.set()

    async def _hold_too_long(self, _: datetime) -> None:
        _LOGGER.warning("Home Assistant's backup has not said that it is over: the database does not wait any longer")
        self._end_hold = None
        await self.resume()

    @asynccontextmanager
    async def _at_work(self) -> AsyncIterator[Maintenance]:
        """One work at a time, and none while Home Assistant backs up: it would put half of a copy into the archive."""
        if not self._free.is_set():
            raise Unavailable("Home Assistant is making a backup: try again when it is done")
        async with self._upkeep:
            if self.error is not None:
                raise self.error
            if self._database is None:
                raise Unavailable("The database is closed")
            self._running = work = Maintenance(self._database, self.copies, now=dt_util.utcnow())
            try:
                yield work
            finally:
                self._running = None

    def _make_way(self) -> None:
        if self._running is not None:
            self._running.stop()
            self._running = None

    async def _nightly(self, _: datetime) -> None:
        await self._free.wait()
        try:
            await self.maintain()
        except StateError as error:
            _LOGGER.warning("The nightly maintenance was left out: %s", error)

    @callback
    def _tell_of(self, step: str | None, error: str | None) -> None:
        if step is None:
            issues.async_maintenance_fine(self._hass)
        else:
            _LOGGER.warning("The maintenance of the database failed (%s): %s", step, error)
            issues.async_maintenance_failed(self._hass, step, error or "")
        for listener in tuple(self._listeners):
            listener()

    # Opening and closing

    async def _open(self) -> Database:
        try:
            database, recovery = await open_or_recover(self.path, self.copies)
        except StateError as error:
            return await self._open_passing(error)
        self.error = None
        issues.async_opened(self._hass)
        if recovery is not None:
            _LOGGER.error("The database was damaged and is set aside: %s", recovery)
            issues.async_recovered(self._hass, recovery)
        return database

    async def _open_passing(self, error: StateError) -> Database:
        _LOGGER.warning("Nothing is remembered until this is mended: %s", error)
        self.error = error
        issues.async_unavailable(self._hass, str(error))
        self._passing_folder = await self._hass.async_add_executor_job(_passing_folder)
        self._retry = async_call_later(self._hass, RETRY_S, self._try_again)
        return await Database.open(Path(self._passing_folder) / DATABASE.name)

    async def _try_again(self, _: datetime) -> None:
        self._retry = None
        try:
            database, recovery = await open_or_recover(self.path, self.copies)
        except StateError:
            self._retry = async_call_later(self._hass, RETRY_S, self._try_again)
            return
        await database.close()
        if recovery is not None:
            issues.async_recovered(self._hass, recovery)
        await self.reopen()

    def _follow(self, database: Database) -> None:
        self._cleanup.append(database.subscribe(partial(self._health_changed, database)))
        self._cleanup.append(async_track_time_change(self._hass, self._nightly, hour=NIGHTLY_HOUR, minute=0, second=0))

    @callback
    def _health_changed(self, database: Database) -> None:
        if isinstance(database.error, Corrupt):
            _LOGGER.error("Damage was met, and is mended at the next start: %s", database.error)
            issues.async_damaged(self._hass, str(database.error))
        elif database.error is not None:
            issues.async_writes_fail(self._hass, str(database.error))
        else:
            issues.async_writes_go_on(self._hass)

    async def _close(self, database: Database) -> None:
        while self._cleanup:
            self._cleanup.pop()()
        if self._retry is not None:
            self._retry()
            self._retry = None
        self._make_way()
        async with self._upkeep:
            pass
        if self._hass.is_stopping:
            await self.resume()
        if self._memories is not None:
            memories, self._memories, self._voices = self._memories, None, None
            await memories.close()
        await database.close()
        issues.async_closed(self._hass)
        if self._passing_folder is not None:
            folder, self._passing_folder = self._passing_folder, None
            await self._hass.async_add_executor_job(partial(shutil.rmtree, folder, ignore_errors=True))


def _passing_folder() -> str:
    """In memory where there is such a folder: a disk that is full is full for temporary files as well. Raises OSError."""
    return mkdtemp(dir=MEMORY if os.access(MEMORY, os.W_OK) else None)


def _checkpoint(writer: sqlite3.Connection) -> None:
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
