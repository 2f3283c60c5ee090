"""Anthropic's messages, against a real server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from custom_components.barnabeenet.providers.base import (
    BadAnswer,
    ContentFiltered,
    Delta,
    Done,
    Message,
    Meter,
    Prompt,
    Provider,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    TextDelta,
    TimedOut,
    ToolCall,
    ToolCallDelta,
    Truncated,
    Unreachable,
    Usage,
)
from tests.llm_server import MODEL, PATIENT, Answer, LlmServer, event, refused

from .conftest import KEY

Make = Callable[..., Awaitable[Provider]]
# For a vendor that falls silent; the first word may take its time.
HASTY = replace(PATIENT, silence_s=0.2, check_s=0.3)
TOLD = {"input_tokens": 20, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 30, "output_tokens": 1}


def started() -> bytes:
    return event({"type": "message_start", "message": {"id": "m1", "role": "assistant", "usage": TOLD}})


def words(*texts: str, index: int = 0) -> list[bytes]:
    begin = event({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}})
    deltas = [
        event({"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}})
        for text in texts
    ]
    return [begin, event({"type": "ping"}), *deltas, event({"type": "content_block_stop", "index": index})]


def tool(name: str, *parts: str, index: int = 1) -> list[bytes]:
    block = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
    begin = event({"type": "content_block_start", "index": index, "content_block": block})
    deltas = [
        event(
            {"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": part}}
        )
        for part in parts
    ]
    return [begin, *deltas, event({"type": "content_block_stop", "index": index})]


def ended(reason: str = "end_turn") -> list[bytes]:
    delta = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9}}
    return [event(delta), event({"type": "message_stop"})]


def answer(*parts: Sequence[bytes], **options: Any) -> Answer:
    return Answer([started(), *(part for group in parts for part in group)], **options)


@pytest.fixture
async def claude(vendor: LlmServer, provider: Make) -> Provider:
    return await provider(vendor.url.removesuffix("/v1"), kind="anthropic")


@pytest.fixture
async def hasty_claude(vendor: LlmServer, provider: Make) -> Provider:
    return await provider(vendor.url.removesuffix("/v1"), kind="anthropic", limits=HASTY)


async def heard(provider: Provider, prompt: Prompt, meter: Meter | None = None) -> list[Delta]:
    return [delta async for delta in provider.stream(prompt, trace_id="t1", meter=meter)]


async def test_an_answer_comes_in_pieces_and_ends_with_what_it_used(
    vendor: LlmServer, claude: Provider, prompt: Prompt
) -> None:
    vendor.will(answer(words("It is ", "sunny."), ended()))

    assert await heard(claude, prompt) == [
        TextDelta("It is "),
        TextDelta("sunny."),
        Done("stop", Usage(150, 100, 9, written_tokens=30)),
    ]


async def test_only_what_never_changes_is_put_into_the_cache(
    vendor: LlmServer, claude: Provider, prompt: Prompt
) -> None:
    vendor.will(answer(words("Hi."), ended()))
    await heard(claude, prompt)

    (request,) = vendor.requests
    assert request["system"] == [
        {"type": "text", "text": "You are Barnabee.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Lights: lamp, ceiling"},
        {"type": "text", "text": "It is Friday."},
    ]
    assert request["tools"][0]["input_schema"]["type"] == "object"
    assert request["max_tokens"] == 200
    assert vendor.headers[0]["X-Api-Key"] == KEY


async def test_results_of_one_round_are_one_message(vendor: LlmServer, claude: Provider, prompt: Prompt) -> None:
    vendor.will(answer(words("Hi."), ended()))
    calls = (ToolCall("a", "light_on", {"name": "x"}), ToolCall("b", "light_on", {"name": "y"}))
    messages = [
        *prompt.messages,
        Message("assistant", "", calls),
        Message("tool", "done", tool_call_id="a"),
        Message("tool", "no", tool_call_id="b"),
    ]
    await heard(claude, Prompt("", "", "Now.", messages, prompt.tools, 50))

    user, assistant, results = vendor.requests[0]["messages"]
    assert user["content"] == [{"type": "text", "text": "How is the weather?"}]
    assert [block["type"] for block in assistant["content"]] == ["tool_use", "tool_use"]
    assert results["role"] == "user"
    assert [block["tool_use_id"] for block in results["content"]] == ["a", "b"]
    assert vendor.requests[0]["system"] == [{"type": "text", "text": "Now."}], "empty blocks are refused"


async def test_tool_calls_are_given_out_whole_and_last(vendor: LlmServer, claude: Provider, prompt: Prompt) -> None:
    vendor.will(answer(words("One moment."), tool("light_on", '{"na', 'me": "lamp"}'), ended("tool_use")))

    assert await heard(claude, prompt) == [
        TextDelta("One moment."),
        ToolCallDelta(ToolCall("toolu_1", "light_on", {"name": "lamp"})),
        Done("tools", Usage(150, 100, 9, written_tokens=30)),
    ]


async def test_thoughts_are_not_said(vendor: LlmServer, claude: Provider, prompt: Prompt) -> None:
    thought = {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}}
    signature = {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "x"}}
    vendor.will(answer([event(thought), event(signature)], words("Yes.", index=1), ended()))

    assert (await heard(claude, prompt))[0] == TextDelta("Yes.")


@pytest.mark.parametrize(
    ("parts", "then", "kind"),
    [
        (words("It is"), "cut", Truncated),
        (words("It is"), "end", Truncated),
        ([*words("It is"), b"event: content_block_delta\ndata: {broken\n\n"], "end", BadAnswer),
        ([event({"type": "content_block_delta", "index": "a", "delta": {}})], "end", BadAnswer),
        ([event({"type": "content_block_start"})], "end", BadAnswer),
        ([*words("It is"), event({"type": "error", "error": {"type": "overloaded_error"}})], "end", Unreachable),
        ([event({"type": "error", "error": {"type": "rate_limit_error"}})], "end", RateLimited),
        ([*words("I"), *ended("refusal")], "end", ContentFiltered),
        ([*words("I"), *ended("pause_turn")], "end", BadAnswer),
        (ended(), "end", BadAnswer),
        ([*tool("light_on", "{"), *ended("tool_use")], "end", BadAnswer),
        ([*tool("unlock_door", "{}"), *ended("tool_use")], "end", BadAnswer),
    ],
)
async def test_what_is_no_whole_answer_is_a_failure(
    parts: list[bytes], then: Any, kind: type[ProviderError], vendor: LlmServer, claude: Provider, prompt: Prompt
) -> None:
    vendor.will(answer(parts, then=then))

    with pytest.raises(kind):
        await heard(claude, prompt)


async def test_silence_in_the_middle_is_a_failure(vendor: LlmServer, hasty_claude: Provider, prompt: Prompt) -> None:
    vendor.will(answer(words("It is"), then="stall"))

    with pytest.raises(TimedOut):
        await heard(hasty_claude, prompt)


async def test_what_it_told_at_the_beginning_counts_when_the_end_does_not_come(
    vendor: LlmServer, claude: Provider, prompt: Prompt
) -> None:
    vendor.will(answer(words("It is sunny"), then="cut"))
    meter = Meter()

    with pytest.raises(Truncated):
        await heard(claude, prompt, meter)
    assert meter.usage() == Usage(150, 100, 3, estimated=True, written_tokens=30)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "authentication_error", Refused),
        (403, "permission_error", Refused),
        (404, "not_found_error", Refused),
        (400, "invalid_request_error", Rejected),
        (400, "billing_error", Refused),
        (413, "request_too_large", Rejected),
        (429, "rate_limit_error", RateLimited),
        (500, "api_error", Unreachable),
        (529, "overloaded_error", Unreachable),
    ],
)
async def test_errors_of_the_vendor_keep_their_kind(
    status: int, code: str, kind: type[ProviderError], vendor: LlmServer, claude: Provider, prompt: Prompt
) -> None:
    body = {"type": "error", "error": {"type": code, "message": f"about {KEY}"}}
    vendor.will(Answer(status=status, headers={"Retry-After": "3"}, body=body))
    meter = Meter()

    with pytest.raises(kind) as raised:
        await heard(claude, prompt, meter)
    assert KEY not in str(raised.value)
    assert KEY not in repr(claude)
    assert meter.usage() == Usage()
    assert len(vendor.requests) == 1
    assert raised.value.retry_after_s == 3


async def test_one_connection_serves_all_answers(vendor: LlmServer, claude: Provider, prompt: Prompt) -> None:
    vendor.will(answer(words("Hi."), ended()))
    for _ in range(4):
        await heard(claude, prompt)

    assert len(vendor.connections) == 1


async def test_a_check_asks_for_the_model_alone(vendor: LlmServer, claude: Provider) -> None:
    vendor.will(Answer(body={"id": MODEL, "type": "model", "display_name": "m", "created_at": "2026-01-01T00:00:00Z"}))

    await claude.check()
    assert vendor.paths == [f"/v1/models/{MODEL}"]


async def test_a_check_says_that_the_key_is_refused(vendor: LlmServer, claude: Provider) -> None:
    vendor.will(refused(401))

    with pytest.raises(Refused):
        await claude.check()


async def test_a_check_takes_no_longer_than_its_limit(vendor: LlmServer, hasty_claude: Provider) -> None:
    vendor.will(Answer(then="stall"))

    with pytest.raises(TimedOut):
        await hasty_claude.check()
