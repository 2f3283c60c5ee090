"""What is delivered behind everybody's back: once woken, again after a failure, and once more at the close."""

from __future__ import annotations

import asyncio

import pytest

from custom_components.barnabeenet.state import session_courier
from custom_components.barnabeenet.state.session_courier import Courier


class Refused(Exception):
    pass


class Door:
    """Refuses what it is told to, counts the rest."""

    def __init__(self) -> None:
        self.answers: list[Exception | None] = []
        self.calls = 0
        self.changes = 0
        self.recovered = asyncio.Event()
        self.courier = Courier("The door", self.deliver, (Refused,), self.changed)

    async def deliver(self) -> None:
        self.calls += 1
        await asyncio.sleep(0)
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer

    def changed(self) -> None:
        self.changes += 1
        self.recovered.set() if self.courier.error is None else self.recovered.clear()


async def test_many_wakes_are_one_delivery() -> None:
    door = Door()
    for _ in range(10):
        door.courier.wake()
    await door.courier.settled()
    assert door.calls == 1
    await door.courier.close(1)


async def test_a_wake_during_a_delivery_is_another_one() -> None:
    door = Door()
    door.courier.wake()
    while not door.calls:
        await asyncio.sleep(0)
    door.courier.wake()
    await door.courier.settled()
    assert door.calls == 2
    await door.courier.close(1)


async def test_a_failure_is_tried_again_and_told_once_each_way(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(session_courier, "RETRY_S", 0.01)
    door = Door()
    door.answers = [Refused("no"), Refused("still no"), None]
    door.courier.wake()
    async with asyncio.timeout(10):
        await door.recovered.wait()
    assert (door.calls, door.changes, door.courier.error) == (3, 2, None)
    assert caplog.text.count("it is tried again: no") == 1
    assert caplog.text.count("takes what is to be kept again") == 1
    await door.courier.close(1)


async def test_a_bug_in_one_delivery_does_not_stop_the_next(caplog: pytest.LogCaptureFixture) -> None:
    door = Door()
    door.answers = [ValueError("a bug")]
    for _ in range(2):
        door.courier.wake()
        await door.courier.settled()
    assert (door.calls, door.courier.error) == (2, None)
    assert "Something for The door was lost" in caplog.text
    await door.courier.close(1)


async def test_the_close_tries_once_more_without_waiting_for_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_courier, "RETRY_S", 60)
    door = Door()
    door.answers = [Refused("no"), None]
    door.courier.wake()
    await door.courier.settled()
    assert isinstance(door.courier.error, Refused)
    async with asyncio.timeout(20):
        await door.courier.close(30)
        await door.courier.close(30)
    assert (door.calls, door.courier.error) == (2, None)


async def test_the_close_gives_up_after_one_more_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_courier, "RETRY_S", 60)
    door = Door()
    door.answers = [Refused("no")] * 10
    door.courier.wake()
    await door.courier.settled()
    async with asyncio.timeout(20):
        await door.courier.close(60)
    assert door.calls == 2


async def test_the_close_does_not_wait_for_ever() -> None:
    stuck = asyncio.Event()

    async def deliver() -> None:
        await stuck.wait()

    courier = Courier("The door", deliver, (Refused,), lambda: None)
    courier.wake()
    async with asyncio.timeout(20):
        await courier.close(0.01)
        await courier.close(0.01)
