"""What the panel asks for over the websocket."""

from __future__ import annotations

from typing import Any

from homeassistant.components.websocket_api import async_register_command
from homeassistant.components.websocket_api.connection import ActiveConnection
from homeassistant.components.websocket_api.decorators import require_admin, websocket_command
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
import probatio

from .const import DOMAIN, SIGNAL_TURN


@callback
def async_register(hass: HomeAssistant) -> None:
    """Registers the commands."""
    async_register_command(hass, subscribe_turns)


@websocket_command({probatio.Required("type"): f"{DOMAIN}/turns/subscribe"})
@require_admin
@callback
def subscribe_turns(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Sends the last turns and then every finished or changed one, each as an event; for administrators."""

    @callback
    def send(turn: dict[str, Any]) -> None:
        connection.send_event(msg["id"], turn)

    connection.subscriptions[msg["id"]] = async_dispatcher_connect(hass, SIGNAL_TURN, send)
    connection.send_result(msg["id"])
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        for turn in entry.runtime_data.turns:
            send(turn.as_dict())
