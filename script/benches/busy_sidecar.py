"""Short commands before a real sidecar, alone and behind a backlog of long texts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
import random
import sys
import time

import aiohttp
from home.process import Process, ProcessFailed
from prometheus_client.parser import text_string_to_metric_families

from .client import Client, ClientError
from .figures import Figures, note, spread
from .process import SCRIPT, Served
from .speech import REPLIES, Clip

_WAITS = "barnabeenet_queue_wait_seconds"
_BUSY_S = 60.0
_AGAIN_S = 0.1


@dataclass
class Seen:
    """What people saw: milliseconds from a command's end to its words, from a reply's text to its first audio."""

    words_ms: list[float] = field(default_factory=list)
    first_audio_ms: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def figures(self, ending: str = "") -> Figures:
        """Both, with an ending to their names."""
        return {
            **spread("process_words_ms", self.words_ms, ending),
            **spread("process_first_audio_ms", self.first_audio_ms, ending),
            f"process_failed{ending}": self.failures.total(),
        }


async def measure(
    served: Served, clips: Sequence[Clip], folder: Path, *, people: int, texts: int, think_s: float, seconds: float
) -> Figures:
    """The people alone, then with the backlog; raises ProcessFailed when there is no backlog."""
    clients = [await served.client(number) for number in range(people)]

    async def together() -> Seen:
        seen = Seen()
        ends = time.perf_counter() + seconds
        async with asyncio.TaskGroup() as group:
            for number, client in enumerate(clients):
                person = _Person(client, clips, random.Random(number), seen)  # noqa: S311 - chance, no secret
                group.create_task(person.live(think_s, ends))
        for failure, times in seen.failures.most_common(3):
            note(f"{times} times: {failure}")
        return seen

    found = (await together()).figures("_idle")
    async with _backlog(served, texts, folder):
        before = await _short_waits(served)
        found |= (await together()).figures()
        waits = {bound: count - before.get(bound, 0) for bound, count in (await _short_waits(served)).items()}
    for client in clients:
        await client.close()
    return found | {
        "process_short_wait_ms_p95": round(quantile(waits, 0.95) * 1000, 2),
        "process_short_waits": max(waits.values()),
    }


def quantile(cumulative: dict[float, float], share: float) -> float:
    """The quantile of a histogram's cumulative buckets, interpolated within its bucket; raises ValueError when empty."""
    total = max(cumulative.values(), default=0)
    if not total:
        raise ValueError("a quantile needs samples")
    lower, below = 0.0, 0.0
    for bound, count in sorted(cumulative.items()):
        if count >= share * total:
            if bound == float("inf"):
                return lower
            return lower + (bound - lower) * (share * total - below) / (count - below)
        lower, below = bound, count
    return lower


@dataclass(frozen=True)
class _Person:
    client: Client
    clips: Sequence[Clip]
    chance: random.Random
    seen: Seen

    async def live(self, think_s: float, ends: float) -> None:
        while time.perf_counter() + (thinks_s := self.chance.expovariate(1 / think_s)) < ends:
            await asyncio.sleep(thinks_s)
            try:
                await self._command()
            except ClientError as error:
                self.seen.failures[str(error)] += 1

    async def _command(self) -> None:
        self.seen.words_ms.append((await self.client.transcribe(self.chance.choice(self.clips).pcm)).after_ms)
        self.seen.first_audio_ms.append((await self.client.speak(self.chance.choice(REPLIES))).first_ms)


@asynccontextmanager
async def _backlog(served: Served, texts: int, folder: Path) -> AsyncIterator[None]:
    program = Process(
        [sys.executable, "-m", "benches.backlog", str(served.port), str(texts)],
        log=folder / "backlog.out",
        env={"BARNABEENET_TOKEN": served.token, "PYTHONPATH": str(SCRIPT)},
    )
    async with program:
        try:
            async with asyncio.timeout(_BUSY_S):
                while await _speaking(served) < texts:
                    program.check()
                    await asyncio.sleep(_AGAIN_S)
        except TimeoutError:
            raise ProcessFailed(f"the backlog is not there after {_BUSY_S:g} s: {program.tail()}") from None
        yield
        program.check()


async def _speaking(served: Served) -> float:
    return (await _samples(served, "barnabeenet_requests_active", "kind", {"kind": "synthesize"})).get("synthesize", 0)


async def _short_waits(served: Served) -> dict[float, float]:
    buckets = await _samples(served, f"{_WAITS}_bucket", "le", {"priority": "short"})
    return {float(bound): count for bound, count in buckets.items()}


async def _samples(served: Served, name: str, by: str, wanted: dict[str, str]) -> dict[str, float]:
    """The samples of a metric with these labels, summed up by one more label."""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{served.http_port}/metrics") as response:
        text = await response.text()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and wanted.items() <= sample.labels.items():
                found[sample.labels[by]] = found.get(sample.labels[by], 0) + sample.value
    return found
