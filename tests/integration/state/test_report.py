"""The cost report: sums, drivers, advice, and cells that no spreadsheet takes for a formula."""

from __future__ import annotations

from collections.abc import AsyncIterator
import csv
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
import io
import json
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, strategies as st
import pytest

from custom_components.barnabeenet.state.budget import BudgetLimits
from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.errors import StateError
from custom_components.barnabeenet.state.money import PaidCall
from custom_components.barnabeenet.state.purse import Purse
from custom_components.barnabeenet.state.report import (
    DAYS_MAX,
    Report,
    cost_report,
    harmless,
    report_of_day,
    report_of_month,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 20, 11, tzinfo=UTC)
TODAY = date(2026, 11, 20)

SMALL = PaidCall(
    provider="OpenAI",
    model="small-1",
    tier="cloud_fast",
    agent="interaction",
    outcome="answered",
    trace_id="t1",
    speaker="anna",
    prompt_tokens=2000,
    cached_tokens=1500,
    completion_tokens=100,
    cost_usd=0.002,
    cost_source="table",
)
LARGE = replace(SMALL, provider="Anthropic", model="large-9", tier="cloud_powerful", agent="memory", cost_usd=0.05)


class Home:
    def __init__(self, purse: Purse) -> None:
        self.purse = purse
        self.now = NOON

    def spend(self, call: PaidCall, times: int = 1, **changes: Any) -> None:
        for _ in range(times):
            self.purse.record(replace(call, **changes))

    async def report(self, first: date = TODAY, last: date = TODAY, **limits: Any) -> Report:
        return await cost_report(self.purse.ledger, first, last, BudgetLimits(**limits))

    async def advice(self, first: date = TODAY, **limits: Any) -> dict[str, str]:
        return {advice.key: advice.text for advice in (await self.report(first, **limits)).advice}


@pytest.fixture
async def home(database: Database) -> AsyncIterator[Home]:
    clock: list[Home] = []
    purse = await Purse.open(database, zone=lambda: BERLIN, now=lambda: clock[0].now if clock else NOON)
    clock.append(Home(purse))
    yield clock[0]
    await purse.close()


def cells(report: Report) -> list[list[str]]:
    return list(csv.reader(io.StringIO(report.as_csv())))


# Sums


async def test_it_adds_up_by_tier_model_agent_speaker_and_day(home: Home) -> None:
    home.spend(SMALL, 3)
    home.spend(LARGE, speaker=None, cached_tokens=0)
    home.spend(SMALL, tier="local", provider="Ollama", model="tiny", cost_usd=0.0, cost_source="free")
    report = (await home.report()).as_dict()
    assert json.loads(json.dumps(report)) == report
    fields = ("requests", "failed", "prompt_tokens", "cached_tokens", "cached_percent", "completion_tokens")
    assert {line["name"]: tuple(line[field] for field in fields) for line in report["by_tier"]} == {
        "cloud_powerful": (1, 0, 2000, 0, 0, 100),
        "cloud_fast": (3, 0, 6000, 4500, 75, 300),
        "local": (1, 0, 2000, 1500, 75, 100),
    }
    costs = [(line["name"], line["cost_usd"], line["cost_percent"]) for line in report["by_tier"]]
    assert costs == [("cloud_powerful", 0.05, 89), ("cloud_fast", 0.006, 11), ("local", 0.0, 0)]
    assert [line["name"] for line in report["by_model"]] == ["Anthropic: large-9", "OpenAI: small-1", "Ollama: tiny"]
    assert [(line["name"], line["cost_usd"]) for line in report["by_speaker"]] == [("guest", 0.05), ("anna", 0.006)]
    assert [(line["name"], line["requests"]) for line in report["by_agent"]] == [("memory", 1), ("interaction", 4)]
    assert [line["name"] for line in report["top_drivers"]] == [
        *("large-9, memory, guest", "small-1, interaction, anna")
    ]
    assert (report["requests"], report["cost_usd"], report["cached_percent"]) == (5, 0.056, 60)


async def test_days_and_months_are_the_homes(home: Home) -> None:
    home.now = datetime(2026, 10, 31, 22, 59, tzinfo=UTC)
    home.spend(LARGE)
    home.now = datetime(2026, 10, 31, 23, 0, tzinfo=UTC)
    home.spend(SMALL)
    home.now = NOON
    home.spend(SMALL, 2)
    month = await report_of_month(home.purse.ledger)
    assert (month.first, month.last, month.total.micro) == (date(2026, 11, 1), TODAY, 6000)
    assert {name: tally.requests for name, tally in month.sections["day"].items()} == {"2026-11-01": 1, "2026-11-20": 2}
    day = await report_of_day(home.purse.ledger)
    assert (day.title, day.total.requests) == ("2026-11-20", 2)
    assert (await home.report(date(2026, 10, 31), date(2026, 10, 31))).total.micro == 50_000


async def test_failures_are_counted_apart(home: Home) -> None:
    for outcome in ("answered", "cut", "cancelled", "timed_out", "rate_limited"):
        home.spend(SMALL, outcome=outcome)
    total = (await home.report()).total
    assert (total.requests, total.failed) == (5, 2)


async def test_a_long_list_is_cut_and_its_rest_is_added_up(home: Home) -> None:
    for number in range(80):
        home.spend(SMALL, model=f"model {number}")
    models = (await home.report()).sections["model"]
    assert len(models) == 51
    assert models["others"].requests == 30
    assert sum(tally.micro for tally in models.values()) == 160_000


