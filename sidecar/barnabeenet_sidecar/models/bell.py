"""How a command tells the sidecar that serves beside it to look at its models.

A named pipe in the store's folder that only a serving sidecar holds open: no process id to go stale, nothing to poll,
and who may not write the store may not ring.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
import logging
import os
from pathlib import Path
import stat

_LOGGER = logging.getLogger(__name__)

_READ_BYTES = 4096


def ring(path: Path) -> bool:
    """Tells the sidecar that listens there; whether there is one. Blocks for no longer than a file is opened."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        # No pipe, or nobody who reads it.
        return False
    try:
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return False
        # A full pipe has been rung often enough.
        with suppress(BlockingIOError):
            os.write(descriptor, b".")
    finally:
        os.close(descriptor)
    return True


class Bell:
    """Calls `rung` on the running loop for every ring, or for some that came together, until it is closed."""

    def __init__(self, path: Path, rung: Callable[[], None]) -> None:
        """Where there can be no pipe, nothing will ring; the log says so."""
        self._rung = rung
        self._descriptor: int | None = None
        try:
            self._descriptor = _open(path)
        except OSError as err:
            _LOGGER.warning("%s cannot be used (%s): restart after `models` commands", path, err.strerror)
            return
        asyncio.get_running_loop().add_reader(self._descriptor, self._read, self._descriptor)

    def close(self) -> None:
        """Listens no more; safe to call twice."""
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _read(self, descriptor: int) -> None:
        with suppress(BlockingIOError):
            os.read(descriptor, _READ_BYTES)
            self._rung()


def _open(path: Path) -> int:
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    # For writing too: a pipe whose last writer has gone would be readable for ever.
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise FileExistsError(0, "there is something else in its place")
