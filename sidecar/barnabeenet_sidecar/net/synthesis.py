"""The requests `synthesize` and `synthesize-start`: text in, one stream of audio out, sentence by sentence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
import time

from sentence_stream import async_stream_to_sentences
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.tts import SynthesizeStopped

from ..audio.pcm import Resampler
from ..engines.base import SAMPLE_BYTES, TextToSpeech
from ..errors import BadRequest
from ..gpu.queue import Priority
from .messages import TEXT_MAX_CHARS, Timings, trace_id_of
from .request import Request, Write
from .turns import Turns, of_synthesis

_CHUNK_MS = 250


class Synthesis(Request):
    """Speaks a text, whole or as it arrives.

    A reply is one `audio-start` ... `audio-stop` however many sentences it has. Nothing is made ahead of a client that
    does not read. Stages: `first_audio`, from the first whole sentence to its first audio, `audio`, to the last, and
    `queue`, how long both waited for turns on the engine.
    """

    kind = "synthesize"

    def __init__(self, event: Event, engine: TextToSpeech, turns: Turns, write: Write) -> None:
        super().__init__()
        self._engine, self._turns, self._write = engine, turns, write
        voice = event.data.get("voice") or {}
        self._voice, self._language = voice.get("name") or None, voice.get("language") or None
        self._trace_id = trace_id_of(event)
        self._rate_hz: int = (event.data.get("context") or {}).get("rate") or engine.rate_hz
        self._resampler = Resampler(engine.rate_hz, self._rate_hz)
        self._text: asyncio.Queue[str | None] = asyncio.Queue()
        self._chars_left = TEXT_MAX_CHARS
        self._streamed = event.type == "synthesize-start"
        self._started: float | None = None
        self._first_audio_at: float | None = None
        self._made_s = 0.0
        if not self._streamed:
            self._take(event.data["text"])
            self._take(None)

    async def feed(self, event: Event) -> None:
        """Takes more text; raises BadRequest when the reply grows longer than one in one piece may be."""
        if event.type == "synthesize-chunk":
            self._take(event.data["text"])
        elif event.type == "synthesize-stop":
            self._take(None)

    def _take(self, text: str | None) -> None:
        self._chars_left -= len(text or "")
        if self._chars_left < 0:
            raise BadRequest(f"a reply may have {TEXT_MAX_CHARS} characters: send the rest as another")
        self._text.put_nowait(text)

    async def run(self) -> Sequence[Event]:
        """Speaks sentence after sentence."""
        async for sentence in async_stream_to_sentences(self._text_so_far()):
            self._started = self._started or time.perf_counter()
            await self._speak(sentence)
        await self._send(self._resampler.finish())
        await self._start_audio()
        if self._started is not None:
            self.stages["audio"] = (time.perf_counter() - self._started) * 1000
            self.stages["queue"] = self._turns.waited_ms
        closing = [AudioStop().event(), Timings(self._trace_id, self.stages).event()]
        return [*closing, SynthesizeStopped().event()] if self._streamed else closing

    async def _text_so_far(self) -> AsyncIterator[str]:
        while (text := await self._text.get()) is not None:
            yield text

    async def _speak(self, sentence: str) -> None:
        async with aclosing(self._engine.synthesise(sentence, self._voice, self._language)) as chunks:
            while True:
                # Held while the engine works, not while a slow client reads.
                async with self._turns.turn(self._priority(sentence)):
                    pcm = await self._next(chunks)
                if not pcm:
                    return
                self._made_s += len(pcm) / SAMPLE_BYTES / self._engine.rate_hz
                await self._send_pieces(pcm)

    async def _next(self, chunks: AsyncGenerator[bytes, None]) -> bytes:
        """The first audio as soon as there is any, the rest in larger pieces; nothing at the end."""
        least = self._engine.rate_hz * _CHUNK_MS // 1000 * SAMPLE_BYTES if self._first_audio_at else 1
        made = b""
        while len(made) < least and (pcm := await anext(chunks, None)) is not None:
            made += pcm
        return made

    def _priority(self, sentence: str) -> Priority:
        ahead_s = None
        if self._first_audio_at is not None:
            ahead_s = self._made_s - (time.perf_counter() - self._first_audio_at)
        reply_chars = TEXT_MAX_CHARS - self._chars_left
        return of_synthesis(reply_chars=reply_chars, sentence_chars=len(sentence), ahead_s=ahead_s)

    async def _send_pieces(self, pcm: bytes) -> None:
        step = self._engine.rate_hz * _CHUNK_MS // 1000 * SAMPLE_BYTES
        for start in range(0, len(pcm), step):
            await self._send(self._resampler.feed(pcm[start : start + step]))

    async def _send(self, pcm: bytes) -> None:
        if pcm:
            await self._start_audio()
            await self._write(AudioChunk(self._rate_hz, SAMPLE_BYTES, 1, pcm).event())

    async def _start_audio(self) -> None:
        """Begins the one stream of audio, once; also when the text had nothing to speak, so that the client gets an end."""
        if self._first_audio_at is not None:
            return
        self._first_audio_at = time.perf_counter()
        self.stages["first_audio"] = (self._first_audio_at - (self._started or self._first_audio_at)) * 1000
        await self._write(AudioStart(self._rate_hz, SAMPLE_BYTES, 1).event())
