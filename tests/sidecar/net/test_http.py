"""The endpoints for operators, over real sockets: what they say, and whom they do not wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
import json
from pathlib import Path
import re
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
import pytest

from barnabeenet_sidecar.engines.catalogue import Engines, choose
from barnabeenet_sidecar.gpu.nvml import Reading
from barnabeenet_sidecar.gpu.watchdog import Action
from barnabeenet_sidecar.net import http, http_ready
from barnabeenet_sidecar.net.http import HttpServer
from barnabeenet_sidecar.net.http_guard import http_token
from barnabeenet_sidecar.telemetry.metrics import Metrics

TOKEN = "correct-horse-battery-staple-and-a-lamp"


@pytest.fixture
async def engines(tmp_path: Path) -> AsyncIterator[Engines]:
    engines = choose(tts="espeak", vad="silero", wake="microwakeword", stt_workers=1, data_dir=tmp_path)
    yield engines
    await engines.close()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def server(engines: Engines, metrics: Metrics) -> AsyncIterator[HttpServer]:
    server = HttpServer(engines, metrics, token=TOKEN, connections_max=3)
    await server.start("127.0.0.1", 0)
    yield server
    await server.close()


@pytest.fixture
async def impatient(engines: Engines, metrics: Metrics) -> AsyncIterator[HttpServer]:
    """One that cuts connections off so soon that a busy machine may not get an answer from it."""
    server = HttpServer(engines, metrics, token=TOKEN, connection_s=0.3)
    await server.start("127.0.0.1", 0)
    yield server
    await server.close()


async def get(server: HttpServer, path: str, token: str | None = None) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
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
        # Less than the usual bound of a connection.
        async with asyncio.timeout(5):
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
    server.readiness.is_listening = True
    status, body = await get(server, "/ready")
    assert status == 200
    assert json.loads(body)["engines"]["speech synthesis"] == f"{engines.tts.name} is ready"


async def test_ready_waits_for_the_listeners(server: HttpServer, engines: Engines) -> None:
    await asyncio.gather(engines.stt.load(), engines.tts.load())
    assert (await get(server, "/ready"))[0] == 503
    server.readiness.is_listening = True
    assert (await get(server, "/ready"))[0] == 200


async def test_ready_does_not_wait_for_an_ear_for_wake_words(server: HttpServer, engines: Engines) -> None:
    await asyncio.gather(engines.stt.load(), engines.tts.load())
    server.readiness.is_listening = True
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


@dataclass
class Host:
    """An engine process as one sees it."""

    device: str = "cuda"
    ready: bool = True
    restarts: int = 0
    loaded: Sequence[str] = ("parakeet", "kokoro")
    claimed_mb: int = 7168
    budget_mb: int = 16_000
    on_cpu: bool = False
    actions: dict[Action, int] = field(default_factory=dict)
    out_of_memory: int = 0
    reading: Reading | None = None


@pytest.fixture
async def serving(server: HttpServer, engines: Engines) -> HttpServer:
    """A server that is ready."""
    await asyncio.gather(engines.stt.load(), engines.tts.load())
    server.readiness.is_listening = True
    return server


async def report(server: HttpServer) -> tuple[int, dict[str, Any]]:
    status, body = await get(server, "/ready")
    return status, json.loads(body)


async def test_what_keeps_the_sidecar_from_serving_is_told(server: HttpServer) -> None:
    status, told = await report(server)
    assert status == 503
    assert told["status"] == "not ready"
    assert "listeners: they are not open yet" in told["reasons"]
    assert "speech recognition: it is still loading" in told["reasons"]


async def test_a_sidecar_that_drains_is_not_ready(serving: HttpServer) -> None:
    serving.readiness.is_draining = True
    status, told = await report(serving)
    assert (status, told["status"]) == (503, "draining")
    assert told["reasons"] == ["listeners: the sidecar is shutting down and takes no new work"]


async def test_an_engine_process_that_is_down_is_a_warning_while_the_embedded_engines_serve(
    serving: HttpServer,
) -> None:
    host = Host()
    serving.readiness.observe(lambda: http_ready.engine_process(host))
    assert (await report(serving))[1]["dependencies"][
        "engine process"
    ] == "it serves parakeet, kokoro on the GPU; 0 restarts"
    host.ready, host.restarts = False, 3
    status, told = await report(serving)
    assert (status, told["status"]) == (200, "ready")
    assert "engine process: it does not serve, after 3 restarts" in told["warnings"]


@pytest.mark.parametrize(
    ("dependency", "warning"),
    [
        (http_ready.engine_process(None), None),
        (http_ready.engine_process(Host(device="cpu", on_cpu=True)), None),
        (http_ready.gpu(None), None),
        (http_ready.gpu(Host(reading=Reading(8000, 16_000, 61))), None),
        (http_ready.gpu(Host(device="cpu", on_cpu=True)), None),
        (http_ready.gpu(Host(actions={Action.TO_CPU: 1, Action.TO_GPU: 1})), None),
        (
            http_ready.gpu(Host(device="cpu", on_cpu=True, actions={Action.TO_CPU: 1})),
            "GPU: it is not well, and its engines run on the processor",
        ),
        (
            http_ready.gpu(Host("cpu", on_cpu=True, actions={Action.TO_CPU: 1}, reading=Reading(15_900, 16_000, 61))),
            "GPU: it is not well, and its engines run on the processor: 15900 of 16000 MB in use, 61 C",
        ),
        (http_ready.model_store({"minilm-l6-v2": "1"}, None), None),
        (http_ready.model_store({}, None), None),
        (http_ready.model_store({}, "kokoro-82m-v1.0 1 is damaged"), "model store: kokoro-82m-v1.0 1 is damaged"),
        (http_ready.configuration(None), None),
        (http_ready.configuration("port is 'x'"), "configuration: port is 'x'; the settings before it stay in force"),
    ],
)
async def test_other_dependencies_are_told_and_warned_of(
    server: HttpServer, dependency: http_ready.Dependency, warning: str | None
) -> None:
    server.readiness.observe(lambda: dependency)
    _, told = await report(server)
    assert told["dependencies"][dependency.name] == dependency.text
    assert [each for each in told["warnings"] if each.startswith(dependency.name)] == ([warning] if warning else [])
    assert not any(each.startswith(dependency.name) for each in told["reasons"])


async def test_what_is_needed_is_warned_of_and_what_is_not_is_only_told(server: HttpServer) -> None:
    _, told = await report(server)
    assert "wake word detection: it is still loading" in told["warnings"]
    assert not any(warning.startswith("text embedding") for warning in told["warnings"])
    assert "models pull minilm-l6-v2" in told["engines"]["text embedding"]


async def test_the_latency_is_broken_down_by_kind_and_stage(server: HttpServer, metrics: Metrics) -> None:
    for milliseconds in (90.0, 100.0, 600.0):
        with metrics.request("transcribe") as meter:
            meter.stages = {"decode": milliseconds, "endpoint": 700.0}
    status, body = await get(server, "/latency", http_token(TOKEN))
    assert status == 200
    told = json.loads(body)
    assert told["stages"]["transcribe"]["decode"] == {
        "count": 3,
        "p50_ms": 100.0,
        "p95_ms": 600.0,
        "max_ms": 600.0,
        "budget_ms": 200.0,
        "verdict": "alert",
    }
    assert "budget_ms" not in told["stages"]["transcribe"]["endpoint"]
    assert told["warnings"] == [
        "transcribe decode: alert: its 95th percentile of 600 ms is above 2.5 times its budget of 200 ms"
    ]


async def test_an_unknown_path_is_not_found_and_the_others_are_named(server: HttpServer, metrics: Metrics) -> None:
    status, body = await get(server, "/token")
    assert (status, json.loads(body)["code"]) == (404, "not-found")
    assert "GET /ready" in json.loads(body)["text"]
    assert b'barnabeenet_http_requests_total{endpoint="other",status="404"} 1.0' in metrics.exposition()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/health", "GET,HEAD"), ("GET", "/benchmark", "POST"), ("DELETE", "/latency", "GET")],
)
async def test_a_method_that_is_not_meant_is_refused_with_the_right_one(
    server: HttpServer, method: str, path: str, allowed: str
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{server.port}{path}", data=b"x") as response,
    ):
        assert response.status == 405
        assert response.headers["Allow"] == allowed


async def test_a_probe_may_ask_for_the_head_alone(server: HttpServer) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.head(f"http://127.0.0.1:{server.port}/health") as response,
    ):
        assert (response.status, await response.read()) == (200, b"")


async def test_endpoints_are_counted_with_their_status(server: HttpServer, metrics: Metrics) -> None:
    await get(server, "/ready")
    await get(server, "/latency")
    told = metrics.exposition()
    assert b'barnabeenet_http_requests_total{endpoint="/ready",status="503"} 1.0' in told
    assert b'barnabeenet_http_requests_total{endpoint="/latency",status="401"} 1.0' in told


async def test_a_header_that_never_ends_is_cut_off_at_the_deadline(impatient: HttpServer) -> None:
    async with dial(impatient) as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert await is_ended(reader)


async def test_a_byte_now_and_then_does_not_put_the_deadline_off(impatient: HttpServer) -> None:
    async with dial(impatient) as (reader, writer):

        async def drip() -> None:
            writer.write(b"GET /health HTTP/1.1\r\nX-Slow: ")
            while not reader.at_eof():
                writer.write(b"a")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert await is_ended(reader)
        dripping.cancel()
        await asyncio.wait([dripping])


async def test_a_connection_that_says_nothing_is_cut_off(impatient: HttpServer) -> None:
    async with dial(impatient) as (reader, _):
        assert await is_ended(reader)


async def test_idlers_are_capped_and_others_are_served_when_they_are_gone(
    server: HttpServer, pass_time: Callable[[float], None]
) -> None:
    async with AsyncExitStack() as stack:
        idlers = [await stack.enter_async_context(dial(server)) for _ in range(3)]
        async with dial(server) as (reader, _):
            assert await is_ended(reader)
        assert not any(reader.at_eof() for reader, _ in idlers)
        pass_time(http.CONNECTION_S)
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


async def begin_to_verify(writer: asyncio.StreamWriter, metrics: Metrics) -> None:
    """Shows the token and sends a part of a body; returns when the server waits for the rest."""
    head = f"POST /speaker/verify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {http_token(TOKEN)}\r\n"
    writer.write(head.encode() + b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n\r\n--x")
    async with asyncio.timeout(20):
        while not metrics.registry.get_sample_value("barnabeenet_requests_active", {"kind": "verify"}):
            await asyncio.sleep(0.001)


async def test_a_token_that_is_shown_buys_time_but_not_without_end(
    server: HttpServer, engines: Engines, metrics: Metrics, pass_time: Callable[[float], None]
) -> None:
    await engines.voice_print.load()
    async with dial(server) as (reader, writer):
        await begin_to_verify(writer, metrics)
        pass_time(2 * http.CONNECTION_S)
        assert (await get(server, "/health"))[0] == 200
        assert not reader.at_eof()
        pass_time(http.VERIFY_S - 2 * http.CONNECTION_S)
        answer = await reader.readuntil(f"did not end within {http.VERIFY_S:g} s".encode())
        assert answer.startswith(b"HTTP/1.1 503")


async def test_closing_ends_open_connections_and_frees_the_port(engines: Engines, metrics: Metrics) -> None:
    server = HttpServer(engines, metrics, token=TOKEN)
    await server.start("127.0.0.1", 0)
    port = server.port
    async with dial(server) as (reader, _):
        await get(server, "/health")
        await server.close()
        assert await is_ended(reader)
    other = HttpServer(engines, metrics, token=TOKEN)
    await other.start("127.0.0.1", port)
    await other.close()


async def test_a_body_that_drips_in_with_the_token_is_cut_off_all_the_same(
    server: HttpServer, engines: Engines, metrics: Metrics, pass_time: Callable[[float], None]
) -> None:
    await engines.voice_print.load()
    async with dial(server) as (reader, writer):
        await begin_to_verify(writer, metrics)
        pass_time(http.VERIFY_S)
        await reader.readuntil(f"did not end within {http.VERIFY_S:g} s".encode())
        assert not reader.at_eof()
        # Some seconds to read the answer in, less than aiohttp itself would wait for the rest of the body.
        pass_time(http._ANSWER_S)
        with suppress(ConnectionResetError):
            async with asyncio.timeout(4):
                await reader.read()
