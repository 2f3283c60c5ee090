"""How much a device may ask for, counted in a real Redis and in this process at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import logging

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
from redis.asyncio import Redis

from custom_components.barnabeenet.state import redis_limit
from custom_components.barnabeenet.state.errors import Unavailable
from custom_components.barnabeenet.state.rate_limit import HOUR_S, Limits, LimitTable, MemoryLimiter, Request, Verdict
from custom_components.barnabeenet.state.redis import open_redis
from custom_components.barnabeenet.state.redis_limit import (
    _TAKE,
    ANSWER_S,
    FIRST_RETRY_S,
    LONGEST_RETRY_S,
    RedisLimiter,
    SharedLimiter,
    new_ticket,
)
from tests.redis_server import RedisServer


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stall of a busy machine is taken for a Redis that does not answer."""
    monkeypatch.setattr(redis_limit, "ANSWER_S", 30)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    client = open_redis(redis_server.url)
    yield client
    await client.aclose()


@pytest.fixture
def limiter(redis: Redis) -> RedisLimiter:
    return RedisLimiter(redis, "home")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def shared(redis: Redis, clock: Clock) -> AsyncIterator[SharedLimiter]:
    limiter = SharedLimiter(redis, "home", clock=clock)
    yield limiter
    await limiter.close()


async def take(limiter: RedisLimiter, times: int = 1, *, limits: Limits | None = None, tokens: int = 0) -> Verdict:
    for _ in range(times):
        request = Request.of("kitchen", limits or Limits(), commands=1, tokens=tokens)
        verdict = await limiter.take(request, new_ticket(request.tokens))
    return verdict


async def age(redis: Redis, seconds: float) -> None:
    """As if all that is counted had happened earlier."""
    async for key in redis.scan_iter():
        for member in await redis.zrange(key, 0, -1):
            await redis.zincrby(key, -seconds * 1_000_000, member)


# The script


async def test_the_thirty_first_command_in_a_minute_is_refused(limiter: RedisLimiter) -> None:
    assert [(await take(limiter)).remaining for _ in range(30)] == list(range(29, -1, -1))
    refused = await take(limiter)
    assert (refused.allowed, refused.bound, refused.remaining) == (False, "minute", 0)
    assert 55 < refused.retry_after_s <= 60
    assert timedelta(seconds=50) < refused.reset_at - datetime.now(UTC) <= timedelta(seconds=61)


async def test_the_window_slides(limiter: RedisLimiter, redis: Redis) -> None:
    await take(limiter, 20)
    await age(redis, 50)
    await take(limiter, 10)
    assert 5 < (await take(limiter)).retry_after_s <= 10
    await age(redis, 10)
    assert (await take(limiter)).remaining == 19


async def test_the_three_hundred_and_first_command_in_an_hour_is_refused(limiter: RedisLimiter, redis: Redis) -> None:
    began = asyncio.get_running_loop().time()
    for _ in range(10):
        assert (await take(limiter, 30)).allowed
        await age(redis, 60)
    refused = await take(limiter)
    assert (refused.allowed, refused.bound) == (False, "hour")
    passed_s = asyncio.get_running_loop().time() - began
    assert 3000 - passed_s <= refused.retry_after_s <= 3000
    await age(redis, 3000)
    assert (await take(limiter)).allowed


async def test_what_is_refused_does_not_count(limiter: RedisLimiter, redis: Redis) -> None:
    await take(limiter, 30)
    await age(redis, 40)
    await take(limiter, 50)
    await age(redis, 20)
    assert (await take(limiter, 30)).allowed


async def test_a_request_that_comes_again_is_counted_once(limiter: RedisLimiter) -> None:
    request = Request.of("kitchen", Limits(tokens_per_hour=1000), commands=1, tokens=400)
    ticket = new_ticket(400)
    for _ in range(3):
        verdict = await limiter.take(request, ticket)
        assert (verdict.allowed, verdict.remaining, verdict.remaining_tokens) == (True, 29, 600)


