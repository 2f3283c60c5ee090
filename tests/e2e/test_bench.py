"""The bench's arithmetic, what it says when there is nothing to compare, and which benches there are."""

from __future__ import annotations

from pathlib import Path
import subprocess

import pytest

from script.home.bench_turn import questions
from script.home.bench_voice import OURS, STOCK, Tally, figures, sample, table
from script.home.process import ProcessFailed


def tally(right: int, reply_text: list[float | None], first_audio: list[float | None]) -> Tally:
    return Tally(right, {"reply_text": reply_text, "first_audio": first_audio})


def test_ratios_are_of_medians_over_the_commands_that_both_answered() -> None:
    found = figures(
        {
            STOCK: tally(2, [1000.0, 1200.0, 9000.0], [1100.0, 1300.0, None]),
            OURS: tally(3, [400.0, 480.0, 500.0], [450.0, 510.0, 70.0]),
        }
    )
    assert found["stock_first_audio_ms"] == 1200
    assert found["ours_first_audio_ms"] == 480
    assert found["ratio_first_audio"] == 0.4
    assert found["ratio_reply_text"] == pytest.approx(480 / 1200)
    assert (found["stock_right"], found["ours_right"], found["commands"]) == (2, 3, 3)


def test_without_an_answer_from_both_there_is_no_ratio() -> None:
    with pytest.raises(ProcessFailed, match="first audio"):
        figures({STOCK: tally(0, [900.0], [None]), OURS: tally(1, [300.0], [350.0])})


def test_a_person_reads_times_and_counts() -> None:
    text = table(figures({STOCK: tally(1, [1000.0], [1100.0]), OURS: tally(1, [500.0], [550.0])}))
    assert "1100 ms" in text
    assert "0.50" in text
    assert "of 1" in text


def test_the_sample_is_spread_over_the_known_commands(recordings: Path) -> None:
    chosen = sample(recordings, 16)
    assert len(chosen) == len(set(chosen)) == 16
    assert {path.parent.name for path in chosen} == {"s2p_en_gen", "s2p_en_human"}
    assert not [path for path in chosen if path.stem.startswith("oov")]
    assert sample(recordings, 1000) == sample(recordings, 53)


def test_without_recordings_there_is_no_sample(tmp_path: Path) -> None:
    assert sample(tmp_path, 16) == []


@pytest.mark.parametrize("name", ["", "nothing", "../home/bench_voice", "voice.py"])
def test_without_the_name_of_a_bench_the_benches_are_told(root: Path, name: str) -> None:
    told = subprocess.run([root / "script" / "bench", name], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stdout == ""
    listed = told.stderr.partition("one of: ")[2].partition(" (")[0].split()
    assert {"voice", "turn", "sidecar", "queue"} <= set(listed)


def test_no_question_is_asked_twice_so_that_no_kept_answer_counts() -> None:
    asked = questions(30, ("what are {}", "why are there {}", "who likes {}"))
    assert len(set(asked)) == 30
