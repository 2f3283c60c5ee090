"""One utterance in a decoder: what provisional words may cost the final ones."""

from __future__ import annotations

from pathlib import Path
from statistics import median
import time

import pytest

from barnabeenet_sidecar.audio.pcm import resample
from barnabeenet_sidecar.engines.base import SAMPLE_RATE_HZ, Vocabulary
from barnabeenet_sidecar.engines.espeak_library import library
from barnabeenet_sidecar.engines.pronunciation import Lexicon
from barnabeenet_sidecar.engines.utterance import Utterance
from barnabeenet_sidecar.engines.vocabulary_model import compile_vocabulary

SAID = "set Bed Light brightness to 50 percent"
CHUNK_BYTES = 9_600


@pytest.fixture
def utterance(home_vocabulary: Vocabulary, lexicon: Lexicon, tmp_path: Path) -> Utterance:
    compile_vocabulary(home_vocabulary, lexicon, tmp_path)
    return Utterance(tmp_path)


@pytest.fixture(scope="module")
def pcm() -> bytes:
    buffers: list[bytes] = []
    library().speak(SAID, "gmw/en-US", 160, lambda buffer: buffers.append(buffer) is None)
    return resample(b"".join(buffers), library().rate_hz, SAMPLE_RATE_HZ)


def hear(utterance: Utterance, pcm: bytes, *, live: bool) -> float:
    """How many seconds the final words took, which are the same in any case."""
    utterance.restart()
    for start in range(0, len(pcm), CHUNK_BYTES):
        utterance.feed(pcm[start : start + CHUNK_BYTES])
        if live:
            utterance.partial()
    started = time.process_time()
    assert utterance.decode().text == SAID
    return time.process_time() - started


def test_provisional_words_do_not_delay_the_final_ones(utterance: Utterance, pcm: bytes) -> None:
    # In turns, so that a machine that is busy for a while is busy for both.
    pairs = [(hear(utterance, pcm, live=True), hear(utterance, pcm, live=False)) for _ in range(7)]
    assert median(live - alone for live, alone in pairs) < 0.1 * median(alone for _, alone in pairs)
