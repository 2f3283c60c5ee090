"""The engines' child process: whatever it does, the one who asked is told, another child serves, and nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
import logging
import os
from pathlib import Path
import signal
import sys
import threading
import time

import psutil
import pytest

from barnabeenet_sidecar.errors import BadRequest, EngineFailed, EngineUnavailable
from barnabeenet_sidecar.gpu.child import EngineProcess, RestartDelay
from barnabeenet_sidecar.gpu.child_process import ChildProcess
from barnabeenet_sidecar.gpu.vram import OutOfMemory
from barnabeenet_sidecar.telemetry.metrics import RequestMeter
from barnabeenet_sidecar.telemetry.request_log import request_log

HERE = Path(__file__).resolve().parent
# Without the packages of the environment it starts twice as fast.
COMMAND = [sys.executable, "-I", "-S", str(HERE / "misbehaving_engine.py")]
AT_ONCE = RestartDelay(first_s=0)
PLENTY_S = 20.0


class Readiness:
    """Lets a test wait for the engines to be lost and to be ready again."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[bool] = asyncio.Queue()

    async def until(self, wanted: bool) -> None:
        async with asyncio.timeout(PLENTY_S):
            while await self.changes.get() is not wanted:
                pass


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


@pytest.fixture
async def engines(readiness: Readiness) -> AsyncIterator[EngineProcess]:
    engines = EngineProcess(COMMAND, on_change=readiness.changes.put_nowait, delay=AT_ONCE)
    await engines.start()
    await readiness.until(True)
    yield engines
    await engines.close()


async def has_begun(engines: EngineProcess) -> None:
    """Waits until the child works on what a task was made to ask a moment ago."""
    # The first may overtake it on its way to the child, the second cannot.
    for _ in range(2):
        await engines.call("echo", deadline_s=PLENTY_S)


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


# Asking


async def test_a_request_comes_back_with_its_value_and_its_bytes(engines: EngineProcess) -> None:
    audio = bytes(range(256)) * 4096
    answer = await engines.call("echo", {"voice": "zoë", "rate_hz": 24_000}, audio, deadline_s=PLENTY_S)
    assert answer.value == {"voice": "zoë", "rate_hz": 24_000}
    assert answer.payload == audio


async def test_requests_at_the_same_time_get_their_own_answers(engines: EngineProcess) -> None:
    numbers = range(50)
    answers = await asyncio.gather(*(engines.call("echo", {"n": n}, bytes(n), deadline_s=PLENTY_S) for n in numbers))
    assert [(answer.value["n"], len(answer.payload)) for answer in answers] == [(n, n) for n in numbers]


async def test_lines_that_the_child_logs_carry_the_request_that_it_works_on(engines: EngineProcess) -> None:
    with request_log("transcribe", RequestMeter(), session="5e55", trace_id="abc"):
        during = await engines.call("about", deadline_s=PLENTY_S)
    assert during.value == {"kind": "transcribe", "session": "5e55", "trace_id": "abc"}
    assert (await engines.call("about", deadline_s=PLENTY_S)).value == {}


async def test_a_stream_comes_in_order(engines: EngineProcess) -> None:
    answers = engines.stream("count", {"to": 100, "bytes": 1000}, deadline_s=PLENTY_S)
    assert [answer.value["number"] async for answer in answers] == list(range(100))


async def test_answers_come_while_the_rest_is_being_made(engines: EngineProcess) -> None:
    async with aclosing(engines.stream("count", {"to": 2, "every_s": 3600}, deadline_s=PLENTY_S)) as answers:
        assert (await anext(answers)).value == {"number": 0}


async def test_the_child_is_never_far_ahead_of_who_listens(engines: EngineProcess) -> None:
    async with aclosing(engines.stream("count", {"to": 1000, "bytes": 100_000}, deadline_s=PLENTY_S)) as answers:
        await anext(answers)
        for _ in range(5):
            tally = await engines.call("tally", deadline_s=PLENTY_S)
        assert tally.value["made"] <= 6


