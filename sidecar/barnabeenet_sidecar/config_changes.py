"""When the settings are to be read again: at SIGHUP, and on Linux when their file changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
import hashlib
import logging
import os
from pathlib import Path
import signal
import sys
from typing import Final

_LOGGER = logging.getLogger(__name__)
# Editors write a file in several steps.
SETTLE_S: Final = 0.25


class Changes:
    """Whoever waits is woken by SIGHUP, or by new content of the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _digest(path)
        self._asked = asyncio.Event()
        self._settling: asyncio.TimerHandle | None = None
        self._is_told = False

    async def wait(self) -> None:
        """Waits for a reason to read the settings again; one that came meanwhile counts."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            told, self._is_told = self._is_told, False
            seen, self._seen = self._seen, await asyncio.to_thread(_digest, self._path)
            if told or seen != self._seen:
                return

    def ask(self) -> None:
        """Somebody wants them read again, changed or not."""
        self._is_told = True
        self._asked.set()

    def touched(self) -> None:
        """Something happened in the file's folder."""
        self.close()
        self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self._asked.set)

    def close(self) -> None:
        """Forgets what has not settled yet."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None


@contextmanager
def changes_of(path: Path) -> Iterator[Changes]:
    """Listens for the length of the block, on the main thread's loop.

    On a terminal SIGHUP means that the terminal has gone, and ends the process as ever. The kernel tells of changes in
    the file's own folder (dnotify), so one that is mounted alone into a container, or linked from elsewhere, takes SIGHUP.
    """
    loop, changes = asyncio.get_running_loop(), Changes(path)
    takes_hangup = not _on_terminal()
    if takes_hangup:
        loop.add_signal_handler(signal.SIGHUP, changes.ask)
    # Before the folder is watched: the signal's own default is to end the process.
    loop.add_signal_handler(signal.SIGIO, changes.touched)
    folder = _watch(path.parent)
    try:
        yield changes
    finally:
        if folder is not None:
            os.close(folder)
        loop.remove_signal_handler(signal.SIGIO)
        if takes_hangup:
            loop.remove_signal_handler(signal.SIGHUP)
        changes.close()


def _on_terminal() -> bool:
    try:
        return os.isatty(sys.__stdin__.fileno()) if sys.__stdin__ is not None else False
    except (OSError, ValueError):
        return False


def _watch(folder: Path) -> int | None:
    """Has the kernel send SIGIO for each change in a folder while the descriptor is open; None where it cannot."""
    if sys.platform != "linux":
        return None
    events = fcntl.DN_MODIFY | fcntl.DN_CREATE | fcntl.DN_DELETE | fcntl.DN_RENAME
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as err:
        _LOGGER.debug("changes in %s are not seen (%s): send SIGHUP after one", folder, err.strerror)
        return None
    try:
        fcntl.fcntl(descriptor, fcntl.F_NOTIFY, events | fcntl.DN_MULTISHOT)
    except OSError as err:
        os.close(descriptor)
        _LOGGER.debug("changes in %s are not seen (%s): send SIGHUP after one", folder, err.strerror)
        return None
    return descriptor


def _digest(path: Path) -> bytes | None:
    try:
        return hashlib.blake2b(path.read_bytes()).digest()
    except OSError:
        return None
