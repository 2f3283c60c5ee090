"""Copies of the database: consistent, packed, checked, named by date, the newest ones kept."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
import re
import sqlite3
from typing import Any, Final

from .bound import Bound
from .database import STEPS_PER_LOOK, faults_of, state_error
from .errors import CopyFailed, StateError, TooLong
from .migrations import newest
from .packing import GZIP_SUFFIX, SUFFIX, ZSTD_SUFFIX, pack, room_for, unpack, unwritable
from .snapshot import Snapshot

KEPT: Final = 14
# A gigabyte takes some seconds on a good disk and a minute on an SD card.
COPY_S: Final = 300.0
PAGES_PER_STEP: Final = 1_000

_STAMP: Final = "%Y%m%dT%H%M%SZ"
_NAME: Final = re.compile(
    rf"barnabeenet-(\d{{8}}T\d{{6}}Z)\.db({re.escape(ZSTD_SUFFIX)}|{re.escape(GZIP_SUFFIX)})", re.ASCII
)


@dataclass(frozen=True)
class Copy:
    """A copy that is there; `made_at` is UTC, `size` in bytes on the disk."""

    path: Path
    made_at: datetime
    size: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"path": str(self.path), "made_at": self.made_at.isoformat(), "bytes": self.size}


class Copies:
    """The copies in a folder of one database; every method blocks."""

    def __init__(self, folder: Path, *, kept: int = KEPT) -> None:
        self.folder = folder
        self._kept = kept

    def list(self) -> list[Copy]:
        """Those that are there by their names, the newest first."""
        if not self.folder.is_dir():
            return []
        found = [copy for path in self.folder.iterdir() if (copy := _copy(path)) is not None]
        return sorted(found, key=lambda copy: (copy.made_at, copy.path.name), reverse=True)

    def make(self, path: Path, now: datetime, bound: Bound | None = None) -> Copy:
        """Copies the database of a file as it is now, while it is written to; raises StateError and leaves nothing.

        The oldest copies that are too many are removed only after this one was read again.
        """
        bound = bound or Bound(COPY_S)
        self._clear()
        plain, target = self.folder / "copy.db.part", self.folder / f"barnabeenet-{stamp(now)}.db{SUFFIX}"
        try:
            # The plain one, and a packed one that may be as large.
            room_for(2 * _size(path), self.folder)
            _copy_pages(path, plain, bound)
            try:
                check_file(plain, bound)
            except CopyFailed as error:
                raise CopyFailed(f"The database {path} is damaged, no copy was made of it: {error}") from error
            pack(plain, target, bound.check)
        except TooLong as error:
            raise CopyFailed(f"No copy was made of {path}: {error}") from error
        except OSError as error:
            raise unwritable(target, error) from error
        finally:
            plain.unlink(missing_ok=True)
        for old in self.list()[self._kept :]:
            with suppress(OSError):  # it goes the next time
                old.path.unlink()
        return Copy(target, now.astimezone(UTC).replace(microsecond=0), target.stat().st_size)

    def unpack(self, copy: Copy, target: Path, bound: Bound | None = None) -> None:
        """Writes a copy to a file that is not the database's, checked; raises CopyFailed, or Unavailable for the target."""
        bound = bound or Bound(COPY_S)
        try:
            unpack(copy.path, target, bound.check)
            check_file(target, bound)
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def _clear(self) -> None:
        """Makes the folder, and removes what an interrupted copy has left."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for part in self.folder.glob("*.part"):
                part.unlink()
        except OSError as error:
            raise unwritable(self.folder, error) from error


def stamp(moment: datetime) -> str:
    """A moment as names of files have it: UTC, to the second."""
    return moment.astimezone(UTC).strftime(_STAMP)


def check_file(path: Path, bound: Bound) -> None:
    """Raises CopyFailed when a file is no whole database of a schema that is known, TooLong without time."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.set_progress_handler(bound.is_over, STEPS_PER_LOOK)
            faults = faults_of(connection)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        bound.check()
        raise CopyFailed(f"{path} is no good: {error}") from error
    if faults:
        raise CopyFailed(f"{path} is no good: {faults[0]}")
    if not 0 < version <= newest():
        raise CopyFailed(f"{path} is of schema {version}, and this version of BarnabeeNet knows 1 to {newest()}")


def _size(path: Path) -> int:
    """With the log; raises OSError."""
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


def _copy_pages(source: Path, target: Path, bound: Bound) -> None:
    """One snapshot in many small steps: without it each write in between would begin the copy anew."""

    def look(status: int, remaining: int, total: int) -> None:  # noqa: ARG001 - as SQLite calls it
        bound.check()

    try:
        target.touch(mode=0o600)
        with Snapshot(source) as snapshot, closing(sqlite3.connect(target, isolation_level=None)) as copy:
            # It is thrown away when it is not finished, and read again when it is.
            copy.execute("PRAGMA synchronous = OFF")
            snapshot.connection.backup(copy, pages=PAGES_PER_STEP, progress=look, sleep=0)
            # In a file of its own, without a log beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise _failed(source, error) from error


def _failed(source: Path, error: sqlite3.Error) -> StateError:
    return state_error(source, error) or CopyFailed(f"No copy was made of {source}: {error}")


def _copy(path: Path) -> Copy | None:
    match = _NAME.fullmatch(path.name)
    if match is None or not path.is_file():
        return None
    try:
        made_at = datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Copy(path, made_at, path.stat().st_size)
