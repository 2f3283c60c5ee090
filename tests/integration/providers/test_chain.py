"""Several providers as one: failover in the middle of a turn, nothing said or done twice, every try told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from custom_components.barnabeenet.providers.base import (
    Call,
    Caller,
    Delta,
    Done,
    Message,
    Prompt,
    Provider,
    ProviderError,
    Refused,
    TextDelta,
    Tier,
    TimedOut,
    ToolCall,
    ToolCallDelta,
    Truncated,
    Unreachable,
    Usage,
)
from custom_components.barnabeenet.providers.breaker import State
from custom_components.barnabeenet.providers.chain import AllProvidersFailed, Chain, Resting
from custom_components.barnabeenet.providers.prices import Price
from custom_components.barnabeenet.providers.settings import Limits
from tests.llm_server import PATIENT, Answer, LlmServer, called, chunk, refused, said, tool_chunks

Make = Callable[..., Awaitable[Provider]]
Servers = Callable[[int], Awaitable[list[LlmServer]]]
CALLER = Caller("t1", "interaction", "anna", "s1")
CLOUD: Sequence[Tier] = ("cloud_fast",)


class Home:
    """A chain over servers, and what it told."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.now = 0.0
        self.servers: list[LlmServer] = []
        self.chain: Chain

    async def ask(self, prompt: Prompt, tiers: Sequence[Tier] = CLOUD) -> list[Delta]:
        return [delta async for delta in self.chain.stream(prompt, tiers=tiers, caller=CALLER)]

    async def hears(self, prompt: Prompt, tiers: Sequence[Tier] = CLOUD) -> str:
        return text(await self.ask(prompt, tiers))

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(call.provider, call.outcome) for call in self.calls]


