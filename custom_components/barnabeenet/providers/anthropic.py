"""Anthropic's messages as a Provider."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, cast

import anthropic
import httpx

from . import faults
from .answer import Piece, ToolPart
from .base import Message, Meter, Prompt, Tool, Usage
from .events import events, sent
from .settings import Settings
from .vendor import Vendor, address_of, count_of, text_of, timeout_of

_ADDRESS: Final = "https://api.anthropic.com"
_LIBRARY: Final = faults.Library(
    anthropic.APIStatusError, anthropic.APITimeoutError, anthropic.APIConnectionError, anthropic.APIError
)


class Anthropic(Vendor):
    """A Provider; make it with `open_provider`, which keeps what blocks off the event loop."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        """Raises Refused for settings that cannot work."""
        super().__init__(settings)
        self._client = anthropic.AsyncAnthropic(
            api_key=settings.api_key,
            base_url=address_of(settings, _ADDRESS, needs_key=True),
            max_retries=0,
            timeout=timeout_of(settings),
            http_client=http,
        )

    def warm_up(self) -> None:
        """Loads what the library loads at its first use; blocks, for a thread."""
        _ = self._client.messages
        self._client.platform_headers()

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.model,
            "max_tokens": prompt.max_tokens,
            "system": _system(prompt),
            "messages": _messages(prompt),
            "stream": True,
        }
        if prompt.tools:
            request["tools"] = [_tool(tool) for tool in prompt.tools]
        return request

    async def _pieces(self, request: dict[str, Any], trace_id: str, meter: Meter) -> AsyncGenerator[Piece, None]:
        options: Any = {
            "extra_body": dict(self._settings.extra) or None,
            "extra_headers": {"X-Request-ID": trace_id},
        }

        async def ask() -> anthropic.AsyncStream[Any]:
            asked: Any = self._client.messages.create(**request, **options)
            with _LIBRARY.translated():
                return cast("anthropic.AsyncStream[Any]", await asked)

        stream = await sent(ask, meter)
        used = _Used()
        # The library's own reader knows no limits.
        async with stream, aclosing(events(stream.response)) as told:
            async for event in told:
                with _LIBRARY.translated():
                    piece = _piece(event, used)
                yield piece

    async def _check(self) -> None:
        with _LIBRARY.translated():
            await self._client.models.retrieve(self.model)


class _Used:
    """What the events say about usage; the numbers are cumulative."""

    def __init__(self) -> None:
        self.plain = self.read = self.written = 0

    def after(self, told: dict[str, Any]) -> Usage:
        """The usage as of the event that brought `told`."""
        self.plain = count_of(told.get("input_tokens"), self.plain)
        self.read = count_of(told.get("cache_read_input_tokens"), self.read)
        self.written = count_of(told.get("cache_creation_input_tokens"), self.written)
        prompt = self.plain + self.read + self.written
        return Usage(prompt, self.read, count_of(told.get("output_tokens")), written_tokens=self.written)


def _piece(event: dict[str, Any], used: _Used) -> Piece:
    """What an event brings; raises TypeError, LookupError and the like for what has another shape."""
    piece = Piece()
    match event.get("type"):
        case "message_start":
            # What it tells of the output here is only a beginning.
            usage = used.after(event["message"]["usage"])
            piece = Piece(usage=replace(usage, completion_tokens=0, estimated=True))
        case "content_block_start" if event["content_block"]["type"] == "tool_use":
            block = event["content_block"]
            piece = Piece(tools=(ToolPart(int(event["index"]), text_of(block["id"]), text_of(block["name"])),))
        case "content_block_delta":
            piece = _part(int(event["index"]), event["delta"])
        case "message_delta":
            piece = Piece(ended=event["delta"].get("stop_reason"), usage=used.after(event["usage"]))
    return piece


def _part(index: int, delta: dict[str, Any]) -> Piece:
    match delta["type"]:
        case "text_delta":
            return Piece(text_of(delta["text"]))
        case "input_json_delta":
            return Piece(tools=(ToolPart(index, arguments=text_of(delta["partial_json"])),))
        case "thinking_delta":
            return Piece(thought=text_of(delta["thinking"]))
    return Piece()


def _system(prompt: Prompt) -> list[dict[str, Any]]:
    static: dict[str, Any] = {"type": "text", "text": prompt.static, "cache_control": {"type": "ephemeral"}}
    rest = [{"type": "text", "text": part} for part in (prompt.entities, prompt.volatile)]
    # It refuses empty blocks.
    return [block for block in (static, *rest) if block["text"]]


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for message in prompt.messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        # All results of one round belong into one message of the user's.
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"].extend(blocks)
        elif blocks:
            messages.append({"role": role, "content": blocks})
    return messages


def _blocks(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": message.tool_call_id or "", "content": message.text}]
    text = [{"type": "text", "text": message.text}] if message.text.strip() else []
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in message.tool_calls
    ]
    return [*text, *calls]


def _tool(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
