"""The home as the dialogue sees it: what is exposed, by name and room, kept up to date; and each thing's state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import logging
from typing import Any, Final

from homeassistant.components.conversation import DOMAIN as CONVERSATION
from homeassistant.components.homeassistant.exposed_entities import async_listen_entity_updates, async_should_expose
from homeassistant.const import ATTR_DEVICE_CLASS, EVENT_STATE_CHANGED
from homeassistant.core import EventStateChangedData, HomeAssistant, State, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    intent,
    start,
)
from homeassistant.helpers.debounce import Debouncer

from .dialog.things import Reading, Thing, Things

_LOGGER = logging.getLogger(__name__)

DEBOUNCE_S: Final = 1.0


class House:
    """Reads the home once Home Assistant has started and whenever something is called otherwise, moves, comes or goes.

    `things` stays the same object: what has changed changes in it.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self.things = Things()
        self._unsubscribe: list[Callable[[], None]] = []
        self._debouncer = Debouncer(
            hass, _LOGGER, cooldown=DEBOUNCE_S, immediate=False, function=self.refresh, background=True
        )

    def reading(self, entity_id: str) -> Reading | None:
        """The state of a thing now; None when it has none."""
        state = self._hass.states.get(entity_id)
        return None if state is None else Reading(state.state, state.attributes)

    @callback
    def start(self) -> None:
        """Begins to follow the home."""
        self._unsubscribe.append(start.async_at_started(self._hass, self._begin))

    @callback
    def close(self) -> None:
        """Follows it no longer; safe to call twice."""
        while self._unsubscribe:
            self._unsubscribe.pop()()
        self._debouncer.async_shutdown()

    @callback
    def _begin(self, hass: HomeAssistant) -> None:
        listen = hass.bus.async_listen
        self._unsubscribe += [
            listen(ar.EVENT_AREA_REGISTRY_UPDATED, self._changed),
            listen(fr.EVENT_FLOOR_REGISTRY_UPDATED, self._changed),
            listen(er.EVENT_ENTITY_REGISTRY_UPDATED, self._changed),
            listen(dr.EVENT_DEVICE_REGISTRY_UPDATED, self._changed),
            listen(EVENT_STATE_CHANGED, self._changed, event_filter=_came_or_went),
            # Twice: HA's agent takes its listener off while they are called in turn, which skips the next one.
            async_listen_entity_updates(hass, CONVERSATION, self._changed),
            async_listen_entity_updates(hass, CONVERSATION, self._changed),
        ]
        self.refresh()

    @callback
    def _changed(self, _: Any = None) -> None:
        self._debouncer.async_schedule_call()

    @callback
    def refresh(self) -> None:
        """Reads all that is exposed; only what is not as it was is changed."""
        found = {thing.entity_id: thing for thing in self._exposed()}
        for thing in list(self.things):
            if thing.entity_id not in found:
                self.things.remove(thing.entity_id)
        for entity_id, thing in found.items():
            if self.things.get(entity_id) != thing:
                self.things.put(thing)

    def _exposed(self) -> Iterator[Thing]:
        entities, devices = er.async_get(self._hass), dr.async_get(self._hass)
        areas, floors = ar.async_get(self._hass), fr.async_get(self._hass)
        for state in self._hass.states.async_all():
            if not async_should_expose(self._hass, CONVERSATION, state.entity_id):
                continue
            entry = entities.async_get(state.entity_id)
            device = devices.async_get(entry.device_id) if entry and entry.device_id else None
            area_id = (entry.area_id if entry else None) or (
                dr.async_get_effective_area_id(self._hass, device) if device else None
            )
            area = areas.async_get_area(area_id) if area_id else None
            floor = floors.async_get_floor(area.floor_id) if area and area.floor_id else None
            yield Thing(
                entity_id=state.entity_id,
                names=_names(self._hass, entry, state),
                device_class=state.attributes.get(ATTR_DEVICE_CLASS),
                area=area.name if area else None,
                area_aliases=tuple(sorted(area.aliases)) if area else (),
                floor=floor.name if floor else None,
            )


def _names(hass: HomeAssistant, entry: er.RegistryEntry | None, state: State) -> tuple[str, ...]:
    names = intent.async_get_entity_aliases(hass, entry, state=state, allow_empty=False)
    return tuple(dict.fromkeys(name for each in names if (name := " ".join(each.split()))))


@callback
def _came_or_went(data: EventStateChangedData) -> bool:
    return data["old_state"] is None or data["new_state"] is None
