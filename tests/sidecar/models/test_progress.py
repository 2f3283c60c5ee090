"""How a pull looks on a terminal and in a log."""

from __future__ import annotations

import io

import pytest

from barnabeenet_sidecar.models.progress import ProgressBar, ProgressLines, display, size
from barnabeenet_sidecar.models.pull import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def at(done: int, total: int | None = 1000, file: str = "model.onnx") -> Progress:
    return Progress("ears", file, done, total)


def test_a_terminal_gets_a_bar_and_anything_else_lines() -> None:
    assert isinstance(display(Terminal()), ProgressBar)
    assert isinstance(display(io.StringIO()), ProgressLines)


def test_the_bar_is_redrawn_in_its_place() -> None:
    terminal, clock = Terminal(), Clock()
    bar = ProgressBar(terminal, clock)
    bar(at(0))
    clock.now_s = 1
    bar(at(500))
    bar.close()
    first, second = terminal.getvalue().removesuffix("\n").split("\r")[1:]
    assert first.startswith("model.onnx  [........................]  0 % of 1.0 kB")
    assert second == "model.onnx  [############............]  50 % of 1.0 kB  500 B/s  0:01 left"
    assert terminal.getvalue().endswith("\n")


def test_a_shorter_line_hides_the_one_before() -> None:
    terminal, clock = Terminal(), Clock()
    bar = ProgressBar(terminal, clock)
    bar(at(10, file="encoder-model.onnx.data"))
    clock.now_s = 0.5
    bar(at(20, file="a"))
    first, second = terminal.getvalue().split("\r")[1:]
    assert len(second) == len(first)


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 120])
def test_a_line_never_wraps(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    terminal, clock = Terminal(), Clock()
    bar = ProgressBar(terminal, clock)
    bar(at(0, 2_549_805_955, "encoder-model.onnx.data"))
    clock.now_s = 60
    bar(at(1_049_805_955, 2_549_805_955, "encoder-model.onnx.data"))
    line = terminal.getvalue().split("\r")[-1]
    assert len(line) < columns
    assert ("[#" in line) == (columns >= 80)
    assert ".onnx.data" in line or columns < 60
    if columns >= 60:
        assert line.endswith("41 % of 2.5 GB  17.5 MB/s  1:26 left")


def test_the_bar_is_not_redrawn_all_the_time_but_always_at_the_end() -> None:
    terminal, clock = Terminal(), Clock()
    bar = ProgressBar(terminal, clock)
    for done in range(1001):
        clock.now_s = done / 1000
        bar(at(done))
    assert 10 <= terminal.getvalue().count("\r") <= 12
    assert "100 % of 1.0 kB" in terminal.getvalue()


def test_the_rate_counts_only_what_this_pull_brought() -> None:
    terminal, clock = Terminal(), Clock()
    bar = ProgressBar(terminal, clock)
    bar(at(800))
    clock.now_s = 2
    bar(at(900))
    assert terminal.getvalue().endswith("90 % of 1.0 kB  50 B/s  0:02 left")


def test_without_a_whole_the_bar_says_what_is_here() -> None:
    terminal, clock = Terminal(), Clock()
    bar = ProgressBar(terminal, clock)
    bar(at(0, None))
    clock.now_s = 2
    bar(at(5_000_000, None))
    assert terminal.getvalue().endswith("model.onnx  5.0 MB  2.5 MB/s")


def test_a_bar_that_was_never_drawn_ends_without_a_line() -> None:
    terminal = Terminal()
    ProgressBar(terminal).close()
    assert terminal.getvalue() == ""


def test_a_log_gets_a_line_every_tenth() -> None:
    log = io.StringIO()
    lines = ProgressLines(log)
    for done in range(1001):
        lines(at(done))
    assert log.getvalue().splitlines() == [f"ears: {percent} % of 1.0 kB" for percent in range(0, 101, 10)]


def test_a_log_gets_a_line_every_hundred_megabytes_of_an_unknown_whole() -> None:
    log = io.StringIO()
    lines = ProgressLines(log)
    for done in range(0, 250_000_001, 10_000_000):
        lines(at(done, None))
    assert log.getvalue().splitlines() == ["ears: 0 B", "ears: 100.0 MB", "ears: 200.0 MB"]


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2549805955, "2.5 GB")])
def test_sizes_are_for_people(count: int, text: str) -> None:
    assert size(count) == text
