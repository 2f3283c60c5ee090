"""Parakeet's loading and inference, on a tiny model of the same inputs and outputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
import logging
from pathlib import Path
import socket
import sys
import threading

import numpy as np
import pytest

from barnabeenet_sidecar.engines import batch_speech_to_text, parakeet_decoder
from barnabeenet_sidecar.engines.base import SAMPLE_RATE_HZ, SpeechToText, Vocabulary
from barnabeenet_sidecar.engines.batch_speech_to_text import BatchRecognition
from barnabeenet_sidecar.engines.bias_words import HOMES_MAX, WORDS_MAX
from barnabeenet_sidecar.engines.model_folder import ModelFolder
from barnabeenet_sidecar.engines.model_thread import Stop
from barnabeenet_sidecar.engines.onnx_run import run_options
from barnabeenet_sidecar.engines.parakeet import Parakeet
from barnabeenet_sidecar.engines.phrase_boost import BoostedSearch, PhraseBoost, byte_pair_tokens
from barnabeenet_sidecar.errors import BadRequest, EngineFailed, EngineUnavailable, Unsupported

MakeModel = Callable[..., Path]
NAME = "parakeet-tdt-0.6b-v3"


def audio(seconds: float, level: int = 3000) -> bytes:
    samples = np.random.default_rng(7).normal(size=round(seconds * SAMPLE_RATE_HZ)) * level
    return samples.clip(-32_768, 32_767).astype("<i2").tobytes()


@pytest.fixture(scope="session")
def folder(make_parakeet: MakeModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_parakeet(tmp_path_factory.mktemp("parakeet"))


@pytest.fixture
async def parakeet(folder: Path) -> AsyncIterator[Parakeet]:
    engine = Parakeet(ModelFolder(NAME, folder))
    await engine.load()
    yield engine
    await engine.close()


def assert_no_thread() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("parakeet"):
            thread.join(5)
            assert not thread.is_alive()


async def hear(engine: SpeechToText, pcm: bytes, home: str | None = None, bias: tuple[str, ...] = ()) -> str:
    recognition = await engine.recognise("en", home, bias)
    recognition.feed(pcm)
    words = await recognition.decode()
    await recognition.close()
    return words.text


# Hearing


async def test_an_utterance_is_transcribed_with_a_confidence(parakeet: Parakeet) -> None:
    recognition = await parakeet.recognise("en-US", None)
    recognition.feed(audio(1))
    words = await recognition.decode()
    assert words.text == "turn on the loose light"
    assert 0.5 < words.confidence < 1
    await recognition.close()


async def test_provisional_words_grow_with_the_audio(parakeet: Parakeet) -> None:
    recognition = await parakeet.recognise("en", None)
    heard = []
    for _ in range(5):
        recognition.feed(audio(0.17))
        heard.append((await recognition.partial()).text)
    assert heard[0] == "turn on"
    assert heard[-1] == "turn on the loose light"
    assert all(after.startswith(before) for before, after in pairwise(heard))
    await recognition.close()


@pytest.mark.parametrize("pcm", [b"", bytes(2 * SAMPLE_RATE_HZ), audio(1, level=3), audio(0.05)])
async def test_silence_and_less_than_a_word_are_nothing_and_cost_nothing(parakeet: Parakeet, pcm: bytes) -> None:
    await parakeet.close()  # the model is not even asked
    assert await hear(parakeet, pcm) == ""


async def test_utterances_take_turns_and_none_hears_the_other(parakeet: Parakeet) -> None:
    lengths = [0.2, 0.34, 0.42, 1.0] * 3
    alone = [await hear(parakeet, audio(length)) for length in lengths]
    assert len(set(alone)) == 4
    assert await asyncio.gather(*(hear(parakeet, audio(length)) for length in lengths)) == alone


async def test_nothing_is_fetched_from_the_internet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("somebody opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    engine = Parakeet(ModelFolder(NAME, folder))
    await engine.load()
    assert await hear(engine, audio(1))
    await engine.close()


# Bias words


@pytest.mark.parametrize("word", ["Luce", "luce", "LUCE", "Luce light"])
async def test_a_name_of_the_utterance_wins_over_a_word_that_is_a_little_likelier(
    parakeet: Parakeet, word: str
) -> None:
    assert await hear(parakeet, audio(1), bias=(word,)) == "turn on the Luce light"
    assert await hear(parakeet, audio(1)) == "turn on the loose light"


async def test_names_that_were_not_said_change_nothing(parakeet: Parakeet) -> None:
    names = ("Kitchen", "Ceiling", "xylophone", "☃", "on" * 500)
    assert await hear(parakeet, audio(1), bias=names) == "turn on the loose light"


async def test_the_names_of_a_home_are_preferred_in_it_alone(parakeet: Parakeet) -> None:
    report = await parakeet.set_vocabulary("ours", Vocabulary("en", "r1", names=("Luce", "luce "), terms=("Hall",)))
    assert (report.words, report.sentences, list(report.unknown)) == (2, 0, [])
    await parakeet.set_vocabulary("theirs", Vocabulary("en", "r2"))
    assert await hear(parakeet, audio(1), home="ours") == "turn on the Luce light"
    assert await hear(parakeet, audio(1), home="theirs") == "turn on the loose light"
    assert await hear(parakeet, audio(1), home="unknown") == "turn on the loose light"
    assert await hear(parakeet, audio(1), home=None) == "turn on the loose light"
    await parakeet.set_vocabulary("ours", Vocabulary("en", "r3", terms=("Luce",)))
    assert await hear(parakeet, audio(1), home=None) == "turn on the Luce light"
    assert (parakeet.vocabulary_revision("ours"), parakeet.vocabulary_revision("theirs")) == ("r3", "r2")
    assert parakeet.vocabulary_revision("unknown") is None


async def test_a_recognition_that_runs_keeps_the_old_names(parakeet: Parakeet) -> None:
    recognition = await parakeet.recognise("en", None)
    await parakeet.set_vocabulary("ours", Vocabulary("en", "r1", names=("Luce",)))
    recognition.feed(audio(1))
    assert (await recognition.decode()).text == "turn on the loose light"
    await recognition.close()


async def test_no_more_names_are_held_than_make_sense(parakeet: Parakeet) -> None:
    names = [f"lamp {number}" for number in range(WORDS_MAX)]
    report = await parakeet.set_vocabulary("ours", Vocabulary("en", "r1", names=[*names, "Luce"]))
    assert report.words == WORDS_MAX
    assert await hear(parakeet, audio(1), home="ours") == "turn on the loose light"
    assert await hear(parakeet, audio(1), home="ours", bias=("Luce",)) == "turn on the Luce light"


async def test_the_homes_that_were_set_last_are_held(parakeet: Parakeet) -> None:
    for home in range(HOMES_MAX + 2):
        await parakeet.set_vocabulary(str(home), Vocabulary("en", f"r{home}"))
    assert [parakeet.vocabulary_revision(str(home)) for home in (0, 1, 2)] == [None, None, "r2"]


def test_a_phrase_is_cut_into_tokens_earliest_merge_first() -> None:
    pieces = ["he", "ll", " he", "hell", "llo", *" helo"]
    tokens = {piece: at for at, piece in enumerate(pieces)}
    assert byte_pair_tokens(tokens, " hello") == [tokens[" he"], tokens["llo"]]
    assert byte_pair_tokens(tokens, "hex") == []
    assert byte_pair_tokens(tokens, "") == []


def test_a_phrase_is_followed_to_its_end_and_then_begun_anew() -> None:
    tokens = {" a": 0, "b": 1, "c": 2, " x": 3, " ": 4, "a": 5, "x": 6}
    search = BoostedSearch(PhraseBoost(tokens, ["abc"]))
    flat = np.zeros(8, np.float32)
    assert np.flatnonzero(search.boosted(flat, blank=7)).tolist() == [0]
    search.follow([0])
    raised = search.boosted(flat, blank=7)
    assert raised[1] > raised[0] > 0
    search.follow([0, 3])
    assert np.flatnonzero(search.boosted(flat, blank=7)).tolist() == [0]
    search.follow([0, 3, 0, 1])
    assert np.flatnonzero(search.boosted(flat, blank=7)).tolist() == [0, 2]


def test_no_phrase_puts_a_token_where_the_model_hears_none() -> None:
    search = BoostedSearch(PhraseBoost({" a": 0, " ": 2, "a": 3}, ["a"]))
    logits = np.array([4.9, 5.0, 0, 0], np.float32)
    assert search.boosted(logits, blank=1).argmax() == 1
    assert search.boosted(logits, blank=3).argmax() == 0


# Languages and bounds


async def test_the_languages_of_the_model_are_told_and_others_refused(parakeet: Parakeet) -> None:
    assert parakeet.info.languages[0] == "en"
    assert {"de", "fr", "uk", "el"} < set(parakeet.info.languages)
    assert len(set(parakeet.info.languages)) == 25
    assert await parakeet.recognise("de_CH", None)
    for language in ("ja", "", "x" * 5000):
        with pytest.raises(Unsupported, match="does not understand"):
            await parakeet.recognise(language, None)
    with pytest.raises(Unsupported):
        await parakeet.set_vocabulary("ours", Vocabulary("ja", "r1"))


async def test_half_a_sample_and_more_than_a_minute_are_refused(parakeet: Parakeet) -> None:
    recognition = await parakeet.recognise("en", None)
    with pytest.raises(BadRequest, match="16-bit"):
        recognition.feed(b"abc")
    recognition.feed(bytes(60 * SAMPLE_RATE_HZ * 2))
    with pytest.raises(BadRequest, match="60 s"):
        recognition.feed(b"ab")
    await recognition.close()


# Stopping


@pytest.fixture
def in_encoder(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the encoder is about to run."""
    event = threading.Event()

    def spied(stop: Stop) -> object:
        event.set()
        return run_options(stop)

    monkeypatch.setattr(parakeet_decoder, "run_options", spied)
    return event


