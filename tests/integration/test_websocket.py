"""The turns that the panel watches."""

from __future__ import annotations

from typing import Any

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

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
