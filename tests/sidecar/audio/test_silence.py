"""Silence around speech taken away while it streams."""

from __future__ import annotations

from hypothesis import given, strategies as st
import numpy as np
import pytest

from barnabeenet_sidecar.audio.silence import SilenceTrimmer

RATE_HZ = 16_000
KEPT_MS = 60


def silence(milliseconds: int) -> bytes:
    return bytes(32 * milliseconds)


def tone(milliseconds: int, amplitude: float = 8000) -> bytes:
    times = np.arange(16 * milliseconds) / RATE_HZ
    return np.rint(amplitude * np.cos(2 * np.pi * 500 * times)).astype("<i2").tobytes()


def trimmed(pcm: bytes, piece: int = 640) -> bytes:
    trimmer = SilenceTrimmer(RATE_HZ)
    pieces = [trimmer.feed(pcm[start : start + piece]) for start in range(0, len(pcm), piece)]
    return b"".join([*pieces, trimmer.finish()])


def test_long_silence_before_and_after_is_shortened() -> None:
    assert trimmed(silence(700) + tone(300) + silence(900)) == silence(KEPT_MS) + tone(300) + silence(KEPT_MS)


def test_short_silence_stays_as_it_is() -> None:
    pcm = silence(30) + tone(300) + silence(30)
    assert trimmed(pcm) == pcm


def test_pauses_within_speech_stay() -> None:
    pcm = tone(100) + silence(800) + tone(100)
    assert trimmed(pcm) == pcm


def test_soft_hiss_of_a_recording_counts_as_silence() -> None:
    hiss = np.random.default_rng(1).normal(0, 40, 16_000).astype("<i2").tobytes()
    assert len(trimmed(hiss + tone(200) + hiss)) == len(silence(200 + 2 * KEPT_MS))


@pytest.mark.parametrize("pcm", [b"", silence(5), silence(3000)])
def test_silence_alone_leaves_nothing(pcm: bytes) -> None:
    assert trimmed(pcm) == b""


def test_speech_comes_out_as_soon_as_it_is_heard() -> None:
    trimmer = SilenceTrimmer(RATE_HZ)
    assert trimmer.feed(silence(500)) == b""
    assert trimmer.feed(tone(20)) == silence(KEPT_MS) + tone(20)


def test_endless_silence_is_not_hoarded() -> None:
    trimmer = SilenceTrimmer(RATE_HZ)
    for _ in range(100):
        trimmer.feed(silence(1000))
    assert len(trimmer._held) <= len(silence(KEPT_MS))


@given(
    parts=st.lists(st.tuples(st.booleans(), st.integers(1, 120)), max_size=8),
    piece=st.integers(1, 5000),
    rate_hz=st.sampled_from([8000, 16_000, 22_050]),
)
def test_any_pieces_give_the_same_and_only_the_edges_are_cut(
    parts: list[tuple[bool, int]], piece: int, rate_hz: int
) -> None:
    pcm = b"".join(tone(length) if loud else silence(length) for loud, length in parts)
    whole, cut = SilenceTrimmer(rate_hz), SilenceTrimmer(rate_hz)
    wanted = whole.feed(pcm) + whole.finish()
    pieces = [cut.feed(pcm[start : start + piece]) for start in range(0, len(pcm), piece)]
    assert b"".join([*pieces, cut.finish()]) == wanted
    assert wanted in pcm
