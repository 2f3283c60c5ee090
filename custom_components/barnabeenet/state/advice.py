"""What could be done about the cost: lines that name a model, an amount and a remedy, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .budget import BudgetLimits
from .money import MICRO_PER_USD, dollars
from .tally import Row, Tally

# Less than that is too little to say anything from.
_REQUESTS_LEAST: Final = 10
_MICRO_LEAST: Final = MICRO_PER_USD // 100
_PROMPT_TOKENS_LEAST: Final = 20_000
_CACHED_LOW_PERCENT: Final = 30
_MOST_PERCENT: Final = 60
_SHORT_PERCENT: Final = 20
_ESTIMATED_PERCENT: Final = 10
_FAILED_PERCENT: Final = 5
_DAYS_LEAST: Final = 3
_MONTH_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Advice:
    """`key` names the kind for translations, `text` is English with its figures."""

    key: str
    text: str


def advise(rows: Sequence[Row], days: int, limits: BudgetLimits) -> list[Advice]:
    """The recommendations for so many days, the weightiest kind first."""
    micro = sum(row.micro for row in rows)
    if sum(row.requests for row in rows) < _REQUESTS_LEAST or micro < _MICRO_LEAST:
        return []
    return [
        *_over_the_month(micro, days, limits),
        *_short_answers(rows, micro),
        *_one_model(rows, micro),
        *_rarely_cached(rows),
        *_estimated(rows, micro),
        *_failed(rows, micro),
    ]


def _over_the_month(micro: int, days: int, limits: BudgetLimits) -> Iterator[Advice]:
    projected = micro * _MONTH_DAYS // days
    if days >= _DAYS_LEAST and projected > limits.month:
        yield Advice(
            "over_the_month",
            f"At this rate {_MONTH_DAYS} days cost {_about(projected)}, more than the month's {dollars(limits.month)}: "
            "lower the day's limit or raise the month's, before Barnabee falls silent in the last week.",
        )


def _short_answers(rows: Iterable[Row], micro: int) -> Iterator[Advice]:
    powerful = [row for row in rows if row.tier == "cloud_powerful"]
    answers, cost = sum(row.short_answers for row in powerful), sum(row.short_micro for row in powerful)
    if answers and cost * 100 >= _SHORT_PERCENT * micro:
        yield Advice(
            "cheaper_tier",
            f"{answers} answers of powerful models were only a few words long and cost {_about(cost)}: "
            "a fast or a local model would have done.",
        )


def _one_model(rows: Iterable[Row], micro: int) -> Iterator[Advice]:
    models = _by(rows, _model)
    for name, tally in models.items():
        if len(models) > 1 and tally.micro * 100 > _MOST_PERCENT * micro:
            share = round(tally.micro * 100 / micro)
            yield Advice(
                "one_model",
                f"{name} is {share} % of the cost with {tally.requests} requests: a cheaper model in its place, or after "
                "the others in the order, saves most.",
            )


def _rarely_cached(rows: Iterable[Row]) -> Iterator[Advice]:
    for name, tally in _by(rows, _model).items():
        if tally.micro and tally.prompt_tokens >= _PROMPT_TOKENS_LEAST and tally.cached_percent < _CACHED_LOW_PERCENT:
            yield Advice(
                "rarely_cached",
                f"Only {tally.cached_percent} % of the {tally.prompt_tokens:,} prompt tokens of {name} came from its "
                "cache, where they cost a fraction: choose a model whose vendor caches prompts, or expose fewer entities.",
            )


def _estimated(rows: Iterable[Row], micro: int) -> Iterator[Advice]:
    guessed = [row for row in rows if row.cost_source == "estimate"]
    cost = sum(row.micro for row in guessed)
    if cost * 100 >= _ESTIMATED_PERCENT * micro:
        names = ", ".join(sorted({_model(row) for row in guessed})[:3])
        yield Advice(
            "unknown_prices",
            f"{_about(cost)} of this are high estimates, for nobody knows the price of {names}: "
            "enter the prices in the provider's settings.",
        )


def _failed(rows: Iterable[Row], micro: int) -> Iterator[Advice]:
    for name, tally in _by((row for row in rows if not row.answered), lambda row: row.provider).items():
        if tally.micro * 100 >= _FAILED_PERCENT * micro:
            yield Advice(
                "paid_failures",
                f"{tally.requests} requests to {name} failed and cost {_about(tally.micro)}: "
                "put another provider before it, or look at its state.",
            )


def _by(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, Tally]:
    groups: dict[str, Tally] = {}
    for row in rows:
        groups.setdefault(key(row), Tally()).add(row)
    return groups


def _model(row: Row) -> str:
    return f"{row.model} ({row.provider})"


def _about(micro: int) -> str:
    """Rounded to a hundredth of a cent at least: it is advice and no bill."""
    return dollars(round(micro, -2 if micro < MICRO_PER_USD else -4))
