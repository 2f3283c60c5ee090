"""Whether a provider may be asked now: it rests after a failure and is left alone after several in a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
import time
from typing import Final

from .base import ContentFiltered, ProviderError, Rejected

FAILURES_TO_OPEN: Final = 5
PROBE_AFTER_S: Final = 30.0
COOL_DOWN_S: Final = 300.0
# A vendor's own waiting time is respected within these.
RETRY_AFTER_MIN_S: Final = 1.0
RETRY_AFTER_MAX_S: Final = 3600.0


class State(StrEnum):
    """`open`: nobody asks; `half_open`: one asks, and the answer decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, eq=False)
class Permit:
    """Leave to ask once; give it back with `succeeded`, `failed` or `abandoned`."""

    is_probe: bool


class Breaker:
    """Opens after FAILURES_TO_OPEN failures in a row and lets one probe through after PROBE_AFTER_S.

    `clock` counts seconds and never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._opened_at: float | None = None
        self._probe: Permit | None = None
        self._rests_until = 0.0
        self._barred_until = 0.0
        self.failures = 0

    @property
    def state(self) -> State:
        """How it stands now."""
        if self._opened_at is None:
            return State.CLOSED
        return State.HALF_OPEN if self._clock() - self._opened_at >= PROBE_AFTER_S else State.OPEN

    @property
    def rest_s(self) -> float:
        """For how long others are to be asked first; 0 when it need not rest."""
        return max(0.0, self._rests_until - self._clock(), self.barred_s)

    @property
    def barred_s(self) -> float:
        """For how long it may not be asked at all; 0 when it may, but for a probe that is under way."""
        until_probe_s = 0.0 if self._opened_at is None else self._opened_at + PROBE_AFTER_S - self._clock()
        return max(0.0, until_probe_s, self._barred_until - self._clock())

    def enter(self) -> Permit | None:
        """Leave to ask, None when it is to be left alone."""
        if self.barred_s > 0 or self._probe is not None:
            return None
        permit = Permit(is_probe=self._opened_at is not None)
        if permit.is_probe:
            self._probe = permit
        return permit

    def succeeded(self, permit: Permit) -> None:
        """It answered: whatever was held against it is forgotten, but for the vendor's own waiting time."""
        self._give_back(permit)
        self.forgive()

    def forgive(self) -> None:
        """It is known to be well."""
        self.failures = 0
        self._opened_at = None
        self._rests_until = 0.0

    def failed(self, permit: Permit, error: ProviderError) -> None:
        """It did not answer as it should."""
        self._give_back(permit)
        # A filter is no fault of the connection.
        if isinstance(error, ContentFiltered):
            self.forgive()
            return
        self._rest(error)
        if self._opened_at is not None and not permit.is_probe:
            # It was asked before the breaker opened; its failure is no news.
            return
        self.failures += 1
        if permit.is_probe or self.failures >= FAILURES_TO_OPEN:
            self._opened_at = self._clock()

    def abandoned(self, permit: Permit) -> None:
        """Nobody waited for what would come."""
        self._give_back(permit)

    def _rest(self, error: ProviderError) -> None:
        now = self._clock()
        if error.retry_after_s is not None:
            wait_s = min(max(error.retry_after_s, RETRY_AFTER_MIN_S), RETRY_AFTER_MAX_S)
            self._barred_until = max(self._barred_until, now + wait_s)
        elif not isinstance(error, Rejected):
            # The next request may be one that it accepts.
            self._rests_until = now + COOL_DOWN_S

    def _give_back(self, permit: Permit) -> None:
        if self._probe is permit:
            self._probe = None
