"""How much a device may ask for: commands a minute and an hour, and tokens of language models an hour.

A window slides: what was admitted at one moment counts until exactly a window's length later. What is refused does not
count, so somebody who keeps trying is heard again as soon as there is room, and not later for having tried.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
import itertools
import logging
import math
import time
from typing import Final, Literal, Protocol

_LOGGER = logging.getLogger(__name__)

MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
COMMANDS_PER_MINUTE: Final = 30
COMMANDS_PER_HOUR: Final = 300
# A turn of a language model takes two to six thousand, so that an hour of talk has room and a loop of a model has not.
TOKENS_PER_HOUR: Final = 400_000
_LIMIT_MAX: Final = 10_000
_TOKENS_MAX: Final = 1_000_000_000
# More devices than a home has; what comes beyond takes the place of the one that was quiet for longest.
DEVICES_MAX: Final = 1024
# As many tries of language models as one hour of commands can set off.
RESERVATIONS_MAX: Final = 4096
_DEVICE_ID_MAX_CHARS: Final = 255

# Floats of seconds do not add up exactly: what is within this of a window's edge has left it.
_EDGE_S: Final = 1e-9

Bound = Literal["minute", "hour", "tokens"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one device may have; raises ValueError for numbers that cannot be meant."""

    per_minute: int = COMMANDS_PER_MINUTE
    per_hour: int = COMMANDS_PER_HOUR
    tokens_per_hour: int = TOKENS_PER_HOUR

    def __post_init__(self) -> None:
        for name, limit, most in (
            ("commands a minute", self.per_minute, _LIMIT_MAX),
            ("commands an hour", self.per_hour, _LIMIT_MAX),
            ("tokens an hour", self.tokens_per_hour, _TOKENS_MAX),
        ):
            if not 1 <= limit <= most:
                raise ValueError(f"The limit of {limit} {name} is out of range: give 1 to {most}")


@dataclass(frozen=True, slots=True)
class LimitTable:
    """Who may have how much: a device's own limits, else those of the home."""

    home: Limits = field(default_factory=Limits)
    devices: Mapping[str, Limits] = field(default_factory=dict)

    def of(self, device_id: str) -> Limits:
        """The limits that hold for a device."""
        return self.devices.get(device_id, self.home)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a device may go on; when not, `bound` says which limit holds it back."""

    allowed: bool
    # Commands that are left in the tightest window, and tokens in the hour.
    remaining: int
    remaining_tokens: int
    # Seconds, rounded up to the millisecond, after which the same would be allowed; 0 when it is.
    retry_after_s: float
    # When `remaining` next grows (UTC); for a refusal, when the same would be allowed.
    reset_at: datetime
    bound: Bound | None = None
    # For `settle`; None when nothing was reserved.
    ticket: str | None = None


class RateLimiter(Protocol):
    """Counts what devices ask for."""

    async def admit(self, device_id: str, *, cost_tokens: int = 0) -> Verdict:
        """Counts a command, and reserves tokens for it when it is known to need them."""

    async def reserve(self, device_id: str, tokens: int) -> Verdict:
        """Reserves tokens within a command that was admitted; never waits for a window of commands."""

    async def settle(self, device_id: str, ticket: str, used_tokens: int) -> None:
        """Puts what was really used in the place of what was reserved; 0 gives all of it back."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a window, checked: a command or none, and tokens."""

    device_id: str
    limits: Limits
    commands: int
    tokens: int

    @classmethod
    def of(cls, device_id: str, limits: Limits, *, commands: int, tokens: int) -> Request:
        """Raises ValueError; more tokens than the hour has are taken as all of the hour, or they would wait for ever."""
        if not 0 < len(device_id) <= _DEVICE_ID_MAX_CHARS:
            raise ValueError(f"A device's id has 1 to {_DEVICE_ID_MAX_CHARS} characters, not {len(device_id)}")
        if tokens < 0:
            raise ValueError(f"{tokens} tokens cannot be reserved: give 0 or more")
        return cls(device_id, limits, commands, min(tokens, limits.tokens_per_hour))


