"""How much a device may ask for, counted in this process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import logging
from typing import NamedTuple

from hypothesis import example, given, settings, strategies as st
import pytest

from custom_components.barnabeenet.state.rate_limit import (
    COMMANDS_PER_HOUR,
    COMMANDS_PER_MINUTE,
    DEVICES_MAX,
    HOUR_S,
    MINUTE_S,
    RESERVATIONS_MAX,
    Limits,
    LimitTable,
    MemoryLimiter,
    Verdict,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Clock:
    """Goes on when the test says so; starts where a float of seconds has fractions that do not add up."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.1

    def __call__(self) -> float:
        return self.now_s


class Bench(NamedTuple):
    limiter: MemoryLimiter
    clock: Clock

    async def admit(self, times: int = 1, device: str = "kitchen", tokens: int = 0) -> Verdict:
        for _ in range(times):
            verdict = await self.limiter.admit(device, cost_tokens=tokens)
        return verdict


@pytest.fixture
def make() -> Callable[..., Bench]:
    def _make(table: LimitTable | None = None) -> Bench:
        clock = Clock()
        return Bench(MemoryLimiter(table, clock=clock, wall=lambda: NOON), clock)

    return _make


async def test_the_thirty_first_command_in_a_minute_is_refused(make: Callable[..., Bench]) -> None:
    bench = make()
    for left in range(29, -1, -1):
        verdict = await bench.admit()
        assert (verdict.allowed, verdict.remaining, verdict.retry_after_s) == (True, left, 0)
        bench.clock.now_s += 1
    refused = await bench.admit()
    assert (refused.allowed, refused.bound, refused.remaining, refused.retry_after_s) == (False, "minute", 0, 30)
    assert refused.reset_at == NOON + timedelta(seconds=30)


async def test_a_place_is_free_exactly_a_minute_after_it_was_taken(make: Callable[..., Bench]) -> None:
    bench = make()
    await bench.admit(30)
    bench.clock.now_s += MINUTE_S - 0.001
    assert (await bench.admit()).retry_after_s == 0.001
    bench.clock.now_s += 0.001
    verdict = await bench.admit()
    assert verdict.allowed
    assert verdict.remaining == 29


async def test_the_window_slides_and_has_no_edges(make: Callable[..., Bench]) -> None:
    """Thirty just before a full minute and thirty just after it would be sixty within two seconds."""
    bench = make()
    bench.clock.now_s = 59.0
    await bench.admit(30)
    bench.clock.now_s = 61.0
    assert (await bench.admit()).retry_after_s == 58


async def test_the_three_hundred_and_first_command_in_an_hour_is_refused(make: Callable[..., Bench]) -> None:
    bench = make()
    begun_s = bench.clock.now_s
    for _ in range(10):
        assert (await bench.admit(30)).allowed
        bench.clock.now_s += MINUTE_S
    refused = await bench.admit()
    assert (refused.allowed, refused.bound, refused.retry_after_s) == (False, "hour", HOUR_S - 10 * MINUTE_S)
    bench.clock.now_s = begun_s + HOUR_S
    assert (await bench.admit(30)).allowed


async def test_what_is_refused_does_not_count(make: Callable[..., Bench]) -> None:
    bench = make()
    await bench.admit(30)
    bench.clock.now_s += 59
    assert not (await bench.admit(100)).allowed
    bench.clock.now_s += 1
    assert (await bench.admit(30)).allowed


async def test_devices_do_not_share_their_windows(make: Callable[..., Bench]) -> None:
    bench = make()
    await bench.admit(31)
    assert (await bench.admit(device="bedroom")).remaining == 29


async def test_a_device_and_a_home_may_have_limits_of_their_own(make: Callable[..., Bench]) -> None:
    bench = make(LimitTable(home=Limits(per_minute=2), devices={"panel": Limits(per_minute=3)}))
    assert [(await bench.admit()).allowed for _ in range(3)] == [True, True, False]
    assert [(await bench.admit(device="panel")).allowed for _ in range(4)] == [True, True, True, False]


