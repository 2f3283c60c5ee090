"""The client under faults 1, 2, 3, 9 and 10: a sidecar that dies, a network that fails, and sidecars that mean harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
import os
from pathlib import Path
import sys
import time

import psutil
import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.info import Info
from wyoming.ping import Pong
from wyoming.tts import SynthesizeStopped

from barnabeenet_sidecar.net.auth import Authenticator
from barnabeenet_sidecar.net.server import Connection as SidecarConnection, Server
from custom_components.barnabeenet.client.errors import ConnectionLost, Impostor, ProtocolError, SidecarError
from custom_components.barnabeenet.client.messages import Timings
from custom_components.barnabeenet.client.sidecar import Address, Sidecar, probe

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("socket_enabled")]

TOKEN = "a token of more than thirty-two characters"
SECOND = bytes(32_000)
GROWTH_MAX_BYTES = 8_000_000
LAG_MAX_S = 0.5


async def live_audio() -> AsyncIterator[bytes]:
    """A microphone that never stops, at its own pace."""
    while True:
        yield SECOND[:3200]
        await asyncio.sleep(0.1)


async def one_sentence() -> AsyncIterator[str]:
    yield "The light in the kitchen is on."


@asynccontextmanager
async def client(port: int, token: str = TOKEN) -> AsyncIterator[Sidecar]:
    sidecar = Sidecar(Address("127.0.0.1", port), token, home="home-1", software="a test")
    await sidecar.start()
    try:
        yield sidecar
    finally:
        await sidecar.close()


class Honest:
    """An honest sidecar with the real hello; it hears without end, and speaks a second of audio."""

    def __init__(self) -> None:
        self.hearing = asyncio.Event()
        self.open = 0
        authenticator = Authenticator(
            TOKEN, sidecar_id="sidecar-1", name="Beast", software="a test", revision_of=lambda home: None
        )
        self.server = Server(self._talk, authenticator=authenticator)

    async def _talk(self, connection: SidecarConnection) -> None:
        self.open += 1
        try:
            while (event := await connection.read()) is not None:
                for answer in self._answers(event):
                    await connection.write(answer)
        finally:
            self.open -= 1

    def _answers(self, event: Event) -> list[Event]:
        if event.type == "audio-chunk":
            self.hearing.set()
        chunk = AudioChunk(16_000, 2, 1, SECOND[:3200]).event()
        answers = {
            "describe": [Info().event()],
            "ping": [Pong().event()],
            "barnabeenet-cancel": [Event("barnabeenet-cancelled")],
            "synthesize-stop": [
                AudioStart(16_000, 2, 1).event(),
                *[chunk] * 10,
                AudioStop().event(),
                Timings("trace-1", {}).event(),
                SynthesizeStopped().event(),
            ],
        }
        return answers.get(event.type, [])


@pytest.fixture
async def honest() -> AsyncIterator[Honest]:
    honest = Honest()
    await honest.server.start("127.0.0.1", 0)
    yield honest
    await honest.server.close()


def transcribing(sidecar: Sidecar) -> asyncio.Task[object]:
    return asyncio.create_task(sidecar.transcribe(live_audio(), language="en", trace_id="trace-1"))


async def speech_of(sidecar: Sidecar) -> list[bytes]:
    async with sidecar.speak(one_sentence(), voice=None, language="en", rate_hz=None, trace_id="trace-1") as speech:
        return [chunk async for chunk in speech]


async def wait_for(sidecar: Sidecar, condition: Callable[[], bool]) -> None:
    told = asyncio.Event()
    unsubscribe = sidecar.subscribe(told.set)
    while not condition():
        told.clear()
        await told.wait()
    unsubscribe()


# 1: the process dies


async def test_a_sidecar_killed_in_mid_utterance_is_told_within_two_seconds_and_found_again(sidecar_process) -> None:
    async with client(sidecar_process.port, await sidecar_process.token()) as sidecar:
        task = transcribing(sidecar)
        await asyncio.wait({task}, timeout=0.5)
        assert not task.done()
        killed = time.perf_counter()
        await sidecar_process.process.kill()
        with pytest.raises(ConnectionLost):
            await task
        assert time.perf_counter() - killed < 2
        await wait_for(sidecar, lambda: not sidecar.available)
        await sidecar_process.process.start()
        await sidecar_process.ready()
        back = time.perf_counter()
        await wait_for(sidecar, lambda: sidecar.available)
        assert time.perf_counter() - back < 10
        assert await speech_of(sidecar)


# 2: the network swallows everything


async def test_a_blackhole_in_mid_utterance_is_noticed_within_five_seconds(honest: Honest, fault_proxy) -> None:
    proxy = await fault_proxy(honest.server.port)
    async with client(proxy.port) as sidecar:
        task = transcribing(sidecar)
        await honest.hearing.wait()
        proxy.blackhole()
        lost = time.perf_counter()
        with pytest.raises(ConnectionLost):
            await task
        assert time.perf_counter() - lost < 5
        proxy.heal()
        await wait_for(sidecar, lambda: sidecar.available)
        assert len(await speech_of(sidecar)) == 10


async def test_a_blackhole_before_the_first_word_is_noticed_within_five_seconds(honest: Honest, fault_proxy) -> None:
    proxy = await fault_proxy(honest.server.port)
    async with client(proxy.port) as sidecar:
        proxy.blackhole()
        lost = time.perf_counter()
        with pytest.raises(SidecarError):
            await speech_of(sidecar)
        assert time.perf_counter() - lost < 5


async def test_after_a_blackhole_both_sides_have_freed_their_slots(honest: Honest, fault_proxy) -> None:
    proxy = await fault_proxy(honest.server.port)
    async with client(proxy.port) as sidecar:
        proxy.blackhole()
        for _ in range(2):
            with pytest.raises(SidecarError):
                await speech_of(sidecar)
        proxy.heal()
        await wait_for(sidecar, lambda: sidecar.available)
        assert len(await speech_of(sidecar)) == 10
        assert honest.open <= 3


# 3: the connection is reset


@pytest.mark.parametrize("passed_bytes", [1, 1200, 5000, 20_000])
async def test_a_reset_in_mid_speech_ends_it_with_an_error_and_no_hang(
    honest: Honest, fault_proxy, passed_bytes: int
) -> None:
    proxy = await fault_proxy(honest.server.port)
    # The hello and the description of a connection take less than 600 bytes.
    proxy.reset_after_bytes = 600 + passed_bytes
    async with client(proxy.port) as sidecar:
        heard: list[bytes] = []

        async def listen() -> None:
            speaking = sidecar.speak(one_sentence(), voice=None, language="en", rate_hz=None, trace_id="trace-1")
            async with speaking as speech:
                async for chunk in speech:
                    heard.append(chunk)  # noqa: PERF401 - what was heard before the error counts

        async with asyncio.timeout(5):
            with pytest.raises(SidecarError):
                await listen()
        assert len(heard) < 10


async def test_a_reset_of_everything_is_recovered_from(honest: Honest, fault_proxy) -> None:
    proxy = await fault_proxy(honest.server.port)
    async with client(proxy.port) as sidecar:
        task = transcribing(sidecar)
        await honest.hearing.wait()
        proxy.reset()
        async with asyncio.timeout(2):
            with pytest.raises(ConnectionLost):
                await task
        await wait_for(sidecar, lambda: not sidecar.available)
        await wait_for(sidecar, lambda: sidecar.available)
        assert len(await speech_of(sidecar)) == 10


async def test_a_slow_network_in_crumbs_changes_nothing_but_the_time(honest: Honest, fault_proxy) -> None:
    proxy = await fault_proxy(honest.server.port)
    proxy.slice_bytes, proxy.delay_s = 700, 0.001
    async with client(proxy.port) as sidecar:
        assert b"".join(await speech_of(sidecar)) == SECOND


# 9: a false sidecar


async def test_a_false_sidecar_hears_nothing_but_the_hello(honest: Honest) -> None:
    wrong = "what the false sidecar believes is the token"
    with pytest.raises(SidecarError):
        await probe(Address("127.0.0.1", honest.server.port), wrong, home="home-1", software="a test")
    assert honest.open == 0


async def test_a_false_sidecar_that_takes_any_proof_is_an_impostor(socket_enabled: None) -> None:
    heard: list[bytes] = []

    async def welcome_anyone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        nonce = b"ab" * 32
        writer.write(b'{"type":"barnabeenet-challenge","data":{"contract":1,"nonce":"%b","software":"x"}}\n' % nonce)
        await reader.readline()
        fields = b'"proof":"%b","sidecar":"sidecar-1","name":"Beast","software":"x"' % nonce
        writer.write(b'{"type":"barnabeenet-welcome","data":{%b}}\n' % fields)
        heard.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(welcome_anyone, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with client(port) as sidecar:
        assert isinstance(sidecar.error, Impostor)
        assert not sidecar.available
    server.close()
    await server.wait_closed()
    assert all(b"describe" not in said for said in heard)
    assert all(TOKEN.encode() not in said for said in heard)


# 10: a sidecar that knows the token and means harm


@pytest.fixture
async def malicious(root: Path) -> AsyncIterator[Callable[[str], Awaitable[int]]]:
    """Starts a malicious sidecar of a mode and gives its port."""
    children: list[asyncio.subprocess.Process] = []

    async def start(mode: str) -> int:
        program = root / "tests" / "faults" / "malicious_sidecar.py"
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            program,
            TOKEN,
            mode,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(root / "sidecar")},
        )
        children.append(child)
        assert child.stdout is not None
        return int(await child.stdout.readline())

    yield start
    for child in children:
        child.kill()
        await child.wait()


class Pulse:
    """How long the event loop was kept busy at most, and how much the process has grown, while the block ran.

    The time is what this thread has worked: what else the machine does meanwhile is not the client's.
    """

    def __init__(self) -> None:
        self.lag_s = 0.0
        self.growth_bytes = 0

    async def __aenter__(self) -> Pulse:
        self._before = psutil.Process().memory_info().rss
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _beat(self) -> None:
        while True:
            started = time.thread_time()
            await asyncio.sleep(0.01)
            self.lag_s = max(self.lag_s, time.thread_time() - started)
            self.growth_bytes = max(self.growth_bytes, psutil.Process().memory_info().rss - self._before)


HEARING = ["garbage", "endless header", "nesting bomb", "huge frame", "endless partials", "endless pongs"]
SPEAKING = ["garbage", "endless audio", "crumbs of audio", "endless partials"]
MUTE = ["silence", "half a frame"]


@pytest.mark.parametrize("mode", HEARING)
async def test_a_malicious_ear_is_cut_off_and_costs_little(malicious, mode: str) -> None:
    async with client(await malicious(mode)) as sidecar, Pulse() as pulse:
        async with asyncio.timeout(30):
            with pytest.raises(ProtocolError):
                await transcribing(sidecar)
    assert pulse.growth_bytes < GROWTH_MAX_BYTES
    assert pulse.lag_s < LAG_MAX_S


@pytest.mark.parametrize("mode", SPEAKING)
async def test_a_malicious_voice_is_cut_off_and_costs_little(malicious, mode: str) -> None:
    async with client(await malicious(mode)) as sidecar, Pulse() as pulse:
        heard_bytes = 0

        async def listen() -> None:
            nonlocal heard_bytes
            speaking = sidecar.speak(one_sentence(), voice=None, language="en", rate_hz=None, trace_id="trace-1")
            async with speaking as speech:
                async for chunk in speech:
                    heard_bytes += len(chunk)

        async with asyncio.timeout(30):
            with pytest.raises(ProtocolError):
                await listen()
    assert heard_bytes < 45 * 16_000 * 2
    assert pulse.growth_bytes < GROWTH_MAX_BYTES
    assert pulse.lag_s < LAG_MAX_S


@pytest.mark.parametrize("mode", MUTE)
async def test_a_sidecar_that_leaves_us_waiting_is_left_within_five_seconds(malicious, mode: str) -> None:
    async with client(await malicious(mode)) as sidecar:
        started = time.perf_counter()
        with pytest.raises(ConnectionLost):
            await transcribing(sidecar)
        assert time.perf_counter() - started < 5


async def test_a_listener_that_does_not_listen_is_not_filled_with_endless_audio(malicious) -> None:
    async with client(await malicious("endless audio")) as sidecar, Pulse() as pulse:
        speaking = sidecar.speak(one_sentence(), voice=None, language="en", rate_hz=None, trace_id="trace-1")
        async with speaking as speech:
            await anext(aiter(speech))
            await asyncio.sleep(1)
    assert pulse.growth_bytes < GROWTH_MAX_BYTES
