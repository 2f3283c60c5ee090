"""The same limits counted in Redis, so that they hold over several Home Assistants; without Redis each counts alone.

One script does all of a request at once on Redis' own clock: no other process comes between looking and counting, and
what a host's clock does is of no consequence. Home Assistant's own count goes on beside it. It takes over at the first
failure with what it knows already, and it goes on holding after Redis has come back empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import logging
import time
from typing import Any, Final, cast
from uuid import uuid4

from redis.asyncio import Redis

from .errors import StateError, Unavailable
from .rate_limit import Bound, Limits, LimitTable, MemoryLimiter, Refusals, Request, Verdict, rounded_up_s
from .redis import REDIS_ERRORS

_LOGGER = logging.getLogger(__name__)

# It takes a fraction of a millisecond. One turn waits so long when Redis is gone without a word; a busy event loop may
# take a good part of it, and counting alone for a while is worse than waiting a little.
ANSWER_S: Final = 0.5
FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 30.0

# Scores are whole microseconds, written with '%.0f': Lua's own conversion keeps only 14 digits of a number.
_TAKE: Final = """
local commands_key, tokens_key = KEYS[1], KEYS[2]
local ticket, commands, tokens = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local per_minute, per_hour, tokens_per_hour = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local MINUTE, HOUR, SECOND = 60000000, 3600000000, 1000000

local time = redis.call('TIME')
local now = tonumber(time[1]) * SECOND + tonumber(time[2])
local function exact(number) return string.format('%.0f', number) end

-- What is older than an hour counts no more; what lies ahead was left there by a clock of Redis that was set back.
for _, key in ipairs(KEYS) do
    redis.call('ZREMRANGEBYSCORE', key, '-inf', exact(now - HOUR))
    redis.call('ZREMRANGEBYSCORE', key, '(' .. exact(now + SECOND), '+inf')
end
redis.call('ZREMRANGEBYRANK', tokens_key, 0, -4097)

local function tokens_of(member) return tonumber(string.match(member, ':(%d+)$')) end
local reservations = redis.call('ZRANGE', tokens_key, 0, -1, 'WITHSCORES')
local reserved = 0
for index = 1, #reservations, 2 do reserved = reserved + tokens_of(reservations[index]) end

local function wait_for_command(window, limit)
    local last = redis.call('ZRANGE', commands_key, -limit, -limit, 'WITHSCORES')
    return last[2] and math.max(0, tonumber(last[2]) + window - now) or 0
end

local function wait_for_tokens()
    local lacking = reserved + tokens - tokens_per_hour
    if tokens == 0 or lacking <= 0 then return 0 end
    for index = 1, #reservations, 2 do
        lacking = lacking - tokens_of(reservations[index])
        if lacking <= 0 then return tonumber(reservations[index + 1]) + HOUR - now end
    end
    return HOUR
end

local bound, wait = '', 0
-- A request that comes again, because its answer was lost on the way, has its place already.
local known = redis.call('ZSCORE', commands_key, ticket) or redis.call('ZSCORE', tokens_key, ticket)
if not known then
    local waits = {tokens = wait_for_tokens()}
    if commands > 0 then
        waits.minute = wait_for_command(MINUTE, per_minute)
        waits.hour = wait_for_command(HOUR, per_hour)
    end
    for name, needed in pairs(waits) do
        if needed > wait then bound, wait = name, needed end
    end
    if wait == 0 and commands > 0 then
        redis.call('ZADD', commands_key, exact(now), ticket)
        redis.call('PEXPIRE', commands_key, 3601000)
    end
    if wait == 0 and tokens > 0 then
        redis.call('ZADD', tokens_key, exact(now), ticket)
        redis.call('PEXPIRE', tokens_key, 3601000)
        reserved = reserved + tokens
    end
end

local function room(window, limit)
    local count = redis.call('ZCOUNT', commands_key, '(' .. exact(now - window), '+inf')
    return math.max(0, limit - count), count
end
local left_in_minute, in_minute = room(MINUTE, per_minute)
local left_in_hour, in_hour = room(HOUR, per_hour)
local left, window, count = left_in_minute, MINUTE, in_minute
if left_in_hour < left then left, window, count = left_in_hour, HOUR, in_hour end
local grows = 0
if count > 0 then
    local oldest = redis.call('ZRANGE', commands_key, -count, -count, 'WITHSCORES')
    grows = tonumber(oldest[2]) + window - now
end
return {bound, left, math.max(0, tokens_per_hour - reserved), exact(wait), exact(grows), exact(now)}
"""

# A ticket is its member, so that a second settlement finds nothing to settle.
_SETTLE: Final = """
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
if tonumber(ARGV[2]) > 0 then
    redis.call('ZADD', KEYS[1], score, string.match(ARGV[1], '^[^:]*') .. ':settled:' .. ARGV[2])
