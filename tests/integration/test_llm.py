"""The memory tools themselves: in whose name they work, and what a model cannot make them do."""

from __future__ import annotations

from typing import Any

from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import llm
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.barnabeenet.const import DOMAIN
from custom_components.barnabeenet.dialog.actions import is_offered
from custom_components.barnabeenet.llm import async_get_tools
from custom_components.barnabeenet.state.errors import Unavailable
from custom_components.barnabeenet.telemetry import trace
from custom_components.barnabeenet.toolbox import Toolbox
from tests.stored_memories import StoredMemories

pytestmark = pytest.mark.usefixtures("starting")


@pytest.fixture
def memories(home: HomeAssistant, loaded: MockConfigEntry) -> StoredMemories:
    return StoredMemories(home, loaded)


@pytest.fixture
def anna(home: HomeAssistant) -> str:
    return MockUser(name="Anna").add_to_hass(home).id


def asked(user: str | None = None, *, platform: str = "openai_conversation", **more: Any) -> llm.LLMContext:
    given = {"context": Context(user_id=user), "language": "en", "assistant": "conversation", "device_id": None, **more}
    return llm.LLMContext(platform=platform, **given)


async def use(hass: HomeAssistant, tool: str, context: llm.LLMContext, **arguments: Any) -> dict[str, Any]:
    api = await llm.async_get_api(hass, llm.LLM_API_ASSIST, context)
    result = await api.async_call_tool(llm.ToolInput(f"{DOMAIN}__{tool}", arguments))
    assert result.error == ("error" in result.data)
    return dict(result.data)


async def test_they_are_offered_as_home_assistant_wants_it(
    home: HomeAssistant, memories: StoredMemories, caplog: pytest.LogCaptureFixture
) -> None:
    api = await llm.async_get_api(home, llm.LLM_API_ASSIST, asked())
    ours = [tool for tool in api.tools if tool.name.startswith("barnabeenet__")]
    assert {tool.name.removeprefix("barnabeenet__") for tool in ours} == {"remember", "recall", "forget"}
    assert all(tool.integration == DOMAIN and is_offered(tool.name) for tool in ours)
    assert {tool.name for tool in ours if tool.annotations.read_only} == {"barnabeenet__recall"}
    schemas = {tool.name: tool.parameters for tool in (await Toolbox.open(home, asked())).tools}
    assert set(schemas["barnabeenet__remember"]["properties"]) == {"text", "visibility"}
    assert "without an integration" not in caplog.text


