"""Draining in this process: whoever is in the middle of something, and in which way it comes to an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
import socket
from typing import Any

import pytest
from wyoming.event import Event

from barnabeenet_sidecar.engines.base import EngineInfo, Voice
from barnabeenet_sidecar.engines.catalogue import Engines, Slot
from barnabeenet_sidecar.gpu.queue import WorkQueue
from barnabeenet_sidecar.net import connection as connection_module, handler as handler_module
from barnabeenet_sidecar.net.auth import Authenticator
from barnabeenet_sidecar.net.discovery import Announcement, service_info
from barnabeenet_sidecar.net.drain import Drain
from barnabeenet_sidecar.net.handler import Handler
from barnabeenet_sidecar.net.http_ready import Readiness
from barnabeenet_sidecar.net.server import Server
from barnabeenet_sidecar.telemetry.metrics import Metrics

FORMAT = {"rate": 16_000, "width": 2, "channels": 1}
# More than a socket with little room takes while nobody reads, less than a connection keeps for it besides.
ANSWER_BYTES = 60_000
SMALL_ROOM_BYTES = 4096
OK = {"kind": "synthesize", "outcome": "ok"}


class Monotone:
    """Says everything in `ANSWER_BYTES` of silence."""

    info = EngineInfo("monotone", "says nothing", "1", ("en",), "us", "", "")
    voices = (Voice("one", "the only one", "en"),)
    rate_hz = 16_000

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def synthesise(self, text: str, voice: str | None, language: str | None) -> AsyncGenerator[bytes, None]:
        yield bytes(ANSWER_BYTES)


class Household:
    """A server, its drain, and who talks to it."""

    def __init__(self, server: Server, handler: Handler, drain: Drain, metrics: Metrics) -> None:
        self.server, self.handler, self.drain, self.metrics = server, handler, drain, metrics
        self.at_once = asyncio.Event()
        self.draining: asyncio.Task[None] | None = None

    def begin(self, within_s: float = 30.0) -> asyncio.Task[None]:
        self.draining = asyncio.create_task(self.drain(within_s, self.at_once))
        return self.draining

    def requests(self) -> float:
        value = self.metrics.registry.get_sample_value("barnabeenet_requests_active", {"kind": "synthesize"})
        return value or 0.0


@pytest.fixture
async def household(
    serve: Callable[..., Awaitable[Server]], authenticator: Callable[..., Authenticator]
) -> AsyncIterator[Household]:
    absent: dict[str, Any] = {
        kind: Slot(kind, None, missing="not here") for kind in ("stt", "vad", "wake", "embedding", "voice_print")
    }
    engines = Engines(tts=Slot("voice", Monotone()), **absent)
    await engines.load()
    metrics = Metrics()
    handler = Handler(engines, metrics, queue=WorkQueue(1))
    server = await serve(handler, authenticator=authenticator())
    announcement = Announcement(service_info(sidecar_id="1", name="Beast", host="127.0.0.1", port=server.port))
    household = Household(server, handler, Drain(handler, [server], announcement, Readiness(engines)), metrics)
    yield household
    if household.draining is not None:
        household.at_once.set()
        await household.draining


async def until(peer: Any, event_type: str) -> list[Event]:
    events: list[Event] = []
    while not events or events[-1].type != event_type:
        event = await peer.read()
        assert event is not None, [event.type for event in events]
        events.append(event)
    return events


async def rest(peer: Any) -> list[str]:
    """The types of all that comes until the server hangs up, and the codes of errors."""
    told = []
    while (event := await peer.read()) is not None:
        told.append(event.data["code"] if event.type == "error" else event.type)
    return told


async def welcomed(peer: Any) -> Any:
    await peer.hello()
    return peer


async def reached(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def endless(peer: Any) -> Any:
    """A home in the middle of a text that does not go on."""
    await peer.hello()
    await peer.send("synthesize-start")
    await peer.send("synthesize-chunk", {"text": "It is ten past nine. The lamp "})
    await until(peer, "audio-chunk")
    return peer


async def test_an_answer_that_is_not_read_yet_is_waited_for(
    household: Household, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler_module, "_FAREWELL_S", 0.01)
    monkeypatch.setattr(connection_module, "_LINGER_S", 0.01)
    idle, slow = await welcomed(await dial(household.server)), await welcomed(await dial(household.server))
    slow.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_ROOM_BYTES)
    for connection in household.server._proved.values():
        connection.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_ROOM_BYTES)
    slow.writer.transport.pause_reading()
    await slow.send("synthesize", {"text": "All of it."})
    await reached(lambda: household.metrics.registry.get_sample_value("barnabeenet_requests_total", OK) == 1)
    assert household.requests() == 0

    draining = household.begin()
    assert await rest(idle) == ["barnabeenet-draining"]
    assert not draining.done()
    slow.writer.transport.resume_reading()
    events = await until(slow, "barnabeenet-timings")
    assert sum(len(event.payload or b"") for event in events) == ANSWER_BYTES
    assert await rest(slow) == ["barnabeenet-draining"]
    await draining


async def test_what_is_cancelled_during_the_drain_is_not_waited_for(household: Household, dial: Any) -> None:
    home = await endless(await dial(household.server))
    draining = household.begin()
    await until(home, "barnabeenet-draining")
    await home.send("barnabeenet-cancel")
    await until(home, "barnabeenet-cancelled")
    await home.send("describe")
    await until(home, "info")
    await asyncio.wait_for(draining, 10)
    assert await rest(home) == []
    assert household.handler.working == 0


async def test_a_home_that_hangs_up_is_not_waited_for(household: Household, dial: Any) -> None:
    home = await endless(await dial(household.server))
    draining = household.begin()
    await until(home, "barnabeenet-draining")
    await home.close()
    await asyncio.wait_for(draining, 10)
    assert household.requests() == 0


async def test_a_mistake_during_the_drain_is_told_and_ends_the_conversation(household: Household, dial: Any) -> None:
    home = await endless(await dial(household.server))
    draining = household.begin()
    await until(home, "barnabeenet-draining")
    await home.send("synthesize-chunk", {"text": "and so on " * 1_600})
    await home.send("synthesize-chunk", {"text": "and so on " * 1_600})
    told = await rest(home)
    assert told[-1] == "bad-request"
    await asyncio.wait_for(draining, 10)


async def test_a_request_that_was_sent_before_the_last_answer_is_told_that_it_came_too_late(
    household: Household, dial: Any
) -> None:
    home = await endless(await dial(household.server))
    household.begin()
    await until(home, "barnabeenet-draining")
    await home.send("synthesize-stop")
    await until(home, "synthesize-stopped")
    assert (await home.ask("synthesize", {"text": "Too late."})).data["code"] == "draining"
    assert await rest(home) == []


async def test_whoever_is_in_the_middle_of_the_hello_is_refused(household: Household, dial: Any) -> None:
    late = await dial(household.server)
    await late.start_hello()
    busy = await endless(await dial(household.server))
    household.begin()
    await until(busy, "barnabeenet-draining")
    other = await dial(household.server)
    assert (await other.read()).data["code"] == "draining"
    assert household.server.connections == 1


async def test_the_plain_listener_refuses_newcomers_too(serve: Any, dial: Any) -> None:
    plain = await serve(authenticator=None)
    plain.drain("the sidecar is stopping")
    error = await (await dial(plain)).read()
    assert (error.data["code"], error.data["text"]) == ("draining", "the sidecar is stopping")


async def test_after_the_time_given_the_rest_is_cut_off(
    household: Household, dial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    homes = [await endless(await dial(household.server)) for _ in range(3)]
    draining = household.begin(within_s=0.05)
    for home in homes:
        assert (await rest(home))[-2:] == ["barnabeenet-draining", "draining"]
    await draining
    assert household.requests() == 0
    assert "0 requests ended, 3 were cut off" in caplog.text


async def test_whoever_does_not_read_does_not_keep_the_drain_beyond_its_time(
    household: Household, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("barnabeenet_sidecar.net.drain._CUT_OFF_S", 0.1)
    deaf = await endless(await dial(household.server))
    deaf.writer.transport.pause_reading()
    await deaf.send("synthesize-chunk", {"text": "is on. It is very nice. " * 400})
    await asyncio.wait_for(household.begin(within_s=0.05), 5)
    await household.server.close()
    assert household.requests() == 0
