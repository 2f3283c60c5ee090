"""Providers under test, and real servers that stand for their vendors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from custom_components.barnabeenet.providers.base import Message, Prompt, Provider, Tool
from custom_components.barnabeenet.providers.factory import open_provider
from custom_components.barnabeenet.providers.http import open_http
from custom_components.barnabeenet.providers.settings import Limits, Settings
from tests.llm_server import MODEL, PATIENT, LlmServer, llm_server

KEY = "sk-test-0123456789abcdef0123456789abcdef"
LIGHT = Tool("light_on", "Turns a light on", {"type": "object", "properties": {"name": {"type": "string"}}})


@pytest.fixture
async def vendor(socket_enabled: None) -> AsyncIterator[LlmServer]:
    """A server for language models."""
    async with llm_server() as server:
        yield server


@pytest.fixture
async def vendors(socket_enabled: None) -> AsyncIterator[Callable[[int], Awaitable[list[LlmServer]]]]:
    """Starts several servers."""
    async with AsyncExitStack() as stack:

        async def start(number: int) -> list[LlmServer]:
            return [await stack.enter_async_context(llm_server()) for _ in range(number)]

        yield start


@pytest.fixture
async def http(socket_enabled: None) -> AsyncIterator[httpx.AsyncClient]:
    """The client that all providers share."""
    client = await open_http()
    yield client
    await client.aclose()


@pytest.fixture
def provider(http: httpx.AsyncClient) -> Callable[..., Awaitable[Provider]]:
    """Makes providers."""

    async def make(url: str, *, limits: Limits | None = None, **settings: Any) -> Provider:
        defaults = {"name": "one", "kind": "openai_compatible", "model": MODEL, "tier": "cloud_fast", "api_key": KEY}
        return await open_provider(Settings(**{**defaults, **settings}, base_url=url, limits=limits or PATIENT), http)

    return make


@pytest.fixture
def prompt() -> Prompt:
    """A question, with one tool."""
    return Prompt(
        "You are Barnabee.",
        "Lights: lamp, ceiling",
        "It is Friday.",
        [Message("user", "How is the weather?")],
        [LIGHT],
        200,
    )
