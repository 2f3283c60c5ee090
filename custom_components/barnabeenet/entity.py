"""What the entities share: one device for an entry, and the availability of its sidecar."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity
from wyoming.info import Info

from .const import DOMAIN

if TYPE_CHECKING:
    from .client.sidecar import Identity
    from .coordinator import BarnabeeNetConfigEntry


def device_info(entry: BarnabeeNetConfigEntry, identity: Identity | None) -> DeviceInfo:
    """The device that an entry's entities belong to; its version is known once the sidecar has answered."""
    info = DeviceInfo(
        identifiers={(DOMAIN, entry.unique_id or entry.entry_id)},
        name=entry.title,
        manufacturer="BarnabeeNet",
        model="Sidecar",
        entry_type=DeviceEntryType.SERVICE,
    )
    if identity is not None:
        info["sw_version"] = identity.software
    return info


class BarnabeeNetEntity(Entity):
    """An entity of an entry; there is one for each domain."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, entry: BarnabeeNetConfigEntry) -> None:
        self._data = entry.runtime_data
        self._attr_unique_id = entry.unique_id or entry.entry_id
        self._attr_device_info = device_info(entry, self._data.sidecar.identity)


class SidecarEntity(BarnabeeNetEntity):
    """An entity that is available while the sidecar is and offers what the entity stands for."""

    def __init__(self, entry: BarnabeeNetConfigEntry) -> None:
        super().__init__(entry)
        self._offered = False
        self._take_over()

    @property
    def available(self) -> bool:
        """Whether a request could succeed now."""
        return self._data.sidecar.available and self._offered

    async def async_added_to_hass(self) -> None:
        """Follows the sidecar from now on."""
        await super().async_added_to_hass()
        self.async_on_remove(self._data.sidecar.subscribe(self._sidecar_changed))

    @abstractmethod
    def _read(self, info: Info) -> bool:
        """Takes over what the sidecar says it can do; returns whether it can do this at all."""

    @callback
    def _sidecar_changed(self) -> None:
        self._take_over()
        self.async_write_ha_state()

    def _take_over(self) -> None:
        info = self._data.sidecar.info
        if info is not None:
            self._offered = self._read(info)
