"""Engines of one capability in a row: all are loaded, the first does the work, the next one takes over when it fails.

A chain is itself an engine of that capability. It loads when one of its engines does; the others are left out with a
line that says why.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
import logging
import time
from typing import Final, Generic, TypeVar

from ..audio.pcm import Resampler
from ..errors import EngineFailed, EngineUnavailable, SidecarError, Unsupported
from ..telemetry.content import Content
from ..telemetry.logs import HARMLESS
from .base import (
    Engine,
    EngineInfo,
    Recognition,
    SpeechToText,
    TextToSpeech,
    Transcription,
    Vocabulary,
    VocabularyReport,
    Voice,
)
from .speakable import sentences

_LOGGER = logging.getLogger(__name__)

HOMES_MAX: Final = 16
EngineT = TypeVar("EngineT", bound=Engine)
# What the next engine may be able to do; anything else is the request's own fault.
_MOVES_ON: Final = (EngineFailed, EngineUnavailable, Unsupported)

# Told each time an engine hands a request to the next: the names of both.
OnFallback = Callable[[str, str], None]


class _Chain(Generic[EngineT]):
    """The engines that loaded, in the order of preference, and why others did not."""

    def __init__(
        self,
        engines: Sequence[EngineT],
        absent: Mapping[str, str] | None = None,
        on_fallback: OnFallback = lambda _failed, _next: None,
    ) -> None:
        """`absent` are the engines that should stand before these and are not here, and why."""
        self._wanted = engines
        self._engines: Sequence[EngineT] = ()
        self._on_fallback = on_fallback
        self.problems = dict(absent or {})

    @property
    def engines(self) -> Sequence[EngineT]:
        """Those that loaded; before `load`, those that are wanted."""
        return self._engines or self._wanted

    @property
    def info(self) -> EngineInfo:
        """The first engine, with the languages of all."""
        languages = dict.fromkeys(language for engine in self.engines for language in engine.info.languages)
        return replace(self.engines[0].info, languages=list(languages))

    async def load(self) -> None:
        """Loads all side by side; raises EngineUnavailable when none can be loaded, and says why of each."""
        loaded = await asyncio.gather(*(self._load(engine) for engine in self._wanted))
        self._engines = [engine for engine in loaded if engine is not None]
        if not self._engines:
            raise EngineUnavailable("; ".join(f"{name}: {problem}" for name, problem in self.problems.items()))
        first = self._engines[0].info.name
        for name, problem in self.problems.items():
            _LOGGER.warning("%s is left out, %s does its work: %s", name, first, problem)

    async def close(self) -> None:
        """Frees all; safe to call twice."""
        self._engines = ()
        await asyncio.gather(*(engine.close() for engine in self._wanted))

    async def _load(self, engine: EngineT) -> EngineT | None:
        name, started = engine.info.name, time.perf_counter()
        try:
            await engine.load()
        except SidecarError as error:
            self.problems[name] = str(error)
        except Exception as error:
            _LOGGER.exception("%s broke while it loaded", name, extra=HARMLESS)
            self.problems[name] = f"it broke while it loaded: {error!r}"
        else:
            _LOGGER.info("%s is ready after %.0f ms", name, (time.perf_counter() - started) * 1000)
            return engine
        await engine.close()
        return None

    def _moved_on(self, failed: EngineT, error: SidecarError, following: EngineT) -> None:
        names = failed.info.name, following.info.name
        if not isinstance(error, Unsupported):
            _LOGGER.warning("%s could not do it (%s): %s takes over", names[0], Content(error), names[1])
            self._on_fallback(*names)


class SpeechToTextChain(_Chain[SpeechToText]):
    """Recognises with the first engine that can; an utterance moves on with all of its audio."""

    def __init__(
        self,
        engines: Sequence[SpeechToText],
        absent: Mapping[str, str] | None = None,
        on_fallback: OnFallback = lambda _failed, _next: None,
    ) -> None:
        super().__init__(engines, absent, on_fallback)
        self.vocabularies: OrderedDict[str, Vocabulary] = OrderedDict()  # the one set last comes last

    async def set_vocabulary(self, home: str, vocabulary: Vocabulary) -> VocabularyReport:
        """Gives a home's vocabulary to each engine that takes it; raises what the last refused it for if none does.

        The report is that of the engine that takes the most sentences. The 16 homes that were set last are kept.
        """
        reports: list[VocabularyReport] = []
        refusal: SidecarError | None = None
        for engine in self.engines:
            try:
                reports.append(await engine.set_vocabulary(home, vocabulary))
            except SidecarError as error:
                refusal = error
        if not reports:
            raise refusal or EngineUnavailable("no recogniser is loaded")
        self.vocabularies.pop(home, None)
        self.vocabularies[home] = vocabulary
        if len(self.vocabularies) > HOMES_MAX:
            self.vocabularies.popitem(last=False)
        return max(reports, key=lambda report: report.sentences)

    def vocabulary_revision(self, home: str) -> str | None:
        """The revision of the vocabulary held for a home."""
        held = self.vocabularies.get(home)
        return held.revision if held else None

    async def recognise(self, language: str, home: str | None, bias: Sequence[str] = ()) -> Recognition:
        """Begins an utterance with the first engine that can; raises what the last one refused it for."""
        if len(self.engines) == 1:
            return await self.engines[0].recognise(language, home, bias)
        recognition = _MovingRecognition(
            self.engines, lambda engine: engine.recognise(language, home, bias), self._moved_on
        )
        await recognition.begin()
        return recognition


class _MovingRecognition:
    """An utterance that keeps its audio, so that another engine can take it over."""

    def __init__(
        self,
        engines: Sequence[SpeechToText],
        begin: Callable[[SpeechToText], Awaitable[Recognition]],
        moved_on: Callable[[SpeechToText, SidecarError, SpeechToText], None],
    ) -> None:
        self._left = list(engines)
        self._begin, self._moved_on = begin, moved_on
        self._audio = bytearray()
        self._recognition: Recognition | None = None
        self._closed = False

    async def begin(self) -> None:
        """Begins with the first engine that can, with all audio so far; raises what the last refused it for."""
        while self._left:
            engine = self._left[0]
            try:
                recognition = await self._begin(engine)
                recognition.feed(bytes(self._audio))
            except _MOVES_ON as error:
                self._give_up(error)
            else:
                self._recognition = recognition
                return

    def feed(self, pcm: bytes) -> None:
        """Takes the next 16 kHz audio; raises BadRequest as the engine does."""
        if self._recognition is not None:
            self._recognition.feed(pcm)
        self._audio += pcm

    async def partial(self) -> Transcription:
        """The words so far; none while another engine takes over."""
        try:
            return await self._current().partial()
        except EngineFailed as error:
            await self._move_on(error)
            return Transcription("")

    async def decode(self) -> Transcription:
        """The words of all audio fed so far, by the first engine that gives any answer."""
        while True:
            try:
                return await self._current().decode()
            except EngineFailed as error:
                await self._move_on(error)

    async def close(self) -> None:
        """Stops the work; safe to call twice."""
        self._closed = True
        recognition, self._recognition = self._recognition, None
        self._audio.clear()
        if recognition is not None:
            await recognition.close()

    def _current(self) -> Recognition:
        if self._recognition is None:
            raise EngineFailed("this recognition is closed: begin another")
        return self._recognition

    async def _move_on(self, error: EngineFailed) -> None:
        failed, self._recognition = self._recognition, None
        if self._closed or failed is None:
            raise error
        await failed.close()
        self._give_up(error)
        await self.begin()

    def _give_up(self, error: SidecarError) -> None:
        """The first engine that is left has failed; raises its error when it was the last."""
        failed = self._left.pop(0)
        if not self._left:
            raise error
        self._moved_on(failed, error, self._left[0])


class TextToSpeechChain(_Chain[TextToSpeech]):
    """Speaks with the first engine that has the voice or language; moves on at a sentence that has no audio yet."""

    @property
    def voices(self) -> Sequence[Voice]:
        """The voices of all engines; of two with one name the first."""
        found: dict[str, Voice] = {}
        for voice in (voice for engine in self._engines for voice in engine.voices):
            found.setdefault(voice.name, voice)
        return list(found.values())

    @property
    def rate_hz(self) -> int:
        """The sample rate of the first engine; what another one says is converted to it."""
        return self.engines[0].rate_hz

    async def synthesise(self, text: str, voice: str | None, language: str | None) -> AsyncGenerator[bytes, None]:
        """Speaks, in chunks as they are made; closing the generator stops the work.

        Raises Unsupported when no engine has the voice or language, BadRequest for too long a text, and EngineFailed.
        """
        left = self._in_order(voice)
        for sentence in sentences(text):
            while True:
                is_silent = True
                try:
                    async with aclosing(self._speak(left[0], sentence, voice, language)) as chunks:
                        async for pcm in chunks:
                            is_silent = False
                            yield pcm
                    break
                except _MOVES_ON as error:
                    if len(left) == 1 or not is_silent:
                        raise
                    self._moved_on(left[0], error, left[1])
                    left = left[1:]

    def _in_order(self, voice: str | None) -> Sequence[TextToSpeech]:
        """Who has the voice goes first, the others speak in its stead."""
        if not self._engines:
            raise EngineFailed("no synthesiser is loaded")
        return sorted(self._engines, key=lambda engine: not _has(engine, voice)) if voice else self._engines

    async def _speak(
        self, engine: TextToSpeech, sentence: str, voice: str | None, language: str | None
    ) -> AsyncGenerator[bytes, None]:
        if voice and not _has(engine, voice) and any(_has(other, voice) for other in self._engines):
            language = next(each.language for each in self.voices if each.name == voice)
            voice = None
        resampler = Resampler(engine.rate_hz, self.rate_hz)
        async with aclosing(engine.synthesise(sentence, voice, language)) as chunks:
            async for pcm in chunks:
                if converted := resampler.feed(pcm):
                    yield converted
        if rest := resampler.finish():
            yield rest


def _has(engine: TextToSpeech, name: str | None) -> bool:
    return any(voice.name == name for voice in engine.voices)
