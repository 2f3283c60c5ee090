"""How long a job in a thread may take, and a way to end it early."""

from __future__ import annotations

from time import monotonic

from .errors import TooLong


class Bound:
    """For one job of at most so many seconds; may be stopped from any thread."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends_s = monotonic() + seconds
        self._stopped = False

    def stop(self) -> None:
        """Ends the job at its next look."""
        self._stopped = True

    def is_over(self) -> bool:
        """Whether the job has to end; SQLite's progress handler takes it as it is."""
        return self._stopped or monotonic() >= self._ends_s

    def check(self) -> None:
        """Raises TooLong once the job has to end."""
        if self.is_over():
            raise TooLong(self.why())

    def why(self) -> str:
        """What to tell of a job that did not come to its end."""
        return "It was stopped" if self._stopped else f"It took longer than {self._seconds:.0f} seconds"