async def test_tokens_are_reserved_and_then_settled(limiter: RedisLimiter) -> None:
    limits = Limits(tokens_per_hour=1000)
    first = await take(limiter, limits=limits, tokens=600)
    refused = await take(limiter, limits=limits, tokens=600)
    assert (refused.allowed, refused.bound, refused.remaining, refused.ticket) == (False, "tokens", 29, None)
    assert 3590 < refused.retry_after_s <= HOUR_S
    assert first.ticket is not None
    for _ in range(2):  # the second finds nothing to settle
        await limiter.correct("kitchen", first.ticket, 350)
    second = await take(limiter, limits=limits, tokens=600)
    assert (second.allowed, second.remaining_tokens) == (True, 50)
    await limiter.correct("kitchen", second.ticket or "", 0)
    assert (await take(limiter, limits=limits)).remaining_tokens == 650


async def test_homes_and_devices_do_not_share_their_windows(limiter: RedisLimiter, redis: Redis) -> None:
    await take(limiter, 31)
    assert (await take(RedisLimiter(redis, "another"))).remaining == 29
    request = Request.of("bedroom", Limits(), commands=1, tokens=0)
    assert (await limiter.take(request, new_ticket(0))).remaining == 29


async def test_what_a_clock_of_redis_that_was_set_back_left_ahead_does_not_block(
    limiter: RedisLimiter, redis: Redis
) -> None:
    await take(limiter, 30)
    await age(redis, -3600)
    assert (await take(limiter)).remaining == 29


async def test_redis_forgets_quiet_devices_by_itself(limiter: RedisLimiter, redis: Redis) -> None:
    began = asyncio.get_running_loop().time()
    await take(limiter, tokens=10)
    keys = [key async for key in redis.scan_iter()]
    assert len(keys) == 2
    for key in keys:
        left_s = await redis.ttl(key)
        assert left_s <= HOUR_S + 1
        assert left_s + asyncio.get_running_loop().time() - began >= HOUR_S


@pytest.mark.parametrize("answer", [None, [], ["", "x", 1, 1, 1, 1], "a word", [b""]])
async def test_an_answer_of_another_script_is_said_so(limiter: RedisLimiter, answer: object) -> None:
    async def another(**arguments: object) -> object:
        return answer

    limiter._take = another  # type: ignore[assignment]
    with pytest.raises(Unavailable, match="makes no sense"):
        await take(limiter)


async def test_keys_of_somebody_else_are_said_so(limiter: RedisLimiter, redis: Redis) -> None:
    await redis.set("barnabeenet:rate:home:{kitchen}:commands", "somebody else's")
    with pytest.raises(Unavailable, match="Redis does not count: WRONGTYPE"):
        await take(limiter)