def text(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


@pytest.fixture
def home(vendors: Servers, provider: Make) -> Callable[..., Awaitable[Home]]:
    """A chain of providers named one, two, three... of these tiers."""

    async def make(*tiers: Tier, limits: Limits = PATIENT, **options: Any) -> Home:
        made = Home()
        made.servers = await vendors(len(tiers))
        names = ("one", "two", "three", "four")
        providers = [
            await provider(server.url, name=name, tier=tier, limits=limits)
            for server, name, tier in zip(made.servers, names, tiers, strict=False)
        ]
        made.chain = Chain(providers, made.calls.append, clock=lambda: made.now, **options)
        return made

    return make


Homes = Callable[..., Awaitable[Home]]


async def test_the_first_that_answers_is_the_only_one_asked(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "cloud_fast")
    house.servers[0].will(said("It is sunny. ", "Take a hat."))

    assert await house.ask(prompt) == [
        TextDelta("It is sunny."),
        TextDelta(" Take a hat."),
        Done("stop", Usage(120, 100, 9)),
    ]
    assert house.servers[1].requests == []


async def test_every_try_is_told_with_what_it_took(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", prices={"one": Price(1.0, 10.0, 0.5)})

    await house.ask(prompt)

    (call,) = house.calls
    assert (call.provider, call.kind, call.model, call.tier) == (
        "one",
        "openai_compatible",
        "gpt-4o-mini",
        "cloud_fast",
    )
    assert (call.outcome, call.error, call.caller) == ("answered", None, CALLER)
    assert call.usage == Usage(120, 100, 9)
    assert call.cost_usd == pytest.approx((20 * 1.0 + 100 * 0.5 + 9 * 10.0) / 1_000_000)
    assert call.cost_source == "user"
    assert call.first_token_ms is not None
    assert 0 < call.first_token_ms <= call.total_ms < 5000


async def test_a_price_that_nobody_knows_is_none(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast")

    await house.ask(prompt)

    assert (house.calls[0].cost_usd, house.calls[0].cost_source) == (None, "unknown")


# The order


async def test_the_wanted_tier_comes_first_and_the_local_one_last(home: Homes, prompt: Prompt) -> None:
    house = await home("local", "cloud_powerful", "cloud_fast")
    for server in house.servers:
        server.will(refused(500))

    with pytest.raises(AllProvidersFailed):
        await house.ask(prompt, ("cloud_fast", "cloud_powerful"))
    assert [call.provider for call in house.calls] == ["three", "two", "one"]


async def test_a_tier_that_is_not_wanted_is_not_paid_for(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_powerful", "cloud_fast", "local")
    house.servers[1].will(refused(500))

    assert await house.hears(prompt, ("cloud_fast",)) == "Hello."
    assert house.outcomes == [("two", "unreachable"), ("three", "answered")]


async def test_local_may_come_first(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "local")

    await house.ask(prompt, ("local", "cloud_fast"))

    assert house.outcomes == [("two", "answered")]
    assert (house.calls[0].cost_usd, house.calls[0].cost_source) == (0.0, "free")


# Failover


async def test_a_sentence_that_was_given_out_stays_and_the_next_goes_on(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "cloud_fast")
    house.servers[0].will(said("It is sunny. ", "The temperature is twen", finish=None, then="cut"))
    house.servers[1].will(said("The temperature is 20 degrees. ", "Take a hat."))

    assert await house.hears(prompt) == "It is sunny. The temperature is 20 degrees. Take a hat."
    assert house.outcomes == [("one", "truncated"), ("two", "answered")]


async def test_the_next_is_told_what_was_heard(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "cloud_fast")
    house.servers[0].will(said("It is sunny. ", "The temp", finish=None))

    await house.ask(prompt)

    first, second = house.servers[0].requests[0]["messages"], house.servers[1].requests[0]["messages"]
    assert second[: len(first)] == first, "a prompt cache must stay warm"
    assistant, user = second[len(first) :]
    assert assistant == {"role": "assistant", "content": "It is sunny."}
    assert user["role"] == "user"
    assert "cut off" in user["content"]


async def test_a_next_that_begins_anew_repeats_nothing(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "cloud_fast", "local")
    house.servers[0].will(said("It is sunny. Take a", finish=None))
    house.servers[1].will(said("It is sunny. Take a hat. And w", finish=None))
    house.servers[2].will(said("It is sunny. Take a hat. And water."))

    assert await house.hears(prompt) == "It is sunny. Take a hat. And water."


async def test_a_next_that_has_nothing_new_ends_the_answer(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "cloud_fast")
    house.servers[0].will(said("It is sunny. ", finish=None))
    house.servers[1].will(said("It is sunny."))

    deltas = await house.ask(prompt)

    assert text(deltas) == "It is sunny."
    assert isinstance(deltas[-1], Done)


async def test_half_a_tool_call_is_not_carried_out(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "cloud_fast")
    house.servers[0].will(Answer(tool_chunks("light_on", '{"name": "lamp"}'), then="cut"))
    house.servers[1].will(called(tool_chunks("light_on", '{"name": "lamp"}'), text="Right away. "))

    deltas = await house.ask(prompt)

    assert [delta for delta in deltas if isinstance(delta, ToolCallDelta)] == [
        ToolCallDelta(ToolCall("call_light_on_0", "light_on", {"name": "lamp"}))
    ]


async def test_a_call_that_has_its_result_is_marked_when_another_wants_it_again(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "cloud_fast")
    house.servers[0].will(refused(500))
    house.servers[1].will(
        called(tool_chunks("light_on", '{"a": 1, "name": "lamp"}'), tool_chunks("light_on", '{"name": "x"}', index=1))
    )
    earlier = ToolCall("c7", "light_on", {"name": "lamp", "a": 1})
    before = [
        Message("user", "And yesterday?"),
        Message("assistant", "", (ToolCall("c1", "light_on", {"name": "x"}),)),
        Message("tool", "done", tool_call_id="c1"),
    ]
    messages = [
        *before,
        Message("user", "Now the lamp"),
        Message("assistant", "", (earlier,)),
        Message("tool", "done", tool_call_id="c7"),
    ]

    deltas = await house.ask(Prompt("", "", "", messages, prompt.tools, 100))

    repeats = [delta.repeats for delta in deltas if isinstance(delta, ToolCallDelta)]
    assert repeats == ["c7", None], "another turn's call is another thing"


async def test_a_cut_answer_says_no_half_sentence(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast")
    house.servers[0].will(said("It is sunny. Take a", finish="length"))

    deltas = await house.ask(prompt)

    assert text(deltas) == "It is sunny."
    assert house.outcomes == [("one", "cut")]


# Nobody left


async def test_all_reasons_are_told_in_order(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "cloud_fast", "local")
    house.servers[0].will(refused(401))
    house.servers[1].will(said("It is sunny. And", finish=None))
    house.servers[2].will(refused(500))

    with pytest.raises(AllProvidersFailed, match=r"one: The key was refused.*two: .*three: ") as raised:
        await house.ask(prompt)
    assert [(name, type(error)) for name, error in raised.value.reasons] == [
        ("one", Refused),
        ("two", Truncated),
        ("three", Unreachable),
    ]
    assert raised.value.said == "It is sunny."


async def test_no_provider_at_all_is_said() -> None:
    chain = Chain([], lambda call: None)
    prompt = Prompt("", "", "", [Message("user", "Hi")], [], 10)

    with pytest.raises(AllProvidersFailed, match="No language model is configured"):
        async for _ in chain.stream(prompt, tiers=CLOUD, caller=CALLER):
            pass


async def test_the_turn_ends_when_its_time_is_used_up(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "cloud_fast", turn_s=0.3)
    house.servers[0].will(Answer(then="stall"))

    with pytest.raises(AllProvidersFailed, match="time for this turn is used up") as raised:
        await house.ask(prompt)
    assert [type(error) for _, error in raised.value.reasons] == [TimedOut]
    assert house.servers[1].requests == []
    assert house.outcomes == [("one", "timed_out")]


# Rest and breaker


async def test_one_that_failed_is_skipped_for_300_seconds(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "cloud_fast")
    house.servers[0].will(refused(500), said("Back."))
    await house.ask(prompt)

    house.now = 299.0
    await house.ask(prompt)
    house.now = 300.0
    await house.ask(prompt)

    assert house.outcomes == [("one", "unreachable"), ("two", "answered"), ("two", "answered"), ("one", "answered")]


async def test_one_that_rests_is_asked_when_no_other_answers(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "cloud_fast")
    house.servers[0].will(refused(500), said("Back."))
    house.servers[1].will(said("Hi."), refused(500))
    await house.ask(prompt)

    assert await house.hears(prompt) == "Back."


async def test_a_vendors_waiting_time_is_kept_even_when_no_other_answers(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast")
    house.servers[0].will(refused(429, Retry_After="20"), said("Back."))
    for house.now in (0.0, 19.9):
        with pytest.raises(AllProvidersFailed):
            await house.ask(prompt)
    assert len(house.servers[0].requests) == 1

    house.now = 20.0
    assert await house.hears(prompt) == "Back."


async def test_five_failures_open_the_breaker_and_one_probe_closes_it(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast")
    house.servers[0].will(*[refused(500)] * 5, said("Back."))
    for _ in range(5):
        with pytest.raises(AllProvidersFailed):
            await house.ask(prompt)
    with pytest.raises(AllProvidersFailed, match="Left alone for 30 s") as raised:
        await house.ask(prompt)
    assert isinstance(raised.value.reasons[0][1], Resting)
    assert len(house.servers[0].requests) == 5
    assert house.chain.health()[0].state is State.OPEN

    house.now = 30.0
    assert await house.hears(prompt) == "Back."
    (health,) = house.chain.health()
    assert (health.name, health.tier, health.state, health.failures, health.rest_s) == (
        "one",
        "cloud_fast",
        State.CLOSED,
        0,
        0,
    )


async def test_two_turns_send_one_probe(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "local")
    house.servers[0].will(*[refused(500)] * 5, said("Back."))
    house.servers[1].will(refused(500))
    for _ in range(5):
        with pytest.raises(AllProvidersFailed):
            await house.ask(prompt)
    house.now = 30.0
    house.servers[1].will(said("Local."))

    texts = await asyncio.gather(house.hears(prompt), house.hears(prompt), return_exceptions=True)

    assert len(house.servers[0].requests) <= 6
    assert all(isinstance(heard, str) for heard in texts)


async def test_a_check_that_succeeds_ends_the_rest(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "cloud_fast")
    house.servers[0].will(refused(500), Answer(body={"data": []}), said("Back."))
    await house.ask(prompt)

    await house.chain.check("one")

    assert await house.hears(prompt) == "Back."


async def test_a_check_that_fails_says_why(home: Homes) -> None:
    house = await home("cloud_fast")
    house.servers[0].will(refused(401))

    with pytest.raises(Refused):
        await house.chain.check("one")


# Money of tries that came to nothing


@pytest.mark.parametrize(
    ("answer", "outcome", "is_paid"),
    [
        (refused(500), "unreachable", False),
        (refused(401), "refused", False),
        (said("It is", finish=None, then="cut"), "truncated", True),
        (Answer(then="stall"), "timed_out", True),
        (called(tool_chunks("unlock_door", "{}")), "bad_answer", True),
        (said("I", finish="content_filter"), "content_filtered", True),
    ],
)
async def test_what_a_failed_try_may_have_cost_is_told(
    answer: Answer, outcome: str, is_paid: bool, home: Homes, prompt: Prompt
) -> None:
    # The silent one is waited for a second, in which the other answers.
    limits = replace(PATIENT, first_token_s=1.0) if answer.then == "stall" else PATIENT
    house = await home("cloud_fast", "cloud_fast", limits=limits, prices={"one": Price(1.0, 1.0)})
    house.servers[0].will(answer)

    await house.ask(prompt)

    failed = house.calls[0]
    assert failed.outcome == outcome
    assert failed.error
    assert failed.cost_usd is not None
    assert (failed.cost_usd > 0) == is_paid


async def test_a_turn_that_is_broken_off_is_told_and_ends_the_request(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast")
    house.servers[0].will(said("It is sunny. ", "Take", finish=None, then="stall"))
    async with aclosing(house.chain.stream(prompt, tiers=CLOUD, caller=CALLER)) as deltas:
        assert await anext(deltas) == TextDelta("It is sunny.")

    (call,) = house.calls
    assert (call.outcome, call.error) == ("cancelled", None)
    assert call.usage.estimated
    assert call.usage.completion_tokens > 0
    async with asyncio.timeout(5):
        await house.servers[0].left.wait()
    assert house.chain.health()[0].failures == 0


async def test_a_task_that_is_cancelled_is_told(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast")
    house.servers[0].will(Answer(then="stall"))
    task = asyncio.create_task(house.ask(prompt))
    await house.servers[0].stalled.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert house.outcomes == [("one", "cancelled")]


async def test_an_answer_that_nobody_reads_beyond_its_end_is_an_answer(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast")
    async for delta in house.chain.stream(prompt, tiers=CLOUD, caller=CALLER):
        if isinstance(delta, Done):
            assert house.outcomes == [("one", "answered")]


# Many at once


async def test_turns_at_the_same_time_do_not_mix(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast", "cloud_fast")
    house.servers[0].will(said("It is sunny. And", finish=None, each_s=0.01))
    house.servers[1].will(*[Answer(said(f"Number {number}. ").events, each_s=0.01) for number in range(10)])

    texts = await asyncio.gather(*(house.hears(prompt) for _ in range(10)))

    assert sorted(heard.split(".")[-2] for heard in texts) == sorted(f" Number {number}" for number in range(10))
    assert len(house.servers[1].requests) == 10


async def test_an_error_of_our_own_is_no_failure_of_the_provider(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast")
    broken = Prompt("", "", "", [Message("user", "Hi")], [object()], 10)  # type: ignore[list-item]

    with pytest.raises(AttributeError):
        await house.ask(broken)
    assert house.chain.health()[0].failures == 0


async def test_reasons_are_errors_of_providers(home: Homes, prompt: Prompt) -> None:
    house = await home("cloud_fast")
    house.servers[0].will(Answer([chunk({"content": "".join(map(str, range(400)))})]))

    with pytest.raises(AllProvidersFailed, match="without a space") as raised:
        await house.ask(prompt)
    assert isinstance(raised.value.reasons[0][1], ProviderError)
    assert house.outcomes == [("one", "bad_answer")]
