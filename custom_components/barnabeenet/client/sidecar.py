"""A paired sidecar, as the platforms see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
import logging
from typing import Final

from wyoming.info import Info

from . import detection, embedding, models, quick_words, speech, transcription
from .connection import Address, Connection
from .detection import Detection
from .embedding import Points
from .errors import SidecarError
from .info import describe
from .messages import ModelProgress, Partial, Vocabulary, VocabularyReady, Welcome
from .models import Action, Model, OnProgress, Stock
from .pool import Pool
from .quick_words import OnWords, SpokenWords
from .speech import Speech
from .transcription import OnPartial, Transcription, Voice

__all__ = [
    "Address",
    "Detection",
    "Identity",
    "Model",
    "ModelProgress",
    "Partial",
    "Points",
    "Sidecar",
    "Speech",
    "SpokenWords",
    "Stock",
    "Transcription",
    "Vocabulary",
    "Voice",
    "probe",
]

_LOGGER = logging.getLogger(__name__)

START_S: Final = 5.0
# Building a language model from a large home's vocabulary takes its time.
VOCABULARY_S: Final = 60.0


@dataclass(frozen=True)
class Identity:
    """Which sidecar answers: `sidecar_id` stays the same wherever it moves."""

    sidecar_id: str
    name: str
    software: str


def _identity(welcome: Welcome) -> Identity:
    return Identity(welcome.sidecar, welcome.name, welcome.software)


async def probe(address: Address, token: str, *, home: str, software: str) -> tuple[Identity, Info]:
    """Connects once to see who answers and what it can do; raises SidecarError."""
    connection = await Connection.open(address, token, home=home, software=software)
    try:
        return _identity(connection.welcome), await describe(connection)
    finally:
        await connection.close()


class Sidecar:
    """Looks after the connections to a sidecar and talks to it.

    Every method raises SidecarError alone, besides what the streams and callbacks given to it raise, and has a deadline.
    A sidecar that is out of reach is looked for until `close`; meanwhile requests fail at once.
    """

    def __init__(self, address: Address, token: str, *, home: str, software: str) -> None:
        """`home` is the name under which the sidecar keeps this home's vocabulary; does nothing before `start`."""
        self.address = address
        self._token = token
        self._home = home
        self._software = software
        self._identity: Identity | None = None
        self._info: Info | None = None
        self._voice_engine: str | None = None
        self._pool = Pool(self._open, self._publish)
        self._listeners: list[Callable[[], None]] = []
        self._published: object = None
        self._vocabulary: Vocabulary | None = None
        self._held_revision: str | None = None
        self._vocabulary_lock = asyncio.Lock()
        self._vocabulary_due = asyncio.Event()
        self._vocabulary_task: asyncio.Task[None] | None = None

    @property
    def identity(self) -> Identity | None:
        """Who answered last."""
        return self._identity

    @property
    def info(self) -> Info | None:
        """What the sidecar said last about what it can do."""
        return self._info

    @property
    def voice_engine(self) -> str | None:
        """What the sidecar tells voices apart with, as far as it said last; None when it cannot."""
        return self._voice_engine

    @property
    def available(self) -> bool:
        """Whether the sidecar is within reach."""
        return self._pool.error is None

    @property
    def error(self) -> SidecarError | None:
        """Why the sidecar is out of reach; None when it is not."""
        return self._pool.error

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls the listener once after every change of the properties above; returns how to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def start(self) -> None:
        """Begins to look after the connections; returns when the first attempt has ended, well or not."""
        self._vocabulary_task = asyncio.create_task(self._keep_vocabulary(), name="barnabeenet vocabulary")
        await self._pool.start(START_S)

    async def close(self) -> None:
        """Ends all connections and whatever runs on them; safe to call twice."""
        if self._vocabulary_task is not None:
            self._vocabulary_task.cancel()
            await asyncio.wait({self._vocabulary_task})
        await self._pool.close()

    async def set_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Has the sidecar know what is said in this home, now or as soon as it is within reach.

        Raises SidecarError when it is within reach and does not take it.
        """
        self._vocabulary = vocabulary
        if self.available:
            await self._send_vocabulary()

    async def transcribe(
        self,
        audio: AsyncIterable[bytes],
        *,
        language: str,
        trace_id: str,
        bias: Sequence[str] = (),
        on_partial: OnPartial | None = None,
        voice: bool = False,
    ) -> Transcription:
        """The words of 16 kHz 16-bit mono audio, in chunks of any size; at most 60 s of it are heard.

        Returns as soon as the sidecar hears the end of speech; the stream is closed then. `bias` are names that are
        likely to be said. When `on_partial` answers true, what was said so far is the whole utterance. With `voice` it
        tells how the speaker's voice sounded, too, if that is known when the words are.
        """
        return await transcription.transcribe(
            self._pool, audio, language=language, trace_id=trace_id, bias=bias, on_partial=on_partial, voice=voice
        )

    def speak(
        self,
        text: AsyncIterable[str],
        *,
        voice: str | None,
        language: str | None,
        rate_hz: int | None,
        trace_id: str,
    ) -> AbstractAsyncContextManager[Speech]:
        """Speaks a text while it is being written; entered when the first audio is there, left early to stop.

        A voice goes before a language; `rate_hz` (8000 to 48000) is the sample rate wanted, None the voice's own.
        """
        return speech.speak(self._pool, text, voice=voice, language=language, rate_hz=rate_hz, trace_id=trace_id)

    async def quick_words(
        self, texts: Sequence[str], *, language: str, voice: str | None, rate_hz: int | None, on_words: OnWords
    ) -> None:
        """Has short replies (64 at most) spoken, to be held in memory; returns when all have come.

        A voice goes before a language; `rate_hz` (8000 to 48000) is the sample rate wanted, None the voice's own.
        `on_words` is called with what the sidecar has at once, and then with the rest as it is made.
        """
        await quick_words.quick_words(
            self._pool, texts, language=language, voice=voice, rate_hz=rate_hz, on_words=on_words
        )

    async def detect(
        self, audio: AsyncIterable[tuple[bytes, int]], *, names: Sequence[str] | None, trace_id: str
    ) -> Detection | None:
        """Listens for wake words (None: the sidecar's default) in 16 kHz 16-bit mono audio with its time in ms.

        None when the audio ends first. Unless this call itself is cancelled, a read of the audio that has begun is
        waited for and never cancelled, and the stream is left open; what was read and not listened to comes back with
        the detection.
        """
        return await detection.detect(self._pool, audio, names=names, trace_id=trace_id)

    async def models(
        self,
        action: Action = "list",
        model: str | None = None,
        version: str | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> Stock:
        """Shows the sidecar's models, after a change if one is asked for; what served before a failure goes on serving.

        A pull goes on as long as `on_progress` is called; cancelled, it keeps what has arrived for the next one.
        """
        return await models.models(self._pool, action, model, version, on_progress)

    async def embed(self, texts: Sequence[str]) -> Points:
        """What texts of up to 16384 characters mean: a point on the unit sphere for each."""
        return await embedding.embed(self._pool, texts)

    async def _open(self) -> Connection:
        connection = await Connection.open(self.address, self._token, home=self._home, software=self._software)
        try:
            identity = _identity(connection.welcome)
            # After a time without connections it may be another version, with other engines.
            if self._info is None or self._pool.is_empty or identity != self._identity:
                self._info = await describe(connection)
        except BaseException:
            await connection.close()
            raise
        self._identity = identity
        self._held_revision = connection.welcome.vocabulary
        self._voice_engine = connection.welcome.voice
        return connection

    def _publish(self) -> None:
        """Tells the listeners when something has changed since they were told last."""
        if self.available and self._vocabulary is not None and self._held_revision != self._vocabulary.revision:
            self._vocabulary_due.set()
        state = (self._identity, self._info, self._voice_engine, type(self.error), str(self.error))
        if state == self._published:
            return
        self._published = state
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception:
                _LOGGER.exception("A listener to the sidecar's state failed")

    async def _keep_vocabulary(self) -> None:
        """Sends the vocabulary whenever a connection shows that the sidecar does not hold it."""
        while True:
            await self._vocabulary_due.wait()
            self._vocabulary_due.clear()
            try:
                await self._send_vocabulary()
            except SidecarError as error:
                _LOGGER.debug("the vocabulary was not taken: %s", error)

    async def _send_vocabulary(self) -> None:
        async with self._vocabulary_lock:
            vocabulary = self._vocabulary
            if vocabulary is None or vocabulary.revision == self._held_revision:
                return
            async with self._pool.request(vocabulary.event(), answer_s=VOCABULARY_S) as exchange:
                await exchange.expect(VocabularyReady.TYPE)
            self._held_revision = vocabulary.revision
