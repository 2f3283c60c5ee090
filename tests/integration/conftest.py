"""A home under test: Home Assistant itself, our entry in it, and a sidecar that does what the test scripts."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from homeassistant.components import stt
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from wyoming.info import AsrModel, AsrProgram, Attribution, Info, TtsProgram, TtsVoice, WakeModel, WakeProgram

from custom_components.barnabeenet.client.embedding import Points
from custom_components.barnabeenet.client.errors import CannotConnect, RequestFailed, SidecarError
from custom_components.barnabeenet.client.messages import Partial, Vocabulary
from custom_components.barnabeenet.client.sidecar import Address, Detection, Identity, SpokenWords, Transcription
from custom_components.barnabeenet.const import DOMAIN
from custom_components.barnabeenet.telemetry import trace
from tests.redis_server import redis_server

__all__ = ["redis_server"]

TOKEN = "0123456789abcdef0123456789abcdef"
IDENTITY = Identity("sidecar-1", "Beast", "barnabeenet-sidecar 0.1.0")


def sidecar_info(languages: Sequence[str] = ("en",)) -> Info:
    """What a sidecar with one engine of each kind says about itself."""
    artifact: dict[str, Any] = {
        "attribution": Attribution("Somebody", "https://example.org"),
        "installed": True,
        "description": None,
        "version": "1.0",
    }
    spoken = list(languages)
    return Info(
        asr=[
            AsrProgram(
                "ears",
                models=[AsrModel("small", languages=spoken, **artifact)],
                requires_external_vad=False,
                **artifact,
            )
        ],
        tts=[TtsProgram("mouth", voices=[TtsVoice("slt", languages=spoken, **artifact)], **artifact)],
        wake=[
            WakeProgram(
                "micro", models=[WakeModel("okay_nabu", languages=spoken, phrase="okay nabu", **artifact)], **artifact
            )
        ],
    )


class ScriptedSidecar:
    """Stands where the client would; does what the test has written into its fields."""

    def __init__(self) -> None:
        self.address: Address | None = None
        self.token: str | None = None
        self.home: str | None = None
        self.identity: Identity | None = None
        self.info: Info | None = None
        self.available = False
        self.error: SidecarError | None = None
        self.voice_engine: str | None = None
        self.first_attempt: SidecarError | None = None
        self.offers = sidecar_info()
        self.closed = 0
        self.heard = bytearray()
        self.requests: list[SimpleNamespace] = []
        self.partials: list[Partial] = []
        self.transcription = Transcription("turn on the kitchen light", "en", {"decode": 90.0})
        self.speech = [b"\x01\x00" * 800, b"\x02\x00" * 800]
        self.native_rate_hz = 22_050
        self.detection: Detection | None = Detection("okay_nabu", 20, [(b"\x03\x00", 30)])
        self.detect_after_chunks = 2
        self.failure: BaseException | None = None
        self.vocabulary: Vocabulary | None = None
        self.quick_word: bytes | None = None
        self.quick_requests: list[SimpleNamespace] = []
        self._listeners: list[Callable[[], None]] = []

    def __call__(self, address: Address, token: str, *, home: str, software: str) -> ScriptedSidecar:
        self.address, self.token, self.home = address, token, home
        return self

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    async def embed(self, texts: Sequence[str]) -> Points:
        raise RequestFailed("no model reads texts here")

    async def start(self) -> None:
        self.goes(self.first_attempt) if self.first_attempt else self.comes()

    async def close(self) -> None:
        self.closed += 1

    def comes(self) -> None:
        self.identity, self.info, self.available, self.error = IDENTITY, self.offers, True, None
        self._tell()

    def goes(self, error: SidecarError | None = None) -> None:
        self.available, self.error = False, error or CannotConnect("nobody answers at beast:10800")
        self._tell()

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    async def set_vocabulary(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    async def transcribe(
        self,
        audio: AsyncIterable[bytes],
        *,
        language: str,
        trace_id: str,
        bias: Sequence[str] = (),
        on_partial: Callable[[Partial], Awaitable[bool]] | None = None,
        voice: bool = False,
    ) -> Transcription:
        self.requests.append(SimpleNamespace(language=language, trace_id=trace_id, bias=bias, voice=voice))
        async for chunk in audio:
            self.heard += chunk
        for partial in self.partials:
            if on_partial is not None and await on_partial(partial):
                return Transcription(partial.text, language, {})
        if self.failure is not None:
            raise self.failure
        return self.transcription

    @asynccontextmanager
    async def speak(
        self, text: AsyncIterable[str], *, voice: str | None, language: str | None, rate_hz: int | None, trace_id: str
    ) -> AsyncIterator[ScriptedSpeech]:
        request = SimpleNamespace(
            text="".join([part async for part in text]), voice=voice, language=language, rate_hz=rate_hz, closed=False
        )
        self.requests.append(request)
        if self.failure is not None and not self.speech:
            raise self.failure
        try:
            yield ScriptedSpeech(rate_hz or self.native_rate_hz, self.speech, self.failure)
        finally:
            request.closed = True

    async def quick_words(
        self,
        texts: Sequence[str],
        *,
        language: str,
        voice: str | None,
        rate_hz: int | None,
        on_words: Callable[[SpokenWords], None],
    ) -> None:
        self.quick_requests.append(SimpleNamespace(texts=texts, language=language, voice=voice, rate_hz=rate_hz))
        if self.quick_word is None:
            raise RequestFailed("no speech synthesis here")
        audio = dict.fromkeys(texts, self.quick_word)
        on_words(SpokenWords(voice or "slt", "mouth 1.0", rate_hz or self.native_rate_hz, audio))

    async def detect(
        self, audio: AsyncIterable[tuple[bytes, int]], *, names: Sequence[str] | None, trace_id: str
    ) -> Detection | None:
        self.requests.append(SimpleNamespace(names=names))
        if self.failure is not None:
            raise self.failure
        chunks = aiter(audio)
        for _ in range(self.detect_after_chunks):
            chunk = await anext(chunks, None)
            if chunk is None:
                return None
            self.heard += chunk[0]
        return self.detection


class ScriptedSpeech:
    """Chunks of PCM, then the failure if there is one."""

    def __init__(self, rate_hz: int, chunks: list[bytes], failure: BaseException | None) -> None:
        self.rate_hz = rate_hz
        self.timings_ms: dict[str, float] = {}
        self._chunks = chunks
        self._failure = failure

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._failure is not None:
            raise self._failure


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """A folder of the test's own: text to speech keeps files in it."""
    return hass_tmp_config_dir


