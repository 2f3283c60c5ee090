"""The quiet gate: what is a quiet room, what ends it, and that no wake word is lost behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from barnabeenet_sidecar.audio.pcm import wav_read
from barnabeenet_sidecar.engines.base import WakeDetection
from barnabeenet_sidecar.engines.micro_wake_word import MicroWakeWord, MicroWakeWordStream
from barnabeenet_sidecar.engines.quiet_gate import BLOCK_BYTES, BLOCK_MS, QuietGate

RATE_HZ = 16_000
STEADY_MS = 1_500
SPOKEN = {"wow_hey_jarvis": "hey_jarvis", "wow_alexa": "alexa", "oww_hey_mycroft_test": "hey_mycroft"}

Noise = Callable[[int], np.ndarray]


def hiss(seconds: float, dbfs: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ)) * 32_768 * 10 ** (dbfs / 20)


def hum(seconds: float, dbfs: float) -> np.ndarray:
    return np.sin(2 * np.pi * 50 * np.arange(int(seconds * RATE_HZ)) / RATE_HZ) * 32_768 * 10 ** (dbfs / 20)


def pcm(samples: np.ndarray) -> bytes:
    return np.clip(np.round(samples), -32_768, 32_767).astype("<i2").tobytes()


def watched(gate: QuietGate, samples: np.ndarray) -> list[bool]:
    audio = pcm(samples)
    whole = len(audio) - len(audio) % BLOCK_BYTES
    return [gate.watch(audio[at : at + BLOCK_BYTES]) for at in range(0, whole, BLOCK_BYTES)]


# What is quiet


@pytest.mark.parametrize(
    "room",
    [np.zeros(10 * RATE_HZ), hiss(10, -75), hiss(10, -35), hum(10, -30) + hiss(10, -65)],
    ids=["digital silence", "soft noise", "loud noise", "hum"],
)
def test_a_room_that_is_steady_for_a_while_is_quiet(room: np.ndarray) -> None:
    found = watched(QuietGate(), room)
    steady = STEADY_MS // BLOCK_MS
    assert not any(found[: steady - 1])
    assert sum(found[steady - 1 :]) > 0.95 * len(found[steady - 1 :])


def test_people_who_speak_are_never_quiet(recordings: Path) -> None:
    for path in sorted((recordings / "ls_test-other").glob("*.wav"))[::7]:
        speech = np.frombuffer(wav_read(path).data, "<i2").astype(float)
        assert sum(watched(QuietGate(), speech)) <= 0.05 * len(speech) / RATE_HZ * 1000 / BLOCK_MS


def test_what_is_a_decibel_and_a_half_louder_ends_the_quiet_at_once() -> None:
    gate = QuietGate()
    assert watched(gate, hiss(5, -60))[-1]
    assert watched(gate, hiss(BLOCK_MS / 1000, -58.5, seed=1)) == [False]
    assert not any(watched(gate, hiss(1.4, -60, seed=2)))


@pytest.mark.parametrize("tone_hz", [120, 3_000])
def test_a_tone_ends_the_quiet_of_a_room_that_rumbles_or_hisses(tone_hz: int) -> None:
    gate = QuietGate()
    room = hiss(5 + BLOCK_MS / 1000, -60)
    tone = np.sin(2 * np.pi * tone_hz * np.arange(BLOCK_BYTES // 2) / RATE_HZ) * room.std()
    assert watched(gate, room[: 5 * RATE_HZ])[-1]
    assert watched(gate, room[5 * RATE_HZ :][: BLOCK_BYTES // 2] + tone) == [False]


def test_a_room_that_grows_louder_over_a_minute_stays_quiet() -> None:
    gate = QuietGate()
    room = hiss(60, -60) * 10 ** (np.linspace(0, 6, 60 * RATE_HZ) / 20)
    assert sum(watched(gate, room)) > 0.9 * 60_000 / BLOCK_MS


# What is heard behind it


@pytest.fixture
async def engine() -> MicroWakeWord:
    engine = MicroWakeWord()
    await engine.load()
    return engine


def heard(stream: MicroWakeWordStream, audio: bytes, piece: int = 1_920) -> list[WakeDetection]:
    found = (stream.process(audio[at : at + piece]) for at in range(0, len(audio), piece))
    return [detection for detection in found if detection]


def awake(stream: MicroWakeWordStream) -> MicroWakeWordStream:
    """The same stream without its gate."""
    stream._gate.watch = lambda _block: False  # type: ignore[method-assign]
    return stream


@pytest.mark.parametrize("clip", SPOKEN)
@pytest.mark.parametrize("dbfs", [-100.0, -70.0, -45.0])
@pytest.mark.parametrize("over_room_db", [6.0, 12.0, 25.0])
async def test_a_word_in_a_quiet_room_is_heard_as_without_the_gate(
    engine: MicroWakeWord, recordings: Path, clip: str, dbfs: float, over_room_db: float
) -> None:
    word = np.frombuffer(wav_read(recordings / "wake" / f"{clip}.wav").data, "<i2").astype(float)
    mixed = hiss(12, dbfs)
    begin = 8 * RATE_HZ + 123
    level = 32_768 * 10 ** ((max(dbfs, -75.0) + over_room_db) / 20)
    mixed[begin : begin + word.size] += word / word.std() * level
    wanted = heard(awake(engine.stream([SPOKEN[clip]])), pcm(mixed))
    found = heard(engine.stream([SPOKEN[clip]]), pcm(mixed))
    assert [detection.name for detection in found] == [detection.name for detection in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert abs(one.offset_ms - other.offset_ms) <= 30


async def test_after_hours_of_quiet_the_time_is_right_and_little_is_remembered(
    engine: MicroWakeWord, recordings: Path
) -> None:
    stream = engine.stream(["hey_jarvis"])
    quiet = pcm(hiss(60, -65))
    for _ in range(30):
        assert heard(stream, quiet) == []
    assert sum(map(len, stream._passed)) <= STEADY_MS * 32
    word = wav_read(recordings / "wake" / "wow_hey_jarvis.wav").data + bytes(32_000)
    wanted = heard(engine.stream(["hey_jarvis"]), quiet[: 5 * 32_000] + word)[0].offset_ms - 5_000
    assert abs(heard(stream, word)[0].offset_ms - 30 * 60_000 - wanted) <= 30


async def test_in_a_quiet_room_nothing_is_computed(engine: MicroWakeWord, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = engine.stream(None)
    heard(stream, pcm(hiss(3, -60)))

    def refuse(*_: object) -> None:
        raise AssertionError("it listened")

    monkeypatch.setattr(stream, "_take", refuse)
    assert heard(stream, pcm(hiss(2, -60.2, seed=1))) == []
