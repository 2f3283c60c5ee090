"""SIGTERM under load: what was accepted ends well, what is new is told why not, and the process goes with status 0."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
import signal
import socket
import time
from typing import Any

import aiohttp
import psutil
import pytest
from wyoming.event import Event

from custom_components.barnabeenet.client.hello import shake_hands
from custom_components.barnabeenet.client.wire import HEADER_MAX_BYTES, read_event, write_event
from script.home.process import Process
from script.home.sidecar import PROGRAM, Sidecar

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("socket_enabled"), pytest.mark.timeout(240)]

FORMAT = {"rate": 16_000, "width": 2, "channels": 1}
STORY = "The quick brown fox jumps over the lazy dog near the river. " * 12
COMMAND = "what time is it"
STORIES = 4
# A sidecar whose drain lasts a second at most.
_HURRIED = (
    "import sys; from barnabeenet_sidecar import __main__, commands; commands.DRAIN_S = 1.0; sys.exit(__main__.main())"
)


@dataclass
class Peer:
    """A home's connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, event_type: str, data: dict[str, Any] | None = None, payload: bytes | None = None) -> None:
        await write_event(self.writer, Event(event_type, data or {}, payload))

    async def say(self, pcm: bytes) -> None:
        for start in range(0, len(pcm), 3200):
            await self.send("audio-chunk", FORMAT, pcm[start : start + 3200])

    async def read(self) -> Event | None:
        """The next event; None at the end."""
        async with asyncio.timeout(60):
            return await read_event(self.reader, idle_s=60)

    async def until(self, *types: str) -> list[Event]:
        """All events up to the first of one of these types, or up to the end."""
        events = []
        while (event := await self.read()) is not None:
            events.append(event)
            if event.type in types:
                break
        return events

    async def rest(self) -> list[str]:
        """The types of all that comes until the sidecar hangs up, and the codes of errors."""
        events = await self.until("nothing is of this type")
        return [event.data["code"] if event.type == "error" else event.type for event in events]


@dataclass
class Target:
    """The process that is to be drained."""

    sidecar: Sidecar
    token: str
    peers: list[Peer]

    async def dial(self) -> Peer:
        # What the sidecar sends waits with it: or a story would have been sent before the signal, if we are slow.
        dialled = socket.socket()
        dialled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        dialled.setblocking(False)
        await asyncio.get_running_loop().sock_connect(dialled, ("127.0.0.1", self.sidecar.port))
        reader, writer = await asyncio.open_connection(sock=dialled, limit=HEADER_MAX_BYTES)
        self.peers.append(Peer(reader, writer))
        return self.peers[-1]

    async def home(self) -> Peer:
        peer = await self.dial()
        await shake_hands(peer.reader, peer.writer, self.token, home="our home", software="a test")
        return peer

    def terminate(self) -> None:
        psutil.Process(self.sidecar.process.pid).send_signal(signal.SIGTERM)

    async def ended(self) -> int | None:
        """The exit status, when the process ends by itself."""
        child = self.sidecar.process._child
        assert child is not None
        async with asyncio.timeout(60):
            return await child.wait()

    def log(self) -> str:
        return self.sidecar.process.log.read_text()


