"""Wake word streams at real time against a real sidecar: what they cost, how late they are, what they hear.

Figures without a suffix are of a household: the noise of a room, two stretches of talk that are a fifth of the time,
and one wake word a minute. Those ending in `_speech` are of talk without end on every stream, with a wake word every
half minute. A third of the rooms is a recording that is never quiet, the others are steady noise of -68 to -48 dBFS.
CPU is that of the sidecar and its children, of one core; its clients run in a process of their own.

Where the program wyoming-openwakeword is on the path, or --peer names it, the same household is played to it as well:
figures ending in `_peer`, against `core_percent` and its like.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
import json
import os
from pathlib import Path
import shutil
from statistics import median
import sys
from tempfile import TemporaryDirectory
import time
from typing import Any

from home.process import ProcessFailed, free_port
import psutil

from barnabeenet_sidecar.engines.micro_wake_word import MicroWakeWord

from . import figures, wake_audio
from .figures import note
from .wake_audio import Material, Mixed

ROOT = Path(__file__).parent.parent.parent
RECORDINGS = Path(os.environ.get("BARNABEENET_RECORDINGS", ROOT.parent / "shared" / "audio"))
STREAMS = 48
SECONDS = 60.0
# Home Assistant cuts what its satellites send into pieces of 10 ms; the integration sends twelve of them in a frame.
CHUNK_MS = 120
SETTLE_S = 3.0
READY_S = 60.0
# A stream lags when an answer comes later than this.
LAG_MAX_MS = 500.0
# What wyoming-openwakeword calls our wake words.
PEER_WORDS = {"okay_nabu": "ok_nabu", "hey_jarvis": "hey_jarvis", "hey_mycroft": "hey_mycroft", "alexa": "alexa"}
# A detection belongs to a word when it comes from its middle on until so long after its end.
HEARD_UNTIL_MS = 1_500.0
# The gate moves the steps of the network: a word may be heard a step earlier than by the bare package.
EARLIER_MAX_MS = 200.0


@dataclass(frozen=True)
class Cost:
    """What a run cost the sidecar with its children, and what its streams said."""

    core_percent: float
    rss_mb: float
    outcome: list[dict[str, Any]]


@dataclass(frozen=True)
class Sidecar:
    """A sidecar that serves, or a peer, which knows no token."""

    process: psutil.Process
    port: int
    token: str | None

    def cpu_s(self) -> float:
        """User and system time of the process and its children so far."""
        return sum(sum(one.cpu_times()[:2]) for one in self._processes())

    def rss_mb(self) -> float:
        """Resident memory of the process alone."""
        return float(self.process.memory_info().rss / 2**20)

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@asynccontextmanager
async def sidecar(folder: Path) -> AsyncIterator[Sidecar]:
    """A real sidecar as a user starts it, stopped when the block is left; raises ProcessFailed."""
    port, http_port = free_port(), free_port()
    settings = {"HOST": "127.0.0.1", "PORT": str(port), "HTTP_PORT": str(http_port), "DATA_DIR": str(folder / "data")}
    environment = os.environ | {f"BARNABEENET_{name}": value for name, value in settings.items()}
    # A configuration of this machine's own user is none of the bench's business.
    environment["XDG_CONFIG_HOME"] = str(folder / "config")
    command = [sys.executable, "-m", "barnabeenet_sidecar", "serve"]
    async with _serving(command, environment, port, folder / "sidecar.out") as process:
        token = (folder / "data" / "token").read_text(encoding="utf-8").strip()
        yield Sidecar(process, port, token)


@asynccontextmanager
async def peer(program: str, folder: Path) -> AsyncIterator[Sidecar]:
    """wyoming-openwakeword as its users start it, with its models loaded; raises ProcessFailed."""
    port = free_port()
    preload = [option for name in PEER_WORDS.values() for option in ("--preload-model", name)]
    command = [program, "--uri", f"tcp://127.0.0.1:{port}", *preload]
    async with _serving(command, dict(os.environ), port, folder / "peer.out") as process:
        yield Sidecar(process, port, None)


@asynccontextmanager
async def _serving(
    command: list[str], environment: dict[str, str], port: int, out: Path
) -> AsyncIterator[psutil.Process]:
    with out.open("wb") as log:
        child = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env=environment)
    try:
        await _until_listening(child, port, out)
        yield psutil.Process(child.pid)
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


async def _until_listening(child: asyncio.subprocess.Process, port: int, log: Path) -> None:
    # The port is opened last, when every engine is loaded.
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and child.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.transport.abort()
            return
    raise ProcessFailed(f"{log.stem} did not get ready:\n" + _tail(log))


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]


async def play(on: Sidecar, streams: list[Mixed], folder: Path, *, chunk_ms: int, seconds: float) -> Cost:
    """Plays the streams from a process of their own; CPU is counted over all but the first seconds."""
    files = [folder / f"{number}.pcm" for number in range(len(streams))]
    for file, mixed in zip(files, streams, strict=True):
        file.write_bytes(mixed.pcm)
    plan = {"port": on.port, "token": on.token, "chunk_ms": chunk_ms, "files": [str(file) for file in files]}
    plan["words"] = [mixed.word if on.token else PEER_WORDS[mixed.word] for mixed in streams]
    clients = await asyncio.create_subprocess_exec(
        sys.executable,
        Path(__file__).parent / "wake_clients.py",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert clients.stdin is not None
    assert clients.stdout is not None
    try:
        clients.stdin.write(json.dumps(plan).encode())
        clients.stdin.close()
        if not await clients.stdout.readline():
            raise ProcessFailed("the clients could not connect: see above")
        await asyncio.sleep(SETTLE_S)
        before, began = on.cpu_s(), time.monotonic()
        await asyncio.sleep(seconds - SETTLE_S - 1)
        spent, took = on.cpu_s() - before, time.monotonic() - began
        rss_mb = on.rss_mb()
        line = await clients.stdout.readline()
    finally:
        with suppress(ProcessLookupError):
            clients.kill()
        await clients.wait()
    if not line:
        raise ProcessFailed("the clients broke: see above")
    return Cost(spent / took * 100, rss_mb, json.loads(line))


def reference_ms(mixed: Mixed) -> list[float]:
    """When the bare package hears the word in a stream, begun anew after each one as the clients do."""
    from pymicro_wakeword import MicroWakeWord as Detector, MicroWakeWordFeatures, Model

    pcm, start, found = mixed.pcm, 0, []
    lead_in = bytes(300 * 32)
    while start < len(pcm):
        features, detector = MicroWakeWordFeatures(), Detector.from_builtin(Model(mixed.word))
        for frame in features.process_streaming(lead_in):
            detector.process_streaming(frame)
        for at in range(start, len(pcm), 320):
            # All of them, or the package would give the same audio again.
            frames = list(features.process_streaming(pcm[at : at + 320]))
            if any(detector.process_streaming(frame) for frame in frames):
                found.append(at / 32 + 10)
                start = at + 320
                break
        else:
            break
    return found


def hits(said_ms: list[tuple[float, float]], heard_ms: list[float]) -> tuple[int, int]:
    """How many words were heard, and how many detections belong to none."""
    matched = {
        number
        for number, (begin, end) in enumerate(said_ms)
        if any((begin + end) / 2 - 100 <= at <= end + HEARD_UNTIL_MS for at in heard_ms)
    }
    false = sum(
        not any((begin + end) / 2 - 100 <= at <= end + HEARD_UNTIL_MS for begin, end in said_ms) for at in heard_ms
    )
    return len(matched), false


def judge(streams: list[Mixed], cost: Cost, suffix: str) -> dict[str, float]:
    """The figures of one run."""
    began = time.process_time()
    references = [reference_ms(mixed) for mixed in streams]
    bare = (time.process_time() - began) / sum(mixed.samples.size / wake_audio.RATE_HZ for mixed in streams)
    lags = [
        _lags_ms(outcome["detections_ms"], wanted) for outcome, wanted in zip(cost.outcome, references, strict=True)
    ]
    lagging = sum(
        bool(one["error"]) or max([one["end_lag_ms"], *one["pong_lags_ms"], *late]) > LAG_MAX_MS
        for one, late in zip(cost.outcome, lags, strict=True)
    )
    all_lags = [lag for late in lags for lag in late]
    pongs = [lag for one in cost.outcome for lag in one["pong_lags_ms"]]
    heard = [hits(mixed.said_ms, one["detections_ms"]) for mixed, one in zip(streams, cost.outcome, strict=True)]
    wanted = [hits(mixed.said_ms, reference) for mixed, reference in zip(streams, references, strict=True)]
    found = {
        "core_percent": round(cost.core_percent, 2),
        "core_percent_per_stream": round(cost.core_percent / len(streams), 3),
        "lagging": lagging,
        "lag_ms_median": round(median(all_lags or [0.0]), 1),
        "lag_ms_max": round(max(all_lags, default=0.0), 1),
        "pong_ms_median": round(median(pongs or [0.0]), 1),
        "pong_ms_max": round(max(pongs, default=0.0), 1),
        "client_late_ms_max": round(max(one["send_late_ms"] for one in cost.outcome), 1),
        "words_said": sum(len(mixed.said_ms) for mixed in streams),
        "words_heard": sum(right for right, _ in heard),
        "words_heard_by_bare_package": sum(right for right, _ in wanted),
        "false_accepts": sum(false for _, false in heard),
        "false_accepts_of_bare_package": sum(false for _, false in wanted),
        "rss_mb": round(cost.rss_mb, 1),
        # Of the same audio at the same time without a network, not played but read: what this machine is worth now.
        "bare_package_core_percent_per_stream": round(bare * 100, 3),
    }
    return {f"{name}{suffix}": value for name, value in found.items()}


def _lags_ms(heard_ms: list[float], wanted_ms: list[float]) -> list[float]:
    """How long after the bare package had enough audio each of its detections came."""
    return [
        heard - wanted
        for wanted in wanted_ms
        for heard in heard_ms
        if -EARLIER_MAX_MS <= heard - wanted <= HEARD_UNTIL_MS
    ]


async def false_accepts(folder: Path) -> dict[str, float]:
    """All wake words at once over the people who read aloud."""
    engine = MicroWakeWord()
    await engine.load()
    names = [model.name for model in engine.models]
    accepts, samples = 0, 0
    for path in wake_audio.read_speech(folder):
        audio = wake_audio.read(path)
        samples += audio.size
        pcm, stream = audio.astype("<i2").tobytes(), engine.stream(names)
        accepts += sum(stream.process(pcm[start : start + 1024]) is not None for start in range(0, len(pcm), 1024))
    return {"read_speech_minutes": round(samples / wake_audio.RATE_HZ / 60, 1), "read_speech_false_accepts": accepts}


async def bench(*, streams: int, seconds: float, chunk_ms: int, peer_program: str | None) -> dict[str, float]:
    """Runs both mixes, and the household with the peer; returns the figures. Raises ProcessFailed."""
    if not (RECORDINGS / "manifest.tsv").is_file():
        raise ProcessFailed(f"no recordings in {RECORDINGS}: set BARNABEENET_RECORDINGS")
    source = wake_audio.material(RECORDINGS)
    found: dict[str, float] = {"streams": streams, "seconds": seconds, "chunk_ms": chunk_ms}
    mixes: dict[str, Callable[[Material, int], Mixed]] = {
        "": lambda source, seed: wake_audio.household(source, seed, seconds=seconds),
        "_speech": lambda source, seed: wake_audio.speech(source, seed, seconds=seconds),
    }
    with TemporaryDirectory(prefix="barnabeenet-bench-") as place:
        folder = Path(place)
        async with sidecar(folder) as on:
            found["rss_mb_idle"] = round(on.rss_mb(), 1)
            for suffix, mix in mixes.items():
                mixed = [mix(source, seed) for seed in range(streams)]
                cost = await play(on, mixed, folder, chunk_ms=chunk_ms, seconds=seconds)
                note(f"{streams} streams of {suffix.removeprefix('_') or 'a household'} for {seconds:g} s")
                found |= judge(mixed, cost, suffix)
        if peer_program is not None:
            async with peer(peer_program, folder) as on:
                mixed = [mixes[""](source, seed) for seed in range(streams)]
                cost = await play(on, mixed, folder, chunk_ms=chunk_ms, seconds=seconds)
                note(f"{streams} streams of a household for {seconds:g} s against {Path(peer_program).name}")
                found |= judge(mixed, cost, "_peer")
            if not found["words_heard_peer"]:
                # A broken install answers every stream in time and costs nothing.
                raise ProcessFailed("the peer heard no word at all; it says:\n" + _tail(folder / "peer.out"))
    return found | await false_accepts(RECORDINGS)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--streams", type=int, default=STREAMS, help="how many at once (%(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each mix plays (%(default)s)")
    parser.add_argument("--peer", metavar="PROGRAM", help="wyoming-openwakeword, where it is not on the path")
    parser.add_argument("--chunk-ms", type=int, default=CHUNK_MS, help="audio in one frame (%(default)s)")


def main() -> int:
    """Prints a table, or one JSON object as the last line; returns 0, or 2 when the bench could not be held."""
    return figures.main(
        "wake",
        __doc__,
        _options,
        lambda asked: bench(
            streams=asked.streams,
            seconds=asked.seconds,
            chunk_ms=asked.chunk_ms,
            peer_program=asked.peer or shutil.which("wyoming-openwakeword"),
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
