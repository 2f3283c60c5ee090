"""What is speech, what is the room, and how far one stands above the other: on made frames and on real mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
import pytest

from barnabeenet_sidecar.audio.pcm import wav_read
from barnabeenet_sidecar.audio.voiced import SNR_MAX_DB, SNR_MIN_DB, Recorder, Recording, Voiced, voiced
from barnabeenet_sidecar.engines.silero import Silero

FRAME_MS = 32
FRAME_SAMPLES = 512
FRAME_BYTES = 1024
CLIPS = ("2033-164914-0001", "2414-128291-0001", "2033-164914-0003", "2414-128291-0005")


def apart(pcm: bytes, probabilities: Sequence[float], speech_max_ms: int = 10_000) -> Voiced:
    return voiced(Recording(pcm, probabilities), FRAME_MS, speech_max_ms=speech_max_ms)


def frames(*levels: int) -> bytes:
    """A frame of a square wave for each level: its mean square is the level's square."""
    wave = np.tile(np.array([1, -1]), FRAME_SAMPLES // 2)
    return np.concatenate([wave * level for level in levels]).astype("<i2").tobytes()


def levels(pcm: bytes) -> list[int]:
    return [int(frame[0]) for frame in np.frombuffer(pcm, "<i2").reshape(-1, FRAME_SAMPLES)]


def test_silence_before_and_after_speech_is_left_out_and_short_pauses_are_not() -> None:
    said = [0.0] * 10 + [0.9] * 5 + [0.0] * 6 + [0.9] * 5 + [0.0] * 10
    part = apart(frames(*range(100, 136)), said)
    assert levels(part.speech) == list(range(109, 127))
    assert part.speech_ms == 18 * FRAME_MS


def test_a_long_pause_is_left_out_but_for_the_soft_ends_of_the_words() -> None:
    said = [0.0] * 4 + [0.9] * 3 + [0.0] * 7 + [0.9] * 3 + [0.0] * 4
    part = apart(frames(*range(100, 121)), said)
    assert levels(part.speech) == [*range(103, 108), *range(113, 118)]
    assert part.speech_ms == 10 * FRAME_MS


def test_of_long_speech_the_beginning_is_taken() -> None:
    part = apart(frames(*range(100, 200)), [0.9] * 100, speech_max_ms=10 * FRAME_MS)
    assert levels(part.speech) == list(range(100, 110))
    assert part.speech_ms == 100 * FRAME_MS


def test_the_room_is_what_is_heard_well_away_from_speech() -> None:
    said = [0.0] * 6 + [0.9] * 10 + [0.0] * 5
    part = apart(frames(*[10] * 4, *[50] * 2, *[1_000] * 10, *[50] * 2, *[10] * 3), said)
    assert levels(part.room) == [10] * 7
    assert part.snr_db == pytest.approx(40, abs=0.01)


def test_a_knock_in_the_room_is_not_the_room() -> None:
    said = [0.0] * 8 + [0.9] * 10
    part = apart(frames(*[10] * 3, 900, *[10] * 4, *[1_000] * 10), said)
    assert 900 not in levels(part.room)
    assert part.snr_db == pytest.approx(40, abs=0.01)


def test_without_a_pause_the_quietest_moments_of_speech_stand_for_the_room() -> None:
    part = apart(frames(*[10, *[1_000] * 9] * 2), [0.9] * 20)
    assert part.room == b""
    assert part.snr_db == pytest.approx(10 * np.log10((18e6 + 200) / 20 / 100 - 1), abs=0.01)


def test_digital_silence_is_not_the_sound_of_the_room() -> None:
    part = apart(frames(*[0] * 10, *[10, *[1_000] * 9] * 2, *[0] * 10), [0.0] * 10 + [0.9] * 20 + [0.0] * 10)
    assert part.room == b""
    assert 35 < part.snr_db < 41
    assert apart(frames(*[0] * 10), [0.9] * 10).snr_db == SNR_MAX_DB


def test_where_nobody_speaks_there_is_no_speech() -> None:
    for part in (apart(b"", ()), apart(frames(*[100] * 20), [0.0] * 20)):
        assert (part.speech, part.speech_ms, part.snr_db) == (b"", 0.0, SNR_MIN_DB)


def test_what_is_no_louder_than_the_room_is_far_below_it() -> None:
    assert apart(frames(*[100] * 20), [0.0] * 10 + [0.9] * 10).snr_db == SNR_MIN_DB


def test_a_voice_does_not_show_its_audio() -> None:
    part = apart(frames(*[10] * 10, *[1_000] * 10), [0.0] * 10 + [0.9] * 10)
    assert repr(part) == f"Voiced(speech_ms={part.speech_ms!r}, snr_db={part.snr_db!r})"
    assert repr(Recording(b"\1\0", (0.5,))) == "Recording()"


class Half:
    """Takes the even frames for speech."""

    def __init__(self) -> None:
        self.heard = 0

    def process(self, pcm: bytes) -> list[float]:
        before, self.heard = self.heard // FRAME_BYTES, self.heard + len(pcm)
        return [float(number % 2 == 0) for number in range(before, self.heard // FRAME_BYTES)]


@pytest.mark.parametrize("step", [1, 700, FRAME_BYTES, 5_000])
def test_a_recorder_passes_on_what_the_detector_says_and_keeps_whole_frames(step: int) -> None:
    audio = bytes(range(256)) * 18
    recorder, said = Recorder(Half(), FRAME_BYTES), []
    for start in range(0, len(audio), step):
        said += recorder.process(audio[start : start + step])
    assert said == [1.0, 0.0, 1.0, 0.0]
    recording = recorder.recording()
    assert recording.pcm == audio[: 4 * FRAME_BYTES]
    assert list(recording.probabilities) == said


def test_what_is_heard_later_does_not_change_a_recording() -> None:
    recorder = Recorder(Half(), FRAME_BYTES)
    recorder.process(bytes(FRAME_BYTES))
    before = recorder.recording()
    recorder.process(bytes(FRAME_BYTES))
    assert (len(before.pcm), len(before.probabilities)) == (FRAME_BYTES, 1)


# Real speech in real and made noise, mixed at a known ratio


def noise_of(kind: str, recordings: Path, samples: int) -> NDArray[np.float64]:
    if kind == "white":
        return np.random.default_rng(7).normal(size=samples)
    if kind == "pink":
        spectrum = np.fft.rfft(np.random.default_rng(7).normal(size=samples))
        return np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(spectrum.size))), samples)
    recorded = np.frombuffer(wav_read(recordings / "noise" / "background_noise.wav").data, "<i2").astype(np.float64)
    # Its loudest steady second and a half: over the whole it comes and goes.
    return np.resize(recorded[32_000:56_000], samples)


