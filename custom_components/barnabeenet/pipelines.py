"""The Assist pipeline of an entry: made once, kept pointed at its engines, never forced on anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from homeassistant.components.assist_pipeline import (
    async_create_default_pipeline,
    async_get_pipelines,
    async_update_pipeline,
)
from homeassistant.components.assist_pipeline.pipeline import async_setup_pipeline_store
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er, issue_registry as ir

from .const import CONF_PIPELINE, CONF_PREFERRED, DOMAIN
from .coordinator import BarnabeeNetConfigEntry

# Where a pipeline keeps the entity of each domain.
_FIELDS: Final[Mapping[str, str]] = {
    "stt": "stt_engine",
    "tts": "tts_engine",
    "conversation": "conversation_engine",
    "wake_word": "wake_word_entity",
}


class PipelineKeeper:
    """Makes the entry's pipeline when the sidecar's languages are known and follows its entities' ids afterwards.

    What was made is remembered in the entry's data, so a pipeline that people delete stays deleted.
    """

    def __init__(self, hass: HomeAssistant, entry: BarnabeeNetConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._lock = asyncio.Lock()

    async def async_start(self) -> None:
        """Begins to keep the pipeline; to be called when the entry's entities are registered."""
        self._entry.async_on_unload(self._entry.runtime_data.sidecar.subscribe(self._sidecar_changed))
        self._entry.async_on_unload(
            self._hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, self._registry_changed)
        )
        self._entry.async_on_unload(self._forget_issue)
        await self._keep()

    @callback
    def _sidecar_changed(self) -> None:
        if CONF_PIPELINE not in self._entry.data and self._entry.runtime_data.sidecar.available:
            self._entry.async_create_task(self._hass, self._keep())

    @callback
    def _registry_changed(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        made = self._entry.data.get(CONF_PIPELINE)
        if made is not None and event.data.get("old_entity_id") in made["engines"].values():
            self._entry.async_create_task(self._hass, self._keep())

    async def _keep(self) -> None:
        async with self._lock:
            made = self._entry.data.get(CONF_PIPELINE)
            if made is not None:
                await self._repair(made)
            elif self._entry.runtime_data.sidecar.info is not None:
                await self._make()

    async def _make(self) -> None:
        engines = self._engines()
        if not {"stt_engine", "tts_engine", "conversation_engine"} <= engines.keys():
            return
        pipeline = await async_create_default_pipeline(
            self._hass, engines["stt_engine"], engines["tts_engine"], self._entry.title
        )
        if pipeline is None:
            self._tell_unsupported()
            return
        self._forget_issue()
        # Our own agent tries Home Assistant's intents first and knows more about the home while it does.
        await async_update_pipeline(
            self._hass, pipeline, conversation_engine=engines["conversation_engine"], prefer_local_intents=False
        )
        if self._entry.data.get(CONF_PREFERRED):
            (await async_setup_pipeline_store(self._hass)).pipeline_store.async_set_preferred_item(pipeline.id)
        self._remember(pipeline.id, engines)

    async def _repair(self, made: Mapping[str, Any]) -> None:
        """Replaces the ids that our entities had until now, in every pipeline that uses them."""
        engines = self._engines()
        moved = {field: old for field, old in made["engines"].items() if engines.get(field, old) != old}
        for pipeline in async_get_pipelines(self._hass) if moved else []:
            changes: dict[str, Any] = {
                field: engines[field] for field, old in moved.items() if getattr(pipeline, field) == old
            }
            if changes:
                await async_update_pipeline(self._hass, pipeline, **changes)
        self._remember(made["id"], made["engines"] | engines)

    def _engines(self) -> dict[str, str]:
        """The entry's enabled entities under the names that pipelines have for them."""
        entries = er.async_entries_for_config_entry(er.async_get(self._hass), self._entry.entry_id)
        enabled = [entry for entry in entries if entry.domain in _FIELDS and not entry.disabled]
        return {_FIELDS[entry.domain]: entry.entity_id for entry in enabled}

    def _remember(self, pipeline_id: str, engines: dict[str, str]) -> None:
        data = {name: value for name, value in self._entry.data.items() if name != CONF_PREFERRED}
        made = {"id": pipeline_id, "engines": engines}
        self._hass.config_entries.async_update_entry(self._entry, data=data | {CONF_PIPELINE: made})

    def _tell_unsupported(self) -> None:
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="no_pipeline",
            translation_placeholders={"name": self._entry.title, "language": self._hass.config.language},
        )

    @callback
    def _forget_issue(self) -> None:
        ir.async_delete_issue(self._hass, DOMAIN, self._issue_id)

    @property
    def _issue_id(self) -> str:
        return f"no_pipeline_{self._entry.entry_id}"


def is_first(hass: HomeAssistant) -> bool:
    """Whether there is no pipeline yet but the one that Home Assistant brings."""
    return len(async_get_pipelines(hass)) <= 1


async def async_remove(hass: HomeAssistant, entry: BarnabeeNetConfigEntry) -> None:
    """Deletes the pipeline of an entry that is removed: its engines are gone. Another one becomes preferred first."""
    store = (await async_setup_pipeline_store(hass)).pipeline_store
    pipeline_id = entry.data.get(CONF_PIPELINE, {}).get("id")
    if pipeline_id not in store.data:
        return
    if store.async_get_preferred_item() == pipeline_id:
        others = [other for other in store.data if other != pipeline_id]
        if not others:
            return  # Home Assistant needs one, if only to be edited.
        store.async_set_preferred_item(others[0])
    await store.async_delete_item(pipeline_id)
