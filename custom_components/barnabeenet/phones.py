"""Asks somebody on their phone, through Home Assistant's app: a tap there says who holds it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final
from uuid import uuid4

from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import slugify

from .dialog.follow_up_words import base_of

_LOGGER = logging.getLogger(__name__)

# Somebody stands at the door and has the phone in a pocket.
ANSWER_S: Final = 45.0

_BUTTONS: Final = {
    "en": ("Yes", "No"),
    "de": ("Ja", "Nein"),
    "fr": ("Oui", "Non"),
    "es": ("Sí", "No"),
    "nl": ("Ja", "Nee"),
}

_APP: Final = "mobile_app"
_EVENT_ACTION: Final = "mobile_app_notification_action"
_NOTIFY: Final = "notify"


def phones_of(hass: HomeAssistant, user_id: str | None) -> list[str]:
    """The services that notify a user's phones."""
    entries = hass.config_entries.async_entries(_APP) if user_id is not None else []
    names = [entry.data.get("device_name") for entry in entries if entry.data.get("user_id") == user_id]
    services = [f"{_APP}_{slugify(name)}" for name in names if isinstance(name, str)]
    return [service for service in services if hass.services.has_service(_NOTIFY, service)]


async def confirm(hass: HomeAssistant, user_id: str, question: str, language: str) -> bool:
    """Whether the user taps yes on one of their phones in time; nobody else's tap counts."""
    tag = uuid4().hex
    answered: asyncio.Future[bool] = hass.loop.create_future()

    @callback
    def hear(event: Event) -> None:
        action = event.data.get("action")
        mine = event.context.user_id == user_id and action in {f"{tag}_YES", f"{tag}_NO"}
        if mine and not answered.done():
            answered.set_result(action == f"{tag}_YES")

    stop = hass.bus.async_listen(_EVENT_ACTION, hear)
    phones = phones_of(hass, user_id)
    try:
        await asyncio.gather(*(_ask(hass, phone, question, language, tag) for phone in phones))
        async with asyncio.timeout(ANSWER_S):
            return await answered
    except TimeoutError:
        return False
    finally:
        stop()
        for phone in phones:
            hass.async_create_task(_tell(hass, phone, {"message": "clear_notification", "data": {"tag": tag}}))


async def _ask(hass: HomeAssistant, phone: str, question: str, language: str, tag: str) -> None:
    yes, no = _BUTTONS[base_of(language)]
    actions = [
        # Where the phone can, only after it was unlocked.
        {"action": f"{tag}_YES", "title": yes, "authenticationRequired": True, "destructive": True},
        {"action": f"{tag}_NO", "title": no},
    ]
    data = {"actions": actions, "tag": tag, "ttl": 0, "priority": "high", "timeout": int(ANSWER_S)}
    await _tell(hass, phone, {"title": "Barnabee", "message": question, "data": data})


async def _tell(hass: HomeAssistant, phone: str, message: dict[str, object]) -> None:
    try:
        await hass.services.async_call(_NOTIFY, phone, message, blocking=True)
    except HomeAssistantError as error:
        _LOGGER.debug("A phone could not be reached: %s", error)
