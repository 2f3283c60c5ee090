"""What language models cost in some days: as data, as text and as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
import csv
from dataclasses import dataclass, field
from datetime import date, timedelta
import io
import sqlite3
from typing import Any, Final

from .advice import Advice, advise
from .budget import BudgetLimits
from .ledger import Ledger, at_ms
from .money import MICRO_PER_USD, dollars
from .periods import days
from .tally import GUEST, Row, Tally

DAYS_MAX: Final = 400
DRIVERS: Final = 5
# A short answer to a prompt is what a smaller model gives as well.
SHORT_ANSWER_TOKENS: Final = 40
_NAMED_MAX: Final = 50
# Also what reached its limit and what a person interrupted: nothing of it went wrong.
_PAID_FOR: Final = "'answered', 'cut', 'cancelled'"

_QUERY: Final = f"""
SELECT local_day AS day, provider, model, tier, agent, speaker, cost_source, outcome IN ({_PAID_FOR}) AS answered,
    COUNT(*) AS requests, SUM(prompt_tokens) AS prompt_tokens, SUM(cached_tokens) AS cached_tokens,
    SUM(completion_tokens) AS completion_tokens, SUM(cost_micro_usd) AS micro,
    SUM(completion_tokens BETWEEN 1 AND {SHORT_ANSWER_TOKENS} AND outcome IN ({_PAID_FOR})) AS short_answers,
    SUM(CASE WHEN completion_tokens BETWEEN 1 AND {SHORT_ANSWER_TOKENS} AND outcome IN ({_PAID_FOR})
        THEN cost_micro_usd ELSE 0 END) AS short_micro
