"""Anthropic's messages as a Provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
import json
from typing import Any, Final, cast
from urllib.parse import urlsplit

import anthropic
import httpx

from . import faults
from .answer import Piece, ToolPart, deltas
from .base import Delta, Message, Meter, Prompt, Refused, Tier, TimedOut, Tool, Usage
from .events import events, sent
from .http import CONNECT_S
from .settings import Settings

_ADDRESS: Final = "https://api.anthropic.com"
_LIBRARY: Final = faults.Library(
    anthropic.APIStatusError, anthropic.APITimeoutError, anthropic.APIConnectionError, anthropic.APIError
)


class Anthropic:
    """A Provider; make it with `open_provider`, which keeps what blocks off the event loop."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        """Raises Refused for settings that cannot work."""
        if not settings.api_key:
            raise Refused("This provider needs a key")
        address = settings.base_url or _ADDRESS
        if urlsplit(address).scheme not in ("http", "https"):
            raise Refused("This provider needs an address that begins with http:// or https://")
        self._settings = settings
        limit_s = max(settings.limits.first_token_s, settings.limits.silence_s)
        timeout = httpx.Timeout(limit_s, connect=min(CONNECT_S, limit_s))
        self._client = anthropic.AsyncAnthropic(
            api_key=settings.api_key, base_url=address, max_retries=0, timeout=timeout, http_client=http
        )

    @property
    def name(self) -> str:
        """The name a person gave it."""
        return self._settings.name

    @property
    def kind(self) -> str:
        """Which vendor's manners it has."""
        return self._settings.kind

    @property
    def tier(self) -> Tier:
        """What it may be used for."""
        return self._settings.tier

    @property
    def model(self) -> str:
        """The vendor's name of the model."""
        return self._settings.model

    def __repr__(self) -> str:
        """Without the key, which is in the library's client."""
        return f"<{type(self).__name__} {self._settings!r}>"

    def warm_up(self) -> None:
        """Loads what the library loads at its first use; blocks, for a thread."""
        _ = self._client.messages
        self._client.platform_headers()

    async def stream(self, prompt: Prompt, *, trace_id: str, meter: Meter | None = None) -> AsyncGenerator[Delta, None]:
        """The answer as it comes; raises ProviderError."""
        meter = meter or Meter()
        request = self._request(prompt)
        counted = [request["system"], request["messages"], request.get("tools", [])]
        meter.prompt_chars = len(json.dumps(counted, ensure_ascii=False, default=str))
        pieces = self._pieces(request, trace_id, meter)
        async with aclosing(deltas(pieces, prompt, self._settings.limits, meter)) as answer:
            async for delta in answer:
                yield delta

    async def check(self) -> None:
        """Whether address, key and model are right; raises ProviderError within the limit."""
        limit_s = self._settings.limits.check_s
        try:
            async with asyncio.timeout(limit_s):
                with _LIBRARY.translated():
                    await self._client.models.retrieve(self.model)
        except TimeoutError:
            raise TimedOut(f"It did not answer a question about itself within {limit_s:g} s") from None

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


class _Used:
    """What the events say about usage; the numbers are cumulative."""

    def __init__(self) -> None:
        self.plain = self.read = self.written = 0

    def after(self, told: dict[str, Any]) -> Usage:
        """The usage as of the event that brought `told`."""
        self.plain = _count(told.get("input_tokens"), self.plain)
        self.read = _count(told.get("cache_read_input_tokens"), self.read)
        self.written = _count(told.get("cache_creation_input_tokens"), self.written)
        prompt = self.plain + self.read + self.written
        return Usage(prompt, self.read, _count(told.get("output_tokens"), 0), written_tokens=self.written)


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
            piece = Piece(tools=(ToolPart(int(event["index"]), _text(block["id"]), _text(block["name"])),))
        case "content_block_delta":
            piece = _part(int(event["index"]), event["delta"])
        case "message_delta":
            piece = Piece(ended=event["delta"].get("stop_reason"), usage=used.after(event["usage"]))
    return piece


def _part(index: int, delta: dict[str, Any]) -> Piece:
    match delta["type"]:
        case "text_delta":
            return Piece(_text(delta["text"]))
        case "input_json_delta":
            return Piece(tools=(ToolPart(index, arguments=_text(delta["partial_json"])),))
        case "thinking_delta":
            return Piece(thought=_text(delta["thinking"]))
    return Piece()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _count(value: object, otherwise: int) -> int:
    """A number of tokens, `otherwise` for nonsense and for what an event does not tell."""
    return value if isinstance(value, int) and 0 <= value < 1_000_000_000 else otherwise


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
