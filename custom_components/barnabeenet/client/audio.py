"""Audio cut into what goes into one frame."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

SAMPLE_RATE_HZ: Final = 16_000
SAMPLE_BYTES: Final = 2
PIECE_MS: Final = 120
PIECE_BYTES: Final = SAMPLE_RATE_HZ * SAMPLE_BYTES * PIECE_MS // 1000

ItemT = TypeVar("ItemT")


class Pieces:
    """Cuts 16 kHz 16-bit mono audio of any chunk size into pieces of whole samples, at most PIECE_MS each."""

    def __init__(self) -> None:
        self._half_sample = b""

    def cut(self, audio: bytes) -> Iterator[bytes]:
        """The pieces that this audio completes; half a sample waits for the next call."""
        audio = self._half_sample + audio
        whole = len(audio) - len(audio) % SAMPLE_BYTES
        self._half_sample = audio[whole:]
        for start in range(0, whole, PIECE_BYTES):
            yield audio[start : min(start + PIECE_BYTES, whole)]


@asynccontextmanager
async def reading(source: AsyncIterable[ItemT]) -> AsyncIterator[AsyncIterator[ItemT]]:
    """Iterates over a stream and closes it afterwards, where it can be closed."""
    iterator = aiter(source)
    try:
        yield iterator
    finally:
        if (aclose := getattr(iterator, "aclose", None)) is not None:
            await aclose()
