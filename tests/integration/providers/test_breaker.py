"""When a provider is asked and when it is left alone."""

from __future__ import annotations

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
import pytest

from custom_components.barnabeenet.providers.base import (
    ContentFiltered,
    ProviderError,
    RateLimited,
    Rejected,
    TimedOut,
    Unreachable,
)
from custom_components.barnabeenet.providers.breaker import (
    COOL_DOWN_S,
    FAILURES_TO_OPEN,
    PROBE_AFTER_S,
    RETRY_AFTER_MAX_S,
    Breaker,
    Permit,
    State,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def fail(breaker: Breaker, error: ProviderError | None = None, times: int = 1) -> None:
    for _ in range(times):
        permit = breaker.enter()
        assert permit is not None
        breaker.failed(permit, error or Unreachable("gone"))


def test_after_a_failure_others_are_asked_first_for_a_while(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)

    assert breaker.rest_s == COOL_DOWN_S == 300
    assert breaker.barred_s == 0
    clock.now += 299.9
    assert breaker.rest_s > 0
    clock.now += 0.1
    assert breaker.rest_s == 0


def test_four_failures_leave_it_closed_and_the_fifth_opens_it(breaker: Breaker) -> None:
    fail(breaker, times=FAILURES_TO_OPEN - 1)
    assert breaker.state is State.CLOSED

    fail(breaker)
    assert (breaker.state, breaker.failures) == (State.OPEN, 5)
    assert breaker.enter() is None


def test_a_success_in_between_starts_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, times=4)
    permit = breaker.enter()
    assert permit is not None
    breaker.succeeded(permit)

    fail(breaker, times=4)
    assert breaker.state is State.CLOSED


def test_one_probe_goes_through_after_a_while(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, times=5)
    clock.now += PROBE_AFTER_S - 0.001
    assert breaker.enter() is None

    clock.now += 0.001
    assert breaker.state is State.HALF_OPEN
    probe = breaker.enter()
    assert probe is not None
    assert probe.is_probe
    assert breaker.enter() is None, "one probe at a time"


def test_a_probe_that_succeeds_closes_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, times=5)
    clock.now += PROBE_AFTER_S
    probe = breaker.enter()
    assert probe is not None
    breaker.succeeded(probe)

    assert (breaker.state, breaker.failures, breaker.rest_s) == (State.CLOSED, 0, 0)


def test_a_probe_that_fails_opens_it_for_as_long_again(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, times=5)
    clock.now += PROBE_AFTER_S
    fail(breaker)

    assert breaker.state is State.OPEN
    assert breaker.barred_s == PROBE_AFTER_S


def test_a_probe_that_nobody_waited_for_leaves_room_for_another(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, times=5)
    clock.now += PROBE_AFTER_S
    probe = breaker.enter()
    assert probe is not None
    breaker.abandoned(probe)

    assert breaker.enter() is not None


def test_news_of_an_old_failure_does_not_prolong_the_wait(breaker: Breaker, clock: Clock) -> None:
    late = breaker.enter()
    assert late is not None
    fail(breaker, times=5)
    clock.now += 20
    breaker.failed(late, TimedOut("late"))

    assert breaker.barred_s == PROBE_AFTER_S - 20


@pytest.mark.parametrize(("told_s", "waited_s"), [(7.0, 7.0), (0.0, 1.0), (90_000.0, RETRY_AFTER_MAX_S)])
def test_the_vendors_waiting_time_is_respected_within_bounds(
    told_s: float, waited_s: float, breaker: Breaker, clock: Clock
) -> None:
    fail(breaker, RateLimited("slow down", retry_after_s=told_s))

    assert breaker.barred_s == waited_s
    clock.now += waited_s - 0.001
    assert breaker.enter() is None
    clock.now += 0.001
    assert breaker.enter() is not None
    assert breaker.rest_s == 0, "its own time stands in place of ours"


def test_a_request_that_is_not_accepted_counts_but_needs_no_rest(breaker: Breaker) -> None:
    fail(breaker, Rejected("too long"))
    assert (breaker.failures, breaker.rest_s) == (1, 0)

    fail(breaker, Rejected("too long"), times=4)
    assert breaker.state is State.OPEN


def test_a_filter_is_no_fault(breaker: Breaker) -> None:
    fail(breaker, times=4)
    fail(breaker, ContentFiltered("no"))

    assert (breaker.failures, breaker.rest_s, breaker.state) == (0, 0, State.CLOSED)


class AnyHistory(RuleBasedStateMachine):
    """Tries begin and end in any order while time goes by."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(self.clock)
        self.running: list[Permit] = []
        self.opened_at: float | None = None
        self.barred_until = 0.0

    @rule(seconds=st.sampled_from([0.5, 5, 29, 30, 31, 299, 300, 4000]))
    def time_goes_by(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def a_turn_asks(self) -> None:
        was = self.breaker.state
        permit = self.breaker.enter()
        if permit is not None:
            assert was is not State.OPEN
            assert self.clock.now >= self.barred_until
            assert permit.is_probe == (was is State.HALF_OPEN)
            self.running.append(permit)
        elif was is State.CLOSED:
            assert self.clock.now < self.barred_until

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def one_succeeds(self, data: st.DataObject) -> None:
        self.breaker.succeeded(self.take(data))
        assert self.breaker.state is State.CLOSED
        assert self.breaker.failures == 0

    @precondition(lambda self: self.running)
    @rule(data=st.data(), retry_after_s=st.sampled_from([None, 0.0, 2.0, 50.0, 1e9]))
    def one_fails(self, data: st.DataObject, retry_after_s: float | None) -> None:
        permit, was = self.take(data), self.breaker.state
        self.breaker.failed(permit, Unreachable("gone", retry_after_s=retry_after_s))
        if retry_after_s is not None:
            wait_s = min(max(retry_after_s, 1.0), RETRY_AFTER_MAX_S)
            self.barred_until = max(self.barred_until, self.clock.now + wait_s)
        if permit.is_probe and was is State.HALF_OPEN:
            assert self.breaker.state is State.OPEN
        assert self.breaker.rest_s > 0

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def one_is_left(self, data: st.DataObject) -> None:
        was = (self.breaker.state, self.breaker.failures)
        self.breaker.abandoned(self.take(data))
        assert (self.breaker.state, self.breaker.failures) == was

    def take(self, data: st.DataObject) -> Permit:
        return self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))

    @invariant()
    def it_is_open_from_the_fifth_failure_on(self) -> None:
        assert (self.breaker.state is State.CLOSED) == (self.breaker.failures < FAILURES_TO_OPEN)

    @invariant()
    def it_is_never_closed_to_everybody_for_good(self) -> None:
        assert self.breaker.barred_s <= max(PROBE_AFTER_S, RETRY_AFTER_MAX_S)
        assert self.breaker.rest_s <= max(COOL_DOWN_S, RETRY_AFTER_MAX_S)


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=40)
