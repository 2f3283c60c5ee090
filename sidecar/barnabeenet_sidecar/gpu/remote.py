"""Engines that live in the engine process, for those who know only the Protocols of engines/base."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
import dataclasses
from functools import partial
import json
from typing import Any, Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ..engines.base import (
    SAMPLE_BYTES,
    SAMPLE_RATE_HZ,
    EngineInfo,
    TextEmbedding,
    TextToSpeech,
    Transcription,
    Vocabulary,
    VocabularyReport,
    Voice,
)
from ..engines.batch_speech_to_text import BatchRecognition
from ..engines.bias_words import BiasWords
from ..engines.model_folder import ModelFolder
from ..engines.speakable import SENTENCE_MAX_CHARS
from ..errors import EngineFailed, Unsupported
from .child_protocol import Answer
from .hosted import Described, EngineName, make_engine

_BYTES_PER_S: Final = SAMPLE_RATE_HZ * SAMPLE_BYTES


@dataclasses.dataclass(frozen=True)
class _Deadline:
    """How long an answer may take, from the size of a request: seconds of audio, characters, texts."""

    least_s: float
    s_per_unit: float

    def of(self, size: float) -> float:
        return self.least_s + self.s_per_unit * size


# A GPU that takes longer hangs. On a processor just less than the engines' own deadlines, after which a thread would
# go on that can only be ended with its process.
_TRANSCRIBE: Final = {False: _Deadline(6.0, 0.5), True: _Deadline(9.5, 3.0)}
_SYNTHESISE: Final = {False: _Deadline(6.0, 0.02), True: _Deadline(19.0, 0.2)}
_EMBED: Final = {False: _Deadline(6.0, 0.05), True: _Deadline(19.0, 1.0)}


class Host(Protocol):
    """Who has the engine process; `EngineHost` is the real one."""

    def stream(
        self, engine: EngineName, method: str, value: Mapping[str, Any], payload: bytes, deadline_s: float
    ) -> AsyncGenerator[Answer, None]:
        """The answers of an engine, loaded if need be; raises as `EngineLife.stream`."""

    async def loaded(self, engine: EngineName) -> None:
        """Waits until the host has started; raises EngineUnavailable when the engine cannot be loaded."""

    async def ensure(self, engine: EngineName) -> Described:
        """Has the engine loaded, if it never was; raises as `stream`."""

    def described(self, engine: EngineName) -> Described | None:
        """What the engine said when it was last loaded."""


class _Remote:
    """What proxies share."""

    def __init__(self, host: Host, name: EngineName, model: ModelFolder) -> None:
        self._host, self._name = host, name
        # Never loaded: it knows who it is.
        self._engine = make_engine(name, model)

    @property
    def info(self) -> EngineInfo:
        """Who this engine is; its languages, and its model in its version, are known when it has been loaded once."""
        described = self._host.described(self._name)
        info = self._engine.info
        if described is None:
            return info
        version = f"{info.version}, {described.model} {described.version}"
        return dataclasses.replace(info, languages=described.languages, version=version)

    async def load(self) -> None:
        """Waits until the engine process is ready; raises EngineUnavailable when this engine cannot be loaded there."""
        await self._host.loaded(self._name)

    async def close(self) -> None:
        """Nothing is here to be freed: the host does that when it is closed."""

    def _deadline_s(self, deadlines: Mapping[bool, _Deadline], size: float) -> float:
        described = self._host.described(self._name)
        return deadlines[described is None or described.on_cpu].of(size)

    async def _call(self, method: str, value: Mapping[str, Any], payload: bytes, deadline_s: float) -> Answer:
        async with aclosing(self._host.stream(self._name, method, value, payload, deadline_s)) as answers:
            async for answer in answers:
                return answer
        raise EngineFailed(f"{self._name} gave no answer")


class RemoteSpeechToText(_Remote):
    """A recogniser; the words of homes stay here, so that a new process needs none of them."""

    def __init__(self, host: Host, name: EngineName, model: ModelFolder) -> None:
        super().__init__(host, name, model)
        self._words = BiasWords()

    async def set_vocabulary(self, home: str, vocabulary: Vocabulary) -> VocabularyReport:
        """Takes the names and terms of a home as bias words; raises Unsupported for a language, once they are known."""
        if described := self._host.described(self._name):
            self._require(described, vocabulary.language)
        return self._words.take(home, vocabulary)

    def vocabulary_revision(self, home: str) -> str | None:
        """The revision of the vocabulary held for a home; the 16 homes that were set last are held."""
        return self._words.revision(home)

    async def recognise(self, language: str, home: str | None, bias: Sequence[str] = ()) -> BatchRecognition:
        """Begins an utterance; `home` None takes the vocabulary set last. Raises Unsupported for a language.

        The first one waits until a model is loaded that is not loaded at start, and raises EngineUnavailable.
        """
        described = self._host.described(self._name) or await self._host.ensure(self._name)
        tag = self._require(described, language)
        return BatchRecognition(partial(self._transcribe, tag, self._words.words(home, bias)))

    def _require(self, described: Described, language: str) -> str:
        wanted = language.replace("_", "-").lower()
        for tag in (wanted, wanted.partition("-")[0]):
            if tag in described.languages:
                return tag
        raise Unsupported(f"{self._name} does not understand {language[:64]!r}: choose another language or engine")

    async def _transcribe(self, language: str, bias: tuple[str, ...], pcm: bytes, final: bool) -> Transcription:
        value = {"language": language, "bias": bias, "final": final}
        deadline_s = self._deadline_s(_TRANSCRIBE, len(pcm) / _BYTES_PER_S)
        said = (await self._call("transcribe", value, pcm, deadline_s)).value
        return Transcription(said["text"], said["confidence"])


class RemoteTextToSpeech(_Remote):
    """A voice."""

    @property
    def voices(self) -> Sequence[Voice]:
        """The voices that are there, known when it has been loaded once."""
        described = self._host.described(self._name)
        return described.voices if described else ()

    @property
    def rate_hz(self) -> int:
        """The sample rate of the audio it makes."""
        return cast(TextToSpeech, self._engine).rate_hz

    async def synthesise(self, text: str, voice: str | None, language: str | None) -> AsyncGenerator[bytes, None]:
        """Speaks, in chunks as they are made; closing the generator stops the work. Raises what the engine raises."""
        value = {"text": text, "voice": voice, "language": language}
        deadline_s = self._deadline_s(_SYNTHESISE, min(len(text), SENTENCE_MAX_CHARS))
        async with aclosing(self._host.stream(self._name, "synthesise", value, b"", deadline_s)) as answers:
            async for answer in answers:
                yield answer.payload


class RemoteEmbedding(_Remote):
    """What sentences mean."""

    @property
    def dimensions(self) -> int:
        """The length of a point's vector."""
        return cast(TextEmbedding, self._engine).dimensions

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Points on the unit sphere, shape (texts, dimensions); raises BadRequest, EngineFailed."""
        payload = json.dumps(list(texts), ensure_ascii=False).encode(errors="replace")
        answer = await self._call("embed", {}, payload, self._deadline_s(_EMBED, len(texts)))
        return np.frombuffer(answer.payload, "<f4").reshape(answer.value["shape"]).astype(np.float32, copy=False)