FROM calls WHERE at_ms >= ? AND at_ms < ?
GROUP BY day, provider, model, tier, agent, speaker, cost_source, answered
"""  # noqa: S608 - words and numbers of ours

_SECTIONS: Final[dict[str, Callable[[Row], str]]] = {
    "tier": lambda row: row.tier,
    "model": lambda row: f"{row.provider}: {row.model}",
    "agent": lambda row: row.agent,
    "speaker": lambda row: row.speaker,
    "day": lambda row: row.day,
}


@dataclass(frozen=True)
class Report:
    """The sums of whole days at home, both counted; sections are sorted by cost, days by date."""

    first: date
    last: date
    total: Tally
    sections: dict[str, dict[str, Tally]]
    drivers: Sequence[tuple[str, Tally]]
    advice: Sequence[Advice] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The days that it is about."""
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"

    @property
    def is_empty(self) -> bool:
        """Whether no model was asked."""
        return self.total.requests == 0

    @property
    def summary(self) -> str:
        """One sentence."""
        if self.is_empty:
            return f"No language model was asked {'on' if self.first == self.last else 'from'} {self.title}: nothing was spent."
        total = self.total
        return (
            f"{_count(total.requests, 'request')} cost {dollars(total.micro)}: {total.prompt_tokens:,} prompt tokens "
            f"({total.cached_percent} % of them from caches) and {total.completion_tokens:,} of answers."
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; costs in US dollars."""
        return {
            "first_day": self.first.isoformat(),
            "last_day": self.last.isoformat(),
            "summary": self.summary,
            **_figures(self.total, self.total.micro),
            **{
                f"by_{section}": [
                    {"name": name, **_figures(tally, self.total.micro)} for name, tally in tallies.items()
                ]
                for section, tallies in self.sections.items()
            },
            "top_drivers": [{"name": name, **_figures(tally, self.total.micro)} for name, tally in self.drivers],
            "recommendations": [{"key": advice.key, "text": advice.text} for advice in self.advice],
        }

    def as_text(self) -> str:
        """For people, in plain lines."""
        lines = [f"Cost of language models, {self.title}", "", self.summary]
        if self.is_empty:
            return "\n".join(lines)
        for section, tallies in self.sections.items():
            if section != "day" or self.first != self.last:
                lines += ["", f"By {section}", *_table(tallies.items(), self.total.micro)]
        lines += ["", "What cost most", *_table(self.drivers, self.total.micro), "", "Recommendations"]
        lines += [f"- {advice.text}" for advice in self.advice] or ["Nothing stands out."]
        return "\n".join(lines)

    def as_csv(self) -> str:
        """A table for spreadsheets; no cell of it is taken for a formula."""
        file = io.StringIO()
        writer = csv.writer(file)
        writer.writerow(
            ["section", "name", "requests", "prompt_tokens", "cached_tokens", "completion_tokens", "cost_usd"]
        )
        writer.writerow(["total", self.summary if self.is_empty else self.title, *_cells(self.total)])
        for section, tallies in self.sections.items():
            writer.writerows([section, harmless(name), *_cells(tally)] for name, tally in tallies.items())
        return file.getvalue()


async def cost_report(ledger: Ledger, first: date, last: date, limits: BudgetLimits | None = None) -> Report:
    """Adds up whole days; raises ValueError for a range that is backwards or too long, StateError without database."""
    if last - first >= timedelta(days=DAYS_MAX):
        raise ValueError(f"The range from {first} to {last} is too long: give at most {DAYS_MAX} days")
    period = days(first, last, ledger.zone())
    await ledger.flush()
    found = await ledger.database.read(_QUERY, (at_ms(period.start), at_ms(period.end)))
    rows = [_row(row) for row in found]
    total = _sum(rows)
    sections = {name: _group(rows, key, by_name=name == "day") for name, key in _SECTIONS.items()}
    drivers = _group(rows, lambda row: f"{row.model}, {row.agent}, {row.speaker}")
    costly = [(name, tally) for name, tally in drivers.items() if tally.micro][:DRIVERS]
    length = (last - first).days + 1
    return Report(first, last, total, sections, costly, advise(rows, length, limits or BudgetLimits()))


async def report_of_day(ledger: Ledger, limits: BudgetLimits | None = None) -> Report:
    """Today, as it is at home."""
    today = ledger.now().astimezone(ledger.zone()).date()
    return await cost_report(ledger, today, today, limits)


async def report_of_month(ledger: Ledger, limits: BudgetLimits | None = None) -> Report:
    """From the first of this month up to today."""
    today = ledger.now().astimezone(ledger.zone()).date()
    return await cost_report(ledger, today.replace(day=1), today, limits)


# What begins a formula in one spreadsheet or another, also in full-width letters.
_FORMULA: Final = ("=", "+", "-", "@", "|", "%", "＝", "＋", "－", "＠")  # noqa: RUF001


def harmless(text: str) -> str:
    """A cell that is text in every spreadsheet: names come from people and vendors."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return f"'{plain}" if plain.lstrip().startswith(_FORMULA) else plain


def _row(row: sqlite3.Row) -> Row:
    return Row(**{**dict(row), "speaker": row["speaker"] or GUEST, "answered": bool(row["answered"])})


def _sum(rows: Iterable[Row]) -> Tally:
    total = Tally()
    for row in rows:
        total.add(row)
    return total


def _group(rows: Iterable[Row], key: Callable[[Row], str], *, by_name: bool = False) -> dict[str, Tally]:
    """The dearest first; what would make the list too long is put together."""
    groups: dict[str, Tally] = {}
    for row in rows:
        groups.setdefault(key(row), Tally()).add(row)
    if by_name:
        return dict(sorted(groups.items()))
    order = sorted(groups.items(), key=lambda item: (-item[1].micro, -item[1].requests, item[0]))
    shown, rest = dict(order[:_NAMED_MAX]), order[_NAMED_MAX:]
    for _, tally in rest:
        shown.setdefault("others", Tally()).merge(tally)
    return shown


def _figures(tally: Tally, whole: int) -> dict[str, Any]:
    return {
        "requests": tally.requests,
        "failed": tally.failed,
        "prompt_tokens": tally.prompt_tokens,
        "cached_tokens": tally.cached_tokens,
        "cached_percent": tally.cached_percent,
        "completion_tokens": tally.completion_tokens,
        "cost_usd": tally.micro / MICRO_PER_USD,
        "cost_percent": _percent(tally.micro, whole),
    }


def _cells(tally: Tally) -> list[str | int]:
    cost = f"{tally.micro // MICRO_PER_USD}.{tally.micro % MICRO_PER_USD:06d}"
    return [tally.requests, tally.prompt_tokens, tally.cached_tokens, tally.completion_tokens, cost]


def _table(tallies: Iterable[tuple[str, Tally]], whole: int) -> list[str]:
    return [
        f"  {dollars(tally.micro):>15} {_percent(tally.micro, whole):>3} %  {name} ({_count(tally.requests, 'request')})"
        for name, tally in tallies
    ]


def _percent(part: int, whole: int) -> int:
    return round(part * 100 / whole) if whole else 0


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
