"""One provider that speaks OpenAI's chat completions, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
import logging
from typing import Any

import httpx
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
from custom_components.barnabeenet.providers.factory import open_provider
from custom_components.barnabeenet.providers.openai_compatible import OpenAICompatible
from custom_components.barnabeenet.providers.settings import Limits, Settings
from tests.llm_server import MODEL, PATIENT, USAGE, Answer, LlmServer, called, chunk, event, refused, said, tool_chunks

from .conftest import KEY

Make = Callable[..., Awaitable[Provider]]
# For a vendor that falls silent, and for one that does not begin. The HTTP library waits for the longer of the two, so
# that ours comes first.
HASTY = replace(PATIENT, silence_s=0.2, trailer_s=0.1, check_s=0.3)
HASTY_AT_FIRST = replace(PATIENT, first_token_s=0.5)


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


async def test_the_request_puts_what_never_changes_first(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    await heard(await provider(vendor.url), prompt)

    (request,) = vendor.requests
    assert request["model"] == MODEL
    assert request["messages"] == [
        {"role": "system", "content": "You are Barnabee.\n\nLights: lamp, ceiling\n\nIt is Friday."},
        {"role": "user", "content": "How is the weather?"},
    ]
    assert request["stream_options"] == {"include_usage": True}
    assert request["max_tokens"] == 200
    assert request["tools"][0]["function"]["name"] == "light_on"
    assert vendor.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert vendor.headers[0]["X-Request-ID"] == "t1"


async def test_the_rounds_of_a_conversation_with_tools_are_passed_on(
    vendor: LlmServer, provider: Make, prompt: Prompt
) -> None:
    call = ToolCall("c9", "light_on", {"name": "Küche"})
    messages = [*prompt.messages, Message("assistant", "", (call,)), Message("tool", "done", tool_call_id="c9")]

    await heard(await provider(vendor.url), Prompt("Rules", "", "", messages, prompt.tools, 50))

    assistant, tool = vendor.requests[0]["messages"][2:]
    assert assistant["content"] is None
    assert assistant["tool_calls"][0]["function"] == {"name": "light_on", "arguments": '{"name": "Küche"}'}
    assert tool == {"role": "tool", "tool_call_id": "c9", "content": "done"}


async def test_tool_calls_are_given_out_whole_and_last(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    first = tool_chunks("light_on", '{"na', 'me": "lamp"}')
    second = tool_chunks("light_on", "", index=1)
    vendor.will(called(first, second, text="One moment."))

    assert await heard(await provider(vendor.url), prompt) == [
        TextDelta("One moment."),
        ToolCallDelta(ToolCall("call_light_on_0", "light_on", {"name": "lamp"})),
        ToolCallDelta(ToolCall("call_light_on_1", "light_on", {})),
        Done("tools", Usage(120, 100, 9)),
    ]


async def test_tools_with_the_reason_stop_are_tools(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    # Ollama does so.
    vendor.will(called(tool_chunks("light_on", "{}"), finish="stop"))

    assert (await heard(await provider(vendor.url), prompt))[-1] == Done("tools", Usage(120, 100, 9))


async def test_the_vendors_own_cost_is_taken(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    vendor.will(said("Hi.", usage={**USAGE, "cost": 0.00042}))
    done = (await heard(await provider(vendor.url, kind="openrouter"), prompt))[-1]

    assert isinstance(done, Done)
    assert done.usage.cost_usd == 0.00042
    assert vendor.requests[0]["usage"] == {"include": True}


@pytest.mark.parametrize("cost", ["free", -1, float("inf"), True, 5000])
async def test_a_senseless_cost_is_no_cost(cost: object, vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    vendor.will(said("Hi.", usage={**USAGE, "cost": cost}))
    done = (await heard(await provider(vendor.url), prompt))[-1]

    assert isinstance(done, Done)
    assert done.usage.cost_usd is None


async def test_groqs_own_place_for_the_usage_is_read(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    events = [chunk({"content": "Hi."}), chunk({}, "stop", x_groq={"usage": USAGE}), event("[DONE]")]
    vendor.will(Answer(events))

    assert (await heard(await provider(vendor.url, kind="groq"), prompt))[-1] == Done("stop", Usage(120, 100, 9))


async def test_without_a_word_about_usage_it_is_estimated(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    vendor.will(said("x" * 40 + ".", usage=None))
    done = (await heard(await provider(vendor.url), prompt))[-1]

    assert isinstance(done, Done)
    assert done.usage.estimated
    assert done.usage.completion_tokens == 11
    assert done.usage.prompt_tokens > 50


async def test_the_limit_of_the_vendor_ends_an_answer_as_cut(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    vendor.will(said("Once upon a", finish="length"))

    assert (await heard(await provider(vendor.url), prompt))[-1] == Done("length", Usage(120, 100, 9))


async def test_what_a_model_thinks_is_not_said_but_counted(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    meter = Meter()
    events = [chunk({"reasoning": "Let me see..."}), chunk({"content": "Yes."}), chunk({}, "stop"), event("[DONE]")]
    vendor.will(Answer(events))

    assert (await heard(await provider(vendor.url), prompt, meter))[0] == TextDelta("Yes.")
    assert meter.received_chars == 17


async def test_azures_first_chunk_without_a_choice_is_no_mistake(
    vendor: LlmServer, provider: Make, prompt: Prompt
) -> None:
    answer = said("Hi.")
    vendor.will(Answer([chunk(None, prompt_filter_results=[]), *answer.events]))
    azure = await provider(vendor.url.removesuffix("/v1"), kind="azure_openai")

    assert (await heard(azure, prompt))[0] == TextDelta("Hi.")
    assert vendor.paths == ["/openai/v1/chat/completions"]
    assert vendor.requests[0]["max_completion_tokens"] == 200


async def test_azures_older_addresses_are_known(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    azure = await provider(vendor.url.removesuffix("/v1"), kind="azure_openai", api_version="2024-10-21")
    await heard(azure, prompt)

    assert vendor.paths == [f"/openai/deployments/{MODEL}/chat/completions"]
    assert vendor.headers[0]["api-key"] == KEY


async def test_what_a_person_adds_is_in_the_request(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    await heard(await provider(vendor.url, extra={"reasoning_effort": "low"}), prompt)

    assert vendor.requests[0]["reasoning_effort"] == "low"


async def test_one_connection_serves_all_answers(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    one = await provider(vendor.url)
    for _ in range(5):
        await heard(one, prompt)

    assert len(vendor.connections) == 1


async def test_a_server_that_says_nothing_of_an_end_holds_nobody_up(
    vendor: LlmServer, provider: Make, prompt: Prompt
) -> None:
    events = [chunk({"content": "Hi."}), chunk({}, "stop")]
    vendor.will(Answer(events, then="stall"))

    async with asyncio.timeout(5):
        assert (await heard(await provider(vendor.url, limits=HASTY), prompt))[0] == TextDelta("Hi.")


async def test_a_connection_that_breaks_after_the_last_word_breaks_nothing(
    vendor: LlmServer, provider: Make, prompt: Prompt
) -> None:
    vendor.will(Answer([chunk({"content": "Hi."}), chunk({}, "stop")], then="cut"))

    assert isinstance((await heard(await provider(vendor.url), prompt))[-1], Done)


# The four failures that `except OpenAIError` would miss


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(said("It is", finish=None, then="cut"), Truncated, id="cut-off-in-the-middle"),
        pytest.param(said("It is", finish=None, then="stall"), TimedOut, id="silent-in-the-middle"),
        pytest.param(Answer([chunk({"content": "It"}), b"data: {not json\n\n"]), BadAnswer, id="not-json"),
        pytest.param(said("It is sunny.", finish=None), Truncated, id="ended-without-a-reason"),
    ],
)
async def test_what_the_library_lets_through_is_a_failure(
    answer: Answer, kind: type[ProviderError], vendor: LlmServer, provider: Make, prompt: Prompt
) -> None:
    vendor.will(answer)
    meter = Meter()

    limits = HASTY if answer.then == "stall" else PATIENT
    with pytest.raises(kind):
        await heard(await provider(vendor.url, limits=limits), prompt, meter)
    assert meter.usage().estimated
    assert meter.usage().completion_tokens > 0


async def test_the_http_librarys_own_read_timeout_is_a_timeout(
    vendor: LlmServer, provider: Make, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.will(said("It is", finish=None, then="stall"))
    one = await provider(vendor.url, limits=Limits(first_token_s=0.2, silence_s=0.2))
    # Ours would come first.
    monkeypatch.setattr(one, "_settings", Settings("one", "openai_compatible", MODEL, "local", limits=PATIENT))

    with pytest.raises(TimedOut, match="given up"):
        await heard(one, prompt)


# Answers that are none


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (called(tool_chunks("light_on", '{"name": ')), "not JSON"),
        (called(tool_chunks("light_on", '["lamp"]')), "not a JSON object"),
        (called(tool_chunks("light_on", "[" * 9000)), "not JSON"),
        (called(tool_chunks("unlock_door", "{}")), "not offered: 'unlock_door'"),
        (called(*(tool_chunks("light_on", "{}", index=index) for index in range(9))), "more than 8 tools"),
        (called(tool_chunks("light_on", "x" * 16_001)), "over 16000 characters"),
        (called(tool_chunks("light_on", '{"name"'), finish="length"), "in the middle of a tool call"),
        (said(), "empty"),
        (said(" \n"), "empty"),
        (said(finish="length"), "empty"),
        (said("Hi.", finish="because"), "unknown reason: because"),
        (Answer([event("[1, 2]")]), "not a JSON object"),
        (Answer([event({"choices": "many"})]), "no answer"),
        (Answer([event({"choices": [{"delta": {"content": 5}}]})]), "no answer"),
        (Answer([event({"choices": [{"delta": {"tool_calls": [{"index": "x"}]}}]})]), "no answer"),
        (Answer([event({"usage": 7})]), "no answer"),
        (Answer([b"data: \xff\xfe\n\n"]), "no answer"),
        (Answer([b"data: " + b"x" * 1_100_000]), "more than 1024 KiB"),
        (said("no ", *["la la la "] * 60), "again and again"),
        (Answer([chunk({"content": ""})] * 40), "over 30 events"),
    ],
)
async def test_an_answer_that_is_none_is_a_failure(
    answer: Answer, why: str, vendor: LlmServer, provider: Make, prompt: Prompt
) -> None:
    vendor.will(answer)
    limits = replace(PATIENT, pieces_max=30) if "events" in why else PATIENT

    with pytest.raises(BadAnswer, match=why):
        await heard(await provider(vendor.url, limits=limits), prompt)


async def test_no_tool_of_a_failed_answer_is_given_out(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    good, bad = tool_chunks("light_on", "{}"), tool_chunks("light_on", "{", index=1)
    vendor.will(called(good, bad))

    async with aclosing((await provider(vendor.url)).stream(prompt, trace_id="t1")) as deltas:
        with pytest.raises(BadAnswer):
            await anext(deltas)


async def test_endless_words_end_at_the_limit(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    words = b"".join(chunk({"content": f"Word number {number}. "}) for number in range(200))
    vendor.will(Answer([chunk({"content": "Well. "})], endless=words))

    deltas = await heard(await provider(vendor.url, limits=replace(PATIENT, output_max_chars=1000)), prompt)

    assert sum(len(delta.text) for delta in deltas if isinstance(delta, TextDelta)) == 1000
    assert isinstance(deltas[-1], Done)
    assert deltas[-1].reason == "length"
    assert deltas[-1].usage.estimated
    async with asyncio.timeout(5):
        await vendor.left.wait()


async def test_a_gigantic_answer_is_left(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    vendor.will(Answer([chunk({"content": "Well. "})], endless=event({"choices": [], "pad": "x" * 900_000})))

    with pytest.raises(BadAnswer, match="larger than 4 MiB"):
        await heard(await provider(vendor.url), prompt)


async def test_a_compressed_answer_is_refused(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    vendor.will(Answer([b"x"], headers={"Content-Encoding": "gzip"}))

    with pytest.raises(BadAnswer, match="compressed"):
        await heard(await provider(vendor.url), prompt)


# Time


async def test_words_that_do_not_begin_are_not_waited_for(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    meter = Meter()
    vendor.will(said(finish=None, then="stall"))

    with pytest.raises(TimedOut, match=r"Not a word came within 0\.5 s"):
        await heard(await provider(vendor.url, limits=HASTY_AT_FIRST), prompt, meter)
    # It may have to be paid.
    assert meter.usage().estimated


async def test_words_that_drip_are_silence(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    drops = [chunk({"content": "a"})] * 100
    vendor.will(Answer(drops, each_s=0.08))

    with pytest.raises(TimedOut, match=r"fell silent for 0\.2 s"):
        await heard(await provider(vendor.url, limits=HASTY), prompt)


async def test_signs_of_life_without_words_do_not_prolong_the_wait(
    vendor: LlmServer, provider: Make, prompt: Prompt
) -> None:
    vendor.will(Answer([], endless=b": processing\n\n", each_s=0.02))

    with pytest.raises(TimedOut, match="Not a word"):
        await heard(await provider(vendor.url, limits=HASTY_AT_FIRST), prompt)


async def test_a_cold_model_may_be_given_more_time(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    vendor.will(Answer(said("Hi.").events, each_s=0.25))

    assert (await heard(await provider(vendor.url, limits=PATIENT), prompt))[0] == TextDelta("Hi.")


async def test_the_time_in_which_somebody_speaks_is_not_the_models(
    vendor: LlmServer, provider: Make, prompt: Prompt
) -> None:
    vendor.will(said("One is here. ", "Two is here. ", "Three is here. "))
    deltas = []

    async for delta in (await provider(vendor.url, limits=HASTY)).stream(prompt, trace_id="t1"):
        deltas.append(delta)
        await asyncio.sleep(HASTY.silence_s * 1.5)
    assert len(deltas) == 4


async def test_whoever_leaves_ends_the_request(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    vendor.will(said("It is", finish=None, then="stall"))
    meter = Meter()
    async with aclosing((await provider(vendor.url)).stream(prompt, trace_id="t1", meter=meter)) as deltas:
        assert await anext(deltas) == TextDelta("It is")
        await vendor.stalled.wait()

    async with asyncio.timeout(5):
        await vendor.left.wait()
    assert meter.usage().completion_tokens == 2


# Errors of the vendor's


@pytest.mark.parametrize(
    ("answer", "kind", "why"),
    [
        (refused(401, "invalid_api_key", f"Incorrect API key provided: {KEY}"), Refused, "key was refused"),
        (refused(403), Refused, "key was refused"),
        (refused(402, message="Add credits"), Refused, "no credit left: Add credits"),
        (refused(404, "model_not_found", "The model `x` does not exist"), Refused, "does not exist"),
        (refused(429, "insufficient_quota", "You exceeded your quota"), Refused, "no credit"),
        (refused(429), RateLimited, "429"),
        (refused(400, "context_length_exceeded", "Too long"), Rejected, "Too long"),
        (refused(400, "content_filter"), ContentFiltered, "filter"),
        (refused(400, "tool_use_failed", "Failed to call"), BadAnswer, "wrongly: Failed to call"),
        (refused(422), Rejected, "422"),
        (refused(408), TimedOut, "408"),
        (refused(500), Unreachable, "500"),
        (refused(503), Unreachable, "503"),
        (refused(302, Location="https://elsewhere.example/"), Unreachable, "answers with 302"),
        (said("I can", finish="content_filter"), ContentFiltered, "filter"),
        (Answer([chunk({"content": "I"}), event({"error": {"code": 429, "message": "slow"}})]), RateLimited, "429"),
        (Answer([event({"error": {"message": "upstream gone"}})]), Unreachable, "error of its own"),
        (Answer([event({"error": "what"})]), Unreachable, "error of its own"),
        (Answer([], status=200, body=["not", "a", "stream"]), Truncated, "middle"),
    ],
)
async def test_errors_of_the_vendor_keep_their_kind(
    answer: Answer, kind: type[ProviderError], why: str, vendor: LlmServer, provider: Make, prompt: Prompt
) -> None:
    vendor.will(answer)

    with pytest.raises(kind, match=why) as raised:
        await heard(await provider(vendor.url), prompt)
    assert type(raised.value) is kind


async def test_a_refused_request_costs_nothing(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    vendor.will(refused(429))
    meter = Meter()

    with pytest.raises(RateLimited):
        await heard(await provider(vendor.url), prompt, meter)
    assert meter.usage() == Usage()
    assert len(vendor.requests) == 1, "the library must not try again by itself"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0.5", 0.5), ("1e99", 3600), ("-5", 0), ("nan", None), ("soon", None), ("9" * 500, 3600)],
)
async def test_the_vendors_waiting_time_is_read_within_bounds(
    header: str, seconds: float | None, vendor: LlmServer, provider: Make, prompt: Prompt
) -> None:
    vendor.will(refused(429, Retry_After=header))

    with pytest.raises(RateLimited) as raised:
        await heard(await provider(vendor.url), prompt)
    assert raised.value.retry_after_s == seconds


async def test_a_waiting_time_may_be_a_date(vendor: LlmServer, provider: Make, prompt: Prompt) -> None:
    vendor.will(refused(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"))

    with pytest.raises(Unreachable) as raised:
        await heard(await provider(vendor.url), prompt)
    assert raised.value.retry_after_s == 0


async def test_nobody_at_the_address(provider: Make, prompt: Prompt, unused_tcp_port: int) -> None:
    meter = Meter()

    with pytest.raises(Unreachable, match="No connection to the address"):
        await heard(await provider(f"http://127.0.0.1:{unused_tcp_port}/v1"), prompt, meter)
    assert meter.usage() == Usage()


# Secrets


async def test_no_key_is_in_any_text(
    vendor: LlmServer, provider: Make, prompt: Prompt, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    message = f"Bad request of {KEY} and Bearer abcdef-123 and gsk_otherkeyotherkey"
    vendor.will(refused(400, "bad", message))
    one = await provider(vendor.url)

    with pytest.raises(Rejected) as raised:
        await heard(one, prompt)
    texts = [str(raised.value), repr(raised.value), repr(one), str(one), caplog.text]
    for secret in (KEY, KEY[:12], "abcdef-123", "gsk_other"):
        assert all(secret not in text for text in texts[:4])
    assert KEY not in caplog.text
    assert raised.value.__cause__ is None


# Settings


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (Settings("a", "openai", "m", "cloud_fast"), "needs a key"),
        (Settings("a", "anthropic", "m", "cloud_fast"), "needs a key"),
        (Settings("a", "openai_compatible", "m", "local"), "needs an address"),
        (Settings("a", "openai_compatible", "m", "local", base_url="beast:8080"), "begins with http"),
        (Settings("a", "anthropic", "m", "cloud_fast", api_key="k", base_url="ftp://x"), "begins with http"),
    ],
)
async def test_settings_that_cannot_work_are_refused(settings: Settings, why: str, http: httpx.AsyncClient) -> None:
    with pytest.raises(Refused, match=why):
        await open_provider(settings, http)


@pytest.mark.parametrize("kind", ["openai", "openrouter", "groq", "ollama"])
async def test_known_vendors_need_no_address(kind: Any, http: httpx.AsyncClient) -> None:
    one = await open_provider(Settings("a", kind, "m", "cloud_fast", api_key="k"), http)

    assert (one.name, one.kind, one.tier, one.model) == ("a", kind, "cloud_fast", "m")


# Health


async def test_a_list_with_the_model_is_health(vendor: LlmServer, provider: Make) -> None:
    vendor.will(Answer(body={"data": [{"id": "llama3:latest"}]}))

    await (await provider(vendor.url, kind="ollama", model="llama3")).check()
    assert vendor.paths == ["/v1/models"]


async def test_a_list_without_the_model_is_not(vendor: LlmServer, provider: Make) -> None:
    vendor.will(Answer(body={"data": [{"id": "llama3"}]}))

    with pytest.raises(Refused, match="does not have the model gpt-4o-mini"):
        await (await provider(vendor.url)).check()


@pytest.mark.parametrize("body", [{"data": []}, {"models": 5}, []])
async def test_a_server_that_lists_nothing_is_believed(body: object, vendor: LlmServer, provider: Make) -> None:
    vendor.will(Answer(body=body))

    await (await provider(vendor.url)).check()


@pytest.mark.parametrize(
    ("kind", "paths"),
    [
        ("openai", [f"/v1/models/{MODEL}"]),
        ("openrouter", ["/v1/key", f"/v1/models/{MODEL}/endpoints"]),
        ("azure_openai", ["/v1/openai/v1/chat/completions"]),
        ("groq", ["/v1/models"]),
    ],
)
async def test_each_vendor_is_asked_what_is_cheap(
    kind: str, paths: list[str], vendor: LlmServer, provider: Make
) -> None:
    vendor.will(Answer(body={"id": MODEL, "object": "model"}))

    await (await provider(vendor.url, kind=kind)).check()
    assert vendor.paths == paths
    assert all(request.get("max_completion_tokens", 0) <= 16 for request in vendor.requests)


async def test_a_check_is_refused_like_a_question(vendor: LlmServer, provider: Make) -> None:
    vendor.will(refused(401))

    with pytest.raises(Refused, match="enter another one"):
        await (await provider(vendor.url, kind="openai")).check()


async def test_a_check_takes_no_longer_than_its_limit(vendor: LlmServer, provider: Make) -> None:
    vendor.will(Answer(then="stall"))

    with pytest.raises(TimedOut):
        await (await provider(vendor.url, limits=HASTY)).check()


async def test_ollama_is_asked_to_keep_the_model(vendor: LlmServer, provider: Make) -> None:
    vendor.will(Answer(body={"done": True}))
    ollama = await provider(vendor.url, kind="ollama", keep_alive="30m", api_key=None)
    assert isinstance(ollama, OpenAICompatible)

    await ollama.keep_loaded()

    assert vendor.paths == ["/api/generate"]
    assert vendor.requests == [{"model": MODEL, "keep_alive": "30m"}]
