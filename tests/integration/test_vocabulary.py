"""The vocabulary of a real home: what is read, when it is sent, and that it follows the home."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
import threading
import time
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from homeassistant.components.conversation.agent_manager import get_agent_manager
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
)
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util.unit_system import US_CUSTOMARY_SYSTEM
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from wyoming.info import Info

from custom_components.barnabeenet.client.errors import CannotConnect, SidecarError
from custom_components.barnabeenet.client.messages import Vocabulary, check
from custom_components.barnabeenet.home import read_home, spoken_language
from custom_components.barnabeenet.vocabulary_keeper import DEBOUNCE_S, VocabularyKeeper


class Ears:
    """The part of a sidecar that takes vocabularies."""

    def __init__(self, info: Info | None) -> None:
        self.info = info
        self.taken: list[Vocabulary] = []
        self.failure: SidecarError | None = None
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    async def set_vocabulary(self, vocabulary: Vocabulary) -> None:
        self.taken.append(vocabulary)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
async def house(home: HomeAssistant) -> HomeAssistant:
    """A kitchen with a light that is exposed, and one that is not."""
    assert await async_setup_component(home, "conversation", {})
    kitchen = ar.async_get(home).async_create("Kitchen", aliases={"Cook's den!"})
    registry = er.async_get(home)
    ceiling = registry.async_get_or_create("light", "test", "1", suggested_object_id="ceiling", original_name="Ceiling")
    registry.async_update_entity(ceiling.entity_id, aliases=[er.COMPUTED_NAME, "big lamp"], area_id=kitchen.id)
    home.states.async_set(ceiling.entity_id, "on", {"friendly_name": "Ceiling"})
    home.states.async_set("light.secret", "on", {"friendly_name": "Secret lamp"})
    async_expose_entity(home, "conversation", "light.secret", False)
    await home.async_block_till_done()
    return home


@pytest.fixture
def ears(offers: Callable[..., Info]) -> Ears:
    return Ears(offers())


@pytest.fixture
async def keeper(house: HomeAssistant, ears: Ears) -> Any:
    keeper = VocabularyKeeper(house, ears)
    keeper.start()
    yield keeper
    keeper.close()


async def _settle(hass: HomeAssistant) -> None:
    """Lets the debounce and the cooldown after it pass, and what they started end."""
    for _ in range(2):
        await hass.async_block_till_done(wait_background_tasks=True)
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=DEBOUNCE_S * 2))
        await hass.async_block_till_done(wait_background_tasks=True)


@pytest.fixture
async def built(house: HomeAssistant, keeper: VocabularyKeeper, ears: Ears) -> Vocabulary:
    """The first vocabulary of the house."""
    await _settle(house)
    assert len(ears.taken) == 1
    return ears.taken[0]


def test_names_aliases_and_rooms_are_taken_without_punctuation(house: HomeAssistant) -> None:
    read = read_home(house, "en")
    assert ("Ceiling", "big lamp") in [entity.names for entity in read.entities]
    assert read.areas == ("Kitchen", "Cook's den")


def test_what_is_not_exposed_is_not_read(house: HomeAssistant) -> None:
    assert "Secret lamp" not in [name for entity in read_home(house, "en").entities for name in entity.names]


async def test_floors_and_their_aliases_are_read(house: HomeAssistant) -> None:
    fr.async_get(house).async_create("Ground floor", aliases={"downstairs"})
    assert read_home(house, "en").floors == ("Ground floor", "downstairs")


async def test_temperatures_are_those_of_the_homes_units(house: HomeAssistant) -> None:
    assert 21 in read_home(house, "en").temperatures
    assert 70 not in read_home(house, "en").temperatures
    house.config.units = US_CUSTOMARY_SYSTEM
    assert 70 in read_home(house, "en").temperatures


async def test_who_moves_in_is_known_by_name(
    house: HomeAssistant, keeper: VocabularyKeeper, ears: Ears, built: Vocabulary
) -> None:
    assert "learn my voice" in built.sentences
    assert "person" not in built.lists
    entry = MockConfigEntry(domain="barnabeenet")
    entry.add_to_hass(house)
    ada = ConfigSubentry(
        subentry_id="ada", subentry_type="person", title="Ada", unique_id=None, data=MappingProxyType({})
    )
    assert house.config_entries.async_add_subentry(entry, ada)
    await _settle(house)
    assert ears.taken[-1].lists["person"] == ["Ada"]
    assert "my name is {person}" in ears.taken[-1].sentences


@pytest.mark.parametrize(
    ("wanted", "heard", "spoken"),
    [
        ("en", {"en"}, "en"),
        ("en-GB", {"en-US"}, "en"),
        ("de", {"de", "en"}, "de"),
        ("de", {"en"}, "en"),
        ("de", set(), "en"),
        ("tlh", {"tlh"}, "en"),
    ],
)
def test_the_language_is_one_that_both_know(wanted: str, heard: set[str], spoken: str) -> None:
    assert spoken_language(wanted, heard) == spoken


async def test_the_first_vocabulary_is_the_homes(built: Vocabulary) -> None:
    check(built.event())
    assert built.language == "en"
    assert {"Ceiling", "big lamp"} <= set(built.names)
    assert "Secret lamp" not in built.names
    assert "Kitchen" in built.terms
    assert any(text.startswith("turn on ") for text in built.sentences)


async def test_the_keeper_knows_the_names(built: Vocabulary, keeper: VocabularyKeeper) -> None:
    assert {"Ceiling", "big lamp", "Kitchen"} <= set(keeper.names())


async def test_before_the_first_vocabulary_there_are_no_names(house: HomeAssistant, ears: Ears) -> None:
    assert VocabularyKeeper(house, ears).names() == []


async def test_nothing_is_built_before_home_assistant_has_started(house: HomeAssistant, ears: Ears) -> None:
    house.set_state(CoreState.starting)
    keeper = VocabularyKeeper(house, ears)
    keeper.start()
    await _settle(house)
    assert ears.taken == []
    house.set_state(CoreState.running)
    house.bus.async_fire("homeassistant_started")
    await _settle(house)
    assert len(ears.taken) == 1
    keeper.close()


def _add_area(hass: HomeAssistant) -> None:
    ar.async_get(hass).async_create("Attic")


def _add_area_alias(hass: HomeAssistant) -> None:
    area = ar.async_get(hass).async_get_area_by_name("Kitchen")
    ar.async_get(hass).async_update(area.id, aliases={"Attic"})


def _add_floor(hass: HomeAssistant) -> None:
    fr.async_get(hass).async_create("Attic")


def _rename_entity(hass: HomeAssistant) -> None:
    er.async_get(hass).async_update_entity("light.ceiling", name="Attic")


def _add_alias(hass: HomeAssistant) -> None:
    er.async_get(hass).async_update_entity("light.ceiling", aliases=[er.COMPUTED_NAME, "Attic"])


def _add_entity(hass: HomeAssistant) -> None:
    hass.states.async_set("light.attic", "on", {"friendly_name": "Attic"})


def _expose_entity(hass: HomeAssistant) -> None:
    registry = er.async_get(hass)
    registry.async_update_entity("light.hidden", name="Attic")
    async_expose_entity(hass, "conversation", "light.hidden", True)


def _rename_device(hass: HomeAssistant) -> None:
    tower = er.async_get(hass).async_get("light.tower")
    dr.async_get(hass).async_update_device(tower.device_id, name_by_user="Attic")


@pytest.fixture
def hidden(house: HomeAssistant) -> None:
    """An entity that is not exposed, and one that is called after its device."""
    registry = er.async_get(house)
    registry.async_get_or_create("light", "test", "2", suggested_object_id="hidden", original_name="Hidden")
    async_expose_entity(house, "conversation", "light.hidden", False)
    house.states.async_set("light.hidden", "on")
    entry = MockConfigEntry(domain="test")
    entry.add_to_hass(house)
    device = dr.async_get(house).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={("test", "tower")}, name="Tower"
    )
    tower = registry.async_get_or_create(
        "light", "test", "3", device_id=device.id, has_entity_name=True, config_entry=entry, suggested_object_id="tower"
    )
    house.states.async_set(tower.entity_id, "on")


@pytest.mark.parametrize(
    "change",
    [
        _add_area,
        _add_area_alias,
        _add_floor,
        _rename_entity,
        _add_alias,
        _add_entity,
        _expose_entity,
        _rename_device,
    ],
)
async def test_it_follows_the_home(
    hidden: None, house: HomeAssistant, ears: Ears, built: Vocabulary, change: Callable[[HomeAssistant], None]
) -> None:
    assert "Attic" not in [*built.names, *built.terms]
    change(house)
    await _settle(house)
    assert len(ears.taken) == 2
    assert "Attic" in [*ears.taken[1].names, *ears.taken[1].terms]
    assert ears.taken[1].revision != built.revision


async def test_an_entity_that_goes_is_forgotten(house: HomeAssistant, ears: Ears, built: Vocabulary) -> None:
    house.states.async_remove("light.ceiling")
    await _settle(house)
    assert "Ceiling" not in ears.taken[-1].names


async def test_an_entity_outside_the_registry_is_followed_when_it_is_exposed(house: HomeAssistant, ears: Ears) -> None:
    # Home Assistant's agent listens before us, and takes its listener off while the listeners are called.
    agent = get_agent_manager(house).default_agent
    assert agent is not None
    await agent.async_prepare("en")
    keeper = VocabularyKeeper(house, ears)
    keeper.start()
    await _settle(house)
    async_expose_entity(house, "conversation", "light.secret", True)
    await _settle(house)
    assert "Secret lamp" in ears.taken[-1].names
    keeper.close()


async def test_a_sentence_of_an_automation_is_taught(house: HomeAssistant, ears: Ears, built: Vocabulary) -> None:
    config = {"triggers": {"trigger": "conversation", "command": ["it is movie time"]}, "actions": []}
    assert await async_setup_component(house, "automation", {"automation": config})
    await _settle(house)
    assert "it is movie time" in ears.taken[-1].sentences


async def test_a_state_that_changes_is_no_news(house: HomeAssistant, ears: Ears, built: Vocabulary) -> None:
    with patch("custom_components.barnabeenet.vocabulary_keeper.read_home") as read:
        house.states.async_set("light.ceiling", "off", {"friendly_name": "Ceiling"})
        await _settle(house)
    assert not read.called


async def test_a_change_that_changes_no_name_is_not_built(house: HomeAssistant, ears: Ears, built: Vocabulary) -> None:
    with patch("custom_components.barnabeenet.vocabulary_keeper.build") as build:
        house.states.async_set("sensor.unexposed", "1")
        await _settle(house)
    assert not build.called
    assert len(ears.taken) == 1


async def test_many_changes_make_one_vocabulary(house: HomeAssistant, ears: Ears, built: Vocabulary) -> None:
    for number in range(20):
        ar.async_get(house).async_create(f"Room {number}")
    await _settle(house)
    assert len(ears.taken) == 2
    assert len(ears.taken[1].terms) == len(built.terms) + 20


async def test_a_sidecar_that_learns_the_homes_language_gets_it(
    house: HomeAssistant, ears: Ears, built: Vocabulary, offers: Callable[..., Info]
) -> None:
    house.config.language = "de"
    ears.tell()
    await _settle(house)
    assert len(ears.taken) == 1
    ears.info = offers(["en", "de"])
    ears.tell()
    await _settle(house)
    assert ears.taken[-1].language == "de"
    assert any("schalte" in text.lower() for text in ears.taken[-1].sentences)


async def test_a_sidecar_that_is_not_there_yet_is_told_english(house: HomeAssistant) -> None:
    ears = Ears(None)
    keeper = VocabularyKeeper(house, ears)
    keeper.start()
    await _settle(house)
    assert [vocabulary.language for vocabulary in ears.taken] == ["en"]
    keeper.close()


async def test_a_sidecar_that_is_away_does_no_harm(house: HomeAssistant, ears: Ears, keeper: VocabularyKeeper) -> None:
    ears.failure = CannotConnect("nobody answers")
    await _settle(house)
    assert len(ears.taken) == 1
    ears.failure = None
    _add_area(house)
    await _settle(house)
    assert "Attic" in ears.taken[-1].terms


async def test_after_close_nothing_is_watched_and_nothing_is_sent(
    house: HomeAssistant, ears: Ears, built: Vocabulary, keeper: VocabularyKeeper
) -> None:
    _add_area(house)
    keeper.close()
    keeper.close()
    await _settle(house)
    _add_floor(house)
    await _settle(house)
    assert len(ears.taken) == 1
    assert ears.listeners == 0


async def test_closed_while_it_is_built_it_is_not_sent(
    house: HomeAssistant, ears: Ears, built: Vocabulary, keeper: VocabularyKeeper
) -> None:
    def build_and_close(*source: Any) -> Vocabulary:
        closed = threading.Event()
        house.loop.call_soon_threadsafe(lambda: (keeper.close(), closed.set()))
        assert closed.wait(30)
        return Vocabulary(language="en", revision="0" * 32)

    with patch("custom_components.barnabeenet.vocabulary_keeper.build", build_and_close):
        _add_area(house)
        await _settle(house)
    assert len(ears.taken) == 1


async def test_reading_2300_entities_is_a_slice_that_the_loop_can_bear(house: HomeAssistant) -> None:
    registry = er.async_get(house)
    for number in range(2_300):
        entry = registry.async_get_or_create("light", "test", f"many {number}", original_name=f"Lamp {number}")
        house.states.async_set(entry.entity_id, "on")
    read_home(house, "en")  # the first reading decides what is exposed, which Home Assistant does by itself at start
    slices = []
    for _ in range(5):
        began = time.thread_time()
        read = read_home(house, "en")
        slices.append(time.thread_time() - began)
    assert len(read.entities) > 2_300
    assert min(slices) < 0.05