async def test_who_listens_slowly_is_not_taken_for_a_hang(engines: EngineProcess) -> None:
    pid = engines.pid
    async with aclosing(engines.stream("count", {"to": 8}, deadline_s=2)) as answers:
        await anext(answers)
        await asyncio.sleep(2.2)  # a player that plays
        assert len([answer async for answer in answers]) == 7
    assert engines.pid == pid


async def test_closing_a_stream_stops_the_work(engines: EngineProcess) -> None:
    async with aclosing(engines.stream("count", {"to": 1000, "every_s": 3600}, deadline_s=PLENTY_S)) as answers:
        await anext(answers)
    tally = await engines.call("tally", deadline_s=PLENTY_S)
    assert tally.value == {"made": 1, "cancelled": 1}


async def test_a_cancelled_call_stops_the_work_and_the_child_lives(engines: EngineProcess) -> None:
    pid = engines.pid
    call = asyncio.create_task(engines.call("sleep_for_ever", deadline_s=PLENTY_S))
    await has_begun(engines)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await engines.call("echo", deadline_s=PLENTY_S)
    assert engines.pid == pid


async def test_work_that_does_not_stop_when_cancelled_is_killed(engines: EngineProcess, readiness: Readiness) -> None:
    pid = engines.pid
    call = asyncio.create_task(engines.call("ignore_cancellation", deadline_s=2))
    await has_begun(engines)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await readiness.until(False)
    await readiness.until(True)
    assert engines.pid != pid


@pytest.mark.parametrize(
    ("method", "value", "error", "said"),
    [
        ("refuse", {"text": "speak up"}, BadRequest, "^speak up$"),
        ("run_out_of_memory", {}, OutOfMemory, "run_out_of_memory needs more memory than there is: CUDA error 2"),
        ("allocate", {}, OutOfMemory, "allocate needs more memory"),
        ("break_down", {}, EngineFailed, "broke on break_down: ZeroDivisionError"),
        ("fail_oddly", {}, EngineFailed, "^never heard of$"),
        ("missing", {}, EngineFailed, "no method missing"),
        ("answer_too_much", {}, EngineFailed, "payload of 9437184 bytes is more than"),
    ],
)
async def test_what_the_engine_raises_is_raised_here_and_the_child_lives(
    engines: EngineProcess, method: str, value: dict[str, str], error: type[Exception], said: str
) -> None:
    pid = engines.pid
    with pytest.raises(error, match=said):
        await engines.call(method, value, deadline_s=PLENTY_S)
    await engines.call("echo", deadline_s=PLENTY_S)
    assert engines.pid == pid


@pytest.mark.parametrize(
    ("value", "payload"),
    [({"text": "x" * 1024 * 1024}, b""), ({}, bytes(8 * 1024 * 1024 + 1)), ({"voice": object()}, b"")],
)
async def test_a_request_that_cannot_be_sent_is_refused(
    engines: EngineProcess, value: dict[str, object], payload: bytes
) -> None:
    with pytest.raises(BadRequest, match="cannot be asked"):
        await engines.call("echo", value, payload, deadline_s=PLENTY_S)
    await engines.call("echo", deadline_s=PLENTY_S)


async def test_what_a_library_prints_does_not_get_among_the_answers(engines: EngineProcess) -> None:
    assert (await engines.call("chatter", payload=b"x", deadline_s=PLENTY_S)).payload == b"x"


async def test_a_call_to_a_stream_takes_the_first_answer_and_stops_it(engines: EngineProcess) -> None:
    answer = await engines.call("count", {"to": 10, "every_s": 3600}, deadline_s=PLENTY_S)
    assert answer.value == {"number": 0}
    assert (await engines.call("tally", deadline_s=PLENTY_S)).value["cancelled"] == 1


