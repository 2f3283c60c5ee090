"""What a call is counted with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from custom_components.barnabeenet.state.money import (
    PaidCall,
    call_micro_usd,
    counted,
    dollars,
    micro_usd,
    priced,
    short,
    usd,
)


def call(**changes: Any) -> PaidCall:
    return PaidCall(**({"provider": "Vendor", "model": "m", "tier": "cloud_fast", "agent": "interaction"} | changes), outcome="answered", trace_id="t")  # fmt: skip


@pytest.mark.parametrize(
    ("amount", "micro"),
    [
        (0.1, 100_000),
        (Decimal("0.3"), 300_000),
        ("25", 25_000_000),
        (0, 0),
        (0.0000001, 1),
        (0.0000125, 13),
        (1e-300, 1),
    ],
)
def test_dollars_become_whole_millionths_rounded_up(amount: Any, micro: int) -> None:
    assert micro_usd(amount) == micro


@pytest.mark.parametrize("amount", ["", "a dollar", float("nan"), float("inf"), -0.01, Decimal("NaN"), -1e-300])
def test_what_is_no_amount_is_refused(amount: Any) -> None:
    with pytest.raises(ValueError, match=r"is no amount of money|is less than nothing"):
        micro_usd(amount)


def test_no_call_costs_a_fortune() -> None:
    with pytest.raises(ValueError, match="1000 USD are the most"):
        call_micro_usd(1e200)


@pytest.mark.parametrize("source", ["provider", "user", "table", "free"])
def test_a_figure_that_somebody_knows_is_taken(source: Any) -> None:
    assert priced(call(cost_usd=0.0123, cost_source=source)) == (12_300, source)


@pytest.mark.parametrize("cost", [None, float("nan"), -1.0, float("inf"), 1e9])
def test_without_a_figure_that_can_be_a_dear_estimate_counts(cost: Any) -> None:
    tokens = {"prompt_tokens": 4000, "completion_tokens": 200, "cost_usd": cost, "cost_source": "provider"}
    assert priced(call(**tokens)) == (4000 * 3 + 200 * 15, "estimate")
    assert priced(call(**tokens, tier="cloud_powerful")) == (4000 * 15 + 200 * 75, "estimate")


def test_an_unknown_price_and_unknown_use_cost_something() -> None:
    assert priced(call()) == (1000 * 3 + 100 * 15, "estimate")
    assert priced(call(cost_usd=0.0, cost_source="unknown")) == (4500, "estimate")


def test_what_runs_at_home_is_free() -> None:
    assert priced(call(tier="local", prompt_tokens=10**6)) == (0, "free")


def test_what_a_vendor_says_is_bounded() -> None:
    assert (counted(-5), counted(10**30)) == (0, 10**9)
    assert priced(call(prompt_tokens=10**30)) == (10**9, "estimate")
    assert short("x" * 1000) == "x" * 200


def test_amounts_are_shown_exactly() -> None:
    assert usd(1_234_567) == Decimal("1.234567")
    assert [dollars(micro) for micro in (0, 13, 100_000, 123_456, 25_000_000)] == [
        *("0.00 USD", "0.000013 USD", "0.10 USD", "0.123456 USD", "25.00 USD")
    ]
