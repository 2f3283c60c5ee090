"""The queue's promises, one by one and together in a state machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
import pytest

from barnabeenet_sidecar.errors import Busy, Draining
from barnabeenet_sidecar.gpu.queue import Kind, Priority, Ticket, WorkQueue

SHORT, NORMAL, LONG = Priority.SHORT, Priority.NORMAL, Priority.LONG
HEAR, SPEAK = Kind.RECOGNITION, Kind.SYNTHESIS


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Work:
    """Pieces of work that last until they are told to finish; `served` is the order in which turns came."""

    def __init__(self, queue: WorkQueue) -> None:
        self.queue = queue
        self.served: list[str] = []
        self._finish: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, name: str, priority: Priority, kind: Kind = SPEAK) -> None:
        self._finish[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._run(name, priority, kind))
        await settle()

    async def _run(self, name: str, priority: Priority, kind: Kind) -> None:
        async with self.queue.turn(priority, kind):
            self.served.append(name)
            await self._finish[name].wait()

    async def finish(self, name: str) -> None:
        self._finish[name].set()
        await self.tasks[name]
        await settle()

    async def finish_all(self) -> None:
        done = 0
        while done < len(self.tasks):
            await self.finish(self.served[done])
            done += 1


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_allowed_run_at_a_time() -> None:
    work = Work(WorkQueue(2))
    for name in "abc":
        await work.begin(name, NORMAL)
    assert work.served == ["a", "b"]
    await work.finish("a")
    assert work.served == ["a", "b", "c"]
    await work.finish_all()
    assert work.queue.waiting == 0


async def test_a_short_command_overtakes_long_work_and_the_oldest_goes_first() -> None:
    work = Work(WorkQueue(1))
    await work.begin("running", LONG)
    for name, priority in (("long", LONG), ("normal", NORMAL), ("short 1", SHORT), ("short 2", SHORT)):
        await work.begin(name, priority)
    await work.finish_all()
    assert work.served == ["running", "short 1", "short 2", "normal", "long"]


async def test_recognition_and_synthesis_alternate_within_a_priority() -> None:
    work = Work(WorkQueue(1))
    await work.begin("running", NORMAL, SPEAK)
    for name in ("speak 1", "speak 2", "speak 3"):
        await work.begin(name, NORMAL, SPEAK)
    for name in ("hear 1", "hear 2"):
        await work.begin(name, NORMAL, HEAR)
    await work.finish_all()
    assert work.served == ["running", "hear 1", "speak 1", "hear 2", "speak 2", "speak 3"]


async def test_all_kinds_take_turns_however_old_the_backlog_of_the_others_is() -> None:
    work = Work(WorkQueue(1))
    await work.begin("running", NORMAL, SPEAK)
    for name in ("speak 1", "speak 2", "speak 3"):
        await work.begin(name, NORMAL, SPEAK)
    for name in ("hear 1", "hear 2", "hear 3"):
        await work.begin(name, NORMAL, HEAR)
    await work.begin("embed 1", NORMAL, Kind.EMBEDDING)
    await work.begin("embed 2", NORMAL, Kind.EMBEDDING)
    await work.finish_all()
    assert work.served == [
        "running",
        *("hear 1", "embed 1", "speak 1"),
        *("hear 2", "embed 2", "speak 2"),
        *("hear 3", "speak 3"),
    ]


async def test_long_work_gets_its_share_of_a_flood_of_short_commands() -> None:
    clock = Clock()
    work = Work(WorkQueue(1, ageing_s=5, aged_every=3, clock=clock))
    await work.begin("running", SHORT)
    await work.begin("long", LONG)
    clock.now_s = 6
    for number in range(6):
        await work.begin(f"short {number}", SHORT)
    await work.finish_all()
    assert work.served.index("long") == 3


async def test_an_aged_backlog_leaves_most_turns_to_short_commands() -> None:
    clock = Clock()
    work = Work(WorkQueue(1, ageing_s=5, aged_every=4, clock=clock))
    await work.begin("running", LONG)
    for number in range(8):
        await work.begin(f"long {number}", LONG)
    clock.now_s = 60
    for number in range(6):
        await work.begin(f"short {number}", SHORT)
    await work.finish_all()
    assert [name.split()[0] for name in work.served[1:9]] == ["short"] * 3 + ["long"] + ["short"] * 3 + ["long"]


async def test_a_waiter_that_is_cancelled_leaves_the_line() -> None:
    work = Work(WorkQueue(1))
    await work.begin("running", NORMAL)
    await work.begin("gone", NORMAL)
    await work.begin("next", NORMAL)
    work.tasks["gone"].cancel()
    await settle()
    assert work.queue.waiting == 1
    await work.finish("running")
    assert work.served == ["running", "next"]
    await work.finish("next")


async def test_a_turn_that_comes_in_the_moment_of_a_cancellation_is_passed_on() -> None:
    def cancel_the_second(ticket: Ticket) -> None:
        if ticket.number == 1:
            work.tasks["gone"].cancel()

    work = Work(WorkQueue(1, on_turn=cancel_the_second))
    await work.begin("running", NORMAL)
    await work.begin("gone", NORMAL)
    await work.begin("next", NORMAL)
    await work.finish("running")
    assert work.served == ["running", "next"]
    assert work.tasks["gone"].cancelled()
    await work.finish("next")


async def test_turns_go_on_when_all_who_ran_and_who_waited_are_cancelled_in_one_moment() -> None:
    work = Work(WorkQueue(2))
    for name in ("running", "running too", "waiting", "waiting too", "speaking"):
        await work.begin(name, NORMAL if name != "speaking" else LONG)
    for task in work.tasks.values():
        task.cancel()
    results = await asyncio.gather(*work.tasks.values(), return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 5
    assert work.queue.waiting == 0
    after = Work(work.queue)
    await after.begin("next", NORMAL)
    await after.begin("next too", NORMAL)
    assert after.served == ["next", "next too"]
    await after.finish_all()


async def test_a_queue_may_be_closed_in_the_moment_of_a_cancellation() -> None:
    work = Work(WorkQueue(1))
    for name in ("running", "gone", "waiting"):
        await work.begin(name, NORMAL)
    work.tasks["gone"].cancel()
    work.queue.close()
    with pytest.raises(Draining):
        await work.tasks["waiting"]
    await settle()
    assert work.tasks["gone"].cancelled()
    await work.finish("running")


async def test_work_that_fails_gives_its_turn_back() -> None:
    queue = WorkQueue(1)
    with pytest.raises(ZeroDivisionError):
        async with queue.turn(NORMAL, HEAR):
            raise ZeroDivisionError
    async with queue.turn(NORMAL, HEAR) as ticket:
        assert ticket.waited_s == pytest.approx(0, abs=0.5)


async def test_too_many_waiters_are_refused() -> None:
    work = Work(WorkQueue(1, waiting_max=1))
    await work.begin("running", NORMAL)
    await work.begin("waiting", NORMAL)
    with pytest.raises(Busy, match="1 requests are waiting already"):
        async with work.queue.turn(SHORT, HEAR):
            pass
    await work.finish_all()


async def test_a_closed_queue_refuses_who_waits_and_who_comes_and_lets_the_running_end() -> None:
    work = Work(WorkQueue(1))
    await work.begin("running", NORMAL)
    await work.begin("waiting", NORMAL)
    work.queue.close()
    with pytest.raises(Draining):
        await work.tasks["waiting"]
    with pytest.raises(Draining):
        async with work.queue.turn(SHORT, HEAR):
            pass
    await work.finish("running")


async def test_the_wait_is_told_with_the_turn() -> None:
    clock, turns = Clock(), list[Ticket]()
    work = Work(WorkQueue(1, clock=clock, on_turn=turns.append))
    await work.begin("running", SHORT)
    await work.begin("waiting", LONG, HEAR)
    assert (work.queue.depth(LONG), work.queue.depth(SHORT)) == (1, 0)
    clock.now_s = 3
    await work.finish_all()
    assert [(turn.priority, turn.kind, turn.waited_s) for turn in turns] == [(SHORT, SPEAK, 0), (LONG, HEAR, 3)]


def test_a_queue_that_never_serves_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        WorkQueue(0)


async def test_a_wider_queue_gives_turns_at_once_and_a_narrower_one_as_they_end() -> None:
    queue = WorkQueue(1)
    work = Work(queue)
    for name in "abcde":
        await work.begin(name, NORMAL)
    assert work.served == ["a"]
    queue.set_parallel(3)
    await settle()
    assert work.served == ["a", "b", "c"]
    queue.set_parallel(1)
    await work.finish("a")
    await work.finish("b")
    assert work.served == ["a", "b", "c"]
    await work.finish("c")
    assert work.served == ["a", "b", "c", "d"]
    await work.finish_all()
    with pytest.raises(ValueError, match="at least one"):
        queue.set_parallel(0)


class QueueMachine(RuleBasedStateMachine):
    """Random arrivals, ends, cancellations and passing time; the model is the list of who waits."""

    PARALLEL, AGEING_S, AGED_EVERY = 2, 5.0, 3

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.queue = WorkQueue(
            self.PARALLEL,
            ageing_s=self.AGEING_S,
            aged_every=self.AGED_EVERY,
            clock=self.clock,
            on_turn=self.check_turn,
        )
        self.waiting: list[tuple[Ticket, asyncio.Task[None]]] = []
        self.running: list[asyncio.Event] = []
        self.passed_by: dict[int, int] = {}

    def teardown(self) -> None:
        async def end() -> None:
            for _, task in self.waiting:
                task.cancel()
            while self.running:
                self.running.pop().set()
                await settle()
            await settle()

        self.go(end)
        self.loop.close()

    def go(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.loop.run_until_complete(call())

    def is_aged(self, ticket: Ticket) -> bool:
        return self.clock() - ticket.since_s >= self.AGEING_S

    def check_turn(self, turn: Ticket) -> None:
        others = [ticket for ticket, _ in self.waiting if ticket is not turn]
        same_line = [t for t in others if (t.priority, t.kind) == (turn.priority, turn.kind)]
        assert all(turn.number < ticket.number for ticket in same_line), "overtaken in its own line"
        if not self.is_aged(turn):
            assert all(turn.priority <= ticket.priority for ticket in others), "a better priority was passed by"
        aged = [ticket for ticket in others if self.is_aged(ticket)]
        for ticket in aged:
            older = sum(1 for each in aged if each.number < ticket.number)
            self.passed_by[ticket.number] = self.passed_by.get(ticket.number, 0) + 1
            assert (
                self.passed_by[ticket.number] <= self.AGED_EVERY * (older + 1) + len(self.passed_by) * self.AGED_EVERY
            )
        self.waiting = [(ticket, task) for ticket, task in self.waiting if ticket is not turn]

    @rule(priority=st.sampled_from(Priority), kind=st.sampled_from(Kind))
    def arrive(self, priority: Priority, kind: Kind) -> None:
        finish = asyncio.Event()

        async def work() -> None:
            async with self.queue.turn(priority, kind):
                self.running.append(finish)
                await finish.wait()

        async def begin() -> None:
            task = asyncio.get_running_loop().create_task(work())
            await settle()
            known = {ticket.number for ticket, _ in self.waiting}
            line = self.queue._lines[priority, kind]
            self.waiting += [(ticket, task) for ticket in line if ticket.number not in known]

        self.go(begin)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        async def end() -> None:
            self.running.pop(data.draw(st.integers(0, len(self.running) - 1))).set()
            await settle()

        self.go(end)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        async def leave() -> None:
            _, task = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
            task.cancel()
            await settle()

        self.go(leave)

    @rule(seconds=st.floats(0.1, 10))
    def time_passes(self, seconds: float) -> None:
        self.clock.now_s += seconds

    @invariant()
    def nobody_waits_while_there_is_room(self) -> None:
        assert len(self.running) <= self.PARALLEL
        assert self.queue.waiting == len(self.waiting)
        if self.waiting:
            assert len(self.running) == self.PARALLEL


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=60, stateful_step_count=40)
