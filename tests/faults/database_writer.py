"""Writers to be killed: a parent that has imported all there is forks one for each line that it reads.

On stdout, one line for each: `pid N`, `found COUNT LAST` (what is there when it opens), then a number for every row
that is promised to be safe, and `gone` once the writer is dead.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
import sys

from tests.faults import state_alone  # noqa: F401 - before the package itself

from custom_components.barnabeenet.state.database import Database  # isort: skip

SESSION = (
    "INSERT INTO sessions (id, device_id, mode, thread, started_at, last_active) VALUES (?, 'd', 'command', 't', 1, 1)"
)
TURN = "INSERT INTO turns (session_id, thread, at, said, replied) VALUES (?, 't', 1, ?, 'hi')"
NOTE = "INSERT INTO notes (rowid, text) VALUES (?, ?)"


def say(line: str) -> None:
    """In one piece, whoever else writes to the pipe."""
    os.write(1, f"{line}\n".encode())


async def write(path: Path) -> None:
    """Row after row: a session, its turn and its place in a full-text index, together or not at all."""
    database = await Database.open(path)
    await database.write(("CREATE VIRTUAL TABLE IF NOT EXISTS notes USING fts5(text)", ()))
    ((count, last),) = await database.read("SELECT count(*), coalesce(max(CAST(id AS INTEGER)), 0) FROM sessions")
    say(f"found {count} {last}")
    for number in range(last + 1, 1_000_000):
        text = f"remember number {number} " + "and more " * (number % 50)
        await database.write((SESSION, (str(number),)), (TURN, (str(number), text)), (NOTE, (number, text)))
        say(str(number))


def main() -> None:
    path = Path(sys.argv[1])
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            asyncio.run(write(path))
        say(f"pid {pid}")
        os.waitpid(pid, 0)
        say("gone")


if __name__ == "__main__":
    main()
