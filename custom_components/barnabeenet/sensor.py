"""When the home's database was last cared for, and how many memories its model has still to read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from homeassistant.components.sensor import SensorDeviceClass, SensorEntity
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .coordinator import BarnabeeNetConfigEntry
from .database_keeper import async_keeper
from .entity import BarnabeeNetEntity

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: BarnabeeNetConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Adds the entry's sensors."""
    async_add_entities([LastMaintenance(hass, entry), MemoriesToRead(hass, entry)])


class LastMaintenance(BarnabeeNetEntity, SensorEntity):
    """The moment of the last maintenance; its steps are in the attributes."""

    _attr_translation_key = "last_maintenance"
    _attr_device_class = SensorDeviceClass.TIMESTAMP
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _unrecorded_attributes = frozenset({"steps"})

    def __init__(self, hass: HomeAssistant, entry: BarnabeeNetConfigEntry) -> None:
        super().__init__(entry)
        self._attr_unique_id = f"{self._attr_unique_id}_last_maintenance"
        self._keeper = async_keeper(hass)

    async def async_added_to_hass(self) -> None:
        """Follows the maintenance from now on."""
        await super().async_added_to_hass()
        self.async_on_remove(self._keeper.subscribe(self._maintained))

    @property
    def native_value(self) -> datetime | None:
        """When the last one began."""
        result = self._keeper.result
        return dt_util.parse_datetime(result["started_at"]) if result else None

    @property
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """What came of it."""
        result = self._keeper.result
        return {key: result[key] for key in ("ok", "failed", "error", "seconds", "steps")} if result else None

    @callback
    def _maintained(self) -> None:
        self.async_write_ha_state()


class MemoriesToRead(BarnabeeNetEntity, SensorEntity):
    """How many memories are not found by their meaning yet; they are by their words."""

    _attr_translation_key = "memories_to_read"
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _unrecorded_attributes = frozenset({"model", "percent", "error"})

    def __init__(self, hass: HomeAssistant, entry: BarnabeeNetConfigEntry) -> None:
        super().__init__(entry)
        self._attr_unique_id = f"{self._attr_unique_id}_memories_to_read"
        self._memories = async_keeper(hass).memories

    async def async_added_to_hass(self) -> None:
        """Follows the model from now on."""
        await super().async_added_to_hass()
        self.async_on_remove(self._memories.subscribe(self.async_write_ha_state))

    @property
    def native_value(self) -> int:
        """Those that are left."""
        return self._memories.backlog.left

    @property
    def extra_state_attributes(self) -> dict[str, Any]:
        """Who reads them, how far it has come, and why it does not go on."""
        backlog, error = self._memories.backlog, self._memories.error
        return {"model": backlog.model, "percent": backlog.percent, "error": None if error is None else str(error)}
