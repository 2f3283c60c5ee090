"""Whoever speaks OpenAI's chat completions: OpenAI, Azure, OpenRouter, Groq, Ollama and any address that does so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
import json
import math
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote, urlsplit

import httpx
import openai

from . import faults
from .answer import Piece, ToolPart
from .base import Message, Meter, Prompt, Refused, Tool, Usage
from .events import events, sent
from .settings import MANNERS, Settings
from .vendor import Vendor, address_of, count_of, text_of, timeout_of

_T = TypeVar("_T")

_LIBRARY: Final = faults.Library(
    openai.APIStatusError, openai.APITimeoutError, openai.APIConnectionError, openai.APIError
)
_COST_MAX_USD: Final = 1000.0
_CHECK_TOKENS: Final = 16
_LOAD_S: Final = 300.0


class OpenAICompatible(Vendor):
    """A Provider; make it with `open_provider`, which keeps what blocks off the event loop."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        """Raises Refused for settings that cannot work."""
        super().__init__(settings)
        self._manners = MANNERS[settings.kind]
        self._client = _client(settings, http)

    def warm_up(self) -> None:
        """Loads what the library loads at its first use; blocks, for a thread."""
        _ = self._client.chat.completions
        self._client.platform_headers()

    async def keep_loaded(self) -> None:
        """Has Ollama load the model and keep it for `keep_alive`; its OpenAI interface cannot. May take minutes."""
        address = urlsplit(str(self._client.base_url))
        body = {"model": self.model, "keep_alive": self._settings.keep_alive}
        url = f"{address.scheme}://{address.netloc}/api/generate"
        options: Any = {"timeout": _LOAD_S}
        await _asked(self._client.post(url, body=body, cast_to=cast(Any, object), options=options))

    # Asking

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.model,
            "messages": _messages(prompt),
            "stream": True,
            "stream_options": {"include_usage": True},
            self._manners.max_tokens_as: prompt.max_tokens,
        }
        if prompt.tools:
            request["tools"] = [_tool(tool) for tool in prompt.tools]
        return request

    async def _pieces(self, request: dict[str, Any], trace_id: str, meter: Meter) -> AsyncGenerator[Piece, None]:
        extra = {**self._manners.extra, **self._settings.extra}
        headers = {"X-Request-ID": trace_id}

        async def ask() -> openai.AsyncStream[Any]:
            options: Any = {"extra_body": extra or None, "extra_headers": headers}
            asked: Any = self._client.chat.completions.create(**request, **options)
            return cast("openai.AsyncStream[Any]", await _asked(asked))

        stream = await sent(ask, meter)
        # The library's own reader knows no limits and leaves every connection in a state that cannot be used again.
        async with stream, aclosing(events(cast(httpx.Response, stream.response))) as chunks:
            async for chunk in chunks:
                with _LIBRARY.translated():
                    piece = _piece(chunk)
                yield piece

    async def _check(self) -> None:
        model = quote(self.model, safe="/")
        match self._manners.check:
            case "retrieve":
                await _asked(self._client.models.retrieve(self.model))
            case "openrouter":
                await _asked(self._client.get("/key", cast_to=cast(Any, object)))
                await _asked(self._client.get(f"/models/{model}/endpoints", cast_to=cast(Any, object)))
            case "ask":
                limit = {self._manners.max_tokens_as: _CHECK_TOKENS}
                question: Any = [{"role": "user", "content": "Say yes."}]
                await _asked(
                    self._client.chat.completions.create(model=self.model, messages=question, **cast(Any, limit))
                )
            case _:
                listed = await _asked(self._client.get("/models", cast_to=cast(Any, object)))
                if not self._is_listed(listed):
                    raise Refused(f"The server does not have the model {self.model}")

    def _is_listed(self, listed: Any) -> bool:
        """Whether the model is in the answer; a server that lists nothing is believed."""
        models = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(models, list) or not models:
            return True
        names = {str(model.get("id")) for model in models if isinstance(model, dict)}
        # Ollama calls "llama3" by its whole name "llama3:latest".
        return self.model in names or f"{self.model}:latest" in names


def _client(settings: Settings, http: httpx.AsyncClient) -> openai.AsyncOpenAI:
    manners = MANNERS[settings.kind]
    address = address_of(settings, manners.base_url, needs_key=manners.needs_key).rstrip("/")
    options: dict[str, Any] = {
        "api_key": settings.api_key or "none",
        "max_retries": 0,
        "timeout": timeout_of(settings),
        "http_client": http,
    }
    if settings.kind == "azure_openai" and settings.api_version:
        return openai.AsyncAzureOpenAI(azure_endpoint=address, api_version=settings.api_version, **options)
    if settings.kind == "azure_openai" and not address.endswith("/openai/v1"):
        address += "/openai/v1"
    return openai.AsyncOpenAI(base_url=address, **options)


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    # One system message: many local models' templates know no second one.
    system = "\n\n".join(part for part in (prompt.static, prompt.entities, prompt.volatile) if part)
    return [{"role": "system", "content": system}, *(_message(message) for message in prompt.messages)]


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id or "", "content": message.text}
    if not message.tool_calls:
        return {"role": message.role, "content": message.text}
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
        }
        for call in message.tool_calls
    ]
    return {"role": message.role, "content": message.text or None, "tool_calls": calls}


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


async def _asked(asked: Awaitable[_T]) -> _T:
    """What a call of the library gives; raises ProviderError."""
    with _LIBRARY.translated():
        return await asked


def _piece(chunk: dict[str, Any]) -> Piece:
    """What a chunk brings; raises TypeError, AttributeError and the like for what has another shape."""
    usage = _usage(chunk)
    # Azure's first chunk and the one with the usage have no choice.
    if not chunk.get("choices"):
        return Piece(usage=usage)
    choice = chunk["choices"][0]
    delta = choice.get("delta") or {}
    return Piece(
        _text(delta.get("content")) or _text(delta.get("refusal")),
        _text(delta.get("reasoning_content")) or _text(delta.get("reasoning")),
        tuple(_tool_part(part) for part in delta.get("tool_calls") or ()),
        _text(choice.get("finish_reason")) or None,
        usage,
    )


def _tool_part(part: dict[str, Any]) -> ToolPart:
    function = part.get("function") or {}
    return ToolPart(
        int(part.get("index") or 0),
        _text(part.get("id")),
        _text(function.get("name")),
        _text(function.get("arguments")),
    )


def _text(value: object) -> str:
    """A text, which may be left out or null."""
    return "" if value is None else text_of(value)


def _usage(chunk: dict[str, Any]) -> Usage | None:
    # Groq tells it in a place of its own, too.
    told = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage")
    if not told:
        return None
    details = told.get("prompt_tokens_details") or {}
    return Usage(
        count_of(told.get("prompt_tokens")),
        count_of(details.get("cached_tokens")),
        count_of(told.get("completion_tokens")),
        _cost(told.get("cost")),
    )


def _cost(value: object) -> float | None:
    """What the vendor says that it took; nonsense is no figure."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= _COST_MAX_USD else None
