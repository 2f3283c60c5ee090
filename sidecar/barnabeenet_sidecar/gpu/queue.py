"""Whose turn it is on the engines: short commands first, oldest first, both kinds of work fairly, nobody starves."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, IntEnum
import itertools
import time
from typing import Final

from ..errors import Busy, Draining

AGEING_S: Final = 5.0
AGED_EVERY: Final = 4
WAITING_MAX: Final = 1_024


class Priority(IntEnum):
    """How soon somebody needs it; the smaller goes first."""

    SHORT = 0
    """A command somebody is waiting for, a confirmation."""
    NORMAL = 1
    LONG = 2
    """Dictation, long texts, anything nobody stands and waits for."""


class Kind(Enum):
    """The kinds of work that alternate."""

    RECOGNITION = "recognition"
    SYNTHESIS = "synthesis"
    EMBEDDING = "embedding"


@dataclass(eq=False)
class Ticket:
    """A place in the queue, and later a turn; `waited_s` is known once the turn has come."""

    priority: Priority
    kind: Kind
    number: int
    since_s: float
    turn: asyncio.Future[None] = field(repr=False)
    waited_s: float = 0.0


class WorkQueue:
    """Gives turns to at most `parallel` pieces of work at a time.

    The next turn goes to the best priority, within it to the kind served longest ago, within that to the oldest.
    Who has waited for `ageing_s` is aged: when `aged_every` turns in a row have passed the aged by, the next one is the
    oldest aged one's whatever its priority. So a backlog of long work delays a short command by no more than its share,
    and no flood of short commands keeps long work waiting for ever. Nothing polls: a turn is passed on as it ends.
    """

    def __init__(
        self,
        parallel: int = 2,
        *,
        ageing_s: float = AGEING_S,
        aged_every: int = AGED_EVERY,
        waiting_max: int = WAITING_MAX,
        clock: Callable[[], float] = time.monotonic,
        on_turn: Callable[[Ticket], None] = lambda _: None,
    ) -> None:
        _check(parallel)
        self._parallel = self._free = parallel
        self._ageing_s, self._aged_every, self._waiting_max = ageing_s, aged_every, waiting_max
        self._clock, self._on_turn = clock, on_turn
        # A line for each priority and kind; the oldest stands at its head.
        self._lines: dict[tuple[Priority, Kind], deque[Ticket]] = {
            (priority, kind): deque() for priority in Priority for kind in Kind
        }
        self._numbers = itertools.count()
        self._turns = itertools.count(1)
        self._last_turns: dict[tuple[Priority, Kind], int] = {}
        self._passed_by = 0
        self._closed = False

    def set_parallel(self, parallel: int) -> None:
        """Allows another number of pieces of work at a time; what runs goes on. Raises ValueError for none."""
        _check(parallel)
        self._free += parallel - self._parallel
        self._parallel = parallel
        self._serve()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(len(line) for line in self._lines.values())

    def depth(self, priority: Priority) -> int:
        """How many of a priority wait."""
        return sum(len(line) for (each, _), line in self._lines.items() if each is priority)

    @asynccontextmanager
    async def turn(self, priority: Priority, kind: Kind) -> AsyncIterator[Ticket]:
        """Waits for a turn and holds it for the length of the block.

        A waiter that is cancelled leaves the line. Raises Busy when too many wait, Draining once the queue is closed.
        """
        ticket = self._queue_up(priority, kind)
        try:
            await ticket.turn
        except asyncio.CancelledError:
            self._leave(ticket)
            raise
        try:
            yield ticket
        finally:
            self._pass_on()

    def close(self) -> None:
        """Refuses everybody who waits or comes later; turns that run go on to their end."""
        self._closed = True
        for line in self._lines.values():
            while line:
                turn = line.popleft().turn
                if not turn.cancelled():
                    turn.set_exception(Draining("the sidecar is shutting down: try again in a moment"))

    def _queue_up(self, priority: Priority, kind: Kind) -> Ticket:
        if self._closed:
            raise Draining("the sidecar is shutting down: try again in a moment")
        if self.waiting >= self._waiting_max:
            raise Busy(f"{self.waiting} requests are waiting already: try again in a moment")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ticket = Ticket(priority, kind, next(self._numbers), self._clock(), turn)
        self._lines[priority, kind].append(ticket)
        self._serve()
        return ticket

    def _leave(self, ticket: Ticket) -> None:
        if ticket.turn.done() and not ticket.turn.cancelled() and ticket.turn.exception() is None:
            # The turn came in the same moment as the cancellation: it belongs to the next one.
            self._pass_on()
        elif ticket in (line := self._lines[ticket.priority, ticket.kind]):
            line.remove(ticket)

    def _pass_on(self) -> None:
        self._free += 1
        self._serve()

    def _serve(self) -> None:
        while self._free > 0 and (ticket := self._next()):
            self._lines[ticket.priority, ticket.kind].popleft()
            self._free -= 1
            self._last_turns[ticket.priority, ticket.kind] = next(self._turns)
            ticket.waited_s = self._clock() - ticket.since_s
            ticket.turn.set_result(None)
            self._on_turn(ticket)

    def _next(self) -> Ticket | None:
        for line in self._lines.values():
            # Many may be cancelled in one moment: some of them have not got to leaving the line.
            while line and line[0].turn.cancelled():
                line.popleft()
        heads = [line[0] for line in self._lines.values() if line]
        if not heads:
            return None
        aged = min((head for head in heads if self._is_aged(head)), key=lambda head: head.number, default=None)
        best = min(heads, key=self._rank)
        if aged is None or best is aged:
            self._passed_by = 0
            return best
        self._passed_by += 1
        if self._passed_by < self._aged_every:
            return best
        self._passed_by = 0
        return aged

    def _is_aged(self, ticket: Ticket) -> bool:
        return self._clock() - ticket.since_s >= self._ageing_s

    def _rank(self, ticket: Ticket) -> tuple[Priority, int, int]:
        return ticket.priority, self._last_turns.get((ticket.priority, ticket.kind), 0), ticket.number


def _check(parallel: int) -> None:
    if parallel < 1:
        raise ValueError("at least one piece of work must be allowed at a time")
