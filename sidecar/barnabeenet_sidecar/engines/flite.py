"""Speech by the `flite` program: English only, clearer than espeak-ng; one short-lived process per sentence."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
import io
import os
import re
import shutil
from typing import Final

from ..audio.pcm import resample, wav_read
from ..audio.silence import SilenceTrimmer
from ..errors import BadRequest, EngineFailed, EngineUnavailable, Unsupported
from .base import EngineInfo, Voice
from .plain_english import plain_english
from .speakable import sentences

_RATE_HZ: Final = 16_000
# A sentence takes some 50 ms; one that takes this long never ends.
_SENTENCE_S: Final = 10.0
_SENTENCE_MAX_S: Final = 300.0
_ADVICE: Final = "apt-get install flite"
# The default first. Left out: kal (8 kHz; kal16 is the same person) and awb_time (says the time only).
_VOICES: Final = (
    Voice("slt", "US English, female", "en-US"),
    Voice("rms", "US English, male", "en-US"),
    Voice("awb", "Scottish English, male", "en-GB"),
    Voice("kal16", "US English, male, older and rougher", "en-US"),
)


class Flite:
    """As many processes at once as there are cores; killed when their listener goes away."""

    def __init__(self) -> None:
        self._program: str | None = None
        self._version = "unknown"
        self._voices: Sequence[Voice] = ()
        self._slots = asyncio.Semaphore(os.cpu_count() or 1)
        self._running: set[Process] = set()

    @property
    def info(self) -> EngineInfo:
        """Who this engine is."""
        return EngineInfo(
            name="flite",
            description="CMU Flite: small and fast English synthesiser",
            version=self._version,
            languages=list(dict.fromkeys(voice.language for voice in self._voices or _VOICES)),
            author="Carnegie Mellon University",
            url="https://github.com/festvox/flite",
            licence="CMU Flite licence (BSD-like)",
        )

    @property
    def voices(self) -> Sequence[Voice]:
        """The voices that are here, known after `load`; the default first."""
        return self._voices

    @property
    def rate_hz(self) -> int:
        """The sample rate of the audio it makes."""
        return _RATE_HZ

    async def load(self) -> None:
        """Finds the program and its voices and speaks a word; raises EngineUnavailable."""
        self._program = shutil.which("flite")
        if self._program is None:
            raise EngineUnavailable(f"the flite program is not installed: {_ADVICE}")
        try:
            listed = (await self._run("-lv")).decode(errors="replace").split()
            version = re.search(rb"flite-([0-9.]+)", await self._run("--version"))
            self._version = version[1].decode() if version else "unknown"
            self._voices = [voice for voice in _VOICES if voice.name in listed]
            await self._speak("ready", self._choose(None, None))
        except EngineFailed as error:
            await self.close()
            raise EngineUnavailable(f"the flite program does not work ({error}): {_ADVICE}") from error

    async def close(self) -> None:
        """Kills what still speaks."""
        self._program = None
        for process in self._running:
            _kill(process)

    async def synthesise(self, text: str, voice: str | None, language: str | None) -> AsyncGenerator[bytes, None]:
        """Speaks, a whole sentence in each chunk; closing the iterator kills the process.

        Raises Unsupported for an unknown voice or another language, BadRequest for too long a text, and EngineFailed.
        """
        name = self._choose(voice, language)
        for sentence in sentences(plain_english(text)):
            trimmer = SilenceTrimmer(_RATE_HZ)
            if pcm := trimmer.feed(await self._speak(sentence, name)) + trimmer.finish():
                yield pcm

    def _choose(self, name: str | None, language: str | None) -> str:
        if not self._voices:
            raise EngineFailed("flite has no voices")
        if name is not None:
            if any(voice.name == name for voice in self._voices):
                return name
            known = ", ".join(voice.name for voice in self._voices)
            raise Unsupported(f"flite has no voice {name[:64]!r}: take one of {known}")
        wanted = (language or "en").lower().replace("_", "-")
        if wanted.split("-")[0] != "en":
            raise Unsupported(f"flite speaks English only, not {wanted[:64]!r}")
        exact = (voice.name for voice in self._voices if voice.language.lower() == wanted)
        return next(exact, self._voices[0].name)

    async def _speak(self, sentence: str, voice: str) -> bytes:
        """One sentence at 16 kHz; its silence not yet trimmed."""
        output = await self._run("-voice", voice, "-t", sentence, "-o", "/dev/stdout")
        try:
            pcm = wav_read(io.BytesIO(output), limit_s=_SENTENCE_MAX_S)
        except BadRequest as error:
            raise EngineFailed(f"flite broke on a sentence: {error}") from error
        return resample(pcm.data, pcm.rate_hz, _RATE_HZ)

    async def _run(self, *arguments: str) -> bytes:
        """What the program prints; raises EngineFailed when it hangs, crashes or cannot be started."""
        async with self._slots, self._process(arguments) as process:
            try:
                async with asyncio.timeout(_SENTENCE_S):
                    output, _ = await process.communicate()
            except TimeoutError:
                raise EngineFailed(f"flite did not end within {_SENTENCE_S:g} s") from None
            if process.returncode is None or process.returncode < 0:
                raise EngineFailed("flite was killed")
            return output

    @asynccontextmanager
    async def _process(self, arguments: Sequence[str]) -> AsyncGenerator[Process, None]:
        """A process that is gone when the block is left."""
        if self._program is None:
            raise EngineFailed("flite is not running")
        try:
            process = await asyncio.create_subprocess_exec(
                self._program, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
            )
        except OSError as error:
            raise EngineFailed(f"flite cannot be started: {error}") from error
        self._running.add(process)
        try:
            yield process
        finally:
            _kill(process)
            await process.wait()
            self._running.discard(process)


def _kill(process: Process) -> None:
    if process.returncode is None:
        process.kill()
