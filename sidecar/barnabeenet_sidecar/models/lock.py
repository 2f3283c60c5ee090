"""One changer of a model's files at a time, over all processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
from pathlib import Path

from .errors import ModelBusy, ModelError


@contextmanager
def locked(path: Path, model: str) -> Iterator[None]:
    """Holds a lock that ends with the process at the latest; raises ModelBusy at once when another holds it, ModelError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("w")
    except OSError as err:
        raise ModelError(f"{path} cannot be written: {err.strerror}") from err
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelBusy(f"{model} is being pulled or removed right now: wait until that is done") from None
        yield
