"""Kokoro's loading and inference, on a tiny model of the same inputs and outputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
import logging
from pathlib import Path
import socket
import sys
import threading

from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

from barnabeenet_sidecar.audio.pcm import duration_ms, level_dbfs
from barnabeenet_sidecar.engines import kokoro as kokoro_engine, kokoro_model
from barnabeenet_sidecar.engines.device import CPU, EngineOutOfMemory
from barnabeenet_sidecar.engines.kokoro import Kokoro
from barnabeenet_sidecar.engines.kokoro_model import KokoroModel, StoppableSession
from barnabeenet_sidecar.engines.model_folder import ModelFolder
from barnabeenet_sidecar.engines.model_thread import Stop
from barnabeenet_sidecar.engines.onnx_run import run_options
from barnabeenet_sidecar.errors import BadRequest, EngineFailed, EngineUnavailable, Unsupported

MakeModel = Callable[..., Path]
NAME = "kokoro-82m-v1.0"
VOICES = {"af_heart": 0.5, "af_alloy": 0.5, "am_adam": 0.05, "bf_emma": 0.3, "ef_dora": 0.3, "ff_siwis": 0.3}
MORE = {"hf_alpha": 0.3, "if_sara": 0.3, "pm_alex": 0.3, "jf_alpha": 0.3, "zf_xiaoni": 0.3, "odd": 0.3}
RATE_HZ = 24_000


@pytest.fixture(scope="session")
def folder(make_kokoro: MakeModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_kokoro(tmp_path_factory.mktemp("kokoro"), voices=VOICES | MORE)


@pytest.fixture
async def kokoro(folder: Path) -> AsyncIterator[Kokoro]:
    engine = Kokoro(ModelFolder(NAME, folder))
    await engine.load()
    yield engine
    await engine.close()


async def chunks(engine: Kokoro, text: str, voice: str | None = None, language: str | None = None) -> list[bytes]:
    async with aclosing(engine.synthesise(text, voice, language)) as spoken:
        return [chunk async for chunk in spoken]


# Speaking


async def test_each_sentence_is_a_chunk_of_16_bit_audio(kokoro: Kokoro) -> None:
    spoken = await chunks(kokoro, "I turned on the lights. It is 21.5 degrees! Is it?")
    assert len(spoken) == 3
    lengths = [duration_ms(pcm, kokoro.rate_hz) for pcm in spoken]
    assert lengths[1] > lengths[0] > lengths[2] > 50
    assert all(len(pcm) % 2 == 0 and -20 < level_dbfs(pcm) < -5 for pcm in spoken)
    assert kokoro.rate_hz == RATE_HZ


async def test_numbers_are_spoken_as_words(kokoro: Kokoro) -> None:
    (digits,), (words,) = await chunks(kokoro, "21"), await chunks(kokoro, "twenty one")
    assert duration_ms(digits, RATE_HZ) == pytest.approx(duration_ms(words, RATE_HZ), abs=60)


@pytest.mark.parametrize("text", ["", "  ", "...", "\x00\x07", "—"])
async def test_nothing_to_say_gives_no_audio(kokoro: Kokoro, text: str) -> None:
    assert await chunks(kokoro, text) == []


async def test_too_long_a_text_is_refused_and_the_longest_sentence_spoken(kokoro: Kokoro) -> None:
    with pytest.raises(BadRequest):
        await chunks(kokoro, "a" * 20_000)
    (pcm,) = await chunks(kokoro, "9" * 45 + " 8888888" * 40)
    assert duration_ms(pcm, RATE_HZ) > 20_000


async def test_words_of_another_language_are_spoken_without_the_marks_around_them(kokoro: Kokoro) -> None:
    # espeak-ng reads it as "(en)..(hi)" in a Hindi sentence; four letters more would be 100 ms more.
    (pcm,) = await chunks(kokoro, "radio", "hf_alpha")
    (plain,) = await chunks(kokoro, "radio", "af_heart")
    assert duration_ms(pcm, RATE_HZ) == pytest.approx(duration_ms(plain, RATE_HZ), abs=60)


async def test_any_text_in_any_voice_ends_well(kokoro: Kokoro) -> None:
    loop = asyncio.get_running_loop()
    names = [voice.name for voice in kokoro.voices]

    @settings(max_examples=40)
    @given(text=st.text(max_size=150), name=st.sampled_from(names))
    def check(text: str, name: str) -> None:
        spoken = asyncio.run_coroutine_threadsafe(chunks(kokoro, text, name), loop).result(20)
        assert all(pcm and len(pcm) % 2 == 0 for pcm in spoken)

    await asyncio.to_thread(check)


async def test_several_speak_at_once_and_none_hears_the_other(kokoro: Kokoro) -> None:
    texts = [("One, two, three.", "af_heart"), ("Buenos días. Hasta luego.", "ef_dora"), ("Bonjour.", "ff_siwis")] * 2
    alone = [await chunks(kokoro, text, voice) for text, voice in texts]
    assert await asyncio.gather(*(chunks(kokoro, text, voice) for text, voice in texts)) == alone


async def test_a_long_text_does_not_keep_a_short_one_waiting(kokoro: Kokoro) -> None:
    async with aclosing(kokoro.synthesise("A rather long sentence. " * 300, None, None)) as long_text:
        await anext(long_text)
        assert await asyncio.wait_for(chunks(kokoro, "Done."), 5)
        assert await anext(long_text)


async def test_nothing_is_fetched_from_the_internet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("somebody opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    engine = Kokoro(ModelFolder(NAME, folder))
    await engine.load()
    assert await chunks(engine, "hello")
    await engine.close()


# Voices


async def test_the_voices_of_the_file_are_told_the_best_of_a_language_first(kokoro: Kokoro) -> None:
    names = [voice.name for voice in kokoro.voices]
    assert names[:4] == ["af_heart", "af_alloy", "am_adam", "bf_emma"]
    assert set(names) == {*VOICES, "hf_alpha", "if_sara", "pm_alex"}
    assert kokoro.voices[2].description == "Adam, US English, male"
    assert list(kokoro.info.languages) == ["en-US", "en-GB", "es", "fr-FR", "hi", "it", "pt-BR"]


@pytest.mark.parametrize(
    ("language", "voice"),
    [
        (None, "af_heart"),
        ("en", "af_heart"),
        ("en_gb", "bf_emma"),
        ("en-AU", "af_heart"),
        ("es-MX", "ef_dora"),
        ("fr", "ff_siwis"),
        ("pt", "pm_alex"),
    ],
)
async def test_a_language_finds_its_voice(kokoro: Kokoro, language: str | None, voice: str) -> None:
    assert kokoro._voices.choose(None, language) == voice
    assert await chunks(kokoro, "radio 5", language=language) == await chunks(kokoro, "radio 5", voice)


async def test_a_voice_has_its_own_style_and_wins_over_a_language(kokoro: Kokoro) -> None:
    (loud,) = await chunks(kokoro, "hello", "af_heart", "fr")
    (quiet,) = await chunks(kokoro, "hello", "am_adam", "fr")
    assert level_dbfs(loud) - level_dbfs(quiet) == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize(
    ("voice", "language"), [("nobody", None), ("jf_alpha", None), ("", None), (None, "ja"), (None, "")]
)
async def test_an_unknown_voice_or_language_is_unsupported(
    kokoro: Kokoro, voice: str | None, language: str | None
) -> None:
    with pytest.raises(Unsupported):
        await chunks(kokoro, "hello", voice, language)


# Stopping


@pytest.fixture
def in_model(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the model is about to run."""
    event = threading.Event()

    def spied(stop: Stop) -> object:
        event.set()
        return run_options(stop)

    monkeypatch.setattr(kokoro_model, "run_options", spied)
    return event