async def test_a_lowered_limit_holds_for_what_was_admitted_before(make: Callable[..., Bench]) -> None:
    bench = make()
    for _ in range(20):
        await bench.admit()
        bench.clock.now_s += 1
    bench.limiter.table = LimitTable(Limits(per_minute=5))
    # The fifth from the end came at the 15th second and it is now the 20th.
    assert (await bench.admit()).retry_after_s == 55
    bench.limiter.table = LimitTable(Limits(per_minute=100))
    assert (await bench.admit()).remaining == 79


async def test_tokens_are_reserved_and_then_settled(make: Callable[..., Bench]) -> None:
    bench = make(LimitTable(Limits(tokens_per_hour=1000)))
    first = await bench.admit(tokens=600)
    assert first.remaining_tokens == 400
    refused = await bench.limiter.reserve("kitchen", 600)
    assert (refused.allowed, refused.bound, refused.retry_after_s, refused.ticket) == (False, "tokens", HOUR_S, None)
    assert first.ticket is not None
    await bench.limiter.settle("kitchen", first.ticket, 350)
    second = await bench.limiter.reserve("kitchen", 600)
    assert (second.allowed, second.remaining_tokens) == (True, 50)
    assert second.ticket is not None
    await bench.limiter.settle("kitchen", second.ticket, 0)
    assert (await bench.limiter.reserve("kitchen", 0)).remaining_tokens == 650


async def test_a_reservation_is_no_command_and_waits_for_none(make: Callable[..., Bench]) -> None:
    bench = make()
    await bench.admit(30)
    verdict = await bench.limiter.reserve("kitchen", 5000)
    assert verdict.allowed
    bench.clock.now_s += MINUTE_S
    assert (await bench.admit()).remaining == 29


async def test_a_refused_command_reserves_no_tokens(make: Callable[..., Bench]) -> None:
    bench = make()
    await bench.admit(30)
    refused = await bench.admit(tokens=5000)
    assert (refused.bound, refused.ticket) == ("minute", None)
    assert (await bench.limiter.reserve("kitchen", 0)).remaining_tokens == Limits().tokens_per_hour


async def test_a_reservation_beyond_the_whole_hour_takes_the_whole_hour(make: Callable[..., Bench]) -> None:
    """It is an estimate, and refusing it for ever would be worse than letting it have what there is."""
    bench = make(LimitTable(Limits(tokens_per_hour=1000)))
    verdict = await bench.admit(tokens=5000)
    assert (verdict.allowed, verdict.remaining_tokens) == (True, 0)
    assert not (await bench.limiter.reserve("kitchen", 1)).allowed


async def test_more_used_than_reserved_counts_in_full(make: Callable[..., Bench]) -> None:
    bench = make(LimitTable(Limits(tokens_per_hour=1000)))
    verdict = await bench.admit(tokens=10)
    await bench.limiter.settle("kitchen", verdict.ticket or "", 1500)
    refused = await bench.limiter.reserve("kitchen", 1)
    assert (refused.allowed, refused.remaining_tokens, refused.retry_after_s) == (False, 0, HOUR_S)


async def test_settling_late_or_twice_or_a_stranger_changes_nothing(make: Callable[..., Bench]) -> None:
    bench = make()
    verdict = await bench.admit(tokens=600)
    bench.clock.now_s += HOUR_S
    await bench.admit()
    for ticket in (verdict.ticket or "", "never given"):
        await bench.limiter.settle("kitchen", ticket, 999)
        await bench.limiter.settle("attic", ticket, 999)
    assert (await bench.limiter.reserve("kitchen", 0)).remaining_tokens == Limits().tokens_per_hour


