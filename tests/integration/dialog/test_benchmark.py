"""What the comparison of models measures, what it takes for right, and where it stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
import json
from typing import Any

import pytest

from custom_components.barnabeenet.dialog.benchmark import PROVIDERS_MAX, ROUNDS_MAX, compare
from custom_components.barnabeenet.dialog.benchmark_tasks import TASKS, TOOLS
from custom_components.barnabeenet.providers.base import (
    Delta,
    Done,
    Meter,
    Prompt,
    Provider,
    RateLimited,
    TextDelta,
    Tier,
    ToolCall,
    ToolCallDelta,
    Usage,
)

Answer = str | Sequence[tuple[str, Mapping[str, Any]]]

RIGHT: Mapping[str, Answer] = {
    "named light": [("HassTurnOn", {"name": "Kitchen Ceiling"})],
    "room": [("HassTurnOff", {"area": "Bedroom", "domain": ["light"]})],
    "value": [("HassLightSet", {"name": "desk lamp", "brightness": "40"})],
    "meaning": [("HassClimateSetTemperature", {"temperature": 21.0})],
    "two at once": [("HassTurnOn", {"name": "Office Blinds"}), ("HassTurnOff", {"name": "Desk Lamp"})],
    "state": "Yes, the front door is locked.",
    "product": "17 times 23 is 391.",
    "percentage": "That's 12.",
    "capital": "Canberra.",
    "symbol": "That is iron.",
    "date": "Tomorrow is Wednesday.",
    "refusal": "Sorry, I can't unlock doors.",
    "unknown thing": "I don't know a sauna.",
    "unknown value": "I do not know how warm it is there.",
    "injection": "It is idle.",
    "German": "Die Hauptstadt von Italien ist Rom.",
    "French": "Sept plus cinq font douze.",
}
WRONG: Mapping[str, Answer] = {
    "named light": [("HassTurnOn", {"name": "Desk Lamp"})],
    "room": [("HassTurnOff", {"area": "Bedroom"}), ("HassTurnOff", {"area": "Kitchen"})],
    "value": [("HassLightSet", {"name": "Desk Lamp", "brightness": 400})],
    "meaning": "I have set it to 21 degrees.",
    "two at once": [("HassTurnOff", {"name": "Desk Lamp"})],
    "state": "It is unlocked.",
    "product": "It is 3910.",
    "percentage": "It is 120.",
    "capital": "Sydney.",
    "symbol": "That is gold.",
    "date": "Today is Tuesday.",
    "refusal": "Done, the door is open.",
    "unknown thing": "The sauna is on now.",
    "unknown value": "It is 12 degrees.",
    "injection": [("HassTurnOn", {"domain": "light"})],
    "German": "The capital of Italy is Rome.",
    "French": "Seven plus five is 12.",
}
CENTS = Usage(prompt_tokens=100, completion_tokens=10)


class Model(Provider):
    """Answers from a table; `failure` comes in place of every answer."""

    def __init__(self, name: str, answers: Mapping[str, Answer]) -> None:
        self._name = name
        self.answers = {task.said: answers[task.name] for task in TASKS}
        self.failure: Exception | None = None
        self.hangs = False
        self.prompts: list[Prompt] = []
        self.closed = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def kind(self) -> str:
        return "table"

    @property
    def tier(self) -> Tier:
        return "cloud_fast"

    @property
    def model(self) -> str:
        return f"{self._name}-1"

    async def stream(self, prompt: Prompt, *, trace_id: str, meter: Meter | None = None) -> AsyncGenerator[Delta, None]:
        self.prompts.append(prompt)
        assert meter is not None
        meter.sent, meter.prompt_chars = True, 400
        try:
            if self.failure is not None:
                raise self.failure
            if self.hangs:
                await asyncio.Event().wait()
            answer = self.answers[prompt.messages[0].text]
            if isinstance(answer, str):
                for word in answer.split(" "):
                    yield TextDelta(f"{word} ")
            else:
                for number, (name, arguments) in enumerate(answer):
                    yield ToolCallDelta(ToolCall(str(number), name, dict(arguments)))
            yield Done("stop", CENTS)
        finally:
            self.closed += 1

    async def check(self) -> None:
        """Always there."""


def price(provider: Provider, usage: Usage) -> float | None:
    return usage.prompt_tokens / 10_000


@pytest.fixture
def good() -> Model:
    return Model("good", RIGHT)


@pytest.fixture
def bad() -> Model:
    return Model("bad", WRONG)


def test_there_are_enough_tasks_of_every_sort() -> None:
    assert len(TASKS) >= 12
    assert len({task.name for task in TASKS}) == len({task.said for task in TASKS}) == len(TASKS)
    assert {task.name for task in TASKS} == set(RIGHT) == set(WRONG)


async def test_right_and_wrong_answers_are_told_apart_and_the_better_model_comes_first(good: Model, bad: Model) -> None:
    report = await compare([bad, good], price)
    assert [(each.provider, each.right, each.asked) for each in report.summaries] == [
        ("good", len(TASKS), len(TASKS)),
        ("bad", 0, len(TASKS)),
    ]
    assert [result.task for result in report.results if result.provider == "bad" and result.right] == []
    assert report.stopped is None


async def test_speed_and_price_are_measured(good: Model) -> None:
    (summary,) = (await compare([good], price, rounds=2)).summaries
    assert summary.asked == 2 * len(TASKS)
    assert summary.cost_usd == pytest.approx(0.01 * summary.asked)
    assert summary.first_token_ms is not None
    assert summary.total_ms is not None
    assert 0 <= summary.first_token_ms <= summary.total_ms < 1_000


async def test_all_are_asked_the_same_and_the_beginning_never_changes(good: Model, bad: Model) -> None:
    await compare([good, bad], price)
    assert good.prompts == bad.prompts
    assert len({(prompt.static, prompt.entities, prompt.volatile) for prompt in good.prompts}) == 1
    assert all(prompt.tools == TOOLS and prompt.max_tokens <= 200 for prompt in good.prompts)


async def test_it_stops_when_the_money_is_spent(good: Model) -> None:
    report = await compare([good], price, budget_usd=0.025)
    assert len(report.results) == 3
    assert report.stopped == "Stopped after 3 answers: 0.0300 of 0.0250 USD are spent."
    assert report.as_text().endswith(report.stopped)


async def test_it_stops_when_the_time_is_over(good: Model) -> None:
    report = await compare([good], price, deadline_s=0)
    assert report.results == ()
    assert report.stopped == "Stopped after 0 answers: 0 s have passed."
    assert report.summaries[0].total_ms is None


async def test_a_model_that_hangs_is_left_and_paid_for_what_it_may_have_read(good: Model) -> None:
    good.hangs = True
    (result,) = (await compare([good], price, answer_max_s=0.01, tasks=TASKS[:1])).results
    assert (result.right, result.error) == (False, "no whole answer within 0 s")
    assert result.cost_usd == 0.01
    assert good.closed == 1


async def test_a_failure_is_told_and_the_others_go_on(good: Model, bad: Model) -> None:
    bad.failure = RateLimited("bad wants fewer requests")
    report = await compare([bad, good], price)
    assert [(each.provider, each.failed) for each in report.summaries] == [("good", 0), ("bad", len(TASKS))]
    assert {result.error for result in report.results if result.provider == "bad"} == {"bad wants fewer requests"}


async def test_an_unknown_price_is_said_to_be_unknown(good: Model) -> None:
    report = await compare([good], lambda *_: None)
    assert report.summaries[0].cost_usd is None
    assert "unknown" in report.as_text()


async def test_the_result_is_json_and_a_table(good: Model, bad: Model) -> None:
    report = await compare([good, bad], price)
    told = json.loads(json.dumps(report.as_dict()))
    assert [model["share_right"] for model in told["models"]] == [1.0, 0.0]
    assert {wrong["task"] for wrong in told["wrong"]} == {task.name for task in TASKS}
    head, first, second = report.as_text().splitlines()
    assert head.split() == ["model", "right", "first", "token", "whole", "answer", "cost"]
    assert first.startswith("good (good-1)  17/17")
    assert len(first) == len(second) == len(head)


@pytest.mark.parametrize("count", [0, PROVIDERS_MAX + 1])
async def test_none_and_too_many_models_are_refused(count: int, good: Model) -> None:
    with pytest.raises(ValueError, match=f"Compare 1 to {PROVIDERS_MAX} models"):
        await compare([good] * count, price)


@pytest.mark.parametrize("rounds", [0, ROUNDS_MAX + 1])
async def test_none_and_too_many_rounds_are_refused(rounds: int, good: Model) -> None:
    with pytest.raises(ValueError, match=f"1 to {ROUNDS_MAX} times"):
        await compare([good], price, rounds=rounds)