class OnMyClock(RedisLimiter):
    """The same script on the same Redis, told another time."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        super().__init__(redis, "home")
        self._clock = clock
        self._redis = redis

    async def take(self, request: Request, ticket: str) -> Verdict:
        now_us = round(self._clock.now_s * 1_000_000)
        seconds, microseconds = divmod(now_us, 1_000_000)
        self._take = self._redis.register_script(_MY_CLOCK % (seconds, microseconds) + _TAKE)
        return await super().take(request, ticket)


_MY_CLOCK = """
local real = redis
local redis = {call = function(command, ...)
    if command == 'TIME' then return {'%d', '%d'} end
    return real.call(command, ...)
end}
"""


async def test_it_is_exact_to_the_millisecond(redis: Redis, clock: Clock) -> None:
    limiter = OnMyClock(redis, clock)
    assert (await take(limiter, 30)).remaining == 0
    refused = await take(limiter)
    assert (refused.retry_after_s, refused.reset_at) == (60, datetime.fromtimestamp(clock.now_s + 60, UTC))
    clock.now_s += 59.999
    assert (await take(limiter)).retry_after_s == 0.001
    clock.now_s += 0.001
    assert (await take(limiter, 30)).remaining == 0


PAUSES_S = [0.0, 0.001, 0.7, 3.0, 19.9, 60.0, 61.5, 600.0, 3599.999]


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.sampled_from(PAUSES_S), st.integers(0, 1), st.integers(0, 40)), max_size=40),
    limits=st.builds(
        Limits, per_minute=st.integers(1, 5), per_hour=st.integers(1, 12), tokens_per_hour=st.integers(1, 100)
    ),
)
async def test_the_script_says_what_the_own_count_says(
    redis: Redis, steps: list[tuple[float, int, int]], limits: Limits
) -> None:
    await redis.flushdb()
    clock = Clock()
    script = OnMyClock(redis, clock)
    memory = MemoryLimiter(clock=clock, wall=lambda: datetime.fromtimestamp(clock.now_s, UTC))
    for pause_s, commands, tokens in steps:
        clock.now_s = round(clock.now_s + pause_s, 3)
        request = Request.of("kitchen", limits, commands=commands, tokens=tokens)
        ticket = new_ticket(request.tokens)
        theirs, mine = await script.take(request, ticket), memory.take(request, ticket)
        assert abs(theirs.reset_at - mine.reset_at) < timedelta(milliseconds=2)
        # Where two limits hold out equally long, either may be named.
        assert replace(theirs, reset_at=mine.reset_at, bound=mine.bound) == mine
        if theirs.ticket and tokens % 3 == 0:
            await script.correct("kitchen", ticket, tokens // 2)
            memory.correct("kitchen", ticket, tokens // 2)


# Both counts together


async def test_both_counts_agree(shared: SharedLimiter) -> None:
    verdicts = [await shared.admit("kitchen", cost_tokens=10) for _ in range(31)]
    assert [verdict.remaining for verdict in verdicts] == [*range(29, -1, -1), 0]
    assert [verdict.allowed for verdict in verdicts] == [True] * 30 + [False]
    assert shared.refusals.by_bound == {"minute": 1}
    assert verdicts[29].remaining_tokens == Limits().tokens_per_hour - 300


async def test_another_home_assistants_commands_count(shared: SharedLimiter, limiter: RedisLimiter) -> None:
    await take(limiter, 30)
    refused = await shared.admit("kitchen", cost_tokens=10)
    assert (refused.allowed, refused.bound) == (False, "minute")
    # And what Redis refused is not counted here: when Redis goes, all thirty are left.
    assert not shared._memory._logs["kitchen"].commands_s
    assert not shared._memory._logs["kitchen"].reservations


async def test_settling_reaches_both(shared: SharedLimiter, redis: Redis) -> None:
    shared.table = LimitTable(Limits(tokens_per_hour=1000))
    verdict = await shared.admit("kitchen", cost_tokens=1000)
    assert not (await shared.reserve("kitchen", 1)).allowed
    await shared.settle("kitchen", verdict.ticket or "", 100)
    assert (await shared.reserve("kitchen", 0)).remaining_tokens == 900


async def test_without_redis_this_process_goes_on_with_what_it_knows(
    shared: SharedLimiter, redis_server: RedisServer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        await shared.admit("kitchen")
    await redis_server.kill()
    verdicts = [await shared.admit("kitchen") for _ in range(11)]
    assert [verdict.allowed for verdict in verdicts] == [True] * 10 + [False]
    assert shared.error is not None
    assert [record.levelno for record in caplog.records if "redis_limit" in record.name] == [logging.WARNING]
    assert "until it does, limits hold for this Home Assistant alone" in caplog.text
    await shared.settle("kitchen", "a ticket", 5)


async def test_a_settlement_that_redis_misses_is_no_failure(shared: SharedLimiter, redis_server: RedisServer) -> None:
    verdict = await shared.admit("kitchen", cost_tokens=1000)
    await redis_server.kill()
    await shared.settle("kitchen", verdict.ticket or "", 0)
    assert shared.error is not None
    assert (await shared.reserve("kitchen", 0)).remaining_tokens == Limits().tokens_per_hour


async def test_closing_closes_the_connections(shared: SharedLimiter, redis_server: RedisServer, redis: Redis) -> None:
    await shared.admit("kitchen")
    await shared.close()
    watcher = open_redis(redis_server.url)
    assert len(await watcher.client_list()) == 1
    await watcher.aclose()


async def test_when_redis_is_back_it_counts_again(
    shared: SharedLimiter, redis_server: RedisServer, redis: Redis, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(20):
        await shared.admit("kitchen")
    await redis_server.kill()
    await shared.admit("kitchen")
    # Each look at it that fails lets more time pass before the next.
    waited_s = 0.0
    for retry_s in (FIRST_RETRY_S, 2 * FIRST_RETRY_S, 4 * FIRST_RETRY_S):
        clock.now_s += retry_s - 0.01
        await shared.reserve("bedroom", 0)
        assert shared._probing is None or shared._probing.done()
        clock.now_s += 0.01
        await shared.reserve("bedroom", 0)
        assert shared._probing is not None
        await shared._probing
        waited_s += retry_s
        assert shared.error is not None
    await redis_server.start()
    clock.now_s += LONGEST_RETRY_S
    # Nobody waits for the look: this answer is still the own count's.
    assert (await shared.admit("kitchen")).allowed
    await shared._probing
    assert shared.error is None
    told = [record.getMessage() for record in caplog.records if "redis_limit" in record.name]
    assert told[-1] == "Redis counts again: limits are shared"
    # It has come back empty, and the limit holds all the same: 22 were admitted in this minute.
    assert [(await shared.admit("kitchen")).remaining for _ in range(8)] == list(range(7, -1, -1))
    assert not (await shared.admit("kitchen")).allowed
    assert await redis.zcard("barnabeenet:rate:home:{kitchen}:commands") == 8


async def test_a_redis_that_does_not_answer_holds_up_one_request_for_a_moment(
    shared: SharedLimiter, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shared.admit("kitchen")
    monkeypatch.setattr(redis_limit, "ANSWER_S", ANSWER_S)
    take, asked = shared._redis.take, []

    async def counted(request: Request, ticket: str) -> Verdict:
        asked.append(request)
        return await take(request, ticket)

    monkeypatch.setattr(shared._redis, "take", counted)
    redis_server.freeze()
    # Redis' own client would wait for 2 s.
    async with asyncio.timeout(1.9):
        verdicts = [await shared.admit("kitchen") for _ in range(5)]
    redis_server.thaw()
    assert [verdict.remaining for verdict in verdicts] == [28, 27, 26, 25, 24]
    assert len(asked) == 1


async def test_answers_that_come_late_are_given_to_nobody_else(
    shared: SharedLimiter, redis_server: RedisServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_server.freeze()
    with monkeypatch.context() as hasty:
        hasty.setattr(redis_limit, "ANSWER_S", ANSWER_S)
        await asyncio.gather(*(shared.admit(f"device {number}") for number in range(5)))
    redis_server.thaw()
    clock.now_s += FIRST_RETRY_S
    await shared.reserve("kitchen", 0)
    assert shared._probing is not None
    await shared._probing
    assert shared.error is None
    assert [(await shared.admit("kitchen")).remaining for _ in range(3)] == [29, 28, 27]


async def test_a_redis_that_answers_and_may_not_be_written_is_away_too(
    shared: SharedLimiter, redis: Redis, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await redis.config_set("min-replicas-to-write", 1)
    for _ in range(5):
        assert (await shared.admit("kitchen")).allowed
        clock.now_s += 5
        if shared._probing is not None:
            await shared._probing
    assert str(shared.error).startswith("Redis does not count: ")
    assert len([record for record in caplog.records if "redis_limit" in record.name]) == 1


async def test_many_at_once_get_exactly_what_there_is(shared: SharedLimiter) -> None:
    verdicts = await asyncio.gather(*(shared.admit("kitchen") for _ in range(100)))
    assert sum(verdict.allowed for verdict in verdicts) == 30
    assert shared.error is None
