"""Where a person speaks in some audio."""

from __future__ import annotations

from hypothesis import given, strategies as st

from barnabeenet_sidecar.audio.trim import speech_span_ms

FRAME_MS = 32


def span(*runs: tuple[float, int]) -> tuple[int, int] | None:
    return speech_span_ms([probability for probability, frames in runs for _ in range(frames)], FRAME_MS)


def test_silence_has_no_speech() -> None:
    assert span((0.0, 100)) is None
    assert span() is None


def test_speech_is_kept_with_a_margin_of_300_ms() -> None:
    assert span((0.0, 50), (0.9, 20), (0.0, 50)) == (50 * FRAME_MS - 300, 70 * FRAME_MS + 300)


def test_the_margin_does_not_begin_before_the_audio() -> None:
    assert span((0.9, 20), (0.0, 50)) == (0, 20 * FRAME_MS + 300)


def test_a_soft_beginning_and_ending_belong_to_speech() -> None:
    assert span((0.0, 50), (0.3, 5), (0.9, 20), (0.3, 5), (0.0, 50)) == (50 * FRAME_MS - 300, 80 * FRAME_MS + 300)


def test_a_click_is_no_speech() -> None:
    assert span((0.0, 10), (0.9, 2), (0.0, 50)) is None


def test_a_click_before_speech_is_cut_off() -> None:
    assert span((0.9, 2), (0.0, 48), (0.9, 20), (0.0, 50)) == (50 * FRAME_MS - 300, 70 * FRAME_MS + 300)


def test_a_pause_within_speech_is_kept() -> None:
    assert span((0.0, 50), (0.9, 10), (0.0, 30), (0.9, 10), (0.0, 9)) == (50 * FRAME_MS - 300, 100 * FRAME_MS + 300)


def test_speech_that_goes_on_to_the_end_is_kept_to_the_end() -> None:
    assert span((0.0, 50), (0.9, 20)) == (50 * FRAME_MS - 300, 70 * FRAME_MS + 300)


@given(st.lists(st.floats(0, 1), max_size=200))
def test_a_span_holds_every_clear_run_of_speech(probabilities: list[float]) -> None:
    found = speech_span_ms(probabilities, FRAME_MS)
    clear = [
        index for index in range(len(probabilities) - 4) if all(p >= 0.5 for p in probabilities[index : index + 5])
    ]
    for index in clear:
        assert found is not None
        assert found[0] <= index * FRAME_MS
        assert found[1] >= (index + 5) * FRAME_MS


ROOM_DB, VOICE_DB = 55.0, 75.0


def span_by_level(*runs: tuple[float, float, int]) -> tuple[int, int] | None:
    probabilities = [probability for probability, _, frames in runs for _ in range(frames)]
    levels = [level for _, level, frames in runs for _ in range(frames)]
    return speech_span_ms(probabilities, FRAME_MS, levels)


def test_a_loud_first_word_that_the_detector_missed_is_kept() -> None:
    found = span_by_level((0.0, ROOM_DB, 40), (0.1, VOICE_DB, 10), (0.9, VOICE_DB, 20), (0.0, ROOM_DB, 30))
    assert found == (40 * FRAME_MS - 300, 70 * FRAME_MS + 300)


def test_a_gap_between_syllables_does_not_end_a_missed_word() -> None:
    found = span_by_level(
        (0.0, ROOM_DB, 40), (0.1, VOICE_DB, 5), (0.1, ROOM_DB, 4), (0.9, VOICE_DB, 20), (0.0, ROOM_DB, 30)
    )
    assert found == (40 * FRAME_MS - 300, 69 * FRAME_MS + 300)


def test_a_noise_well_before_speech_is_not_its_beginning() -> None:
    found = span_by_level(
        (0.0, ROOM_DB, 40), (0.1, VOICE_DB, 5), (0.0, ROOM_DB, 10), (0.9, VOICE_DB, 20), (0.0, ROOM_DB, 30)
    )
    assert found == (55 * FRAME_MS - 300, 75 * FRAME_MS + 300)


def test_music_that_never_stops_is_not_taken_for_a_first_word() -> None:
    found = span_by_level((0.1, VOICE_DB, 60), (0.9, VOICE_DB + 3, 20), (0.0, VOICE_DB, 30))
    assert found == (60 * FRAME_MS - 300, 80 * FRAME_MS + 300)


def test_no_more_than_one_hurried_word_is_looked_for() -> None:
    found = span_by_level((0.0, ROOM_DB, 40), (0.1, VOICE_DB, 60), (0.9, VOICE_DB, 20), (0.0, ROOM_DB, 30))
    assert found == (75 * FRAME_MS - 300, 120 * FRAME_MS + 300)


def test_digital_silence_around_a_recording_is_no_margin() -> None:
    found = span_by_level((0.0, 0.0, 40), (0.0, ROOM_DB, 4), (0.9, VOICE_DB, 20), (0.0, ROOM_DB, 3), (0.0, 0.0, 30))
    assert found == (40 * FRAME_MS, 67 * FRAME_MS)


def test_digital_silence_says_nothing_about_how_loud_the_room_is() -> None:
    found = span_by_level((0.0, 0.0, 60), (0.0, ROOM_DB, 20), (0.9, VOICE_DB, 20), (0.0, ROOM_DB, 30))
    assert found == (80 * FRAME_MS - 300, 100 * FRAME_MS + 300)
