"""Where speech begins, pauses and ends: on made-up probabilities, and on real recordings with Silero."""

from __future__ import annotations

from collections.abc import Sequence
import csv
from dataclasses import dataclass
from pathlib import Path
import statistics

from hypothesis import given, strategies as st
import numpy as np
from pocketsphinx import Decoder
import pytest

from barnabeenet_sidecar.audio.endpoint import (
    NO_SPEECH_MS,
    PAUSE_MS,
    SILENCE_MS,
    Endpointer,
    EndpointEvent,
    EndpointKind,
    Sensitivity,
)
from barnabeenet_sidecar.audio.pcm import wav_read
from barnabeenet_sidecar.engines.silero import Silero

FRAME_MS = 32
SPEECH, SILENCE = 0.95, 0.02

STARTED = EndpointKind.SPEECH_STARTED
PAUSE = EndpointKind.PAUSE
RESUMED = EndpointKind.SPEECH_RESUMED
ENDED = EndpointKind.SPEECH_ENDED
NO_SPEECH = EndpointKind.NO_SPEECH


class Script:
    """Gives the probabilities it was told, one per byte of audio."""

    def __init__(self, probabilities: Sequence[float]) -> None:
        self._probabilities = list(probabilities)

    def process(self, pcm: bytes) -> Sequence[float]:
        given, self._probabilities = self._probabilities[: len(pcm)], self._probabilities[len(pcm) :]
        return given


def watch(
    probabilities: Sequence[float], sensitivity: Sensitivity = Sensitivity.DEFAULT
) -> tuple[list[EndpointEvent], Endpointer]:
    endpointer = Endpointer(Script(probabilities), FRAME_MS, sensitivity)
    return [event for _ in probabilities for event in endpointer.feed(b"\0")], endpointer


def kinds(probabilities: Sequence[float]) -> list[EndpointKind]:
    return [event.kind for event in watch(probabilities)[0]]


# The state machine


def test_speech_and_silence_give_a_start_a_pause_and_an_end_with_their_places() -> None:
    events, _ = watch([SILENCE] * 10 + [SPEECH] * 20 + [SILENCE] * 30)
    assert events == [
        EndpointEvent(STARTED, at_ms=320, noticed_ms=416),
        EndpointEvent(PAUSE, at_ms=960, noticed_ms=1120),
        EndpointEvent(ENDED, at_ms=960, noticed_ms=1664),
    ]


@pytest.mark.parametrize("sensitivity", list(Sensitivity))
def test_each_sensitivity_waits_out_its_own_silence(sensitivity: Sensitivity) -> None:
    events, _ = watch([SPEECH] * 10 + [SILENCE] * 60, sensitivity)
    waited = events[-1].noticed_ms - events[-1].at_ms
    assert events[-1].kind is ENDED
    assert 0 <= waited - SILENCE_MS[sensitivity] < FRAME_MS


def test_the_sensitivities_have_the_names_of_home_assistant() -> None:
    assert {sensitivity.value for sensitivity in Sensitivity} == {"aggressive", "default", "relaxed"}
    with pytest.raises(ValueError, match="hectic"):
        Sensitivity("hectic")


def test_a_click_is_not_speech() -> None:
    assert kinds([SILENCE] * 5 + [SPEECH] * 2 + [SILENCE] * 100) == []


def test_a_click_in_the_final_silence_does_not_prolong_it() -> None:
    quiet = watch([SPEECH] * 10 + [SILENCE] * 30)[0]
    clicking = watch([SPEECH] * 10 + [SILENCE] * 9 + [SPEECH] + [SILENCE] * 20)[0]
    assert clicking == quiet


def test_going_on_after_a_pause_is_told_and_the_silence_starts_anew() -> None:
    events, endpointer = watch([SPEECH] * 10 + [SILENCE] * 15 + [SPEECH] * 10 + [SILENCE] * 15)
    assert [event.kind for event in events] == [STARTED, PAUSE, RESUMED, PAUSE]
    assert events[2].at_ms == 25 * FRAME_MS
    assert endpointer.silence_ms == 15 * FRAME_MS


def test_a_gap_shorter_than_a_pause_goes_unnoticed() -> None:
    gap = [SILENCE] * ((PAUSE_MS - 1) // FRAME_MS)
    assert kinds(([SPEECH] * 8 + gap) * 5 + [SPEECH] * 8) == [STARTED]


def test_weak_speech_keeps_an_utterance_alive_but_does_not_begin_one() -> None:
    weak = [0.4] * 40
    assert kinds(weak) == []
    assert kinds([SPEECH] * 5 + weak) == [STARTED]


def test_nothing_said_is_noticed_after_eight_seconds_and_once() -> None:
    events, _ = watch([SILENCE] * (3 * NO_SPEECH_MS // FRAME_MS))
    assert events == [EndpointEvent(NO_SPEECH, at_ms=0, noticed_ms=NO_SPEECH_MS)]


def test_somebody_who_begins_at_the_last_moment_is_heard() -> None:
    waiting = NO_SPEECH_MS // FRAME_MS - 1
    assert kinds([SILENCE] * waiting + [SPEECH] * 10) == [STARTED]


def test_nothing_is_noticed_after_the_end() -> None:
    assert kinds(([SPEECH] * 10 + [SILENCE] * 30) * 3) == [STARTED, PAUSE, ENDED]


def test_silence_is_counted_from_the_beginning_until_somebody_speaks() -> None:
    _, endpointer = watch([SILENCE] * 10)
    assert endpointer.silence_ms == 320
    _, endpointer = watch([SILENCE] * 10 + [SPEECH] * 10)
    assert endpointer.silence_ms == 0


@given(
    runs=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 40)), max_size=30),
    sensitivity=st.sampled_from(Sensitivity),
)
def test_events_always_come_in_an_order_that_makes_sense(
    runs: list[tuple[float, int]], sensitivity: Sensitivity
) -> None:
    probabilities = [probability for probability, count in runs for _ in range(count)]
    events, endpointer = watch(probabilities, sensitivity)
    after = {
        None: {STARTED, NO_SPEECH},
        STARTED: {PAUSE},
        PAUSE: {RESUMED, ENDED},
        RESUMED: {PAUSE},
        ENDED: set(),
        NO_SPEECH: set(),
    }
    previous = None
    for event in events:
        assert event.kind in after[previous]
        assert 0 <= event.at_ms <= event.noticed_ms
        previous = event.kind
    assert [event.noticed_ms for event in events] == sorted(event.noticed_ms for event in events)
    assert endpointer.silence_ms >= 0