def rounded_up_s(seconds: float) -> float:
    """To the next millisecond, so that waiting just so long is long enough; less than a nanosecond is nothing."""
    return max(0, math.ceil((seconds - _EDGE_S) * 1000)) / 1000


class Refusals:
    """Counts refusals by the limit that caused them, and logs the first of each row of them."""

    def __init__(self) -> None:
        self.by_bound: Counter[Bound] = Counter()
        self._held: dict[str, None] = {}

    def note(self, device_id: str, verdict: Verdict) -> None:
        """Call with every verdict."""
        if verdict.bound is None:
            self._held.pop(device_id, None)
            return
        self.by_bound[verdict.bound] += 1
        if device_id not in self._held:
            while len(self._held) >= DEVICES_MAX:
                self._held.pop(next(iter(self._held)))
            self._held[device_id] = None
            _LOGGER.info(
                "Device %s has used up its limit (%s) and is heard again in %.0f s",
                device_id,
                verdict.bound,
                verdict.retry_after_s,
            )


@dataclass(slots=True)
class _Reservation:
    at_s: float
    tokens: int


class _Log:
    """What one device was admitted for in the last hour, oldest first."""

    __slots__ = ("commands_s", "reservations", "tokens")

    def __init__(self) -> None:
        self.commands_s: list[float] = []
        self.reservations: dict[str, _Reservation] = {}
        self.tokens = 0

    @property
    def last_s(self) -> float:
        """When something was last admitted."""
        last = next(reversed(self.reservations.values())).at_s if self.reservations else -math.inf
        return max(last, self.commands_s[-1] if self.commands_s else -math.inf)

    def forget_until(self, horizon_s: float) -> None:
        """Drops what is as old as an hour."""
        del self.commands_s[: bisect_right(self.commands_s, horizon_s)]
        while self.reservations:
            ticket, oldest = next(iter(self.reservations.items()))
            if oldest.at_s > horizon_s and len(self.reservations) < RESERVATIONS_MAX:
                return
            self.drop(ticket)

    def drop(self, ticket: str) -> None:
        """Takes a reservation out of the window."""
        gone = self.reservations.pop(ticket, None)
        if gone is not None:
            self.tokens -= gone.tokens

    def in_window(self, now_s: float, window_s: float) -> int:
        """Commands that still count."""
        return len(self.commands_s) - bisect_right(self.commands_s, now_s - window_s + _EDGE_S)

    def wait_s(self, now_s: float, window_s: float, limit: int) -> float:
        """Seconds until the window has room for one more command."""
        if len(self.commands_s) < limit:
            return 0.0
        return max(0.0, self.commands_s[-limit] + window_s - now_s)

    def grows_in_s(self, now_s: float, window_s: float) -> float:
        """Seconds until the oldest command that counts no longer does."""
        first = bisect_right(self.commands_s, now_s - window_s + _EDGE_S)
        return self.commands_s[first] + window_s - now_s if first < len(self.commands_s) else 0.0

    def wait_tokens_s(self, now_s: float, tokens: int, limit: int) -> float:
        """Seconds until so many tokens are free."""
        lacking = self.tokens + tokens - limit
        if not tokens or lacking <= 0:
            return 0.0
        for reservation in self.reservations.values():
            lacking -= reservation.tokens
            if lacking <= 0:
                return reservation.at_s + HOUR_S - now_s
        return HOUR_S


