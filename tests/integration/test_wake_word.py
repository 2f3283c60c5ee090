"""Wake words, as the pipeline asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from homeassistant.components import wake_word
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.barnabeenet.client.errors import CannotConnect, ConnectionLost
from custom_components.barnabeenet.client.sidecar import Detection

pytestmark = pytest.mark.usefixtures("starting")

ENTITY = "wake_word.barnabee_wake_word"


async def audio(chunks: int = 5) -> AsyncIterator[tuple[bytes, int]]:
    for index in range(chunks):
        yield bytes([index, 0]), index * 10


@pytest.fixture
def listener(home: HomeAssistant, loaded: MockConfigEntry) -> wake_word.WakeWordDetectionEntity:
    entity = wake_word.async_get_wake_word_detection_entity(home, ENTITY)
    assert entity is not None
    return entity


async def test_a_detection_names_the_phrase_and_hands_back_what_was_said_after_it(
    home: HomeAssistant, listener: wake_word.WakeWordDetectionEntity, sidecar: Any
) -> None:
    stream = audio()
    result = await listener.async_process_audio_stream(stream, None)
    assert result == wake_word.DetectionResult(
        wake_word_id="okay_nabu", wake_word_phrase="okay nabu", timestamp=20, queued_audio=[(b"\x03\x00", 30)]
    )
    assert sidecar.requests[0].names is None
    state = home.states.get(ENTITY)
    assert state is not None
    assert state.state not in ("unknown", "unavailable")
    # The pipeline goes on with the same stream.
    assert [timestamp async for _, timestamp in stream] == [20, 30, 40]


async def test_the_wake_word_of_the_pipeline_is_the_one_listened_for(
    listener: wake_word.WakeWordDetectionEntity, sidecar: Any
) -> None:
    await listener.async_process_audio_stream(audio(), "okay_nabu")
    assert sidecar.requests[0].names == ["okay_nabu"]


async def test_a_wake_word_without_a_phrase_is_called_by_its_name(
    listener: wake_word.WakeWordDetectionEntity, sidecar: Any
) -> None:
    sidecar.detection = Detection("my_own_word", None, [])
    result = await listener.async_process_audio_stream(audio(), None)
    assert result == wake_word.DetectionResult("my_own_word", "my_own_word", None, None)


async def test_audio_that_ends_without_the_word_detects_nothing(
    home: HomeAssistant, listener: wake_word.WakeWordDetectionEntity
) -> None:
    assert await listener.async_process_audio_stream(audio(1), None) is None
    state = home.states.get(ENTITY)
    assert state is not None
    assert state.state == "unknown"


@pytest.mark.parametrize("failure", [CannotConnect("down"), ConnectionLost("gone")])
async def test_a_failing_sidecar_detects_nothing(
    listener: wake_word.WakeWordDetectionEntity, sidecar: Any, failure: Exception
) -> None:
    sidecar.failure = failure
    assert await listener.async_process_audio_stream(audio(), None) is None


async def test_an_error_of_the_audio_reaches_the_pipeline(
    listener: wake_word.WakeWordDetectionEntity,
) -> None:
    async def failing() -> AsyncIterator[tuple[bytes, int]]:
        yield b"\x00\x00", 0
        raise LookupError("the wake word was not said in time")

    with pytest.raises(LookupError):
        await listener.async_process_audio_stream(failing(), None)


async def test_the_wake_words_are_the_sidecars(
    listener: wake_word.WakeWordDetectionEntity, sidecar: Any, offers: Any
) -> None:
    assert await listener.get_supported_wake_words() == [wake_word.WakeWord("okay_nabu", "okay_nabu", "okay nabu")]
    sidecar.offers = offers()
    sidecar.offers.wake[0].models[0].name = "hey_jarvis"
    sidecar.comes()
    assert [word.id for word in await listener.get_supported_wake_words()] == ["hey_jarvis"]
