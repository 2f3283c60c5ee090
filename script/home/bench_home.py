"""A real Home Assistant inside the bench's own process, of a large home's size, with our integration in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
import logging
from pathlib import Path
from typing import Any

from homeassistant.bootstrap import async_setup_hass
from homeassistant.components.conversation import HOME_ASSISTANT_AGENT
from homeassistant.components.conversation.agent_manager import async_converse
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.components.intent import async_register_timer_handler
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.helpers import area_registry as ar, device_registry as dr, entity_registry as er
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.runner import RuntimeConfig

from . import api
from .furnish import ROOMS, furnish
from .hass import OWNER, write_config
from .process import ProcessFailed, free_port

DOMAIN = "barnabeenet"
ROOM = "Kitchen"
# So many turns in a row are no family's.
UNLIMITED = {"per_minute": 600, "per_hour": 10_000}
_ROOM_NAMES = ("Attic", "Cellar", "Garage", "Hall", "Nursery", "Pantry", "Porch", "Sauna", "Studio", "Workshop")
_KINDS = (("light", "Lamp"), ("switch", "Socket"), ("sensor", "Meter"), ("cover", "Shutter"), ("fan", "Fan"))
_WOODS = ("Ash", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Juniper", "Larch", "Maple", "Oak", "Pine", "Walnut")


@dataclass
class BigHome:
    """The home; `device_id` is a satellite in its kitchen, `turns` what our integration told of each turn."""

    hass: HomeAssistant
    entry: ConfigEntry[Any]
    agent: str
    device_id: str
    turns: list[dict[str, Any]]

    async def say(self, text: str, agent: str) -> str:
        """Has an agent answer a sentence of the satellite's; returns what it says."""
        said = await async_converse(
            self.hass, text, None, Context(), language="en", agent_id=agent, device_id=self.device_id
        )
        speech: str = said.response.speech.get("plain", {}).get("speech", "")
        return speech


@asynccontextmanager
async def big_home(folder: Path, *, entities: int, providers: Sequence[dict[str, Any]]) -> AsyncIterator[BigHome]:
    """The demo home with more things in it, `entities` exposed in all; raises ProcessFailed when it does not start.

    In process, because the two agents are compared to a fraction of a millisecond: a websocket would add its own.
    """
    port = free_port()
    await asyncio.to_thread(write_config, folder, port=port)
    hass = await async_setup_hass(RuntimeConfig(str(folder), skip_pip=True, log_no_color=True))
    if hass is None or hass.config.recovery_mode:
        raise ProcessFailed(f"Home Assistant did not start: see {folder}")
    logging.getLogger().setLevel(logging.WARNING)
    try:
        await hass.async_start()
        url = f"http://127.0.0.1:{port}"
        async with api.HomeAssistant(url, await api.onboard(url, **OWNER)) as home:
            await furnish(home)
        _add_things(hass, entities - len(ROOMS["entities"]) - 1)
        device_id = _add_satellite(hass)
        entry = await _add_entry(hass, providers)
        turns: list[dict[str, Any]] = []

        @callback
        def finished(turn: dict[str, Any]) -> None:
            turns.append(turn)

        async_dispatcher_connect(hass, f"{DOMAIN}_turn", finished)
        agent = er.async_get(hass).async_get_entity_id("conversation", DOMAIN, _unique_id(hass, entry))
        assert agent is not None
        await hass.async_block_till_done(wait_background_tasks=False)
        big = BigHome(hass, entry, agent, device_id, turns)
        await entry.runtime_data.brain.refresh()
        yield big
    finally:
        await hass.async_stop(force=True)


def _unique_id(hass: HomeAssistant, entry: ConfigEntry[Any]) -> str:
    ours = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return next(each.unique_id for each in ours if each.domain == "conversation")


def _add_things(hass: HomeAssistant, count: int) -> None:
    """Registered, named, in rooms and exposed, as a home's are; nothing stands behind them."""
    registry, areas = er.async_get(hass), ar.async_get(hass)
    rooms = [areas.async_get_or_create(name).id for name in _ROOM_NAMES]
    for number in range(count):
        domain, kind = _KINDS[number % len(_KINDS)]
        name = f"{_WOODS[number // len(_KINDS) % len(_WOODS)]} {kind} {number}"
        made = registry.async_get_or_create(domain, "bench", str(number), original_name=name)
        registry.async_update_entity(made.entity_id, area_id=rooms[number % len(rooms)])
        state = "20" if domain == "sensor" else "off"
        hass.states.async_set(made.entity_id, state, {"friendly_name": name})
        async_expose_entity(hass, "conversation", made.entity_id, True)


def _add_satellite(hass: HomeAssistant) -> str:
    entry = _entry("bench_satellite", {}, ())
    hass.config_entries._entries[entry.entry_id] = entry  # noqa: SLF001 - a device needs one, nothing runs behind it
    devices, room = dr.async_get(hass), ar.async_get(hass).async_get_or_create(ROOM)
    device = devices.async_get_or_create(config_entry_id=entry.entry_id, identifiers={("bench", "satellite")})
    devices.async_update_device(device.id, area_id=room.id)
    async_register_timer_handler(hass, device.id, lambda *_: None)
    return device.id


async def _add_entry(hass: HomeAssistant, providers: Sequence[dict[str, Any]]) -> ConfigEntry[Any]:
    """Our entry, whose sidecar is away: a written sentence needs none."""
    data = {"host": "127.0.0.1", "port": free_port(), "token": "0" * 32, "preferred": False}
    entry = _entry(DOMAIN, data, providers)
    await hass.config_entries.async_add(entry)
    if not hasattr(entry, "runtime_data"):
        raise ProcessFailed("the integration was not set up: see the log of Home Assistant")
    return entry


def _entry(domain: str, data: dict[str, Any], providers: Sequence[dict[str, Any]]) -> ConfigEntry[Any]:
    return ConfigEntry(
        domain=domain,
        title=domain,
        data=data,
        options=UNLIMITED if domain == DOMAIN else {},
        source="user",
        unique_id=None,
        version=1,
        minor_version=1,
        discovery_keys={},  # type: ignore[arg-type]
        subentries_data=[
            {"subentry_type": "provider", "title": each["name"], "unique_id": None, "data": each} for each in providers
        ],
    )


__all__ = ["HOME_ASSISTANT_AGENT", "BigHome", "big_home"]
