"""A language model's tools are kept while the home stays as it is, and called in the name of who speaks now."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import llm
from homeassistant.setup import async_setup_component
import pytest

from custom_components.barnabeenet.const import DOMAIN
from custom_components.barnabeenet.providers.base import ToolCall
from custom_components.barnabeenet.toolbox import KEPT_S, Toolboxes


class Home:
    """What the toolboxes look at."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.revision = 0
        self.now_s = 0.0
        self.boxes = Toolboxes(hass, lambda: self.revision, lambda: self.now_s)

    async def names(self, device_id: str = "kitchen") -> set[str]:
        return {tool.name for tool in (await self.boxes.open(context(device_id))).tools}


def context(device_id: str = "kitchen", who: Context | None = None) -> llm.LLMContext:
    return llm.LLMContext(
        platform=DOMAIN, context=who or Context(), language="en", assistant="conversation", device_id=device_id
    )


@pytest.fixture
async def home(hass: HomeAssistant) -> Home:
    for domain in ("homeassistant", "conversation", "intent", "light", "llm"):
        assert await async_setup_component(hass, domain, {})
    return Home(hass)


@pytest.fixture
def asked() -> Iterator[list[str | None]]:
    """The devices for which Home Assistant was asked for its tools."""
    found: list[str | None] = []
    really = llm.async_get_api

    async def note(hass: HomeAssistant, api_id: str, context: llm.LLMContext) -> llm.APIInstance:
        found.append(context.device_id)
        return await really(hass, api_id, context)

    with patch.object(llm, "async_get_api", note):
        yield found


async def light(hass: HomeAssistant) -> None:
    hass.states.async_set("light.lamp", "off", {"friendly_name": "Lamp"})
    async_expose_entity(hass, "conversation", "light.lamp", True)
    await hass.async_block_till_done()


async def test_they_are_asked_for_once_while_nothing_changes(home: Home, asked: list[str | None]) -> None:
    assert await home.names() == await home.names()
    assert asked == ["kitchen"]


async def test_each_device_has_its_own(home: Home, asked: list[str | None]) -> None:
    await home.names("kitchen")
    await home.names("bath")
    assert asked == ["kitchen", "bath"]


async def test_a_changed_home_has_other_tools_at_once(hass: HomeAssistant, home: Home) -> None:
    assert "light__HassLightSet" not in await home.names()
    await light(hass)
    home.revision += 1
    assert "light__HassLightSet" in await home.names()


async def test_old_ones_are_used_once_more_and_renewed(hass: HomeAssistant, home: Home) -> None:
    await home.names()
    await light(hass)
    home.now_s = KEPT_S + 1
    assert "light__HassLightSet" not in await home.names()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert "light__HassLightSet" in await home.names()


async def test_only_so_many_devices_are_remembered(home: Home, asked: list[str | None]) -> None:
    for number in range(17):
        await home.names(str(number))
    await home.names("16")
    await home.names("0")
    assert asked == [*map(str, range(17)), "0"]


async def test_they_are_called_in_the_name_of_who_speaks_now(hass: HomeAssistant, home: Home) -> None:
    await home.boxes.open(context())
    mine = Context()
    box = await home.boxes.open(context(who=mine))
    called: list[llm.LLMContext] = []

    async def note(api: llm.APIInstance, _: llm.ToolInput) -> llm.ToolResult:
        called.append(api.llm_context)
        return llm.ToolResult(data={})

    with patch.object(llm.APIInstance, "async_call_tool", note):
        await box.call(ToolCall("1", "llm__GetDateTime", {}))
    assert [each.context for each in called] == [mine]
