"""What recognisers share that hear an utterance as a whole: its audio is gathered and decoded again and again."""

from __future__ import annotations

from abc import ABC, abstractmethod
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
import logging
from typing import ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import BadRequest, EngineFailed, SidecarError, Unsupported
from .base import SAMPLE_BYTES, SAMPLE_RATE_HZ, EngineInfo, Transcription, Vocabulary, VocabularyReport
from .bias_words import BiasWords
from .device import CPU, Device, EngineOutOfMemory, failure
from .local_model import LocalModel
from .model_folder import ModelFolder
from .model_thread import Stop, Stopped, is_cancelled

_LOGGER = logging.getLogger(__name__)

UTTERANCE_MAX_S: Final = 60
_BYTES_PER_S: Final = SAMPLE_RATE_HZ * SAMPLE_BYTES
_SCALE: Final = np.float32(1 / 32_768)
_NOTHING: Final = Transcription("")
# Shorter audio holds no word, and features cannot be made of a single frame.
_AUDIO_MIN_S: Final = 0.1
# Nobody speaks below -60 dBFS, and models invent words for silence.
_AUDIBLE_PEAK: Final = 0.001

# Decoding takes a third of the audio's length on a weak processor; a model is hung that takes this much longer. Two
# utterances may be before this one.
_DECODE_S: Final = 10.0
_DECODE_S_PER_S: Final = 3.0


@dataclass(frozen=True)
class Speech:
    """What is to be recognised: 16 kHz samples from -1 to 1 in one of the decoder's languages, and words to prefer.

    `final` words deserve more care than provisional ones.
    """

    samples: NDArray[np.float32]
    language: str
    bias: tuple[str, ...] = ()
    final: bool = True


class Decoder(Protocol):
    """A loaded model. It blocks, and is used by one thread at a time."""

    @property
    def languages(self) -> Sequence[str]:
        """The BCP 47 tags of the languages it hears; the first is the default."""

    @property
    def placement(self) -> str:
        """How and where it computes, for people."""

    def transcribe(self, speech: Speech, stop: Stop) -> Transcription:
        """The words of an utterance."""


class BatchRecognition:
    """One utterance: audio gathered in memory, a minute at most."""

    def __init__(self, transcribe: Callable[[bytes, bool], Awaitable[Transcription]]) -> None:
        self._transcribe = transcribe
        self._audio = bytearray()
        self._work: set[asyncio.Future[Transcription]] = set()
        self._closed = False

    def feed(self, pcm: bytes) -> None:
        """Takes the next 16 kHz audio; raises BadRequest for half a sample or more than a minute in all."""
        if len(pcm) % SAMPLE_BYTES:
            raise BadRequest("audio must be whole 16-bit samples")
        if len(self._audio) + len(pcm) > UTTERANCE_MAX_S * _BYTES_PER_S:
            raise BadRequest(f"an utterance may last {UTTERANCE_MAX_S} s: end it earlier")
        if not self._closed:
            self._audio += pcm

    async def partial(self) -> Transcription:
        """The words so far, with as little work as the model can do; raises EngineFailed."""
        return await self._ask(final=False)

    async def decode(self) -> Transcription:
        """The words of all audio fed so far; raises EngineFailed."""
        return await self._ask(final=True)

    async def close(self) -> None:
        """Stops the decodes and forgets the audio; safe to call twice."""
        self._closed = True
        self._audio.clear()
        for work in self._work:
            work.cancel()

    async def _ask(self, *, final: bool) -> Transcription:
        if self._closed:
            raise EngineFailed("this recognition is closed: begin another")
        work = asyncio.ensure_future(self._transcribe(bytes(self._audio), final))
        self._work.add(work)
        work.add_done_callback(self._work.discard)
        try:
            return await work
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            raise EngineFailed("this recognition was closed") from None


class BatchSpeechToText(ABC):
    """A recogniser with one model, that one thread works with; utterances take turns, a decode each."""

    name: ClassVar[str]

    def __init__(self, model: ModelFolder) -> None:
        self._folder = model
        self._words = BiasWords()
        self._local: LocalModel[Decoder] = LocalModel(self.name, model)

    @property
    @abstractmethod
    def info(self) -> EngineInfo:
        """Who this engine is; the languages are known after `load`."""

    @abstractmethod
    def _device(self) -> Device:
        """Where the model can run; raises ImportError."""

    @abstractmethod
    def _open(self, device: Device) -> Decoder:
        """Loads the model, in its thread; raises ImportError, EngineUnavailable, or what the library raises."""

    @property
    def languages(self) -> Sequence[str]:
        """The BCP 47 tags of the languages it hears, known after `load`; the first is the default."""
        return self._local.model.languages if self._local.model else ("en",)

    @property
    def placement(self) -> str:
        """Where and in what precision it computes, for people; known after `load`."""
        return self._local.placement

    async def load(self) -> None:
        """Loads the model and runs it once; raises EngineUnavailable. May be called again after `close`."""
        await self._local.load(self._make)

    async def close(self) -> None:
        """Stops the decodes and frees the model; vocabularies stay. Safe to call twice."""
        await self._local.close()

    async def set_vocabulary(self, home: str, vocabulary: Vocabulary) -> VocabularyReport:
        """Takes the names and terms of a home as bias words; raises Unsupported for a language."""
        self._require(vocabulary.language)
        return self._words.take(home, vocabulary)

    def vocabulary_revision(self, home: str) -> str | None:
        """The revision of the vocabulary held for a home; the 16 homes that were set last are held."""
        return self._words.revision(home)

    async def recognise(self, language: str, home: str | None, bias: Sequence[str] = ()) -> BatchRecognition:
        """Begins an utterance; `home` None takes the vocabulary set last. Raises Unsupported for a language."""
        tag = self._require(language)
        return BatchRecognition(partial(self._transcribe, tag, self._words.words(home, bias)))

    def _require(self, language: str) -> str:
        """The tag that the decoder knows a language by: its own, or that of the language without the region."""
        wanted = language.replace("_", "-").lower()
        for tag in (wanted, wanted.partition("-")[0]):
            if tag in self.languages:
                return tag
        raise Unsupported(f"{self.name} does not understand {language[:64]!r}: choose another language or engine")

    async def _transcribe(self, language: str, bias: tuple[str, ...], pcm: bytes, final: bool) -> Transcription:
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) * _SCALE
        if len(samples) < _AUDIO_MIN_S * SAMPLE_RATE_HZ or np.abs(samples).max() < _AUDIBLE_PEAK:
            return _NOTHING
        speech = Speech(samples, language, bias, final)
        deadline_s = _DECODE_S + _DECODE_S_PER_S * len(pcm) / _BYTES_PER_S
        return await self._local.run(lambda decoder, stop: decoder.transcribe(speech, stop), deadline_s=deadline_s)

    def _make(self, stop: Stop) -> Decoder:
        device = self._device()
        try:
            return self._open_and_warm(device, stop)
        except (ImportError, SidecarError, Stopped):
            raise
        except Exception as error:
            if device.kind == "cpu" or isinstance(failure(self.name, error), EngineOutOfMemory):
                raise
            _LOGGER.warning("%s does not run on %s: it takes the processor", self.name, device, exc_info=True)
        return self._open_and_warm(CPU, stop)

    def _open_and_warm(self, device: Device, stop: Stop) -> Decoder:
        decoder = self._open(device)
        # The GPU's libraries are only looked for at the first call.
        noise = np.random.default_rng(0).normal(scale=0.01, size=SAMPLE_RATE_HZ).astype(np.float32)
        decoder.transcribe(Speech(noise, decoder.languages[0]), stop)
        return decoder
