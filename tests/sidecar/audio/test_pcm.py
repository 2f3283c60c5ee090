"""WAV files in and out, sample rates, length and level."""

from __future__ import annotations

import contextlib
import io
from itertools import pairwise
from pathlib import Path
import struct
import wave

from hypothesis import given, strategies as st
import numpy as np
import pytest

from barnabeenet_sidecar.audio.pcm import (
    LEVEL_FLOOR_DBFS,
    WAV_MAX_BYTES,
    Pcm,
    Resampler,
    duration_ms,
    level_dbfs,
    resample,
    wav_header,
    wav_read,
    wav_write,
)
from barnabeenet_sidecar.errors import BadRequest

RATE_PAIRS = [(22_050, 16_000), (16_000, 22_050), (16_000, 48_000), (44_100, 16_000), (48_000, 8_000), (24_000, 22_050)]


def sine(hz: float, rate_hz: int, seconds: float = 0.5, amplitude: float = 20_000) -> bytes:
    times = np.arange(int(rate_hz * seconds)) / rate_hz
    return np.rint(amplitude * np.sin(2 * np.pi * hz * times)).astype("<i2").tobytes()


def wav(data: bytes, *, rate_hz: int = 16_000, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate_hz)
        writer.writeframes(data)
    return file.getvalue()


def signal_to_noise_db(wanted: np.ndarray, got: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(wanted**2) / max(np.mean((got - wanted) ** 2), 1e-6)))


# Length and level


def test_length_is_told_in_milliseconds() -> None:
    assert duration_ms(bytes(32_000), 16_000) == 1000
    assert Pcm(bytes(44_100), 22_050).duration_ms == 1000


def test_a_full_scale_sine_lies_three_decibels_under_full_scale() -> None:
    assert level_dbfs(sine(1000, 16_000, amplitude=32_767)) == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize("quiet", [b"", bytes(3200)])
def test_silence_has_the_floor_as_its_level(quiet: bytes) -> None:
    assert level_dbfs(quiet) == LEVEL_FLOOR_DBFS


# Sample rates


@pytest.mark.parametrize(("from_hz", "to_hz"), RATE_PAIRS)
@pytest.mark.parametrize("fraction", [0.02, 0.2, 0.5, 0.8])
def test_tones_up_to_four_fifths_of_the_band_come_through_clean(from_hz: int, to_hz: int, fraction: float) -> None:
    hz = fraction * min(from_hz, to_hz) / 2
    got = np.frombuffer(resample(sine(hz, from_hz), from_hz, to_hz), "<i2").astype(float)
    wanted = np.frombuffer(sine(hz, to_hz), "<i2").astype(float)
    assert len(got) == len(wanted)
    edge = to_hz // 50  # where the recording begins and ends abruptly there is no right answer
    assert signal_to_noise_db(wanted[edge:-edge], got[edge:-edge]) > 80


@pytest.mark.parametrize(("from_hz", "to_hz"), [pair for pair in RATE_PAIRS if pair[0] > pair[1]])
@pytest.mark.parametrize("fraction", [1.06, 1.08])
def test_tones_above_the_new_band_are_gone_instead_of_folded_back(from_hz: int, to_hz: int, fraction: float) -> None:
    got = resample(sine(fraction * to_hz / 2, from_hz), from_hz, to_hz)
    edge = to_hz // 50 * 2
    assert level_dbfs(got[edge:-edge]) < -80


def test_an_odd_rate_is_good_enough_for_speech() -> None:
    got = np.frombuffer(resample(sine(2000, 16_000), 16_000, 47_999), "<i2").astype(float)
    wanted = np.frombuffer(sine(2000, 47_999), "<i2").astype(float)
    assert signal_to_noise_db(wanted[500:-500], got[500 : len(wanted) - 500]) > 55


@given(
    samples=st.lists(st.integers(-32_768, 32_767), max_size=1500),
    cuts=st.lists(st.integers(0, 3000), max_size=12),
    rates=st.sampled_from([*RATE_PAIRS, (16_000, 16_000), (8001, 47_999)]),
)
def test_a_stream_in_any_pieces_gives_the_bytes_of_the_whole(
    samples: list[int], cuts: list[int], rates: tuple[int, int]
) -> None:
    pcm = np.array(samples, "<i2").tobytes()
    resampler = Resampler(*rates)
    edges = [0, *sorted(min(cut, len(pcm)) for cut in cuts), len(pcm)]
    pieces = [resampler.feed(pcm[start:end]) for start, end in pairwise(edges)]
    assert b"".join([*pieces, resampler.finish()]) == resample(pcm, *rates)


@given(count=st.integers(0, 5000), rates=st.sampled_from(RATE_PAIRS))
def test_conversion_keeps_the_length_in_time(count: int, rates: tuple[int, int]) -> None:
    made = len(resample(bytes(2 * count), *rates)) // 2
    assert abs(made - count * rates[1] / rates[0]) < 1


def test_full_scale_noise_is_clipped_and_never_wraps() -> None:
    square = np.tile(np.repeat(np.array([32_767, -32_768], "<i2"), 20), 200)
    made = np.frombuffer(resample(square.tobytes(), 16_000, 22_050), "<i2").reshape(-1)
    assert made.max() == 32_767
    # The middle of each half-wave keeps its sign: a wrapped overshoot would not.
    middles = [int((20 * index + 10) * 22_050 / 16_000) for index in range(10, 300)]
    assert all((made[at] > 0) == (index % 2 == 0) for index, at in zip(range(10, 300), middles, strict=True))


