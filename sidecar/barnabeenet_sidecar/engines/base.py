"""What an engine can do: one small Protocol per capability. Engines know neither the network nor the queue.

All audio is 16-bit signed little-endian mono PCM in `bytes`; recognition, voice activity and wake words take 16 kHz.
An engine that cannot work on this machine raises EngineUnavailable from `load`, one that breaks on a request raises
EngineFailed, one that is asked for what it does not have raises Unsupported.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
SAMPLE_BYTES = 2


@dataclass(frozen=True)
class EngineInfo:
    """What an engine says about itself in `info` and `doctor`; languages are BCP 47 tags."""

    name: str
    description: str
    version: str
    languages: Sequence[str]
    author: str
    url: str
    licence: str


class Engine(Protocol):
    """Shared by all engines: described at once, loaded once, closed once."""

    @property
    def info(self) -> EngineInfo:
        """Who this engine is; available before `load`."""

    async def load(self) -> None:
        """Loads and warms up, so that the first request is as fast as the next; raises EngineUnavailable."""

    async def close(self) -> None:
        """Frees everything, child processes included; safe to call twice."""


# Speech to text


@dataclass(frozen=True)
class Vocabulary:
    """What is said in a home: `sentences` with {list} slots, the values of `lists`, and bias words."""

    language: str
    revision: str
    names: Sequence[str] = ()
    terms: Sequence[str] = ()
    sentences: Sequence[str] = ()
    lists: dict[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class VocabularyReport:
    """What came of a vocabulary: words and sentences taken, and words nobody can pronounce."""

    words: int
    sentences: int
    unknown: Sequence[str] = ()


@dataclass(frozen=True)
class Transcription:
    """Recognised words; empty text when nothing, or nothing of the vocabulary, was said."""

    text: str
    confidence: float = 1.0


class Recognition(Protocol):
    """One utterance being recognised. `feed` never blocks; call `close` whatever happens."""

    def feed(self, pcm: bytes) -> None:
        """Takes the next 16 kHz audio."""

    async def partial(self) -> Transcription:
        """The words so far, cheap and provisional; of all audio fed before the call."""

    async def decode(self) -> Transcription:
        """The words of all audio fed so far, decoded as final; more may be fed and decoded again afterwards."""

    async def close(self) -> None:
        """Stops the work and frees its worker; safe to call twice."""


class SpeechToText(Engine, Protocol):
    """Turns speech into text."""

    async def set_vocabulary(self, home: str, vocabulary: Vocabulary) -> VocabularyReport:
        """Takes what is said in a home; recognitions that run keep the old one. Raises Unsupported for a language."""

    def vocabulary_revision(self, home: str) -> str | None:
        """The revision of the vocabulary held for a home."""

    async def recognise(self, language: str, home: str | None, bias: Sequence[str] = ()) -> Recognition:
        """Begins an utterance; `home` None takes the vocabulary set last. Waits for a free worker; raises Unsupported."""


# Text to speech


@dataclass(frozen=True)
class Voice:
    """A voice a person can choose."""

    name: str
    description: str
    language: str


class TextToSpeech(Engine, Protocol):
    """Turns text into speech."""

    @property
    def voices(self) -> Sequence[Voice]:
        """The voices that are here, known once loaded; the first of a language is its default."""

    @property
    def rate_hz(self) -> int:
        """The sample rate of the audio it makes."""

    def synthesise(self, text: str, voice: str | None, language: str | None) -> AsyncGenerator[bytes, None]:
        """Speaks a sentence or more, in chunks as they are made; closing the generator stops the work."""


# Voice activity and wake words


class VoiceActivityStream(Protocol):
    """One stream of audio being watched; cheap enough to call on the event loop."""

    def process(self, pcm: bytes) -> Sequence[float]:
        """Takes audio of any length; gives the speech probability of each whole frame that it completes."""


class VoiceActivity(Engine, Protocol):
    """Tells speech from everything else."""

    @property
    def frame_ms(self) -> int:
        """The length of a frame."""

    def stream(self) -> VoiceActivityStream:
        """Begins a stream."""


@dataclass(frozen=True)
class WakeWordModel:
    """A wake word that can be listened for; `name` is its id, `phrase` what a person says."""

    name: str
    phrase: str
    languages: Sequence[str]


@dataclass(frozen=True)
class WakeDetection:
    """A wake word was heard; `offset_ms` is its end, from the stream's beginning."""

    name: str
    offset_ms: int


class WakeWordStream(Protocol):
    """One stream of audio listened to for some wake words; cheap enough to call on the event loop."""

    def process(self, pcm: bytes) -> WakeDetection | None:
        """Takes audio of any length; gives the first wake word that it completes."""


class WakeWord(Engine, Protocol):
    """Hears wake words."""

    @property
    def models(self) -> Sequence[WakeWordModel]:
        """The wake words that are here, known once loaded; the first is the default."""

    def stream(self, names: Sequence[str] | None) -> WakeWordStream:
        """Begins a stream for some wake words (None: the default); raises Unsupported for an unknown one."""


# Meaning and voices


class TextEmbedding(Engine, Protocol):
    """Turns texts into points, so that what means the same can be found."""

    @property
    def dimensions(self) -> int:
        """The length of a point's vector."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Points on the unit sphere, shape (texts, dimensions): the scalar product of two is how alike they are.

        Raises BadRequest for too many or too long texts, EngineFailed.
        """


class VoicePrint(Engine, Protocol):
    """Tells voices apart."""

    async def embed(self, pcm: bytes, room: bytes = b"") -> NDArray[np.float32]:
        """A voice's point on the unit sphere, shape (256,): the scalar product of two is how alike they are.

        Takes 0.5 s to 60 s of 16 kHz speech without long silences, and what the room sounds like without it, if known;
        raises BadRequest for other audio, EngineFailed.
        """
