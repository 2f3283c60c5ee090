"""Speech by espeak-ng: robotic, tiny, in more than a hundred languages; first audio within a millisecond."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from importlib.metadata import version
import threading

from ..audio.silence import SilenceTrimmer
from ..errors import EngineFailed, EngineUnavailable
from .base import EngineInfo, Voice
from .espeak_library import SPEAKING_RATE_WPM, EspeakError, EspeakLibrary, library
from .espeak_voices import EspeakVoices
from .speakable import sentences


class Espeak:
    """One thread speaks for everybody, a sentence at a time in turn, because the library knows only one speaker."""

    def __init__(self) -> None:
        self._library: EspeakLibrary | None = None
        self._voices = EspeakVoices(())
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="espeak")
        self._closed = threading.Event()

    @property
    def info(self) -> EngineInfo:
        """Who this engine is."""
        return EngineInfo(
            name="espeak",
            description="eSpeak NG: small formant synthesiser",
            version=self._library.version if self._library else version("espeakng-loader"),
            languages=[voice.language for voice in self.voices],
            author="eSpeak NG contributors",
            url="https://github.com/espeak-ng/espeak-ng",
            licence="GPL-3.0-or-later",
        )

    @property
    def voices(self) -> Sequence[Voice]:
        """The voices that are here, known after `load`; the default first."""
        return self._voices.catalogue

    @property
    def rate_hz(self) -> int:
        """The sample rate of the audio it makes; 22050 with the usual data."""
        return self._library.rate_hz if self._library else 22_050

    async def load(self) -> None:
        """Loads the library and its voices and speaks a word for warmth; raises EngineUnavailable."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._warm)
        except (ImportError, OSError, RuntimeError) as error:
            raise EngineUnavailable(f"espeak-ng cannot be loaded ({error}): pip install espeakng-loader") from error

    async def close(self) -> None:
        """Stops what is spoken and ends the thread."""
        self._closed.set()
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    async def synthesise(self, text: str, voice: str | None, language: str | None) -> AsyncGenerator[bytes, None]:
        """Speaks in chunks of about 60 ms as they are made; closing the iterator stops the work.

        Raises Unsupported for an unknown voice or language, BadRequest for too long a text, and EngineFailed.
        """
        if self._library is None or self._closed.is_set():
            raise EngineFailed("espeak-ng is not running")
        identifier = self._voices.choose(voice, language)
        for sentence in sentences(text):
            trimmer = SilenceTrimmer(self.rate_hz)
            async with aclosing(self._speak(self._library, sentence, identifier)) as chunks:
                async for chunk in chunks:
                    if pcm := trimmer.feed(chunk):
                        yield pcm
            if pcm := trimmer.finish():
                yield pcm

    async def _speak(self, espeak: EspeakLibrary, sentence: str, identifier: str) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        stopped = threading.Event()

        def hand_over(pcm: bytes) -> bool:
            loop.call_soon_threadsafe(chunks.put_nowait, pcm)
            return not (stopped.is_set() or self._closed.is_set())

        job = self._thread.submit(espeak.speak, sentence, identifier, SPEAKING_RATE_WPM, hand_over)
        ended = asyncio.wrap_future(job)
        ended.add_done_callback(lambda _: chunks.put_nowait(None))
        try:
            while (pcm := await chunks.get()) is not None:
                yield pcm
            if self._closed.is_set():
                raise EngineFailed("espeak-ng is shutting down")
            ended.result()
        except EspeakError as error:
            raise EngineFailed(f"espeak-ng broke: {error}") from error
        finally:
            # The thread must be done with this loop before the caller goes on; the next buffer stops it.
            stopped.set()
            job.cancel()
            await asyncio.gather(ended, return_exceptions=True)

    def _warm(self) -> None:
        espeak = library()
        self._voices = EspeakVoices(espeak.voices())
        espeak.speak("ready", self._voices.choose(None, None), SPEAKING_RATE_WPM, lambda _pcm: True)
        self._library = espeak