async def test_a_stream_without_answers_is_no_answer_to_a_call(engines: EngineProcess) -> None:
    with pytest.raises(EngineFailed, match="no answer to count"):
        await engines.call("count", {"to": 0}, deadline_s=PLENTY_S)


# Dying


@pytest.mark.parametrize(
    ("method", "value", "deadline_s", "said"),
    [
        ("leave", {"status": 3}, PLENTY_S, r"died \(exit status 3\): try again"),
        ("leave", {"status": 0}, PLENTY_S, r"died \(exit status 0\)"),
        ("crash", {}, PLENTY_S, r"died \(SIGSEGV\)"),
        ("sleep_for_ever", {}, 0.1, r"took more than 0\.1 s for sleep_for_ever: try again"),
        ("hang", {}, 0.1, r"took more than 0\.1 s for hang"),
        ("hang_in_thread", {}, 0.1, r"took more than 0\.1 s"),
    ],
)
async def test_a_child_that_dies_or_hangs_is_told_of_and_replaced(
    engines: EngineProcess, readiness: Readiness, method: str, value: dict[str, int], deadline_s: float, said: str
) -> None:
    pid = engines.pid
    with pytest.raises(EngineFailed, match=said):
        await engines.call(method, value, deadline_s=deadline_s)
    await readiness.until(False)
    await readiness.until(True)
    assert (await engines.call("pid", deadline_s=PLENTY_S)).value["pid"] == engines.pid != pid
    assert engines.restarts == 1


async def test_all_requests_in_flight_end_at_once_when_the_child_is_killed(engines: EngineProcess) -> None:
    calls = [asyncio.create_task(engines.call("sleep_for_ever", deadline_s=3600)) for _ in range(20)]
    stream = engines.stream("count", {"to": 2, "every_s": 3600}, deadline_s=3600)
    await anext(stream)
    assert engines.pid is not None
    began = time.monotonic()
    os.kill(engines.pid, signal.SIGKILL)
    with pytest.raises(EngineFailed, match="SIGKILL"):
        await anext(stream)
    for call in calls:
        with pytest.raises(EngineFailed, match="SIGKILL"):
            await call
    assert time.monotonic() - began < 2


async def test_answers_that_had_come_are_heard_before_the_failure(engines: EngineProcess) -> None:
    stream = engines.stream("count", {"to": 3, "every_s": 0}, deadline_s=PLENTY_S)
    first = await anext(stream)
    await engines.call("echo", deadline_s=PLENTY_S)
    engines.restart("test")
    rest = [answer.value["number"] async for answer in stream]
    assert [first.value["number"], *rest] == [0, 1, 2]


async def test_a_request_while_there_is_no_child_fails_at_once(readiness: Readiness) -> None:
    engines = EngineProcess(COMMAND, on_change=readiness.changes.put_nowait, delay=RestartDelay(first_s=3600))
    await engines.start()
    with pytest.raises(EngineFailed, match=r"exit status 3\): try again"):
        await engines.call("leave", {"status": 3}, deadline_s=PLENTY_S)
    await readiness.until(False)
    assert not engines.ready
    assert engines.pid is None
    with pytest.raises(EngineFailed, match=r"exit status 3\): try again in a moment"):
        await engines.call("echo", deadline_s=PLENTY_S)
    await engines.close()


async def test_a_restart_that_is_asked_for_begins_at_once(readiness: Readiness) -> None:
    engines = EngineProcess(COMMAND, on_change=readiness.changes.put_nowait, delay=RestartDelay(first_s=3600))
    await engines.start()
    await readiness.until(True)
    engines.restart("memory is full")
    with pytest.raises(EngineFailed, match=r"restarted \(memory is full\): try again"):
        await engines.call("echo", deadline_s=PLENTY_S)
    await readiness.until(True)
    await engines.close()


