"""Room on the disk."""

from __future__ import annotations

from pathlib import Path
import shutil

from .errors import PullFailed

# A disk that is filled to the brim takes the sidecar's other files with it.
_SPARE_BYTES = 200 * 10**6


def require_space(folder: Path, size: int) -> None:
    """Raises PullFailed when a file system has no room for `size` more bytes and some to spare."""
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE_BYTES:
        raise PullFailed(
            f"{folder} has {free / 10**9:.1f} GB free, {(size + _SPARE_BYTES) / 10**9:.1f} GB are needed: make room"
        )
