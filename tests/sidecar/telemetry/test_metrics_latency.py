"""The times of the last requests: bounded, summed up, compared with what they may take."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from barnabeenet_sidecar.telemetry.latency import BUDGETS_MS, KEPT, Latencies, summarise

TIMES_MS = st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=200)


def test_a_stage_is_summed_up() -> None:
    summary = summarise(range(1, 101))
    assert (summary.count, summary.p50_ms, summary.p95_ms, summary.max_ms) == (100, 50, 95, 100)
    assert (summary.budget_ms, summary.verdict) == (None, None)


@given(TIMES_MS)
def test_the_figures_are_times_that_occurred_and_in_order(times_ms: list[float]) -> None:
    summary = summarise(times_ms)
    assert {summary.p50_ms, summary.p95_ms, summary.max_ms} <= set(times_ms)
    assert min(times_ms) <= summary.p50_ms <= summary.p95_ms <= summary.max_ms == max(times_ms)
    assert sum(time <= summary.p95_ms for time in times_ms) >= 0.95 * len(times_ms)


def test_no_times_have_no_sum() -> None:
    with pytest.raises(ValueError, match="no times"):
        summarise([])


@pytest.mark.parametrize(
    ("p95_ms", "verdict"), [(200.0, "ok"), (200.1, "warning"), (500.0, "warning"), (500.1, "alert")]
)
def test_a_budget_is_warned_of_at_once_and_alerted_at_two_and_a_half_times(p95_ms: float, verdict: str) -> None:
    assert summarise([1.0, p95_ms], 200.0).verdict == verdict


def test_recognition_and_the_first_audio_have_budgets() -> None:
    assert BUDGETS_MS == {("transcribe", "decode"): 200.0, ("synthesize", "first_audio"): 150.0}


def test_stages_are_kept_apart_and_told_with_their_budget() -> None:
    latencies = Latencies()
    latencies.record("transcribe", "decode", 900.0)
    latencies.record("transcribe", "endpoint", 700.0)
    summary = latencies.summary()["transcribe"]
    assert (summary["decode"].budget_ms, summary["decode"].verdict) == (200.0, "alert")
    assert (summary["endpoint"].budget_ms, summary["endpoint"].verdict) == (None, None)


def test_only_the_last_requests_count() -> None:
    latencies = Latencies()
    latencies.record("transcribe", "decode", 60_000.0)
    for _ in range(KEPT):
        latencies.record("transcribe", "decode", 10.0)
    summary = latencies.summary()["transcribe"]["decode"]
    assert (summary.count, summary.max_ms) == (KEPT, 10.0)


def test_the_number_of_stages_is_bounded_and_those_that_are_known_go_on() -> None:
    latencies = Latencies()
    for number in range(200):
        latencies.record("transcribe", f"stage {number}", 1.0)
    latencies.record("transcribe", "stage 0", 2.0)
    summary = latencies.summary()["transcribe"]
    assert len(summary) == 64
    assert summary["stage 0"].count == 2
