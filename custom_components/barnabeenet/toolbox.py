"""What a language model may do in this home: the tools of Home Assistant's LLM APIs, called in the name of who speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import llm
import probatio

from .providers.base import Tool, ToolCall

# Vendors refuse these at the top of a tool's parameters.
_NOT_AT_THE_TOP = frozenset({"oneOf", "anyOf", "allOf", "enum", "not"})


class Toolbox:
    """The tools of one turn."""

    def __init__(self, api: llm.APIInstance) -> None:
        self._api = api
        self.tools: Sequence[Tool] = [_tool(tool, api) for tool in api.tools]

    @classmethod
    async def open(cls, hass: HomeAssistant, context: llm.LLMContext) -> Toolbox:
        """The tools of Assist; raises HomeAssistantError when Home Assistant has none."""
        return cls(await llm.async_get_api(hass, llm.LLM_API_ASSIST, context))

    async def call(self, call: ToolCall) -> Any:
        """What the tool gives, as JSON-ready data; an error of the tool is data, too: the model may make up for it."""
        asked = llm.ToolInput(tool_name=call.name, tool_args=call.arguments, id=call.id)
        try:
            result = await self._api.async_call_tool(asked)
        except (HomeAssistantError, probatio.Invalid) as error:
            return {"error": type(error).__name__, "error_text": str(error)}
        return result.data


def _tool(tool: llm.Tool, api: llm.APIInstance) -> Tool:
    schema = probatio.to_openapi(tool.parameters, custom_serializer=api.custom_serializer, openapi_version="3.1.0")
    parameters = {name: value for name, value in schema.items() if name not in _NOT_AT_THE_TOP}
    return Tool(tool.name, tool.description or "", parameters)
