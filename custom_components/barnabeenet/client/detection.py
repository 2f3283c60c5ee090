"""Wake words: audio goes up until one is heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.wake import Detect, Detection as DetectionEvent, NotDetected

from .audio import PIECE_MS, SAMPLE_BYTES, SAMPLE_RATE_HZ, Pieces
from .connection import Connection
from .pool import Pool

# Home Assistant cuts audio into 10 ms, and a frame costs both sides the same whatever is in it. A model looks at four
# steps of 30 ms in so much.
GATHERED_MS: Final = 120
_GATHERED_BYTES: Final = SAMPLE_RATE_HZ * SAMPLE_BYTES * GATHERED_MS // 1000


@dataclass(frozen=True)
class Detection:
    """A wake word was heard, at this time of the audio's own timestamps.

    `queued_audio` was taken from the stream and not listened to: it belongs to the command that follows.
    """

    name: str
    timestamp_ms: int | None
    queued_audio: list[tuple[bytes, int]] = field(default_factory=list)


async def detect(
    pool: Pool, audio: AsyncIterable[tuple[bytes, int]], *, names: Sequence[str] | None, trace_id: str
) -> Detection | None:
    """See Sidecar.detect."""
    request = Detect(names=list(names) if names else None, context={"trace_id": trace_id})
    async with _Microphone(audio) as microphone, pool.request(request.event(), microphone.send) as exchange:
        event = await exchange.read()
        if not DetectionEvent.is_type(event.type) and not NotDetected.is_type(event.type):
            raise exchange.unexpected(event)
        exchange.finish()
    if NotDetected.is_type(event.type):
        return None
    return Detection(event.data.get("name") or "", event.data.get("timestamp"), microphone.unheard)


class _Microphone:
    """Reads a stream that others go on reading: a read that has begun is waited for, not cancelled.

    Cancelling it would end the stream under the speech recognition that comes after the wake word.
    """

    def __init__(self, audio: AsyncIterable[tuple[bytes, int]]) -> None:
        self._audio = aiter(audio)
        self._pieces = Pieces()
        # Taken from the stream and not sent yet.
        self._gathered: list[tuple[bytes, int]] = []
        self._reading: asyncio.Task[tuple[bytes, int] | None] | None = None

    @property
    def unheard(self) -> list[tuple[bytes, int]]:
        """What was taken from the stream and not sent."""
        return self._gathered

    async def send(self, connection: Connection) -> None:
        """Streams to the sidecar; may be cancelled."""
        await connection.write(AudioStart(SAMPLE_RATE_HZ, SAMPLE_BYTES, 1).event())
        while (chunk := await self._next()) is not None:
            self._gathered.append(chunk)
            if sum(len(audio) for audio, _ in self._gathered) >= _GATHERED_BYTES:
                await self._send_gathered(connection)
        await self._send_gathered(connection)
        await connection.write(AudioStop().event())

    async def _send_gathered(self, connection: Connection) -> None:
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        _, timestamp_ms = gathered[0]
        for index, piece in enumerate(self._pieces.cut(b"".join(audio for audio, _ in gathered))):
            at_ms = timestamp_ms + index * PIECE_MS
            await connection.write(AudioChunk(SAMPLE_RATE_HZ, SAMPLE_BYTES, 1, piece, at_ms).event())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Waits for the read that has begun; raises what it raised unless something else is being raised."""
        if self._reading is None:
            return
        if isinstance(error, asyncio.CancelledError):
            # The pipeline itself ends: nobody reads on, and a satellite that has gone sends nothing more to wait for.
            self._reading.cancel()
        await asyncio.wait({self._reading})
        if self._reading.cancelled():
            return
        failure = self._reading.exception()
        if failure is None:
            if (chunk := self._reading.result()) is not None:
                self._gathered.append(chunk)
        elif error is None:
            raise failure

    async def _next(self) -> tuple[bytes, int] | None:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="barnabeenet microphone")
        await asyncio.wait({self._reading})
        reading, self._reading = self._reading, None
        return reading.result()

    async def _read(self) -> tuple[bytes, int] | None:
        return await anext(self._audio, None)
