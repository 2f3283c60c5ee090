"""The benches' arithmetic."""

from __future__ import annotations

import argparse
import json

from benches.busy_sidecar import quantile
from benches.figures import Figures, main, percentile, spread, table
from benches.load import Answers
from benches.overhead import Pairs
from benches.speech import Clip, spoken_part, tale
from home.process import ProcessFailed
import pytest

from barnabeenet_sidecar.engines.base import SAMPLE_BYTES, SAMPLE_RATE_HZ
from barnabeenet_sidecar.engines.speakable import sentences
from barnabeenet_sidecar.errors import EngineFailed


def test_a_percentile_is_a_sample_that_so_many_are_not_above() -> None:
    samples = [float(number) for number in range(100, 0, -1)]
    assert percentile(samples, 95) == 95
    assert percentile(samples, 100) == 100
    assert percentile(samples, 0) == 1
    assert percentile([7.0], 95) == 7
    with pytest.raises(ValueError, match="samples"):
        percentile([], 95)


def test_a_quantile_lies_within_its_bucket() -> None:
    cumulative = {0.005: 50.0, 0.01: 90.0, 0.025: 100.0, float("inf"): 100.0}
    assert quantile(cumulative, 0.5) == 0.005
    assert quantile(cumulative, 0.95) == pytest.approx(0.0175)
    assert quantile({0.005: 1.0, float("inf"): 100.0}, 0.95) == 0.005  # all that is known of the rest is: not less
    with pytest.raises(ValueError, match="samples"):
        quantile({}, 0.95)


def test_a_spread_names_its_figures_after_what_was_measured() -> None:
    assert spread("wait_ms", [1.0, 2.0, 9.0], "_fifo") == {"wait_ms_median_fifo": 2.0, "wait_ms_p95_fifo": 9.0}
    with pytest.raises(ProcessFailed, match="wait_ms_fifo: nothing was answered"):
        spread("wait_ms", [], "_fifo")


def test_overhead_is_the_median_of_differences_not_the_difference_of_medians() -> None:
    pairs = Pairs()
    for engine_ms, request_ms in ((10.0, 11.0), (20.0, 23.0), (30.0, 32.0)):
        pairs.add("synthesize", engine_ms, request_ms)
    pairs.add("transcribe", 100.0, 99.0)
    pairs.add("detect", 0.0, 4.0)
    pairs.add("ping", 0.0, 50.0)
    found = pairs.figures()
    assert found["overhead_ms_median_synthesize"] == 2
    assert found["overhead_ms_median_transcribe"] == -1
    assert found["overhead_ms_median"] == 2  # of -1, 1, 2, 3, 4: a ping asks no engine and does not count
    assert found["engine_ms_median_synthesize"] == 20
    assert (found["pairs"], found["differing"]) == (5, 0)


def test_a_share_counts_what_failed() -> None:
    answers, others = Answers(), Answers()
    answers.times_ms["transcribe"] += [100.0, 300.0]
    others.times_ms["transcribe"] += [200.0]
    others.failures["busy"] += 1
    answers.add(others)
    found = answers.figures(4)
    assert found["share_ok_4"] == 0.75
    assert found["requests_4"] == 4
    assert (found["p50_ms_4"], found["p95_ms_4"]) == (200, 300)
    assert found["p50_ms_4_transcribe"] == 200
    assert "p50_ms_4_synthesize" not in found


def test_audio_is_cut_where_speech_ends() -> None:
    frame = bytes(SAMPLE_RATE_HZ * SAMPLE_BYTES * 32 // 1000)
    assert spoken_part(frame * 5, [0.1, 0.9, 0.6, 0.3, 0.1], 32) == frame * 3
    assert spoken_part(frame * 2, [0.1, 0.1], 32) == frame * 2
    assert Clip("", frame * 100).seconds == pytest.approx(3.2)


def test_a_tale_is_made_of_sentences_that_are_spoken_in_one_piece() -> None:
    assert len(list(sentences(tale(20)))) == 20


def test_the_last_line_is_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(_: argparse.Namespace) -> Figures:
        return {"short_wait_ms_p95": 3.5}

    monkeypatch.setattr("sys.argv", ["bench", "--json"])
    assert main("queue", None, lambda _: None, run) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["bench"] == "queue"
    assert last["figures"].pop("load_before") >= 0
    assert last["figures"] == {"short_wait_ms_p95": 3.5}


@pytest.mark.parametrize(("load", "told"), [(64.0, True), (0.0, False)])
def test_a_busy_machine_is_told_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, load: float, told: bool
) -> None:
    async def run(_: argparse.Namespace) -> Figures:
        return {}

    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("sys.argv", ["bench"])
    assert main("queue", None, lambda _: None, run) == 0
    assert ("busy" in capsys.readouterr().err) is told


def test_a_person_reads_a_table() -> None:
    assert table({"a": 1.5, "longer": 20.0}).splitlines() == ["a              1.5", "longer          20"]


def test_a_bench_that_cannot_be_held_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(_: argparse.Namespace) -> Figures:
        raise EngineFailed("espeak-ng is not running")

    monkeypatch.setattr("sys.argv", ["bench"])
    assert main("queue", None, lambda _: None, run) == 2
    assert "espeak-ng is not running" in capsys.readouterr().err
