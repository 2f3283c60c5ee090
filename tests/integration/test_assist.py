"""Home Assistant's recognition as the endpoint sees it: on real sentences, with nothing done about any."""

from __future__ import annotations

from typing import Any

from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.const import EVENT_CALL_SERVICE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar, device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events

from custom_components.barnabeenet.assist import Assist
from custom_components.barnabeenet.dialog.endpoint import Endpoint

ENTITIES = [
    ("light.bed_light", "Bed Light", "Office"),
    ("light.ceiling", "Ceiling", "Kitchen"),
    ("light.ceiling_strip", "Ceiling Strip", "Kitchen"),
    ("lock.front_door", "Front Door", None),
    ("cover.blinds", "Blinds", None),
    ("script.party", "Party Time", None),
    ("scene.mood", "Mood Lighting", None),
    ("media_player.tv", "TV", "Office"),
    ("climate.ecobee", "EcoBee", "Kitchen"),
    ("weather.new_york", "New York", None),
]


@pytest.fixture
async def satellite(home: HomeAssistant) -> str:
    """A satellite in the kitchen of a home with something of everything."""
    assert await async_setup_component(home, "conversation", {})
    registry, areas = er.async_get(home), ar.async_get(home)
    for entity_id, name, area in ENTITIES:
        domain, object_id = entity_id.split(".")
        registry.async_get_or_create(domain, "test", name, suggested_object_id=object_id, original_name=name)
        if area is not None:
            registry.async_update_entity(entity_id, area_id=areas.async_get_or_create(area).id)
        home.states.async_set(entity_id, "off")
        async_expose_entity(home, "conversation", entity_id, True)
    entry = MockConfigEntry(domain="test")
    entry.add_to_hass(home)
    device = dr.async_get(home).async_get_or_create(config_entry_id=entry.entry_id, identifiers={("test", "satellite")})
    dr.async_get(home).async_update_device(device.id, area_id=areas.async_get_or_create("Kitchen").id)
    await home.async_block_till_done()
    return device.id


@pytest.fixture
def endpoint(home: HomeAssistant, satellite: str) -> Endpoint:
    names = [name for _, name, _ in ENTITIES]
    return Endpoint(Assist(home), lambda: [*names, "Kitchen", "Office"])


@pytest.mark.parametrize(
    "text",
    [
        "turn on the bed light",
        "Turn on the bed light.",
        "turn the bed light off",
        "turn off the kitchen lights",
        "turn on the lights in the office",
        "turn the ceiling on",
        "set the bed light to 50 percent",
        "make the bed light blue",
        "is the bed light on",
        "is the front door locked",
        "pause the TV",
        "set the ecobee to 21 degrees",
        "what's the temperature in the kitchen",
        "what's the weather in new york",
        "what time is it",
        "never mind",
    ],
)
async def test_a_whole_command_needs_no_more_silence(
    home: HomeAssistant, endpoint: Endpoint, satellite: str, text: str
) -> None:
    services = async_capture_events(home, EVENT_CALL_SERVICE)
    assert await endpoint.complete(text, "en", satellite)
    await home.async_block_till_done()
    assert services == []


@pytest.mark.parametrize(
    "text",
    [
        "turn",
        "turn on",
        "turn on the",
        "turn on the bed",
        "bed light",
        "the bed light",
        "turn on the ceiling",  # ... strip
        "turn on the lights",  # ... in the office
        "lights off",
        "set the bed light to 50",  # ... five percent
        "set the ecobee to 21",
        "set a timer for 5 minutes",  # ... and thirty seconds
        "cancel the timer",
        "stop",
        "pause",
        "what's the temperature",
        "what's the weather",
        "lock the front door",
        "unlock the front door",
        "open the blinds",
        "close the blinds",
        "run party time",
        "activate mood lighting",
        "mood lighting",
        "add milk to my shopping list",
        "turn off all the lights",
        "turn off the lights in the attic",
        "banana",
    ],
)
async def test_what_may_go_on_or_is_hard_to_undo_waits(endpoint: Endpoint, satellite: str, text: str) -> None:
    assert not await endpoint.complete(text, "en", satellite)


async def test_another_language_is_recognised_in_its_own_words(endpoint: Endpoint) -> None:
    assert await endpoint.complete("schalte Bed Light ein", "de", None)
    assert not await endpoint.complete("schalte Bed Light ein", "en", None)


async def test_a_language_without_sentences_is_never_whole(endpoint: Endpoint) -> None:
    assert not await endpoint.complete("nuqneH", "tlh", None)


async def test_the_room_of_the_satellite_is_not_a_spoken_target(home: HomeAssistant, satellite: str) -> None:
    borrowed = await Assist(home).recognise("turn on the lights", "en", satellite)
    spoken = await Assist(home).recognise("turn on the kitchen lights", "en", satellite)
    assert borrowed is not None
    assert borrowed.targets == ()
    assert spoken is not None
    assert spoken.targets == ("kitchen",)


async def test_a_reload_of_the_sentences_is_noticed(home: HomeAssistant, satellite: str) -> None:
    assist = Assist(home)
    assert await assist.may_borrow_room("the lights turn on", "en")
    data: dict[str, Any] = {"language": "en", "intents": {}}
    assert not await assist.may_borrow_room("the lights turn on", "tlh")
    await assist.agent.async_reload("en")
    loaded = await assist.sentences("en")
    assert loaded is not None
    loaded.intents = type(loaded.intents).from_dict(data)
    assert not await assist.may_borrow_room("the lights turn on", "en")
