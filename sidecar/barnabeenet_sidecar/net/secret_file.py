"""Files that only their owner may read."""

from __future__ import annotations

from collections.abc import Callable
import logging
import os
from pathlib import Path
import tempfile

_LOGGER = logging.getLogger(__name__)


def ensure_secret(path: Path, make: Callable[[], str], what: str) -> None:
    """Writes what `make` gives where there is no file yet, and warns of one that others may read; raises OSError."""
    if not path.exists():
        _write(path, make())
    elif path.stat().st_mode & 0o077:
        _LOGGER.warning("others may read the %s in %s: chmod 600 it", what, path)


def _write(path: Path, text: str) -> None:
    """Writes a file of mode 0600 that is there whole or not at all, and its folder; raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes files of mode 0600.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
