"""The platforms on a sidecar of flesh and blood: a process of its own, paired through the form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import io
from itertools import chain, repeat
import logging
from pathlib import Path
import time
from typing import Any
import wave

from homeassistant.components import stt, tts, wake_word
from homeassistant.components.assist_pipeline import async_get_pipelines
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.const import EVENT_STATE_CHANGED, STATE_UNAVAILABLE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import area_registry as ar
import numpy as np
import pytest

from custom_components.barnabeenet.client.messages import Vocabulary
from custom_components.barnabeenet.client.sidecar import Sidecar as Client
from custom_components.barnabeenet.const import DOMAIN
from script.home.sidecar import Sidecar

STT, TTS, WAKE = "stt.barnabee_speech_to_text", "tts.barnabee_text_to_speech", "wake_word.barnabee_wake_word"
FRAME_BYTES = 640


async def pair(hass: HomeAssistant, **typed: Any) -> Any:
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    typed = {"host": "127.0.0.1", "preferred": True, **typed}
    return await hass.config_entries.flow.async_configure(result["flow_id"], typed)


@pytest.fixture
def vocabulary_taken(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when the sidecar knows what is said in this home."""
    taken, hand_over = asyncio.Event(), Client.set_vocabulary

    async def handed_over(client: Client, vocabulary: Vocabulary) -> None:
        await hand_over(client, vocabulary)
        taken.set()

    monkeypatch.setattr(Client, "set_vocabulary", handed_over)
    return taken


@pytest.fixture
async def paired(home: HomeAssistant, sidecar_process: Sidecar, vocabulary_taken: asyncio.Event) -> AsyncIterator[Any]:
    """The entry that the form makes, in a home with a kitchen and a light in it."""
    ar.async_get(home).async_create("Kitchen")
    home.states.async_set("light.kitchen", "off", {"friendly_name": "Kitchen light"})
    result = await pair(home, port=sidecar_process.port, token=await sidecar_process.token())
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await home.async_block_till_done()
    yield result["result"]
    await home.config_entries.async_unload(result["result"].entry_id)


@pytest.fixture
async def ears(home: HomeAssistant, paired: Any, vocabulary_taken: asyncio.Event) -> stt.SpeechToTextEntity:
    """Speech to text that knows this home's words."""
    async with asyncio.timeout(30):
        await vocabulary_taken.wait()
    entity = stt.async_get_speech_to_text_entity(home, STT)
    assert entity is not None
    return entity


def frames_of(path: Path) -> list[bytes]:
    """A recording as a satellite sends it: 20 ms each, with the quiet before and after."""
    with wave.open(str(path)) as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (16_000, 1, 2)
        pcm = bytes(FRAME_BYTES * 25) + reader.readframes(reader.getnframes()) + bytes(FRAME_BYTES * 100)
    return [pcm[start : start + FRAME_BYTES] for start in range(0, len(pcm), FRAME_BYTES)]


async def played(frames: list[bytes]) -> AsyncIterator[bytes]:
    """Faster than it was spoken."""
    for frame in frames:
        yield frame
        await asyncio.sleep(0.005)


async def state_becomes(hass: HomeAssistant, entity_id: str, *, available: bool, within_s: float) -> float:
    """Waits for it and returns how long it took, in seconds."""
    changed, began = asyncio.Event(), time.monotonic()

    @callback
    def wake_up(_: Event) -> None:
        changed.set()

    unsubscribe = hass.bus.async_listen(EVENT_STATE_CHANGED, wake_up)
    try:
        async with asyncio.timeout(within_s):
            while ((state := hass.states.get(entity_id)) is None or state.state != STATE_UNAVAILABLE) != available:
                await changed.wait()
                changed.clear()
    finally:
        unsubscribe()
    return time.monotonic() - began


async def test_the_form_makes_an_assistant_that_works(home: HomeAssistant, paired: Any) -> None:
    assert paired.state is ConfigEntryState.LOADED
    assert paired.unique_id
    for entity_id in (STT, TTS, WAKE):
        state = home.states.get(entity_id)
        assert state is not None
        assert state.state != STATE_UNAVAILABLE
    (pipeline,) = [pipeline for pipeline in async_get_pipelines(home) if pipeline.name == "Barnabee"]
    assert (pipeline.stt_engine, pipeline.tts_engine) == (STT, TTS)


async def test_the_form_tells_a_wrong_token_from_a_wrong_port_and_from_another_service(
    home: HomeAssistant, sidecar_process: Sidecar
) -> None:
    token = await sidecar_process.token()
    wrong = await pair(home, port=sidecar_process.port, token="w" * len(token))
    assert wrong["errors"] == {"base": "invalid_auth"}
    plain = await pair(home, port=sidecar_process.plain_port, token=token)
    assert plain["errors"] == {"base": "not_a_sidecar"}
    web = await pair(home, port=sidecar_process.http_port, token=token)
    assert web["errors"] == {"base": "not_a_sidecar"}
    await sidecar_process.process.stop()
    nobody = await pair(home, port=sidecar_process.port, token=token)
    assert nobody["errors"] == {"base": "cannot_connect"}


async def test_guessing_tokens_in_the_form_is_told_to_wait(home: HomeAssistant, sidecar_process: Sidecar) -> None:
    answers = [
        (await pair(home, port=sidecar_process.port, token=f"{guess:032}"))["errors"]["base"] for guess in range(6)
    ]
    assert answers[:5] == ["invalid_auth"] * 5
    assert answers[5] == "backing_off"


