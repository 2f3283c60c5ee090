"""The schema's steps: `NNNN_what.sql`, numbered from 1 without a gap, never changed after a release."""

from __future__ import annotations

from pathlib import Path
import sqlite3
from typing import Final

from ..errors import TooNew

FOLDER: Final = Path(__file__).parent


def newest(folder: Path = FOLDER) -> int:
    """The schema that this version knows."""
    return max(_steps(folder), default=0)


def migrate(connection: sqlite3.Connection, folder: Path = FOLDER) -> None:
    """Brings a database forward to the newest step, each in a transaction of its own.

    Raises TooNew, and sqlite3.Error after which the database stands at the last step that succeeded.
    """
    steps = _steps(folder)
    known = max(steps, default=0)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > known:
        raise TooNew(
            f"The database is of schema {version} and this version of BarnabeeNet knows only {known}: "
            "update BarnabeeNet, or restore a backup from before the update"
        )
    for number in range(version + 1, known + 1):
        _take(connection, number, steps[number].read_text(encoding="utf-8"))


def _steps(folder: Path) -> dict[int, Path]:
    return {int(path.name[:4]): path for path in folder.glob("[0-9][0-9][0-9][0-9]_*.sql")}


def _take(connection: sqlite3.Connection, number: int, script: str) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise
