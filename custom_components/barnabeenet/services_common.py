"""What all actions share: which entry is meant, and how what goes wrong reaches the person who called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import ServiceCall
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.service import async_get_config_entry

from .brain import Brain
from .const import DOMAIN
from .providers.base import ProviderError
from .state.errors import StateError


def entry_of(call: ServiceCall) -> ConfigEntry:
    """The entry that is meant, loaded; raises ServiceValidationError."""
    return async_get_config_entry(call.hass, DOMAIN, call.data.get(ATTR_CONFIG_ENTRY_ID))


def brain_of(call: ServiceCall) -> Brain:
    """The brain of the entry that is meant; raises ServiceValidationError."""
    entry = entry_of(call)
    brain = getattr(entry.runtime_data, "brain", None)
    if brain is None:
        raise invalid("not_ready", name=entry.title)
    return cast(Brain, brain)


def invalid(key: str, **placeholders: str) -> ServiceValidationError:
    """What was asked for cannot be meant; the text is the translation of the key."""
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders or None
    )


def failed(error: object) -> HomeAssistantError:
    """What was asked for did not work."""
    return HomeAssistantError(
        translation_domain=DOMAIN, translation_key="action_failed", translation_placeholders={"error": str(error)}
    )


@contextmanager
def translated() -> Iterator[None]:
    """What goes wrong inside reaches the person who called."""
    try:
        yield
    except (StateError, ProviderError, ValueError) as error:
        raise failed(error) from error
