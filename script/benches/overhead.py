"""Requests in pairs: the bare engine in this process, and the same work asked of a sidecar over its socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
import time
from typing import TypeVar

from .client import Client
from .engines import Bare
from .figures import Figures, note, spread
from .speech import REPLIES, Clip

ResultT = TypeVar("ResultT")

SATELLITE_RATE_HZ = 16_000
# The kinds whose pairs make up the one figure; the others are stages or variants of them, or ask no engine at all.
WHOLE = ("synthesize", "transcribe", "detect")


# espeak-ng says the same text a little longer or shorter after what it, in this process, has said before: 17 ms of two
# seconds were seen after another voice. What is lost or converted wrongly is more.
_JITTER_SHARE = 0.02


@dataclass
class Pairs:
    """Milliseconds that the engine and the whole request took, by kind."""

    engine_ms: dict[str, list[float]] = field(default_factory=dict)
    request_ms: dict[str, list[float]] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)

    def add(self, kind: str, engine_ms: float, request_ms: float) -> None:
        """Takes one pair."""
        self.engine_ms.setdefault(kind, []).append(engine_ms)
        self.request_ms.setdefault(kind, []).append(request_ms)

    def overheads_ms(self, kind: str) -> list[float]:
        """What each request of a kind took beyond its engine."""
        both = zip(self.request_ms[kind], self.engine_ms[kind], strict=True)
        return [request_ms - engine_ms for request_ms, engine_ms in both]

    def figures(self) -> Figures:
        """Over all whole requests, then for each kind."""
        found = spread("overhead_ms", [each for kind in WHOLE for each in self.overheads_ms(kind)])
        for kind in self.engine_ms:
            found |= spread("overhead_ms", self.overheads_ms(kind), f"_{kind}")
            found[f"engine_ms_median_{kind}"] = round(median(self.engine_ms[kind]), 2)
        return found | {"pairs": sum(len(self.engine_ms[kind]) for kind in WHOLE), "differing": len(self.differing)}


async def measure(bare: Bare, client: Client, clips: Sequence[Clip], *, rounds: int, pace: float) -> Pairs:
    """Rounds of every kind, who goes first changing each time; one more round before them warms both up."""
    await _round(bare, client, clips[0], Pairs(), swap=False, pace=pace)
    pairs = Pairs()
    for number in range(rounds):
        clip = clips[number % len(clips)]
        await _round(bare, client, clip, pairs, swap=number % 2 == 0, pace=pace)
        latest = ", ".join(f"{kind} {pairs.overheads_ms(kind)[-1]:+.1f} ms" for kind in WHOLE)
        note(f"{number + 1}/{rounds} {clip.said}: {latest}")
    return pairs


async def _round(bare: Bare, client: Client, clip: Clip, pairs: Pairs, *, swap: bool, pace: float) -> None:
    for text in REPLIES:
        await _speak(bare, client, text, pairs, swap=swap)
    heard, transcribed = await _both(
        lambda: bare.transcribe(clip.pcm, pace=pace), lambda: client.transcribe(clip.pcm, pace=pace), swap=swap
    )
    pairs.add("transcribe", heard.after_ms, transcribed.after_ms)
    if heard.text != transcribed.text:
        pairs.differing.append(clip.said)
    pairs.add("detect", bare.watch(clip.pcm), await client.watch(clip.pcm))
    pairs.add("ping", 0.0, await _timed(client.ping))
    pairs.add("describe", 0.0, await _timed(client.describe))


async def _speak(bare: Bare, client: Client, text: str, pairs: Pairs, *, swap: bool) -> None:
    engine, request = await _both(lambda: bare.speak(text), lambda: client.speak(text), swap=swap)
    pairs.add("first_audio", engine.first_ms, request.first_ms)
    pairs.add("synthesize", engine.all_ms, request.all_ms)
    if abs(engine.audio_bytes - request.audio_bytes) > _JITTER_SHARE * engine.audio_bytes:
        pairs.differing.append(text)
    engine, request = await _both(
        lambda: bare.speak(text), lambda: client.speak(text, rate_hz=SATELLITE_RATE_HZ), swap=swap
    )
    pairs.add("synthesize_16k", engine.all_ms, request.all_ms)


async def _both(
    engine: Callable[[], Awaitable[ResultT]], request: Callable[[], Awaitable[ResultT]], *, swap: bool
) -> tuple[ResultT, ResultT]:
    if swap:
        second = await request()
        return await engine(), second
    return await engine(), await request()


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1000
