"""microWakeWord, the real one, on people, on synthetic speech and on read books."""

from __future__ import annotations

from collections.abc import Callable
import gc
from pathlib import Path
import sys
import time

from hypothesis import given, settings, strategies as st
import psutil
from pymicro_wakeword import MicroWakeWord as Detector, MicroWakeWordFeatures, Model
import pytest

from barnabeenet_sidecar.audio.pcm import resample, wav_read
from barnabeenet_sidecar.engines.base import WakeDetection
from barnabeenet_sidecar.engines.espeak_library import library
from barnabeenet_sidecar.engines.micro_wake_word import MicroWakeWord, MicroWakeWordStream
from barnabeenet_sidecar.errors import EngineUnavailable, Unsupported

SECOND = 32_000
ALL = ("okay_nabu", "hey_jarvis", "hey_mycroft", "alexa")
SPOKEN_BY_PEOPLE = {
    "wow_hey_jarvis": "hey_jarvis",
    "wow_alexa": "alexa",
    "oww_alexa_test": "alexa",
    "oww_hey_mycroft_test": "hey_mycroft",
}


@pytest.fixture
async def engine() -> MicroWakeWord:
    engine = MicroWakeWord()
    await engine.load()
    return engine


@pytest.fixture
def clip(recordings: Path) -> Callable[[str], bytes]:
    return lambda name: wav_read(recordings / "wake" / f"{name}.wav").data


def synthetic(phrase: str, voice: str, rate_wpm: int) -> bytes:
    pieces: list[bytes] = []

    def keep(pcm: bytes) -> bool:
        pieces.append(pcm)
        return True

    library().speak(phrase, voice, rate_wpm, keep)
    return resample(b"".join(pieces), library().rate_hz, 16_000)


def detections(stream: MicroWakeWordStream, pcm: bytes, piece: int = 2048) -> list[WakeDetection]:
    found = (stream.process(pcm[start : start + piece]) for start in range(0, len(pcm), piece))
    return [detection for detection in found if detection]


# What it hears


@pytest.mark.parametrize("name", SPOKEN_BY_PEOPLE)
async def test_people_are_heard_once_and_by_the_right_name(
    engine: MicroWakeWord, clip: Callable[[str], bytes], name: str
) -> None:
    pcm = clip(name)
    found = detections(engine.stream(ALL), bytes(SECOND) + pcm + bytes(2 * SECOND))
    assert [detection.name for detection in found] == [SPOKEN_BY_PEOPLE[name]]
    spoken_until_ms = 1000 + len(pcm) / 32
    assert 1300 < found[0].offset_ms < spoken_until_ms + 300


@pytest.mark.parametrize("name", ["wow_hey_rhasspy", "wow_snowboy", "negative_reference"])
async def test_other_words_are_not_heard(engine: MicroWakeWord, clip: Callable[[str], bytes], name: str) -> None:
    assert detections(engine.stream(ALL), clip(name) + bytes(SECOND)) == []


@pytest.mark.parametrize(
    ("phrase", "name", "at_least"), [("hey jarvis", "hey_jarvis", 1), ("okay nahboo", "okay_nabu", 3)]
)
async def test_some_synthetic_voices_are_heard_too(
    engine: MicroWakeWord, phrase: str, name: str, at_least: int
) -> None:
    voices = [f"gmw/en-US{variant}" for variant in ("", "+edward", "+f2", "+f5", "+klatt5")]
    clips = [synthetic(phrase, voice, rate) for voice in voices for rate in (130, 160)]
    heard = [detections(engine.stream([name]), bytes(SECOND) + pcm + bytes(SECOND)) for pcm in clips]
    assert sum(len(found) == 1 for found in heard) >= at_least
    assert max(len(found) for found in heard) == 1


async def test_ten_minutes_of_reading_and_commands_wake_nobody(engine: MicroWakeWord, recordings: Path) -> None:
    woken, minutes = [], 0.0
    for path in sorted(path for path in recordings.glob("*/*.wav") if path.parent.name != "wake"):
        pcm = wav_read(path, limit_s=120)
        minutes += pcm.duration_ms / 60_000
        audio = pcm.data if pcm.rate_hz == 16_000 else resample(pcm.data, pcm.rate_hz, 16_000)
        woken += [(path.name, detection) for detection in detections(engine.stream(ALL), audio, 32_768)]
    assert woken == []
    assert minutes > 10


def of_the_bare_package(name: str, pcm: bytes) -> list[int]:
    """When the package's own detector is sure, in milliseconds; after the same silence that our streams begin with."""
    features, detector = MicroWakeWordFeatures(), Detector.from_builtin(Model(name))
    sure = [bool(detector.process_streaming(frame)) for frame in features.process_streaming(bytes(9_600) + pcm)]
    return [20 - 300 + 10 * (number + 1) for number, is_sure in enumerate(sure) if is_sure]


