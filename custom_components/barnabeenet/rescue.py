"""Home Assistant's rescue of sentences that are nearly right, kept from acting on what was not said.

It passes over words that it does not know: "turn off all the lights in the attic" would darken the whole house where
there is no attic, "don't lock the door" would lock it, and "open the garbage door" opens the garage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import logging
from typing import Any, Final

from gazetteer_matcher import FrameCandidate, GazetteerMatcher, Interpretation
from hassil.recognize import MISSING_ENTITY, RecognizeResult
from home_assistant_intents import ErrorKey
from homeassistant.components import conversation
from homeassistant.components.conversation.default_agent import DefaultAgent, LanguageIntents
from homeassistant.components.conversation.gazetteer import GazetteerFallback, async_refusal
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar, device_registry as dr, entity_registry as er, template

from .dialog.near_miss import is_certain, is_harmless_kind
from .dialog.several import COMMANDS_MAX

_LOGGER = logging.getLogger(__name__)

_UNKNOWN: Final = {"area": ErrorKey.NO_AREA, "floor": ErrorKey.NO_FLOOR, "name": ErrorKey.NO_ENTITY}
# Its time grows with the square of the words; nobody says a command as long.
_WORDS_MAX: Final = 30


@dataclass(frozen=True)
class Verdict:
    """What the rescue may do with a sentence."""

    may_act: bool
    """Whether it is to be asked. It does only what was said then, or it only says what is wrong."""
    refusal: str | None = None
    """What to say in its place."""
    actions: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    """The intents that it would carry out, with their slots, where that is known."""


async def judge(hass: HomeAssistant, agent: DefaultAgent, spoken: conversation.ConversationInput) -> Verdict:
    """Whether the rescue would do only what was said: no word passed over, nothing risky on a guess."""
    loaded = await agent.async_get_or_load_intents(spoken.language)
    gazetteer = getattr(agent, "_gazetteer", None)
    if loaded is None or len(spoken.text.split()) > _WORDS_MAX:
        return Verdict(may_act=False)
    found = await agent.async_recognize_intent(spoken)
    reading = None
    if not isinstance(gazetteer, GazetteerFallback):
        _LOGGER.debug("This version of Home Assistant has another rescue, which is not used")
    elif gazetteer.supports(spoken.language):
        matcher, reading = await gazetteer.async_interpret(
            spoken.text, spoken.conversation_id or "", _room_of(hass, spoken)
        )
        if _says_all(hass, matcher, reading):
            return Verdict(may_act=True, actions=tuple((frame.intent, frame.slots) for frame in reading.frames))
    if found is not None and not found.unmatched_entities:
        # It is about something that is not exposed, and the rescue says so.
        return Verdict(may_act=True)
    unknown = _unknown(hass, loaded, found)
    return Verdict(may_act=False, refusal=unknown or (None if reading is None else async_refusal(reading)))


def _says_all(hass: HomeAssistant, matcher: GazetteerMatcher, reading: Interpretation) -> bool:
    """Whether a reading leaves no word out and guesses nothing that is risky."""
    return (
        reading.accepted
        and 0 < len(reading.frames) <= COMMANDS_MAX
        and all(
            not frame.unexplained_tokens
            and (not frame.fuzzy_count or (_is_harmless(hass, frame) and _is_certain(matcher, frame)))
            for frame in reading.frames
        )
    )


def _is_harmless(hass: HomeAssistant, frame: FrameCandidate) -> bool:
    name = frame.slots.get("name")
    state = hass.states.get(name) if isinstance(name, str) else None
    if state is not None:
        return is_harmless_kind(frame.intent, state.domain, state.attributes.get("device_class"))
    return is_harmless_kind(frame.intent, frame.slots.get("domain"), frame.slots.get("device_class"))


def _is_certain(matcher: GazetteerMatcher, frame: FrameCandidate) -> bool:
    """Whether the names that were guessed can be nothing else."""
    return all(
        is_certain(span.text, matcher.display_name(slot, frame.slots[slot]), "en")
        for slot in _UNKNOWN
        if slot in frame.slots
        for span in frame.slot_options[slot].spans
        if span.source.startswith("fuzzy")
    )


def _room_of(hass: HomeAssistant, spoken: conversation.ConversationInput) -> ar.AreaEntry | None:
    """The room of the satellite, the way Home Assistant's agent finds it."""
    area_id, device_id = None, spoken.device_id
    if spoken.satellite_id and (entity := er.async_get(hass).async_get(spoken.satellite_id)) is not None:
        area_id, device_id = entity.area_id, entity.device_id
    if area_id is None and device_id is not None and (device := dr.async_get(hass).async_get(device_id)) is not None:
        area_id = dr.async_get_effective_area_id(hass, device)
    return None if area_id is None else ar.async_get(hass).async_get_area(area_id)


def _unknown(hass: HomeAssistant, loaded: LanguageIntents, found: RecognizeResult | None) -> str | None:
    """Home Assistant's words on the room, floor or device that it does not know; None when there is none."""
    for slot, key in _UNKNOWN.items():
        unknown = None if found is None else found.unmatched_entities.get(slot)
        text = getattr(unknown, "text", MISSING_ENTITY)
        said = loaded.error_responses.get(key.value)
        if said and text.strip() and text != MISSING_ENTITY:
            name = "entity" if slot == "name" else slot
            return str(template.Template(said, hass).async_render({name: text.strip()}))
    return None
