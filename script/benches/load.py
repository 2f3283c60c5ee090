"""Many clients at once, each with a connection of its own: people who give a command and hear the reply, in a row."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
import time

from .client import Client, ClientError
from .figures import Figures, note, percentile
from .process import Served
from .speech import REPLIES, Clip

# Nobody starts to speak in the same moment as all others do.
_SPREAD_S = 2.0


@dataclass
class Answers:
    """Milliseconds of the requests that were answered well, by kind, and why others were not."""

    times_ms: dict[str, list[float]] = field(default_factory=lambda: {"transcribe": [], "synthesize": []})
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, other: Answers) -> None:
        """Takes those of another person."""
        for kind, times_ms in other.times_ms.items():
            self.times_ms[kind] += times_ms
        self.failures += other.failures

    def figures(self, clients: int) -> Figures:
        """Share and latencies, each name ending in the number of clients."""
        times_ms = [each for kind in self.times_ms.values() for each in kind]
        asked = len(times_ms) + self.failures.total()
        found = {f"requests_{clients}": asked, f"share_ok_{clients}": round(len(times_ms) / asked, 4)}
        for ending, samples_ms in (("", times_ms), *((f"_{kind}", each) for kind, each in self.times_ms.items())):
            if samples_ms:
                found[f"p50_ms_{clients}{ending}"] = round(median(samples_ms), 1)
                found[f"p95_ms_{clients}{ending}"] = round(percentile(samples_ms, 95), 1)
        return found


async def measure(
    served: Served, clips: Sequence[Clip], expected: Mapping[str, str], *, clients: int, seconds: float
) -> Answers:
    """Lets so many people speak for so long, each at least once, and waits for their last answers.

    `expected` is what the bare engine understands in a clip: another transcript is no good answer.
    """
    people = [_Person(await served.client(number), clips, expected) for number in range(clients)]
    ends = time.perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        for number, person in enumerate(people):
            group.create_task(person.live(number, number / clients * _SPREAD_S, ends))
    answers = Answers()
    for person in people:
        answers.add(person.answers)
        await person.client.close()
    for failure, times in answers.failures.most_common(3):
        note(f"{clients} clients, {times} times: {failure}")
    return answers


@dataclass
class _Person:
    client: Client
    clips: Sequence[Clip]
    expected: Mapping[str, str]
    answers: Answers = field(default_factory=Answers)

    async def live(self, number: int, wait_s: float, ends: float) -> None:
        """Gives commands until the end, beginning with the one of this number."""
        await asyncio.sleep(wait_s)
        await self._command(number)
        while time.perf_counter() < ends:
            number += 1
            await self._command(number)

    async def _command(self, number: int) -> None:
        clip, reply = self.clips[number % len(self.clips)], REPLIES[number % len(REPLIES)]
        await self._try("transcribe", self._say(clip))
        await self._try("synthesize", self._hear(reply))

    async def _try(self, kind: str, request: Awaitable[float]) -> None:
        try:
            self.answers.times_ms[kind].append(await request)
        except ClientError as error:
            self.answers.failures[str(error)] += 1

    async def _say(self, clip: Clip) -> float:
        heard = await self.client.transcribe(clip.pcm)
        if heard.text != self.expected[clip.said]:
            raise ClientError(f"{clip.said!r} became {heard.text!r} instead of {self.expected[clip.said]!r}")
        return heard.after_ms

    async def _hear(self, reply: str) -> float:
        return (await self.client.speak(reply)).first_ms
