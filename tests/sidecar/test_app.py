"""The whole sidecar in this process: what it is made of works together, and comes and goes cleanly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import logging
from pathlib import Path
import re
import secrets
import stat

import aiohttp
import pytest
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info

from barnabeenet_sidecar import app
from barnabeenet_sidecar.config import Settings, load
from barnabeenet_sidecar.engines.espeak import Espeak
from barnabeenet_sidecar.errors import ConfigError, EngineUnavailable
from barnabeenet_sidecar.net.auth import proof
from barnabeenet_sidecar.net.messages import Challenge, Hello, Proof, Vocabulary, VocabularyReady, Welcome
from barnabeenet_sidecar.net.wire import HEADER_MAX_BYTES, read_event, write_event

VOCABULARY = Vocabulary(language="en", revision="0123456789abcdef", sentences=["turn on the lamp"])


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings that disturb nobody: free ports of this machine alone."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def make(**given: object) -> Settings:
        quiet = {"host": "127.0.0.1", "port": 0, "http_port": 0, "data_dir": tmp_path / "data", "stt_workers": 1}
        return load({**quiet, **given})

    return make


async def hello(
    port: int, token: str, home: str = "home"
) -> tuple[Welcome, asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=HEADER_MAX_BYTES)

    async def ask(event: Event) -> Event:
        await write_event(writer, event)
        answer = await read_event(reader)
        assert answer is not None
        return answer

    nonce = secrets.token_hex(32)
    challenge = Challenge.from_event(await ask(Hello(1, nonce, home, "a test").event()))
    welcome = await ask(Proof(proof(token, "integration", nonce, challenge.nonce)).event())
    return Welcome.from_event(welcome), reader, writer


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def ready(port: int) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/ready") as response:
        return response.status


async def test_a_home_that_knows_the_token_is_welcomed_by_id_and_name(settings: Callable[..., Settings]) -> None:
    async with app.running(settings(name="Beast")) as sidecar:
        welcome, _, writer = await hello(sidecar.port, sidecar.token)
        assert (welcome.sidecar, welcome.name) == (sidecar.sidecar_id, "Beast")
        assert welcome.software.startswith("barnabeenet-sidecar ")
        assert await ready(sidecar.http_port) == 200
        await close(writer)


async def test_the_token_and_the_id_survive_a_restart(settings: Callable[..., Settings]) -> None:
    async with app.running(settings()) as sidecar:
        first = (sidecar.token, sidecar.sidecar_id)
    async with app.running(settings()) as sidecar:
        assert (sidecar.token, sidecar.sidecar_id) == first


async def test_nobody_but_the_owner_may_read_the_token(settings: Callable[..., Settings]) -> None:
    async with app.running(settings()):
        path = app.token_path(settings())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_welcome_names_the_vocabulary_that_is_held_for_the_home(settings: Callable[..., Settings]) -> None:
    async with app.running(settings()) as sidecar:
        welcome, reader, writer = await hello(sidecar.port, sidecar.token)
        assert welcome.vocabulary is None
        await write_event(writer, VOCABULARY.event())
        answer = await read_event(reader)
        assert answer is not None
        assert VocabularyReady.from_event(answer).revision == VOCABULARY.revision
        await close(writer)
        for home, held in (("home", VOCABULARY.revision), ("another home", None)):
            welcome, _, writer = await hello(sidecar.port, sidecar.token, home)
            assert welcome.vocabulary == held
            await close(writer)


@pytest.mark.parametrize("missing", ["voice_print", "vad", None])
async def test_the_welcome_names_what_voices_are_told_apart_with(
    settings: Callable[..., Settings], missing: str | None
) -> None:
    async with app.running(settings()) as sidecar:
        slot = getattr(sidecar.engines, missing or "voice_print")
        if missing:
            await slot.close()
        welcome, _, writer = await hello(sidecar.port, sidecar.token)
        assert welcome.voice == (None if missing else "resemblyzer-0.1.4")
        await close(writer)


async def test_the_plain_listener_is_off_unless_its_port_is_set(settings: Callable[..., Settings]) -> None:
    async with app.running(settings()) as sidecar:
        assert sidecar.plain_port is None


async def test_a_stock_client_is_served_on_the_plain_listener(settings: Callable[..., Settings]) -> None:
    async with app.running(settings(plain_port=0)) as sidecar:
        assert sidecar.plain_port is not None
        async with AsyncTcpClient("127.0.0.1", sidecar.plain_port) as client:
            await client.write_event(Describe().event())
            event = await client.read_event()
            assert event is not None
            info = Info.from_event(event)
    assert [len(programs) for programs in (info.asr, info.tts, info.wake)] == [1, 1, 1]


async def test_the_listener_for_homes_answers_nobody_without_a_hello(settings: Callable[..., Settings]) -> None:
    async with app.running(settings()) as sidecar, AsyncTcpClient("127.0.0.1", sidecar.port) as client:
        await client.write_event(Describe().event())
        event = await client.read_event()
        assert event is not None
        assert (event.type, event.data["code"]) == ("error", "unauthorized")


async def test_every_engine_logs_how_long_it_took_to_load(
    settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with app.running(settings()) as sidecar:
        told = [line.split(": ")[0] for line in caplog.messages if re.search(r": \w+ ready after \d+ ms", line)]
        loaded = [slot for slot in sidecar.engines.slots if slot.ready]
        assert sorted(told) == sorted(slot.kind for slot in loaded)
        assert {slot.kind for slot in sidecar.engines.slots if slot.is_needed} <= set(told)
        load_s = [
            sidecar.metrics.registry.get_sample_value("barnabeenet_engine_load_seconds", {"capability": slot.kind})
            for slot in loaded
        ]
        assert all(seconds and seconds > 0 for seconds in load_s)


async def test_the_token_is_in_no_log(settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with app.running(settings(plain_port=0)) as sidecar:
        _, _, writer = await hello(sidecar.port, sidecar.token)
        await close(writer)
        assert sidecar.token not in caplog.text


async def test_an_engine_that_cannot_load_leaves_the_rest_serving(
    settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_there(_self: Espeak) -> None:
        raise EngineUnavailable("espeak-ng cannot be loaded")

    monkeypatch.setattr(Espeak, "load", nothing_there)
    async with app.running(settings(tts="espeak", plain_port=0)) as sidecar:
        assert sidecar.engines.stt.ready
        assert not sidecar.engines.tts.ready
        assert await ready(sidecar.http_port) == 503
        assert sidecar.plain_port is not None
        async with AsyncTcpClient("127.0.0.1", sidecar.plain_port) as client:
            await client.write_event(Describe().event())
            event = await client.read_event()
            assert event is not None
            assert [len(event.data[kind]) for kind in ("asr", "tts", "wake")] == [1, 0, 1]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len([line for line in warnings if "speech synthesis is off" in line]) == 1


@pytest.mark.parametrize("setting", ["port", "plain_port", "http_port"])
async def test_a_port_that_is_taken_is_told_by_its_setting(settings: Callable[..., Settings], setting: str) -> None:
    other = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    try:
        with pytest.raises(ConfigError, match=f"port {port}: .*{setting} chooses another"):
            async with app.running(settings(**{setting: port})):
                pass
    finally:
        other.close()
        await other.wait_closed()


async def test_a_start_that_fails_leaves_nothing_behind(settings: Callable[..., Settings]) -> None:
    before = asyncio.all_tasks()
    with pytest.raises(ConfigError):
        async with app.running(settings(host="192.0.2.77")):
            pass
    assert asyncio.all_tasks() == before


async def test_stopping_ends_connections_and_tasks(settings: Callable[..., Settings]) -> None:
    before = asyncio.all_tasks()
    async with app.running(settings()) as sidecar:
        _, reader, writer = await hello(sidecar.port, sidecar.token)
    assert await read_event(reader) is None
    await close(writer)
    assert asyncio.all_tasks() == before
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", sidecar.port)