async def test_a_restart_ends_the_wait_for_the_next_child_and_may_have_another_command(readiness: Readiness) -> None:
    engines = EngineProcess(COMMAND, on_change=readiness.changes.put_nowait, delay=RestartDelay(first_s=3600))
    await engines.start()
    await readiness.until(True)
    with pytest.raises(EngineFailed):
        await engines.call("leave", {"status": 3}, deadline_s=PLENTY_S)
    await readiness.until(False)
    engines.restart("the GPU is lost", [*COMMAND, "--device", "cpu"])
    await readiness.until(True)
    assert engines.pid is not None
    assert psutil.Process(engines.pid).cmdline()[-2:] == ["--device", "cpu"]
    await engines.close()


async def test_a_restart_ends_a_child_that_is_still_being_prepared(readiness: Readiness) -> None:
    prepared: list[ChildProcess] = []
    hangs = asyncio.Event()

    async def prepare(child: ChildProcess) -> None:
        prepared.append(child)
        if len(prepared) == 2:
            hangs.set()
            await child.call("sleep_for_ever", deadline_s=PLENTY_S)

    engines = EngineProcess(COMMAND, prepare=prepare, on_change=readiness.changes.put_nowait, delay=AT_ONCE)
    await engines.start()
    await readiness.until(True)
    engines.restart("one")
    await hangs.wait()
    engines.restart("two")
    assert "restarted (two)" in await prepared[1].ended()
    await readiness.until(True)
    await engines.close()


async def test_a_child_that_loads_may_be_silent_for_longer(readiness: Readiness) -> None:
    engines = EngineProcess(COMMAND, on_change=readiness.changes.put_nowait, delay=AT_ONCE, beat_s=0.3)
    await engines.start()
    await readiness.until(True)
    child = engines._child
    assert child is not None
    # Others are killed after 1.2 s of silence.
    await child.call("block", {"for_s": 2}, deadline_s=PLENTY_S, loads=True)
    with pytest.raises(EngineFailed, match="no sign of life"):
        await child.call("block", {"for_s": 3600}, deadline_s=PLENTY_S)
    await engines.close()


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_to_all_processes_leaves_the_child_working_while_its_parent_drains(
    engines: EngineProcess, signal_: signal.Signals
) -> None:
    pid = engines.pid
    assert pid is not None
    os.kill(pid, signal_)
    assert (await engines.call("pid", deadline_s=PLENTY_S)).value["pid"] == pid


async def test_a_child_that_gives_no_sign_of_life_is_replaced_though_nobody_asks(readiness: Readiness) -> None:
    engines = EngineProcess(COMMAND, on_change=readiness.changes.put_nowait, delay=AT_ONCE, beat_s=0.05)
    await engines.start()
    await readiness.until(True)
    assert engines.pid is not None
    pid = engines.pid
    os.kill(pid, signal.SIGSTOP)
    await readiness.until(False)
    await readiness.until(True)
    assert engines.pid != pid
    await engines.close()


async def test_a_quiet_child_that_is_well_is_left_alone(readiness: Readiness) -> None:
    engines = EngineProcess(COMMAND, on_change=readiness.changes.put_nowait, beat_s=0.3)
    await engines.start()
    pid = engines.pid
    await asyncio.sleep(2.1)  # seven beats: longer than the silence that would kill it
    assert (engines.pid, engines.restarts) == (pid, 0)
    await engines.close()


async def test_it_serves_again_within_five_seconds(engines: EngineProcess, readiness: Readiness) -> None:
    supervised = EngineProcess(COMMAND, on_change=readiness.changes.put_nowait)
    await supervised.start()
    await readiness.until(True)
    with pytest.raises(EngineFailed):
        await supervised.call("hang", deadline_s=0.1)
    began = time.monotonic()
    await readiness.until(True)
    await supervised.call("echo", deadline_s=PLENTY_S)
    assert 0.5 <= time.monotonic() - began < 5
    await supervised.close()


