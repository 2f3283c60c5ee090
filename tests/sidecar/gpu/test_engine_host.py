"""The real engines in a real process of their own, on tiny models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
import dataclasses
import hashlib
import logging
import os
from pathlib import Path
import sys

import numpy as np
import psutil
import pytest

from barnabeenet_sidecar.engines.base import SAMPLE_RATE_HZ, SpeechToText, TextToSpeech, Vocabulary
from barnabeenet_sidecar.engines.model_folder import ModelFolder
from barnabeenet_sidecar.errors import BadRequest, EngineFailed, EngineUnavailable, Unsupported
from barnabeenet_sidecar.gpu.engine_host import EngineHost, engine_command
from barnabeenet_sidecar.gpu.hosted import Hosted, Troubles, make_engine
from barnabeenet_sidecar.models.store import Store

MakeModel = Callable[..., Path]


def noise(seconds: float) -> bytes:
    samples = np.random.default_rng(7).normal(size=round(seconds * SAMPLE_RATE_HZ)) * 3000
    return samples.clip(-32_768, 32_767).astype("<i2").tobytes()


async def hear(engine: SpeechToText, bias: tuple[str, ...] = (), home: str | None = None, language: str = "en") -> str:
    recognition = await engine.recognise(language, home, bias)
    recognition.feed(noise(1))
    try:
        return (await recognition.decode()).text
    finally:
        await recognition.close()


async def speak(engine: TextToSpeech, text: str, voice: str | None = None) -> list[bytes]:
    async with aclosing(engine.synthesise(text, voice, None)) as spoken:
        return [chunk async for chunk in spoken]


@asynccontextmanager
async def serving(*hosted: Hosted) -> AsyncIterator[EngineHost]:
    host = EngineHost(hosted, device="cpu")
    await host.start()
    try:
        yield host
    finally:
        await host.close()


# Work


async def test_all_engines_do_their_work_in_the_engine_process(host: EngineHost) -> None:
    assert await hear(host.speech_to_text("parakeet")) == "turn on the loose light"
    assert await hear(host.speech_to_text("whisper")) == "turn on the loose light"
    assert len(await speak(host.text_to_speech("kokoro"), "The light is on. Is it?")) == 2
    points = await host.embedding("minilm").embed(["the light is on", "the light is off", "door"])
    assert points.shape == (3, 384)
    assert points.dtype == np.float32
    assert points[0] @ points[1] > points[0] @ points[2]


async def test_the_proxies_say_what_the_engines_say(host: EngineHost) -> None:
    ears, voice = host.speech_to_text("parakeet"), host.text_to_speech("kokoro")
    await ears.load()
    await voice.load()
    assert (ears.info.name, ears.info.languages[:2]) == ("parakeet", ("en", "bg"))
    assert [each.name for each in voice.voices] == ["af_heart", "am_adam"]
    assert (voice.rate_hz, voice.info.languages) == (24_000, ("en-US",))
    assert host.embedding("minilm").dimensions == 384
    described = host.described("kokoro")
    assert described is not None
    assert described.on_cpu
    assert described.placement.startswith("the processor")
    await voice.close()


async def test_important_models_are_loaded_at_start_and_others_on_first_use(
    host: EngineHost, caplog: pytest.LogCaptureFixture
) -> None:
    assert host.status.loaded == ["parakeet-tiny", "kokoro-tiny", "minilm-tiny"]
    ears = host.speech_to_text("whisper")
    await ears.load()
    caplog.set_level(logging.INFO, "barnabeenet_sidecar.gpu.engine_life")
    assert await hear(ears, language="de")
    assert "de" in ears.info.languages
    assert "whisper-tiny" in host.status.loaded
    assert "whisper: whisper-tiny on the processor" in caplog.text
    assert "loaded and warm after" in caplog.text


async def test_the_words_of_a_home_are_kept_for_the_next_process(host: EngineHost) -> None:
    ears = host.speech_to_text("parakeet")
    vocabulary = Vocabulary(language="en", revision="0123abcd", names=("Luce",))
    assert (await ears.set_vocabulary("home", vocabulary)).words == 1
    assert host._process is not None
    host._process.restart("test")
    with pytest.raises(EngineFailed):
        await hear(ears)
    await host.until_ready()
    assert ears.vocabulary_revision("home") == "0123abcd"
    assert await hear(ears, home="home") == "turn on the Luce light"
    assert await hear(ears, home="another") == "turn on the loose light"
    assert await hear(ears, home="another", bias=("Luce",)) == "turn on the Luce light"


async def test_what_nobody_can_do_is_refused_as_by_the_engine_itself(host: EngineHost) -> None:
    with pytest.raises(Unsupported, match="parakeet does not understand 'tlh'"):
        await host.speech_to_text("parakeet").recognise("tlh", None)
    with pytest.raises(Unsupported, match="does not understand"):
        await host.speech_to_text("parakeet").set_vocabulary("home", Vocabulary("tlh", "1"))
    with pytest.raises(Unsupported, match="Kokoro has no voice 'bob'"):
        await speak(host.text_to_speech("kokoro"), "Hello", "bob")
    with pytest.raises(BadRequest, match="257 texts are too many"):
        await host.embedding("minilm").embed(["x"] * 257)
    with pytest.raises(BadRequest, match="the text has more than"):
        await speak(host.text_to_speech("kokoro"), "x" * 20_000)
    assert (await host.embedding("minilm").embed(["x" * 16_384] * 256)).shape == (256, 384)
    assert (await host.embedding("minilm").embed([])).shape == (0, 384)


async def test_nobody_is_asked_before_the_start_nor_after_the_end(hosted: list[Hosted]) -> None:
    host = EngineHost(hosted, device="cpu")
    with pytest.raises(EngineFailed, match="not there"):
        await hear(host.speech_to_text("whisper"))
    loading = asyncio.create_task(host.speech_to_text("parakeet").load())
    await host.start()
    await loading
    await host.close()
    await host.close()
    with pytest.raises(EngineFailed, match="not there"):
        await hear(host.speech_to_text("parakeet"))
    assert not psutil.Process().children()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_process_that_cannot_be_started_makes_its_engines_unavailable(hosted: list[Hosted]) -> None:
    host = EngineHost(hosted, command=lambda _: [sys.executable, "-c", "raise SystemExit(7)"])
    loading = asyncio.create_task(host.speech_to_text("parakeet").load())
    await asyncio.sleep(0)
    with pytest.raises(EngineUnavailable, match="exit status 7"):
        await host.start()
    with pytest.raises(EngineUnavailable, match="exit status 7"):
        await loading
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_gpu_that_is_asked_for_and_not_there_makes_the_engines_unavailable(hosted: list[Hosted]) -> None:
    if "CUDAExecutionProvider" in __import__("onnxruntime").get_available_providers():
        pytest.skip("onnxruntime may have a GPU here")
    host = EngineHost(hosted[:1], device="cuda")
    await host.start()
    with pytest.raises(EngineUnavailable, match="onnxruntime finds no GPU that it can use"):
        await host.speech_to_text("parakeet").load()
    await host.close()


async def test_files_for_the_processor_are_taken_where_there_is_no_gpu(folders: dict[str, Path]) -> None:
    on_gpu, on_cpu = ModelFolder("large", Path("/nowhere")), ModelFolder("small", folders["parakeet"])
    async with serving(Hosted("parakeet", on_gpu, 4096, 1, on_cpu)) as host:
        assert host.status.loaded == ["small"]
        assert host.status.claimed_mb == 0


def test_an_engine_is_hosted_once(hosted: list[Hosted]) -> None:
    with pytest.raises(ValueError, match="one model at a time"):
        EngineHost([*hosted, hosted[0]])


def test_an_unknown_engine_is_unavailable() -> None:
    with pytest.raises(EngineUnavailable, match="no engine hal"):
        make_engine("hal", ModelFolder("x", Path()))


def test_the_engine_process_is_told_its_device() -> None:
    assert engine_command("cpu")[-2:] == ("--device", "cpu")


# Cancelling


@pytest.mark.parametrize("engine", ["parakeet", "kokoro"])
async def test_what_nobody_waits_for_any_more_is_stopped_in_the_process(
    engine: str, make_parakeet: MakeModel, make_kokoro: MakeModel, tmp_path: Path
) -> None:
    quick, slow = tmp_path / "quick", tmp_path / "slow"
    if engine == "parakeet":
        make_parakeet(quick)
        hosted = Hosted("parakeet", ModelFolder("quick", quick), 0, 1)
    else:
        make_kokoro(quick, voices={"af_heart": 0.5})
        hosted = Hosted("kokoro", ModelFolder("quick", quick), 0, 1)
    async with serving(hosted) as host:
        pid = host.pid
        if engine == "parakeet":
            make_parakeet(slow, slow=True)
        else:
            make_kokoro(slow, voices={"af_heart": 0.5}, slow=True)
        # The warm-up of the slow model is the work that nobody waits for.
        replacing = asyncio.create_task(host.replace(dataclasses.replace(hosted, model=ModelFolder("slow", slow))))
        assert pid is not None
        process = psutil.Process(pid)
        async with asyncio.timeout(20):
            before_s = process.cpu_times().user
            while process.cpu_times().user < before_s + 0.5:
                await asyncio.sleep(0.01)
        replacing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await replacing
        work = (
            hear(host.speech_to_text("parakeet")) if engine == "parakeet" else speak(host.text_to_speech("kokoro"), "I")
        )
        async with asyncio.timeout(20):
            assert await work
        assert host.pid == pid
        assert host.status.loaded == ["quick"]


# Other files


async def test_other_files_take_the_place_of_the_old_ones(
    hosted: list[Hosted], make_kokoro: MakeModel, tmp_path: Path
) -> None:
    async with serving(*hosted) as host:
        new = make_kokoro(tmp_path / "new", voices={"bf_emma": 0.5})
        pid = host.pid
        await host.replace(Hosted("kokoro", ModelFolder("kokoro-new", new), 3072, 1))
        assert [voice.name for voice in host.text_to_speech("kokoro").voices] == ["bf_emma"]
        assert "kokoro-new" in host.status.loaded
        assert host.pid == pid
        os.kill(pid or 0, 9)
        with pytest.raises(EngineFailed):
            await speak(host.text_to_speech("kokoro"), "Hello")
        await host.until_ready()
        assert "kokoro-new" in host.status.loaded


async def test_files_that_cannot_be_loaded_leave_the_old_ones_serving(hosted: list[Hosted], tmp_path: Path) -> None:
    async with serving(*hosted) as host:
        broken = Hosted("kokoro", ModelFolder("kokoro-broken", tmp_path), 3072, 1)
        for _ in range(2):  # and asked again it looks again
            with pytest.raises(EngineUnavailable, match=r"is not in .*models pull kokoro-broken"):
                await host.replace(broken)
        assert await speak(host.text_to_speech("kokoro"), "Hello", "am_adam")
        await host.text_to_speech("kokoro").load()
        assert "kokoro-tiny" in host.status.loaded


@pytest.mark.faults
@pytest.mark.parametrize("harm", ["a bit is flipped", "the end is missing"])
async def test_a_damaged_version_never_serves_and_the_one_before_it_does(
    harm: str, make_kokoro: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "packages" / "barnabee_tiny_kokoro"
    monkeypatch.syspath_prepend(str(package.parent))
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    for version, voice in (("1", "af_heart"), ("2", "bf_emma")):
        make_kokoro(package, voices={voice: 0.5})
        files = ", ".join(
            f'{{ path = "{path.name}", size = {path.stat().st_size},'
            f' sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}" }}'
            for path in package.iterdir()
        )
        (data_dir / "models.toml").write_text(
            f'[[model]]\nname = "kokoro-tiny"\nversion = "{version}"\ncapability = "tts"\nlicence = "MIT"\n'
            f'vram_mb = 10\npriority = 1\nsource = {{ type = "package", package = "{package.name}" }}\n'
            f"files = [{files}]\n"
        )
        store = Store(data_dir)
        await store.pull("kokoro-tiny", "somebody")
    opened = store.open("kokoro-tiny")
    assert opened.version == "2"
    weights = opened.paths["kokoro-v1.0.onnx"]
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content if harm == "a bit is flipped" else content[:-100])
    opened = store.open("kokoro-tiny")
    assert opened.notice is not None
    assert "2 is damaged" in opened.notice
    async with serving(Hosted("kokoro", ModelFolder("kokoro-tiny", opened.folder), 10, 1)) as host:
        assert [voice.name for voice in host.text_to_speech("kokoro").voices] == ["af_heart"]
        assert await speak(host.text_to_speech("kokoro"), "Hello")


# Troubles


def test_files_that_failed_are_left_alone_for_longer_and_longer(hosted: list[Hosted]) -> None:
    now_s = [0.0]
    troubles = Troubles(lambda: now_s[0])
    files = hosted[0]
    for wait_s in (60, 120, 240):
        troubles.note(files, "it is broken")
        with pytest.raises(EngineUnavailable, match=rf"it is broken \(it is tried again in {wait_s} s\)"):
            troubles.check(files)
        now_s[0] += wait_s
        troubles.check(files)
    troubles.forget(files)
    assert troubles.reason(files) is None
    troubles.note(files, "it died", died=True)
    troubles.check(files)
    troubles.note(files, "it died again", died=True)
    with pytest.raises(EngineUnavailable, match="it died again"):
        troubles.check(files)
    troubles.clear()
    troubles.check(files)
