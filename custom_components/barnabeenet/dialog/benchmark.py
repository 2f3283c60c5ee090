"""Compares language models on standard prompts: how fast they are, what they cost, and whether they are right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from statistics import median
import time
from typing import Any, Final
from uuid import uuid4

from ..providers.base import (
    Done,
    Message,
    Meter,
    Prompt,
    Provider,
    ProviderError,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from .benchmark_tasks import ENTITIES, STATIC, TASKS, TOOLS, VOLATILE, Task

# Of all calls together. At today's prices one round of a large model costs about two cents.
BUDGET_USD: Final = 0.5
DEADLINE_S: Final = 600.0
ANSWER_MAX_S: Final = 20.0
ROUNDS_MAX: Final = 5
PROVIDERS_MAX: Final = 12
_MAX_TOKENS: Final = 200

# What some usage of a provider costs in USD; None when nobody knows.
Price = Callable[[Provider, Usage], float | None]


@dataclass(frozen=True)
class Result:
    """One task, once, by one model. `error` says why there is no answer; `right` is False then."""

    provider: str
    task: str
    right: bool
    first_token_ms: float | None
    total_ms: float
    cost_usd: float | None
    error: str | None = None


@dataclass(frozen=True)
class Summary:
    """One model's figures: medians over its answers, the sum of what is known to have been spent."""

    provider: str
    model: str
    asked: int
    right: int
    failed: int
    first_token_ms: float | None
    total_ms: float | None
    cost_usd: float | None


@dataclass(frozen=True)
class Report:
    """`stopped` says why not everything was asked, None when it was."""

    summaries: tuple[Summary, ...]
    results: tuple[Result, ...]
    stopped: str | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, best model first."""
        return {
            "models": [summary.__dict__ | {"share_right": _share(summary)} for summary in self.summaries],
            "wrong": [
                {"provider": result.provider, "task": result.task, "error": result.error}
                for result in self.results
                if not result.right
            ],
            "tasks": {task.name: task.about for task in TASKS},
            "stopped": self.stopped,
        }

    def as_text(self) -> str:
        """A table for a person, best model first."""
        rows = [("model", "right", "first token", "whole answer", "cost")]
        rows += [
            (
                f"{summary.provider} ({summary.model})",
                f"{summary.right}/{summary.asked}",
                _milliseconds(summary.first_token_ms),
                _milliseconds(summary.total_ms),
                "unknown" if summary.cost_usd is None else f"{summary.cost_usd:.4f} USD",
            )
            for summary in self.summaries
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if at == 0 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        return "\n".join([*lines, *([self.stopped] if self.stopped else [])])


async def compare(
    providers: Sequence[Provider],
    price: Price,
    *,
    rounds: int = 1,
    budget_usd: float = BUDGET_USD,
    deadline_s: float = DEADLINE_S,
    answer_max_s: float = ANSWER_MAX_S,
    tasks: Sequence[Task] = TASKS,
) -> Report:
    """Asks every model every task, in turns and one at a time, so that none slows another down.

    Stops when the money or the time is spent, by at most one answer too late. A model whose price nobody knows spends
    none of the money.
    """
    if not 1 <= len(providers) <= PROVIDERS_MAX:
        raise ValueError(f"Compare 1 to {PROVIDERS_MAX} models at a time, not {len(providers)}")
    if not 1 <= rounds <= ROUNDS_MAX:
        raise ValueError(f"Ask each question 1 to {ROUNDS_MAX} times, not {rounds}")
    results: list[Result] = []
    stopped = None
    ends_at_s = time.monotonic() + deadline_s
    for task, provider in [(task, provider) for _ in range(rounds) for task in tasks for provider in providers]:
        left_s = ends_at_s - time.monotonic()
        spent_usd = sum(result.cost_usd or 0.0 for result in results)
        if spent_usd >= budget_usd:
            stopped = f"Stopped after {len(results)} answers: {spent_usd:.4f} of {budget_usd:.4f} USD are spent."
        elif left_s <= 0:
            stopped = f"Stopped after {len(results)} answers: {deadline_s:g} s have passed."
        if stopped:
            break
        results.append(await _ask(provider, task, price, min(answer_max_s, left_s)))
    summaries = [_summary(provider, results) for provider in providers]
    summaries.sort(key=lambda each: (-_share(each), each.total_ms or float("inf")))
    return Report(tuple(summaries), tuple(results), stopped)


async def _ask(provider: Provider, task: Task, price: Price, max_s: float) -> Result:
    meter = Meter()
    text, calls = "", list[ToolCall]()
    first_ms: float | None = None
    error: str | None = None
    started_s = time.monotonic()
    try:
        async with asyncio.timeout(max_s):
            async with aclosing(provider.stream(_prompt(task), trace_id=uuid4().hex, meter=meter)) as deltas:
                async for delta in deltas:
                    if first_ms is None and not isinstance(delta, Done):
                        first_ms = (time.monotonic() - started_s) * 1000
                    if isinstance(delta, TextDelta):
                        text += delta.text
                    elif isinstance(delta, ToolCallDelta):
                        calls.append(delta.call)
                    else:
                        meter.told = delta.usage
    except ProviderError as raised:
        error = str(raised)
    except TimeoutError:
        error = f"no whole answer within {max_s:.0f} s"
    total_ms = (time.monotonic() - started_s) * 1000
    cost_usd = price(provider, meter.usage())
    right = error is None and task.is_right(text, calls)
    return Result(provider.name, task.name, right, first_ms, total_ms, cost_usd, error)


def _prompt(task: Task) -> Prompt:
    """The same beginning for all tasks, as in a home."""
    return Prompt(STATIC, ENTITIES, VOLATILE, (Message("user", task.said),), TOOLS, _MAX_TOKENS)


def _summary(provider: Provider, results: Sequence[Result]) -> Summary:
    own = [result for result in results if result.provider == provider.name]
    answered = [result for result in own if result.error is None]
    costs = [result.cost_usd for result in own if result.cost_usd is not None]
    return Summary(
        provider=provider.name,
        model=provider.model,
        asked=len(own),
        right=sum(result.right for result in own),
        failed=len(own) - len(answered),
        first_token_ms=_median(result.first_token_ms for result in answered),
        total_ms=_median(result.total_ms for result in answered),
        cost_usd=sum(costs) if len(costs) == len(own) and own else None,
    )


def _median(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 1) if known else None


def _share(summary: Summary) -> float:
    return round(summary.right / summary.asked, 3) if summary.asked else 0.0


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