async def test_quiet_devices_are_forgotten(make: Callable[..., Bench]) -> None:
    bench = make()
    for number in range(100):
        await bench.admit(device=f"device {number}")
        await bench.limiter.reserve(f"device {number}", 10)
    assert len(bench.limiter) == 100
    bench.clock.now_s += HOUR_S
    await bench.admit()
    assert len(bench.limiter) == 1


async def test_memory_is_bounded(make: Callable[..., Bench]) -> None:
    bench = make()
    for number in range(DEVICES_MAX + 50):
        await bench.admit(device=f"device {number}")
    assert len(bench.limiter) == DEVICES_MAX
    for _ in range(RESERVATIONS_MAX + 50):
        await bench.limiter.reserve("kitchen", 1)
    await bench.admit(1000)
    log = bench.limiter._logs["kitchen"]
    assert len(log.reservations) <= RESERVATIONS_MAX
    assert len(log.commands_s) == COMMANDS_PER_MINUTE


async def test_refusals_are_counted_and_the_first_of_a_row_is_logged(
    make: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    bench = make()
    caplog.set_level(logging.INFO)
    await bench.admit(35)
    assert bench.limiter.refusals.by_bound == {"minute": 5}
    assert caplog.messages == ["Device kitchen has used up its limit (minute) and is heard again in 60 s"]
    bench.clock.now_s += MINUTE_S
    await bench.admit(31)
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("device_id", ["", "x" * 256])
async def test_an_id_that_cannot_be_is_refused(make: Callable[..., Bench], device_id: str) -> None:
    with pytest.raises(ValueError, match="1 to 255 characters"):
        await make().admit(device=device_id)


async def test_fewer_tokens_than_none_are_refused(make: Callable[..., Bench]) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        await make().admit(tokens=-1)


@pytest.mark.parametrize("limits", [{"per_minute": 0}, {"per_hour": 10_001}, {"tokens_per_hour": -5}])
def test_limits_that_cannot_be_meant_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="is out of range: give 1 to"):
        Limits(**limits)


def test_the_limits_are_those_of_the_specification() -> None:
    assert (Limits().per_minute, Limits().per_hour) == (COMMANDS_PER_MINUTE, COMMANDS_PER_HOUR) == (30, 300)


@settings(max_examples=150)
@example(pauses_s=[0.0, 0.0, 0.0, 0.0, 0.0, 0.7, 0.0], limits=Limits(per_minute=3, per_hour=5))
@given(
    pauses_s=st.lists(st.sampled_from([0.0, 0.1, 0.7, 3.0, 19.9, 60.0, 61.5, 600.0, 3599.9]), max_size=120),
    limits=st.builds(Limits, per_minute=st.integers(1, 5), per_hour=st.integers(1, 12)),
)
async def test_it_admits_what_a_plain_count_admits(pauses_s: list[float], limits: Limits) -> None:
    clock = Clock()
    limiter = MemoryLimiter(LimitTable(limits), clock=clock)
    admitted: list[float] = []
    for pause_s in pauses_s:
        clock.now_s += pause_s
        in_minute = sum(at_s > clock.now_s - MINUTE_S + 1e-9 for at_s in admitted)
        in_hour = sum(at_s > clock.now_s - HOUR_S + 1e-9 for at_s in admitted)
        room = min(limits.per_minute - in_minute, limits.per_hour - in_hour)
        verdict = await limiter.admit("kitchen")
        assert verdict.allowed == (room > 0)
        if verdict.allowed:
            admitted.append(clock.now_s)
            assert verdict.remaining == room - 1
        else:
            assert verdict.remaining == 0
            # Waiting as long as it says is enough, and less is not.
            clock.now_s += verdict.retry_after_s - 0.002
            if verdict.retry_after_s > 0.002:
                assert not (await limiter.admit("kitchen")).allowed
            clock.now_s += 0.002
            assert (await limiter.admit("kitchen")).allowed
            admitted.append(clock.now_s)
