"""Memories in a real Home Assistant: by voice and in writing, beside its own sentences."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import Context, HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.barnabeenet.assist import Assist
from custom_components.barnabeenet.const import DOMAIN, SUBENTRY_PROVIDER
from custom_components.barnabeenet.dialog.telling_phrases import Say, say
from tests.integration.conftest import ScriptedSidecar
from tests.integration.dialog.test_telling_grammar import (
    ASK,
    FOR_FAMILY,
    FORGET,
    FORGET_ALL,
    FORGET_THAT,
    REMEMBER,
)
from tests.llm_server import LlmServer, called, llm_server, said, tool_chunks
from tests.stored_memories import StoredMemories

AGENT = "conversation.barnabee"


class Home:
    """Somebody who writes to Barnabee, or speaks where nobody is known."""

    def __init__(self, hass: HomeAssistant, entry: MockConfigEntry) -> None:
        self.hass, self.entry = hass, entry
        self.memories = StoredMemories(hass, entry)
        self.anna = MockUser(name="Anna").add_to_hass(hass).id
        self.ben = MockUser(name="Ben").add_to_hass(hass).id

    async def hears(self, text: str, user: str | None, language: str = "en") -> conversation.ConversationResult:
        context = Context(user_id=user)
        return await conversation.async_converse(
            self.hass, text, f"talk of {user}", context, language=language, agent_id=AGENT
        )

    async def says(self, text: str, user: str | None, language: str = "en") -> str:
        return str((await self.hears(text, user, language)).response.speech["plain"]["speech"])


@pytest.fixture
async def family(home: HomeAssistant, loaded: MockConfigEntry) -> Home:
    await home.async_block_till_done()
    return Home(home, loaded)


async def test_a_talk_about_a_memory(family: Home) -> None:
    assert (
        await family.says("Remember that my bike code is 4711.", family.anna)
        == "I'll remember that. Your bike code is 4711."
    )
    assert await family.says("What is my bike code?", family.anna) == "Your bike code is 4711."
    result = await family.hears("forget what I told you about my bike", family.anna)
    assert result.continue_conversation
    assert await family.says("yes please", family.anna) == "I have forgotten it."
    assert family.memories.kept == []
    await family.hass.async_block_till_done()
    agents = family.entry.runtime_data.brain.agents.as_dict()["agents"]
    assert (agents["memory"]["requests"], agents["interaction"]["requests"]) == (4, 0)


async def test_one_login_knows_nothing_of_another(family: Home) -> None:
    await family.says("remember that my bike code is 4711", family.anna)
    assert "4711" not in await family.says("what is my bike code", family.ben)
    assert await family.says("what did I tell you about my bike", family.ben) == say(Say.NOTHING, "en")
    assert await family.says("what did I tell you about my bike", None) == say(Say.GUEST, "en")
    assert "forgotten" not in await family.says("forget that", family.ben)
    assert len(family.memories.kept) == 1


@pytest.mark.parametrize(
    ("language", "told", "asked", "answer"),
    [
        ("de", "Merk dir, dass mein Radcode 4711 ist", "Wie lautet mein Radcode?", "Du hast mir gesagt, dass dein Radcode 4711 ist."),
        ("fr", "Retiens que mon code est 4711", "Quel est mon code ?", "Votre code est 4711."),
        ("es", "Recuerda que mi código es 4711", "¿Cuál es mi código?", "Tu código es 4711."),
        ("nl", "Onthoud dat mijn code 4711 is", "Wat is mijn code?", "Je hebt me verteld dat jouw code 4711 is."),
    ],
)  # fmt: skip
async def test_in_other_languages(family: Home, language: str, told: str, asked: str, answer: str) -> None:
    await family.says(told, family.anna, language)
    assert await family.says(asked, family.anna, language) == answer


async def test_home_assistants_own_sentences_take_none_of_these(home: HomeAssistant, family: Home) -> None:
    for domain in ("todo", "light", "sensor", "shopping_list"):
        await async_setup_component(home, domain, {})
    for entity_id, name in (
        ("light.bike", "Bike"),
        ("light.fahrrad", "Fahrrad"),
        ("todo.shopping", "Shopping list"),
        ("sensor.bike", "Bike battery"),
        ("person.anna", "Anna"),
    ):
        home.states.async_set(entity_id, "on", {"friendly_name": name})
        async_expose_entity(home, "conversation", entity_id, True)
    assist = Assist(home)
    cases = [case[:2] for case in (*REMEMBER, *FOR_FAMILY, *ASK, *FORGET, *FORGET_THAT, *FORGET_ALL)]
    taken = [(language, text) for language, text in cases if await assist.recognise(text, language, None) is not None]
    assert taken == []
    assert await assist.recognise("vergiss es", "de", None) is not None


# A model behind it


@pytest.fixture
async def vendor(socket_enabled: None) -> AsyncIterator[LlmServer]:
    async with llm_server() as server:
        yield server


@pytest.fixture
async def talkative(home: HomeAssistant, sidecar: ScriptedSidecar, vendor: LlmServer) -> AsyncIterator[Home]:
    """A home with a language model that takes out facts."""
    data: dict[str, Any] = {"kind": "openai_compatible", "base_url": vendor.url, "api_key": "secret", "model": "tiny"}
    subentry = ConfigSubentryData(
        data={**data, "tier": "cloud_fast", "order": 1, "price_prompt": 1.0, "price_completion": 10.0},
        subentry_type=SUBENTRY_PROVIDER,
        title="Model",
        unique_id=None,
    )
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Barnabee",
        unique_id="sidecar-1",
        data={"host": "beast", "port": 10800, "token": "0" * 32, "preferred": False},
        options={"extract_memories": True},
        subentries_data=[subentry],
    )
    entry.add_to_hass(home)
    assert await home.config_entries.async_setup(entry.entry_id)
    await home.async_block_till_done()
    yield Home(home, entry)
    assert await home.config_entries.async_unload(entry.entry_id)


async def test_after_a_talk_with_a_model_facts_are_kept_where_the_home_wants_it(
    talkative: Home, vendor: LlmServer
) -> None:
    facts = called(tool_chunks("keep_facts", '{"facts": ["my sister Mia likes strong coffee"]}'))
    vendor.will(said("How nice."), facts)
    assert await talkative.says("you know my sister Mia likes strong coffee a lot", talkative.anna) == "How nice."
    await talkative.hass.async_block_till_done(wait_background_tasks=True)
    (kept,) = talkative.memories.kept
    assert (kept.text, kept.kind, kept.owner) == (
        "my sister Mia likes strong coffee",
        "extracted",
        f"user {talkative.anna}",
    )
    assert kept.source == list(talkative.entry.runtime_data.turns)[-1].trace_id
    assert len(vendor.requests) == 2


async def test_guests_and_homes_that_do_not_want_it_have_nothing_taken_out(talkative: Home, vendor: LlmServer) -> None:
    vendor.will(said("How nice."))
    await talkative.says("you know my sister Mia likes strong coffee a lot", None)
    talkative.hass.config_entries.async_update_entry(talkative.entry, options={"extract_memories": False})
    await talkative.says("you know my sister Mia likes strong coffee a lot", talkative.anna)
    await talkative.hass.async_block_till_done(wait_background_tasks=True)
    assert talkative.memories.kept == []
    assert len(vendor.requests) == 2


async def test_our_own_model_forgets_only_after_a_yes(talkative: Home, vendor: LlmServer) -> None:
    talkative.hass.config_entries.async_update_entry(talkative.entry, options={})
    await talkative.says("remember that my bike code is 4711", talkative.anna)
    vendor.will(called(tool_chunks("barnabeenet__forget", '{"text": "my bike code is 4711"}')))
    asked = await talkative.says("would you mind to delete the bike thing", talkative.anna)
    assert asked == "Shall I forget this: my bike code is 4711?"
    assert len(talkative.memories.kept) == 1
    assert await talkative.says("yes", talkative.anna) == "Done."
    assert talkative.memories.kept == []


async def test_our_own_model_is_told_memories_and_recalls_more(talkative: Home, vendor: LlmServer) -> None:
    talkative.hass.config_entries.async_update_entry(talkative.entry, options={})
    await talkative.says("remember that my bike code is 4711", talkative.anna)
    vendor.will(called(tool_chunks("barnabeenet__recall", '{"query": "bike"}')), said("It is 4711."))
    assert await talkative.says("tell me how I open the lock of that thing", talkative.anna) == "It is 4711."
    assert "my bike code is 4711" in vendor.requests[-1]["messages"][-1]["content"]
    vendor.will(called(tool_chunks("barnabeenet__recall", '{"query": "bike"}')), said("I do not know."))
    await talkative.says("tell me how I open the lock of that thing", talkative.ben)
    assert "4711" not in str(vendor.requests[-1])
