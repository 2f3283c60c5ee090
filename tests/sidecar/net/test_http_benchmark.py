"""Measuring the engines over HTTP: the real ones, and some that are slow or broken on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from barnabeenet_sidecar.engines.base import EngineInfo, Voice
from barnabeenet_sidecar.engines.catalogue import Engines, Slot, choose
from barnabeenet_sidecar.errors import EngineFailed
from barnabeenet_sidecar.gpu.queue import Kind, Priority, WorkQueue
from barnabeenet_sidecar.net.http import HttpServer
from barnabeenet_sidecar.net.http_answers import HttpRefused
from barnabeenet_sidecar.net.http_benchmark import ROUNDS, SENTENCE, Benchmark
from barnabeenet_sidecar.net.http_guard import http_token
from barnabeenet_sidecar.telemetry.metrics import Metrics

TOKEN = "correct-horse-battery-staple-and-a-lamp"


class Voiceless:
    """A voice that waits, or breaks."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.begun = asyncio.Event()
        self.closed = asyncio.Event()

    info = EngineInfo("voiceless", "", "1", ("en",), "", "", "")
    voices: Sequence[Voice] = ()
    rate_hz = 16_000

    async def load(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to close."""

    async def synthesise(self, text: str, voice: str | None, language: str | None) -> AsyncGenerator[bytes, None]:
        self.begun.set()
        try:
            if self.error is not None:
                raise self.error
            await asyncio.Event().wait()
            yield b""
        finally:
            self.closed.set()


@pytest.fixture
async def engines(tmp_path: Path) -> AsyncIterator[Engines]:
    engines = choose(tts="espeak", vad="silero", wake="microwakeword", stt_workers=1, data_dir=tmp_path)
    yield engines
    await engines.close()


async def with_voice(engines: Engines, voice: Voiceless) -> Engines:
    """The same engines, not loaded, but for their voice."""
    slot: Slot[Any] = Slot("speech synthesis", voice)
    await slot.load()
    return replace(engines, tts=slot)


async def post(server: HttpServer) -> tuple[int, dict[str, Any]]:
    url = f"http://127.0.0.1:{server.port}/benchmark"
    headers = {"Authorization": f"Bearer {http_token(TOKEN)}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url) as response:
        return response.status, json.loads(await response.text())


async def test_every_loaded_engine_is_measured_on_a_sentence_that_is_said_and_heard(engines: Engines) -> None:
    await engines.load()
    metrics = Metrics()
    server = HttpServer(engines, metrics, token=TOKEN)
    await server.start("127.0.0.1", 0)
    status, told = await post(server)
    await server.close()
    assert status == 200
    assert (told["said"], told["rounds"], told["whole"]) == (SENTENCE, ROUNDS, True)
    measured = told["engines"]
    assert measured.keys() == {slot.kind for slot in engines.slots if slot.ready}
    voice, ears = measured["speech synthesis"], measured["speech recognition"]
    assert voice["engine"] == engines.tts.name
    assert 0 < voice["first_audio_ms"] <= voice["max_ms"]
    assert 0 < voice["median_ms"] <= voice["max_ms"]
    assert 500 < voice["audio_ms"] < 5000
    assert ears["audio_ms"] == pytest.approx(voice["audio_ms"], rel=0.05)
    assert ears["real_time_factor"] == pytest.approx(ears["median_ms"] / ears["audio_ms"], rel=0.1)
    assert isinstance(ears["heard"], str)
    assert not any("error" in figures for figures in measured.values())
    # A benchmark is not what people wait for.
    assert metrics.latencies.summary() == {}


async def test_without_a_voice_the_others_hear_noise(engines: Engines) -> None:
    await engines.voice_print.load()
    measured: Any = (await Benchmark(engines, WorkQueue(), within_s=30).run())["engines"]
    assert measured.keys() == {"voice printing"}
    assert measured["voice printing"]["audio_ms"] == 2000


async def test_an_engine_that_fails_leaves_the_others_measured(engines: Engines) -> None:
    await engines.vad.load()
    broken = await with_voice(engines, Voiceless(EngineFailed("it lost its voice")))
    measured: Any = (await Benchmark(broken, WorkQueue(), within_s=30).run())["engines"]
    assert measured["speech synthesis"] == {"engine": "voiceless", "error": "it lost its voice"}
    assert "median_ms" in measured["voice activity detection"]


async def test_it_ends_in_time_with_what_it_has_and_stops_the_engine(engines: Engines) -> None:
    voice = Voiceless()
    benchmark = Benchmark(await with_voice(engines, voice), WorkQueue(), within_s=0.1)
    told = await benchmark.run()
    assert (told["whole"], told["engines"]) == (False, {"speech synthesis": {"engine": "voiceless"}})
    assert voice.closed.is_set()
    # And may begin anew.
    assert (await benchmark.run())["whole"] is False


async def test_only_one_runs_at_a_time(engines: Engines) -> None:
    voice = Voiceless()
    benchmark = Benchmark(await with_voice(engines, voice), WorkQueue(), within_s=30)
    first = asyncio.create_task(benchmark.run())
    await voice.begun.wait()
    with pytest.raises(HttpRefused, match="running already") as refused:
        await benchmark.run()
    assert refused.value.status == 409
    first.cancel()
    await asyncio.wait([first])
    assert voice.closed.is_set()


async def test_others_go_first(engines: Engines) -> None:
    voice, queue = Voiceless(), WorkQueue(1)
    benchmark = Benchmark(await with_voice(engines, voice), queue, within_s=30)
    async with queue.turn(Priority.SHORT, Kind.SYNTHESIS):
        running = asyncio.create_task(benchmark.run())
        async with asyncio.timeout(5):
            while not queue.waiting:
                await asyncio.sleep(0)
        assert queue.depth(Priority.LONG) == 1
        assert not voice.begun.is_set()
    await voice.begun.wait()
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.parametrize("end", ["hang up", "close"])
async def test_who_hangs_up_is_not_worked_for_and_closing_ends_it(engines: Engines, end: str) -> None:
    voice = Voiceless()
    server = HttpServer(await with_voice(engines, voice), Metrics(), token=TOKEN)
    await server.start("127.0.0.1", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"POST /benchmark HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {http_token(TOKEN)}\r\n\r\n".encode())
    async with asyncio.timeout(5):
        await voice.begun.wait()
        if end == "hang up":
            writer.transport.abort()
            await voice.closed.wait()
        await server.close()
        await voice.closed.wait()
    writer.close()