def test_restarts_come_later_and_later_until_a_child_stays_well() -> None:
    delay = RestartDelay()
    for lived_s, expected in ((1, [0.5, 1, 1, 1]), (0, [0.5, 1, 2, 4, 8, 10, 10])):
        waited = [0.0]
        for _ in expected:
            waited.append(delay.after(waited[-1], lived_s=lived_s))
        assert waited[1:] == expected
    assert delay.after(10, lived_s=1) == 1
    assert delay.after(10, lived_s=60) == 0.5


# Preparing


async def test_every_child_is_prepared_before_anybody_may_ask_it(readiness: Readiness) -> None:
    prepared = []

    async def prepare(child: ChildProcess) -> None:
        assert not engines.ready
        prepared.append((await child.call("pid", deadline_s=PLENTY_S)).value["pid"])

    engines = EngineProcess(COMMAND, prepare=prepare, on_change=readiness.changes.put_nowait, delay=AT_ONCE)
    await engines.start()
    engines.restart("test")
    await readiness.until(False)
    await readiness.until(True)
    assert len(set(prepared)) == 2
    assert prepared[-1] == engines.pid
    await engines.close()


async def _prepare_nothing_found(_: ChildProcess) -> None:
    raise EngineUnavailable("no weights here: pull them")


async def _prepare_by_dying(child: ChildProcess) -> None:
    await child.call("leave", {"status": 9}, deadline_s=PLENTY_S)


async def _prepare_badly(_: ChildProcess) -> None:
    raise KeyError("oops")


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (_prepare_nothing_found, "^no weights here: pull them$"),
        (_prepare_by_dying, "exit status 9"),
        (_prepare_badly, r"could not be prepared \(KeyError\('oops'\)\)"),
    ],
)
async def test_engines_that_cannot_be_prepared_are_unavailable_and_leave_nothing(
    prepare: Callable[[ChildProcess], Awaitable[None]], said: str
) -> None:
    engines = EngineProcess(COMMAND, prepare=prepare)
    with pytest.raises(EngineUnavailable, match=said):
        await engines.start()
    assert not children()
    assert not engines.ready


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/nonexistent/python"], "cannot? be started|can be started"),
        ([sys.executable, "-I", "-S", "-c", "raise SystemExit(7)"], r"exit status 7\) before it was ready"),
        ([sys.executable, "-I", "-S", "-c", "print('hello there, I am no engine' * 10)"], "does not keep its protocol"),
        ([sys.executable, "-I", "-S", "-c", "import os; os.write(1, b'\\xff' * 8)"], "does not keep its protocol"),
        (
            [sys.executable, "-I", "-S", "-c", "import os; os.write(1, b'\\0\\0\\0\\2\\0\\0\\0\\0[]' + b'x' * 9)"],
            "header is no object",
        ),
        (
            [sys.executable, "-I", "-S", "-c", "import os; os.write(1, b'\\0\\0\\0\\x08\\0\\0\\0\\0{\"id\":1}')"],
            "answers what nobody asked",
        ),
    ],
)
async def test_a_command_that_is_no_engine_process_is_unavailable(command: list[str], said: str) -> None:
    with pytest.raises(EngineUnavailable, match=said):
        await EngineProcess(command).start()
    assert not children()


async def test_a_child_that_answers_more_than_it_may_is_killed() -> None:
    script = (
        "import struct, sys, json, os\n"
        "def say(**header):\n"
        "    body = json.dumps(header).encode()\n"
        "    os.write(1, struct.pack('>II', len(body), 0) + body)\n"
        "say(ready=True)\n"
        "while b'method' not in os.read(0, 65536): pass\n"
        "for n in range(9): say(id=1, value={})\n"
        "os.read(0, 1); os.read(0, 65536)\n"
    )
    child = await ChildProcess.start([sys.executable, "-I", "-S", "-c", script])
    answers = child.stream("count", deadline_s=PLENTY_S)
    await anext(answers)
    assert "answers more than it may" in await child.ended()
    await answers.aclose()


