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

from .bound import Bound
from .errors import CannotOpen, Conflict, Corrupt, StateError, Unavailable
from .migrations import migrate

_LOGGER = logging.getLogger(__name__)

READERS: Final = 2
# How long a statement waits for another process (a backup, somebody's sqlite3 shell) that holds the lock.
BUSY_S: Final = 5.0
# The write-ahead log is cut back to this after a checkpoint.
JOURNAL_MAX_BYTES: Final = 4 * 1024 * 1024
# How long the start of Home Assistant may wait for the check of a file; a gigabyte takes a few seconds.
CHECK_S: Final = 30.0
# Steps of SQLite's machine between two looks at the clock: about a millisecond.
STEPS_PER_LOOK: Final = 20_000

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
        # Why the last write failed, and from the moment that damage is met, that: None while all is well.
        self.error: StateError | None = None
        self._listeners: list[Callable[[], None]] = []
        self._closed = False
        self._connections: list[sqlite3.Connection] = []
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._writer = ThreadPoolExecutor(1, "barnabeenet-database-writer")
        self._readers = ThreadPoolExecutor(READERS, "barnabeenet-database-reader")

    @classmethod
    async def open(cls, path: Path) -> Database:
        """Opens or makes the file (and its folder), checks it and brings its schema forward; raises StateError."""
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

        def query(connection: sqlite3.Connection) -> list[sqlite3.Row]:
            with closing(connection.execute(sql, parameters)) as cursor:
                return cursor.fetchall()

        return await self.look(query)

    async def look(self, job: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """What a job reads in a reader's thread, in as many queries as it likes; raises StateError."""

        def read() -> ResultT:
            # There are as many connections as threads: one is always idle.
            connection = self._idle.get_nowait()
            try:
                return job(connection)
            finally:
                self._idle.put(connection)

        return await self._run(self._readers, read)

    async def write(self, *statements: Statement) -> None:
        """Carries out all statements in one transaction, or none and raises StateError; durable when it returns."""

        def execute(connection: sqlite3.Connection) -> None:
            for sql, parameters in statements:
                connection.execute(sql, parameters)

        await self.transact(execute)

    async def transact(
        self, job: Callable[[sqlite3.Connection], ResultT], then: Callable[[ResultT], object] = lambda _: None
    ) -> ResultT:
        """What a job makes in one transaction of the writer's; `then` is told of it in the same thread, once it is durable.

        So what is told is in the order of the writes, and is told also when the caller has gone meanwhile. Raises StateError.
        """

        def transact() -> ResultT:
            connection = self._connections[0]
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = job(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            then(result)
            return result

        try:
            result = await self._run(self._writer, transact)
        except Unavailable as error:
            if not self._closed:
                self._tell(error)
            raise
        self._tell(None)
        return result

    async def maintain(self, job: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """What a job in the writer's thread returns: writes wait for it, so it is short; raises StateError."""
        return await self._run(self._writer, lambda: job(self._connections[0]))

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls the listener in the event loop when `error` has changed, until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def damaged(self, error: Corrupt) -> None:
        """Takes note of damage that somebody else has met."""
        await asyncio.to_thread(self._suspect)
        self._tell(error)

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
            return await asyncio.get_running_loop().run_in_executor(executor, self._careful(job))
        except Corrupt as error:
            self._tell(error)
            raise

    def _careful(self, job: Callable[[], ResultT]) -> Callable[[], ResultT]:
        def run() -> ResultT:
            try:
                return job()
            except sqlite3.Error as error:
                known = state_error(self.path, error)
                if known is None:  # a wrong statement is a bug of ours and no failure of the store
                    raise
                if isinstance(known, Corrupt):
                    self._suspect()
                raise known from error

        return run

    def _suspect(self) -> None:
        """Has the whole file checked when it is opened next."""
        try:
            suspicion(self.path).touch(mode=0o600)
        except OSError as error:
            _LOGGER.warning("The next start will not know that the database %s is damaged: %s", self.path, error)

    def _tell(self, error: StateError | None) -> None:
        if isinstance(self.error, Corrupt):
            return  # a write that succeeds mends no damage
        before, self.error = self.error, error
        if str(before) != str(error):
            for listener in tuple(self._listeners):
                listener()

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
        # A damaged file is left as it was found, with its log.
        writer.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
        self._check(writer)
        writer.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, False)
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

    def _check(self, connection: sqlite3.Connection) -> None:
        """Raises Corrupt."""
        marker = suspicion(self.path)
        check, bound = "integrity_check" if marker.exists() else "quick_check", Bound(CHECK_S)
        connection.set_progress_handler(bound.is_over, STEPS_PER_LOOK)
        try:
            faults = faults_of(connection, check)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            _LOGGER.warning("The database %s is used unchecked: %s", self.path, bound.why())
            return
        finally:
            connection.set_progress_handler(None, 0)
        if faults:
            raise Corrupt(f"The database {self.path} is damaged ({faults[0]})")
        marker.unlink(missing_ok=True)

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


def suspicion(path: Path) -> Path:
    """The mark beside a file in which damage was met."""
    return path.with_name(f"{path.name}-suspect")


def faults_of(connection: sqlite3.Connection, check: str = "quick_check") -> list[str]:
    """What SQLite's `quick_check` or `integrity_check` finds, the first of it; raises sqlite3.Error."""
    found = "\n".join(str(row[0]) for row in connection.execute(f"PRAGMA {check}(10)"))
    return [] if found == "ok" else [line for line in found.splitlines() if not line.startswith("***")]


def state_error(path: Path, error: sqlite3.Error) -> StateError | None:
    """What to tell people of SQLite's error; None for a wrong statement."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _CORRUPT:
        return Corrupt(f"The database {path} is damaged ({error})")
    if code in _FOR_NOW:
        return Unavailable(f"The database {path} does not work now, {_FOR_NOW[code]} ({error})")
    if code == sqlite3.SQLITE_CONSTRAINT:
        return Conflict(f"The database refused a row: {error}")
    return None