# Real speech


@dataclass(frozen=True)
class Command:
    """What Silero says of a recording with a second of silence behind it, and where its last word ends."""

    file: str
    probabilities: Sequence[float]
    word_end_ms: float


SPOKEN = {"50": "fifty", "30": "thirty", "20": "twenty", "10": "ten", "6": "six", "5": "five", "1": "one"}
SPOKEN |= {"TV": "t. v.", "EcoBee": "eco bee"}


@pytest.fixture(scope="session")
def commands(recordings: Path) -> list[Command]:
    """English commands; their last word ends by forced alignment or by level, whichever is earlier."""
    silero = Silero()
    decoder = Decoder(samprate=16_000, lm=None, loglevel="FATAL")
    with (recordings / "manifest.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    found = []
    for row in rows:
        if row["file"].startswith("s2p_en_") and row["text"]:
            pcm = wav_read(recordings / row["file"]).data
            word_end_ms = min(aligned_end_ms(decoder, row["text"], pcm), audible_end_ms(pcm))
            found.append(Command(row["file"], silero.stream().process(pcm + bytes(32_000)), word_end_ms))
    return found


def aligned_end_ms(decoder: Decoder, text: str, pcm: bytes) -> float:
    decoder.set_align_text(" ".join(SPOKEN.get(word, word) for word in text.split()).lower())
    decoder.start_utt()
    decoder.process_raw(pcm + bytes(16_000), full_utt=True)
    decoder.end_utt()
    return float(max(word.end_frame for word in decoder.seg() if not word.word.startswith("<")) * 10 + 10)


def audible_end_ms(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    levels = 10 * np.log10((samples[: samples.size // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1) + 1)
    audible = np.nonzero(levels > max(np.percentile(levels, 10) + 10, levels.max() - 40))[0]
    return float(audible[-1] * 10 + 10)


@pytest.fixture
async def silero() -> Silero:
    engine = Silero()
    await engine.load()
    return engine


def heard(silero: Silero, pcm: bytes) -> list[EndpointEvent]:
    endpointer = Endpointer(silero.stream(), silero.frame_ms)
    return [event for start in range(0, len(pcm), 2048) for event in endpointer.feed(pcm[start : start + 2048])]


def test_every_command_ends_after_its_last_word_and_soon(commands: list[Command]) -> None:
    delays = []
    for command in commands:
        events, _ = watch(command.probabilities)
        assert [event.kind for event in events] == [STARTED, PAUSE, ENDED], command.file
        # The estimate of the last word's end is good to some 100 ms; a word in mid-command is further away.
        assert events[-1].at_ms > command.word_end_ms - 100, command.file
        delays.append(events[-1].noticed_ms - command.word_end_ms)
    assert len(delays) >= 50
    assert max(delays) < 1200
    assert statistics.median(delays) < 950


def test_aggressive_never_cuts_a_command_either(commands: list[Command]) -> None:
    for command in commands:
        events, _ = watch(command.probabilities, Sensitivity.AGGRESSIVE)
        assert events[-1].kind is ENDED
        assert events[-1].at_ms > command.word_end_ms - 100, command.file


async def test_two_commands_with_a_second_between_end_after_the_first(silero: Silero, recordings: Path) -> None:
    folder = recordings / "s2p_en_human"
    first, second = (wav_read(folder / name).data for name in ("pause_timer.wav", "next.wav"))
    ended = [event for event in heard(silero, first + bytes(32_000) + second) if event.kind is ENDED]
    assert [event.at_ms < len(first) / 32 for event in ended] == [True]


async def test_household_noise_is_no_speech(silero: Silero, recordings: Path) -> None:
    noise = wav_read(recordings / "noise" / "background_noise.wav").data
    assert [event.kind for event in heard(silero, noise)] == [NO_SPEECH]


@pytest.mark.parametrize("burst_ms", [1, 30, 300])
async def test_bangs_are_no_speech(silero: Silero, burst_ms: int) -> None:
    noise = np.random.default_rng(burst_ms).normal(0, 15_000, (9, burst_ms * 16))
    audio = np.zeros((9, 16_000))
    audio[:, : burst_ms * 16] = noise
    assert [event.kind for event in heard(silero, audio.clip(-32_768, 32_767).astype("<i2").tobytes())] == [NO_SPEECH]
