"""Speech to text: audio goes up while provisional words come down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
import logging
from typing import Final, TypeAlias

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.vad import VoiceStarted, VoiceStopped

from .audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, Pieces, reading
from .connection import Connection
from .messages import MessageError, Partial, Timings, VoiceHeard
from .pool import Pool

_LOGGER = logging.getLogger(__name__)

UTTERANCE_MAX_S: Final = 60.0
# How long after the end of the audio the sidecar may take to get on with its answer.
TRANSCRIPT_S: Final = 15.0

OnPartial: TypeAlias = Callable[[Partial], Awaitable[bool]]

_WITHOUT_WORDS = frozenset({VoiceStarted().event().type, VoiceStopped().event().type})


@dataclass(frozen=True)
class Voice:
    """How the speaker's voice sounded: a point on the unit sphere, empty when too little of it was heard.

    `speech_ms` is how much speech it was heard in, `snr_db` how far that stood above the noise. Points of different
    engines cannot be compared.
    """

    engine: str
    vector: tuple[float, ...] = field(repr=False)
    speech_ms: float
    snr_db: float


@dataclass(frozen=True)
class Transcription:
    """The words of an utterance, empty when nothing was understood; how long the sidecar's stages took.

    `voice` is None when it was not asked for or the sidecar could not tell it (in time).
    """

    text: str
    language: str | None
    timings_ms: dict[str, float]
    voice: Voice | None = None


async def transcribe(
    pool: Pool,
    audio: AsyncIterable[bytes],
    *,
    language: str,
    trace_id: str,
    bias: Sequence[str] = (),
    on_partial: OnPartial | None = None,
    voice: bool = False,
) -> Transcription:
    """See Sidecar.transcribe."""
    context = {"trace_id": trace_id} | ({"voice": True} if voice else {})
    request = Transcribe(language=language, transcript_names=list(bias) if bias else None, context=context)
    timings_ms: dict[str, float] = {}
    heard: Voice | None = None
    async with pool.request(
        request.event(), lambda connection: _send(connection, audio), answer_s=TRANSCRIPT_S
    ) as exchange:
        while True:
            event = await exchange.read()
            if Transcript.is_type(event.type):
                exchange.finish()
                return Transcription(event.data["text"], event.data.get("language"), timings_ms, heard)
            if Timings.is_type(event.type):
                timings_ms = Timings.from_event(event).stages
            elif Partial.is_type(event.type):
                if on_partial is not None and await on_partial(Partial.from_event(event)):
                    on_partial = None
                    await exchange.send_last(AudioStop().event())
            elif VoiceHeard.is_type(event.type) and voice:
                heard = _voice(event)
            elif event.type not in _WITHOUT_WORDS:
                raise exchange.unexpected(event)


def _voice(event: Event) -> Voice | None:
    """None when the sidecar tells nonsense: nobody's words are lost for their voice."""
    try:
        heard = VoiceHeard.from_event(event)
    except MessageError as error:
        _LOGGER.warning("The sidecar tells of a voice that cannot be: %s", error)
        return None
    return Voice(heard.engine, heard.vector(), heard.speech_ms, heard.snr_db)


async def _send(connection: Connection, audio: AsyncIterable[bytes]) -> None:
    """Streams the audio, at most UTTERANCE_MAX_S of it; what comes too late is left out."""
    await connection.write(AudioStart(SAMPLE_RATE_HZ, SAMPLE_BYTES, 1).event())
    pieces = Pieces()
    bytes_left = int(UTTERANCE_MAX_S * SAMPLE_RATE_HZ) * SAMPLE_BYTES
    try:
        async with asyncio.timeout(UTTERANCE_MAX_S), reading(audio) as chunks:
            async for chunk in chunks:
                for piece in pieces.cut(chunk[:bytes_left]):
                    await connection.write(AudioChunk(SAMPLE_RATE_HZ, SAMPLE_BYTES, 1, piece).event())
                bytes_left -= len(chunk)
                if bytes_left <= 0:
                    break
    except TimeoutError:
        pass  # the sidecar makes what it can of what was said until here
    await connection.write(AudioStop().event())
