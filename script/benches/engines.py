"""The bare engines in the bench's own process, called without socket, queue or endpointing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
import time

from barnabeenet_sidecar.engines.espeak import Espeak
from barnabeenet_sidecar.engines.micro_wake_word import MicroWakeWord
from barnabeenet_sidecar.engines.pocketsphinx import PocketSphinx

from .client import CHUNK_BYTES, Heard, Spoken, paced
from .speech import VOCABULARY

HOME = "bench"


@dataclass(frozen=True)
class Bare:
    """Loaded engines, the recogniser with the bench's vocabulary."""

    stt: PocketSphinx
    tts: Espeak
    wake: MicroWakeWord

    async def speak(self, text: str) -> Spoken:
        """Speaks a text, whole."""
        started, first_ms, audio_bytes = time.perf_counter(), 0.0, 0
        async with aclosing(self.tts.synthesise(text, None, "en")) as chunks:
            async for pcm in chunks:
                first_ms = first_ms or _ms_since(started)
                audio_bytes += len(pcm)
        return Spoken(first_ms, _ms_since(started), audio_bytes)

    async def transcribe(self, pcm: bytes, *, pace: float) -> Heard:
        """Takes audio in as fast as it is spoken times `pace`, and decodes it at its end."""
        recognition = await self.stt.recognise("en", HOME)
        try:
            async for chunk in paced(pcm, pace):
                recognition.feed(chunk)
            started = time.perf_counter()
            found = await recognition.decode()
            return Heard(found.text, _ms_since(started))
        finally:
            await recognition.close()

    async def recognise(self, pcm: bytes) -> None:
        """Recognises audio that is all there."""
        recognition = await self.stt.recognise("en", HOME)
        try:
            recognition.feed(pcm)
            await recognition.decode()
        finally:
            await recognition.close()

    def watch(self, pcm: bytes) -> float:
        """Listens for a wake word; milliseconds for the last chunk."""
        stream = self.wake.stream(None)
        stream.process(pcm[:-CHUNK_BYTES])
        started = time.perf_counter()
        stream.process(pcm[-CHUNK_BYTES:])
        return _ms_since(started)


@asynccontextmanager
async def bare_engines(folder: Path) -> AsyncIterator[Bare]:
    """Engines for the length of the block, loaded; raises SidecarError."""
    bare = Bare(PocketSphinx(2, folder), Espeak(), MicroWakeWord())
    async with AsyncExitStack() as stack:
        for engine in (bare.stt, bare.tts, bare.wake):
            stack.push_async_callback(engine.close)
            await engine.load()
        await bare.stt.set_vocabulary(HOME, VOCABULARY)
        yield bare


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