def test_the_first_audio_of_a_stream_comes_after_a_few_milliseconds() -> None:
    made = Resampler(22_050, 16_000).feed(sine(440, 22_050, seconds=0.02))
    assert duration_ms(made, 16_000) > 17


def test_a_long_stream_does_not_gather_memory() -> None:
    resampler = Resampler(22_050, 16_000)
    second = sine(440, 22_050, seconds=1)
    for _ in range(30):
        resampler.feed(second)
        assert resampler._pending.size < 200


@pytest.mark.parametrize("rates", [(0, 16_000), (16_000, 7999), (48_001, 16_000), (-16_000, 16_000)])
def test_a_rate_out_of_bounds_is_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="8000 to 48000"):
        Resampler(*rates)


# WAV files


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    pcm = Pcm(sine(440, 22_050), 22_050)
    wav_write(tmp_path / "tone.wav", pcm)
    assert wav_read(tmp_path / "tone.wav") == pcm
    assert wav_read(str(tmp_path / "tone.wav")) == pcm


def test_a_recording_of_a_person_is_read(recordings: Path) -> None:
    pcm = wav_read(recordings / "s2p_en_human" / "next.wav")
    assert (pcm.rate_hz, round(pcm.duration_ms, -1)) == (16_000, 1860)
    assert -60 < level_dbfs(pcm.data) < -5


def test_stereo_is_mixed_down() -> None:
    stereo = np.array([[1000, 3000], [-32_768, -32_768], [32_767, 32_767], [5, -5]], "<i2")
    mono = np.frombuffer(wav_read(io.BytesIO(wav(stereo.tobytes(), channels=2))).data, "<i2")
    assert mono.tolist() == [2000, -32_768, 32_767, 0]


def test_a_streamed_file_of_unknown_length_is_read_to_its_end() -> None:
    tone = sine(440, 16_000)
    header = wav_header(16_000)
    assert len(header) == 44
    assert wav_read(io.BytesIO(header + tone)) == Pcm(tone, 16_000)


def test_a_file_cut_off_in_a_sample_loses_that_sample() -> None:
    tone = sine(440, 16_000)
    assert wav_read(io.BytesIO(wav(tone)[:-1])).data == tone[:-2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "ends too soon"),
        (b"hello, this is text and not audio at all", "RIFF"),
        (b"\x00" * 4096, "RIFF"),
        (wav(bytes(320))[:20], "send 16-bit PCM"),
        (wav(bytes(320))[:36], "data chunk"),
        (wav(bytes(320), width=1), "8-bit"),
        (wav(bytes(480), width=3), "24-bit"),
        (wav(bytes(600), channels=3), "3 channels"),
        (wav(bytes(320), rate_hz=4000), "4000 samples"),
        (wav(bytes(320), rate_hz=192_000), "192000 samples"),
        (wav(bytes(320)).replace(b"fmt \x10\x00\x00\x00\x01\x00", b"fmt \x10\x00\x00\x00\x03\x00"), "unknown format"),
        (wav(bytes(320)).replace(b"fmt ", b"junk"), "send 16-bit PCM"),
    ],
)
def test_a_malformed_file_is_refused_with_its_reason(content: bytes, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        wav_read(io.BytesIO(content))


def test_a_file_over_the_length_asked_for_is_refused() -> None:
    with pytest.raises(BadRequest, match="longer than 1 s"):
        wav_read(io.BytesIO(wav(bytes(2 * 16_001))), limit_s=1)
    assert wav_read(io.BytesIO(wav(bytes(2 * 16_000))), limit_s=1).duration_ms == 1000


def test_a_huge_file_is_refused_without_reading_all_of_it() -> None:
    class Endless(io.RawIOBase):
        taken = 0

        def read(self, size: int = -1) -> bytes:
            assert size >= 0, "an endless source was read without a bound"
            self.taken += size
            return bytes(size)

    endless = Endless()
    with pytest.raises(BadRequest, match="larger than 16 MiB"):
        wav_read(endless)  # type: ignore[arg-type]
    assert endless.taken <= WAV_MAX_BYTES + 1


@given(
    changes=st.lists(st.tuples(st.integers(0, 43), st.integers(0, 255)), max_size=6),
    length=st.integers(0, 120),
    tail=st.binary(max_size=80),
)
def test_a_mutated_file_is_read_or_refused_and_nothing_else(
    changes: list[tuple[int, int]], length: int, tail: bytes
) -> None:
    content = bytearray(wav(sine(440, 16_000, seconds=0.01)))
    for at, value in changes:
        content[at] = value
    content[len(content) - length :] = tail
    try:
        pcm = wav_read(io.BytesIO(bytes(content)))
    except BadRequest:
        pass
    else:
        assert len(pcm.data) % 2 == 0
        assert len(pcm.data) <= len(content)
        assert 8000 <= pcm.rate_hz <= 48_000


@given(st.binary(max_size=200))
def test_garbage_behind_a_riff_header_is_refused_and_nothing_else(garbage: bytes) -> None:
    content = b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + garbage
    with contextlib.suppress(BadRequest):
        wav_read(io.BytesIO(content))
