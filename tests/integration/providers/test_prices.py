"""What a call costs, and who says so."""

from __future__ import annotations

import datetime as dt

import pytest

from custom_components.barnabeenet.providers.base import Usage
from custom_components.barnabeenet.providers.prices import AS_OF, Cost, Price, cost, table_price

USAGE = Usage(1_000_000, 400_000, 100_000)


def test_the_vendors_own_figure_comes_first() -> None:
    told = Usage(1_000_000, 0, 0, cost_usd=0.5)

    assert cost("openrouter", "openai/gpt-4o", "cloud_fast", told, Price(1, 1)) == Cost(0.5, "provider")


def test_a_persons_price_comes_before_the_table() -> None:
    assert cost("openai", "gpt-4o-mini", "cloud_fast", USAGE, Price(1.0, 10.0)) == Cost(2.0, "user")


def test_cached_and_written_tokens_have_prices_of_their_own() -> None:
    price = Price(3.0, 15.0, 0.3, 3.75)

    assert price.of(Usage(1_000_000, 400_000, 100_000, written_tokens=100_000)) == pytest.approx(
        0.5 * 3.0 + 0.4 * 0.3 + 0.1 * 3.75 + 0.1 * 15.0
    )


def test_the_table_knows_common_models() -> None:
    assert cost("openai", "gpt-4o-mini", "cloud_fast", USAGE) == Cost(pytest.approx(0.18), "table")


@pytest.mark.parametrize(
    ("kind", "model", "same_as"),
    [
        ("openai", "gpt-4o-2024-08-06", ("openai", "gpt-4o")),
        ("azure_openai", "gpt-4o", ("openai", "gpt-4o")),
        ("openrouter", "openai/gpt-4o", ("openai", "gpt-4o")),
        ("openrouter", "anthropic/claude-haiku-4.5", ("anthropic", "claude-haiku-4-5")),
        ("anthropic", "claude-haiku-4-5-20251001", ("anthropic", "claude-haiku-4-5")),
        ("anthropic", "Claude-Haiku-4-5-latest", ("anthropic", "claude-haiku-4-5")),
    ],
)
def test_names_with_dates_and_vendors_are_known(kind: str, model: str, same_as: tuple[str, str]) -> None:
    found = table_price(kind, model)

    assert found is not None
    assert found == table_price(*same_as)


@pytest.mark.parametrize("kind", ["openai", "openrouter", "openai_compatible", "groq", "anthropic"])
def test_an_unknown_model_has_no_price_and_says_so(kind: str) -> None:
    assert cost(kind, "gpt-4o-minister", "cloud_fast", USAGE) == Cost(None, "unknown")


def test_nothing_used_costs_nothing_at_any_price() -> None:
    assert cost("openai_compatible", "who-knows", "cloud_fast", Usage()) == Cost(0.0, "free")


@pytest.mark.parametrize(
    ("kind", "tier"), [("ollama", "local"), ("ollama", "cloud_fast"), ("openai_compatible", "local")]
)
def test_what_runs_at_home_is_free(kind: str, tier: str) -> None:
    assert cost(kind, "llama3", tier, USAGE) == Cost(0.0, "free")  # type: ignore[arg-type]


def test_a_person_may_price_what_runs_at_home() -> None:
    assert cost("ollama", "llama3", "local", USAGE, Price(1.0, 0.0)) == Cost(1.0, "user")


def test_nonsense_about_cached_tokens_makes_no_negative_price() -> None:
    assert Price(1.0, 1.0, 0.0).of(Usage(10, 5000, 0)) == 0


def test_the_table_says_how_old_it_is() -> None:
    assert dt.date(2026, 1, 1) < AS_OF
