"""Whose voice it is: made voices at known distances, and what must hold for any."""

from __future__ import annotations

from collections.abc import Sequence
import math
import random

from hypothesis import given, strategies as st
import pytest

from custom_components.barnabeenet.client.transcription import Voice
from custom_components.barnabeenet.state.voice_match import (
    ABSENT_LIKENESS,
    LIKENESS_MIN,
    LIKENESS_MIN_SHORT,
    MARGIN_MIN,
    MARGIN_MIN_SHORT,
    SNR_MIN_DB,
    SPEECH_FULL_MS,
    SPEECH_MIN_MS,
    Match,
    bounds,
    match,
)

DIMENSIONS = 16
LONG_MS, QUIET_DB = 3_000.0, 30.0


def axis(number: int) -> tuple[float, ...]:
    return tuple(float(at == number) for at in range(DIMENSIONS))


def between(*parts: tuple[float, int]) -> tuple[float, ...]:
    """A voice as alike (cosine) as is said to the voices on these axes, and otherwise to nobody's."""
    vector = [0.0] * DIMENSIONS
    for likeness, number in parts:
        vector[number] = likeness
    vector[-1] = math.sqrt(max(0.0, 1 - sum(likeness**2 for likeness, _ in parts)))
    return tuple(vector)


def voice(*parts: tuple[float, int], speech_ms: float = LONG_MS, snr_db: float = QUIET_DB) -> Voice:
    return Voice("e", between(*parts), speech_ms, snr_db)


THOM, ANN = "person.thom", "person.ann"
PEOPLE = {THOM: [axis(0)], ANN: [axis(1)]}


def test_who_is_alike_enough_and_nobody_else_is_the_speaker() -> None:
    found = match(voice((0.9, 0)), PEOPLE)
    assert (found.speaker, found.why) == (THOM, "match")
    assert found.margin == pytest.approx(0.9)
    assert found.confidence > 0.9
    assert match(voice((0.9, 1)), PEOPLE).speaker == ANN


def test_a_stranger_is_a_guest() -> None:
    found = match(voice((LIKENESS_MIN - 0.01, 0), (0.3, 1)), PEOPLE)
    assert (found.speaker, found.why) == (None, "not_alike")
    assert found.confidence < match(voice((LIKENESS_MIN + 0.01, 0), (0.3, 1)), PEOPLE).confidence


def test_who_sounds_like_two_people_is_a_guest() -> None:
    people = {THOM: [between((0.8, 0))], ANN: [between((0.8, 0), (0.1, 1))]}
    found = match(Voice("e", between((0.85, 0), (0.05, 1)), LONG_MS, QUIET_DB), people)
    assert (found.speaker, found.why) == (None, "too_alike")
    assert 0 <= found.margin < MARGIN_MIN


def test_the_margin_is_asked_of_the_nearest_two_alone() -> None:
    people = PEOPLE | {f"person.{number}": [axis(number)] for number in range(2, 8)}
    assert match(voice((0.75, 0), (0.6, 5)), people).margin == pytest.approx(0.15)


def test_a_home_of_one_knows_its_own_and_no_stranger() -> None:
    alone = {THOM: [axis(0)]}
    assert match(voice((0.8, 0)), alone) == Match(
        THOM, pytest.approx(match(voice((0.8, 0)), alone).confidence), 1, "match"
    )
    assert match(voice((0.5, 0)), alone).why == "not_alike"


def test_several_voices_of_a_person_are_one_in_the_middle() -> None:
    people = {THOM: [between((0.8, 0), (0.6, 1)), between((0.8, 0), (-0.6, 1))], ANN: [axis(2)]}
    assert match(Voice("e", axis(0), LONG_MS, QUIET_DB), people).speaker == THOM
    assert match(Voice("e", axis(1), LONG_MS, QUIET_DB), people).speaker is None


@pytest.mark.parametrize(
    ("heard", "why"),
    [
        (Voice("e", (), LONG_MS, QUIET_DB), "too_little"),
        (voice((1.0, 0), speech_ms=SPEECH_MIN_MS - 1), "too_little"),
        (voice((1.0, 0), snr_db=SNR_MIN_DB - 0.1), "too_noisy"),
        (voice((1.0, 0), snr_db=math.nan), "too_noisy"),
    ],
    ids=["nothing", "short", "noisy", "of unknown noise"],
)
def test_too_little_and_too_noisy_voices_are_nobodys(heard: Voice, why: str) -> None:
    assert match(heard, PEOPLE) == Match(None, 0.0, 0.0, why)