async def test_a_recorded_command_is_understood_before_the_audio_ends(
    ears: stt.SpeechToTextEntity, speech_metadata: stt.SpeechMetadata, recordings: Path
) -> None:
    frames = frames_of(recordings / "s2p_en_gen" / "turn_on_lights_in_the_Kitchen.wav")

    async def microphone() -> AsyncIterator[bytes]:
        # A room goes on being quiet, however long a busy machine takes to understand.
        for frame in chain(frames, repeat(bytes(FRAME_BYTES))):
            yield frame
            await asyncio.sleep(0.02)

    async with asyncio.timeout(30):
        result = await ears.async_process_audio_stream(speech_metadata, microphone())
    assert result.result is stt.SpeechResultState.SUCCESS
    words = (result.text or "").lower()
    assert words.startswith("turn on light")
    assert words.endswith("in the kitchen")


async def test_what_it_says_is_audible_speech_that_it_understands_itself(
    home: HomeAssistant, ears: stt.SpeechToTextEntity, speech_metadata: stt.SpeechMetadata
) -> None:
    stream = tts.async_create_stream(home, TTS)
    stream.async_set_message("Turn on the kitchen light")
    audio = b"".join([chunk async for chunk in stream.async_stream_result()])
    with wave.open(io.BytesIO(audio)) as reader:
        rate_hz = reader.getframerate()
        samples = np.frombuffer(reader.readframes(10_000_000), dtype="<i2")
    assert stream.extension == "wav"
    assert 0.8 < len(samples) / rate_hz < 5
    assert np.sqrt(np.mean((samples / 32768) ** 2)) > 0.01

    mouth = tts.get_engine_instance(home, TTS)
    assert isinstance(mouth, tts.TextToSpeechEntity)
    spoken = await at_16_khz(mouth, "Turn on the kitchen light")
    result = await ears.async_process_audio_stream(speech_metadata, played(spoken))
    assert (result.text or "").lower() == "turn on the kitchen light"


async def at_16_khz(mouth: tts.TextToSpeechEntity, message: str) -> list[bytes]:
    """A message as a satellite would hear it in the room."""

    async def text() -> AsyncIterator[str]:
        yield message

    response = await mouth.async_stream_tts_audio(
        tts.entity.TTSAudioRequest("en", {"preferred_sample_rate": 16_000}, text())
    )
    audio = b"".join([chunk async for chunk in response.data_gen])
    assert int.from_bytes(audio[24:28], "little") == 16_000
    pcm = bytes(FRAME_BYTES * 25) + audio[44:] + bytes(FRAME_BYTES * 100)
    return [pcm[start : start + FRAME_BYTES] for start in range(0, len(pcm), FRAME_BYTES)]


async def test_a_recorded_wake_word_is_heard_and_the_audio_goes_on(
    home: HomeAssistant, paired: Any, recordings: Path
) -> None:
    listener = wake_word.async_get_wake_word_detection_entity(home, WAKE)
    assert listener is not None
    words = await listener.get_supported_wake_words()
    jarvis = next(word for word in words if word.phrase and "jarvis" in word.phrase.lower())

    async def microphone() -> AsyncIterator[tuple[bytes, int]]:
        # The word may be told of long after it was heard, and the audio goes on until then.
        recorded = frames_of(recordings / "wake" / "wow_hey_jarvis.wav")
        for index, frame in enumerate(chain(recorded, repeat(bytes(FRAME_BYTES)))):
            await asyncio.sleep(0.005)
            yield frame, index * 20

    stream = microphone()
    async with asyncio.timeout(30):
        result = await listener.async_process_audio_stream(stream, jarvis.id)
    assert result is not None
    assert (result.wake_word_id, result.wake_word_phrase) == (jarvis.id, jarvis.phrase)
    seen = (result.queued_audio or [])[-1:]
    following = await anext(stream)
    assert not seen or following[1] == seen[0][1] + 20


async def test_a_sidecar_killed_in_mid_utterance_is_an_error_at_once_and_back_after_its_restart(
    home: HomeAssistant,
    paired: Any,
    sidecar_process: Sidecar,
    speech_metadata: stt.SpeechMetadata,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ears = stt.async_get_speech_to_text_entity(home, STT)
    assert ears is not None
    speaking = asyncio.Event()

    async def microphone() -> AsyncIterator[bytes]:
        for index in range(1000):
            if index == 20:
                speaking.set()
            yield bytes(FRAME_BYTES)
            await asyncio.sleep(0.02)

    hearing = asyncio.create_task(ears.async_process_audio_stream(speech_metadata, microphone()))
    await speaking.wait()
    await sidecar_process.process.kill()
    async with asyncio.timeout(2):
        result = await hearing
    assert result.result is stt.SpeechResultState.ERROR
    assert await state_becomes(home, STT, available=False, within_s=5) < 5

    await sidecar_process.process.start()
    await sidecar_process.ready()
    assert await state_becomes(home, STT, available=True, within_s=10) < 10
    ours = [record for record in caplog.records if record.name == "custom_components.barnabeenet.coordinator"]
    assert [record.levelno for record in ours] == [logging.WARNING, logging.INFO]
