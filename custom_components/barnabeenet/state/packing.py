"""Packs and unpacks a file: zstd where this Python has it, else gzip; what is packed is read again and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import gzip
import hashlib
from importlib import import_module
import os
from pathlib import Path
import shutil
from typing import IO, Any, Final
import zlib

from .errors import CopyFailed, StateError, Unavailable


def _optional(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


# Since Python 3.14, and there an optional part.
zstd: Final = _optional("compression.zstd")

CHUNK_BYTES: Final = 1024 * 1024
ZSTD_SUFFIX: Final = ".zst"
GZIP_SUFFIX: Final = ".gz"
SUFFIX: Final = GZIP_SUFFIX if zstd is None else ZSTD_SUFFIX
_BROKEN: Final[tuple[type[Exception], ...]] = (
    *(OSError, EOFError, zlib.error),
    *(() if zstd is None else (zstd.ZstdError,)),
)


def pack(source: Path, target: Path, check: Callable[[], None]) -> None:
    """Writes a packed source to a target, durable and the owner's alone, and compares; raises StateError.

    `check` is called for each megabyte and may raise to end it. The target is there whole or not at all.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        try:
            digest = _pack(source, part, check)
        except OSError as error:
            raise unwritable(target, error) from error
        if digest != _digest(_unpacked(part, target.suffix), check):
            raise CopyFailed(f"The copy {target} is not what was written: look at the health of the disk")
        part.rename(target)
        sync_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)


def unpack(source: Path, target: Path, check: Callable[[], None]) -> None:
    """Writes what is packed to a target; raises CopyFailed for a broken source, Unavailable when it is not the source."""
    with _new(target) as file:
        for chunk in _unpacked(source, source.suffix):
            check()
            try:
                file.write(chunk)
            except OSError as error:
                raise unwritable(target, error) from error
        _flush(file, target)


def room_for(size: int, folder: Path) -> None:
    """Raises Unavailable when so many bytes do not fit into a folder."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise Unavailable(
            f"{folder} has no room: {size // 1024} KiB are needed and {free // 1024} KiB are free. Make room first"
        )


def sync_folder(folder: Path) -> None:
    """Makes sure that what was renamed or moved in a folder stays so when the power goes; raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unwritable(path: Path, error: OSError) -> StateError:
    """What to tell of a file that cannot be written."""
    return Unavailable(f"{path} cannot be written ({error.strerror}): check the disk and the rights of its folder")


def _pack(source: Path, part: Path, check: Callable[[], None]) -> bytes:
    digest = hashlib.sha256()
    with source.open("rb") as read, _new(part) as file:
        with _packer(file) as packed:
            while chunk := read.read(CHUNK_BYTES):
                check()
                digest.update(chunk)
                packed.write(chunk)
        _flush(file, part)
    return digest.digest()


def _packer(file: IO[bytes]) -> Any:
    if zstd is None:
        return gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6)
    # With a checksum, so that years later a changed byte is noticed.
    return zstd.ZstdFile(file, "wb", options={zstd.CompressionParameter.checksum_flag: 1})


def _unpacked(source: Path, suffix: str) -> Iterator[bytes]:
    if suffix == ZSTD_SUFFIX and zstd is None:
        # The copy may be good: it is not passed over for an older one, or for none.
        raise Unavailable(f"The copy {source} is packed with zstd, which this Python does not have")
    try:
        with source.open("rb") as raw:
            packed: Any = zstd.ZstdFile(raw, "rb") if suffix == ZSTD_SUFFIX else gzip.GzipFile(fileobj=raw, mode="rb")
            with packed:
                while chunk := packed.read(CHUNK_BYTES):
                    yield chunk
    except _BROKEN as error:
        raise CopyFailed(f"The copy {source} cannot be read: {error}") from error


def _digest(chunks: Iterator[bytes], check: Callable[[], None]) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks:
        check()
        digest.update(chunk)
    return digest.digest()


def _new(path: Path) -> IO[bytes]:
    """An empty file for the owner alone; raises Unavailable."""
    try:
        path.unlink(missing_ok=True)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as error:
        raise unwritable(path, error) from error


def _flush(file: IO[bytes], path: Path) -> None:
    try:
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from error