class MemoryLimiter:
    """Exact for this process; `clock` is monotonic in seconds, `wall` only says when in the answers."""

    def __init__(
        self,
        table: LimitTable | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.table = table or LimitTable()
        self.refusals = Refusals()
        self._clock = clock
        self._wall = wall
        # The device that was quiet for longest comes first.
        self._logs: dict[str, _Log] = {}
        self._tickets = itertools.count()

    def __len__(self) -> int:
        """How many devices are remembered."""
        return len(self._logs)

    async def admit(self, device_id: str, *, cost_tokens: int = 0) -> Verdict:
        """Counts a command; raises ValueError for an id or tokens that cannot be."""
        return self._judge(Request.of(device_id, self.table.of(device_id), commands=1, tokens=cost_tokens))

    async def reserve(self, device_id: str, tokens: int) -> Verdict:
        """Reserves tokens alone; raises ValueError as `admit` does."""
        return self._judge(Request.of(device_id, self.table.of(device_id), commands=0, tokens=tokens))

    async def settle(self, device_id: str, ticket: str, used_tokens: int) -> None:
        """The tokens keep the time of their reservation; one that has left the window stays gone."""
        self.correct(device_id, ticket, used_tokens)

    def take(self, request: Request, ticket: str) -> Verdict:
        """Counts a request when there is room for it; a ticket is given by whoever asks, and lasts an hour."""
        now_s = self._clock()
        self._forget_the_quiet(now_s)
        limits = request.limits
        log = self._logs.get(request.device_id) or _Log()
        log.forget_until(now_s - HOUR_S)
        waits: dict[Bound, float] = {"tokens": log.wait_tokens_s(now_s, request.tokens, limits.tokens_per_hour)}
        if request.commands:
            waits["minute"] = log.wait_s(now_s, MINUTE_S, limits.per_minute)
            waits["hour"] = log.wait_s(now_s, HOUR_S, limits.per_hour)
        bound = max(waits, key=lambda name: waits[name])
        wait_s = rounded_up_s(waits[bound])
        if not wait_s:
            self._count(request, log, now_s, ticket)
        remaining, grows_in_s = _room(log, limits, now_s)
        return Verdict(
            allowed=not wait_s,
            remaining=remaining,
            remaining_tokens=max(0, limits.tokens_per_hour - log.tokens),
            retry_after_s=wait_s,
            reset_at=self._wall() + timedelta(seconds=wait_s or grows_in_s),
            bound=bound if wait_s else None,
            ticket=ticket if request.tokens and not wait_s else None,
        )

    def correct(self, device_id: str, ticket: str, used_tokens: int) -> None:
        """See `settle`."""
        log = self._logs.get(device_id)
        reservation = log.reservations.get(ticket) if log else None
        if log is None or reservation is None:
            return
        if used_tokens <= 0:
            log.drop(ticket)
            return
        log.tokens += used_tokens - reservation.tokens
        reservation.tokens = used_tokens

    def take_back(self, request: Request, ticket: str) -> None:
        """Uncounts the newest request of a device, which another limiter has refused."""
        log = self._logs.get(request.device_id)
        if log is not None:
            log.drop(ticket)
            if request.commands and log.commands_s:
                log.commands_s.pop()

    def _judge(self, request: Request) -> Verdict:
        verdict = self.take(request, f"{next(self._tickets):x}")
        self.refusals.note(request.device_id, verdict)
        return verdict

    def _count(self, request: Request, log: _Log, now_s: float, ticket: str) -> None:
        log.commands_s.extend([now_s] * request.commands)
        if request.tokens:
            log.reservations[ticket] = _Reservation(now_s, request.tokens)
            log.tokens += request.tokens
        self._logs.pop(request.device_id, None)
        if len(self._logs) >= DEVICES_MAX:
            self._logs.pop(next(iter(self._logs)))
        self._logs[request.device_id] = log

    def _forget_the_quiet(self, now_s: float) -> None:
        while self._logs:
            device_id, log = next(iter(self._logs.items()))
            if log.last_s > now_s - HOUR_S:
                return
            del self._logs[device_id]


def _room(log: _Log, limits: Limits, now_s: float) -> tuple[int, float]:
    """Commands left in the tightest window, and seconds until there is one more."""
    windows = ((limits.per_minute, MINUTE_S), (limits.per_hour, HOUR_S))
    rooms = [(max(0, limit - log.in_window(now_s, window_s)), window_s) for limit, window_s in windows]
    remaining, window_s = min(rooms)
    return remaining, log.grows_in_s(now_s, window_s)