@pytest.fixture
async def slow(make_kokoro: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kokoro]:
    """An engine whose model never ends by itself."""
    make_kokoro(tmp_path, voices=VOICES, slow=True)
    engine = Kokoro(ModelFolder(NAME, tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(KokoroModel, "speak", lambda *_arguments: b"")
        await engine.load()
    yield engine
    await engine.close()


async def begun(spoken: AsyncGenerator[bytes, None], in_model: threading.Event) -> asyncio.Task[bytes]:
    task = asyncio.ensure_future(anext(spoken))
    assert await asyncio.to_thread(in_model.wait, 10)
    assert isinstance(task, asyncio.Task)
    return task


async def test_a_listener_who_leaves_stops_the_model_in_mid_sentence(slow: Kokoro, in_model: threading.Event) -> None:
    spoken = slow.synthesise("A sentence. Another one.", None, None)
    task = await begun(spoken, in_model)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await spoken.aclose()
    assert await slow._local.run(lambda _model, _stop: "free", deadline_s=5) == "free"


async def test_closing_the_engine_fails_what_is_spoken(slow: Kokoro, in_model: threading.Event) -> None:
    task = await begun(slow.synthesise("A sentence.", None, None), in_model)
    await asyncio.wait_for(slow.close(), 4)
    with pytest.raises(EngineFailed, match="shutting down"):
        await task
    with pytest.raises(EngineFailed, match="not loaded"):
        await chunks(slow, "hello")


async def test_a_sentence_that_does_not_end_fails_at_its_deadline(
    slow: Kokoro, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kokoro_engine, "_SENTENCE_S", 0.1)
    monkeypatch.setattr(kokoro_engine, "_SENTENCE_S_PER_CHAR", 0)
    with pytest.raises(EngineFailed, match=r"kokoro did not end within 0\.1 s"):
        await chunks(slow, "hello")


async def test_no_sentence_is_made_before_it_is_asked_for(kokoro: Kokoro, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    speak = KokoroModel.speak

    def spied(self: KokoroModel, sentence: str, voice: str, language: str, stop: Stop) -> bytes:
        made.append(sentence)
        return speak(self, sentence, voice, language, stop)

    monkeypatch.setattr(KokoroModel, "speak", spied)
    spoken = kokoro.synthesise("The first one. The second one. The third one.", None, None)
    await anext(spoken)
    await spoken.aclose()
    assert made == ["The first one."]


# Failing and loading


async def test_want_of_memory_is_told_and_the_next_sentence_is_spoken(
    kokoro: Kokoro, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise RuntimeError("Failed to allocate memory for requested buffer of size 268435456")

    with monkeypatch.context() as patch:
        patch.setattr(StoppableSession, "run", full)
        with pytest.raises(EngineOutOfMemory):
            await chunks(kokoro, "hello")
    assert await chunks(kokoro, "hello")


async def test_audio_that_is_not_a_number_or_too_loud_is_no_noise(make_kokoro: MakeModel, tmp_path: Path) -> None:
    model = KokoroModel(ModelFolder(NAME, make_kokoro(tmp_path, voices={"af_nan": np.nan, "af_loud": 50.0})), CPU)
    assert not np.frombuffer(model.speak("hello", "af_nan", "en-us", Stop()), "<i2").any()
    loud = np.frombuffer(model.speak("hello", "af_loud", "en-us", Stop()), "<i2")
    assert (loud.min(), loud.max()) == (-32_767, 32_767)


async def test_the_precision_is_chosen_and_said(
    make_kokoro: MakeModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_kokoro(tmp_path, voices=VOICES, precision="fp16")
    engine = Kokoro(ModelFolder(NAME, make_kokoro(tmp_path, voices=VOICES)))
    with caplog.at_level(logging.INFO, "barnabeenet_sidecar"):
        await engine.load()
    assert caplog.messages == [f"kokoro: {NAME} runs on the processor in its own precision"]
    await engine.close()


async def test_it_can_be_loaded_again_after_it_was_closed(kokoro: Kokoro) -> None:
    await kokoro.close()
    await kokoro.close()
    await kokoro.load()
    assert await chunks(kokoro, "hello")


async def test_the_file_of_voices_is_not_kept_open(folder: Path, kokoro: Kokoro) -> None:
    open_files = {path.resolve() for path in Path("/proc/self/fd").iterdir() if path.exists()}
    assert (folder / "voices-v1.0.bin").resolve() not in open_files


@pytest.mark.parametrize("missing", ["kokoro-v1.0.onnx", "voices-v1.0.bin"])
async def test_a_missing_file_is_told_with_the_command_that_brings_it(
    make_kokoro: MakeModel, tmp_path: Path, missing: str
) -> None:
    (make_kokoro(tmp_path, voices=VOICES) / missing).unlink()
    with pytest.raises(EngineUnavailable, match=f"{missing} is not in .*: barnabeenet-sidecar models pull {NAME}"):
        await Kokoro(ModelFolder(NAME, tmp_path)).load()


def as_pickle(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([{"a": 1}]), allow_pickle=True)


def as_small_styles(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, af_heart=np.zeros((510, 1, 8), np.float32))


def as_japanese(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, jf_alpha=np.zeros((510, 1, 256), np.float32))


@pytest.mark.parametrize(
    ("damaged", "damage"),
    [
        ("kokoro-v1.0.onnx", lambda path: path.write_bytes(b"\x08\x07garbage")),
        ("voices-v1.0.bin", lambda path: path.write_bytes(b"PK\x03\x04garbage")),
        ("voices-v1.0.bin", as_pickle),
        ("voices-v1.0.bin", as_small_styles),
        ("voices-v1.0.bin", as_japanese),
    ],
)
async def test_a_damaged_file_is_told_in_one_line_and_leaves_nothing_behind(
    make_kokoro: MakeModel, tmp_path: Path, damaged: str, damage: Callable[[Path], object]
) -> None:
    damage(make_kokoro(tmp_path, voices=VOICES) / damaged)
    engine = Kokoro(ModelFolder(NAME, tmp_path))
    with pytest.raises(EngineUnavailable, match="cannot be loaded") as raised:
        await engine.load()
    assert "\n" not in str(raised.value)
    for thread in threading.enumerate():
        if thread.name.startswith("kokoro"):
            thread.join(5)
            assert not thread.is_alive()


async def test_without_its_library_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "barnabeenet_sidecar.engines.kokoro_model")
    monkeypatch.setitem(sys.modules, "kokoro_onnx", None)
    with pytest.raises(EngineUnavailable, match=r"pip install 'barnabeenet-sidecar\[models\]'"):
        await Kokoro(ModelFolder(NAME, folder)).load()
