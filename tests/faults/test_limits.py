"""Two Home Assistants on one Redis, clocks that jump, a Redis that dies: the limits stay exact."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
import itertools
import json
import os
from pathlib import Path
import sys
import time
from typing import Any

import pytest

from tests.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parent.parent.parent
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
HOUR_S = 3600


@dataclass
class Home:
    """A limiter in a process of its own."""

    process: asyncio.subprocess.Process
    clock: Path

    async def ask(self, times: int | str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{times}\n".encode())
        await self.process.stdin.drain()
        answer: dict[str, Any] = json.loads(await self.line())
        return answer

    async def line(self) -> bytes:
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            return await self.process.stdout.readline()

    def set_clock(self, offset: str) -> None:
        """Moves the wall clock of this process; its monotonic clock goes on, as a real one does."""
        following = self.clock.with_suffix(".next")
        following.write_text(offset)
        following.replace(self.clock)


StartHome = Callable[..., Awaitable[Home]]


@pytest.fixture
async def start_home(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[StartHome]:
    """Starts Home Assistants with these limits, all on the same Redis."""
    homes: list[Home] = []
    numbers = itertools.count()

    async def start(per_minute: int = 30, per_hour: int = 300, *, movable_clock: bool = False) -> Home:
        clock = tmp_path / f"clock-{next(numbers)}"
        clock.write_text("+0")
        faked = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.limiter_process", redis_server.url, str(per_minute), str(per_hour)),
            cwd=ROOT,
            env=os.environ | (faked if movable_clock else {}),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        home = Home(process, clock)
        homes.append(home)
        assert await home.line() == b"ready\n"
        return home

    yield start
    for home in homes:
        home.process.kill()
        await home.process.communicate()


async def ask_all(homes: Sequence[Home], times: int) -> int:
    """What all of them together were allowed, asking at once."""
    answers = await asyncio.gather(*(home.ask(times) for home in homes))
    assert [answer["error"] for answer in answers] == [""] * len(homes)
    return sum(answer["allowed"] for answer in answers)


async def test_two_processes_share_thirty_a_minute(start_home: StartHome) -> None:
    homes = await asyncio.gather(start_home(), start_home())
    assert [await ask_all(homes, 5) for _ in range(5)] == [10, 10, 10, 0, 0]


async def test_two_processes_that_hammer_share_three_hundred_an_hour(start_home: StartHome) -> None:
    homes = await asyncio.gather(start_home(per_minute=10_000), start_home(per_minute=10_000))
    assert await ask_all(homes, 400) == 300
    assert await ask_all(homes, 10) == 0


@pytest.mark.skipif(not FAKETIME.exists(), reason="libfaketime is not installed")
async def test_an_hours_jump_of_a_hosts_clock_changes_nothing(start_home: StartHome) -> None:
    homes = await asyncio.gather(start_home(movable_clock=True), start_home())
    assert await ask_all(homes, 10) == 20
    for offset, ahead_s in (("+3600", HOUR_S), ("-3600", -HOUR_S)):
        homes[0].set_clock(offset)
        answer = await homes[0].ask(4)
        assert answer["allowed"] == 4
        assert answer["clock"] - time.time() == pytest.approx(ahead_s, abs=30)
    assert await ask_all(homes, 20) == 2
    homes[0].set_clock("+3600")
    assert await ask_all(homes, 20) == 0


async def test_without_redis_each_goes_on_alone_and_back_they_share_again(
    start_home: StartHome, redis_server: RedisServer
) -> None:
    homes = await asyncio.gather(start_home(), start_home())
    assert await ask_all(homes, 10) == 20
    await redis_server.kill()
    alone = await asyncio.gather(*(home.ask(15) for home in homes))
    # Nobody is turned away for the outage, and each holds the limit for itself: 25 of 30 are used.
    assert [answer["allowed"] for answer in alone] == [15, 15]
    assert all(answer["error"] for answer in alone)
    await redis_server.start()
    assert [(await home.ask("look"))["error"] for home in homes] == ["", ""]
    # Redis knows nothing of before; what each has counted itself still holds.
    assert [(await home.ask(20))["allowed"] for home in homes] == [5, 5]
