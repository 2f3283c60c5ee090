"""How much may be spent, and what is still allowed when little of it is left: green, yellow, red.

Knows no database and no timer: it is told what was spent and asks its clocks when it is asked something.

A level is left only when the sum has fallen BAND_PERCENT of the day's limit below where it began. Sums fall when a
provider's own figure replaces a dear estimate; five cents of a dollar are more than one call is ever corrected by, and so
little that no level outlives its cause. What a person changes (a limit, the time zone) counts at once, without the band.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
import logging
import time
from typing import Final, Literal

from .ledger import QUARTER_MS, Spent, at_ms
from .money import MICRO_PER_USD, Tier, dollars
from .periods import day_of, month_of

_LOGGER = logging.getLogger(__name__)

YELLOW_FROM_PERCENT: Final = 50
RED_ABOVE_PERCENT: Final = 80
BAND_PERCENT: Final = 5
COMPLEX_PER_HOUR: Final = 4
# The longest month, wherever its first day began, and a clock that is set back.
KEPT: Final = timedelta(days=33)
_EVER: Final = datetime.fromtimestamp(0, UTC)
_LIMIT_MAX_USD: Final = 100_000
_HOUR_S: Final = 3600.0

# A basic command (understood as one; a language model only helps), talk, and what needs a powerful model.
Purpose = Literal["command", "interaction", "complex"]


class Level(StrEnum):
    """How much of the day's money is left."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class Reason(StrEnum):
    """Why something is not allowed, for whoever puts it into words."""

    LOCAL_ONLY = "local_only"
    DAY_USED_UP = "day_used_up"
    MONTH_USED_UP = "month_used_up"
    SAVING = "saving"
    SAVING_COMPLEX = "saving_complex"
    TIER_USED_UP = "tier_used_up"
    PROVIDER_USED_UP = "provider_used_up"


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """Millionths of a US dollar; raises ValueError. A tier or provider without a limit has only the day's and month's."""

    day: int = 1 * MICRO_PER_USD
    month: int = 25 * MICRO_PER_USD
    tiers: Mapping[Tier, int] = field(default_factory=lambda: {"cloud_fast": 300_000, "cloud_powerful": 500_000})
    providers: Mapping[str, int] = field(default_factory=dict)
    complex_per_hour: int = COMPLEX_PER_HOUR

    def __post_init__(self) -> None:
        for limit in (self.day, self.month, *self.tiers.values(), *self.providers.values()):
            if not 0 <= limit <= _LIMIT_MAX_USD * MICRO_PER_USD:
                raise ValueError(f"A budget of {dollars(limit)} is out of range: give 0 to {_LIMIT_MAX_USD:,} USD")
        if not 0 <= self.complex_per_hour <= 1000:
            raise ValueError(f"{self.complex_per_hour} complex questions an hour are out of range: give 0 to 1000")


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a model may be asked; when not, why, and when that ends (UTC) as far as the clock alone ends it."""

    allowed: bool
    level: Level
    reason: Reason | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """Where the money stands: millionths of a US dollar, and the ends of day and month (UTC)."""

    level: Level
    day: int
    month: int
    tiers: Mapping[Tier, int]
    providers: Mapping[str, int]
    limits: BudgetLimits
    local_only: bool
    day_level: Level
    month_over: bool
    day_ends: datetime
    month_ends: datetime


@dataclass(frozen=True, slots=True)
class Saved:
    """What a restart must not forget beside the sums."""

    day_level: Level
    day_ends: datetime
    month_over: bool
    month_ends: datetime
    local_only: bool
    counted_from: datetime


# What listeners are told of when it changes, and what is saved.
_Told = tuple[Level, bool, bool, datetime, datetime]


class Budget:
    """Adds up and decides; `now` is UTC, `zone` the home's, `clock` monotonic; all three are asked again each time."""

    def __init__(
        self,
        limits: BudgetLimits | None = None,
        *,
        zone: Callable[[], tzinfo],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits or BudgetLimits()
        self._zone, self._now, self._clock = zone, now, clock
        self._spent: dict[tuple[int, Tier, str], int] = {}
        self._complex: deque[tuple[float, str]] = deque()
        self._listeners: list[Callable[[], None]] = []
        self._local_only = False
        self._counted_from = _EVER
        self._in_zone: tzinfo = zone()
        self._day = day_of(now(), self._in_zone)
        self._month = month_of(now(), self._in_zone)
        self._day_level, self._month_over = Level.GREEN, False
        self._add_up()

    @property
    def limits(self) -> BudgetLimits:
        """Replaced when a person changes them."""
        return self._limits

    @limits.setter
    def limits(self, limits: BudgetLimits) -> None:
        before, former = self._told(), self._limits
        self._limits = limits
        if (limits.day, limits.month) != (former.day, former.month):
            self._day_level, self._month_over = Level.GREEN, False
            self._judge()
        self._tell(before)

    @property
    def local_only(self) -> bool:
        """The switch that keeps everything in the house."""
        return self._local_only

    @local_only.setter
    def local_only(self, wanted: bool) -> None:
        before = self._told()
        self._local_only = wanted
        self._tell(before)

    def load(self, spent: Iterable[Spent], saved: Saved | None) -> None:
        """Begins with what the ledger says and with the levels that held when it was last heard of."""
        self._spent.clear()
        for quarter, tier, provider, micro in spent:
            key = (quarter, tier, provider)
            self._spent[key] = self._spent.get(key, 0) + micro
        self._turn_the_page(self._now())
        self._day_level, self._month_over = Level.GREEN, False
        if saved is not None:
            self._local_only, self._counted_from = saved.local_only, saved.counted_from
            # A level of another day says nothing of this one.
            self._day_level = saved.day_level if saved.day_ends == self._day.end else Level.GREEN
            self._month_over = saved.month_over and saved.month_ends == self._month.end
        self._add_up()

    def spend(self, at: datetime, tier: Tier, provider: str, micro: int) -> None:
        """Counts what was spent at a time; less than nothing is a correction of what was counted then."""
        self._refresh()
        if at < self._counted_from:
            return
        before = self._told()
        quarter = at_ms(at) // QUARTER_MS
        key = (quarter, tier, provider)
        was = self._spent.pop(key, 0)
        now = max(0, was + micro)
        if now:
            self._spent[key] = now
        self._count(quarter, tier, provider, now - was)
        self._judge()
        self._tell(before)

    def reset(self) -> None:
        """Begins at nothing, the day and the month; what is spent from now on counts."""
        self._refresh()
        before = self._told()
        self._spent.clear()
        self._complex.clear()
        self._counted_from = self._now()
        self._day_level, self._month_over = Level.GREEN, False
        self._add_up()
        self._tell(before)

    def allows(self, tier: Tier, purpose: Purpose, *, provider: str | None = None, turn: str = "") -> Decision:
        """Whether a model may be asked now; all that is asked for one complex turn counts as one question."""
        self._refresh()
        level = self.level
        reason = self._objection(tier, purpose, provider, level)
        until = self._end_of(reason)
        if reason is None and level is Level.YELLOW and purpose == "complex" and tier not in ("instant", "local"):
            wait_s = self._wait_for_complex_s(turn)
            if wait_s:
                reason, until = Reason.SAVING_COMPLEX, min(self._day.end, self._now() + timedelta(seconds=wait_s))
        return Decision(reason is None, level, reason, until)

    @property
    def level(self) -> Level:
        """Red also when the month is used up."""
        self._refresh()
        return Level.RED if self._month_over else self._day_level

    def status(self) -> Status:
        """Everything about the money now."""
        return Status(
            self.level,
            self._day_sum,
            self._month_sum,
            dict(self._tier_sums),
            dict(self._provider_sums),
            self._limits,
            self._local_only,
            self._day_level,
            self._month_over,
            self._day.end,
            self._month.end,
        )

    def saved(self) -> Saved:
        """For `load` after a restart."""
        self._refresh()
        return Saved(
            self._day_level, self._day.end, self._month_over, self._month.end, self._local_only, self._counted_from
        )

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls the listener when level, day, switch or the counter's start have changed, until the returned function is called.

        Nothing happens by itself: whoever shows the level asks again at the end of the day that `status` names.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    # Deciding

    def _objection(self, tier: Tier, purpose: Purpose, provider: str | None, level: Level) -> Reason | None:
        if tier == "instant" or (tier == "local" and purpose == "command"):
            return None
        if self._local_only and tier != "local":
            return Reason.LOCAL_ONLY
        if level is Level.RED:
            return Reason.MONTH_USED_UP if self._month_over else Reason.DAY_USED_UP
        if tier == "local":
            return None
        if level is Level.YELLOW and purpose == "interaction":
            return Reason.SAVING
        return self._share_used_up(tier, provider or "")

    def _share_used_up(self, tier: Tier, provider: str) -> Reason | None:
        tier_limit, provider_limit = self._limits.tiers.get(tier), self._limits.providers.get(provider)
        if tier_limit is not None and self._tier_sums.get(tier, 0) >= tier_limit:
            return Reason.TIER_USED_UP
        if provider_limit is not None and self._provider_sums.get(provider, 0) >= provider_limit:
            return Reason.PROVIDER_USED_UP
        return None

    def _end_of(self, reason: Reason | None) -> datetime | None:
        if reason in (None, Reason.LOCAL_ONLY):
            return None
        return self._month.end if reason is Reason.MONTH_USED_UP else self._day.end

    def _wait_for_complex_s(self, turn: str) -> float:
        """Takes a place for a complex question; seconds to wait when there is none."""
        now_s = self._clock()
        while self._complex and self._complex[0][0] <= now_s - _HOUR_S:
            self._complex.popleft()
        if turn and any(turn == known for _, known in self._complex):
            return 0.0
        most = self._limits.complex_per_hour
        if len(self._complex) >= most:
            return self._complex[-most][0] + _HOUR_S - now_s if most else _HOUR_S
        self._complex.append((now_s, turn))
        return 0.0

    # Adding up

    def _refresh(self) -> None:
        now = self._now()
        if now in self._day and self._zone() == self._in_zone:
            return
        before = self._told()
        self._turn_the_page(now)
        self._add_up()
        self._tell(before)

    def _turn_the_page(self, now: datetime) -> None:
        """Begins another day or month where there is one, also because the zone is another; forgets what is too old."""
        zone = self._zone()
        day, month = day_of(now, zone), month_of(now, zone)
        self._in_zone = zone
        if day != self._day:
            self._day, self._day_level = day, Level.GREEN
        if month != self._month:
            self._month, self._month_over = month, False
        oldest = at_ms(now - KEPT) // QUARTER_MS
        for key in [key for key in self._spent if key[0] < oldest]:
            del self._spent[key]

    def _add_up(self) -> None:
        self._day_sum = self._month_sum = 0
        self._tier_sums: dict[Tier, int] = {}
        self._provider_sums: dict[str, int] = {}
        for (quarter, tier, provider), micro in self._spent.items():
            self._count(quarter, tier, provider, micro)
        self._judge()

    def _count(self, quarter: int, tier: Tier, provider: str, micro: int) -> None:
        moment = datetime.fromtimestamp(quarter * QUARTER_MS / 1000, UTC)
        if moment in self._month:
            self._month_sum += micro
        if moment in self._day:
            self._day_sum += micro
            self._tier_sums[tier] = self._tier_sums.get(tier, 0) + micro
            self._provider_sums[provider] = self._provider_sums.get(provider, 0) + micro

    def _judge(self) -> None:
        limits = self._limits
        self._day_level = _next_level(self._day_level, self._day_sum, limits.day)
        falls_below = 100 - (BAND_PERCENT if self._month_over else 0)
        self._month_over = self._month_sum * 100 >= falls_below * limits.month

    def _told(self) -> _Told:
        return self._day_level, self._month_over, self._local_only, self._day.end, self._counted_from

    def _tell(self, before: _Told) -> None:
        if self._told() == before:
            return
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception:
                _LOGGER.exception("A subscriber of the budget failed")


def _next_level(level: Level, spent: int, limit: int) -> Level:
    """The level after one sum, kept while the sum is within the band under where it began."""
    if limit == 0:
        return Level.RED
    red_over = RED_ABOVE_PERCENT - (BAND_PERCENT if level is Level.RED else 0)
    if spent * 100 > red_over * limit:
        return Level.RED
    yellow_from = YELLOW_FROM_PERCENT - (BAND_PERCENT if level is not Level.GREEN else 0)
    return Level.YELLOW if spent * 100 >= yellow_from * limit else Level.GREEN