@pytest.fixture
async def slow(make_parakeet: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parakeet]:
    """An engine whose encoder never ends by itself."""
    make_parakeet(tmp_path, slow=True)
    monkeypatch.setattr(Parakeet, "_open_and_warm", lambda self, device, _stop: self._open(device))
    engine = Parakeet(ModelFolder(NAME, tmp_path))
    await engine.load()
    yield engine
    await engine.close()
    assert_no_thread()


async def started(engine: Parakeet, in_encoder: threading.Event) -> tuple[BatchRecognition, asyncio.Task[object]]:
    recognition = await engine.recognise("en", None)
    recognition.feed(audio(1))
    task: asyncio.Task[object] = asyncio.create_task(recognition.decode())
    assert await asyncio.to_thread(in_encoder.wait, 10)
    return recognition, task


async def test_a_cancelled_decode_stops_within_the_model(slow: Parakeet, in_encoder: threading.Event) -> None:
    _, task = await started(slow, in_encoder)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await slow._local.run(lambda _model, _stop: "free", deadline_s=5) == "free"


async def test_closing_a_recognition_stops_its_decode(slow: Parakeet, in_encoder: threading.Event) -> None:
    recognition, task = await started(slow, in_encoder)
    await recognition.close()
    await recognition.close()
    with pytest.raises(EngineFailed, match="closed"):
        await task
    with pytest.raises(EngineFailed, match="begin another"):
        await recognition.decode()


