"""One provider that speaks OpenAI's chat completions, against a real server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from custom_components.barnabeenet.providers.base import (
    Delta,
    Done,
    Meter,
    Prompt,
    Provider,
    TextDelta,
    Usage,
)
from tests.llm_server import LlmServer, said

Make = Callable[..., Awaitable[Provider]]


async def heard(provider: Provider, prompt: Prompt, meter: Meter | None = None) -> list[Delta]:
    return [delta async for delta in provider.stream(prompt, trace_id="t1", meter=meter)]


async def test_an_answer_comes_in_pieces_and_ends_with_what_it_used(
    vendor: LlmServer, provider: Make, prompt: Prompt
) -> None:
    vendor.will(said("It is ", "sunny."))

    assert await heard(await provider(vendor.url), prompt) == [
        TextDelta("It is "),
        TextDelta("sunny."),
        Done("stop", Usage(120, 100, 9)),
    ]