@pytest.mark.parametrize(("days", "when"), [(1, "on 2026-11-20"), (3, "from 2026-11-18 to 2026-11-20")])
async def test_an_empty_period_says_so(home: Home, days: int, when: str) -> None:
    report = await home.report(TODAY - timedelta(days=days - 1))
    said = f"No language model was asked {when}: nothing was spent."
    assert said in report.as_text()
    assert report.as_dict()["summary"] == said
    assert cells(report)[1] == ["total", said, "0", "0", "0", "0", "0.000000"]
    assert report.as_dict()["recommendations"] == []


async def test_a_range_that_cannot_be_meant_is_refused(home: Home) -> None:
    with pytest.raises(ValueError, match="give the earlier day first"):
        await home.report(TODAY, TODAY - timedelta(days=1))
    with pytest.raises(ValueError, match=f"give at most {DAYS_MAX} days"):
        await home.report(TODAY - timedelta(days=DAYS_MAX))


async def test_without_a_database_it_says_so(home: Home, database: Database) -> None:
    await database.close()
    with pytest.raises(StateError, match="closed"):
        await home.report()


# Text and CSV


async def test_the_text_is_for_people(home: Home) -> None:
    home.spend(SMALL, 3)
    home.spend(LARGE)
    assert (
        (await home.report()).as_text()
        == """\
Cost of language models, 2026-11-20

4 requests cost 0.056 USD: 8,000 prompt tokens (75 % of them from caches) and 400 of answers.

By tier
         0.05 USD  89 %  cloud_powerful (1 request)
        0.006 USD  11 %  cloud_fast (3 requests)

By model
         0.05 USD  89 %  Anthropic: large-9 (1 request)
        0.006 USD  11 %  OpenAI: small-1 (3 requests)

By agent
         0.05 USD  89 %  memory (1 request)
        0.006 USD  11 %  interaction (3 requests)

By speaker
        0.056 USD 100 %  anna (4 requests)

What cost most
         0.05 USD  89 %  large-9, memory, anna (1 request)
        0.006 USD  11 %  small-1, interaction, anna (3 requests)

Recommendations
Nothing stands out."""
    )


async def test_the_csv_is_a_table(home: Home) -> None:
    home.spend(SMALL, 3)
    rows = cells(await home.report())
    assert rows[0] == [
        *("section", "name", "requests", "prompt_tokens", "cached_tokens", "completion_tokens", "cost_usd")
    ]
    assert rows[1] == ["total", "2026-11-20", "3", "6000", "4500", "300", "0.006000"]
    assert ["model", "OpenAI: small-1", "3", "6000", "4500", "300", "0.006000"] in rows


async def test_no_name_becomes_a_formula(home: Home) -> None:
    home.spend(SMALL, speaker='=HYPERLINK("http://evil.example","anna")')
    home.spend(SMALL, agent="@SUM(1+1)*cmd|' /C calc'!A0", speaker='anna",=1+1\r\n=2+2')
    names = [row[1] for row in cells(await home.report())[1:]]
    assert '\'=HYPERLINK("http://evil.example","anna")' in names
    assert "'@SUM(1+1)*cmd|' /C calc'!A0" in names
    assert 'anna",=1+1  =2+2' in names


@given(st.text(max_size=20))
def test_a_harmless_cell_begins_with_no_sign_of_a_formula(text: str) -> None:
    cell = harmless(text)
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    assert not any(character in cell for character in "\t\r\n\0")


# Advice


async def test_too_little_earns_no_advice(home: Home) -> None:
    home.spend(LARGE, 5, completion_tokens=3, cached_tokens=0)
    assert await home.advice() == {}


async def test_prompts_that_are_rarely_cached(home: Home) -> None:
    home.spend(SMALL, 20, cached_tokens=100)
    assert await home.advice() == {
        "rarely_cached": "Only 5 % of the 40,000 prompt tokens of small-1 (OpenAI) came from its cache, where they cost a "
        "fraction: choose a model whose vendor caches prompts, or expose fewer entities."
    }


async def test_one_model_that_is_most_of_the_cost(home: Home) -> None:
    home.spend(SMALL, 20)
    home.spend(LARGE, 4)
    assert await home.advice() == {
        "one_model": "large-9 (Anthropic) is 83 % of the cost with 4 requests: a cheaper model in its place, or after the "
        "others in the order, saves most."
    }


async def test_short_answers_of_a_powerful_model(home: Home) -> None:
    home.spend(SMALL, 20, cost_usd=0.01)
    home.spend(LARGE, 3, completion_tokens=12)
    assert await home.advice() == {
        "cheaper_tier": "3 answers of powerful models were only a few words long and cost 0.15 USD: a fast or a local "
        "model would have done."
    }


async def test_prices_that_nobody_knows(home: Home) -> None:
    home.spend(SMALL, 10)
    home.spend(SMALL, 2, model="brand-new", cost_usd=None, cost_source="unknown")
    assert (await home.advice())["unknown_prices"] == (
        "0.015 USD of this are high estimates, for nobody knows the price of brand-new (OpenAI): "
        "enter the prices in the provider's settings."
    )


async def test_failures_that_were_paid_for(home: Home) -> None:
    home.spend(SMALL, 10)
    home.spend(SMALL, 2, outcome="truncated")
    assert (await home.advice())["paid_failures"] == (
        "2 requests to OpenAI failed and cost 0.004 USD: put another provider before it, or look at its state."
    )


async def test_a_month_that_will_not_last(home: Home) -> None:
    home.spend(SMALL, 20, cost_usd=0.05)
    first = TODAY - timedelta(days=9)
    assert await home.advice(first, month=2_000_000) == {
        "over_the_month": "At this rate 30 days cost 3.00 USD, more than the month's 2.00 USD: lower the day's limit or "
        "raise the month's, before Barnabee falls silent in the last week."
    }
    assert await home.advice(first, month=3_000_000) == {}
