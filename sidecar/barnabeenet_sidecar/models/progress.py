"""Shows how far a pull is: a bar on a terminal, a line every tenth elsewhere."""

from __future__ import annotations

from collections.abc import Callable
import shutil
import time
from typing import TextIO

from .pull import Progress

_REDRAW_S = 0.1
_BAR_CHARS = 24
_NAME_LEAST_CHARS = 12
_LINE_EVERY_BYTES = 100 * 10**6


class ProgressBar:
    """Redraws one line; `close` ends it."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._began: tuple[float, int] | None = None
        self._drawn_at = float("-inf")
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Draws, ten times a second at most; the whole is always drawn."""
        now = self._clock()
        self._began = self._began or (now, progress.done)
        if now - self._drawn_at < _REDRAW_S and progress.done != progress.total:
            return
        self._drawn_at = now
        line = _fitting(progress.file, _bar(progress), _amount(progress) + self._rate(progress, now))
        self._stream.write(f"\r{line:<{self._width}}")
        self._stream.flush()
        self._width = len(line)

    def close(self) -> None:
        """Leaves the line as it is and goes to the next."""
        if self._width:
            self._stream.write("\n")

    def _rate(self, progress: Progress, now: float) -> str:
        began_at, began_with = self._began or (now, progress.done)
        if now - began_at < 1 or progress.done <= began_with:
            return ""
        per_s = (progress.done - began_with) / (now - began_at)
        if progress.total is None:
            return f"  {size(per_s)}/s"
        left_s = round((progress.total - progress.done) / per_s)
        return f"  {size(per_s)}/s  {left_s // 60}:{left_s % 60:02d} left"


class ProgressLines:
    """One line when a tenth more is here, or 100 MB where the whole is not known."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last_step = -1

    def __call__(self, progress: Progress) -> None:
        """Writes a line when there is something new to say."""
        step = 10 * progress.done // progress.total if progress.total else progress.done // _LINE_EVERY_BYTES
        if step > self._last_step:
            self._last_step = step
            self._stream.write(f"{progress.model}: {_amount(progress)}\n")
            self._stream.flush()

    def close(self) -> None:
        """Has nothing to end."""


def display(stream: TextIO) -> ProgressBar | ProgressLines:
    """What suits a stream."""
    return ProgressBar(stream) if stream.isatty() else ProgressLines(stream)


def size(count: float) -> str:
    """Bytes for people."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def _fitting(file: str, bar: str, amount: str) -> str:
    """One line of the terminal, since a longer one could not be redrawn: the file's name gives way, then the bar."""
    room = shutil.get_terminal_size().columns - 1
    if room < _NAME_LEAST_CHARS + 2 + len(bar) + len(amount):
        bar = ""
    name_chars = max(room - 2 - len(bar) - len(amount), 0)
    name = file if len(file) <= name_chars else f"...{file[len(file) - name_chars + 3 :]}"
    return f"{name}  {bar}{amount}"[:room]


def _bar(progress: Progress) -> str:
    if not progress.total:
        return ""
    filled = _BAR_CHARS * progress.done // progress.total
    return f"[{'#' * filled}{'.' * (_BAR_CHARS - filled)}]  "


def _amount(progress: Progress) -> str:
    if not progress.total:
        return size(progress.done)
    return f"{100 * progress.done // progress.total} % of {size(progress.total)}"
