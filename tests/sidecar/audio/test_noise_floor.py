"""Faint noise under speech."""

from __future__ import annotations

from hypothesis import given, strategies as st
import numpy as np
import pytest

from barnabeenet_sidecar.audio.noise_floor import with_noise_floor


def tone(amplitude: int, samples: int = 16_000) -> bytes:
    return (amplitude * np.sin(np.arange(samples) * 0.3)).astype("<i2").tobytes()


def added_noise(pcm: bytes) -> float:
    return float((np.frombuffer(with_noise_floor(pcm), "<i2").astype(float) - np.frombuffer(pcm, "<i2")).std())


@pytest.mark.parametrize("amplitude", [3_000, 10_000, 30_000])
def test_the_noise_is_40_db_below_the_speech(amplitude: int) -> None:
    assert added_noise(tone(amplitude)) == pytest.approx(amplitude / np.sqrt(2) / 100, rel=0.05)


def test_silence_around_speech_does_not_lower_the_noise() -> None:
    assert added_noise(tone(10_000) + bytes(48_000)) == pytest.approx(added_noise(tone(10_000)), rel=0.05)


def test_silence_is_left_alone() -> None:
    assert with_noise_floor(bytes(32_000)) == bytes(32_000)
    assert with_noise_floor(b"") == b""
    assert with_noise_floor(bytes(100)) == bytes(100)


def test_the_loudest_samples_do_not_wrap_around() -> None:
    loud = np.full(16_000, 32_767, "<i2")
    loud[::2] = -32_768
    noisy = np.frombuffer(with_noise_floor(loud.tobytes()), "<i2").astype(int)
    assert np.abs(noisy - loud).max() < 3_000


@given(st.binary(max_size=4_000).filter(lambda pcm: len(pcm) % 2 == 0))
def test_it_keeps_the_length_and_repeats_itself(pcm: bytes) -> None:
    assert len(with_noise_floor(pcm)) == len(pcm)
    assert with_noise_floor(pcm) == with_noise_floor(pcm)
