"""The registry: which versions of which models are here, which one serves, and what their files must be.

At most one version of a model is active and at most one is `rollback_available`, and that only beside an active one; a
damaged version is neither. Every change is one transaction, so several processes may share the file. All calls block
for a moment: call them from a thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
import json
import math
from pathlib import Path
import sqlite3

from .errors import ChangeRefused, RegistryError, UnknownModel
from .schema import is_current, migrate

_BUSY_S = 10.0
_METRICS_MAX = 64


class Status(StrEnum):
    """What a version is for: to serve, to go back to, or to be kept."""

    ACTIVE = "active"
    ROLLBACK_AVAILABLE = "rollback_available"
    ARCHIVED = "archived"


@dataclass(frozen=True)
class Pin:
    """What a file must be."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class DeployedFile:
    """A file that was what its pin says when it was last changed at `verified_mtime_ns`."""

    pin: Pin
    verified_mtime_ns: int


@dataclass(frozen=True)
class Deployment:
    """A version that is here; `damage` says why it may not serve, `deployed_at` when it was last made active."""

    model: str
    version: str
    status: Status
    damage: str | None
    deployed_at: datetime
    deployed_by: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Sequence[DeployedFile] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.pin.size for file in self.files)


class Registry:
    """One SQLite file; every method raises RegistryError when it cannot be used."""

    def __init__(self, path: Path) -> None:
        """Makes the file when there is none and brings an older one up to date."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise RegistryError(f"the folder {path.parent} cannot be made: {err.strerror}") from err
        with self._reading() as db:
            if is_current(db):
                return
        with self._writing() as db:
            migrate(db)

    # What is here

    def deployments(self, model: str | None = None) -> list[Deployment]:
        """All versions, of one model or of all, by name and the latest deployed first."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT model, version, status, damage, deployed_at, deployed_by, metrics FROM deployment "
                "WHERE ?1 IS NULL OR model = ?1 ORDER BY model, deployed_at DESC, version",
                (model,),
            ).fetchall()
            return [_deployment(row, _files(db, row[0], row[1])) for row in rows]

    def find(self, model: str, version: str) -> Deployment | None:
        """One version, when it is here."""
        return next((found for found in self.deployments(model) if found.version == version), None)

    def active(self, model: str) -> Deployment | None:
        """The version that serves, when there is one."""
        return next((found for found in self.deployments(model) if found.status is Status.ACTIVE), None)

    def pins(self, model: str, version: str) -> dict[str, Pin]:
        """What the files of a version must be, by path, from every time that it was deployed."""
        with self._reading() as db:
            return _pins(db, model, version)

    # What changes

    def deploy(self, model: str, version: str, files: Sequence[DeployedFile], by: str) -> None:
        """Makes verified files the active version; raises RegistryError when one differs from its earlier pin."""
        with self._writing() as db:
            pins = _pins(db, model, version)
            if changed := next((file for file in files if pins.get(file.pin.path, file.pin) != file.pin), None):
                raise RegistryError(
                    f"{changed.pin.path} of {model} {version} is not what it was when it was first pulled"
                )
            db.executemany(
                "INSERT OR IGNORE INTO pin VALUES (?, ?, ?, ?, ?)",
                [(model, version, file.pin.path, file.pin.size, file.pin.sha256) for file in files],
            )
            db.execute(
                "INSERT INTO deployment (model, version, status, deployed_at, deployed_by) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (model, version) DO UPDATE SET damage = NULL",
                (model, version, Status.ARCHIVED, _now(), by),
            )
            db.execute("DELETE FROM deployed_file WHERE model = ? AND version = ?", (model, version))
            db.executemany(
                "INSERT INTO deployed_file VALUES (?, ?, ?, ?)",
                [(model, version, file.pin.path, file.verified_mtime_ns) for file in files],
            )
            _make_active(db, model, version, by)

    def activate(self, model: str, version: str, by: str) -> None:
        """Makes a version serve; the one before it is kept for a rollback, an older one of those is archived."""
        with self._writing() as db:
            row = db.execute(
                "SELECT damage FROM deployment WHERE model = ? AND version = ?", (model, version)
            ).fetchone()
            if row is None:
                raise UnknownModel(f"{model} {version} is not here: `models list` shows what is")
            if row[0] is not None:
                raise ChangeRefused(f"{model} {version} may not serve ({row[0]}): pull it again")
            _make_active(db, model, version, by)

    def rollback(self, model: str, by: str) -> str:
        """Swaps the active version and the one before it; gives the version that serves now."""
        with self._writing() as db:
            version = _with_status(db, model, Status.ROLLBACK_AVAILABLE)
            if version is None:
                raise ChangeRefused(f"{model} has no earlier version to go back to: `models list` shows what is here")
            _make_active(db, model, version, by)
            return version

    def mark_damaged(self, model: str, version: str, damage: str) -> None:
        """Keeps a version from serving; was it active, then the one before it serves again. Unknown ones are ignored."""
        with self._writing() as db:
            was_active = _with_status(db, model, Status.ACTIVE) == version
            db.execute(
                "UPDATE deployment SET status = ?, damage = ? WHERE model = ? AND version = ?",
                (Status.ARCHIVED, damage, model, version),
            )
            if was_active and (earlier := _with_status(db, model, Status.ROLLBACK_AVAILABLE)):
                _make_active(db, model, earlier, "rollback")

    def mark_verified(self, model: str, version: str, mtimes_ns: Mapping[str, int]) -> None:
        """Notes that each file was just found right; a version that was damaged may be made active again."""
        with self._writing() as db:
            db.executemany(
                "UPDATE deployed_file SET verified_mtime_ns = ? WHERE model = ? AND version = ? AND path = ?",
                [(mtime_ns, model, version, path) for path, mtime_ns in mtimes_ns.items()],
            )
            db.execute("UPDATE deployment SET damage = NULL WHERE model = ? AND version = ?", (model, version))

    def remove(self, model: str, version: str) -> None:
        """Forgets a version but not its pins; refuses the active one while there is another to go back to."""
        with self._writing() as db:
            if _with_status(db, model, Status.ACTIVE) == version and _with_status(db, model, Status.ROLLBACK_AVAILABLE):
                raise ChangeRefused(f"{model} {version} serves: go back first (`models rollback {model}`)")
            if not db.execute("DELETE FROM deployment WHERE model = ? AND version = ?", (model, version)).rowcount:
                raise UnknownModel(f"{model} {version} is not here: `models list` shows what is")

    def record_metrics(self, model: str, version: str, metrics: Mapping[str, float]) -> None:
        """Adds measurements (names with their unit, such as `load_ms`) to a version, over older ones of that name."""
        if not all(math.isfinite(value) for value in metrics.values()):
            raise RegistryError(f"metrics of {model} {version} must be finite numbers: {dict(metrics)}")
        with self._writing() as db:
            row = db.execute(
                "SELECT metrics FROM deployment WHERE model = ? AND version = ?", (model, version)
            ).fetchone()
            if row is None:
                raise UnknownModel(f"{model} {version} is not here: `models list` shows what is")
            merged = json.loads(row[0]) | dict(metrics)
            if len(merged) > _METRICS_MAX:
                raise RegistryError(f"{model} {version} would have more than {_METRICS_MAX} metrics")
            db.execute(
                "UPDATE deployment SET metrics = ? WHERE model = ? AND version = ?",
                (json.dumps(merged), model, version),
            )

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Nothing is written, so that a full disk keeps nobody from what is here."""
        return self._transaction("BEGIN")

    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """What the body does is kept whole or not at all."""
        return self._transaction("BEGIN IMMEDIATE")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        """A connection of its own, so that threads share nothing."""
        try:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)) as db:
                db.execute("PRAGMA foreign_keys = ON")
                db.execute(begin)
                with db:
                    yield db
        except sqlite3.Error as err:
            raise RegistryError(
                f"the model registry {self._path} cannot be used: {err}. If the disk has room and it is damaged, remove "
                "it and pull again: files that are right are not downloaded a second time"
            ) from err


def _make_active(db: sqlite3.Connection, model: str, version: str, by: str) -> None:
    move = "UPDATE deployment SET status = ? WHERE model = ? AND status = ?"
    if _with_status(db, model, Status.ACTIVE) != version:
        db.execute(move, (Status.ARCHIVED, model, Status.ROLLBACK_AVAILABLE))
        db.execute(move, (Status.ROLLBACK_AVAILABLE, model, Status.ACTIVE))
    db.execute(
        "UPDATE deployment SET status = ?, deployed_at = ?, deployed_by = ? WHERE model = ? AND version = ?",
        (Status.ACTIVE, _now(), by, model, version),
    )


def _with_status(db: sqlite3.Connection, model: str, status: Status) -> str | None:
    row = db.execute("SELECT version FROM deployment WHERE model = ? AND status = ?", (model, status)).fetchone()
    return row[0] if row else None


def _pins(db: sqlite3.Connection, model: str, version: str) -> dict[str, Pin]:
    rows = db.execute("SELECT path, size, sha256 FROM pin WHERE model = ? AND version = ?", (model, version))
    return {row[0]: Pin(*row) for row in rows}


def _files(db: sqlite3.Connection, model: str, version: str) -> list[DeployedFile]:
    rows = db.execute(
        "SELECT path, size, sha256, verified_mtime_ns FROM deployed_file JOIN pin USING (model, version, path) "
        "WHERE model = ? AND version = ? ORDER BY path",
        (model, version),
    )
    return [DeployedFile(Pin(path, size, sha256), mtime_ns) for path, size, sha256, mtime_ns in rows]


def _deployment(row: tuple[str, str, str, str | None, str, str, str], files: Sequence[DeployedFile]) -> Deployment:
    model, version, status, damage, deployed_at, deployed_by, metrics = row
    return Deployment(
        model,
        version,
        Status(status),
        damage,
        datetime.fromisoformat(deployed_at),
        deployed_by,
        json.loads(metrics),
        files,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
