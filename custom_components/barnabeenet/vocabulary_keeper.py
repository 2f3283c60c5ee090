"""Keeps the sidecar's vocabulary in step with the home."""

from __future__ import annotations

from collections.abc import Callable
import logging
from typing import Any, Final, Protocol

from homeassistant.components.conversation import DOMAIN as CONVERSATION
from homeassistant.components.conversation.agent_manager import get_agent_manager
from homeassistant.components.homeassistant.exposed_entities import async_listen_entity_updates
from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntry, ConfigEntryChange
from homeassistant.const import EVENT_CORE_CONFIG_UPDATE, EVENT_STATE_CHANGED
from homeassistant.core import EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    start,
)
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from wyoming.info import Info

from .client.errors import SidecarError
from .client.messages import Vocabulary
from .const import DOMAIN
from .dialog.slots import Home
from .dialog.vocabulary import Templates, build
from .home import load_templates, read_home, spoken_language

_LOGGER = logging.getLogger(__name__)

DEBOUNCE_S: Final = 1.5
_ENTITY_FIELDS: Final = frozenset({"aliases", "name", "original_name", "options", "device_id", "original_device_class"})
_DEVICE_FIELDS: Final = frozenset({"name", "name_by_user"})


class Ears(Protocol):
    """The part of a sidecar that needs to know what people may say."""

    @property
    def info(self) -> Info | None:
        """What it can do; None while nobody has answered."""

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls the listener when `info` changes."""

    async def set_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Takes the vocabulary now or when it is back; raises SidecarError."""


class VocabularyKeeper:
    """Builds the home's vocabulary once HA has started and whenever something in it changes its name."""

    def __init__(self, hass: HomeAssistant, ears: Ears) -> None:
        self._hass = hass
        self._ears = ears
        self._unsubscribe: list[Callable[[], None]] = []
        self._built: tuple[Home, Templates] | None = None
        self._vocabulary: Vocabulary | None = None
        self._heard: frozenset[str] = frozenset()
        self._debouncer = Debouncer(
            hass, _LOGGER, cooldown=DEBOUNCE_S, immediate=False, function=self._refresh, background=True
        )

    @callback
    def start(self) -> None:
        """Begins to watch the home; the first vocabulary follows once Home Assistant has started."""
        self._unsubscribe.append(start.async_at_started(self._hass, self._begin))

    @callback
    def close(self) -> None:
        """Stops watching; nothing is sent afterwards."""
        while self._unsubscribe:
            self._unsubscribe.pop()()
        self._debouncer.async_shutdown()

    def names(self) -> list[str]:
        """Every name, area and floor that may be spoken of; empty until the first vocabulary is built."""
        return [] if self._vocabulary is None else [*self._vocabulary.names, *self._vocabulary.terms]

    def home(self) -> Home | None:
        """The home as it was last read, the same object until something in it changes; None before the first time."""
        return None if self._built is None else self._built[0]

    @callback
    def _begin(self, hass: HomeAssistant) -> None:
        listen = hass.bus.async_listen
        self._unsubscribe += [
            listen(ar.EVENT_AREA_REGISTRY_UPDATED, self._changed),
            listen(fr.EVENT_FLOOR_REGISTRY_UPDATED, self._changed),
            listen(er.EVENT_ENTITY_REGISTRY_UPDATED, self._changed, event_filter=_entity_is_called_otherwise),
            listen(dr.EVENT_DEVICE_REGISTRY_UPDATED, self._changed, event_filter=_device_is_called_otherwise),
            listen(EVENT_STATE_CHANGED, self._changed, event_filter=_came_or_went),
            listen(EVENT_CORE_CONFIG_UPDATE, self._changed),
            # Twice: HA's agent takes its listener off while they are called in turn, which skips the next one.
            async_listen_entity_updates(hass, CONVERSATION, self._changed),
            async_listen_entity_updates(hass, CONVERSATION, self._changed),
            get_agent_manager(hass).subscribe_intents(self._changed),
            async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._entry_changed),
            self._ears.subscribe(self._ears_changed),
        ]
        self._changed()

    @callback
    def _changed(self, _: Any = None) -> None:
        self._debouncer.async_schedule_call()

    @callback
    def _entry_changed(self, _: ConfigEntryChange, entry: ConfigEntry) -> None:
        if entry.domain == DOMAIN:  # perhaps somebody lives here now who did not before
            self._changed()

    @callback
    def _ears_changed(self) -> None:
        if self._languages_heard() != self._heard:
            self._changed()

    def _languages_heard(self) -> frozenset[str]:
        info = self._ears.info
        programs = info.asr if info is not None else []
        return frozenset(language for each in programs for model in each.models for language in model.languages)

    async def _refresh(self) -> None:
        self._heard = self._languages_heard()
        language = spoken_language(self._hass.config.language, self._heard)
        templates = await load_templates(self._hass, language)
        home = read_home(self._hass, language)
        if self._built is not None and self._built[0] == home and self._built[1].same_as(templates):
            return
        vocabulary = await self._hass.async_add_executor_job(build, home, templates)
        self._built = (home, templates)
        # Closed while it was built: the sidecar belongs to nobody any more.
        if not self._unsubscribe or vocabulary == self._vocabulary:
            return
        self._vocabulary = vocabulary
        _LOGGER.debug("Vocabulary %s: %d sentences", vocabulary.revision, len(vocabulary.sentences))
        try:
            await self._ears.set_vocabulary(vocabulary)
        except SidecarError as error:
            _LOGGER.debug("The sidecar will get vocabulary %s when it is back: %s", vocabulary.revision, error)


@callback
def _entity_is_called_otherwise(data: er.EventEntityRegistryUpdatedData) -> bool:
    return data["action"] == "update" and not _ENTITY_FIELDS.isdisjoint(data["changes"])


@callback
def _device_is_called_otherwise(data: dr.EventDeviceRegistryUpdatedData) -> bool:
    return data["action"] == "update" and not _DEVICE_FIELDS.isdisjoint(data["changes"])


@callback
def _came_or_went(data: EventStateChangedData) -> bool:
    return data["old_state"] is None or data["new_state"] is None
