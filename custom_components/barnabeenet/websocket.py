"""What the panel and a person's own dashboard ask for over the websocket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

from homeassistant.components.websocket_api import async_register_command
from homeassistant.components.websocket_api.connection import ActiveConnection
from homeassistant.components.websocket_api.const import ERR_HOME_ASSISTANT_ERROR, ERR_NOT_FOUND
from homeassistant.components.websocket_api.decorators import async_response, require_admin, websocket_command
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
import probatio

from .const import DOMAIN, SIGNAL_TURN
from .database_keeper import async_keeper
from .state.database import Database
from .state.errors import StateError
from .state.history import PAGE_MAX, NoSuchSession, history, sessions
from .who import speaker_of_user

_LIMIT: Final = probatio.All(int, probatio.Range(min=1, max=PAGE_MAX))


@callback
def async_register(hass: HomeAssistant) -> None:
    """Registers the commands."""
    for command in (subscribe_turns, history_sessions, history_turns):
        async_register_command(hass, command)


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


@websocket_command(
    {
        probatio.Required("type"): f"{DOMAIN}/history/sessions",
        probatio.Optional("before"): probatio.Any(None, str),
        probatio.Optional("limit", default=PAGE_MAX): _LIMIT,
    }
)
@async_response
async def history_sessions(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """The last sessions of whoever asks, the newest first; `before` is the last one of the page before."""

    async def read(database: Database, speaker: str) -> dict[str, Any]:
        found = await sessions(database, speaker=speaker, before=msg.get("before"), limit=msg["limit"])
        return {"sessions": [asdict(talk) for talk in found]}

    await _answer(hass, connection, msg, read)


@websocket_command(
    {
        probatio.Required("type"): f"{DOMAIN}/history/turns",
        probatio.Required("session_id"): str,
        probatio.Optional("before"): probatio.Any(None, probatio.All(int, probatio.Range(min=0))),
        probatio.Optional("limit", default=PAGE_MAX): _LIMIT,
    }
)
@async_response
async def history_turns(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """What was said in a session of whoever asks, the oldest first; `before` of the answer asks for older ones."""

    async def read(database: Database, speaker: str) -> dict[str, Any]:
        page = await history(database, msg["session_id"], speaker=speaker, before=msg.get("before"), limit=msg["limit"])
        return page.as_dict()

    await _answer(hass, connection, msg, read)


async def _answer(
    hass: HomeAssistant,
    connection: ActiveConnection,
    msg: dict[str, Any],
    read: Callable[[Database, str], Awaitable[dict[str, Any]]],
) -> None:
    database = async_keeper(hass).database
    if database is None:
        connection.send_error(msg["id"], ERR_NOT_FOUND, "BarnabeeNet is not set up")
        return
    try:
        found = await read(database, speaker_of_user(hass, connection.user.id))
    except NoSuchSession as error:
        connection.send_error(msg["id"], ERR_NOT_FOUND, str(error))
    except StateError as error:
        connection.send_error(msg["id"], ERR_HOME_ASSISTANT_ERROR, str(error))
    else:
        connection.send_result(msg["id"], found)
