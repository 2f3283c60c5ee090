"""Quick words in a home: asked for in the voices that are in use, spoken without the sidecar."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
import io
from typing import Any
import wave

from homeassistant.components import tts
from homeassistant.components.assist_pipeline import async_get_pipelines, async_update_pipeline
from homeassistant.components.tts.entity import TTSAudioRequest
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.barnabeenet import quick_words_keeper
from custom_components.barnabeenet.client.messages import QUICK_WORDS_MAX
from custom_components.barnabeenet.client.sidecar import SpokenWords
from custom_components.barnabeenet.dialog.held_words import Manner, Word
from custom_components.barnabeenet.quick_words_keeper import FRESH_S, SEEN_MAX, QuickWordsKeeper
from custom_components.barnabeenet.telemetry import trace

pytestmark = pytest.mark.usefixtures("starting")

ENGINE = "tts.barnabee_text_to_speech"
WORD = b"\x07\x00" * 800
SLT = Manner("slt", None)


@pytest.fixture
async def keeper(home: HomeAssistant, loaded: MockConfigEntry, sidecar: Any) -> AsyncIterator[QuickWordsKeeper]:
    """The entry's keeper, asked to begin; the rest of the entry still waits for Home Assistant's start."""
    sidecar.quick_word = WORD
    await loaded.runtime_data.quick_words.async_close()
    keeper = loaded.runtime_data.quick_words = QuickWordsKeeper(home, loaded, sidecar)
    home.set_state(CoreState.running)
    await keeper.async_start()
    await settle(home)
    yield keeper
    await keeper.async_close()


@pytest.fixture
def mouth(home: HomeAssistant, keeper: QuickWordsKeeper) -> tts.TextToSpeechEntity:
    entity = tts.get_engine_instance(home, ENGINE)
    assert isinstance(entity, tts.TextToSpeechEntity)
    return entity


async def settle(hass: HomeAssistant) -> None:
    await hass.async_block_till_done(wait_background_tasks=True)


def asked(sidecar: Any) -> list[tuple[str, str | None, int | None]]:
    """Each manner that was asked for, once, in order."""
    manners = [(request.language, request.voice, request.rate_hz) for request in sidecar.quick_requests]
    return list(dict.fromkeys(manners))


async def spoken(mouth: tts.TextToSpeechEntity, *parts: str, **options: Any) -> tuple[int, bytes]:
    """The rate and the audio of a text that comes in parts."""

    async def text() -> AsyncIterator[str]:
        for part in parts:
            yield part

    response = await mouth.async_stream_tts_audio(TTSAudioRequest("en", options, text()))
    audio = b"".join([chunk async for chunk in response.data_gen])
    with wave.open(io.BytesIO(audio)) as reader:
        return reader.getframerate(), reader.readframes(1_000_000)


# Asking


async def test_the_voice_of_the_pipeline_is_asked_for_in_the_background(
    keeper: QuickWordsKeeper, sidecar: Any, loaded: MockConfigEntry
) -> None:
    assert asked(sidecar) == [("en", "slt", None)]
    texts = [text for request in sidecar.quick_requests for text in request.texts]
    assert {"Done.", "Sorry, I can't help with that yet.", "Let me think.", "Turned on the lights"} <= set(texts)
    assert all(len(request.texts) <= QUICK_WORDS_MAX for request in sidecar.quick_requests)
    assert keeper.as_dict() == {"voices": 1, "words": len(texts), "bytes": len(texts) * len(WORD)}


async def test_nothing_is_asked_for_before_home_assistant_has_started(loaded: MockConfigEntry, sidecar: Any) -> None:
    keeper = loaded.runtime_data.quick_words
    keeper.use("en", SLT)
    sidecar.comes()
    assert sidecar.quick_requests == []


async def test_another_voice_in_a_pipeline_is_asked_for(
    home: HomeAssistant, keeper: QuickWordsKeeper, sidecar: Any
) -> None:
    sidecar.quick_requests.clear()
    (pipeline,) = [pipeline for pipeline in async_get_pipelines(home) if pipeline.tts_engine == ENGINE]
    await async_update_pipeline(home, pipeline, tts_voice="awb")
    await settle(home)
    assert asked(sidecar) == [("en", "awb", None)]
    assert keeper.find(Manner("awb", None), "Done") == Word(WORD, 22_050)


async def test_a_pipeline_of_another_engine_is_not_ours_to_follow(
    home: HomeAssistant, keeper: QuickWordsKeeper, sidecar: Any
) -> None:
    sidecar.quick_requests.clear()
    (pipeline,) = [pipeline for pipeline in async_get_pipelines(home) if pipeline.tts_engine == ENGINE]
    await async_update_pipeline(home, pipeline, tts_engine="tts.other", tts_voice="awb")
    await settle(home)
    assert sidecar.quick_requests == []


async def test_the_homes_language_is_followed(
    home: HomeAssistant, keeper: QuickWordsKeeper, sidecar: Any, offers: Callable[..., Any]
) -> None:
    sidecar.offers = offers(["en", "de"])
    sidecar.comes()
    await settle(home)
    sidecar.quick_requests.clear()
    await home.config.async_update(language="de")
    await settle(home)
    assert asked(sidecar) == [("de", "slt", None)]
    assert keeper.find(SLT, "Erledigt.") is not None
    assert keeper.find(SLT, "Done.") is not None


async def test_what_is_heard_in_use_is_asked_for_once(
    home: HomeAssistant, keeper: QuickWordsKeeper, mouth: tts.TextToSpeechEntity, sidecar: Any
) -> None:
    sidecar.quick_requests.clear()
    for _ in range(2):
        await spoken(mouth, "The lamp is on", preferred_sample_rate=16_000)
        await settle(home)
    assert asked(sidecar) == [("en", "slt", 16_000)]
    assert len(sidecar.quick_requests) == len({tuple(request.texts) for request in sidecar.quick_requests})
    assert await spoken(mouth, "Done.", preferred_sample_rate=16_000) == (16_000, WORD)


async def test_only_so_many_manners_are_remembered(home: HomeAssistant, keeper: QuickWordsKeeper, sidecar: Any) -> None:
    for rate_hz in range(8_000, 8_000 + 2 * SEEN_MAX):
        keeper.use("en", Manner("slt", rate_hz))
        await settle(home)
    sidecar.quick_requests.clear()
    sidecar.goes()
    sidecar.comes()
    await settle(home)
    assert len(asked(sidecar)) == SEEN_MAX + 1


async def test_what_is_used_is_asked_for_again_after_a_while(
    home: HomeAssistant, keeper: QuickWordsKeeper, sidecar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.use("en", SLT)
    await settle(home)
    sidecar.quick_requests.clear()
    keeper.use("en", SLT)
    assert sidecar.quick_requests == []
    now = quick_words_keeper.time.monotonic()
    monkeypatch.setattr(quick_words_keeper.time, "monotonic", lambda: now + FRESH_S)
    keeper.use("en", SLT)
    await settle(home)
    assert asked(sidecar) == [("en", "slt", None)]


async def test_a_sidecar_that_comes_back_is_asked_again_and_only_then(
    home: HomeAssistant, keeper: QuickWordsKeeper, sidecar: Any
) -> None:
    sidecar.quick_requests.clear()
    sidecar.comes()
    await settle(home)
    assert sidecar.quick_requests == []
    sidecar.goes()
    await settle(home)
    assert sidecar.quick_requests == []
    sidecar.comes()
    await settle(home)
    assert asked(sidecar) == [("en", "slt", None)]


async def test_another_version_of_the_voice_takes_the_place_of_the_one_before(
    home: HomeAssistant, keeper: QuickWordsKeeper, sidecar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def newer(texts: Any, *, on_words: Callable[[SpokenWords], None], **_: Any) -> None:
        on_words(SpokenWords("slt", "mouth 2.0", 22_050, dict.fromkeys(texts, WORD[:2])))

    monkeypatch.setattr(sidecar, "quick_words", newer)
    sidecar.goes()
    sidecar.comes()
    await settle(home)
    assert keeper.find(SLT, "Done.") == Word(WORD[:2], 22_050)
    assert keeper.as_dict()["voices"] == 1


async def test_a_sidecar_that_cannot_is_not_asked_with_every_sentence(
    home: HomeAssistant, keeper: QuickWordsKeeper, sidecar: Any
) -> None:
    sidecar.quick_word = None
    sidecar.quick_requests.clear()
    for _ in range(3):
        keeper.use("en", Manner("awb", None))
        await settle(home)
    assert len(sidecar.quick_requests) == 1


async def test_an_entry_that_is_unloaded_stops_asking(
    home: HomeAssistant, keeper: QuickWordsKeeper, loaded: MockConfigEntry, sidecar: Any, monkeypatch: Any
) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def endless(*_: Any, **__: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    monkeypatch.setattr(sidecar, "quick_words", endless)
    keeper.use("en", Manner("awb", None))
    await begun.wait()
    listeners = sidecar.listeners
    assert await home.config_entries.async_unload(loaded.entry_id)
    assert stopped.is_set()
    assert sidecar.listeners < listeners


# Speaking


@pytest.mark.parametrize("parts", [["Done."], ["Do", "ne"], ["  Done!\n"]])
async def test_a_quick_word_is_spoken_from_memory(
    mouth: tts.TextToSpeechEntity, sidecar: Any, parts: list[str]
) -> None:
    assert await spoken(mouth, *parts) == (22_050, WORD)
    assert await spoken(mouth, *parts, voice="slt") == (22_050, WORD)
    assert sidecar.requests == []


@pytest.mark.parametrize(
    ("parts", "options"),
    [
        (["Done. The lamp is on."], {}),
        (["Done.", " The lamp", " is on."], {}),
        (["Do", "ors are open."], {}),
        (["Done."], {"voice": "awb"}),
        (["Done."], {"preferred_sample_rate": 48_000}),
        ([], {}),
    ],
)
async def test_everything_else_is_spoken_by_the_sidecar_whole(
    mouth: tts.TextToSpeechEntity, sidecar: Any, parts: list[str], options: dict[str, Any]
) -> None:
    _, audio = await spoken(mouth, *parts, **options)
    assert audio == b"".join(sidecar.speech)
    (request,) = sidecar.requests
    assert request.text == "".join(parts)


async def test_a_text_that_goes_on_is_not_waited_for_once_it_can_be_no_quick_word(
    mouth: tts.TextToSpeechEntity, sidecar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        yield "The lamp"
        await handed_over.wait()
        yield " is on."

    speak = sidecar.speak

    def noticed(*arguments: Any, **options: Any) -> Any:
        handed_over.set()
        return speak(*arguments, **options)

    monkeypatch.setattr(sidecar, "speak", noticed)
    response = await mouth.async_stream_tts_audio(TTSAudioRequest("en", {}, text()))
    async with asyncio.timeout(30):
        assert len([chunk async for chunk in response.data_gen]) == 3
    assert sidecar.requests[0].text == "The lamp is on."


async def test_without_the_sidecar_quick_words_are_still_spoken(mouth: tts.TextToSpeechEntity, sidecar: Any) -> None:
    sidecar.goes()
    sidecar.failure, sidecar.speech = sidecar.error, []
    assert await spoken(mouth, "That isn't available right now.") == (22_050, WORD)
    # Home Assistant converts it to the rate that was asked for.
    assert await spoken(mouth, "That isn't available right now.", preferred_sample_rate=16_000) == (22_050, WORD)
    with pytest.raises(HomeAssistantError):
        await spoken(mouth, "The lamp is on.")


async def test_a_turn_with_a_quick_word_says_so_in_its_trace(
    mouth: tts.TextToSpeechEntity, loaded: MockConfigEntry
) -> None:
    turn = trace.begin(language="en")
    await spoken(mouth, "Done.")
    assert [stage.name for stage in turn.stages] == ["tts.quick_word", "tts.first_audio", "tts"]
    assert turn in list(loaded.runtime_data.turns)


async def test_a_reply_is_made_ahead_as_the_language_was_last_spoken(
    home: HomeAssistant, keeper: QuickWordsKeeper, mouth: tts.TextToSpeechEntity, sidecar: Any
) -> None:
    manner = Manner("slt", 16_000)
    keeper.use("en", manner)
    await settle(home)
    sidecar.quick_requests.clear()
    sidecar.requests.clear()
    keeper.ask_ahead("Timer set for 5 minutes", "en-US")
    await settle(home)
    assert [(list(each.texts), each.voice, each.rate_hz) for each in sidecar.quick_requests] == [
        (["Timer set for 5 minutes"], "slt", 16_000)
    ]
    assert await spoken(mouth, "Timer set for", " 5 minutes.", preferred_sample_rate=16_000) == (16_000, WORD)
    assert sidecar.requests == []


@pytest.mark.parametrize(("text", "language"), [("Hallo", "de"), ("a" * 61, "en"), ("", "en"), ("Done.", "en")])
async def test_what_is_long_or_held_or_never_spoken_so_is_not_made_ahead(
    home: HomeAssistant, keeper: QuickWordsKeeper, sidecar: Any, text: str, language: str
) -> None:
    keeper.use("en", SLT)
    await settle(home)
    sidecar.quick_requests.clear()
    keeper.ask_ahead(text, language)
    await settle(home)
    assert sidecar.quick_requests == []


async def test_replies_made_ahead_are_forgotten_together_when_they_are_many(
    home: HomeAssistant, keeper: QuickWordsKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_words_keeper, "AHEAD_MAX_BYTES", 0)
    keeper.use("en", SLT)
    for text in ("Timer set for 5 minutes", "Timer set for 6 minutes"):
        keeper.ask_ahead(text, "en")
        await settle(home)
    assert keeper.find(SLT, "Timer set for 5 minutes") is None
    assert keeper.find(SLT, "Timer set for 6 minutes") is not None


async def test_a_sidecar_that_cannot_make_a_reply_ahead_harms_nothing(
    home: HomeAssistant, keeper: QuickWordsKeeper, sidecar: Any
) -> None:
    keeper.use("en", SLT)
    sidecar.quick_word = None
    keeper.ask_ahead("Timer set for 5 minutes", "en")
    await settle(home)
    assert keeper.find(SLT, "Timer set for 5 minutes") is None


async def test_one_reply_is_made_ahead_at_a_time_and_not_waited_for_at_the_end(
    home: HomeAssistant, keeper: QuickWordsKeeper, sidecar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.use("en", SLT)
    await settle(home)
    asked_for: list[str] = []

    async def never(texts: list[str], **_: Any) -> None:
        asked_for.extend(texts)
        await asyncio.Event().wait()

    monkeypatch.setattr(sidecar, "quick_words", never)
    keeper.ask_ahead("Timer set for 5 minutes", "en")
    keeper.ask_ahead("Timer set for 6 minutes", "en")
    assert asked_for == ["Timer set for 5 minutes"]
    await keeper.async_close()
