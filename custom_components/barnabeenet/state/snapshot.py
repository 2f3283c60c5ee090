"""A read transaction that is kept open: while it is, what it sees stays as it is, whoever writes."""

from __future__ import annotations

from pathlib import Path
import sqlite3
from types import TracebackType
from typing import Final
from urllib.parse import quote

BUSY_S: Final = 5.0


class Snapshot:
    """The database of a file as it is now; every method blocks. Raises sqlite3.Error.

    In WAL mode it hinders nobody from writing, yet the log is not begun anew while it is open, and no frame that came
    after it is moved from the log into the file.
    """

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            self.connection.execute("BEGIN")
            # A transaction begins with the first page that it reads.
            self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            self.connection.close()
            raise

    def close(self) -> None:
        """Lets go; safe to call twice."""
        self.connection.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
