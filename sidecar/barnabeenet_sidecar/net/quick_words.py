"""The `barnabeenet-quick-words` request: short replies as audio, for a home to hold in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
import time
from typing import Any, Final, TypeAlias

from wyoming.event import Event

from ..audio.pcm import resample
from ..audio.silence import SilenceTrimmer
from ..audio.speech_cache import SpeechCache, SpeechKey
from ..engines.base import SAMPLE_BYTES, TextToSpeech, Voice
from ..engines.chain import TextToSpeechChain
from ..errors import BadRequest, EngineFailed, EngineUnavailable, SidecarError, Unsupported
from .messages import NAME_MAX_CHARS, QuickWords, QuickWordsReady
from .request import Request, Write
from .wire import PAYLOAD_MAX_BYTES

# A turn on the engines for a piece of work that nobody stands and waits for.
Turn: TypeAlias = Callable[[], AbstractAsyncContextManager[object]]

# What cannot be spoken at all is held as this much silence.
_SILENCE_MS: Final = 10


@dataclass(frozen=True)
class _Speaker:
    """An engine and the one of its voices that is meant."""

    engine: TextToSpeech
    voice: str

    @property
    def version(self) -> str:
        info = self.engine.info
        return f"{info.name} {info.version}"[:NAME_MAX_CHARS]

    def key(self, text: str, rate_hz: int) -> SpeechKey:
        info = self.engine.info
        return SpeechKey(info.name, info.version, self.voice, rate_hz, text)


class QuickWordSpeech(Request):
    """Answers what the cache has at once and the rest as it is made; each answer names the voice that really spoke.

    Stage: `audio`, to the end of all.
    """

    kind = "quick-words"

    def __init__(self, event: Event, engine: TextToSpeech, cache: SpeechCache, turn: Turn, write: Write) -> None:
        super().__init__()
        message = QuickWords.from_event(event)
        self._texts = list(dict.fromkeys(message.texts))
        self._speakers = list(_speakers(engine, message.voice, message.language))
        self._rate_hz = message.rate or engine.rate_hz
        self._cache, self._turn, self._write = cache, turn, write
        self._said_by = self._speakers[0]
        self._words: list[tuple[str, bytes]] = []

    async def run(self) -> Sequence[Event]:
        """Speaks text after text."""
        started = time.perf_counter()
        held = await asyncio.to_thread(self._held)
        for text, pcm in held.items():
            await self._add(self._speakers[0], text, pcm)
        for text in self._texts:
            if text not in held:
                await self._send()
                await self._add(*await self._make(text))
        self.stages["audio"] = (time.perf_counter() - started) * 1000
        return [self._ready(last=True)]

    def _held(self) -> dict[str, bytes]:
        """What the cache has in the first speaker's voice."""
        keys = {text: self._speakers[0].key(text, self._rate_hz) for text in self._texts}
        return {text: pcm for text, key in keys.items() if (pcm := self._cache.get(key)) is not None}

    async def _make(self, text: str) -> tuple[_Speaker, str, bytes]:
        """Speaks a text by the first speaker that can; raises SidecarError when none can."""
        problem: SidecarError | None = None
        for speaker in self._speakers:
            key = speaker.key(text, self._rate_hz)
            if pcm := await asyncio.to_thread(self._cache.get, key):
                return speaker, text, pcm
            try:
                spoken = await self._speak(speaker, text)
            except (EngineFailed, EngineUnavailable, Unsupported) as error:
                problem = error
                continue
            pcm = await asyncio.to_thread(_prepare, spoken, speaker.engine.rate_hz, self._rate_hz)
            if len(pcm) > PAYLOAD_MAX_BYTES:
                raise BadRequest(f"a quick word may have {PAYLOAD_MAX_BYTES} bytes of audio: synthesize longer ones")
            await asyncio.to_thread(self._cache.put, key, pcm)
            return speaker, text, pcm
        raise problem or EngineFailed("no synthesiser is loaded")

    async def _speak(self, speaker: _Speaker, text: str) -> bytes:
        async with self._turn(), aclosing(speaker.engine.synthesise(text, speaker.voice, None)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def _add(self, speaker: _Speaker, text: str, pcm: bytes) -> None:
        if speaker != self._said_by or sum(len(said) for _, said in self._words) + len(pcm) > PAYLOAD_MAX_BYTES:
            await self._send()
        self._said_by = speaker
        self._words.append((text, pcm))

    async def _send(self) -> None:
        if self._words:
            await self._write(self._ready(last=False))
            self._words.clear()

    def _ready(self, *, last: bool) -> Event:
        words: list[dict[str, Any]] = [{"text": text, "bytes": len(pcm)} for text, pcm in self._words]
        return QuickWordsReady(
            voice=self._said_by.voice,
            version=self._said_by.version,
            rate=self._rate_hz,
            words=words,
            last=last,
            payload=b"".join(pcm for _, pcm in self._words),
        ).event()


def _prepare(pcm: bytes, from_hz: int, rate_hz: int) -> bytes:
    """Speech without the silence around it, at another rate."""
    trimmer = SilenceTrimmer(from_hz)
    speech = trimmer.feed(pcm) + trimmer.finish()
    return resample(speech, from_hz, rate_hz) if speech else bytes(rate_hz * _SILENCE_MS // 1000 * SAMPLE_BYTES)


def _speakers(engine: TextToSpeech, voice: str | None, language: str) -> Iterator[_Speaker]:
    """Who can speak, in the order of a chain: who has the voice goes first; raises Unsupported when nobody can."""
    engines = list(engine.engines) if isinstance(engine, TextToSpeechChain) else [engine]
    if voice is not None:
        wanted = next((each for engine in engines for each in engine.voices if each.name == voice), None)
        if wanted is None:
            raise Unsupported(f"no synthesiser here has the voice {voice[:64]!r}")
        language = wanted.language
        engines.sort(key=lambda engine: wanted not in engine.voices)
    nobody = True
    for each in engines:
        name = voice if any(known.name == voice for known in each.voices) else _default(each.voices, language)
        if name is not None:
            nobody = False
            yield _Speaker(each, name)
    if nobody:
        raise Unsupported(f"no synthesiser here speaks {language[:64]!r}")


def _default(voices: Sequence[Voice], language: str) -> str | None:
    """The first voice of a language, else of the language as it is spoken where it comes from, else anywhere."""
    wanted = language.lower().replace("_", "-")
    primary = wanted.partition("-")[0]
    spoken = {voice.language.lower(): voice.name for voice in reversed(voices)}
    alike = next((voice.name for voice in voices if voice.language.lower().partition("-")[0] == primary), None)
    return spoken.get(wanted) or spoken.get(primary) or spoken.get(f"{primary}-{primary}") or alike