end
return 1
"""


def new_ticket(tokens: int) -> str:
    """Names a request and says how many tokens it reserves."""
    return f"{uuid4().hex}:{tokens}"


class RedisLimiter:
    """The count of a home in the Redis of `open_redis`; raises Unavailable when it does not answer as it should."""

    def __init__(self, redis: Redis, home: str) -> None:
        self._prefix = f"barnabeenet:rate:{home}"
        self._take = redis.register_script(_TAKE)
        self._settle = redis.register_script(_SETTLE)

    async def take(self, request: Request, ticket: str) -> Verdict:
        """Counts a request when there is room for it; the same ticket is never counted twice."""
        limits = request.limits
        numbers = (request.commands, request.tokens, limits.per_minute, limits.per_hour, limits.tokens_per_hour)
        answer = await self._call(self._take, self._keys(request.device_id), (ticket, *numbers))
        try:
            bound, left, tokens_left, wait_us, grows_us, now_us = answer[0], *map(int, answer[1:])
        except (TypeError, ValueError, LookupError) as error:
            raise Unavailable(f"Redis gave an answer that makes no sense: {str(answer)[:100]}") from error
        later_us = wait_us or grows_us
        return Verdict(
            allowed=not wait_us,
            remaining=left,
            remaining_tokens=tokens_left,
            retry_after_s=rounded_up_s(wait_us / 1e6),
            reset_at=datetime.fromtimestamp(now_us / 1e6, UTC) + timedelta(microseconds=later_us),
            bound=cast(Bound, bound) if wait_us else None,
            ticket=ticket if request.tokens and not wait_us else None,
        )

    async def correct(self, device_id: str, ticket: str, used_tokens: int) -> None:
        """Settles a reservation that is still in the window."""
        await self._call(self._settle, self._keys(device_id)[1:], (ticket, max(0, used_tokens)))

    def _keys(self, device_id: str) -> list[str]:
        return [f"{self._prefix}:{{{device_id}}}:commands", f"{self._prefix}:{{{device_id}}}:tokens"]

    async def _call(self, script: Any, keys: list[str], arguments: tuple[str | int, ...]) -> Any:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await script(keys=keys, args=list(arguments))
        except REDIS_ERRORS as error:
            raise Unavailable(f"Redis does not count: {str(error) or type(error).__name__}") from error


_PROBE: Final = Request("(probe)", Limits(per_minute=10_000, per_hour=10_000), commands=1, tokens=0)


class SharedLimiter:
    """Counts in Redis and beside it in this process: a request needs room in both.

    What this process has counted is a part of what Redis has, so its own refusal is Redis' too and costs no way there.
    While Redis is away requests look after it, at most one at a time and without waiting for what it finds.
    """

    def __init__(
        self,
        redis: Redis,
        home: str,
        table: LimitTable | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.refusals = Refusals()
        self._client = redis
        self._redis = RedisLimiter(redis, home)
        self._memory = MemoryLimiter(table, clock=clock, wall=wall)
        self._clock = clock
        self._away: StateError | None = None
        self._retry_s = FIRST_RETRY_S
        self._retry_at_s = 0.0
        self._probing: asyncio.Task[None] | None = None

    @property
    def table(self) -> LimitTable:
        """The limits; may be replaced at any time."""
        return self._memory.table

    @table.setter
    def table(self, table: LimitTable) -> None:
        self._memory.table = table

    @property
    def error(self) -> StateError | None:
        """Why each Home Assistant counts alone now; None while Redis counts."""
        return self._away

    async def admit(self, device_id: str, *, cost_tokens: int = 0) -> Verdict:
        """Counts a command; raises ValueError for an id or tokens that cannot be, and nothing when Redis is away."""
        return await self._judge(Request.of(device_id, self.table.of(device_id), commands=1, tokens=cost_tokens))

    async def reserve(self, device_id: str, tokens: int) -> Verdict:
        """Reserves tokens alone."""
        return await self._judge(Request.of(device_id, self.table.of(device_id), commands=0, tokens=tokens))

    async def settle(self, device_id: str, ticket: str, used_tokens: int) -> None:
        """Settles on both sides; when Redis misses it, the reservation stays there until its hour is over."""
        self._memory.correct(device_id, ticket, used_tokens)
        if self._away is None:
            try:
                await self._redis.correct(device_id, ticket, used_tokens)
            except Unavailable as error:
                self._lose(error)

    async def close(self) -> None:
        """Stops looking after Redis and closes its client."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        await self._client.aclose()

    async def _judge(self, request: Request) -> Verdict:
        verdict = await self._ask_both(request, new_ticket(request.tokens))
        self.refusals.note(request.device_id, verdict)
        return verdict

    async def _ask_both(self, request: Request, ticket: str) -> Verdict:
        mine = self._memory.take(request, ticket)
        if not mine.allowed:
            return mine
        if self._away is not None:
            self._look_after_it()
            return mine
        try:
            theirs = await self._redis.take(request, ticket)
        except Unavailable as error:
            self._lose(error)
            return mine
        if not theirs.allowed:
            self._memory.take_back(request, ticket)
            return theirs
        tighter = min(theirs, mine, key=lambda verdict: verdict.remaining)
        return replace(tighter, remaining_tokens=min(theirs.remaining_tokens, mine.remaining_tokens))

    def _lose(self, error: StateError) -> None:
        if self._away is None:
            _LOGGER.warning("%s; until it does, limits hold for this Home Assistant alone", error)
            self._retry_s = FIRST_RETRY_S
            self._retry_at_s = self._clock() + self._retry_s
        self._away = error

    def _look_after_it(self) -> None:
        if self._clock() >= self._retry_at_s and (self._probing is None or self._probing.done()):
            self._probing = asyncio.create_task(self._probe(), name="barnabeenet limits probe")

    async def _probe(self) -> None:
        """Tries to count something, for a Redis that answers may still refuse to write."""
        try:
            await self._redis.take(_PROBE, new_ticket(0))
        except Unavailable:
            self._retry_s = min(self._retry_s * 2, LONGEST_RETRY_S)
            self._retry_at_s = self._clock() + self._retry_s
        else:
            self._away = None
            _LOGGER.info("Redis counts again: limits are shared")
