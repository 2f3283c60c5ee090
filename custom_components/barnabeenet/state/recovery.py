"""Opens the database, or what can be had of it: a damaged file is set aside and the newest good copy takes its place."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
import logging
from pathlib import Path
from typing import Final

from .bound import Bound
from .copies import COPY_S, Copies, Copy, stamp
from .database import Database, suspicion
from .errors import CannotOpen, CopyFailed, Corrupt, StateError
from .packing import sync_folder

_LOGGER = logging.getLogger(__name__)

# The file first: without it a log that is left behind is not taken for a part of another file (see `_is_gone`).
_PARTS: Final = ("", "-wal", "-shm")


@dataclass(frozen=True)
class Recovery:
    """What was done at the opening; `restored` is None when there was no good copy and a new database was made."""

    reason: str
    set_aside: Path | None
    restored: Copy | None


async def open_or_recover(path: Path, copies: Copies) -> tuple[Database, Recovery | None]:
    """The database, and what had to be done for it; raises StateError, and then nothing was moved.

    A file that is gone while copies of it are there was lost as well: whoever wants a new one moves the copies away.
    """
    if await asyncio.to_thread(_is_gone, path, copies):
        reason = "It was not there any more, or empty"
    else:
        try:
            return await Database.open(path), None
        except Corrupt as error:
            reason = str(error)
    recovery = await asyncio.to_thread(recover, path, copies, reason)
    return await Database.open(path), recovery


def recover(path: Path, copies: Copies, reason: str) -> Recovery:
    """Puts the newest good copy in the place of a file that no program has open; raises CannotOpen. Blocks.

    What it replaces is set aside beside it, with its log.
    """
    fresh = path.with_name(f"{path.name}-restored")
    try:
        restored = _unpack_newest(copies, fresh)
        aside = _set_aside(path)
        if restored is not None:
            fresh.rename(path)
        suspicion(path).unlink(missing_ok=True)
        sync_folder(path.parent)
    except (OSError, StateError) as error:
        raise CannotOpen(f"The database {path} is damaged and could not be restored: {error}") from error
    return Recovery(reason, aside, restored)


def _is_gone(path: Path, copies: Copies) -> bool:
    try:
        if path.exists() and (not path.is_file() or path.stat().st_size):
            return False
        # A log without its file: SQLite would remove it.
        return bool(copies.list()) or path.with_name(f"{path.name}-wal").exists()
    except OSError:  # opening it says why
        return False


def _unpack_newest(copies: Copies, target: Path) -> Copy | None:
    bound = Bound(COPY_S)
    for copy in copies.list():
        try:
            copies.unpack(copy, target, bound)
        except CopyFailed as error:
            _LOGGER.warning("A copy of the database cannot be used, the one before it is tried: %s", error)
        else:
            return copy
    return None


def _set_aside(path: Path) -> Path | None:
    base = f"{path.stem}-damaged-{stamp(datetime.now(UTC))}"
    name, number = f"{base}{path.suffix}", 1
    while any(path.with_name(f"{name}{part}").exists() for part in _PARTS):
        number += 1
        name = f"{base}-{number}{path.suffix}"
    moved = []
    for part in _PARTS:
        found = path.with_name(f"{path.name}{part}")
        if found.exists():
            moved.append(found.rename(path.with_name(f"{name}{part}")))
    return moved[0] if moved else None
