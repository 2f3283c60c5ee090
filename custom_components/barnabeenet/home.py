"""Reads the home as the sentences see it: what is exposed to Assist, by its names and aliases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from hassil.intents import Intents
from hassil.util import remove_punctuation
from home_assistant_intents import get_languages, get_speech_to_phrase_intents
from homeassistant.components.conversation import DOMAIN as CONVERSATION
from homeassistant.components.conversation.agent_manager import get_agent_manager
from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.const import ATTR_DEVICE_CLASS, UnitOfTemperature
from homeassistant.core import HomeAssistant, State, callback
from homeassistant.helpers import area_registry as ar, entity_registry as er, floor_registry as fr, intent
from homeassistant.util import language as language_util

from .dialog.own_sentences import own_sentences
from .dialog.shopping import ITEMS
from .dialog.slots import Entity, Home
from .dialog.vocabulary import Templates
from .people import people_of_home

_FALLBACK_LANGUAGE = "en"
# What people set and read at home; the rest of HA's 0 to 100 would only be misheard.
_CELSIUS = range(5, 36)
_FAHRENHEIT = range(40, 96)


def spoken_language(wanted: str, heard: Iterable[str]) -> str:
    """The language to build for: the wanted one where HA has sentences and the recogniser ears for it, else English."""
    for language in language_util.matches(wanted, get_languages()):
        if language_util.matches(language, heard):
            return language
    return _FALLBACK_LANGUAGE


@callback
def read_home(hass: HomeAssistant, language: str) -> Home:
    """The exposed entities with their names and aliases, the areas and floors."""
    items = ITEMS.get(language, ())
    celsius = hass.config.units.temperature_unit == UnitOfTemperature.CELSIUS
    areas, floors = ar.async_get(hass).async_list_areas(), fr.async_get(hass).async_list_floors()
    return Home(
        language=language,
        entities=tuple(_exposed_entities(hass)),
        areas=_spoken(name for area in areas for name in (area.name, *sorted(area.aliases))),
        floors=_spoken(name for floor in floors for name in (floor.name, *sorted(floor.aliases))),
        temperatures=_CELSIUS if celsius else _FAHRENHEIT,
        wildcards={
            "shopping_list_item": items,
            "todo_list_item": items,
            "zone": _spoken(state.name for state in hass.states.async_all("zone")),
        },
        people=_spoken(person.name for person in people_of_home(hass)),
    )


def _exposed_entities(hass: HomeAssistant) -> Iterator[Entity]:
    registry = er.async_get(hass)
    for state in hass.states.async_all():
        if async_should_expose(hass, CONVERSATION, state.entity_id) and (names := _names(hass, registry, state)):
            yield Entity(names, state.domain, state.attributes.get(ATTR_DEVICE_CLASS))


def _names(hass: HomeAssistant, registry: er.EntityRegistry, state: State) -> tuple[str, ...]:
    entry = registry.async_get(state.entity_id)
    return _spoken(intent.async_get_entity_aliases(hass, entry, state=state, allow_empty=False))


def _spoken(names: Iterable[str]) -> tuple[str, ...]:
    """Names the way HA looks for them in a sentence: without punctuation."""
    return tuple(dict.fromkeys(name for each in names if (name := " ".join(remove_punctuation(each).split()))))


async def load_templates(hass: HomeAssistant, language: str) -> Templates:
    """HA's sentences for a language with the user's own and those of automations."""
    manager = get_agent_manager(hass)
    agent = manager.default_agent
    loaded = None if agent is None else await agent.async_get_or_load_intents(language)
    return Templates(
        lean=await hass.async_add_executor_job(_load_lean, language),
        full=None if loaded is None else loaded.intents,
        triggers=tuple(manager.trigger_sentences),
        own=own_sentences(language),
    )


@cache
def _load_lean(language: str) -> Intents | None:
    data = get_speech_to_phrase_intents(language)
    return None if data is None else Intents.from_dict(data)