async def test_closing_the_engine_fails_what_runs(slow: Parakeet, in_encoder: threading.Event) -> None:
    _, task = await started(slow, in_encoder)
    await asyncio.wait_for(slow.close(), 4)
    with pytest.raises(EngineFailed, match="shutting down"):
        await task


async def test_a_model_that_does_not_end_fails_at_its_deadline(slow: Parakeet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_speech_to_text, "_DECODE_S", 0.1)
    monkeypatch.setattr(batch_speech_to_text, "_DECODE_S_PER_S", 0.1)
    with pytest.raises(EngineFailed, match=r"parakeet did not end within 0\.2 s"):
        await hear(slow, audio(1))


async def test_an_engine_that_is_not_loaded_says_so(folder: Path) -> None:
    engine = Parakeet(ModelFolder(NAME, folder))
    with pytest.raises(EngineFailed, match="not loaded"):
        await hear(engine, audio(1))
    await engine.close()


async def test_it_can_be_loaded_again_after_it_was_closed_and_keeps_the_vocabularies(parakeet: Parakeet) -> None:
    await parakeet.set_vocabulary("ours", Vocabulary("en", "r1", names=("Luce",)))
    await parakeet.close()
    await parakeet.close()
    await parakeet.load()
    assert await hear(parakeet, audio(1), home="ours") == "turn on the Luce light"


# Loading


@pytest.mark.parametrize("missing", ["encoder-model.onnx", "decoder_joint-model.onnx", "vocab.txt", "config.json"])
async def test_a_missing_file_is_told_with_the_command_that_brings_it(
    make_parakeet: MakeModel, tmp_path: Path, missing: str
) -> None:
    (make_parakeet(tmp_path) / missing).unlink()
    engine = Parakeet(ModelFolder(NAME, tmp_path))
    with pytest.raises(EngineUnavailable, match=f"{missing} is not in .*: barnabeenet-sidecar models pull {NAME}"):
        await engine.load()
    await engine.close()


@pytest.mark.parametrize(
    ("damaged", "content"),
    [
        ("encoder-model.onnx", b"\x08\x07garbage"),
        ("decoder_joint-model.onnx", b""),
        ("vocab.txt", b"no numbers here\n"),
        ("config.json", b"{"),
        ("config.json", b'{"features_size": 7}'),
    ],
)
async def test_a_damaged_file_is_told_in_one_line_and_leaves_nothing_behind(
    make_parakeet: MakeModel, tmp_path: Path, damaged: str, content: bytes
) -> None:
    (make_parakeet(tmp_path) / damaged).write_bytes(content)
    engine = Parakeet(ModelFolder(NAME, tmp_path))
    with pytest.raises(EngineUnavailable, match="cannot be loaded") as raised:
        await engine.load()
    assert "\n" not in str(raised.value)
    assert_no_thread()


async def test_without_its_library_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "barnabeenet_sidecar.engines.parakeet_decoder", raising=False)
    monkeypatch.setitem(sys.modules, "onnx_asr.models.nemo", None)
    with pytest.raises(EngineUnavailable, match=r"pip install 'barnabeenet-sidecar\[models\]'"):
        await Parakeet(ModelFolder(NAME, folder)).load()


async def test_eight_bits_are_taken_on_a_processor_where_they_are_there(
    make_parakeet: MakeModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_parakeet(tmp_path, precision="int8")
    make_parakeet(tmp_path)
    engine = Parakeet(ModelFolder(f"{NAME}-int8", tmp_path))
    with caplog.at_level(logging.INFO, "barnabeenet_sidecar"):
        await engine.load()
    assert caplog.messages == [f"parakeet: {NAME}-int8 runs on the processor in int8"]
    assert await hear(engine, audio(1))
    await engine.close()
