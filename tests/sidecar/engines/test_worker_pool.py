"""The workers of a pool: lent, waited for, killed and replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import os
import signal

import psutil
import pytest

from barnabeenet_sidecar.engines import worker_process
from barnabeenet_sidecar.engines.worker_pool import WorkerPool
from barnabeenet_sidecar.errors import EngineFailed

SOON_S = 30.0


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(1)
    pool.start()
    yield pool
    await pool.close()


async def test_a_worker_is_lent_to_one_at_a_time(pool: WorkerPool) -> None:
    first = await pool.acquire()
    second = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    assert not second.done()
    pool.release(first)
    async with asyncio.timeout(SOON_S):
        assert await second is first


async def test_who_gives_up_waiting_takes_no_worker(pool: WorkerPool) -> None:
    worker = await pool.acquire()
    impatient = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    pool.release(worker)
    async with asyncio.timeout(SOON_S):
        assert await pool.acquire() is worker


async def test_a_worker_killed_while_idle_is_replaced(pool: WorkerPool) -> None:
    worker = await pool.acquire()
    pool.release(worker)
    os.kill(worker.pid, signal.SIGKILL)
    await worker.ended()
    async with asyncio.timeout(SOON_S):
        another = await pool.acquire()
    assert another.alive
    assert another.pid != worker.pid


async def test_a_worker_killed_while_lent_is_replaced_before_it_comes_back(pool: WorkerPool) -> None:
    worker = await pool.acquire()
    os.kill(worker.pid, signal.SIGKILL)
    async with asyncio.timeout(SOON_S):
        another = await pool.acquire()
    assert another.pid != worker.pid
    pool.release(worker)
    pool.release(another)
    async with asyncio.timeout(SOON_S):
        assert await pool.acquire() is another


async def test_a_worker_that_does_not_end_its_work_is_replaced(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("barnabeenet_sidecar.engines.worker_pool._END_S", 0.2)
    worker = await pool.acquire()
    os.kill(worker.pid, signal.SIGSTOP)
    pool.release(worker)
    async with asyncio.timeout(SOON_S):
        another = await pool.acquire()
    assert another.pid != worker.pid
    assert not psutil.pid_exists(worker.pid)


async def test_workers_that_die_at_once_are_started_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "_MODULE", "barnabeenet_sidecar.no_such_module")
    delays: list[float] = []
    enough = asyncio.Event()
    sleep = asyncio.sleep

    async def record(delay_s: float) -> None:
        delays.append(delay_s)
        if len(delays) == 4:
            enough.set()
            await sleep(SOON_S)

    monkeypatch.setattr("barnabeenet_sidecar.engines.worker_pool.asyncio.sleep", record)
    pool = WorkerPool(1)
    pool.start()
    async with asyncio.timeout(SOON_S):
        await enough.wait()
    await pool.close()
    assert delays == [0.05, 0.1, 0.2, 0.4]


async def test_closing_leaves_no_process_and_refuses_who_waits() -> None:
    before = set(psutil.Process().children())
    pool = WorkerPool(2)
    pool.start()
    workers = [await pool.acquire(), await pool.acquire()]
    waiting = [asyncio.create_task(pool.acquire()) for _ in range(2)]
    await asyncio.sleep(0)
    await pool.close()
    await pool.close()
    for refused in waiting:
        with pytest.raises(EngineFailed, match="shut down"):
            await refused
    assert not any(worker.alive for worker in workers)
    assert set(psutil.Process().children()) <= before