async def test_a_child_that_never_gets_ready_is_killed() -> None:
    command = [sys.executable, "-I", "-S", "-c", "import threading; threading.Event().wait()"]
    with pytest.raises(EngineUnavailable, match="not ready after 0 s"):
        await ChildProcess.start(command, start_s=0.2)
    assert not children()


# Ending


async def test_a_closed_process_can_be_closed_again_and_says_so() -> None:
    engines = EngineProcess(COMMAND)
    await engines.start()
    call = asyncio.create_task(engines.call("sleep_for_ever", deadline_s=PLENTY_S))
    await engines.call("echo", deadline_s=PLENTY_S)
    await engines.close()
    await engines.close()
    with pytest.raises(EngineFailed, match="shut down"):
        await call
    with pytest.raises(EngineFailed, match="shut down"):
        await engines.call("echo", deadline_s=PLENTY_S)
    assert not children()


async def test_closing_while_it_starts_leaves_nothing() -> None:
    for _ in range(5):
        engines = EngineProcess(COMMAND)
        start = asyncio.create_task(engines.start())
        await asyncio.sleep(0)
        await engines.close()
        with pytest.raises(EngineUnavailable):
            await start
    assert not children()


async def test_a_start_that_is_cancelled_leaves_nothing() -> None:
    for turns in range(5):
        start = asyncio.create_task(EngineProcess(COMMAND).start())
        for _ in range(turns):
            await asyncio.sleep(0)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
    assert not children()


async def test_a_hanging_child_ends_with_a_parent_that_is_killed() -> None:
    script = (
        "import asyncio, sys\n"
        f"sys.path.insert(0, {str(HERE.parents[2] / 'sidecar')!r})\n"
        "from barnabeenet_sidecar.gpu.child import EngineProcess\n"
        "async def main():\n"
        f"    engines = EngineProcess({COMMAND!r})\n"
        "    await engines.start()\n"
        "    call = asyncio.create_task(engines.call('hang', deadline_s=3600))\n"
        "    await asyncio.sleep(0)\n"
        "    print(engines.pid, flush=True)\n"
        "    await call\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", script), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))
    parent.kill()
    await parent.wait()
    await asyncio.to_thread(psutil.wait_procs, [child], PLENTY_S)
    assert not child.is_running()


@pytest.mark.timeout(600)
async def test_two_hundred_deaths_leave_nothing_behind(
    caplog: pytest.LogCaptureFixture, own_threads: Callable[[], set[threading.Thread]]
) -> None:
    caplog.set_level(logging.CRITICAL, "barnabeenet_sidecar")
    fds, threads = psutil.Process().num_fds(), own_threads()

    async def lane(number: int) -> None:
        readiness = Readiness()
        engines = EngineProcess(COMMAND, on_change=readiness.changes.put_nowait, delay=AT_ONCE)
        await engines.start()
        for round_ in range(25):
            await readiness.until(True)
            await engines.call("echo", payload=bytes(1000), deadline_s=PLENTY_S)
            match (number + round_) % 4:
                case 0:
                    call = asyncio.create_task(engines.call("sleep_for_ever", deadline_s=PLENTY_S))
                    await engines.call("echo", deadline_s=PLENTY_S)
                    assert engines.pid is not None
                    os.kill(engines.pid, signal.SIGKILL)
                case 1:
                    call = asyncio.create_task(engines.call("hang", deadline_s=0.02))
                case 2:
                    call = asyncio.create_task(engines.call("leave", {"status": 1}, deadline_s=PLENTY_S))
                case _:
                    call = asyncio.create_task(engines.call("hang_in_thread", deadline_s=0.02))
            with pytest.raises(EngineFailed):
                await call
            await readiness.until(False)
        await engines.close()
        assert engines.restarts >= 24

    async with asyncio.timeout(500):
        await asyncio.gather(*map(lane, range(8)))
    assert not children()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert psutil.Process().num_fds() <= fds
    assert own_threads() <= threads
