"""The whole bench, short; and the line that it compares the queue with."""

from __future__ import annotations

import argparse
import asyncio

from benches import bench_queue
from benches.crowd import Crowd, Fifo
from benches.engines import Bare
import pytest

from barnabeenet_sidecar.errors import EngineFailed
from barnabeenet_sidecar.gpu.queue import Kind, Priority, WorkQueue


async def order(turns: Fifo | WorkQueue) -> list[str]:
    """Who is served when, of two long pieces of work that wait and a short one that comes last."""
    served: list[str] = []
    running, finish = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with turns.turn(Priority.LONG, Kind.SYNTHESIS):
            running.set()
            await finish.wait()

    async def work(name: str, priority: Priority) -> None:
        async with turns.turn(priority, Kind.SYNTHESIS) as turn:
            assert turn.waited_s >= 0
            served.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(hold())
        await running.wait()
        for name, priority in (("long", Priority.LONG), ("longer", Priority.LONG), ("short", Priority.SHORT)):
            group.create_task(work(name, priority))
        await asyncio.sleep(0)
        finish.set()
    return served


async def test_the_line_serves_who_came_first_and_the_queue_who_is_short() -> None:
    assert await order(Fifo(1)) == ["long", "longer", "short"]
    assert await order(WorkQueue(1)) == ["short", "long", "longer"]


async def test_an_engine_that_breaks_ends_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_self: Bare, _text: str) -> None:
        raise EngineFailed("espeak-ng broke")

    monkeypatch.setattr(Bare, "speak", broken)
    bare = Bare.__new__(Bare)
    with pytest.raises(EngineFailed):
        await Crowd(bare, people=1, backlog=1, think_s=1).live(WorkQueue(2), seconds=30)


# Half a minute, and 80 s where eight processes wanted the same two cores.
@pytest.mark.timeout(400)
async def test_short_commands_wait_less_with_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_queue, "TEXTS", 4)
    monkeypatch.setattr(bench_queue, "THINK_S", 0.1)
    monkeypatch.setattr(bench_queue, "COMMAND_THINK_S", 0.2)
    found = await bench_queue.bench(argparse.Namespace(people=4, backlog=32, seconds=2.0))
    assert 0 < found["engine_call_ms_median"] < found["recognition_call_ms_median"]
    assert found["short_waits"] > found["short_waits_fifo"] > 0
    assert found["ratio_p95_to_fifo"] < 0.5
    assert found["command_wait_ms_p95"] < found["command_wait_ms_p95_fifo"]
    assert found["backlog_per_s"] > 0
    assert found["process_short_waits"] > 0
    assert found["process_short_wait_ms_p95"] < 1000
    assert found["process_failed"] == found["process_failed_idle"] == 0


async def test_who_still_waits_at_the_end_has_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(_self: Bare, _text: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Bare, "speak", endless)
    crowd = Crowd(Bare.__new__(Bare), people=3, backlog=1, think_s=0.001)
    times = await crowd.live(Fifo(1), seconds=0.5)
    assert len(times.waits_ms) == 3
    assert min(times.waits_ms) > 0
    assert times.answers_ms == []
