"""The endpoints for operators, over real sockets: what they say, and whom they do not wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
import json
from pathlib import Path
import re

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
import pytest

from barnabeenet_sidecar.engines.catalogue import Engines, choose
from barnabeenet_sidecar.net.http import HttpServer
from barnabeenet_sidecar.telemetry.metrics import Metrics


@pytest.fixture
async def engines(tmp_path: Path) -> AsyncIterator[Engines]:
    engines = choose(
        stt="pocketsphinx", tts="espeak", vad="silero", wake="microwakeword", stt_workers=1, data_dir=tmp_path
    )
    yield engines
    await engines.close()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def server(engines: Engines, metrics: Metrics) -> AsyncIterator[HttpServer]:
    server = HttpServer(engines, metrics, connection_s=0.3, connections_max=3)
    await server.start("127.0.0.1", 0)
    yield server
    await server.close()


async def get(server: HttpServer, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{server.port}{path}") as response,
    ):
        return response.status, await response.text()


@asynccontextmanager
async def dial(server: HttpServer) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def is_ended(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(2):
            return not await reader.read()
    except ConnectionResetError:
        return True


async def test_health_answers_before_any_engine_is_loaded(server: HttpServer) -> None:
    status, body = await get(server, "/health")
    assert (status, json.loads(body)) == (200, {"status": "alive"})


async def test_ready_is_refused_with_the_reason_until_the_engines_are_loaded(
    server: HttpServer, engines: Engines
) -> None:
    status, body = await get(server, "/ready")
    assert status == 503
    assert json.loads(body)["engines"]["speech recognition"] == "it is still loading"

    await engines.load()
    server.is_listening = True
    status, body = await get(server, "/ready")
    assert status == 200
    assert json.loads(body)["engines"]["speech synthesis"] == f"{engines.tts.name} is ready"


async def test_ready_waits_for_the_listeners(server: HttpServer, engines: Engines) -> None:
    await asyncio.gather(engines.stt.load(), engines.tts.load())
    assert (await get(server, "/ready"))[0] == 503
    server.is_listening = True
    assert (await get(server, "/ready"))[0] == 200


async def test_ready_does_not_wait_for_an_ear_for_wake_words(server: HttpServer, engines: Engines) -> None:
    await asyncio.gather(engines.stt.load(), engines.tts.load())
    server.is_listening = True
    status, body = await get(server, "/ready")
    assert status == 200
    assert json.loads(body)["engines"]["wake word detection"] == "it is still loading"


async def test_metrics_are_prometheus_samples_with_canonical_names(server: HttpServer, metrics: Metrics) -> None:
    metrics.observe_engine("speech synthesis", ready=True, load_s=1.5)
    with metrics.request("synthesize") as meter:
        meter.stages["first_audio"] = 120.0
    status, body = await get(server, "/metrics")
    assert status == 200
    samples = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }
    assert samples["barnabeenet_engine_load_seconds", ("speech synthesis",)] == 1.5
    assert samples["barnabeenet_requests_total", ("synthesize", "ok")] == 1
    assert samples["barnabeenet_stage_seconds_sum", ("synthesize", "first_audio")] == pytest.approx(0.12)
    assert ("process_open_fds", ()) in samples


async def test_hellos_are_counted_at_the_moment_of_the_scrape(server: HttpServer, metrics: Metrics) -> None:
    wrong_proofs = [0]
    metrics.observe_hellos(lambda: wrong_proofs[0], lambda: 0)
    wrong_proofs[0] = 7
    _, body = await get(server, "/metrics")
    assert "barnabeenet_hello_wrong_proofs_total 7.0" in body


async def test_an_unknown_path_is_not_found(server: HttpServer) -> None:
    assert (await get(server, "/token"))[0] == 404


async def test_only_reading_is_allowed(server: HttpServer) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{server.port}/health", data=b"x") as response,
    ):
        assert response.status == 405


async def test_a_header_that_never_ends_is_cut_off_at_the_deadline(server: HttpServer) -> None:
    async with dial(server) as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert await is_ended(reader)


async def test_a_byte_now_and_then_does_not_put_the_deadline_off(server: HttpServer) -> None:
    async with dial(server) as (reader, writer):
        started = asyncio.get_running_loop().time()

        async def drip() -> None:
            writer.write(b"GET /health HTTP/1.1\r\nX-Slow: ")
            while not reader.at_eof():
                writer.write(b"a")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert await is_ended(reader)
        assert asyncio.get_running_loop().time() - started < 1
        dripping.cancel()
        await asyncio.wait([dripping])


async def test_a_connection_that_says_nothing_is_cut_off(server: HttpServer) -> None:
    async with dial(server) as (reader, _):
        assert await is_ended(reader)


async def test_idlers_are_capped_and_others_are_served_when_they_are_gone(server: HttpServer) -> None:
    async with AsyncExitStack() as stack:
        idlers = [await stack.enter_async_context(dial(server)) for _ in range(3)]
        async with dial(server) as (reader, _):
            started = asyncio.get_running_loop().time()
            assert await is_ended(reader)
            assert asyncio.get_running_loop().time() - started < 0.2
        for reader, _ in idlers:
            assert await is_ended(reader)
    assert (await get(server, "/health"))[0] == 200


async def test_a_connection_serves_one_answer(server: HttpServer) -> None:
    async with dial(server) as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200")
    assert re.search(rb"(?i)connection: close", answer)


async def test_an_endless_header_line_is_refused(server: HttpServer) -> None:
    async with dial(server) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.0 400")


async def test_closing_ends_open_connections_and_frees_the_port(engines: Engines, metrics: Metrics) -> None:
    server = HttpServer(engines, metrics)
    await server.start("127.0.0.1", 0)
    port = server.port
    async with dial(server) as (reader, _):
        await get(server, "/health")
        await server.close()
        assert await is_ended(reader)
    other = HttpServer(engines, metrics)
    await other.start("127.0.0.1", port)
    await other.close()
