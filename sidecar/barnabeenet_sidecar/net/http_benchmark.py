"""`POST /benchmark`: how fast the loaded engines are, on a sentence that the sidecar says and hears itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
import time
from typing import Final, TypeAlias, TypeVar

import numpy as np

from ..audio.pcm import duration_ms, resample
from ..engines.base import (
    SAMPLE_BYTES,
    SAMPLE_RATE_HZ,
    Engine,
    SpeechToText,
    TextEmbedding,
    TextToSpeech,
    VoiceActivity,
    VoicePrint,
    WakeWord,
)
from ..engines.catalogue import Engines, Slot
from ..errors import SidecarError
from ..gpu.queue import Kind, Priority, WorkQueue
from ..telemetry.latency import summarise
from .http_answers import HttpRefused

SENTENCE: Final = "turn on the kitchen light"
ROUNDS: Final = 3
_LANGUAGE: Final = "en"
_PIECE_BYTES: Final = SAMPLE_RATE_HZ * SAMPLE_BYTES // 5
# What is heard when there is no voice to say the sentence.
_NOISE_S: Final = 2
_NOISE_LEVEL: Final = 3000

EngineT = TypeVar("EngineT", bound=Engine)
Figures: TypeAlias = dict[str, object]


class Benchmark:
    """Measures one engine after the other, each call in a turn of the lowest priority; one benchmark at a time."""

    def __init__(self, engines: Engines, queue: WorkQueue, *, within_s: float) -> None:
        self._engines, self._queue, self._within_s = engines, queue, within_s
        self._is_running = False

    async def run(self) -> Figures:
        """Milliseconds, real-time factors and what was heard, by engine; raises HttpRefused while another one runs.

        When the time is over, the answer holds what was measured until then.
        """
        if self._is_running:
            raise HttpRefused(409, "busy", "a benchmark is running already: wait for its answer")
        self._is_running, is_whole, started = True, True, time.perf_counter()
        measurement = _Measurement(self._queue)
        try:
            async with asyncio.timeout(self._within_s):
                await measurement.of(self._engines)
        except TimeoutError:
            is_whole = False
        finally:
            self._is_running = False
        return {
            "said": SENTENCE,
            "rounds": ROUNDS,
            "took_s": round(time.perf_counter() - started, 2),
            "whole": is_whole,
            "engines": measurement.figures,
        }


class _Measurement:
    """One benchmark; `figures` are there as they are found."""

    def __init__(self, queue: WorkQueue) -> None:
        self.figures: dict[str, Figures] = {}
        self._queue = queue
        noise = np.random.default_rng(0).normal(0, _NOISE_LEVEL, _NOISE_S * SAMPLE_RATE_HZ)
        self._speech = noise.astype("<i2").tobytes()

    async def of(self, engines: Engines) -> None:
        """Measures what is loaded; speech first, as the others listen to it."""
        await self._measure(engines.tts, self._say)
        await self._measure(engines.stt, self._hear)
        await self._measure(engines.vad, self._watch)
        await self._measure(engines.wake, self._wake)
        await self._measure(engines.embedding, self._embed)
        await self._measure(engines.voice_print, self._print)

    async def _measure(self, slot: Slot[EngineT], measure: Callable[[EngineT, Figures], Awaitable[None]]) -> None:
        if not slot.ready:
            return
        figures = self.figures[slot.kind] = {"engine": slot.name}
        try:
            await measure(slot.get(), figures)
        except SidecarError as err:
            figures["error"] = str(err)

    async def _say(self, engine: TextToSpeech, figures: Figures) -> None:
        first_ms: list[float] = []
        speech = bytearray()

        async def say() -> None:
            started = time.perf_counter()
            speech.clear()
            async with aclosing(engine.synthesise(SENTENCE, None, _LANGUAGE)) as chunks:
                async for pcm in chunks:
                    if not speech:
                        first_ms.append((time.perf_counter() - started) * 1000)
                    speech.extend(pcm)

        await self._time(say, figures, Kind.SYNTHESIS, lambda: duration_ms(bytes(speech), engine.rate_hz))
        figures["first_audio_ms"] = round(summarise(first_ms).p50_ms, 2)
        self._speech = await asyncio.to_thread(resample, bytes(speech), engine.rate_hz, SAMPLE_RATE_HZ)

    async def _hear(self, engine: SpeechToText, figures: Figures) -> None:
        async def hear() -> None:
            recognition = await engine.recognise(_LANGUAGE, None)
            try:
                recognition.feed(self._speech)
                figures["heard"] = (await recognition.decode()).text
            finally:
                await recognition.close()

        await self._time(hear, figures, Kind.RECOGNITION, self._speech_ms)

    async def _watch(self, engine: VoiceActivity, figures: Figures) -> None:
        await self._listen(lambda: engine.stream().process, figures)

    async def _wake(self, engine: WakeWord, figures: Figures) -> None:
        await self._listen(lambda: engine.stream(None).process, figures)

    async def _listen(self, begin: Callable[[], Callable[[bytes], object]], figures: Figures) -> None:
        """Feeds a stream that works on the event loop, in pieces between which others have their turn."""

        async def listen() -> None:
            process = begin()
            for start in range(0, len(self._speech), _PIECE_BYTES):
                process(self._speech[start : start + _PIECE_BYTES])
                await asyncio.sleep(0)

        await self._time(listen, figures, Kind.RECOGNITION, self._speech_ms)

    async def _embed(self, engine: TextEmbedding, figures: Figures) -> None:
        await self._time(lambda: engine.embed([SENTENCE]), figures, Kind.RECOGNITION)

    async def _print(self, engine: VoicePrint, figures: Figures) -> None:
        await self._time(lambda: engine.embed(self._speech), figures, Kind.RECOGNITION, self._speech_ms)

    def _speech_ms(self) -> float:
        return duration_ms(self._speech, SAMPLE_RATE_HZ)

    async def _time(
        self,
        once: Callable[[], Awaitable[object]],
        figures: Figures,
        kind: Kind,
        audio_ms: Callable[[], float] | None = None,
    ) -> None:
        """Waits are not counted. The real-time factor is the share of the audio's own length that the work takes."""
        times_ms = []
        for _ in range(ROUNDS):
            async with self._queue.turn(Priority.LONG, kind):
                started = time.perf_counter()
                await once()
                times_ms.append((time.perf_counter() - started) * 1000)
        summary = summarise(times_ms)
        figures |= {"median_ms": round(summary.p50_ms, 2), "max_ms": round(summary.max_ms, 2)}
        if audio_ms is not None:
            length_ms = audio_ms()
            figures |= {"audio_ms": round(length_ms), "real_time_factor": round(summary.p50_ms / length_ms, 4)}
