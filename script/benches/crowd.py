"""People with short commands and a backlog of long texts before the same engines, whoever gives out the turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
import random
import time
from typing import Any, Protocol

from barnabeenet_sidecar.gpu.queue import Kind, Priority

from .engines import Bare
from .speech import REPLIES, Clip, tale_sentence


class Turn(Protocol):
    """A turn that has come."""

    @property
    def waited_s(self) -> float:
        """How long it took to come."""


class Turns(Protocol):
    """Gives out turns on the engines."""

    def turn(self, priority: Priority, kind: Kind) -> AbstractAsyncContextManager[Turn]:
        """Waits for a turn and holds it for the length of the block."""


@dataclass(frozen=True)
class Waited:
    """A turn of `Fifo`."""

    waited_s: float


class Fifo:
    """First come, first served, as many at a time as the queue lets: what there would be without the queue."""

    def __init__(self, parallel: int) -> None:
        self._room = asyncio.Semaphore(parallel)

    @asynccontextmanager
    async def turn(self, _priority: Priority, _kind: Kind) -> AsyncIterator[Waited]:
        """Waits behind all who came before."""
        since = time.perf_counter()
        async with self._room:
            yield Waited(time.perf_counter() - since)


@dataclass
class Times:
    """What became of a crowd: sentences of the long texts, and milliseconds that short work waited and took in all.

    Who still waits at the end has waited until then.
    """

    waits_ms: list[float] = field(default_factory=list)
    answers_ms: list[float] = field(default_factory=list)
    sentences: int = 0


@dataclass(frozen=True)
class Crowd:
    """Who comes: `backlog` long texts without end, and people who think for `think_s` on average between two commands.

    A command is a short reply to be spoken; with `clips`, words to be recognised before it.
    """

    bare: Bare
    people: int
    backlog: int
    think_s: float
    clips: Sequence[Clip] = ()

    async def live(self, turns: Turns, seconds: float) -> Times:
        """Lets them come for a while."""
        times = Times()
        lives = [
            *(self._tell(number, turns, times) for number in range(self.backlog)),
            *(self._command(number, turns, times) for number in range(self.people)),
        ]
        tasks = [asyncio.create_task(life) for life in lives]
        ended, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in ended:
            task.result()
        return times

    async def _tell(self, number: int, turns: Turns, times: Times) -> None:
        while True:
            async with turns.turn(Priority.LONG, Kind.SYNTHESIS):
                await self.bare.speak(tale_sentence(number))
            times.sentences += 1

    async def _command(self, number: int, turns: Turns, times: Times) -> None:
        # The same moments for everybody who gives out turns.
        chance = random.Random(number)  # noqa: S311 - chance, no secret
        while True:
            await asyncio.sleep(chance.expovariate(1 / self.think_s))
            started = time.perf_counter()
            if self.clips:
                clip = chance.choice(self.clips)
                await _short(turns, Kind.RECOGNITION, self.bare.recognise(clip.pcm), times)
            await _short(turns, Kind.SYNTHESIS, self.bare.speak(chance.choice(REPLIES)), times)
            times.answers_ms.append((time.perf_counter() - started) * 1000)


async def _short(turns: Turns, kind: Kind, work: Coroutine[Any, Any, object], times: Times) -> None:
    since, came = time.perf_counter(), False
    try:
        async with turns.turn(Priority.SHORT, kind) as turn:
            came = True
            times.waits_ms.append(turn.waited_s * 1000)
            await work
    finally:
        if not came:
            # The time is over. Left out, those who waited longest would not count.
            times.waits_ms.append((time.perf_counter() - since) * 1000)
            work.close()
