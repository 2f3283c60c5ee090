"""Whisper's loading and inference, on a tiny model of the same inputs and outputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
import logging
from pathlib import Path
import socket
import sys
from typing import Any

from faster_whisper import WhisperModel
import numpy as np
import pytest
from tokenizers import Tokenizer

from barnabeenet_sidecar.engines import whisper as whisper_engine
from barnabeenet_sidecar.engines.base import SAMPLE_RATE_HZ, Vocabulary
from barnabeenet_sidecar.engines.batch_speech_to_text import Speech
from barnabeenet_sidecar.engines.device import CPU, Device
from barnabeenet_sidecar.engines.model_folder import ModelFolder
from barnabeenet_sidecar.engines.model_thread import Stop, Stopped
from barnabeenet_sidecar.engines.whisper import Whisper
from barnabeenet_sidecar.engines.whisper_decoder import WhisperDecoder
from barnabeenet_sidecar.errors import EngineFailed, EngineUnavailable, Unsupported

MakeModel = Callable[..., Path]
NAME = "whisper-small"
LOOP = {"<|notimestamps|>": {" turn": 4.0}, " turn": {" on": 4.0}, " on": {" turn": 4.0}, " Luce": {" turn": 4.0}}


def samples(seconds: float) -> np.ndarray:
    return np.random.default_rng(7).normal(scale=0.1, size=round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


def audio(seconds: float) -> bytes:
    return (samples(seconds) * 32_767).clip(-32_768, 32_767).astype("<i2").tobytes()


@pytest.fixture(scope="session")
def folder(make_whisper: MakeModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture
async def whisper(folder: Path) -> AsyncIterator[Whisper]:
    engine = Whisper(ModelFolder(NAME, folder))
    await engine.load()
    yield engine
    await engine.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What faster-whisper was asked for, request by request."""
    asked: list[dict[str, Any]] = []
    transcribe = WhisperModel.transcribe

    def spied(self: WhisperModel, audio: np.ndarray, **options: Any) -> Any:
        asked.append(options)
        return transcribe(self, audio, **options)

    monkeypatch.setattr(WhisperModel, "transcribe", spied)
    return asked


async def hear(engine: Whisper, pcm: bytes, language: str = "en", bias: tuple[str, ...] = ()) -> str:
    recognition = await engine.recognise(language, None, bias)
    recognition.feed(pcm)
    words = await recognition.decode()
    await recognition.close()
    return words.text


# Hearing


async def test_an_utterance_is_transcribed_with_a_confidence(whisper: Whisper) -> None:
    recognition = await whisper.recognise("en-US", None)
    recognition.feed(audio(1))
    assert (await recognition.partial()).text == "turn on the loose light"
    words = await recognition.decode()
    assert words.text == "turn on the loose light"
    assert 0.5 < words.confidence < 1
    await recognition.close()


async def test_more_than_a_window_of_30_s_is_heard_to_its_end(whisper: Whisper) -> None:
    assert await hear(whisper, audio(45)) == "turn on the loose light turn on the loose light"


async def test_silence_is_nothing(whisper: Whisper, asked: list[dict[str, Any]]) -> None:
    assert await hear(whisper, bytes(2 * SAMPLE_RATE_HZ)) == ""
    assert asked == []


async def test_what_the_model_holds_for_noise_is_nothing(make_whisper: MakeModel, tmp_path: Path) -> None:
    engine = Whisper(ModelFolder(NAME, make_whisper(tmp_path, no_speech=True)))
    await engine.load()
    assert await hear(engine, audio(1)) == ""
    await engine.close()


async def test_a_text_that_repeats_itself_is_cut_off_and_dropped(make_whisper: MakeModel, tmp_path: Path) -> None:
    decoder = WhisperDecoder(ModelFolder(NAME, make_whisper(tmp_path, story=LOOP)), CPU)
    segments, _ = decoder._model.transcribe(samples(1), language="en", without_timestamps=True, max_new_tokens=49)
    assert next(segments).text.startswith(" turn on turn on turn on turn on")
    assert decoder.transcribe(Speech(samples(1), "en"), Stop()).text == ""


