"""Who may use what reveals or does something: the HTTP token, guesses at it, and what a refusal says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
import hashlib
import hmac
import json
from pathlib import Path

import aiohttp
from hypothesis import given, strategies as st
import pytest

from barnabeenet_sidecar.engines.catalogue import choose
from barnabeenet_sidecar.net.backoff import Backoff
from barnabeenet_sidecar.net.http import HttpServer
from barnabeenet_sidecar.net.http_answers import HttpRefused
from barnabeenet_sidecar.net.http_guard import HttpGuard, http_token
from barnabeenet_sidecar.telemetry.metrics import Metrics

TOKEN = "correct-horse-battery-staple-and-a-lamp"
PROTECTED = [("GET", "/latency"), ("POST", "/speaker/verify"), ("POST", "/benchmark")]


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guard(clock: Clock) -> HttpGuard:
    return HttpGuard(TOKEN, Backoff(clock))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[HttpServer]:
    engines = choose(tts="espeak", vad="silero", wake="microwakeword", stt_workers=1, data_dir=tmp_path)
    server = HttpServer(engines, Metrics(), token=TOKEN)
    await server.start("127.0.0.1", 0)
    yield server
    await server.close()
    await engines.close()


def refusal(guard: HttpGuard, authorization: str | None, address: str = "10.0.0.7") -> HttpRefused:
    with pytest.raises(HttpRefused) as caught:
        guard.check(authorization, address)
    return caught.value


def test_the_token_is_the_pairing_token_s_hmac_over_a_label() -> None:
    expected = hmac.new(TOKEN.encode(), b"barnabeenet/1/http", hashlib.sha256).hexdigest()
    assert http_token(TOKEN) == expected
    assert TOKEN not in expected


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_right_token_passes(guard: HttpGuard, scheme: str) -> None:
    guard.check(f"{scheme} {http_token(TOKEN)}", "10.0.0.7")


@pytest.mark.parametrize("authorization", [None, "", "Basic dXNlcjpwYXNz", "Bearer", http_token(TOKEN)])
def test_a_request_without_a_token_is_told_how_to_get_one(guard: HttpGuard, authorization: str | None) -> None:
    refused = refusal(guard, authorization)
    assert (refused.status, refused.told_code) == (401, "unauthorized")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
    assert "`barnabeenet-sidecar token --http`" in str(refused)


@given(st.text(max_size=100))
def test_no_other_token_passes_whatever_it_is_made_of(offered: str) -> None:
    assert refusal(HttpGuard(TOKEN), f"Bearer {offered}").status == 401


@pytest.mark.parametrize("offered", ["\udce4" * 64, "ä" * 64, TOKEN, http_token(TOKEN)[:-1], http_token(TOKEN) + "0"])
def test_near_misses_and_the_pairing_token_itself_are_refused(guard: HttpGuard, offered: str) -> None:
    refused = refusal(guard, f"Bearer {offered}")
    assert refused.status == 401
    assert offered not in str(refused)


def test_who_guesses_waits_even_with_the_right_token_and_others_do_not(guard: HttpGuard, clock: Clock) -> None:
    for _ in range(5):
        assert refusal(guard, "Bearer wrong").status == 401
    refused = refusal(guard, f"Bearer {http_token(TOKEN)}")
    assert (refused.status, refused.told_code, refused.headers["Retry-After"]) == (429, "back-off", "1")
    guard.check(f"Bearer {http_token(TOKEN)}", "10.0.0.8")
    clock.now_s += 1
    guard.check(f"Bearer {http_token(TOKEN)}", "10.0.0.7")


def test_who_shows_no_token_is_not_taken_for_a_guesser(guard: HttpGuard) -> None:
    for _ in range(20):
        assert refusal(guard, None).status == 401


@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_what_reveals_or_does_something_wants_the_token(server: HttpServer, method: str, path: str) -> None:
    url = f"http://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="barnabeenet-sidecar"'
        assert "token --http" in json.loads(await response.text())["text"]


@pytest.mark.parametrize("path", ["/health", "/metrics"])
async def test_probes_and_scrapes_want_none(server: HttpServer, path: str) -> None:
    url = f"http://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200


async def test_guesses_over_the_network_end_in_a_wait(server: HttpServer, guard: HttpGuard) -> None:
    server._guard = guard  # its clock stands still
    url = f"http://127.0.0.1:{server.port}/latency"
    statuses = []
    async with aiohttp.ClientSession() as session:
        for _ in range(6):
            async with session.get(url, headers={"Authorization": "Bearer guess"}) as response:
                statuses.append(response.status)
    assert statuses == [401] * 5 + [429]


async def test_a_stranger_s_body_is_not_waited_for_beyond_the_deadline(
    tmp_path: Path, pass_time: Callable[[float], None]
) -> None:
    engines = choose(tts="espeak", vad="silero", wake="microwakeword", stt_workers=1, data_dir=tmp_path)
    server = HttpServer(engines, Metrics(), token=TOKEN, connection_s=5)
    await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /benchmark HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\nab")
    assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    pass_time(5)
    # The answer, and then the end: in peace or by a reset; aiohttp alone would wait for ten seconds.
    async with asyncio.timeout(4):
        with suppress(ConnectionResetError):
            await reader.read()
    writer.close()
    await server.close()
    await engines.close()