@pytest.fixture(autouse=True)
def no_turn_under_way() -> Iterator[None]:
    token = trace.current.set(None)
    yield
    trace.current.reset(token)


@pytest.fixture
async def home(hass: HomeAssistant, enable_custom_integrations: None) -> HomeAssistant:
    """Home Assistant with what every home has."""
    assert await async_setup_component(hass, "homeassistant", {})
    return hass


@pytest.fixture
def starting(home: HomeAssistant) -> None:
    """Home Assistant has not started yet, so nothing is built in the background that the end of a test would cut off."""
    home.set_state(CoreState.starting)


@pytest.fixture
def identity() -> Identity:
    """Who the sidecar of the entry is."""
    return IDENTITY


@pytest.fixture
def offers() -> Callable[..., Info]:
    """Makes what a sidecar says it can do."""
    return sidecar_info


@pytest.fixture
def sidecar() -> Iterator[ScriptedSidecar]:
    """The sidecar that the entry will talk to."""
    scripted = ScriptedSidecar()
    with patch("custom_components.barnabeenet.Sidecar", scripted):
        yield scripted


@pytest.fixture
def entry(home: HomeAssistant) -> MockConfigEntry:
    """A paired sidecar, not yet set up."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Barnabee",
        unique_id=IDENTITY.sidecar_id,
        data={"host": "beast", "port": 10800, "token": TOKEN, "preferred": False},
    )
    entry.add_to_hass(home)
    return entry


@pytest.fixture
async def loaded(home: HomeAssistant, sidecar: ScriptedSidecar, entry: MockConfigEntry) -> MockConfigEntry:
    """The entry set up, its sidecar there."""
    assert await home.config_entries.async_setup(entry.entry_id)
    await home.async_block_till_done()
    return entry


@pytest.fixture
def speech_metadata() -> stt.SpeechMetadata:
    """What a pipeline says of its audio."""
    return stt.SpeechMetadata(
        language="en",
        format=stt.AudioFormats.WAV,
        codec=stt.AudioCodecs.PCM,
        bit_rate=stt.AudioBitRates.BITRATE_16,
        sample_rate=stt.AudioSampleRates.SAMPLERATE_16000,
        channel=stt.AudioChannels.CHANNEL_MONO,
    )
