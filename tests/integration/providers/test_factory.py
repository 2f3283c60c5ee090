"""Providers are made off the event loop, and libraries are loaded only when they are needed."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest

from custom_components.barnabeenet.providers import factory
from custom_components.barnabeenet.providers.anthropic import Anthropic
from custom_components.barnabeenet.providers.openai_compatible import OpenAICompatible
from custom_components.barnabeenet.providers.settings import Settings


async def test_each_kind_has_its_class(http: httpx.AsyncClient) -> None:
    claude = await factory.open_provider(Settings("a", "anthropic", "m", "cloud_fast", "k"), http)
    llama = await factory.open_provider(Settings("b", "ollama", "m", "local"), http)

    assert (type(claude), type(llama)) == (Anthropic, OpenAICompatible)


def test_no_vendors_library_is_loaded_before_a_provider_is_made() -> None:
    program = (
        "import sys, importlib;"
        "[importlib.import_module(f'custom_components.barnabeenet.providers.{name}')"
        " for name in ('base', 'chain', 'factory', 'http', 'settings', 'prices')];"
        "print([name for name in ('openai', 'anthropic') if name in sys.modules])"
    )
    # The integration's own module loads Home Assistant, which loads neither.
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", ["anthropic", "ollama"])
async def test_a_provider_is_made_in_a_thread(
    kind: str, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    to_thread = factory.asyncio.to_thread

    async def watched(function, *arguments):  # type: ignore[no-untyped-def]
        threads.append(function)
        return await to_thread(function, *arguments)

    monkeypatch.setattr(factory.asyncio, "to_thread", watched)
    await factory.open_provider(Settings("a", kind, "m", "local", "k"), http)  # type: ignore[arg-type]

    assert len(threads) == 1
