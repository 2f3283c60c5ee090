"""The turns that the panel watches."""

from __future__ import annotations

from typing import Any

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.barnabeenet.database_keeper import async_keeper
from custom_components.barnabeenet.state.database import Statement
from custom_components.barnabeenet.telemetry.trace import VoiceContext

pytestmark = pytest.mark.usefixtures("starting")

SUBSCRIBE = "barnabeenet/turns/subscribe"


async def test_the_last_turns_come_first_and_then_every_new_one(
    home: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    turns = loaded.runtime_data.turns
    before, after = VoiceContext(text="before"), VoiceContext(text="after")
    turns.finish(before)
    client = await hass_ws_client(home)
    await client.send_json_auto_id({"type": SUBSCRIBE})
    assert (await client.receive_json())["success"]
    assert (await client.receive_json())["event"] == before.as_dict()
    turns.finish(after)
    assert (await client.receive_json())["event"] == after.as_dict()
    after.reply = "Done"
    turns.finish(after)
    assert (await client.receive_json())["event"]["reply"] == "Done"


async def test_a_subscription_outlives_a_reload(
    home: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    client = await hass_ws_client(home)
    await client.send_json_auto_id({"type": SUBSCRIBE})
    await client.receive_json()
    assert await home.config_entries.async_reload(loaded.entry_id)
    turn = VoiceContext()
    loaded.runtime_data.turns.finish(turn)
    assert (await client.receive_json())["event"]["trace_id"] == turn.trace_id


async def test_after_unsubscribing_nothing_comes(
    home: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    client = await hass_ws_client(home)
    await client.send_json_auto_id({"type": SUBSCRIBE})
    subscription = (await client.receive_json())["id"]
    await client.send_json_auto_id({"type": "unsubscribe_events", "subscription": subscription})
    assert (await client.receive_json())["success"]
    loaded.runtime_data.turns.finish(VoiceContext())
    await client.send_json_auto_id({"type": "ping"})
    assert (await client.receive_json())["type"] == "pong"


async def test_what_people_said_is_for_administrators(
    home: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator, hass_admin_user: MockUser
) -> None:
    hass_admin_user.groups = []
    client = await hass_ws_client(home)
    await client.send_json_auto_id({"type": SUBSCRIBE})
    answer: dict[str, Any] = await client.receive_json()
    assert answer["error"]["code"] == "unauthorized"


# History


def session(ident: str, speaker: str | None, began_at: float) -> Statement:
    columns = "id, device_id, speaker, mode, thread, started_at, last_active"
    sql = f"INSERT INTO sessions ({columns}) VALUES (?, 'kitchen', ?, 'command', 't', ?, 9)"
    return sql, (ident, speaker, began_at)


def turn(ident: str, said: str) -> Statement:
    sql = "INSERT INTO turns (session_id, thread, at, said, replied, trace_id) VALUES (?, 't', 5, ?, 'yes', 'trace')"
    return sql, (ident, said)


@pytest.fixture
async def talks(home: HomeAssistant, loaded: MockConfigEntry, hass_admin_user: MockUser) -> None:
    """Three sessions of the one who asks, two of them begun at once, one without a word, and one of somebody else."""
    mine = f"user {hass_admin_user.id}"
    begun = {"a": (mine, 1.0), "b": (mine, 2.0), "c": (mine, 2.0), "silent": (mine, 3.0), "other": ("user ben", 2.0)}
    database = async_keeper(home).database
    assert database is not None
    await database.write(*(session(ident, *each) for ident, each in begun.items()))
    await database.write(
        *(turn(ident, f"{ident} {number}") for ident in ("a", "b", "c", "other") for number in range(3))
    )


async def ask(hass_ws_client: WebSocketGenerator, what: str, **more: Any) -> dict[str, Any]:
    client = await hass_ws_client()
    await client.send_json_auto_id({"type": f"barnabeenet/history/{what}", **more})
    answer: dict[str, Any] = await client.receive_json()
    return answer


@pytest.mark.usefixtures("talks")
async def test_everybody_sees_their_own_sessions_page_by_page(hass_ws_client: WebSocketGenerator) -> None:
    first = (await ask(hass_ws_client, "sessions", limit=2))["result"]["sessions"]
    assert [each["id"] for each in first] == ["c", "b"]
    assert first[0] == {"id": "c", "device_id": "kitchen", "started_at": 2.0, "last_active": 9.0, "turns": 3}
    then = (await ask(hass_ws_client, "sessions", before="b", limit=2))["result"]["sessions"]
    assert [each["id"] for each in then] == ["a"]
    assert (await ask(hass_ws_client, "sessions", before="a"))["result"]["sessions"] == []


@pytest.mark.usefixtures("talks")
async def test_a_session_is_read_from_its_end(hass_ws_client: WebSocketGenerator) -> None:
    page = (await ask(hass_ws_client, "turns", session_id="a", limit=2))["result"]
    assert [item["said"] for item in page["items"]] == ["a 1", "a 2"]
    older = (await ask(hass_ws_client, "turns", session_id="a", limit=2, before=page["before"]))["result"]
    assert [item["said"] for item in older["items"]] == ["a 0"]
    assert older["before"] is None


@pytest.mark.usefixtures("talks")
@pytest.mark.parametrize(
    ("what", "more"),
    [("turns", {"session_id": "other"}), ("turns", {"session_id": "none"}), ("sessions", {"before": "other"})],
)
async def test_that_somebody_else_has_a_session_is_not_told(
    hass_ws_client: WebSocketGenerator, what: str, more: dict[str, Any]
) -> None:
    answer = await ask(hass_ws_client, what, **more)
    assert (answer["success"], answer["error"]["code"]) == (False, "not_found")


@pytest.mark.usefixtures("talks")
@pytest.mark.parametrize("limit", [0, 101, -1, "many"])
async def test_a_page_has_bounds(hass_ws_client: WebSocketGenerator, limit: Any) -> None:
    assert (await ask(hass_ws_client, "sessions", limit=limit))["error"]["code"] == "invalid_format"


async def test_without_an_entry_there_is_no_history(
    home: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    assert await home.config_entries.async_unload(loaded.entry_id)
    answer = await ask(hass_ws_client, "sessions")
    assert (answer["success"], answer["error"]["code"]) == (False, "not_found")
