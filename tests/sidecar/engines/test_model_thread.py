"""The thread that a model works in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
import logging
import threading

import pytest

from barnabeenet_sidecar.engines import model_thread
from barnabeenet_sidecar.engines.device import EngineOutOfMemory
from barnabeenet_sidecar.engines.model_thread import ModelThread, Stop, Stopped
from barnabeenet_sidecar.errors import BadRequest, EngineFailed
from barnabeenet_sidecar.telemetry.metrics import RequestMeter
from barnabeenet_sidecar.telemetry.request_log import fields, request_log


@pytest.fixture
async def thread() -> AsyncIterator[ModelThread]:
    thread = ModelThread("model")
    yield thread
    await thread.close()


class Endless:
    """A job that goes on until it is told to stop."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.ended = threading.Event()

    def __call__(self, stop: Stop) -> str:
        told = threading.Event()
        stop.on_set(told.set)
        self.running.set()
        try:
            assert told.wait(20)
            stop.check()
            return "never"
        finally:
            self.ended.set()


async def running(job: Endless) -> None:
    assert await asyncio.to_thread(job.running.wait, 10)


async def ended(job: Endless) -> None:
    assert await asyncio.to_thread(job.ended.wait, 10)


async def test_jobs_run_one_at_a_time_in_one_thread_off_the_loop(thread: ModelThread) -> None:
    at_once = most = 0

    def work(_stop: Stop) -> int:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        ident = threading.get_ident()
        at_once -= 1
        return ident

    idents = set(await asyncio.gather(*(thread.run(work, deadline_s=10) for _ in range(20))))
    assert most == 1
    assert len(idents) == 1
    assert idents != {threading.get_ident()}


async def test_lines_that_a_job_logs_carry_the_request_that_it_works_on(thread: ModelThread) -> None:
    with request_log("transcribe", RequestMeter(), session="5e55", trace_id="abc"):
        during = await thread.run(lambda _stop: fields(), deadline_s=10)
    assert during["trace_id"] == "abc"
    assert await thread.run(lambda _stop: fields(), deadline_s=10) == {}


async def test_a_job_whose_caller_is_cancelled_is_told_to_stop_and_the_next_one_runs(thread: ModelThread) -> None:
    job = Endless()
    task = asyncio.create_task(thread.run(job, deadline_s=20))
    await running(job)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await thread.run(lambda _stop: "next", deadline_s=10) == "next"
    assert job.ended.is_set()


async def test_a_job_that_waits_is_never_begun_when_its_caller_is_cancelled(thread: ModelThread) -> None:
    first = Endless()
    begun: list[Stop] = []
    holding = asyncio.create_task(thread.run(first, deadline_s=20))
    await running(first)
    waiting = asyncio.create_task(thread.run(begun.append, deadline_s=20))
    await asyncio.sleep(0)
    for task in (waiting, holding):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await thread.run(lambda _stop: None, deadline_s=10)
    assert begun == []


async def test_a_job_past_its_deadline_fails_and_is_told_to_stop(
    thread: ModelThread, pass_time: Callable[[float], None]
) -> None:
    job = Endless()
    task = asyncio.create_task(thread.run(job, deadline_s=20))
    await running(job)
    pass_time(21)
    with pytest.raises(EngineFailed, match="model did not end within 20 s"):
        await task
    await ended(job)


async def test_what_a_job_raises_becomes_one_line_and_its_traceback_is_logged(
    thread: ModelThread, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_stop: Stop) -> None:
        raise KeyError("weights\nof old")

    with caplog.at_level(logging.ERROR), pytest.raises(EngineFailed, match="model broke: 'weights"):
        await thread.run(broken, deadline_s=10)
    assert caplog.records[0].exc_info is not None


async def test_want_of_memory_is_raised_as_such(thread: ModelThread) -> None:
    def hungry(_stop: Stop) -> None:
        raise MemoryError

    with pytest.raises(EngineOutOfMemory):
        await thread.run(hungry, deadline_s=10)


async def test_a_jobs_own_refusal_passes_unchanged_and_is_not_logged(
    thread: ModelThread, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_stop: Stop) -> None:
        raise BadRequest("no")

    with pytest.raises(BadRequest):
        await thread.run(refuse, deadline_s=10)
    assert not caplog.records


async def test_closing_stops_what_runs_and_refuses_what_waits_and_what_comes(thread: ModelThread) -> None:
    first = Endless()
    tasks = [asyncio.create_task(thread.run(first, deadline_s=20))]
    await running(first)
    tasks += [asyncio.create_task(thread.run(Endless(), deadline_s=20)) for _ in range(3)]
    await asyncio.sleep(0)
    await thread.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == ["model is shutting down"] * 4
    with pytest.raises(EngineFailed, match="shut down"):
        await thread.run(lambda _stop: None, deadline_s=10)
    await thread.close()
    assert not [other.name for other in threading.enumerate() if other.name.startswith("model_")]


async def test_a_job_that_does_not_stop_is_reported_and_does_not_hold_up_the_end(
    thread: ModelThread, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(model_thread, "_CLOSE_S", 0.05)
    begun, release = threading.Event(), threading.Event()

    def deaf(_stop: Stop) -> None:
        begun.set()
        release.wait(20)

    task = asyncio.create_task(thread.run(deaf, deadline_s=20))
    # Closing takes back what the thread has not yet begun.
    assert await asyncio.to_thread(begun.wait, 10)
    try:
        await asyncio.wait_for(thread.close(), 5)
        assert "did not stop within 0.05 s" in caplog.text
    finally:
        release.set()
        await asyncio.wait([task])


def test_an_action_that_comes_too_late_is_done_at_once() -> None:
    stop, done = Stop(), []
    stop.check()
    stop.set()
    stop.on_set(lambda: done.append(1))
    assert done == [1]
    with pytest.raises(Stopped):
        stop.check()


def test_actions_are_done_once() -> None:
    stop, done = Stop(), []
    stop.on_set(lambda: done.append(1))
    stop.set()
    stop.set()
    assert done == [1]
