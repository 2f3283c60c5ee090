"""Speech that was made before, kept on disk under what it was made of; the least recently used goes first."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
import hashlib
import logging
import os
from pathlib import Path
import re
import stat
import threading
from typing import Final

_LOGGER = logging.getLogger(__name__)

CACHE_MAX_BYTES: Final = 64 * 1024 * 1024
SPEECH_MAX_BYTES: Final = 4 * 1024 * 1024

# To be changed with whatever this sidecar does to the audio of an engine.
_FORM: Final = b"barnabeenet speech 1\n"
_DIGEST_BYTES: Final = hashlib.sha256().digest_size
_HEADER_BYTES: Final = len(_FORM) + _DIGEST_BYTES
_NAME: Final = re.compile(r"[0-9a-f]{64}\.speech")
_UNFINISHED: Final = re.compile(r"\.[0-9a-f]{64}\.new")


@dataclass(frozen=True)
class SpeechKey:
    """What some speech was made of; `version` is that of the engine and its model."""

    engine: str
    version: str
    voice: str
    rate_hz: int
    text: str

    def digest(self) -> bytes:
        """A name that tells nothing about the text."""
        # No field holds a NUL, so no two keys read alike.
        parts = (self.engine, self.version, self.voice, str(self.rate_hz), self.text)
        return hashlib.sha256("\0".join(parts).encode()).digest()


class SpeechCache:
    """Keeps 16-bit mono PCM in a folder of its own, or nothing without a folder.

    Never raises: what cannot be read is missing, what cannot be written is not kept, which is logged once. All methods
    block; they may be called from several threads.
    """

    def __init__(self, folder: Path | None, *, max_bytes: int = CACHE_MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] | None = None  # the least recently used first
        self._told = False

    def get(self, key: SpeechKey) -> bytes | None:
        """The speech, if it is here whole; a file that is damaged or was made of something else is removed."""
        if self._folder is None:
            return None
        digest = key.digest()
        path = self._folder / _name(digest)
        with self._lock:
            sizes = self._index(self._folder)
            try:
                pcm = _read(path, digest)
            except FileNotFoundError:
                sizes.pop(path.name, None)
                return None
            except OSError as error:
                self._tell(error)
                return None
            except ValueError as error:
                _LOGGER.warning("%s is made anew: %s", path, error)
                self._remove(self._folder, path.name)
                return None
            sizes.move_to_end(path.name)
            with suppress(OSError):
                os.utime(path)  # the order outlives this process
            return pcm

    def put(self, key: SpeechKey, pcm: bytes) -> None:
        """Keeps some speech; what was used least recently makes room."""
        if self._folder is None or _HEADER_BYTES + len(pcm) > min(SPEECH_MAX_BYTES, self._max_bytes):
            return
        digest = key.digest()
        with self._lock:
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._write(self._folder, _name(digest), _FORM + _seal(digest, pcm) + pcm)
            except OSError as error:
                self._tell(error)

    def _write(self, folder: Path, name: str, content: bytes) -> None:
        sizes = self._index(folder)
        unfinished = folder / f".{name.removesuffix('.speech')}.new"
        try:
            unfinished.write_bytes(content)
            unfinished.replace(folder / name)
        except OSError:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        sizes[name] = len(content)
        sizes.move_to_end(name)
        while sum(sizes.values()) > self._max_bytes:
            self._remove(folder, next(iter(sizes)))

    def _index(self, folder: Path) -> OrderedDict[str, int]:
        """What is here, read once; what a crash left unfinished is removed."""
        if self._sizes is not None:
            return self._sizes
        found: list[tuple[int, str, int]] = []
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if _NAME.fullmatch(entry.name):
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime_ns, entry.name, status.st_size))
                elif _UNFINISHED.fullmatch(entry.name):
                    Path(entry.path).unlink()
        self._sizes = OrderedDict((name, size) for _, name, size in sorted(found))
        return self._sizes

    def _remove(self, folder: Path, name: str) -> None:
        self._index(folder).pop(name, None)
        with suppress(OSError):
            (folder / name).unlink()

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            _LOGGER.warning(
                "no speech is kept in %s (%s): quick words are made anew for everybody", self._folder, error
            )


def _name(digest: bytes) -> str:
    return f"{digest.hex()}.speech"


def _seal(digest: bytes, pcm: bytes) -> bytes:
    """Holds the audio and what it was made of together."""
    return hashlib.sha256(digest + pcm).digest()


def _read(path: Path, digest: bytes) -> bytes:
    """The audio of a file; raises OSError, and ValueError when it is not what was written."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode) or not _HEADER_BYTES < status.st_size <= SPEECH_MAX_BYTES:
        raise ValueError("it is no speech")
    content = path.read_bytes()
    form, seal, pcm = content[: len(_FORM)], content[len(_FORM) : _HEADER_BYTES], content[_HEADER_BYTES:]
    if form != _FORM or seal != _seal(digest, pcm):
        raise ValueError("it is damaged or not of this version")
    return pcm
