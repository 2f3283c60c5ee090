"""Whether a file is what it must be."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
import stat

from .errors import Damaged, ModelError
from .registry import DeployedFile, Pin

# The file itself is bad or gone; any other error (no permission, too many open files) says nothing about it.
_DAMAGE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EIO, errno.ELOOP}


def measure(path: Path, name: str) -> DeployedFile:
    """What a file is now, from reading all of it; `name` is what it is called. Raises Damaged or ModelError."""
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:
        raise _unreadable(name, err) from err
    return DeployedFile(Pin(name, before.st_size, digest), before.st_mtime_ns)


def check(folder: Path, expected: DeployedFile, *, thoroughly: bool) -> int:
    """The modification time in ns of a file that is right; reads it only when it changed or `thoroughly`.

    Raises Damaged, or ModelError when the file cannot be read for a reason that is not its own.
    """
    pin = expected.pin
    path = folder / pin.path
    try:
        now = path.stat()
    except OSError as err:
        raise _unreadable(pin.path, err) from err
    if not stat.S_ISREG(now.st_mode):
        raise Damaged(f"{pin.path} is not a file")
    if now.st_size != pin.size:
        raise Damaged(f"{pin.path} has {now.st_size} bytes instead of {pin.size}")
    if now.st_mtime_ns == expected.verified_mtime_ns and not thoroughly:
        return now.st_mtime_ns
    measured = measure(path, pin.path)
    if measured.pin != pin:
        raise Damaged(f"the SHA-256 of {pin.path} is {measured.pin.sha256[:12]}... instead of {pin.sha256[:12]}...")
    return measured.verified_mtime_ns


def _unreadable(name: str, err: OSError) -> ModelError:
    if err.errno == errno.ENOENT:
        return Damaged(f"{name} is missing")
    kind = Damaged if err.errno in _DAMAGE else ModelError
    return kind(f"{name} cannot be read: {err.strerror}")
