"""How long a guesser waits, on a clock that the test moves."""

from __future__ import annotations

import pytest

from barnabeenet_sidecar.net.backoff import ADDRESSES_MAX, Backoff


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backoff(clock: Clock) -> Backoff:
    return Backoff(clock)


def guess(backoff: Backoff, times: int, address: str = "10.0.0.1") -> float:
    for _ in range(times):
        backoff.record_wrong_proof(address)
    return backoff.remaining_s(address)


def test_an_unknown_address_may_try(backoff: Backoff) -> None:
    assert backoff.remaining_s("10.0.0.1") == 0


def test_four_wrong_proofs_cost_nothing(backoff: Backoff) -> None:
    assert guess(backoff, 4) == 0


def test_the_fifth_wrong_proof_within_a_minute_costs_a_second(backoff: Backoff, clock: Clock) -> None:
    guess(backoff, 4)
    clock.now_s += 60
    assert guess(backoff, 1) == 1


def test_five_wrong_proofs_in_more_than_a_minute_cost_nothing(backoff: Backoff, clock: Clock) -> None:
    guess(backoff, 4)
    clock.now_s += 60.1
    assert guess(backoff, 1) == 0


def test_the_wait_runs_out(backoff: Backoff, clock: Clock) -> None:
    guess(backoff, 5)
    clock.now_s += 0.75
    assert backoff.remaining_s("10.0.0.1") == 0.25
    clock.now_s += 0.25
    assert backoff.remaining_s("10.0.0.1") == 0


def test_each_further_wrong_proof_doubles_the_wait_up_to_a_minute(backoff: Backoff, clock: Clock) -> None:
    waits = [guess(backoff, 5)]
    for _ in range(8):
        clock.now_s += waits[-1]
        waits.append(guess(backoff, 1))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_minute_of_peace_after_the_wait_forgets_the_address(backoff: Backoff, clock: Clock) -> None:
    guess(backoff, 6)
    clock.now_s += 2 + 60.1
    assert guess(backoff, 4) == 0
    assert guess(backoff, 1) == 1


def test_less_than_a_minute_of_peace_does_not(backoff: Backoff, clock: Clock) -> None:
    guess(backoff, 6)
    clock.now_s += 2 + 59.9
    assert guess(backoff, 1) == 4


def test_a_right_proof_forgets_the_address(backoff: Backoff) -> None:
    guess(backoff, 8)
    backoff.clear("10.0.0.1")
    assert backoff.remaining_s("10.0.0.1") == 0
    assert guess(backoff, 4) == 0


def test_one_address_does_not_wait_for_anothers_guesses(backoff: Backoff) -> None:
    guess(backoff, 8, "10.0.0.1")
    assert backoff.remaining_s("10.0.0.2") == 0
    assert guess(backoff, 4, "10.0.0.2") == 0


def test_an_attacker_with_many_addresses_does_not_grow_the_table(backoff: Backoff) -> None:
    for number in range(ADDRESSES_MAX * 3):
        backoff.record_wrong_proof(f"2001:db8::{number:x}")
    assert len(backoff) == ADDRESSES_MAX


def test_a_full_table_forgets_the_address_that_guessed_longest_ago(backoff: Backoff) -> None:
    guess(backoff, 5, "old")
    guess(backoff, 5, "busy")
    for number in range(ADDRESSES_MAX - 2):
        backoff.record_wrong_proof(f"2001:db8::{number:x}")
    guess(backoff, 1, "busy")
    guess(backoff, 1, "new")
    assert backoff.remaining_s("old") == 0
    assert backoff.remaining_s("busy") == 2