async def test_the_language_is_given_and_more_care_is_taken_with_the_final_words(
    folder: Path, asked: list[dict[str, Any]]
) -> None:
    decoder = WhisperDecoder(ModelFolder(NAME, folder), CPU)
    decoder._beam = 5  # as on a GPU
    for final in (False, True):
        decoder.transcribe(Speech(samples(1), "de", final=final), Stop())
    assert [options["language"] for options in asked] == ["de", "de"]
    assert [options["beam_size"] for options in asked] == [1, 5]


async def test_on_a_processor_the_final_words_take_no_longer_than_provisional_ones(
    whisper: Whisper, asked: list[dict[str, Any]]
) -> None:
    assert await hear(whisper, audio(1))
    assert asked[-1]["beam_size"] == 1


async def test_nothing_is_fetched_from_the_internet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("somebody opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    engine = Whisper(ModelFolder(NAME, folder))
    await engine.load()
    assert await hear(engine, audio(1))
    await engine.close()


# Bias words


async def test_a_name_in_the_prompt_wins_over_a_word_that_is_a_little_likelier(whisper: Whisper) -> None:
    assert await hear(whisper, audio(1), bias=("Luce",)) == "turn on the Luce light"
    await whisper.set_vocabulary("ours", Vocabulary("en", "r1", names=("Luce",)))
    assert await hear(whisper, audio(1)) == "turn on the Luce light"
    assert whisper.vocabulary_revision("ours") == "r1"


async def test_as_many_names_go_into_the_prompt_as_fit_the_utterances_own_first(
    whisper: Whisper, folder: Path, asked: list[dict[str, Any]]
) -> None:
    names = [f"lamp number {number}" for number in range(5000)]
    await whisper.set_vocabulary("ours", Vocabulary("en", "r1", names=["x" * 256, *names]))
    assert await hear(whisper, audio(1), bias=("Luce",))
    hint = asked[-1]["hotwords"]
    assert hint.startswith("Luce, lamp number 0, lamp number 1, ")
    assert 130 < len(Tokenizer.from_file(str(folder / "tokenizer.json")).encode(hint).ids) <= 150


async def test_a_name_cannot_say_what_only_the_engine_may(whisper: Whisper, asked: list[dict[str, Any]]) -> None:
    assert await hear(whisper, audio(1), bias=("<|translate|>", "Luce", "a<|endoftext|>b"))
    assert asked[-1]["hotwords"] == "Luce"


async def test_without_names_there_is_no_prompt(whisper: Whisper, asked: list[dict[str, Any]]) -> None:
    assert await hear(whisper, audio(1), bias=(" ", ""))
    assert asked[-1]["hotwords"] is None


# Languages


async def test_the_languages_are_told_as_people_write_them(whisper: Whisper) -> None:
    languages = whisper.info.languages
    assert languages[0] == "en"
    assert {"de", "jv", "nb", "yue", "zh", "cmn", "haw"} < set(languages)
    assert "jw" not in languages
    assert len(languages) == len(set(languages)) > 99
    with pytest.raises(Unsupported):
        await whisper.recognise("tlh", None)


@pytest.mark.parametrize(
    ("language", "code"), [("nb-NO", "no"), ("jv", "jw"), ("cmn-Hans-CN", "zh"), ("zh_CN", "zh"), ("yue", "yue")]
)
async def test_a_language_is_asked_for_by_whispers_name_of_it(
    whisper: Whisper, monkeypatch: pytest.MonkeyPatch, language: str, code: str
) -> None:
    asked = []

    def transcribe(_self: WhisperModel, _audio: np.ndarray, **options: Any) -> tuple[list[Any], None]:
        asked.append(options["language"])
        return [], None

    monkeypatch.setattr(WhisperModel, "transcribe", transcribe)
    assert await hear(whisper, audio(1), language) == ""
    assert asked == [code]


# Stopping and failing


def test_a_decode_that_is_told_to_stop_ends_with_its_window(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, stop, windows = WhisperDecoder(ModelFolder(NAME, folder), CPU), Stop(), 0
    encode = WhisperModel.encode

    def spied(self: WhisperModel, features: np.ndarray) -> Any:
        nonlocal windows
        windows += 1
        stop.set()
        return encode(self, features)

    monkeypatch.setattr(WhisperModel, "encode", spied)
    with pytest.raises(Stopped):
        decoder.transcribe(Speech(samples(60), "en"), stop)
    assert windows == 1
    with pytest.raises(Stopped):
        decoder.transcribe(Speech(samples(60), "en"), stop)
    assert windows == 1


async def test_a_failure_is_told_and_the_next_utterance_is_heard(
    whisper: Whisper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED")

    with monkeypatch.context() as patch:
        patch.setattr(WhisperModel, "encode", broken)
        with pytest.raises(EngineFailed, match="whisper broke: cuBLAS failed"):
            await hear(whisper, audio(1))
    assert await hear(whisper, audio(1))


async def test_many_utterances_at_once_are_all_heard(whisper: Whisper) -> None:
    heard = await asyncio.gather(*(hear(whisper, audio(1)) for _ in range(8)))
    assert heard == ["turn on the loose light"] * 8


# Loading


async def test_eight_bits_are_taken_on_a_processor(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = Whisper(ModelFolder(NAME, folder))
    with caplog.at_level(logging.INFO, "barnabeenet_sidecar"):
        await engine.load()
    assert caplog.messages == ["whisper: whisper-small runs on the processor in int8"]
    await engine.close()


async def test_a_gpu_that_does_not_work_is_left_for_the_processor(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(whisper_engine, "ctranslate2_device", lambda: Device("cuda", "Broken 4090"))
    engine = Whisper(ModelFolder(NAME, folder))
    with caplog.at_level(logging.INFO, "barnabeenet_sidecar"):
        await engine.load()
    assert caplog.messages == [
        "whisper does not run on Broken 4090: it takes the processor",
        "whisper: whisper-small runs on the processor in int8",
    ]
    assert await hear(engine, audio(1))
    await engine.close()


async def test_a_gpu_without_room_is_left_for_the_next_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def full(_self: Whisper, device: Device) -> None:
        opened.append(device)
        raise RuntimeError("CUDA failed with error out of memory")

    gpu = Device("cuda", "Small 1050")
    monkeypatch.setattr(whisper_engine, "ctranslate2_device", lambda: gpu)
    monkeypatch.setattr(Whisper, "_open", full)
    with pytest.raises(EngineUnavailable, match="out of memory"):
        await Whisper(ModelFolder(NAME, folder)).load()
    assert opened == [gpu]


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json"])
async def test_a_missing_file_is_told_with_the_command_that_brings_it(
    make_whisper: MakeModel, tmp_path: Path, missing: str
) -> None:
    (make_whisper(tmp_path) / missing).unlink()
    with pytest.raises(EngineUnavailable, match=f"{missing} is not in .*: barnabeenet-sidecar models pull {NAME}"):
        await Whisper(ModelFolder(NAME, tmp_path)).load()


@pytest.mark.parametrize("damaged", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
async def test_a_damaged_file_is_told_in_one_line(make_whisper: MakeModel, tmp_path: Path, damaged: str) -> None:
    make_whisper(tmp_path)
    path = tmp_path / damaged
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(EngineUnavailable, match="cannot be loaded") as raised:
        await Whisper(ModelFolder(NAME, tmp_path)).load()
    assert "\n" not in str(raised.value)


async def test_without_its_library_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(EngineUnavailable, match=r"pip install 'barnabeenet-sidecar\[models\]'"):
        await Whisper(ModelFolder(NAME, folder)).load()
