"""Language models behind the conversation entity: real Home Assistant, real providers over HTTP, real state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
import json
from typing import Any

from aiohttp import web
from homeassistant.components import conversation
from homeassistant.components.light import ColorMode, LightEntity
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import area_registry as ar, entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, setup_test_component_platform

from custom_components.barnabeenet.const import DOMAIN, SUBENTRY_PROVIDER
from custom_components.barnabeenet.diagnostics import async_get_config_entry_diagnostics
from custom_components.barnabeenet.dialog.sentences import Phrase, say
from tests.integration.conftest import ScriptedSidecar
from tests.redis_server import RedisServer

AGENT = "conversation.barnabee"


class Lamp(LightEntity):
    """A lamp that can be on or off."""

    _attr_color_mode = ColorMode.ONOFF
    _attr_should_poll = False
    _attr_is_on = False

    def __init__(self, name: str) -> None:
        self._attr_name = self._attr_unique_id = name
        self._attr_supported_color_modes = {ColorMode.ONOFF}

    async def async_turn_on(self, **_: Any) -> None:
        self._attr_is_on = True
        self.async_write_ha_state()


class Server:
    """A language model's server: answers with what the test has written down; `status` other than 200 fails."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.status = 200
        self.port = 0

    async def complete(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        if self.status != 200:
            return web.json_response({"error": {"message": "no"}}, status=self.status)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        answer = self.answers.pop(0)
        finish = "tool_calls" if "tool_calls" in answer else "stop"
        for choice in ({"delta": answer}, {"delta": {}, "finish_reason": finish}):
            await self._send(response, {"choices": [{"index": 0, **choice}]})
        await self._send(response, {"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 100}})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _send(self, response: web.StreamResponse, data: dict[str, Any]) -> None:
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "tiny", **data}
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def called(tool: str, **arguments: Any) -> dict[str, Any]:
    function = {"name": tool, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}


@pytest.fixture
async def servers(socket_enabled: None) -> AsyncIterator[list[Server]]:
    """Three of them."""
    found, runners = [], []
    for _ in range(3):
        server, app = Server(), web.Application()
        app.router.add_post("/v1/chat/completions", server.complete)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.port = runner.addresses[0][1]
        found.append(server)
        runners.append(runner)
    yield found
    for runner in runners:
        await runner.cleanup()


def provider(number: int, port: int, **more: Any) -> ConfigSubentryData:
    data = {
        "kind": "openai_compatible",
        "base_url": f"http://127.0.0.1:{port}/v1",
        "api_key": "secret",
        "model": "tiny",
        "tier": "cloud_fast",
        "order": number,
        "price_prompt": 1.0,
        "price_completion": 10.0,
        **more,
    }
    return ConfigSubentryData(data=data, subentry_type=SUBENTRY_PROVIDER, title=f"Model {number}", unique_id=None)


@pytest.fixture
def entry(home: HomeAssistant, servers: Sequence[Server]) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Barnabee",
        unique_id="sidecar-1",
        data={"host": "127.0.0.1", "port": 10800, "token": "0123456789abcdef0123456789abcdef"},
        subentries_data=[provider(number, server.port) for number, server in enumerate(servers, 1)],
    )
    entry.add_to_hass(home)
    return entry


@pytest.fixture
async def lamp(home: HomeAssistant, loaded: MockConfigEntry) -> Lamp:
    lamp = Lamp("Ceiling")
    setup_test_component_platform(home, "light", [lamp])
    assert await async_setup_component(home, "light", {"light": {"platform": "test"}})
    await home.async_block_till_done()
    kitchen = ar.async_get(home).async_create("Kitchen")
    er.async_get(home).async_update_entity(lamp.entity_id, area_id=kitchen.id)
    await home.async_block_till_done()
    loaded.runtime_data.brain.house.refresh()
    return lamp


async def hears(hass: HomeAssistant, text: str, conversation_id: str | None = None) -> conversation.ConversationResult:
    result = await conversation.async_converse(
        hass, text, conversation_id, Context(), language="en", agent_id=AGENT, device_id=None
    )
    await hass.async_block_till_done()
    return result


def speech_of(result: conversation.ConversationResult) -> str:
    return str(result.response.speech["plain"]["speech"])


async def report(hass: HomeAssistant, **options: Any) -> Any:
    return await hass.services.async_call(DOMAIN, "cost_report", options, blocking=True, return_response=True)


async def test_a_question_is_answered_and_paid_for(
    home: HomeAssistant, loaded: MockConfigEntry, servers: Sequence[Server]
) -> None:
    servers[0].answers = [said("Ada Lovelace wrote it. She lived in London.")]
    result = await hears(home, "who wrote the first computer program")
    assert speech_of(result) == "Ada Lovelace wrote it. She lived in London."
    assert not result.continue_conversation
    [turn] = loaded.runtime_data.turns
    assert (turn.tier, turn.error) == ("cloud_fast", None)
    spent = await report(home)
    # 1000 tokens at 1 USD and 100 at 10 USD a million.
    assert spent["requests"] == 1
    assert spent["cost_usd"] == pytest.approx(0.002)


async def test_a_tool_is_used_for_what_was_asked_in_other_words(
    home: HomeAssistant, loaded: MockConfigEntry, lamp: Lamp, servers: Sequence[Server]
) -> None:
    servers[0].answers = [called("intent__HassTurnOn", name="Ceiling"), said("There you are.")]
    result = await hears(home, "it is rather dark, would you mind to switch on the ceiling for me while I read")
    assert speech_of(result) == "There you are."
    assert lamp.is_on
    tools = {tool["function"]["name"] for tool in servers[0].asked[0]["tools"]}
    assert {"intent__HassTurnOn", "intent__HassTurnOff"} <= tools


async def test_when_two_of_three_fail_the_third_answers(
    home: HomeAssistant, loaded: MockConfigEntry, servers: Sequence[Server]
) -> None:
    servers[0].status, servers[1].status = 500, 429
    servers[2].answers = [said("In 1843.")]
    assert speech_of(await hears(home, "when was it published")) == "In 1843."
    spent = await report(home)
    assert spent["requests"] == 3


async def test_a_talk_goes_on_by_home_assistants_conversation(
    home: HomeAssistant, loaded: MockConfigEntry, servers: Sequence[Server]
) -> None:
    servers[0].answers = [said("Ada Lovelace."), said("In 1815.")]
    first = await hears(home, "who wrote the first computer program")
    await hears(home, "when was she born", first.conversation_id)
    told = [message["content"] for message in servers[0].asked[1]["messages"] if message["role"] != "system"]
    assert told == ["who wrote the first computer program", "Ada Lovelace.", "when was she born"]


async def test_a_question_of_the_models_keeps_the_microphone_open(
    home: HomeAssistant, loaded: MockConfigEntry, servers: Sequence[Server]
) -> None:
    servers[0].answers = [said("Which one do you mean?")]
    assert (await hears(home, "tell me about her")).continue_conversation


async def test_a_key_that_is_refused_is_for_a_person_to_mend(
    home: HomeAssistant, loaded: MockConfigEntry, servers: Sequence[Server]
) -> None:
    servers[0].status = 401
    servers[1].answers = [said("Yes.")]
    assert speech_of(await hears(home, "tell me a joke about bees")) == "Yes."
    issues = [issue_id for domain, issue_id in ir.async_get(home).issues if domain == DOMAIN]
    assert len([issue for issue in issues if issue.startswith("provider_refused")]) == 1


async def test_at_home_only_no_model_is_asked_and_it_says_so(
    home: HomeAssistant, loaded: MockConfigEntry, servers: Sequence[Server]
) -> None:
    await home.services.async_call(DOMAIN, "set_local_only", {"enabled": True}, blocking=True)
    await home.async_block_till_done(wait_background_tasks=True)
    assert speech_of(await hears(home, "tell me a joke about bees")) == say(Phrase.LOCAL_ONLY, "en")
    assert servers[0].asked == []


async def test_over_the_budget_only_basic_commands_run_also_after_a_restart(
    home: HomeAssistant, loaded: MockConfigEntry, servers: Sequence[Server], sidecar: ScriptedSidecar
) -> None:
    servers[0].answers = [said("Yes.")]
    home.config_entries.async_update_entry(loaded, options={"daily_usd": 0.002})
    await home.async_block_till_done(wait_background_tasks=True)
    await hears(home, "tell me a joke about bees")
    assert speech_of(await hears(home, "tell me a joke about bees")) == say(Phrase.BUDGET_USED_UP, "en")
    issues = [issue_id for domain, issue_id in ir.async_get(home).issues if domain == DOMAIN]
    assert any(issue.startswith("budget_red") for issue in issues)
    assert await home.config_entries.async_reload(loaded.entry_id)
    await home.async_block_till_done()
    assert speech_of(await hears(home, "tell me a joke about bees")) == say(Phrase.BUDGET_USED_UP, "en")
    await home.services.async_call(DOMAIN, "reset_cost_counter", {}, blocking=True)
    servers[0].answers = [said("Yes.")]
    assert speech_of(await hears(home, "tell me a joke about bees")) == "Yes."


async def test_a_session_is_ended_on_demand(
    home: HomeAssistant, loaded: MockConfigEntry, servers: Sequence[Server]
) -> None:
    servers[0].answers = [said("Ada Lovelace.")]
    await hears(home, "who wrote the first computer program")
    [session] = loaded.runtime_data.brain.mind.sessions.live
    await home.services.async_call(DOMAIN, "end_session", {"device_id": session.device_id}, blocking=True)
    assert loaded.runtime_data.brain.mind.sessions.live == ()


async def test_a_database_that_cannot_be_opened_keeps_nobody_from_being_heard(
    home: HomeAssistant, entry: MockConfigEntry, sidecar: ScriptedSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    folder = home.config.path("barnabeenet")
    await home.async_add_executor_job(lambda: open(folder, "w").close())  # noqa: PTH123 - a file in the way
    assert await home.config_entries.async_setup(entry.entry_id)
    await home.async_block_till_done()
    assert "Nothing is remembered until this is mended" in caplog.text
    assert speech_of(await hears(home, "what time is it"))


async def test_redis_may_die_and_come_back_in_the_middle_of_a_talk(
    home: HomeAssistant,
    entry: MockConfigEntry,
    servers: Sequence[Server],
    sidecar: ScriptedSidecar,
    redis_server: RedisServer,
) -> None:
    home.config_entries.async_update_entry(entry, options={"redis_url": redis_server.url})
    assert await home.config_entries.async_setup(entry.entry_id)
    await home.async_block_till_done()
    servers[0].answers = [said(f"Number {number}.") for number in range(3)]
    first = await hears(home, "tell me a joke about bees")
    await redis_server.kill()
    second = await hears(home, "tell me another joke about bees", first.conversation_id)
    await redis_server.start()
    third = await hears(home, "tell me a last joke about bees", first.conversation_id)
    assert [speech_of(each) for each in (first, second, third)] == ["Number 0.", "Number 1.", "Number 2."]
    told = [message["content"] for message in servers[0].asked[2]["messages"] if message["role"] == "assistant"]
    assert told == ["Number 0.", "Number 1."]


async def test_diagnostics_tell_of_models_money_and_who_answers_but_nothing_private(
    home: HomeAssistant, loaded: MockConfigEntry, servers: Sequence[Server]
) -> None:
    servers[0].answers = [said("A bee said buzz.")]
    await hears(home, "tell me a joke about bees")
    shown = await async_get_config_entry_diagnostics(home, loaded)
    assert shown["brain"]["agents"]["agents"]["interaction"]["requests"] == 1
    assert [model["state"] for model in shown["brain"]["models"]] == ["closed"] * 3
    assert shown["brain"]["budget"]["level"] == "green"
    assert shown["brain"]["sessions"] == 1
    for private in ("secret", "bees", "buzz", "127.0.0.1", "Model 1"):
        assert private not in json.dumps(shown, default=str)