async def heard(recordings: Path, clip: str) -> tuple[NDArray[np.float64], list[float]]:
    activity = Silero()
    await activity.load()
    pcm = wav_read(recordings / "ls_test-other" / f"{clip}.wav").data
    said = list(activity.stream().process(pcm))
    await activity.close()
    return np.frombuffer(pcm[: len(said) * FRAME_BYTES], "<i2").astype(np.float64), said


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("kind", ["white", "pink"])
async def test_the_ratio_of_a_mixture_is_found(recordings: Path, clip: str, kind: str) -> None:
    speech, said = await heard(recordings, clip)
    power = np.square(speech[np.repeat(np.array(said) >= 0.5, FRAME_SAMPLES)]).mean()
    noise = noise_of(kind, recordings, speech.size)
    noise *= np.sqrt(power / np.square(noise).mean())
    found = []
    for snr_db in (20, 15, 10, 5, 0):
        mixed = np.clip(speech + noise * 10 ** (-snr_db / 20), -32_768, 32_767).astype("<i2").tobytes()
        found.append(apart(mixed, said).snr_db)
        assert found[-1] == pytest.approx(snr_db, abs=3)
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("clip", CLIPS)
async def test_a_quiet_room_stands_far_below_speech(recordings: Path, clip: str) -> None:
    speech, said = await heard(recordings, clip)
    assert apart(speech.astype("<i2").tobytes(), said).snr_db > 35


async def test_a_recorded_room_is_found_too(recordings: Path) -> None:
    speech, said = await heard(recordings, CLIPS[0])
    power = np.square(speech[np.repeat(np.array(said) >= 0.5, FRAME_SAMPLES)]).mean()
    noise = noise_of("recorded", recordings, speech.size)
    noise *= np.sqrt(power / np.square(noise).mean() / 10)
    mixed = np.clip(speech + noise, -32_768, 32_767).astype("<i2").tobytes()
    assert apart(mixed, said).snr_db == pytest.approx(10, abs=3)
