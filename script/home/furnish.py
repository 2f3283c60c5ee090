"""Puts the demo home's things into their rooms, as a person does in the UI."""

from __future__ import annotations

from pathlib import Path
import tomllib
from typing import Any

from .api import HomeAssistant

ROOMS = tomllib.loads((Path(__file__).parent / "rooms.toml").read_text())


async def furnish(home: HomeAssistant) -> None:
    """Names areas, places entities in them, gives aliases and exposes everything in rooms.toml; adds a shopping list."""
    areas = await _areas(home)
    for entity_id, entity in ROOMS["entities"].items():
        changes: dict[str, Any] = {}
        if "area" in entity:
            changes["area_id"] = areas[entity["area"]]
        if "aliases" in entity:
            # None stands for the entity's own name, which would be lost without it.
            changes["aliases"] = [None, *entity["aliases"]]
        if changes:
            await home.call("config/entity_registry/update", entity_id=entity_id, **changes)
    await home.configure("shopping_list", {})
    await home.call(
        "homeassistant/expose_entity",
        assistants=["conversation"],
        entity_ids=[*ROOMS["entities"], "todo.shopping_list"],
        should_expose=True,
    )


async def _areas(home: HomeAssistant) -> dict[str, str]:
    """Makes the areas that onboarding has not made; returns area ids by name."""
    known = {area["name"]: area["area_id"] for area in await home.call("config/area_registry/list")}
    for name, area in ROOMS["areas"].items():
        if name not in known:
            known[name] = (await home.call("config/area_registry/create", name=name))["area_id"]
        changes = {"aliases": area.get("aliases", []), "temperature_entity_id": area.get("temperature")}
        await home.call("config/area_registry/update", area_id=known[name], **changes)
    return known


async def place_device(home: HomeAssistant, entry_id: str, area: str) -> str:
    """Moves the one device of a config entry into an area; returns the device id."""
    areas = {found["name"]: found["area_id"] for found in await home.call("config/area_registry/list")}
    devices = await home.call("config/device_registry/list")
    device_id: str = next(found["id"] for found in devices if entry_id in found["config_entries"])
    await home.call("config/device_registry/update", device_id=device_id, area_id=areas[area])
    return device_id