@pytest.mark.parametrize("name", ALL)
async def test_it_is_sure_when_the_bare_package_is_sure(
    engine: MicroWakeWord, recordings: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Every time that it is sure, not only the first of each utterance.
    pcm = b"".join(wav_read(path).data for path in sorted((recordings / "wake").glob("*.wav")))
    pcm += synthetic("okay nahboo", "gmw/en-US", 145) + bytes(SECOND)
    monkeypatch.setattr("barnabeenet_sidecar.engines.wake_words._REARM_MS", 0)
    stream = engine.stream([name])
    found = [stream.process(pcm[start : start + 320]) for start in range(0, len(pcm), 320)]
    wanted = of_the_bare_package(name, pcm)
    assert wanted
    assert [detection.offset_ms for detection in found if detection] == wanted


async def test_only_the_words_asked_for_are_heard(engine: MicroWakeWord, clip: Callable[[str], bytes]) -> None:
    pcm = clip("wow_alexa") + bytes(SECOND)
    assert detections(engine.stream(["hey_jarvis", "okay_nabu"]), pcm) == []
    assert detections(engine.stream(["hey_jarvis", "alexa", "alexa"]), pcm)


# Streams


async def test_the_offset_is_the_same_in_any_pieces(engine: MicroWakeWord, clip: Callable[[str], bytes]) -> None:
    pcm = clip("wow_hey_jarvis") + bytes(SECOND)
    wanted = engine.stream(["hey_jarvis"]).process(pcm)
    assert wanted is not None

    @settings(max_examples=15)
    @given(piece=st.integers(1, 20_000))
    def check(piece: int) -> None:
        assert detections(engine.stream(["hey_jarvis"]), pcm, piece)[0] == wanted

    check()


async def test_the_offset_moves_with_the_word(engine: MicroWakeWord, clip: Callable[[str], bytes]) -> None:
    pcm = clip("wow_hey_jarvis") + bytes(SECOND)
    early = engine.stream(["hey_jarvis"]).process(bytes(SECOND) + pcm)
    late = engine.stream(["hey_jarvis"]).process(bytes(4 * SECOND) + pcm)
    assert early
    assert late
    assert late.offset_ms - early.offset_ms == pytest.approx(3000, abs=60)


async def test_a_word_said_again_later_is_heard_again(engine: MicroWakeWord, clip: Callable[[str], bytes]) -> None:
    pcm = clip("wow_alexa") + bytes(SECOND)
    first, second = detections(engine.stream(["alexa"]), pcm + pcm)
    assert second.offset_ms - first.offset_ms == pytest.approx(len(pcm) / 32, abs=60)


async def test_streams_share_nothing(engine: MicroWakeWord, clip: Callable[[str], bytes]) -> None:
    word, other = clip("wow_hey_jarvis") + bytes(SECOND), clip("negative_reference")
    alone = detections(engine.stream(["hey_jarvis"]), word)
    streams = [engine.stream(["hey_jarvis"]) for _ in range(3)]
    found = []
    for start in range(0, len(word), 1024):
        streams[0].process(other[start : start + 1024])
        found.append(streams[1].process(word[start : start + 1024]))
        streams[2].process(bytes(1024))
    assert [detection for detection in found if detection] == alone


async def test_half_a_word_in_one_stream_and_half_in_the_next_is_no_word(
    engine: MicroWakeWord, clip: Callable[[str], bytes]
) -> None:
    pcm = clip("wow_hey_jarvis")
    detection = engine.stream(["hey_jarvis"]).process(pcm + bytes(SECOND))
    assert detection
    half = (detection.offset_ms - 500) * 32
    assert engine.stream(["hey_jarvis"]).process(pcm[:half]) is None
    assert engine.stream(["hey_jarvis"]).process(pcm[half:] + bytes(SECOND)) is None


async def test_forty_eight_streams_are_cheap(engine: MicroWakeWord, clip: Callable[[str], bytes]) -> None:
    pcm = clip("negative_reference")[: 8 * SECOND]
    process = psutil.Process()
    before = process.memory_info().rss
    streams = [engine.stream(None) for _ in range(48)]
    started = time.process_time()
    for start in range(0, len(pcm), 2048):
        for stream in streams:
            stream.process(pcm[start : start + 2048])
    core_share = (time.process_time() - started) / (48 * len(pcm) / SECOND)
    assert core_share < 0.006  # 0.2 % on an idle machine
    assert (process.memory_info().rss - before) / 48 < 400_000


async def test_streams_that_are_gone_leave_no_memory_behind(engine: MicroWakeWord) -> None:
    process = psutil.Process()
    for _ in range(50):
        engine.stream(ALL)
    gc.collect()
    before = process.memory_info().rss
    for _ in range(200):
        engine.stream(ALL).process(bytes(3200))
    gc.collect()
    assert process.memory_info().rss - before < 5_000_000


# Names


async def test_the_models_are_known_after_loading(engine: MicroWakeWord) -> None:
    assert tuple(model.name for model in engine.models) == ALL
    assert engine.models[1].phrase == "Hey Jarvis"
    assert "en" in engine.models[0].languages
    assert engine.info.licence == "Apache-2.0"
    assert "de" in engine.info.languages


async def test_without_names_the_default_is_listened_for(engine: MicroWakeWord) -> None:
    pcm = bytes(SECOND) + synthetic("okay nahboo", "gmw/en-US+f5", 160) + bytes(SECOND)
    assert detections(engine.stream(None), pcm) == detections(engine.stream(["okay_nabu"]), pcm)
    assert detections(engine.stream([]), pcm) == detections(engine.stream(["okay_nabu"]), pcm)


@pytest.mark.parametrize("names", [["hey_barnabee"], ["alexa", "../../etc/passwd"], [""]])
async def test_an_unknown_name_is_unsupported_and_the_known_ones_are_told(
    engine: MicroWakeWord, names: list[str]
) -> None:
    with pytest.raises(Unsupported, match="okay_nabu, hey_jarvis"):
        engine.stream(names)


async def test_before_it_is_loaded_nothing_can_be_listened_for() -> None:
    for names in (None, ["alexa"]):
        with pytest.raises(Unsupported, match="loaded"):
            MicroWakeWord().stream(names)


async def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymicro_wakeword", None)
    with pytest.raises(EngineUnavailable, match="pip install pymicro-wakeword"):
        await MicroWakeWord().load()
