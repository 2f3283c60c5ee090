"""One utterance in a decoder: what provisional words may cost the final ones."""

from __future__ import annotations

from pathlib import Path
from statistics import median
import time

import numpy as np
import pytest

from barnabeenet_sidecar.audio.pcm import resample
from barnabeenet_sidecar.engines.base import SAMPLE_RATE_HZ, Vocabulary
from barnabeenet_sidecar.engines.espeak_library import library
from barnabeenet_sidecar.engines.pronunciation import Lexicon
from barnabeenet_sidecar.engines.utterance import Utterance
from barnabeenet_sidecar.engines.vocabulary_model import compile_vocabulary

SAID = "set Bed Light brightness to 50 percent"
OTHERS = (
    "activate Mood Lighting",
    "turn off the lights in the Office",
    "open the Garage Door",
    "is the Front Door locked",
    "what time is it",
    "set a timer for 5 minutes",
    "cancel all timers",
    "add milk to my shopping list",
)
CHUNK_BYTES = 9_600


@pytest.fixture
def utterance(home_vocabulary: Vocabulary, lexicon: Lexicon, tmp_path: Path) -> Utterance:
    compile_vocabulary(home_vocabulary, lexicon, tmp_path)
    return Utterance(tmp_path)


def spoken(text: str) -> bytes:
    buffers: list[bytes] = []
    library().speak(text, "gmw/en-US", 160, lambda buffer: buffers.append(buffer) is None)
    return resample(b"".join(buffers), library().rate_hz, SAMPLE_RATE_HZ)


@pytest.fixture(scope="module")
def pcm() -> bytes:
    return spoken(SAID)


def take(utterance: Utterance, pcm: bytes, *, live: bool) -> str:
    """The last of the provisional words."""
    partial = ""
    utterance.restart()
    for start in range(0, len(pcm), CHUNK_BYTES):
        utterance.feed(pcm[start : start + CHUNK_BYTES])
        if live:
            partial = utterance.partial().text
    return partial


def hear(utterance: Utterance, pcm: bytes, *, live: bool) -> float:
    """How many seconds the final words took, which are the same in any case."""
    take(utterance, pcm, live=live)
    started = time.process_time()
    assert utterance.decode().text == SAID
    return time.process_time() - started


def noisy(pcm: bytes, snr_db: float) -> bytes:
    """In half seconds of a room's noise."""
    speech = np.pad(np.frombuffer(pcm, "<i2").astype(np.float64), SAMPLE_RATE_HZ // 2)
    noise = np.random.default_rng(3).normal(0, speech.std() / 10 ** (snr_db / 20), speech.size)
    return np.clip(speech + noise, -32_768, 32_767).astype("<i2").tobytes()


def test_audio_that_comes_all_at_once_is_heard_to_the_last_frame(
    utterance: Utterance, pcm: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """As after a hiccup of the network; PocketSphinx lost frames of it, and died of it now and then."""
    for heard in (pcm, pcm + pcm):
        utterance.restart()
        for part in (heard[:32_000], heard[32_000:]):
            utterance.feed(part)
            utterance.partial()
        utterance.decode()
    assert "cannot score" not in capfd.readouterr().err


def test_final_words_depend_on_nothing_that_was_heard_before(utterance: Utterance) -> None:
    # At 6 dB little decides between words, at 12 dB nearly all are understood: three to five and seven of the eight.
    texts = OTHERS * 2
    clips = [noisy(spoken(text), 6 if index < len(OTHERS) else 12) for index, text in enumerate(texts)]

    def heard(*, live: bool) -> list[str]:
        return [(take(utterance, clip, live=live), utterance.decode().text)[1] for clip in clips]

    alone = heard(live=False)
    assert sum(text == said for text, said in zip(alone, texts, strict=True)) >= len(OTHERS)
    assert heard(live=True) == alone
    assert heard(live=True) == alone


def test_provisional_words_do_not_delay_the_final_ones(utterance: Utterance, pcm: bytes) -> None:
    # In turns, so that a machine that is busy for a while is busy for both.
    pairs = [(hear(utterance, pcm, live=True), hear(utterance, pcm, live=False)) for _ in range(7)]
    assert median(live - alone for live, alone in pairs) < 0.1 * median(alone for _, alone in pairs)
