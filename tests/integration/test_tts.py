"""Text to speech, as Home Assistant's own cache, converter and pipelines ask for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
import io
from typing import Any
from unittest.mock import AsyncMock, patch
import wave

from homeassistant.components import tts
from homeassistant.components.tts.entity import TTSAudioRequest
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.barnabeenet.client.errors import ConnectionLost
from custom_components.barnabeenet.telemetry import trace
from custom_components.barnabeenet.tts import wav_header

pytestmark = pytest.mark.usefixtures("starting")

ENGINE = "tts.barnabee_text_to_speech"


async def text(*parts: str) -> AsyncIterator[str]:
    for part in parts:
        yield part


@pytest.fixture
def mouth(home: HomeAssistant, loaded: MockConfigEntry) -> tts.TextToSpeechEntity:
    entity = tts.get_engine_instance(home, ENGINE)
    assert isinstance(entity, tts.TextToSpeechEntity)
    return entity


@pytest.fixture
def converted() -> Iterator[AsyncMock]:
    """Home Assistant's way to ffmpeg."""
    with patch("homeassistant.components.tts.asyncio.create_subprocess_exec", AsyncMock(side_effect=OSError)) as ffmpeg:
        yield ffmpeg


async def spoken(hass: HomeAssistant, options: dict[str, Any] | None = None, message: str = "Hello") -> bytes:
    """The audio that a player fetches for a message."""
    stream = tts.async_create_stream(hass, ENGINE, options=options)
    stream.async_set_message(message)
    return b"".join([chunk async for chunk in stream.async_stream_result()])


def read_wav(audio: bytes) -> tuple[int, int, int, bytes]:
    with wave.open(io.BytesIO(audio)) as reader:
        return reader.getframerate(), reader.getnchannels(), reader.getsampwidth(), reader.readframes(1_000_000)


async def test_a_message_becomes_a_wav_file_at_the_voices_own_rate_without_ffmpeg(
    home: HomeAssistant, mouth: tts.TextToSpeechEntity, sidecar: Any, converted: AsyncMock
) -> None:
    audio = await spoken(home)
    assert read_wav(audio) == (22_050, 1, 2, b"\x01\x00" * 800 + b"\x02\x00" * 800)
    (request,) = sidecar.requests
    assert (request.text, request.voice, request.language, request.rate_hz) == ("Hello", None, "en", None)
    assert request.closed
    converted.assert_not_called()


async def test_who_asks_for_nothing_gets_wav(home: HomeAssistant, mouth: tts.TextToSpeechEntity) -> None:
    stream = tts.async_create_stream(home, ENGINE)
    assert (stream.extension, stream.content_type) == ("wav", "audio/x-wav")


async def test_the_voice_that_was_asked_for_speaks(
    home: HomeAssistant, mouth: tts.TextToSpeechEntity, sidecar: Any
) -> None:
    await spoken(home, {"voice": "slt"})
    assert sidecar.requests[0].voice == "slt"


@pytest.mark.parametrize(("asked", "given"), [(16_000, 16_000), (48_000, 48_000), ("16000", 16_000), (96_000, 22_050)])
async def test_it_speaks_at_the_asked_rate_where_the_sidecar_can(
    mouth: tts.TextToSpeechEntity, asked: Any, given: int
) -> None:
    request = TTSAudioRequest("en", {"preferred_sample_rate": asked}, text("Hello"))
    response = await mouth.async_stream_tts_audio(request)
    audio = b"".join([chunk async for chunk in response.data_gen])
    assert response.extension == "wav"
    assert read_wav(audio)[0] == given


async def test_sound_comes_before_the_text_has_ended(
    home: HomeAssistant, mouth: tts.TextToSpeechEntity, sidecar: Any
) -> None:
    assert mouth.async_supports_streaming_input()
    response = await mouth.async_stream_tts_audio(TTSAudioRequest("en", {}, text("One. ", "Two.")))
    assert await anext(response.data_gen) == wav_header(22_050)
    assert await anext(response.data_gen) == sidecar.speech[0]
    await response.data_gen.aclose()
    assert sidecar.requests[0].closed


async def test_voices_and_languages_are_the_sidecars(
    home: HomeAssistant, mouth: tts.TextToSpeechEntity, sidecar: Any, offers: Any
) -> None:
    assert mouth.supported_languages == ["en"]
    assert mouth.async_get_supported_voices("en") == [tts.Voice("slt", "slt")]
    assert mouth.async_get_supported_voices("xx") is None
    sidecar.offers = offers(["nl", "de"])
    sidecar.comes()
    assert mouth.supported_languages == ["de", "nl"]
    assert mouth.default_language == "de"
    home.config.language = "nl"
    assert mouth.default_language == "nl"


async def test_a_failure_is_an_error_in_the_users_language(
    home: HomeAssistant, mouth: tts.TextToSpeechEntity, sidecar: Any
) -> None:
    sidecar.failure = ConnectionLost("the sidecar went away")
    response = await mouth.async_stream_tts_audio(TTSAudioRequest("en", {}, text("Hello")))
    assert [await anext(response.data_gen) for _ in range(3)][1:] == sidecar.speech
    with pytest.raises(HomeAssistantError) as raised:
        await anext(response.data_gen)
    assert raised.value.translation_key == "cannot_speak"
    assert str(raised.value) == "The sidecar could not speak: the sidecar went away"


async def test_who_waits_for_speech_is_told_that_there_will_be_none(
    home: HomeAssistant, mouth: tts.TextToSpeechEntity, sidecar: Any
) -> None:
    sidecar.failure, sidecar.speech = ConnectionLost("the sidecar went away"), []
    with pytest.raises(HomeAssistantError):
        await spoken(home)


async def test_the_speech_of_a_turn_is_part_of_its_trace(
    home: HomeAssistant, mouth: tts.TextToSpeechEntity, loaded: MockConfigEntry
) -> None:
    turn = trace.begin(language="en")
    finished: list[str] = []
    loaded.runtime_data.turns.subscribe(lambda turn: finished.append(turn.trace_id))
    await spoken(home)
    assert [stage.name for stage in turn.stages] == ["tts.first_audio", "tts"]
    assert finished == [turn.trace_id]


async def test_an_announcement_is_nobodys_turn(
    home: HomeAssistant, mouth: tts.TextToSpeechEntity, loaded: MockConfigEntry
) -> None:
    assert trace.current.get() is None
    await spoken(home)
    assert len(loaded.runtime_data.turns) == 0


def test_the_header_is_what_ffmpeg_writes_for_a_stream_of_unknown_length() -> None:
    header = wav_header(16_000)
    assert len(header) == 44
    assert header[4:8] == header[40:44] == b"\xff\xff\xff\xff"
    assert read_wav(header + b"\x07\x00") == (16_000, 1, 2, b"\x07\x00")
