"""Comparing voices over HTTP, with the real voice encoder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
import io
import json
import logging
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from barnabeenet_sidecar.audio.pcm import Pcm, resample, wav_read, wav_write
from barnabeenet_sidecar.engines.catalogue import Engines, choose
from barnabeenet_sidecar.engines.espeak import Espeak
from barnabeenet_sidecar.gpu.queue import Kind, Priority, WorkQueue
from barnabeenet_sidecar.net.http import HttpServer
from barnabeenet_sidecar.net.http_guard import http_token
from barnabeenet_sidecar.net.http_speaker import BODY_MAX_BYTES
from barnabeenet_sidecar.telemetry.metrics import Metrics

TOKEN = "correct-horse-battery-staple-and-a-lamp"
TEXT = "The quick brown fox jumps over the lazy dog beside the river."
Parts = Mapping[str, bytes | str]


@pytest.fixture
async def engines(tmp_path: Path) -> AsyncIterator[Engines]:
    engines = choose(tts="espeak", vad="silero", wake="microwakeword", stt_workers=1, data_dir=tmp_path)
    await engines.voice_print.load()
    yield engines
    await engines.close()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def queue() -> WorkQueue:
    return WorkQueue(1)


@pytest.fixture
async def server(engines: Engines, metrics: Metrics, queue: WorkQueue) -> AsyncIterator[HttpServer]:
    server = HttpServer(engines, metrics, token=TOKEN, queue=queue)
    await server.start("127.0.0.1", 0)
    yield server
    await server.close()


async def speech(text: str, *, pitch: float = 1.0) -> bytes:
    """A WAV file of 22050 Hz and up: another pitch is as good as another speaker."""
    engine = Espeak()
    await engine.load()
    pcm = b"".join([chunk async for chunk in engine.synthesise(text, None, "en")])
    rate_hz = round(engine.rate_hz * pitch)
    await engine.close()
    file = io.BytesIO()
    wav_write(file, Pcm(pcm, rate_hz))
    return file.getvalue()


def silence(seconds: float) -> bytes:
    file = io.BytesIO()
    wav_write(file, Pcm(bytes(int(seconds * 16_000) * 2), 16_000))
    return file.getvalue()


async def verify(server: HttpServer, parts: Parts) -> tuple[int, dict[str, Any]]:
    form = aiohttp.FormData(default_to_multipart=True)
    for name, content in parts.items():
        # Large ones must be files to aiohttp.
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        form.add_field(name, file, filename=name if isinstance(content, bytes) else None)
    return await post(server, data=form)


async def post(server: HttpServer, **request: Any) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {http_token(TOKEN)}", **request.pop("headers", {})}
    url = f"http://127.0.0.1:{server.port}/speaker/verify"
    async with aiohttp.ClientSession() as session, session.post(url, headers=headers, **request) as response:
        return response.status, json.loads(await response.text())


async def test_one_voice_is_more_like_itself_than_like_another(server: HttpServer) -> None:
    his, again, hers = await asyncio.gather(
        speech(TEXT), speech("Please remember to water the plants tomorrow."), speech(TEXT, pitch=1.4)
    )
    status, same = await verify(server, {"audio": his, "reference": again})
    _, other = await verify(server, {"audio": his, "reference": hers})
    assert status == 200
    assert same["engine"] == "resemblyzer"
    assert 2 < same["audio_s"] < 6
    assert -1 <= other["similarity"] < same["similarity"] <= 1
    assert "must not authorise anything alone" in same["note"]


async def test_a_voice_print_may_stand_for_the_reference_and_need_not_be_of_length_one(
    server: HttpServer, engines: Engines
) -> None:
    his = await speech(TEXT)
    _, by_audio = await verify(server, {"audio": his, "reference": his})
    assert by_audio["similarity"] == pytest.approx(1, abs=1e-3)
    recording = wav_read(io.BytesIO(his))
    voice = await engines.voice_print.get().embed(resample(recording.data, recording.rate_hz, 16_000))
    status, by_print = await verify(server, {"audio": his, "voice_print": json.dumps((voice * 7).tolist())})
    assert status == 200
    assert by_print["similarity"] == pytest.approx(1, abs=1e-3)
    _, opposite = await verify(server, {"audio": his, "voice_print": json.dumps((-voice).tolist())})
    assert opposite["similarity"] == pytest.approx(-1, abs=1e-3)


async def test_the_work_is_metered_by_its_stages(server: HttpServer, metrics: Metrics) -> None:
    his = await speech(TEXT)
    await verify(server, {"audio": his, "reference": his})
    await verify(server, {"audio": his, "reference": b"no"})
    told = metrics.exposition().decode()
    assert 'barnabeenet_requests_total{kind="verify",outcome="ok"} 1.0' in told
    assert 'barnabeenet_requests_total{kind="verify",outcome="bad-request"} 1.0' in told
    for stage in ("voice_print", "reference"):
        assert f'barnabeenet_stage_seconds_count{{kind="verify",stage="{stage}"}} 1.0' in told


BAD_PRINTS: dict[str, str | bytes] = {
    "too short": json.dumps([0.1] * 255),
    "not a list": '{"a": 1}',
    "not JSON": "nonsense",
    "all nought": json.dumps([0.0] * 256),
    "not numbers": json.dumps([True] * 256),
    "not finite": "[" + ", ".join(["NaN"] * 256) + "]",
    "too large": "[" + ", ".join(["1e400"] * 256) + "]",
    "endless integers": "[" + ", ".join(["9" * 50] * 256) + "]",
    "a nesting bomb": "[" * 16_000,
    "too many bytes": " " * 20_000,
    "not text": b"\xff\xfe",
}


@pytest.mark.parametrize("case", BAD_PRINTS)
async def test_a_voice_print_that_is_none_is_refused(server: HttpServer, case: str) -> None:
    status, told = await verify(server, {"audio": silence(1), "voice_print": BAD_PRINTS[case]})
    assert (status, told["code"]) == (400, "bad-request")
    assert "voice print" in told["text"]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"audio": silence(1), "reference": b"RIFFnonsense"}, "reference: not a WAV file"),
        ({"audio": b"", "reference": silence(1)}, "audio: not a WAV file"),
        ({"audio": silence(1), "reference": silence(1)}, "this is silence"),
        ({"audio": silence(0.1), "reference": silence(1)}, "takes 0.5 to 60 s of speech"),
        ({"audio": silence(61), "reference": silence(1)}, "longer than 60 s"),
        ({"audio": silence(1)}, "there are the parts audio"),
        ({"reference": silence(1), "voice_print": "[]"}, "there are the parts reference, voice_print"),
        ({"audio": silence(1), "reference": silence(1), "voice_print": "[]"}, "there are the parts audio, reference"),
        ({"audio": silence(1), "name": "Thom"}, "the part 'name' is unknown"),
    ],
    ids=["no WAV", "empty", "silence", "too short", "too long", "one part", "no audio", "three parts", "unknown part"],
)
async def test_what_cannot_be_compared_is_refused_with_what_to_send(
    server: HttpServer, parts: Parts, text: str
) -> None:
    status, told = await verify(server, parts)
    assert (status, told["code"]) == (400, "bad-request")
    assert text in told["text"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{}", "application/json"),
        (b"nonsense", "multipart/form-data"),
        (b"nonsense", "multipart/form-data; boundary=x"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\nno disposition\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n", "multipart/mixed; boundary=x"),
        (b"--x\r\n" + b"A: b\r\n" * 1000 + b"\r\n\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\nA: " + b"b" * 100_000 + b"\r\n\r\n\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\n", "multipart/form-data; boundary=" + "x" * 200),
    ],
)
async def test_a_body_that_is_no_form_is_refused(server: HttpServer, body: bytes, content_type: str) -> None:
    status, told = await post(server, data=body, headers={"Content-Type": content_type})
    assert (status, told["code"]) == (400, "bad-request")


async def test_a_body_beyond_the_bound_is_refused_before_it_is_read(server: HttpServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"POST /speaker/verify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {http_token(TOKEN)}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {BODY_MAX_BYTES + 1}\r\n\r\n".encode()
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()
    await writer.wait_closed()


async def test_a_body_of_unknown_length_is_refused(server: HttpServer) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"--x"

    status, told = await post(server, data=endless(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert (status, told["code"]) == (411, "bad-request")


async def test_a_packed_body_is_not_unpacked(server: HttpServer) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Encoding": "gzip"}
    status, _ = await post(server, data=b"\x1f\x8b" + bytes(100), headers=headers)
    assert status == 400


async def test_without_the_encoder_the_reason_is_told(server: HttpServer, engines: Engines) -> None:
    await engines.voice_print.close()
    status, told = await verify(server, {"audio": silence(1), "reference": silence(1)})
    assert status == 503
    assert "no voice printing here" in told["text"]


async def test_it_waits_for_its_turn_and_gives_up_in_time(engines: Engines, metrics: Metrics, queue: WorkQueue) -> None:
    server = HttpServer(engines, metrics, token=TOKEN, queue=queue, verify_s=0.3)
    await server.start("127.0.0.1", 0)
    his = await speech(TEXT)
    async with queue.turn(Priority.SHORT, Kind.SYNTHESIS):
        status, told = await verify(server, {"audio": his, "reference": his})
    assert (status, told["code"]) == (503, "timeout")
    assert queue.waiting == 0
    assert 'outcome="timeout"' in metrics.exposition().decode()
    await server.close()


async def test_nothing_of_a_voice_is_logged(server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    his = await speech(TEXT)
    with caplog.at_level(logging.DEBUG):
        caplog.clear()
        voice = np.ones(256).tolist()
        _, told = await verify(server, {"audio": his, "voice_print": json.dumps(voice)})
    assert str(told["similarity"]) not in caplog.text
    assert "1.0, 1.0" not in caplog.text
