"""What a home understands beyond one strict sentence: several commands, what points back, near misses, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.const import EVENT_CALL_SERVICE
from homeassistant.core import Context, Event, HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    chat_session,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
)
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events

from custom_components.barnabeenet.assist import Assist, Utterance
from custom_components.barnabeenet.dialog.follow_up import Answered
from custom_components.barnabeenet.dialog.local import Answer, answer_locally
from custom_components.barnabeenet.home import read_home
from custom_components.barnabeenet.telemetry.trace import VoiceContext

THINGS: list[tuple[str, str, str | None, dict[str, Any]]] = [
    ("light.bed", "Bed Light", "Office", {}),
    ("light.ceiling", "Ceiling Light", "Kitchen", {}),
    ("light.hall", "Hall Lamp", "Hall", {}),
    ("fan.ceiling", "Ceiling Fan", "Kitchen", {"supported_features": 49, "percentage_step": 1}),
    ("fan.fan", "Fan", "Office", {"supported_features": 49, "percentage_step": 1}),
    ("lock.front", "Front Door", "Hall", {}),
    ("lock.back", "Back Door", "Kitchen", {}),
    ("cover.blinds", "Blinds", "Kitchen", {"device_class": "blind", "supported_features": 15}),
    ("cover.garage", "Garage Door", "Garage", {"device_class": "garage", "supported_features": 15}),
    ("switch.heater", "Heater", "Office", {}),
]


class Memory:
    """Keeps the last command for as long as the test runs."""

    def __init__(self) -> None:
        self.sentences: tuple[str, ...] = ()

    def recall(self) -> tuple[str, ...]:
        return self.sentences

    def note(self, sentences: tuple[str, ...]) -> None:
        self.sentences = sentences


class Speaker:
    """Somebody in the kitchen, who goes on from what they said before."""

    def __init__(self, hass: HomeAssistant, satellite: str) -> None:
        self.hass = hass
        self.assist = Assist(hass, lambda: self.home)
        self.home = read_home(hass, "en")
        self.satellite: str | None = satellite
        self.memory = Memory()
        self._calls: list[Event[Any]] = async_capture_events(hass, EVENT_CALL_SERVICE)

    async def says(self, text: str, language: str = "en") -> Answer[Any] | None:
        """What is answered; nothing when nobody here can help."""
        spoken = conversation.ConversationInput(
            text=text,
            context=Context(),
            conversation_id=None,
            device_id=self.satellite,
            satellite_id=None,
            language=language,
            agent_id="conversation.barnabee",
        )
        with (
            chat_session.async_get_chat_session(self.hass) as session,
            conversation.async_get_chat_log(self.hass, session, spoken) as log,
        ):
            answer = await answer_locally(Utterance(self.assist, spoken, log, self.memory), VoiceContext())
        await self.hass.async_block_till_done()
        return answer

    @property
    def done(self) -> list[str]:
        """The services that were called, as "light.turn_on light.bed"; those that pass calls on are left out."""
        calls = []
        for call in self._calls:
            ids = call.data["service_data"].get("entity_id")
            if call.data["domain"] != "homeassistant":
                service = f"{call.data['domain']}.{call.data['service']}"
                calls += [f"{service} {each}" for each in ([ids] if isinstance(ids, str) else ids)]
        return calls


@pytest.fixture
async def speaker(home: HomeAssistant) -> Speaker:
    for component in ("conversation", "light", "fan", "lock", "cover", "switch"):
        assert await async_setup_component(home, component, {})
    registry, areas = er.async_get(home), ar.async_get(home)
    upstairs = fr.async_get(home).async_create("Upstairs")
    areas.async_update(areas.async_get_or_create("Office").id, floor_id=upstairs.floor_id)
    for entity_id, name, area, attributes in THINGS:
        domain, object_id = entity_id.split(".")
        registry.async_get_or_create(domain, "test", name, suggested_object_id=object_id, original_name=name)
        if area is not None:
            registry.async_update_entity(entity_id, area_id=areas.async_get_or_create(area).id)
        home.states.async_set(entity_id, "off", attributes)
        async_expose_entity(home, "conversation", entity_id, True)
    entry = MockConfigEntry(domain="test")
    entry.add_to_hass(home)
    device = dr.async_get(home).async_get_or_create(config_entry_id=entry.entry_id, identifiers={("test", "satellite")})
    dr.async_get(home).async_update_device(device.id, area_id=areas.async_get_or_create("Kitchen").id)
    await home.async_block_till_done()
    return Speaker(home, device.id)


@pytest.mark.parametrize(
    ("language", "text", "done"),
    [
        ("en", "turn on the bed light and lock the front door", ["light.turn_on light.bed", "lock.lock lock.front"]),
        ("en", "turn on the kitchen and hall lights", ["light.turn_on light.ceiling", "light.turn_on light.hall"]),
        (
            "en",
            "turn on the kitchen, hall and office lights",
            ["light.turn_on light.ceiling", "light.turn_on light.hall", "light.turn_on light.bed"],
        ),
        ("en", "turn on the fan, then set it to 50 percent", ["fan.turn_on fan.fan", "fan.turn_on fan.fan"]),
        ("en", "turn off the fan and the bed light", ["fan.turn_off fan.fan", "light.turn_off light.bed"]),
        ("en", "turn the fan and the bed light off", ["fan.turn_off fan.fan", "light.turn_off light.bed"]),
        ("en", "turn the fan on and the bed light", ["fan.turn_on fan.fan", "light.turn_on light.bed"]),
        (
            "en",
            "turn on the lights and close the blinds in the office",
            ["light.turn_on light.bed"],
        ),
        ("de", "schalte Bed Light ein und Fan aus", ["light.turn_on light.bed", "fan.turn_off fan.fan"]),
        ("de", "Licht aus und Bed Light ein", ["light.turn_off light.ceiling", "light.turn_on light.bed"]),
        ("de", "schalte Bed Light und Fan ein", ["light.turn_on light.bed", "fan.turn_on fan.fan"]),
        ("de", "schalte Fan ein und Bed Light auch", ["fan.turn_on fan.fan", "light.turn_on light.bed"]),
        ("fr", "allume Bed Light puis éteins Fan", ["light.turn_on light.bed", "fan.turn_off fan.fan"]),
        ("fr", "allume Bed Light et Fan", ["light.turn_on light.bed", "fan.turn_on fan.fan"]),
        ("es", "enciende Bed Light y apaga Fan", ["light.turn_on light.bed", "fan.turn_off fan.fan"]),
        ("es", "enciende Bed Light y Fan", ["light.turn_on light.bed", "fan.turn_on fan.fan"]),
        ("nl", "doe Bed Light aan en Fan uit", ["light.turn_on light.bed", "fan.turn_off fan.fan"]),
        ("nl", "doe Bed Light en Fan aan", ["light.turn_on light.bed", "fan.turn_on fan.fan"]),
    ],
)
async def test_several_commands_are_done_in_their_order(
    speaker: Speaker, language: str, text: str, done: Sequence[str]
) -> None:
    answer = await speaker.says(text, language)
    assert answer is not None
    assert answer.tier == "several"
    assert speaker.done == list(done)


@pytest.mark.parametrize(
    "text",
    [
        "turn off the lights in the attic and lock the front door",
        "turn on the bed light and don't lock the front door",
        "don't lock the front door",
        "turn on the bed light but not the fan",
        "turn off all the lights in the attic",
        "turn off everything in the attic",
        "turn everything off in the attic",
        "turn off all the lights downstairs",
        "turn off all lights and fans in the attic",
        "open the garbage door",
        "unlock the front dor",
        "onlock the front door",
        "turn off the lights in the attic and the garden",
        "please the wall lamp turn on",
    ],
)
@pytest.mark.parametrize("in_a_room", [True, False])
async def test_what_was_not_said_is_not_done(speaker: Speaker, text: str, in_a_room: bool) -> None:
    speaker.satellite = speaker.satellite if in_a_room else None
    answer = await speaker.says(text)
    assert speaker.done == []
    assert answer is None or answer.error is not None or answer.question is not None


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "turn off the lights in the attic"),
        ("en", "turn off all the lights on the third floor"),
        ("en", "switch all the lights off in the cellar please"),
        ("de", "schalte das Licht im Dachboden aus"),
        ("de", "schalte alle Lichter im Dachboden aus"),
        ("de", "mach das Licht im Keller an"),
        ("de", "schalte Bed Light nicht ein"),
        ("de", "schalte alle Lichter im Keller aus und Bed Light ein"),
        ("fr", "allume la lumière dans le grenier"),
        ("fr", "éteins toutes les lumières du grenier"),
        ("fr", "n'allume pas Bed Light"),
        ("es", "apaga las luces del ático"),
        ("es", "apaga todas las luces del ático"),
        ("es", "no enciendas Bed Light"),
        ("nl", "doe de lampen op zolder uit"),
        ("nl", "doe alle lampen op zolder uit"),
        ("nl", "doe Bed Light niet aan"),
    ],
)
@pytest.mark.parametrize("in_a_room", [True, False])
async def test_an_unknown_place_is_never_another_one(
    speaker: Speaker, language: str, text: str, in_a_room: bool
) -> None:
    speaker.satellite = speaker.satellite if in_a_room else None
    answer = await speaker.says(text, language)
    assert speaker.done == []
    assert answer is None or answer.error is not None


@pytest.mark.parametrize(
    ("language", "text", "place"),
    [
        ("en", "turn off the lights in the attic", "attic"),
        ("en", "turn off all the lights in the attic", "attic"),
        ("de", "schalte das Licht im Dachboden aus", "Dachboden"),
        ("fr", "allume la lumière dans le grenier", "grenier"),
        ("es", "apaga las luces del ático", "ático"),
        ("nl", "doe de lampen op zolder uit", "zolder"),
    ],
)
async def test_an_unknown_place_is_named(speaker: Speaker, language: str, text: str, place: str) -> None:
    answer = await speaker.says(text, language)
    assert answer is not None
    assert place in answer.speech
    assert answer.tier == "rescue"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "turn off all the lights"),
        ("en", "turn off the lights everywhere"),
        ("de", "schalte alle Lichter aus"),
        ("es", "apaga todas las luces"),
    ],
)
async def test_the_whole_house_is_meant_when_it_is_said(speaker: Speaker, language: str, text: str) -> None:
    await speaker.says(text, language)
    assert {call.split()[1] for call in speaker.done} == {"light.bed", "light.ceiling", "light.hall"}


async def test_a_floor_is_a_place(speaker: Speaker) -> None:
    await speaker.says("turn on the lights upstairs")
    assert speaker.done == ["light.turn_on light.bed"]


@pytest.mark.parametrize(
    ("first", "then", "done"),
    [
        ("turn on the bed light", "turn it off", "light.turn_off light.bed"),
        ("turn on the office lights", "turn them off", "light.turn_off light.bed"),
        ("turn on the fan", "set it to 50 percent", "fan.turn_on fan.fan"),
        ("turn on the fan", "and the bed light too", "light.turn_on light.bed"),
        ("is the heater on", "turn it on", "switch.turn_on switch.heater"),
    ],
)
async def test_a_pronoun_means_what_was_last_spoken_of(speaker: Speaker, first: str, then: str, done: str) -> None:
    await speaker.says(first)
    before = len(speaker.done)
    answer = await speaker.says(then)
    assert answer is not None
    assert speaker.done[before:] == [done]


@pytest.mark.parametrize(
    ("language", "first", "then"),
    [
        ("de", "schalte Bed Light ein", "schalte sie aus"),
        ("fr", "allume Bed Light", "éteins-la"),
        ("es", "enciende Bed Light", "apágala"),
        ("nl", "doe Bed Light aan", "doe hem uit"),
    ],
)
async def test_pronouns_of_other_languages(speaker: Speaker, language: str, first: str, then: str) -> None:
    await speaker.says(first, language)
    await speaker.says(then, language)
    assert speaker.done == ["light.turn_on light.bed", "light.turn_off light.bed"]


async def test_both_of_the_last_sentence_are_meant(speaker: Speaker) -> None:
    await speaker.says("turn on the bed light and the fan")
    await speaker.says("turn them off")
    assert speaker.done[2:] == ["light.turn_off light.bed", "fan.turn_off fan.fan"]


async def test_nothing_is_meant_when_nothing_was_said_before(speaker: Speaker) -> None:
    answer = await speaker.says("turn it off")
    assert speaker.done == []
    assert answer is not None
    assert answer.error is not None


async def test_what_was_refused_is_not_remembered(speaker: Speaker) -> None:
    await speaker.says("turn on the bed light")
    await speaker.says("turn off the lights in the attic")
    await speaker.says("turn it off")
    assert speaker.done == ["light.turn_on light.bed", "light.turn_off light.bed"]


async def test_what_fails_in_the_middle_is_said_and_the_rest_is_done(speaker: Speaker) -> None:
    answer = await speaker.says("turn on the bed light and close the blinds in the office and lock the front door")
    assert answer is not None
    assert speaker.done == ["light.turn_on light.bed", "lock.lock lock.front"]
    assert "but this did not work: close the blinds in the office" in answer.speech


async def test_six_things_are_too_many(speaker: Speaker) -> None:
    names = ("bed light", "ceiling light", "hall lamp", "fan", "ceiling fan", "heater")
    answer = await speaker.says(" and ".join(f"turn on the {name}" for name in names))
    assert speaker.done == []
    assert answer is not None
    assert answer.error == "too many commands"


@pytest.mark.parametrize(
    ("text", "asked", "done"),
    [
        ("lock the fraud door", "Did you mean Front Door?", "lock.lock lock.front"),
        ("unlock the front dor", "Did you mean Front Door?", "lock.unlock lock.front"),
        ("open the garbage door", "Did you mean Garage Door?", "cover.open_cover cover.garage"),
    ],
)
async def test_a_risky_near_miss_is_asked_about(speaker: Speaker, text: str, asked: str, done: str) -> None:
    answer = await speaker.says(text)
    assert answer is not None
    assert answer.speech == asked
    assert answer.question is not None
    assert speaker.done == []
    agreed = answer.question.answer("yes please")
    assert isinstance(agreed, Answered)
    await speaker.says(agreed.choice)
    assert speaker.done == [done]


async def test_a_harmless_near_miss_is_done(speaker: Speaker) -> None:
    answer = await speaker.says("turn on the sealing light")
    assert answer is not None
    assert answer.tier == "near_miss"
    assert speaker.done == ["light.turn_on light.ceiling"]


async def test_a_new_name_is_near_as_soon_as_the_home_is_read(speaker: Speaker) -> None:
    assert (await speaker.says("schalte Waffel Eisen ein", "de")).tier == "rescue"  # type: ignore[union-attr]
    speaker.hass.states.async_set("switch.iron", "off", {"friendly_name": "Waffeleisen"})
    async_expose_entity(speaker.hass, "conversation", "switch.iron", True)
    await speaker.hass.async_block_till_done()
    speaker.home = read_home(speaker.hass, "en")
    await speaker.says("schalte Waffel Eisen ein", "de")
    assert speaker.done == ["switch.turn_on switch.iron"]


@pytest.mark.parametrize("text", ["what is a good soup for a cold evening", "tell me a story", "thank you", "hm"])
async def test_other_talk_is_left_to_others(speaker: Speaker, text: str) -> None:
    answer = await speaker.says(text)
    assert answer is None or answer.error == "not understood"
    assert speaker.done == []


async def test_a_long_speech_is_refused_in_no_time(speaker: Speaker) -> None:
    assert await speaker.says("turn on the lights " * 50) is None
    assert speaker.done == []


async def test_another_rescue_than_the_known_one_is_not_trusted(speaker: Speaker) -> None:
    with patch.object(speaker.assist.agent, "_gazetteer", None):
        answer = await speaker.says("turn off all the lights in the attic")
    assert speaker.done == []
    assert answer is not None
    assert "attic" in answer.speech
