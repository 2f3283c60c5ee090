"""The demo's satellite speaks Wyoming and knows its timers."""

from __future__ import annotations

import pytest
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.timer import TimerCancelled, TimerFinished, TimerStarted, TimerUpdated

from script.home.satellite import NAME, Timers, satellite


async def test_it_describes_itself_as_a_satellite_and_answers_a_ping(socket_enabled: None) -> None:
    async with satellite() as (port, _), AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(Describe().event())
        answer = await client.read_event()
        assert answer is not None
        described = Info.from_event(answer).satellite
        assert described is not None
        assert described.name == NAME
        await client.write_event(Ping(text="still there?").event())
        answer = await client.read_event()
        assert answer is not None
        assert Pong.from_event(answer).text == "still there?"


async def test_it_keeps_the_timers_it_is_told_of(socket_enabled: None) -> None:
    async with satellite() as (port, timers), AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(TimerStarted(id="a", total_seconds=300).event())
        await client.write_event(Ping().event())
        await client.read_event()
        assert timers.describe() == ["300 s"]


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (TimerUpdated(id="a", is_active=False, total_seconds=290), ["60 s", "300 s paused"]),
        (TimerUpdated(id="a", is_active=True, total_seconds=290), ["60 s", "300 s"]),
        (TimerCancelled(id="a"), ["60 s"]),
        (TimerFinished(id="b"), ["300 s"]),
    ],
)
def test_a_timer_that_changes_is_followed(event: TimerUpdated, left: list[str]) -> None:
    timers = Timers()
    timers.take(TimerStarted(id="a", total_seconds=300).event())
    timers.take(TimerStarted(id="b", total_seconds=60).event())
    timers.take(event.event())
    assert timers.describe() == left
