"""Speech to text, from the pipeline's audio to its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from homeassistant.components import stt
from homeassistant.core import HomeAssistant
from homeassistant.helpers import chat_session
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.barnabeenet.client.errors import CannotConnect, ConnectionLost
from custom_components.barnabeenet.client.messages import Partial
from custom_components.barnabeenet.client.sidecar import Transcription, Voice
from custom_components.barnabeenet.early import expect_question
from custom_components.barnabeenet.telemetry import trace

pytestmark = pytest.mark.usefixtures("starting")

SILENCE = bytes(3200)


async def audio(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks or (SILENCE,):
        yield chunk


@pytest.fixture
def ears(home: HomeAssistant, loaded: MockConfigEntry) -> stt.SpeechToTextEntity:
    entity = stt.async_get_speech_to_text_entity(home, "stt.barnabee_speech_to_text")
    assert entity is not None
    return entity


class Endpoint:
    """Takes the texts it is given for whole commands and notes what it was asked."""

    def __init__(self, *whole: str) -> None:
        self.whole = whole
        self.asked: list[tuple[str, str, str | None]] = []

    async def complete(self, text: str, language: str, device_id: str | None) -> bool:
        self.asked.append((text, language, device_id))
        return text in self.whole


async def test_the_words_come_back_and_the_sidecar_got_all_the_audio(
    ears: stt.SpeechToTextEntity, sidecar: Any, speech_metadata: stt.SpeechMetadata
) -> None:
    result = await ears.async_process_audio_stream(speech_metadata, audio(b"\x01\x02", b"\x03\x04"))
    assert result == stt.SpeechResult("turn on the kitchen light", stt.SpeechResultState.SUCCESS)
    assert bytes(sidecar.heard) == b"\x01\x02\x03\x04"
    assert sidecar.requests[0].language == "en"


async def test_the_speakers_voice_is_asked_for_when_the_sidecar_can_tell_it_and_goes_with_the_turn(
    ears: stt.SpeechToTextEntity, sidecar: Any, speech_metadata: stt.SpeechMetadata
) -> None:
    await ears.async_process_audio_stream(speech_metadata, audio())
    assert sidecar.requests[-1].voice is False
    assert current_turn().voice is None
    sidecar.voice_engine = "resemblyzer-0.1.4"
    voice = Voice("resemblyzer-0.1.4", (0.6, 0.8), 1_800, 25)
    sidecar.transcription = Transcription("turn on the kitchen light", "en", {}, voice)
    await ears.async_process_audio_stream(speech_metadata, audio())
    assert sidecar.requests[-1].voice is True
    assert current_turn().voice is voice


def current_turn() -> trace.VoiceContext:
    turn = trace.current.get()
    assert turn is not None
    return turn


async def test_it_takes_what_pipelines_send_and_ends_speech_itself(
    ears: stt.SpeechToTextEntity, speech_metadata: stt.SpeechMetadata
) -> None:
    assert ears.check_metadata(speech_metadata)
    assert ears.audio_processing.requires_external_vad is False
    speech_metadata.channel = stt.AudioChannels.CHANNEL_STEREO
    assert not ears.check_metadata(speech_metadata)


async def test_a_sidecar_without_voice_activity_detection_leaves_the_end_of_speech_to_the_pipeline(
    ears: stt.SpeechToTextEntity, sidecar: Any
) -> None:
    sidecar.offers.asr[0].requires_external_vad = True
    sidecar.comes()
    assert ears.audio_processing.requires_external_vad is True


async def test_the_languages_are_those_of_the_sidecars_models(
    home: HomeAssistant, sidecar: Any, ears: stt.SpeechToTextEntity, offers: Any
) -> None:
    assert ears.supported_languages == ["en"]
    sidecar.offers = offers(["de", "nl"])
    sidecar.comes()
    assert ears.supported_languages == ["de", "nl"]
    sidecar.goes()
    assert ears.supported_languages == ["de", "nl"]


async def test_the_turn_begins_in_the_pipelines_own_task_and_holds_words_and_times(
    ears: stt.SpeechToTextEntity, sidecar: Any, loaded: MockConfigEntry, speech_metadata: stt.SpeechMetadata
) -> None:
    await ears.async_process_audio_stream(speech_metadata, audio())
    turn = trace.current.get()
    assert turn is not None
    assert turn.trace_id == sidecar.requests[0].trace_id
    assert (turn.text, turn.language, turn.error) == ("turn on the kitchen light", "en", None)
    assert {stage.name for stage in turn.stages} == {"stt", "stt.decode"}
    assert len(loaded.runtime_data.turns) == 0


async def test_a_whole_command_ends_the_waiting_early(
    ears: stt.SpeechToTextEntity, sidecar: Any, loaded: MockConfigEntry, speech_metadata: stt.SpeechMetadata
) -> None:
    sidecar.partials = [
        Partial("turn on", 0, stable=False),
        Partial("turn on the", 240, stable=True),
        Partial("turn on the fan", 240, stable=True),
        Partial("turn on the fan and", 240, stable=True),
    ]
    endpoint = loaded.runtime_data.endpoint = Endpoint("turn on the fan")
    result = await ears.async_process_audio_stream(speech_metadata, audio())
    assert result.text == "turn on the fan"
    # What may still change is not worth a look.
    assert endpoint.asked == [("turn on the", "en", None), ("turn on the fan", "en", None)]


@pytest.mark.parametrize("failure", [ConnectionLost("gone in mid-utterance"), CannotConnect("down"), TimeoutError()])
async def test_a_failure_is_an_error_result_and_a_finished_turn(
    ears: stt.SpeechToTextEntity,
    sidecar: Any,
    loaded: MockConfigEntry,
    speech_metadata: stt.SpeechMetadata,
    failure: Exception,
) -> None:
    sidecar.failure = failure
    result = await ears.async_process_audio_stream(speech_metadata, audio())
    assert result == stt.SpeechResult(None, stt.SpeechResultState.ERROR)
    (turn,) = loaded.runtime_data.turns
    assert turn.error
    assert turn.text is None


async def test_silence_is_a_result_without_words_and_a_finished_turn(
    ears: stt.SpeechToTextEntity, sidecar: Any, loaded: MockConfigEntry, speech_metadata: stt.SpeechMetadata
) -> None:
    sidecar.transcription = Transcription("", "en", {})
    result = await ears.async_process_audio_stream(speech_metadata, audio())
    assert result == stt.SpeechResult("", stt.SpeechResultState.SUCCESS)
    (turn,) = loaded.runtime_data.turns
    assert turn.error == "nothing was understood"


@dataclass
class PartialSpeechResult:
    """As Home Assistant 2026.11 has it."""

    text: str


async def test_with_progress_the_words_so_far_come_before_the_result(
    ears: stt.SpeechToTextEntity,
    sidecar: Any,
    speech_metadata: stt.SpeechMetadata,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stt, "PartialSpeechResult", PartialSpeechResult, raising=False)
    sidecar.partials = [Partial("turn", 0, stable=False), Partial("turn on", 0, stable=False)]
    results = [result async for result in ears.async_process_audio_stream_with_progress(speech_metadata, audio())]
    assert results == [
        PartialSpeechResult("turn"),
        PartialSpeechResult("turn on"),
        stt.SpeechResult("turn on the kitchen light", stt.SpeechResultState.SUCCESS),
    ]
    turn = trace.current.get()
    assert turn is not None
    assert turn.text == "turn on the kitchen light"


async def test_with_progress_a_failure_is_the_result(
    ears: stt.SpeechToTextEntity, sidecar: Any, speech_metadata: stt.SpeechMetadata
) -> None:
    sidecar.failure = ConnectionLost("gone")
    results = [result async for result in ears.async_process_audio_stream_with_progress(speech_metadata, audio())]
    assert results == [stt.SpeechResult(None, stt.SpeechResultState.ERROR)]


async def test_who_stops_listening_to_the_progress_stops_the_recognition(
    ears: stt.SpeechToTextEntity,
    sidecar: Any,
    speech_metadata: stt.SpeechMetadata,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stt, "PartialSpeechResult", PartialSpeechResult, raising=False)
    stopped = asyncio.Event()

    async def transcribe(audio: Any, *, on_partial: Any, **_: Any) -> Transcription:
        await on_partial(Partial("turn", 0, stable=False))
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    sidecar.transcribe = transcribe
    results = ears.async_process_audio_stream_with_progress(speech_metadata, audio())
    assert await anext(results) == PartialSpeechResult("turn")
    await results.aclose()
    assert stopped.is_set()


class Guess:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bool, float]] = []
        self.settled: list[str | None] = []
        self.may_act: bool | None = None

    def begin(self, language: str, device_id: str | None, *, may_act: bool) -> Guess:
        self.may_act = may_act
        return self

    def hear(self, text: str, *, stable: bool, silence_ms: float) -> None:
        self.heard.append((text, stable, silence_ms))

    async def settle(self, final: str | None) -> None:
        self.settled.append(final)

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def guess(ears: Any) -> Guess:
    ears._speculator = Guess()
    return ears._speculator


async def test_words_that_may_go_on_are_guessed_with_and_the_final_ones_settle_it(
    ears: stt.SpeechToTextEntity, sidecar: Any, guess: Guess, loaded: MockConfigEntry, speech_metadata: Any
) -> None:
    loaded.runtime_data.endpoint = Endpoint("turn on the fan")
    sidecar.partials = [Partial("turn on", 0, stable=False), Partial("turn on the", 240, stable=True)]
    await ears.async_process_audio_stream(speech_metadata, audio())
    assert guess.heard == [("turn on", False, 0), ("turn on the", True, 240)]
    assert guess.settled == ["turn on the kitchen light"]
    assert guess.may_act is False


async def test_words_that_end_the_utterance_need_no_guess(
    ears: stt.SpeechToTextEntity, sidecar: Any, guess: Guess, loaded: MockConfigEntry, speech_metadata: Any
) -> None:
    loaded.runtime_data.endpoint = Endpoint("turn on the fan")
    sidecar.partials = [Partial("turn on the fan", 240, stable=True)]
    await ears.async_process_audio_stream(speech_metadata, audio())
    assert (guess.heard, guess.settled) == ([], ["turn on the fan"])


async def test_in_a_run_that_will_ask_our_agent_a_guess_may_be_acted_on(
    home: HomeAssistant, ears: stt.SpeechToTextEntity, guess: Guess, speech_metadata: Any
) -> None:
    with chat_session.async_get_chat_session(home):
        expect_question()
        await ears.async_process_audio_stream(speech_metadata, audio())
    assert guess.may_act is True


@pytest.mark.parametrize("failure", [ConnectionLost("gone in mid-utterance"), TimeoutError(), asyncio.CancelledError()])
async def test_without_final_words_a_guess_is_taken_back(
    ears: stt.SpeechToTextEntity, sidecar: Any, guess: Guess, speech_metadata: Any, failure: BaseException
) -> None:
    sidecar.failure = failure
    with suppress(asyncio.CancelledError):
        await ears.async_process_audio_stream(speech_metadata, audio())
    assert guess.settled == [None]
