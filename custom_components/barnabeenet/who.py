"""In whose name memories are kept: the key of a speaker, wherever the words come from."""

from __future__ import annotations

from typing import NamedTuple

from homeassistant.components.person import ATTR_USER_ID
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.llm import LLMContext

from .const import SUBENTRY_PERSON
from .people import people_of_home
from .telemetry import trace

# How the keys of logins and of people begin; whoever is gone may still have memories.
_KEYS = ("user ", f"{SUBENTRY_PERSON} ")


@callback
def speaker_of_user(hass: HomeAssistant, user_id: str) -> str:
    """The key of the person with this login, or the login's own."""
    person = next((person for person in people_of_home(hass) if person.login(hass) == user_id), None)
    return f"user {user_id}" if person is None else person.speaker


@callback
def speaker_named(hass: HomeAssistant, name: str) -> str | None:
    """The key that is meant by a key, by a name or by a person entity; None for one that is not there or has no login."""
    meant = [
        person for person in people_of_home(hass) if name in {person.speaker, person.name, person.person_entity_id}
    ]
    if len(meant) == 1:
        return meant[0].speaker
    if not name.startswith("person."):
        return name if name.startswith(_KEYS) else None
    state = hass.states.get(name)
    user_id = state.attributes.get(ATTR_USER_ID) if state is not None else None
    return speaker_of_user(hass, user_id) if isinstance(user_id, str) else None


class Speaker(NamedTuple):
    """Whose name it is (None: a guest's), and whether it can be hardly anybody else's."""

    key: str | None
    is_sure: bool = False


@callback
def speaker_of_llm(hass: HomeAssistant, llm_context: LLMContext) -> Speaker:
    """Who talks to a language model: the voice that was recognised in this turn, else the login.

    A login at a device is that of the device. What an automation asks is nobody's, whatever set it off.
    """
    context = llm_context.context
    if context is not None and context.parent_id is not None:
        return Speaker(None)
    turn = trace.pending()
    if turn is not None and turn.speaker is not None and turn.device_id in {None, llm_context.device_id}:
        return Speaker(turn.speaker, turn.is_sure)
    if context is None or context.user_id is None or llm_context.device_id is not None:
        return Speaker(None)
    return Speaker(speaker_of_user(hass, context.user_id), is_sure=True)
