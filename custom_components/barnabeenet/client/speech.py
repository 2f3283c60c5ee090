"""Text to speech: text goes up as it is written while audio comes down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
import math
from typing import Any, Final

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.tts import SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped, SynthesizeVoice

from .audio import SAMPLE_BYTES, reading
from .connection import Connection
from .errors import SidecarTimeout
from .exchange import Exchange
from .messages import TEXT_MAX_CHARS, Timings
from .pool import Pool

# How long the next piece of text may take to be written.
TEXT_PAUSE_S: Final = 60.0
# How long after the end of the text the sidecar may take to get on with its audio.
AUDIO_S: Final = 15.0
# The slowest voice says a digit in a second; who sends more audio than the text can account for sends without end.
_LEAST_S: Final = 10
_S_PER_CHAR: Final = 1
_EVENT_LEAST_BYTES: Final = 256


class Speech:
    """Spoken text as it is made: 16-bit mono PCM of `rate_hz`, in chunks, to be iterated over once.

    `timings_ms` are the sidecar's stages, known when the audio has ended.
    """

    def __init__(self, text: AsyncIterable[str]) -> None:
        """`speak` makes and begins one."""
        self.rate_hz = 0
        self.timings_ms: dict[str, float] = {}
        self._text = text
        self._chars = 0
        self._audio_bytes = 0
        self._exchange: Exchange | None = None

    async def begin(self, exchange: Exchange) -> None:
        """Waits for the audio to begin; raises SidecarError."""
        event = await exchange.read()
        if not AudioStart.is_type(event.type):
            raise exchange.unexpected(event)
        self.rate_hz = event.data["rate"]
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The audio; raises SidecarError where it breaks off, and whatever the text raised."""
        exchange = self._exchange
        while exchange is not None and not exchange.finished:
            event = await exchange.read()
            if not self._accounted_for(event):
                raise exchange.unexpected(event)
            if AudioChunk.is_type(event.type):
                yield event.payload or b""
            elif Timings.is_type(event.type):
                self.timings_ms = Timings.from_event(event).stages
            elif SynthesizeStopped.is_type(event.type):
                exchange.finish()
            elif not AudioStop.is_type(event.type):
                raise exchange.unexpected(event)

    async def send_text(self, connection: Connection) -> None:
        """Sends the text as it comes; raises SidecarTimeout when it does not come, and whatever it raises."""
        async with reading(self._text) as pieces:
            while (piece := await next_piece(pieces)) is not None:
                for start in range(0, len(piece), TEXT_MAX_CHARS):
                    part = piece[start : start + TEXT_MAX_CHARS]
                    self._chars += len(part)
                    await connection.write(SynthesizeChunk(part).event())
        await connection.write(SynthesizeStop().event())

    def _accounted_for(self, event: Event) -> bool:
        """Whether audio of the announced rate goes on, and not for longer than the text can be spoken."""
        self._audio_bytes += max(len(event.payload or b""), _EVENT_LEAST_BYTES)
        longest_s = _LEAST_S + _S_PER_CHAR * self._chars
        return (
            event.data.get("rate", self.rate_hz) == self.rate_hz
            and self._audio_bytes <= longest_s * self.rate_hz * SAMPLE_BYTES
        )


async def next_piece(pieces: AsyncIterator[str]) -> str | None:
    """The next piece of a text, None at its end; raises SidecarTimeout when it does not come, and whatever it raises."""
    try:
        async with asyncio.timeout(TEXT_PAUSE_S):
            return await anext(pieces, None)
    except TimeoutError as error:
        raise SidecarTimeout(f"No more text to speak came for {TEXT_PAUSE_S:g} s") from error


@asynccontextmanager
async def speak(
    pool: Pool,
    text: AsyncIterable[str],
    *,
    voice: str | None,
    language: str | None,
    rate_hz: int | None,
    trace_id: str,
) -> AsyncIterator[Speech]:
    """See Sidecar.speak."""
    context: dict[str, Any] = {"trace_id": trace_id}
    if rate_hz is not None:
        context["rate"] = rate_hz
    request = SynthesizeStart(voice=SynthesizeVoice(name=voice, language=language), context=context)
    speech = Speech(text)
    async with pool.request(request.event(), speech.send_text, answer_s=AUDIO_S, events_max=math.inf) as exchange:
        await speech.begin(exchange)
        yield speech
