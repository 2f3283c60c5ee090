"""Recordings become what a microphone sends, whatever they were."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from script.home.audio import BadRecording, Clip, after_wake_word, decode, load, microphone, speech_end_s, write_wav

RATE_HZ = 16000


def tone(seconds: float, *, rate_hz: int = RATE_HZ, amplitude: int = 8000) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate_hz)) / rate_hz)).astype(np.int16)


def quiet(seconds: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 5, int(seconds * RATE_HZ)).astype(np.int16)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 44100, 48000])
def test_a_recording_of_any_rate_comes_out_at_16_khz(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "turn_on_the_lights.wav"
    write_wav(path, tone(1.0, rate_hz=rate_hz), rate_hz=rate_hz)
    clip = load(path)
    assert clip.name == "turn on the lights"
    assert clip.seconds == pytest.approx(1.0, abs=0.01)
    spectrum = np.abs(np.fft.rfft(clip.samples[:RATE_HZ]))
    assert np.argmax(spectrum) * RATE_HZ / len(clip.samples[:RATE_HZ]) == pytest.approx(440, abs=2)


def test_what_is_no_audio_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.wav"
    path.write_text("buy milk")
    with pytest.raises(BadRecording, match=r"notes\.wav"):
        load(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match=r"absent\.wav"):
        load(tmp_path / "absent.wav")


def test_more_than_a_minute_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    write_wav(path, tone(61), rate_hz=RATE_HZ)
    with pytest.raises(BadRecording, match="61 s long"):
        load(path)


def test_an_empty_reply_is_refused() -> None:
    with pytest.raises(BadRecording, match="a reply"):
        decode(b"")


def test_the_end_of_speech_is_where_the_sound_ends() -> None:
    samples = np.concatenate([quiet(0.5), tone(1.0), quiet(0.8)])
    assert speech_end_s(samples) == pytest.approx(1.5, abs=0.02)


def test_a_pause_within_speech_is_not_its_end() -> None:
    samples = np.concatenate([tone(0.5), quiet(0.4), tone(0.3, amplitude=2000), quiet(0.5)])
    assert speech_end_s(samples) == pytest.approx(1.2, abs=0.02)


def test_the_end_of_speech_of_a_recording_lies_within_its_last_second(recordings: Path) -> None:
    clip = load(recordings / "s2p_en_human" / "lock_the_Front_Door.wav")
    assert clip.seconds - 1.2 < clip.speech_end_s <= clip.seconds


def test_the_microphone_sends_20_ms_at_a_time_and_goes_on_with_a_quiet_room() -> None:
    clip = Clip("tone", tone(0.05), 0.05)
    chunks = [np.frombuffer(chunk, np.int16) for chunk in islice(microphone(clip), 10)]
    assert {len(chunk) for chunk in chunks} == {320}
    heard = np.concatenate(chunks)
    assert (heard[:800] == clip.samples).all()
    assert 0 < np.abs(heard[800:]).max() < 100


def test_a_wake_word_moves_the_end_of_speech_of_the_command_after_it() -> None:
    wake, command = Clip("okay nabu", tone(1.0), 0.8), Clip("turn on the tv", tone(2.0), 1.7)
    both = after_wake_word(wake, command)
    assert both.name == "turn on the tv"
    assert both.seconds == pytest.approx(1.0 + 1.0 + 0.6 + 2.0)
    assert both.speech_end_s == pytest.approx(1.0 + 1.0 + 0.6 + 1.7)
