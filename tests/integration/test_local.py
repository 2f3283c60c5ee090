"""What a home understands beyond one strict sentence: several commands, what points back, near misses, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    ],
)
@pytest.mark.parametrize("in_a_room", [True, False])
async def test_what_was_not_said_is_not_done(speaker: Speaker, text: str, in_a_room: bool) -> None:
    speaker.satellite = speaker.satellite if in_a_room else None
    answer = await speaker.says(text)
    assert speaker.done == []
    assert answer is None or answer.error is not None or answer.question is not None
