"""Makes providers from settings; the vendors' libraries are loaded when they are needed, in a thread."""

from __future__ import annotations

import asyncio

import httpx

from .base import Provider
from .settings import Settings


async def open_provider(settings: Settings, http: httpx.AsyncClient) -> Provider:
    """The provider of these settings, ready to be asked; raises Refused for settings that cannot work."""
    return await asyncio.to_thread(_make, settings, http)


def _make(settings: Settings, http: httpx.AsyncClient) -> Provider:
    # The imports take seconds on a small machine, and most homes need one of them.
    provider: Provider
    if settings.kind == "anthropic":
        from .anthropic import Anthropic

        anthropic = Anthropic(settings, http)
        anthropic.warm_up()
        provider = anthropic
    else:
        from .openai_compatible import OpenAICompatible

        compatible = OpenAICompatible(settings, http)
        compatible.warm_up()
        provider = compatible
    return provider