Start = Callable[..., Awaitable[Target]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a sidecar, one that is `hurried` gives a drain a second; nothing of it may be left afterwards."""
    targets: list[Target] = []

    async def start(*, hurried: bool = False) -> Target:
        sidecar = Sidecar(tmp_path / "sidecar", plain=True)
        if hurried:
            command = [str(PROGRAM.with_name("python")), "-c", _HURRIED, "serve"]
            sidecar.process = Process(command, log=sidecar.process.log, env=sidecar._env)
        target = Target(sidecar, "", [])
        targets.append(target)
        await sidecar.process.start()
        await sidecar.ready()
        target.token = await sidecar.token()
        return target

    yield start
    for target in targets:
        for peer in target.peers:
            peer.writer.transport.abort()
        await target.sidecar.process.stop()


async def spoken(home: Peer, text: str) -> bytes:
    """A text as 16 kHz audio."""
    await home.send("synthesize", {"text": text, "context": {"rate": 16_000}})
    events = await home.until("barnabeenet-timings")
    return b"".join(event.payload or b"" for event in events if event.type == "audio-chunk")


async def test_what_was_accepted_ends_well_and_what_is_new_is_told(start: Start) -> None:
    target = await start()
    idle, listener, speaker = [await target.home() for _ in range(3)]
    command = await spoken(idle, COMMAND)
    whole = len(await spoken(idle, STORY))

    readers = [await target.home() for _ in range(STORIES)]
    for reader in readers:
        await reader.send("synthesize", {"text": STORY, "context": {"rate": 16_000}})
    begun = [await reader.until("audio-chunk") for reader in readers]
    assert target.sidecar.plain_port is not None
    plain = Peer(*await asyncio.open_connection("127.0.0.1", target.sidecar.plain_port, limit=HEADER_MAX_BYTES))
    target.peers.append(plain)
    await plain.send("synthesize", {"text": STORY})
    await plain.until("audio-chunk")
    await listener.send("detect", {"names": ["hey_jarvis"]})
    await speaker.send("transcribe", {"language": "en"})
    half = len(command) // 4 * 2  # of whole samples
    await speaker.say(command[:half])
    await listener.send("ping")
    await speaker.send("ping")
    await listener.until("pong")
    await speaker.until("pong")
    children = psutil.Process(target.sidecar.process.pid).children(recursive=True)

    target.terminate()
    # It is told at once, also who has nothing to do with it yet.
    assert [event.type for event in await idle.until("barnabeenet-draining")] == ["barnabeenet-draining"]
    await idle.send("describe")
    await idle.send("synthesize", {"text": "Too late."})
    assert await idle.rest() == ["info", "draining"]
    newcomer = await target.dial()
    assert await newcomer.rest() == ["draining"]
    assert await listener.rest() == ["barnabeenet-draining", "draining"]
    url = f"http://127.0.0.1:{target.sidecar.http_port}/ready"
    async with aiohttp.ClientSession() as http, http.get(url) as ready:
        assert (ready.status, (await ready.json())["status"]) == (503, "draining")

    await speaker.say(command[half:] + bytes(32 * 1500))
    events = await speaker.until("transcript", "error")
    assert events[-1].data["text"] == COMMAND
    assert await speaker.rest() == []

    for reader, first in zip(readers, begun, strict=True):
        events = first + await reader.until("barnabeenet-timings", "error")
        assert events[-1].type == "barnabeenet-timings"
        assert sum(len(event.payload or b"") for event in events if event.type == "audio-chunk") == whole
        assert [event.type for event in events].count("barnabeenet-draining") == 1
        assert await reader.rest() == []
    # No event that is not Wyoming's own.
    assert set(await plain.rest()) == {"audio-chunk", "audio-stop"}
    assert await target.ended() == 0
    assert not [child for child in children if child.is_running()]
    log = target.log()
    assert f"draining: {STORIES + 2} requests run" in log
    assert f"{STORIES + 2} requests ended, 0 were cut off" in log
    assert "Traceback" not in log


async def test_an_idle_sidecar_goes_at_once(start: Start) -> None:
    target = await start()
    home = await target.home()
    started = time.monotonic()
    target.terminate()
    assert [event.type for event in await home.until("barnabeenet-draining")] == ["barnabeenet-draining"]
    home.writer.close()
    assert await target.ended() == 0
    assert time.monotonic() - started < 5
    assert "0 requests ended, 0 were cut off" in target.log()


async def endless(target: Target) -> Peer:
    """A home in the middle of a text that does not go on."""
    home = await target.home()
    await home.send("synthesize-start")
    await home.send("synthesize-chunk", {"text": "It is ten past nine. The lamp "})
    await home.until("audio-chunk")
    return home


async def test_what_does_not_end_in_time_is_cut_off_with_an_error(start: Start) -> None:
    target = await start(hurried=True)
    home = await endless(target)
    started = time.monotonic()
    target.terminate()
    told = await home.rest()
    assert [each for each in told if each != "audio-chunk"] == ["barnabeenet-draining", "draining"]
    assert time.monotonic() - started >= 1
    assert await target.ended() == 0
    assert time.monotonic() - started < 8
    assert "0 requests ended, 1 were cut off" in target.log()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(start: Start, second: signal.Signals) -> None:
    target = await start()
    home = await endless(target)
    target.terminate()
    await home.until("barnabeenet-draining")
    started = time.monotonic()
    psutil.Process(target.sidecar.process.pid).send_signal(second)
    assert [each for each in await home.rest() if each != "audio-chunk"] == ["draining"]
    assert await target.ended() == 0
    assert time.monotonic() - started < 5
    assert "1 were cut off" in target.log()
