"""The engines of a sidecar that serves: the best whose models are here, others in their places while it serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import logging
import os
from pathlib import Path
import signal

from aiohttp import web
import pytest

from barnabeenet_sidecar.config import Settings, load
from barnabeenet_sidecar.engine_room import EngineRoom
from barnabeenet_sidecar.engines.base import SpeechToText, Vocabulary
from barnabeenet_sidecar.errors import EngineFailed, EngineUnavailable
from barnabeenet_sidecar.models.store import Store
from barnabeenet_sidecar.telemetry.metrics import Metrics

MakeModel = Callable[..., Path]
Pull = Callable[[str], Awaitable[None]]
# Loud enough for a recogniser to listen to.
NOISE = bytes(range(256)) * 250
VOCABULARY = Vocabulary("en", "0123abcd", sentences=["turn on the lamp"])


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    quiet = {"data_dir": tmp_path / "data", "stt_workers": 1, "tts": "espeak", "device": "cpu"}
    return lambda **given: load({**quiet, **given})


@pytest.fixture
async def pull(
    tmp_path: Path,
    make_parakeet: MakeModel,
    make_whisper: MakeModel,
    make_kokoro: MakeModel,
    settings: Callable[..., Settings],
) -> AsyncIterator[Pull]:
    """Brings a tiny model under the name of the large one into the store, from a real web server."""
    served = tmp_path / "served"
    make_parakeet(served / "parakeet-tdt-0.6b-v3")
    make_whisper(served / "whisper-small")
    make_kokoro(served / "kokoro-82m-v1.0", voices={"af_heart": 0.5})
    app = web.Application()
    app.router.add_static("/", served)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]

    kinds = {"parakeet-tdt-0.6b-v3": ("stt", 1), "whisper-small": ("stt", 3), "kokoro-82m-v1.0": ("tts", 1)}
    manifest = "".join(
        f'[[model]]\nname = "{name}"\ncapability = "{kind}"\nversion = "tiny"\nlicence = "none"\nvram_mb = 100\n'
        f'priority = {priority}\nsource = {{ type = "web", url = "http://127.0.0.1:{port}/{name}/" }}\n'
        f"files = [{', '.join(sorted(f'{{ path = {chr(34)}{file.name}{chr(34)} }}' for file in (served / name).iterdir()))}]\n"
        for name, (kind, priority) in kinds.items()
    )
    data_dir = settings().data_dir
    data_dir.mkdir(parents=True)
    (data_dir / "models.toml").write_text(manifest)

    async def bring(name: str) -> None:
        await (await asyncio.to_thread(Store, data_dir)).pull(name, "a test")

    yield bring
    await runner.cleanup()


@pytest.fixture
async def opened() -> AsyncIterator[Callable[..., Awaitable[EngineRoom]]]:
    rooms: list[EngineRoom] = []

    async def open_room(settings: Settings) -> EngineRoom:
        # Time enough to end what the engines that retire are at, on a busy machine too.
        room = EngineRoom(settings, Metrics(), retirement_s=3)
        rooms.append(room)
        await room.open()
        await room.load()
        return room

    yield open_room
    for room in rooms:
        await room.close()


Open = Callable[[Settings], Awaitable[EngineRoom]]


async def words(engine: SpeechToText) -> str:
    recognition = await engine.recognise("en", None)
    try:
        recognition.feed(NOISE)
        return (await recognition.decode()).text
    finally:
        await recognition.close()


async def test_without_models_the_embedded_engines_serve(settings: Callable[..., Settings], opened: Open) -> None:
    room = await opened(settings())
    assert room.engines.can_serve
    assert room.engines.stt.name == "pocketsphinx"
    assert room.host is None
    assert not (settings().data_dir / "models").exists()


async def test_the_models_that_are_here_serve(settings: Callable[..., Settings], opened: Open, pull: Pull) -> None:
    await pull("parakeet-tdt-0.6b-v3")
    await pull("kokoro-82m-v1.0")
    room = await opened(settings(tts="auto"))
    assert await words(room.engines.stt.get()) == "turn on the loose light"
    assert room.engines.tts.get().voices[0].name == "af_heart"
    assert room.engines.tts.get().info.version.endswith(", kokoro-82m-v1.0 tiny")
    assert room.host is not None
    assert sorted(room.host.loaded) == ["kokoro-82m-v1.0", "parakeet-tdt-0.6b-v3"]
    assert room.engines.stt.left_out == room.engines.tts.left_out == {}


async def test_an_engine_that_is_named_without_its_model_says_what_to_run(
    settings: Callable[..., Settings], opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    room = await opened(settings(stt="whisper"))
    assert room.engines.stt.name == "pocketsphinx"
    advice = "its model is not here: run `barnabeenet-sidecar models pull whisper-large-v3-turbo`"
    assert room.engines.stt.left_out == {"whisper": advice}
    assert f"whisper is left out, pocketsphinx does its work: {advice}" in caplog.text


async def test_a_damaged_model_never_serves_and_the_next_engine_does(
    settings: Callable[..., Settings], opened: Open, pull: Pull, caplog: pytest.LogCaptureFixture
) -> None:
    await pull("parakeet-tdt-0.6b-v3")
    file = next((settings().data_dir / "models").rglob("encoder-model.onnx"))
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    room = await opened(settings())
    assert room.engines.stt.name == "pocketsphinx"
    assert "is damaged" in room.engines.stt.left_out["parakeet"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len([line for line in warnings if "parakeet" in line]) == 1


async def test_when_the_engine_process_dies_the_next_engine_hears_and_it_comes_back(
    settings: Callable[..., Settings], opened: Open, pull: Pull
) -> None:
    await pull("parakeet-tdt-0.6b-v3")
    room = await opened(settings())
    stt = room.engines.stt.get()
    recognition = await stt.recognise("en", None)
    recognition.feed(NOISE)
    assert room._roster is not None
    host = room._roster.host
    assert host is not None
    assert host.pid is not None
    os.kill(host.pid, signal.SIGKILL)
    # PocketSphinx knows no word in noise; without a chain this would raise.
    assert (await recognition.decode()).text == ""
    await recognition.close()
    async with asyncio.timeout(30), host._change:
        await host._change.wait_for(lambda: host.status.restarts > 0 and host.status.ready)
    assert await words(stt) == "turn on the loose light"


async def test_engines_are_replaced_while_somebody_works_with_the_old_ones(
    settings: Callable[..., Settings], opened: Open, pull: Pull
) -> None:
    await pull("parakeet-tdt-0.6b-v3")
    room = await opened(settings())
    engines, old = room.engines, room.engines.stt.get()
    await old.set_vocabulary("home", VOCABULARY)
    recognition = await old.recognise("en", None)
    recognition.feed(NOISE)

    await room.change(settings(stt="pocketsphinx"))

    assert room.engines is engines
    assert engines.stt.name == "pocketsphinx"
    assert room.host is None
    assert engines.stt.get().vocabulary_revision("home") == VOCABULARY.revision
    assert (await recognition.decode()).text == "turn on the loose light"
    await recognition.close()
    assert room._retiring is not None
    await room._retiring
    with pytest.raises(EngineFailed):
        await words(old)
    assert await words(engines.stt.get()) == ""


async def test_a_change_that_cannot_be_made_leaves_the_old_engines_serving(
    settings: Callable[..., Settings], opened: Open
) -> None:
    room = await opened(settings())
    stt = room.engines.stt.get()
    with pytest.raises(EngineUnavailable, match="whisper: its model is not here"):
        await room.change(settings(stt="whisper"))
    assert room.engines.stt.get() is stt
    assert await words(stt) == ""


async def test_engines_can_be_replaced_again_and_again(settings: Callable[..., Settings], opened: Open) -> None:
    room = await opened(settings())
    for _ in range(3):
        await room.change(settings())
        assert await words(room.engines.stt.get()) == ""


async def test_a_model_that_comes_while_it_serves_is_taken(
    settings: Callable[..., Settings], opened: Open, pull: Pull
) -> None:
    room = await opened(settings(tts="auto"))
    await pull("kokoro-82m-v1.0")
    await room.model_changed("kokoro-82m-v1.0")
    assert room.engines.tts.name == "kokoro"
    first = room.engines.tts.get()
    # And when another version of it serves, the engine stays and takes that.
    await room.model_changed("kokoro-82m-v1.0")
    assert room.engines.tts.get() is first
    assert [pcm async for pcm in first.synthesise("Yes.", None, None)]
    await room.model_changed("resemblyzer")
