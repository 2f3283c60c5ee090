"""What Home Assistant calls before and after it backs its folder up."""

from __future__ import annotations

from homeassistant.core import HomeAssistant

from .database_keeper import async_keeper


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Lets the files of the database be copied one after the other; nobody waits for it."""
    await async_keeper(hass).hold()


async def async_post_backup(hass: HomeAssistant) -> None:
    """Ends that."""
    await async_keeper(hass).resume()