@pytest.mark.parametrize("people", [{}, {THOM: []}, {THOM: [(1.0, 0.0)]}], ids=["nobody", "no voice", "another engine"])
def test_where_nobody_is_known_everybody_is_a_guest(people: dict[str, Sequence[Sequence[float]]]) -> None:
    assert match(voice((1.0, 0)), people) == Match(None, 0.0, 0.0, "nobody_known")


def test_vectors_of_another_length_do_not_disturb_the_others() -> None:
    assert match(voice((0.9, 0)), {THOM: [(1.0, 0.0), axis(0)], ANN: [(0.0, 1.0)]}).speaker == THOM


def test_voices_that_cancel_out_are_nobodys() -> None:
    people = {THOM: [axis(0), tuple(-value for value in axis(0))], ANN: [axis(1)]}
    assert match(voice((0.9, 1)), people).speaker == ANN


def test_the_shorter_the_speech_the_more_alike_it_must_be() -> None:
    falling = [bounds(speech_ms) for speech_ms in (0, SPEECH_MIN_MS, 800, 1_200, SPEECH_FULL_MS, 60_000)]
    assert falling == sorted(falling, reverse=True)
    assert falling[0] == falling[1] == pytest.approx((LIKENESS_MIN_SHORT, MARGIN_MIN_SHORT))
    assert falling[-1] == falling[-2] == pytest.approx((LIKENESS_MIN, MARGIN_MIN))
    just = LIKENESS_MIN + 0.01
    assert match(voice((just, 0)), PEOPLE).speaker == THOM
    assert match(voice((just, 0), speech_ms=SPEECH_MIN_MS), PEOPLE).why == "not_alike"
    nearly_two = {THOM: [axis(0)], ANN: [axis(1)]}
    assert match(voice((0.755, 0), (0.655, 1), speech_ms=SPEECH_FULL_MS), nearly_two).speaker == THOM
    assert match(voice((0.75, 0), (0.66, 1), speech_ms=SPEECH_MIN_MS), nearly_two).why == "too_alike"


# Presence


def test_who_is_elsewhere_must_sound_a_little_more_like_themselves() -> None:
    nearly = voice((LIKENESS_MIN + ABSENT_LIKENESS / 2, 0))
    assert match(nearly, PEOPLE, {THOM: 1.0}).speaker == THOM
    assert match(nearly, PEOPLE, {THOM: 0.0}).speaker is None
    assert match(voice((0.9, 0)), PEOPLE, {THOM: 0.0, ANN: 1.0}).speaker == THOM


def test_of_two_who_are_nearly_as_alike_the_one_who_is_here_stands_out() -> None:
    heard, people = voice((0.7, 0), (0.69, 1)), {THOM: [axis(0)], ANN: [axis(1)]}
    assert match(heard, people).margin == pytest.approx(0.01)
    assert match(heard, people, {ANN: 0.0}).margin == pytest.approx(0.01 + ABSENT_LIKENESS)
    assert match(heard, people, {THOM: 0.5, ANN: 0.5}).margin == pytest.approx(0.01)


vectors = st.lists(st.floats(-1, 1), min_size=8, max_size=8)


def unit(values: list[float]) -> tuple[float, ...]:
    length = math.hypot(*values) or 1.0
    return tuple(value / length for value in values)


@given(
    heard=vectors,
    known=st.dictionaries(st.sampled_from("abcdef"), st.lists(vectors, max_size=4), max_size=6),
    presence=st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1)),
    speech_ms=st.floats(0, 10_000),
    snr_db=st.floats(-100, 100),
)
def test_what_holds_for_any_voices(
    heard: list[float],
    known: dict[str, list[list[float]]],
    presence: dict[str, float],
    speech_ms: float,
    snr_db: float,
) -> None:
    told = Voice("e", unit(heard), speech_ms, snr_db)
    people = {name: [unit(each) for each in theirs] for name, theirs in known.items()}
    found, without = match(told, people, presence), match(told, people)
    assert 0 <= found.confidence <= 1
    assert found.margin >= 0
    assert (found.speaker is not None) == (found.why == "match")
    if found.speaker is not None:
        assert found.speaker in people
        assert found.confidence >= 0.5
        assert speech_ms >= SPEECH_MIN_MS
        assert snr_db >= SNR_MIN_DB
        # Presence alone makes no voice somebody's who is not alike enough.
        assert without.why in {"match", "too_alike"}
    # The order in which people are known changes nothing.
    names = list(people)
    random.Random(0).shuffle(names)
    again = match(told, {name: people[name] for name in names}, presence)
    assert (again.why, again.confidence) == (found.why, pytest.approx(found.confidence))


def test_a_match_shows_no_voice() -> None:
    assert repr(match(voice((0.9, 0)), PEOPLE)).startswith("Match(speaker='person.thom', confidence=0.9")
