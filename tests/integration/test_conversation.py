"""The conversation agent in a home with real lamps: what it does, what it says, and what it must never do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import logging
from typing import Any
from unittest.mock import patch

from homeassistant.components import conversation
from homeassistant.components.conversation.agent_manager import get_agent_manager
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.components.light import ColorMode, LightEntity
from homeassistant.const import EVENT_CALL_SERVICE, STATE_UNAVAILABLE
from homeassistant.core import Context, Event, HomeAssistant
from homeassistant.helpers import area_registry as ar, device_registry as dr, entity_registry as er, intent
from homeassistant.helpers.chat_session import async_get_chat_session
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    setup_test_component_platform,
)

from custom_components.barnabeenet.dialog.sentences import Phrase, say
from custom_components.barnabeenet.telemetry import trace

AGENT = "conversation.barnabee"


class Lamp(LightEntity):
    """A lamp that is on or off."""

    _attr_color_mode = ColorMode.ONOFF
    _attr_is_on = False

    def __init__(self, name: str) -> None:
        self._attr_supported_color_modes = {ColorMode.ONOFF}
        self._attr_name = name
        self._attr_unique_id = name

    async def async_turn_on(self, **kwargs: Any) -> None:
        self._attr_is_on = True
        self.async_write_ha_state()

    async def async_turn_off(self, **kwargs: Any) -> None:
        self._attr_is_on = False
        self.async_write_ha_state()


class House:
    """Two rooms with lamps, and a satellite in the kitchen."""

    def __init__(self, hass: HomeAssistant, entry: MockConfigEntry, lamps: list[Lamp], satellite: str) -> None:
        self.hass = hass
        self.entry = entry
        self.lamps = lamps
        self.satellite = satellite
        self.services: list[Event[Any]] = async_capture_events(hass, EVENT_CALL_SERVICE)

    @property
    def lit(self) -> set[str]:
        return {str(lamp.name) for lamp in self.lamps if lamp.is_on}

    @property
    def turns(self) -> list[trace.VoiceContext]:
        return list(self.entry.runtime_data.turns)

    async def hears(
        self, text: str, *, satellite: bool = True, language: str = "en", conversation_id: str | None = None
    ) -> conversation.ConversationResult:
        result = await conversation.async_converse(
            self.hass,
            text,
            conversation_id,
            Context(),
            language=language,
            agent_id=AGENT,
            device_id=self.satellite if satellite else None,
        )
        await self.hass.async_block_till_done()
        return result


@pytest.fixture
async def house(home: HomeAssistant, loaded: MockConfigEntry) -> House:
    lamps = [Lamp("Ceiling"), Lamp("Counter"), Lamp("Bed Light")]
    setup_test_component_platform(home, "light", lamps)
    assert await async_setup_component(home, "light", {"light": {"platform": "test"}})
    await home.async_block_till_done()
    areas = ar.async_get(home)
    kitchen, office = areas.async_create("Kitchen"), areas.async_create("Office")
    for lamp, area in zip(lamps, (kitchen, kitchen, office), strict=True):
        er.async_get(home).async_update_entity(lamp.entity_id, area_id=area.id)
    devices = dr.async_get(home)
    satellite = devices.async_get_or_create(config_entry_id=loaded.entry_id, identifiers={("test", "satellite")})
    devices.async_update_device(satellite.id, area_id=kitchen.id)
    await home.async_block_till_done()
    return House(home, loaded, lamps, satellite.id)


def speech_of(result: conversation.ConversationResult) -> str:
    return str(result.response.speech["plain"]["speech"])


async def test_a_command_is_done_and_answered(house: House) -> None:
    result = await house.hears("turn on the bed light")
    assert house.lit == {"Bed Light"}
    assert speech_of(result) == "Turned on the light"
    assert result.response.response_type is intent.IntentResponseType.ACTION_DONE


async def test_a_question_is_answered(house: House) -> None:
    await house.hears("turn on the bed light")
    assert speech_of(await house.hears("is the bed light on")) == "Yes"


async def test_the_lights_are_those_of_the_room_that_the_satellite_is_in(house: House) -> None:
    await house.hears("turn on the lights")
    assert house.lit == {"Ceiling", "Counter"}


async def test_another_room_is_lit_when_it_is_named(house: House) -> None:
    await house.hears("turn on the office lights")
    assert house.lit == {"Bed Light"}


async def test_without_a_room_the_lights_are_nobodys(house: House) -> None:
    result = await house.hears("turn on the lights", satellite=False)
    assert house.lit == set()
    assert house.services == []
    assert result.response.response_type is intent.IntentResponseType.ERROR
    assert speech_of(result)


@pytest.mark.parametrize("satellite", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        "turn off the lights in the attic",
        "turn on the attic lights",
        "turn on the light in the garden",
        "turn off the lights upstairs",
        "turn off lights attic",
        "lights in the attic off please",
        "make the attic blue",
        "set the attic lights to 50 percent",
        "could you please turn off the lights in the garage",
        "turn on the lights outside",
        "I'd like the lights on in the bathroom",
        "unlock the attic door",
        "turn everything off",
        "turn off everything in the attic",
        "banana",
    ],
)
async def test_an_unknown_room_means_no_room_at_all(house: House, text: str, satellite: bool) -> None:
    result = await house.hears(text, satellite=satellite)
    assert house.services == []
    assert result.response.response_type is intent.IntentResponseType.ERROR
    assert speech_of(result).startswith("Sorry")


async def test_an_unknown_room_is_named_in_the_answer(house: House) -> None:
    result = await house.hears("turn off the lights in the attic")
    assert speech_of(result) == "Sorry, I am not aware of any area called attic"
    assert house.turns[-1].tier == "rescue"


async def test_a_misheard_name_is_rescued(house: House) -> None:
    await house.hears("turn on the kitchen lights")
    await house.hears("turn off the kitchen cealing please")
    assert house.lit == {"Counter"}
    assert house.turns[-1].tier == "rescue"


async def test_a_misheard_room_is_rescued(house: House) -> None:
    await house.hears("turn on the lights in the ofice")
    assert house.lit == {"Bed Light"}


async def test_an_odd_order_of_words_is_rescued_in_the_room_of_the_satellite(house: House) -> None:
    await house.hears("the lights turn on")
    assert house.lit == {"Ceiling", "Counter"}
    assert house.turns[-1].tier == "rescue"


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "nl"])
async def test_what_is_not_understood_is_refused_honestly(house: House, language: str) -> None:
    result = await house.hears("xyzzy plugh", language=language)
    assert speech_of(result) == say(Phrase.CANNOT_HELP, language)
    assert result.response.error_code is intent.IntentResponseErrorCode.NO_INTENT_MATCH


async def test_a_language_that_home_assistant_does_not_know_is_refused_in_english(house: House) -> None:
    assert speech_of(await house.hears("nuqneH", language="tlh")) == say(Phrase.CANNOT_HELP, "en")


async def test_another_language_is_understood(house: House) -> None:
    await house.hears("schalte Bed Light ein", language="de")
    assert house.lit == {"Bed Light"}


async def test_an_entity_that_is_not_exposed_is_left_alone(house: House) -> None:
    async_expose_entity(house.hass, "conversation", "light.bed_light", False)
    await house.hass.async_block_till_done()
    result = await house.hears("turn on the bed light")
    assert house.lit == set()
    assert speech_of(result).startswith("Sorry")


async def test_two_of_the_same_name_are_asked_about_in_home_assistants_words(house: House) -> None:
    for entity_id in ("light.ceiling", "light.counter"):
        er.async_get(house.hass).async_update_entity(entity_id, aliases=["spot"])
    await house.hass.async_block_till_done()
    result = await house.hears("turn on the spot")
    assert house.lit == set()
    assert "spot" in speech_of(result)


async def test_a_timer_on_a_device_without_timers_is_refused_in_home_assistants_words(house: House) -> None:
    result = await house.hears("set a timer for 5 minutes")
    assert "timers" in speech_of(result)
    assert result.response.response_type is intent.IntentResponseType.ERROR


async def test_a_sentence_for_which_the_home_has_no_handler_is_no_developers_message(house: House) -> None:
    result = await house.hears("turn up the volume")
    assert speech_of(result) == say(Phrase.CANNOT_HELP, "en")


async def test_never_mind_is_answered_with_silence(house: House) -> None:
    result = await house.hears("never mind")
    assert result.response.response_type is intent.IntentResponseType.ACTION_DONE
    assert house.turns[-1].reply == ""


async def test_a_lamp_that_fails_is_answered_in_home_assistants_words(house: House) -> None:
    with patch.object(Lamp, "async_turn_on", side_effect=RuntimeError("blown")):
        result = await house.hears("turn on the bed light")
    assert result.response.response_type is intent.IntentResponseType.ERROR
    assert "blown" not in speech_of(result)


async def test_a_broken_agent_is_answered_and_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with (
        patch("homeassistant.components.conversation.async_handle_intents", side_effect=RuntimeError("broken")),
        caplog.at_level(logging.ERROR),
    ):
        result = await house.hears("turn on the bed light")
    assert speech_of(result) == say(Phrase.FAILED, "en")
    assert house.turns[-1].trace_id in caplog.text


@pytest.mark.parametrize(
    "text",
    ["", "   ", "?!", "{name}", "[", "(" * 500, pytest.param("turn on " * 100, id="turn on and on"), "\x00", "🙂"],
)
async def test_odd_texts_are_answered(house: House, text: str) -> None:
    result = await house.hears(text)
    assert speech_of(result).startswith("Sorry")
    assert house.services == []


async def test_a_speech_is_refused_at_once(house: House) -> None:
    assert speech_of(await house.hears("turn on the lights " * 1000)) == say(Phrase.TOO_LONG, "en")
    assert house.services == []


async def test_the_turn_is_kept_with_its_stages(house: House) -> None:
    await house.hears("turn on the bed light")
    (turn,) = house.turns
    assert (turn.text, turn.reply, turn.language) == ("turn on the bed light", "Turned on the light", "en")
    assert (turn.intent, turn.tier, turn.error) == ("HassTurnOn", "strict", None)
    assert turn.device_id == house.satellite
    assert [stage.name for stage in turn.stages] == ["admit", "session", "strict", "conversation"]


async def test_the_turn_that_the_ears_began_is_continued(house: House) -> None:
    heard = trace.begin(language="en")
    heard.text = "turn on the bed light"
    await house.hears("turn on the bed light")
    assert house.turns == [heard]
    assert heard.reply == "Turned on the light"


async def test_a_turn_of_other_words_is_not_continued(house: House) -> None:
    heard = trace.begin(language="en")
    heard.text = "turn off the bed light"
    await house.hears("turn on the bed light")
    assert heard not in house.turns
    assert heard.reply is None


async def test_it_stays_when_the_sidecar_goes(house: House, sidecar: Any) -> None:
    sidecar.goes()
    await house.hass.async_block_till_done()
    assert house.hass.states.get(AGENT).state != STATE_UNAVAILABLE
    await house.hears("turn on the bed light")
    assert house.lit == {"Bed Light"}


async def test_it_controls_the_home_and_knows_home_assistants_languages(house: House) -> None:
    state = house.hass.states.get(AGENT)
    assert state.attributes["supported_features"] == conversation.ConversationEntityFeature.CONTROL
    entity = house.hass.data["conversation"].get_entity(AGENT)
    assert {"en", "de", "fr", "es", "nl", "pl"} <= set(entity.supported_languages)


async def test_the_conversation_goes_on_under_its_own_id_and_knows_only_what_was_said(house: House) -> None:
    first = await house.hears("turn on the bed light", conversation_id="my-conversation")
    assert first.conversation_id == "my-conversation"
    await house.hears("turn off the lights in the attic", conversation_id="my-conversation")
    await house.hears("banana", conversation_id="my-conversation")
    log = house.hass.data["conversation_chat_logs"]["my-conversation"]
    said = [content.content for content in log.content if content.role == "assistant" and content.content]
    assert said == [
        "Turned on the light",
        "Sorry, I am not aware of any area called attic",
        say(Phrase.CANNOT_HELP, "en"),
    ]


async def test_people_in_two_rooms_do_not_mix(house: House) -> None:
    results = await asyncio.gather(
        house.hears("turn on the ceiling"), house.hears("is the bed light on", satellite=False)
    )
    assert [speech_of(result) for result in results] == ["Turned on the light", "No, off"]
    assert {turn.text: turn.reply for turn in house.turns} == {
        "turn on the ceiling": "Turned on the light",
        "is the bed light on": "No, off",
    }


@pytest.fixture
async def automation(house: House) -> Callable[[], int]:
    """An automation with a sentence of its own; gives how often it ran."""
    config = {
        "triggers": {"trigger": "conversation", "command": ["it is movie time", "tell {name} a joke"]},
        "actions": [{"event": "movie_time"}, {"set_conversation_response": "Enjoy the movie"}],
    }
    assert await async_setup_component(house.hass, "automation", {"automation": config})
    await house.hass.async_block_till_done()
    events = async_capture_events(house.hass, "movie_time")
    return lambda: len(events)


async def test_an_automations_sentence_runs_it_once(house: House, automation: Callable[[], int]) -> None:
    result = await house.hears("it is movie time")
    assert speech_of(result) == "Enjoy the movie"
    assert automation() == 1
    assert house.turns[-1].tier == "trigger"


async def test_a_pipeline_has_tried_the_automations_itself(house: House, automation: Callable[[], int]) -> None:
    spoken = conversation.ConversationInput(
        text="it is movie time",
        context=Context(),
        conversation_id="piped",
        device_id=None,
        satellite_id=None,
        language="en",
        agent_id=AGENT,
    )
    with (
        async_get_chat_session(house.hass, "piped") as session,
        conversation.async_get_chat_log(
            house.hass, session, spoken, chat_log_delta_listener=lambda log, delta: None
        ) as log,
        patch("homeassistant.components.conversation.async_handle_sentence_triggers") as triggers,
    ):
        await house.hass.data["conversation"].get_entity(AGENT)._async_handle_message(spoken, log)
    assert not triggers.called


async def test_the_warm_up_runs_nothing_of_anybodys(house: House) -> None:
    config = {
        "triggers": {"trigger": "conversation", "command": ["{anything}"]},
        "actions": [{"event": "anything_said"}],
    }
    assert await async_setup_component(house.hass, "automation", {"automation": config})
    await house.hass.async_block_till_done()
    events = async_capture_events(house.hass, "anything_said")
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    await house.hass.async_block_till_done(wait_background_tasks=True)
    assert events == []


async def test_the_warm_up_loads_the_rescue(house: House) -> None:
    await house.hass.async_block_till_done(wait_background_tasks=True)
    agent = get_agent_manager(house.hass).default_agent
    assert agent is not None
    # What Home Assistant reads from files at the first use; how long that takes says how busy the machine is.
    loaded = agent._gazetteer._matcher
    assert loaded is not None
    await house.hears("turn on the kitchen cealing")
    assert "rescue" in {stage.name for stage in house.turns[-1].stages}
    used = agent._gazetteer._matcher
    assert used is not None
    assert used.config.vocabulary is loaded.config.vocabulary
