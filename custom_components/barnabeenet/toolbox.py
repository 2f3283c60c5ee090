"""What a language model may do in this home: the tools of Home Assistant's LLM APIs, called in the name of who speaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import time
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import llm
import probatio

from .providers.base import Tool, ToolCall

# Vendors refuse these at the top of a tool's parameters.
_NOT_AT_THE_TOP = frozenset({"oneOf", "anyOf", "allOf", "enum", "not"})


# Asking for them has Home Assistant write the whole home down for a prompt that we do not use: 50 ms in a large one.
KEPT_S: Final = 60.0
_KEPT_MAX: Final = 16


class Toolbox:
    """The tools of one turn."""

    def __init__(self, api: llm.APIInstance, tools: Sequence[Tool] | None = None) -> None:
        self._api = api
        self.tools: Sequence[Tool] = [_tool(tool, api) for tool in api.tools] if tools is None else tools

    @classmethod
    async def open(cls, hass: HomeAssistant, context: llm.LLMContext) -> Toolbox:
        """The tools of Assist; raises HomeAssistantError when Home Assistant has none."""
        return cls(await llm.async_get_api(hass, llm.LLM_API_ASSIST, context))

    def of(self, context: llm.LLMContext) -> Toolbox:
        """The same tools, called in another's name."""
        return Toolbox(replace(self._api, llm_context=context), self.tools)

    async def call(self, call: ToolCall) -> Any:
        """What the tool gives, as JSON-ready data; an error of the tool is data, too: the model may make up for it."""
        asked = llm.ToolInput(tool_name=call.name, tool_args=call.arguments, id=call.id)
        try:
            result = await self._api.async_call_tool(asked)
        except (HomeAssistantError, probatio.Invalid) as error:
            return {"error": type(error).__name__, "error_text": str(error)}
        return result.data


@dataclass(frozen=True)
class _Kept:
    toolbox: Toolbox
    revision: int
    opened_s: float


class Toolboxes:
    """Keeps each device's tools while the home stays as it is; those that are older are used once more and renewed.

    `revision` changes with what is exposed; `clock` is monotonic, in seconds.
    """

    def __init__(
        self, hass: HomeAssistant, revision: Callable[[], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._hass, self._revision, self._clock = hass, revision, clock
        self._kept: dict[tuple[str | None, str | None], _Kept] = {}

    async def open(self, context: llm.LLMContext) -> Toolbox:
        """The tools, to be called in the name of this context; raises HomeAssistantError."""
        kept = self._kept.get((context.device_id, context.language))
        if kept is None or kept.revision != self._revision():
            return await self._renew(context)
        if self._clock() - kept.opened_s > KEPT_S:
            # Something else may bear on them: this turn does not wait for it.
            self._hass.async_create_background_task(self._renew(context), "barnabeenet tools", eager_start=False)
        return kept.toolbox.of(context)

    async def _renew(self, context: llm.LLMContext) -> Toolbox:
        revision, opened_s = self._revision(), self._clock()
        toolbox = await Toolbox.open(self._hass, context)
        self._kept.pop((context.device_id, context.language), None)
        self._kept[(context.device_id, context.language)] = _Kept(toolbox, revision, opened_s)
        while len(self._kept) > _KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        return toolbox


def _tool(tool: llm.Tool, api: llm.APIInstance) -> Tool:
    schema = probatio.to_openapi(tool.parameters, custom_serializer=api.custom_serializer, openapi_version="3.1.0")
    parameters = {name: value for name, value in schema.items() if name not in _NOT_AT_THE_TOP}
    return Tool(tool.name, tool.description or "", parameters)