async def test_other_apis_and_a_home_without_memories_have_none(
    home: HomeAssistant, loaded: MockConfigEntry, memories: StoredMemories, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert async_get_tools(home, asked(), "another") is None
    monkeypatch.setattr(loaded.runtime_data.brain, "memories", None)
    assert async_get_tools(home, asked(), llm.LLM_API_ASSIST) is None


async def test_no_argument_says_whose_memories_they_are(
    home: HomeAssistant, memories: StoredMemories, anna: str
) -> None:
    for arguments in ({"text": "x", "speaker": "ben"}, {"text": "x", "owner": "ben"}, {"text": ""}, {"text": 1}, {}):
        with pytest.raises(probatio.Invalid):
            await use(home, "remember", asked(anna), **arguments)
    with pytest.raises(probatio.Invalid):
        await use(home, "recall", asked(anna), query="x", speaker="ben")
    assert memories.kept == []


async def test_what_is_for_the_family_is_heard_by_guests(
    home: HomeAssistant, memories: StoredMemories, anna: str
) -> None:
    await use(home, "remember", asked(anna), text="the wifi password is banana", visibility="family")
    await use(home, "remember", asked(anna), text="my wifi diary is secret")
    (memory,) = (await use(home, "recall", asked(), query="wifi"))["memories"]
    assert memory["text"] == "\u27e6the wifi password is banana\u27e7"
    assert memory["told_by"] == "somebody of the family"


@pytest.mark.parametrize("tool", ["remember", "forget"])
async def test_a_guest_keeps_and_forgets_nothing(
    home: HomeAssistant, memories: StoredMemories, anna: str, tool: str
) -> None:
    await use(home, "remember", asked(anna), text="the wifi password is banana", visibility="family")
    assert "who is speaking" in (await use(home, tool, asked(), text="the wifi password is banana"))["error"]
    assert memories.texts(f"user {anna}") == ["the wifi password is banana"]


async def test_a_login_at_a_device_and_an_automation_are_nobody(
    home: HomeAssistant, memories: StoredMemories, anna: str
) -> None:
    automation = asked(context=Context(user_id=anna, parent_id="what set it off"))
    for context in (asked(anna, device_id="kitchen"), automation, asked(context=None)):
        assert "error" in await use(home, "remember", context, text="x y z")


async def test_a_voice_is_known_only_at_its_device_and_while_its_turn_goes_on(
    home: HomeAssistant, memories: StoredMemories
) -> None:
    turn = trace.begin(device_id="kitchen")
    turn.speaker = "person anna"
    await use(home, "remember", asked(device_id="kitchen"), text="my code is 1")
    assert "error" in await use(home, "remember", asked(device_id="bath"), text="my code is 2")
    assert "error" in await use(
        home, "remember", asked(context=Context(parent_id="x"), device_id="kitchen"), text="my code is 3"
    )
    turn.reply = "Done"
    assert "error" in await use(home, "remember", asked(device_id="kitchen"), text="my code is 4")
    assert memories.texts("person anna") == ["my code is 1"]


async def test_a_voice_that_may_be_anothers_keeps_but_is_told_nothing_of_its_own(
    home: HomeAssistant, memories: StoredMemories
) -> None:
    turn = trace.begin(device_id="kitchen")
    turn.speaker, turn.is_sure = "person anna", False
    here = asked(device_id="kitchen")
    await use(home, "remember", here, text="my bike code is 4711")
    await use(home, "remember", here, text="our bike shed code is 12", visibility="family")
    told = await use(home, "recall", here, query="bike code")
    assert [each["text"] for each in told["memories"]] == ["\u27e6our bike shed code is 12\u27e7"]
    assert "say it again" in told["note"]
    for text in ("my bike code is 4711", "our bike shed code is 12"):
        assert "say it again" in (await use(home, "forget", here, text=text))["error"]
    turn.is_sure = True
    told = await use(home, "recall", here, query="bike code")
    assert "note" not in told
    assert len(told["memories"]) == 2


async def test_our_own_agent_has_asked_already(home: HomeAssistant, memories: StoredMemories, anna: str) -> None:
    await use(home, "remember", asked(anna), text="my bike code is 4711")
    assert await use(home, "forget", asked(anna, platform=DOMAIN), text="\u27e6my bike code is 4711\u27e7") == {
        "forgotten": True
    }


async def test_a_yes_is_for_one_memory_of_one_person(home: HomeAssistant, memories: StoredMemories, anna: str) -> None:
    ben = MockUser(name="Ben").add_to_hass(home).id
    for who, text in ((anna, "my bike code is 4711"), (anna, "my cat is black"), (ben, "my bike code is 4711")):
        await use(home, "remember", asked(who), text=text)
    assert (await use(home, "forget", asked(anna), text="my bike code is 4711"))["forgotten"] is False
    assert (await use(home, "forget", asked(ben), text="my bike code is 4711"))["forgotten"] is False
    assert (await use(home, "forget", asked(anna), text="my cat is black"))["forgotten"] is False
    assert (await use(home, "forget", asked(anna), text="my bike code is 4711"))["forgotten"] is False
    assert len(memories.kept) == 3
    assert await use(home, "forget", asked(anna), text="my bike code is 4711") == {"forgotten": True}
    assert memories.texts(f"user {ben}") == ["my bike code is 4711"]


async def test_without_a_context_nobody_can_agree(home: HomeAssistant, memories: StoredMemories) -> None:
    turn = trace.begin()
    turn.speaker, turn.is_sure = "person anna", True
    await use(home, "remember", asked(context=None), text="my code is 1")
    for _ in range(3):
        assert (await use(home, "forget", asked(context=None), text="my code is 1"))["forgotten"] is False


async def test_what_could_be_several_is_named_back(home: HomeAssistant, memories: StoredMemories, anna: str) -> None:
    for text in ("my red bike is old", "my blue bike is new"):
        await use(home, "remember", asked(anna), text=text)
    error = (await use(home, "forget", asked(anna), text="my bike"))["error"]
    assert "\u27e6my red bike is old\u27e7" in error
    assert "none" in (await use(home, "forget", asked(anna), text="submarine"))["error"]
    assert (await use(home, "forget", asked(anna), text="my red bike"))["memory"] == "\u27e6my red bike is old\u27e7"


async def test_what_went_wrong_is_told_to_the_model(home: HomeAssistant, memories: StoredMemories, anna: str) -> None:
    memories.fail(Unavailable("the disk is full"))
    for tool, arguments in (("remember", {"text": "x y"}), ("recall", {"query": "x"}), ("forget", {"text": "x"})):
        assert "the disk is full" in (await use(home, tool, asked(anna), **arguments))["error"]
