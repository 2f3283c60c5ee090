"""The stages of a turn are those of the turn that was just said."""

from __future__ import annotations

from script.home.api import Arrived, Subscription
from script.home.turns import TurnLog


def told(started_at: float, decode_ms: float) -> Arrived:
    stages = [
        {"name": "speech-ended", "start_ms": 10.0, "duration_ms": 0.0},
        {"name": "decode", "start_ms": 10.0, "duration_ms": decode_ms},
    ]
    return Arrived(0.0, {"started_at": started_at, "stages": stages})


async def log_of(*turns: Arrived) -> TurnLog:
    subscription = Subscription(1)
    for turn in turns:
        subscription.put(turn)
    subscription.put(None)
    log = TurnLog()
    await log.follow(subscription)
    return log


async def test_the_latest_turn_counts_without_its_moments() -> None:
    log = await log_of(told(100, 80.04), told(200, 90.06))
    assert log.stages_ms(since=150) == {"decode": 90.1}


async def test_a_turn_from_before_is_not_taken_for_this_one() -> None:
    assert (await log_of(told(100, 80))).stages_ms(since=150) == {}


async def test_without_turns_there_are_no_stages() -> None:
    assert (await log_of()).stages_ms(since=0) == {}
