"""The bounds that docs/sidecar.md states are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from barnabeenet_sidecar.engines.voice_print import DIMENSIONS, LONGEST_S, SHORTEST_S
from barnabeenet_sidecar.net import http
from barnabeenet_sidecar.net.backoff import BACKOFF_FIRST_S, BACKOFF_MAX_S, GUESSES_BEFORE_BACKOFF
from barnabeenet_sidecar.net.drain import DRAIN_S
from barnabeenet_sidecar.net.http_benchmark import ROUNDS, SENTENCE
from barnabeenet_sidecar.net.http_speaker import BODY_MAX_BYTES
from barnabeenet_sidecar.telemetry.latency import ALERT_FACTOR, BUDGETS_MS, KEPT
from barnabeenet_sidecar.telemetry.metrics import PRIORITIES

# Wrapped lines are one sentence.
DOCUMENT = " ".join((Path(__file__).parents[3] / "docs" / "sidecar.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    "statement",
    [
        f"is cut off after {http.CONNECTION_S:g} s",
        f"({http.VERIFY_S:g} s to compare voices, {http.BENCHMARK_S:g} s for a benchmark)",
        f"{http.CONNECTIONS_MAX} connections may be open",
        f"of the last {KEPT} requests",
        f"above {ALERT_FACTOR:g} times as much an `alert`",
        f"a 16-bit WAV of {SHORTEST_S:g} to {LONGEST_S:g} s",
        f"a JSON list of {DIMENSIONS} numbers. {BODY_MAX_BYTES // 1024**2} MiB in all",
        f"wait, {BACKOFF_FIRST_S:g} s at first and up to {BACKOFF_MAX_S:g} s",
        f'says "{SENTENCE}" and hears it again',
        f"for up to {DRAIN_S:g} s",
        "| `queue` | " + ", ".join(f"`{priority}`" for priority in PRIORITIES),
    ],
)
def test_a_bound_is_stated_as_it_is(statement: str) -> None:
    assert statement in DOCUMENT


def test_small_numbers_are_written_out() -> None:
    assert (GUESSES_BEFORE_BACKOFF, ROUNDS) == (5, 3)
    assert "After five wrong ones within a minute" in DOCUMENT
    assert "three times with each loaded engine" in DOCUMENT


def test_every_budget_stands_in_the_table_of_stages() -> None:
    rows = [row for row in DOCUMENT.split("| |") if row.strip().endswith(" ms") and row.count("|") == 4]
    stated = {}
    for row in rows:
        kind, stage, _, _, budget = (cell.strip(" `") for cell in row.split("|"))
        stated[kind, stage] = float(budget.removesuffix(" ms"))
    assert stated == BUDGETS_MS
