"""The homes of the wake word bench, a process of their own: many streams played at real time, and when each was heard.

Reads a plan as JSON from stdin, prints one line when all streams play and the outcome as JSON in the last line.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
import json
from pathlib import Path
import secrets
import sys

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.ping import Ping
from wyoming.wake import Detect

from barnabeenet_sidecar.net.auth import proof
from barnabeenet_sidecar.net.messages import CONTRACT_VERSION, Challenge, Hello, Proof, check
from barnabeenet_sidecar.net.wire import HEADER_MAX_BYTES, encode, read_event

BYTES_PER_MS = 32
# Answered in its turn, so that it comes back as late as the sidecar is behind.
PING_EVERY_MS = 5_000
# The sidecar takes 32 connections of one address; a home has fewer streams than this.
STREAMS_PER_HOME = 24
ANSWER_S = 30.0


@dataclass(frozen=True)
class Plan:
    """What to play: for each stream the file of its PCM and the wake word it waits for."""

    port: int
    token: str | None
    chunk_ms: int
    files: list[str]
    words: list[str]


@dataclass
class Heard:
    """What came of a stream, in milliseconds of its own audio's time at which the news arrived."""

    detections_ms: list[float] = field(default_factory=list)
    pong_lags_ms: list[float] = field(default_factory=list)
    end_lag_ms: float = ANSWER_S * 1000
    send_late_ms: float = 0.0
    error: str | None = None


class Stream:
    """One satellite's microphone and its connection."""

    def __init__(self, plan: Plan, number: int) -> None:
        self._plan = plan
        self._number = number
        self._pcm = Path(plan.files[number]).read_bytes()
        self._pinged: list[float] = []
        self._began = 0.0
        self._ended: float | None = None
        self._over = asyncio.Event()
        self.heard = Heard()

    async def open(self) -> None:
        """Connects and shakes hands; each home has an address of its own."""
        address = f"127.0.0.{self._number // STREAMS_PER_HOME + 1}"
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._plan.port, limit=HEADER_MAX_BYTES, local_addr=(address, 0)
        )
        if self._plan.token is not None:
            await self._shake_hands(self._plan.token)

    async def play(self) -> None:
        """Sends the audio at its own speed; the streams begin at different moments of a chunk."""
        loop = asyncio.get_running_loop()
        chunk_ms = self._plan.chunk_ms
        await asyncio.sleep(self._number / len(self._plan.files) * chunk_ms / 1000)
        self._began = loop.time()
        self._listen()
        for start in range(0, len(self._pcm), chunk_ms * BYTES_PER_MS):
            at_ms = start // BYTES_PER_MS
            # A chunk can be sent when the last of it has been said.
            if (wait_s := self._began + (at_ms + chunk_ms) / 1000 - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            piece = self._pcm[start : start + chunk_ms * BYTES_PER_MS]
            self.heard.send_late_ms = max(self.heard.send_late_ms, self._now_ms() - at_ms - chunk_ms)
            self._send(AudioChunk(16_000, 2, 1, piece, timestamp=at_ms).event())
            if at_ms % PING_EVERY_MS < chunk_ms:
                self._pinged.append(self._now_ms())
                self._send(Ping().event())
            await self._writer.drain()
        self._ended = self._now_ms()
        self._send(AudioStop().event())

    async def listen(self) -> None:
        """Takes the answers until the one to the end of the audio."""
        while (event := await read_event(self._reader)) is not None:
            if event.type == "pong":
                self.heard.pong_lags_ms.append(self._now_ms() - self._pinged.pop(0))
            elif event.type == "detection":
                self.heard.detections_ms.append(self._now_ms())
                if self._ended is not None:
                    self.heard.end_lag_ms = self._now_ms() - self._ended
                    return
                self._listen()
            elif event.type == "not-detected":
                self.heard.end_lag_ms = self._now_ms() - (self._ended or 0.0)
                return
            elif event.type == "error":
                self.heard.error = str(event.data.get("text"))
                return
        self.heard.error = "the sidecar hung up"

    def close(self) -> None:
        """Hangs up."""
        self._writer.transport.abort()

    def _listen(self) -> None:
        self._send(Detect(names=[self._plan.words[self._number]]).event())
        self._send(AudioStart(16_000, 2, 1).event())

    def _send(self, event: Event) -> None:
        self._writer.write(encode(check(event)))

    def _now_ms(self) -> float:
        return (asyncio.get_running_loop().time() - self._began) * 1000

    async def _shake_hands(self, token: str) -> None:
        nonce = secrets.token_hex(32)
        self._send(Hello(CONTRACT_VERSION, nonce, f"bench {self._number // STREAMS_PER_HOME}", "bench").event())
        answer = await read_event(self._reader)
        assert answer is not None
        challenge = Challenge.from_event(answer)
        self._send(Proof(proof(token, "integration", nonce, challenge.nonce)).event())
        welcome = await read_event(self._reader)
        assert welcome is not None
        if welcome.type != "barnabeenet-welcome":
            raise ConnectionError(f"no welcome: {welcome.data}")


async def play_all(plan: Plan) -> list[Heard]:
    """Plays every stream to its end; what they heard."""
    streams = [Stream(plan, number) for number in range(len(plan.files))]
    for stream in streams:
        await stream.open()
    print(json.dumps("playing"), flush=True)
    listening = [asyncio.create_task(stream.listen()) for stream in streams]
    await asyncio.gather(*(stream.play() for stream in streams))
    _, late = await asyncio.wait(listening, timeout=ANSWER_S)
    for task in late:
        task.cancel()
    for stream in streams:
        stream.close()
    for task in listening:
        if task not in late:
            task.result()
    return [stream.heard for stream in streams]


if __name__ == "__main__":
    found = asyncio.run(play_all(Plan(**json.load(sys.stdin))))
    print(json.dumps([asdict(heard) for heard in found]), flush=True)
