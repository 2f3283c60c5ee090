"""The embedded database: one SQLite file, one writer, readers beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
import logging
from pathlib import Path
from queue import SimpleQueue
import sqlite3
from typing import Any, Final, TypeVar

from .errors import CannotOpen, Conflict, Corrupt, StateError, Unavailable
from .migrations import migrate

_LOGGER = logging.getLogger(__name__)

READERS: Final = 2
# How long a statement waits for another process (a backup, somebody's sqlite3 shell) that holds the lock.
BUSY_S: Final = 5.0
# The write-ahead log is cut back to this after a checkpoint.
JOURNAL_MAX_BYTES: Final = 4 * 1024 * 1024

_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FOR_NOW: Final = {
    sqlite3.SQLITE_FULL: "the disk is full: make room, and writing goes on by itself",
    sqlite3.SQLITE_BUSY: "another program holds its lock: close what has the file open",
    sqlite3.SQLITE_LOCKED: "another program holds its lock: close what has the file open",
    sqlite3.SQLITE_IOERR: "the disk fails to read or write: look at its health",
    sqlite3.SQLITE_READONLY: "it may not be written: check the rights of the file and its folder",
    sqlite3.SQLITE_PERM: "it may not be written: check the rights of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check that its folder exists and may be written",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}

ResultT = TypeVar("ResultT")
Statement = tuple[str, Sequence[Any]]


class Database:
    """A file in WAL mode. Every job is one call in a thread of ours, so it needs no turn of a busy event loop midway.

    A write that has returned is on the disk (`synchronous` is FULL): small computers lose their power more often than
    they crash, and what somebody was told is remembered has to be. Writes wait for the disk, so no turn may wait for them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._closed = False
        self._connections: list[sqlite3.Connection] = []
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._writer = ThreadPoolExecutor(1, "barnabeenet-database-writer")
        self._readers = ThreadPoolExecutor(READERS, "barnabeenet-database-reader")

    @classmethod
    async def open(cls, path: Path) -> Database:
        """Opens or makes the file (and its folder) and brings its schema forward; raises StateError."""
        database = cls(path)
        try:
            await database._run(database._writer, database._open)
        except Unavailable as error:
            await database.close()
            raise CannotOpen(str(error)) from error
        except BaseException:
            await database.close()
            raise
        return database

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a query, which sees every write that had returned before; raises StateError."""

        def query() -> list[sqlite3.Row]:
            # There are as many connections as threads: one is always idle.
            connection = self._idle.get_nowait()
            try:
                with closing(connection.execute(sql, parameters)) as cursor:
                    return cursor.fetchall()
            finally:
                self._idle.put(connection)

        return await self._run(self._readers, query)

    async def write(self, *statements: Statement) -> None:
        """Carries out all statements in one transaction, or none and raises StateError; durable when it returns."""

        def transact() -> None:
            connection = self._connections[0]
            connection.execute("BEGIN IMMEDIATE")
            try:
                for sql, parameters in statements:
                    connection.execute(sql, parameters)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

        await self._run(self._writer, transact)

    async def scrub(self) -> None:
        """Has the files hold nothing more of what was deleted, the write-ahead log included; raises StateError."""

        def checkpoint() -> None:
            (busy, *_) = self._connections[0].execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise Unavailable(
                    f"What was deleted is still in {self.path}-wal: {_FOR_NOW[sqlite3.SQLITE_BUSY]}, and try again"
                )

        await self._run(self._writer, checkpoint)

    async def close(self) -> None:
        """Finishes what was asked for and closes the file; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        await asyncio.shield(asyncio.to_thread(self._close))

    async def _run(self, executor: ThreadPoolExecutor, job: Callable[[], ResultT]) -> ResultT:
        if self._closed:
            raise Unavailable("The database is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, job)
        except sqlite3.Error as error:
            known = self._state_error(error)
            if known is None:  # a wrong statement is a bug of ours and no failure of the store
                raise
            raise known from error

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Before SQLite makes it: what a family said is nobody else's to read.
            self.path.touch(mode=0o600)
        except OSError as error:
            raise CannotOpen(
                f"The database {self.path} cannot be opened ({error.strerror}): check that its folder exists and may "
                "be written"
            ) from error
        writer = self._connect()
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA synchronous = FULL")
        writer.execute("PRAGMA foreign_keys = ON")
        # What somebody wants forgotten is overwritten, not only passed over.
        writer.execute("PRAGMA secure_delete = ON")
        writer.execute(f"PRAGMA journal_size_limit = {JOURNAL_MAX_BYTES}")
        migrate(writer)
        for _ in range(READERS):
            reader = self._connect()
            reader.execute("PRAGMA query_only = ON")
            self._idle.put(reader)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        self._connections.append(connection)
        return connection

    def _close(self) -> None:
        self._readers.shutdown()
        self._writer.shutdown()
        # The writer's is the last: it takes the write-ahead log into the file and removes it.
        for connection in reversed(self._connections):
            try:
                connection.close()
            except sqlite3.Error as error:
                _LOGGER.warning("The database %s was not closed cleanly: %s", self.path, error)

    def _state_error(self, error: sqlite3.Error) -> StateError | None:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _CORRUPT:
            return Corrupt(
                f"The database {self.path} is damaged ({error}): move it away and restore it from a backup, or start "
                "without it and a new one is made"
            )
        if code in _FOR_NOW:
            return Unavailable(f"The database {self.path} does not work now, {_FOR_NOW[code]} ({error})")
        if code == sqlite3.SQLITE_CONSTRAINT:
            return Conflict(f"The database refused a row: {error}")
        return None
