"""openWakeWord's models where they are installed, and what is said where they are not."""

from __future__ import annotations

from collections.abc import Callable
import importlib.util
import logging
from pathlib import Path
import sys
import time

import psutil
import pytest

from barnabeenet_sidecar.audio.pcm import resample, wav_read
from barnabeenet_sidecar.engines.base import WakeDetection
from barnabeenet_sidecar.engines.espeak_library import library
from barnabeenet_sidecar.engines.open_wake_word import OpenWakeWord, OpenWakeWordStream
from barnabeenet_sidecar.errors import EngineUnavailable, Unsupported

# Looked for, not imported: importing it needs scikit-learn, using its models does not.
needs_models = pytest.mark.skipif(
    importlib.util.find_spec("openwakeword") is None,
    reason="openWakeWord's models are not installed: pip install --no-deps openwakeword==0.4.0",
)

SECOND = 32_000
FRAME_MS = 80
SPOKEN_BY_PEOPLE = {
    "wow_hey_jarvis": "hey_jarvis",
    "wow_alexa": "alexa",
    "oww_alexa_test": "alexa",
    "oww_hey_mycroft_test": "hey_mycroft",
}


@pytest.fixture
async def engine() -> OpenWakeWord:
    engine = OpenWakeWord()
    await engine.load()
    return engine


@pytest.fixture
def clip(recordings: Path) -> Callable[[str], bytes]:
    return lambda name: wav_read(recordings / "wake" / f"{name}.wav").data


def detections(stream: OpenWakeWordStream, pcm: bytes, piece: int = 2048) -> list[WakeDetection]:
    found = (stream.process(pcm[start : start + piece]) for start in range(0, len(pcm), piece))
    return [detection for detection in found if detection]


# Not installed


async def test_without_the_package_it_says_exactly_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "openwakeword", raising=False)
    with pytest.raises(EngineUnavailable, match=r"pip install --no-deps openwakeword==0\.4\.0"):
        await OpenWakeWord().load()


def installed_without_models(folder: Path) -> None:
    (folder / "openwakeword" / "resources" / "models").mkdir(parents=True)
    (folder / "openwakeword" / "__init__.py").write_text("raise AssertionError('it must not be imported')")


async def test_a_version_without_models_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed_without_models(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EngineUnavailable, match=r"melspectrogram\.onnx.*openwakeword==0\.4\.0"):
        await OpenWakeWord().load()


async def test_a_damaged_model_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed_without_models(tmp_path)
    (tmp_path / "openwakeword" / "resources" / "models" / "melspectrogram.onnx").write_bytes(b"not a network")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EngineUnavailable, match=r"melspectrogram\.onnx"):
        await OpenWakeWord().load()


async def test_its_licence_is_told_before_anything_is_loaded() -> None:
    engine = OpenWakeWord()
    assert engine.info.licence == "CC-BY-NC-SA-4.0"
    assert "non-commercial" in engine.info.description
    assert list(engine.models) == []
    for names in (None, ["alexa"]):
        with pytest.raises(Unsupported, match="loaded"):
            engine.stream(names)


# Installed


@needs_models
async def test_loading_it_warns_of_the_licence(caplog: pytest.LogCaptureFixture) -> None:
    engine = OpenWakeWord()
    with caplog.at_level(logging.WARNING):
        await engine.load()
    assert "CC-BY-NC-SA-4.0" in caplog.text
    assert engine.info.version == "0.4.0"
    assert "sklearn" not in sys.modules
    await engine.close()
    await engine.close()


@needs_models
@pytest.mark.parametrize("name", SPOKEN_BY_PEOPLE)
async def test_people_are_heard_once_and_by_the_right_name(
    engine: OpenWakeWord, clip: Callable[[str], bytes], name: str
) -> None:
    names = [model.name for model in engine.models]
    found = detections(engine.stream(names), bytes(SECOND) + clip(name) + bytes(2 * SECOND))
    assert [detection.name for detection in found] == [SPOKEN_BY_PEOPLE[name]]
    assert found[0].offset_ms % FRAME_MS == 0
    assert 1300 < found[0].offset_ms < 1000 + len(clip(name)) / 32 + 300


@needs_models
async def test_a_word_at_the_very_beginning_is_heard(engine: OpenWakeWord, clip: Callable[[str], bytes]) -> None:
    assert detections(engine.stream(["hey_mycroft"]), clip("oww_hey_mycroft_test") + bytes(SECOND))


@needs_models
@pytest.mark.parametrize("name", ["wow_hey_rhasspy", "wow_snowboy", "negative_reference"])
async def test_other_words_are_not_heard(engine: OpenWakeWord, clip: Callable[[str], bytes], name: str) -> None:
    assert detections(engine.stream([model.name for model in engine.models]), clip(name) + bytes(SECOND)) == []


@needs_models
@pytest.mark.parametrize("voice", ["gmw/en-US", "gmw/en-US+edward", "gmw/en-US+f2", "gmw/en", "gmw/en-US+f5"])
async def test_synthetic_voices_are_heard(engine: OpenWakeWord, voice: str) -> None:
    pieces: list[bytes] = []

    def keep(pcm: bytes) -> bool:
        pieces.append(pcm)
        return True

    library().speak("hey jarvis", voice, 160, keep)
    pcm = bytes(SECOND) + resample(b"".join(pieces), library().rate_hz, 16_000) + bytes(SECOND)
    assert len(detections(engine.stream(None), pcm)) == 1


@needs_models
async def test_the_offset_is_the_same_in_any_pieces(engine: OpenWakeWord, clip: Callable[[str], bytes]) -> None:
    pcm = clip("wow_hey_jarvis") + bytes(SECOND)
    wanted = engine.stream(["hey_jarvis"]).process(pcm)
    assert wanted is not None
    for piece in (97, 2559, 2560, 2561, 7000):
        assert detections(engine.stream(["hey_jarvis"]), pcm, piece) == [wanted]


@needs_models
async def test_streams_share_nothing(engine: OpenWakeWord, clip: Callable[[str], bytes]) -> None:
    word, other = clip("wow_hey_jarvis") + bytes(SECOND), clip("negative_reference")
    alone = detections(engine.stream(None), word)
    streams = [engine.stream(None) for _ in range(2)]
    found = []
    for start in range(0, len(word), 2560):
        streams[0].process(other[start : start + 2560])
        found.append(streams[1].process(word[start : start + 2560]))
    assert [detection for detection in found if detection] == alone


@needs_models
async def test_reading_does_not_wake_jarvis(engine: OpenWakeWord, recordings: Path) -> None:
    books = sorted((recordings / "ls_test-other").glob("*.wav"))[::7]
    assert len(books) == 6
    assert [detections(engine.stream(None), wav_read(book).data, 32_768) for book in books] == [[]] * 6


@needs_models
async def test_a_stream_costs_little_and_shares_the_models(engine: OpenWakeWord) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    streams = [engine.stream(None) for _ in range(48)]
    started = time.process_time()
    for stream in streams:
        stream.process(bytes(SECOND))
    assert (time.process_time() - started) / 48 < 0.05  # 1 % on an idle machine
    assert (process.memory_info().rss - before) / 48 < 200_000


@needs_models
@pytest.mark.parametrize("names", [["okay_nabu"], ["../../etc/passwd"], [""]])
async def test_an_unknown_name_is_unsupported(engine: OpenWakeWord, names: list[str]) -> None:
    with pytest.raises(Unsupported, match="hey_jarvis, alexa, hey_mycroft, hey_marvin"):
        engine.stream(names)
