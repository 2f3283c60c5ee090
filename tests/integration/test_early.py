"""Speculation on a real Home Assistant: what is done early, what never is, and how it is put back."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

from homeassistant.components.fan import FanEntity, FanEntityFeature
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.components.light import ColorMode, LightEntity, LightEntityFeature
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import area_registry as ar, chat_session, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    async_mock_service,
    setup_test_component_platform,
)

from custom_components.barnabeenet.dialog.speculate import Plan, Speculator
from custom_components.barnabeenet.early import EarlyHome, expect_question, is_question_expected

pytestmark = pytest.mark.usefixtures("starting")


class Bulb(LightEntity):
    """Keeps its brightness and colour while it is off."""

    _attr_should_poll = False
    _attr_supported_color_modes = {ColorMode.HS}  # noqa: RUF012
    _attr_color_mode = ColorMode.HS
    _attr_supported_features = LightEntityFeature.EFFECT
    _attr_effect_list = ["rainbow"]  # noqa: RUF012

    def __init__(self, name: str, *, is_on: bool = False, effect: str | None = None) -> None:
        self._attr_name = name
        self._attr_unique_id = name
        self._attr_is_on = is_on
        self._attr_effect = effect
        self._attr_brightness = 77
        self._attr_hs_color = (240.0, 50.0)
        self.is_broken = False

    async def async_turn_on(self, **kwargs: Any) -> None:
        if self.is_broken:
            raise HomeAssistantError(f"{self.name} does not answer")
        self._attr_is_on = True
        self._attr_brightness = kwargs.get("brightness", self._attr_brightness)
        self._attr_hs_color = kwargs.get("hs_color", self._attr_hs_color)
        self.async_write_ha_state()

    async def async_turn_off(self, **kwargs: Any) -> None:
        self._attr_is_on = False
        self.async_write_ha_state()


class Fan(FanEntity):
    _attr_should_poll = False
    _attr_name = "Ceiling Fan"
    _attr_unique_id = "fan"
    _attr_supported_features = FanEntityFeature.SET_SPEED | FanEntityFeature.TURN_ON | FanEntityFeature.TURN_OFF
    _attr_percentage = 66

    async def async_turn_on(self, percentage: int | None = None, preset_mode: str | None = None, **kwargs: Any) -> None:
        await self.async_set_percentage(percentage or 100)

    async def async_turn_off(self, **kwargs: Any) -> None:
        await self.async_set_percentage(0)

    async def async_set_percentage(self, percentage: int) -> None:
        self._attr_percentage = percentage
        self.async_write_ha_state()


@pytest.fixture
def bulbs() -> dict[str, Bulb]:
    return {
        "bed": Bulb("Bed Light"),
        "strip": Bulb("Bed Light Strip"),
        "desk": Bulb("Desk Lamp", is_on=True),
        "party": Bulb("Party Light", is_on=True, effect="rainbow"),
    }


@pytest.fixture
async def house(home: HomeAssistant, bulbs: dict[str, Bulb]) -> HomeAssistant:
    for component in ("conversation", "automation", "script"):
        assert await async_setup_component(home, component, {})
    for domain, entities in (("light", list(bulbs.values())), ("fan", [Fan()])):
        setup_test_component_platform(home, domain, entities)
        assert await async_setup_component(home, domain, {domain: {"platform": "test"}})
    await home.async_block_till_done()
    bedroom = ar.async_get(home).async_create("Bedroom")
    for entity in (bulbs["bed"], bulbs["strip"]):
        er.async_get(home).async_update_entity(entity.entity_id, area_id=bedroom.id)
    for entity_id, state in (("switch.pump", "off"), ("lock.front_door", "locked"), ("cover.garage", "closed")):
        home.states.async_set(entity_id, state, {"friendly_name": entity_id.split(".")[1].replace("_", " ")})
    for state in home.states.async_all():
        async_expose_entity(home, "conversation", state.entity_id, True)
    await home.async_block_till_done()
    return home


@pytest.fixture
def early(house: HomeAssistant) -> EarlyHome:
    return EarlyHome(house)


class Voice:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.was_asked = asyncio.Event()

    def ask_ahead(self, text: str, language: str) -> None:
        self.asked.append(text)
        self.was_asked.set()


async def plan(early: EarlyHome, text: str) -> Plan:
    found = await early.plan(text, "en", None)
    assert found is not None
    return found


def all_states(house: HomeAssistant) -> dict[str, tuple[str, dict[str, Any]]]:
    return {state.entity_id: (state.state, dict(state.attributes)) for state in house.states.async_all()}


@pytest.mark.parametrize(
    ("text", "things", "reply"),
    [
        ("turn on the bed light", ("light.bed_light",), "Turned on the light"),
        ("turn off the desk lamp", ("light.desk_lamp",), "Turned off the light"),
        ("turn off the ceiling fan", ("fan.ceiling_fan",), "Turned off the fan"),
        ("turn on the lights in the bedroom", ("light.bed_light", "light.bed_light_strip"), "Turned on the lights"),
        # It is on already.
        ("turn on the desk lamp", (), "Turned on the light"),
        ("turn off the party light", (), "Turned off the light"),
        ("turn on the pump", (), "Turned on the switch"),
        ("set the desk lamp to 50", (), "Brightness set"),
        ("unlock the front door", (), "Unlocking"),
        ("open the garage", (), "Opening"),
    ],
)
async def test_what_would_be_done_early_and_said(
    early: EarlyHome, text: str, things: tuple[str, ...], reply: str
) -> None:
    found = await plan(early, text)
    assert sorted(found.undoable) == sorted(things)
    assert found.reply == reply


@pytest.mark.parametrize("text", ["turn on the bed", "banana", "turn on the sauna", "add milk to my shopping list"])
async def test_what_is_no_whole_command_or_open_ended_is_no_plan(early: EarlyHome, text: str) -> None:
    assert await early.plan(text, "en", None) is None


async def test_a_reply_that_depends_on_what_comes_is_not_guessed(early: EarlyHome) -> None:
    assert (await plan(early, "is the desk lamp on")).reply is None


async def test_a_sentence_of_an_automation_is_left_to_it(house: HomeAssistant, early: EarlyHome) -> None:
    trigger = {"platform": "conversation", "command": ["turn on the bed light"]}
    await _reload(house, [{"alias": "mine", "triggers": trigger, "actions": []}])
    assert await early.plan("turn on the bed light", "en", None) is None


async def test_a_light_that_sets_off_an_automation_waits(house: HomeAssistant, early: EarlyHome) -> None:
    trigger = {"platform": "state", "entity_id": "light.bed_light"}
    await _reload(house, [{"alias": "alarm", "triggers": trigger, "actions": []}])
    assert (await plan(early, "turn on the bed light")).undoable == ()
    assert (await plan(early, "turn off the desk lamp")).undoable == ("light.desk_lamp",)


async def _reload(house: HomeAssistant, automations: list[dict[str, Any]]) -> None:
    with patch("homeassistant.config.async_hass_config_yaml", return_value={"automation": automations}):
        await house.services.async_call("automation", "reload", blocking=True)
        await house.async_block_till_done()


async def test_a_group_waits(house: HomeAssistant, early: EarlyHome) -> None:
    house.states.async_set("light.all", "on", {"entity_id": ["light.desk_lamp"], "friendly_name": "Big Lights"})
    assert early.state("light.all") is None


@pytest.mark.parametrize("text", ["turn off the desk lamp", "turn on the bed light", "turn off the ceiling fan"])
async def test_everything_is_as_before_when_the_words_were_others(
    house: HomeAssistant, early: EarlyHome, text: str
) -> None:
    before = all_states(house)
    speculator = Speculator(early, Voice())
    speculation = speculator.begin("en", None, may_act=True)
    await _acted(house, speculator, speculation, text)
    assert all_states(house) != before
    await speculation.settle(f"{text} strip")
    await house.async_block_till_done()
    assert all_states(house) == before


async def _acted(house: HomeAssistant, speculator: Speculator[Any], speculation: Any, text: str) -> None:
    changed = asyncio.Event()
    remove = house.bus.async_listen("state_changed", callback(lambda _: changed.set()))
    speculation.hear(text, stable=True, silence_ms=400)
    async with asyncio.timeout(30):
        await changed.wait()
    await house.async_block_till_done()
    remove()
    assert speculator.counts["acted"] == 1


async def test_a_light_that_somebody_dimmed_meanwhile_stays_so(house: HomeAssistant, early: EarlyHome) -> None:
    speculator = Speculator(early, Voice())
    speculation = speculator.begin("en", None, may_act=True)
    await _acted(house, speculator, speculation, "turn on the lights in the bedroom")
    await house.services.async_call(
        "light", "turn_on", {"entity_id": "light.bed_light", "brightness": 9}, blocking=True, context=Context()
    )
    await speculation.settle("turn on the lights in the bathroom")
    await house.async_block_till_done()
    assert house.states.get("light.bed_light").attributes["brightness"] == 9
    assert house.states.get("light.bed_light_strip").state == "off"


async def test_a_hand_at_the_wall_is_known_although_home_assistant_takes_it_for_our_command(
    house: HomeAssistant, early: EarlyHome, bulbs: dict[str, Bulb]
) -> None:
    changes: list[tuple[str, str]] = []
    unwatch = early.watch(["light.desk_lamp"], lambda thing, state, mark: changes.append((thing, mark)))
    mark = early.mark()
    await early.carry_out(Plan("", undoable=("light.desk_lamp",), action="HassTurnOff"), mark)
    # Within five seconds, Home Assistant still gives it the context of the command.
    await bulbs["desk"].async_turn_on()
    await house.async_block_till_done()
    unwatch()
    assert house.states.get("light.desk_lamp").context.id == mark
    assert changes == [("light.desk_lamp", mark), ("light.desk_lamp", "")]


async def test_a_light_that_does_not_answer_harms_nobody(
    house: HomeAssistant, early: EarlyHome, bulbs: dict[str, Bulb]
) -> None:
    bulbs["strip"].is_broken = True
    before = all_states(house)
    speculator = Speculator(early, Voice())
    speculation = speculator.begin("en", None, may_act=True)
    await _acted(house, speculator, speculation, "turn on the lights in the bedroom")
    await speculation.settle(None)
    await house.async_block_till_done()
    assert all_states(house) == before


async def test_nothing_is_called_for_a_lock(house: HomeAssistant, early: EarlyHome) -> None:
    calls = [*async_mock_service(house, "lock", "unlock"), *async_mock_service(house, "lock", "lock")]
    voice = Voice()
    speculation = Speculator(early, voice).begin("en", None, may_act=True)
    speculation.hear("unlock the front door", stable=True, silence_ms=700)
    await voice.was_asked.wait()
    await speculation.settle("unlock the front door")
    assert voice.asked == ["Unlocking"]
    assert calls == []


async def test_only_a_run_whose_agent_we_are_expects_a_question_and_does_so_once(house: HomeAssistant) -> None:
    assert not is_question_expected()
    with chat_session.async_get_chat_session(house):
        assert not is_question_expected()
        house.async_create_background_task(_prepare(), "prepare the agent", eager_start=True)
        assert is_question_expected()
        assert not is_question_expected()
    expect_question()
    assert not is_question_expected()


async def _prepare() -> None:
    expect_question()
