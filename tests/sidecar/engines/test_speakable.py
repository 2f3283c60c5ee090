"""Text made ready for a speech engine."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from barnabeenet_sidecar.engines.speakable import SENTENCE_MAX_CHARS, TEXT_MAX_CHARS, sentences
from barnabeenet_sidecar.errors import BadRequest


def test_a_text_is_cut_into_its_sentences() -> None:
    text = "The door is open. Shall I close it? Dr. Smith is at home!"
    assert list(sentences(text)) == ["The door is open.", "Shall I close it?", "Dr. Smith is at home!"]


def test_a_number_with_a_point_stays_whole() -> None:
    assert list(sentences("It is 21.5 degrees.")) == ["It is 21.5 degrees."]


def test_control_characters_and_odd_white_space_become_single_spaces() -> None:
    assert list(sentences("turn\x00 on\x1b[2J the\u00a0\t\n light\x7f\ud800\ufffe")) == ["turn on [2J the light"]


def test_letters_and_signs_of_other_languages_stay() -> None:
    assert list(sentences("Grüße, 温度は21°C 🌡️")) == ["Grüße, 温度は21°C 🌡️"]


def test_markup_is_text() -> None:
    assert list(sentences('<break time="10s"/> [[h@l@U]] &amp;')) == ['<break time="10s"/> [[h@l@U]] &amp;']


@pytest.mark.parametrize("text", ["", "   \n", "...", "?!", "\x00\x01", "—"])
def test_what_nobody_can_say_is_left_out(text: str) -> None:
    assert list(sentences(text)) == []


def test_a_sentence_without_an_end_is_cut_between_words() -> None:
    parts = list(sentences("word " * 1000))
    assert all(len(part) <= SENTENCE_MAX_CHARS for part in parts)
    assert " ".join(parts).split() == ["word"] * 1000


def test_a_word_nobody_could_read_is_cut_too() -> None:
    parts = list(sentences("a" * 3000))
    assert "".join(parts).replace(" ", "") == "a" * 3000
    assert max(len(word) for part in parts for word in part.split()) <= 50


def test_too_long_a_text_is_refused() -> None:
    assert list(sentences("a " * (TEXT_MAX_CHARS // 2)))
    with pytest.raises(BadRequest, match="16384"):
        list(sentences("a" * (TEXT_MAX_CHARS + 1)))


@given(st.text(max_size=2000))
def test_whatever_comes_is_bounded_and_keeps_its_words(text: str) -> None:
    parts = list(sentences(text))
    assert all(0 < len(part) <= SENTENCE_MAX_CHARS for part in parts)
    assert all(char >= " " and char != "\x7f" for part in parts for char in part)


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=40), max_size=200))
def test_no_word_is_lost_and_none_is_invented(words: list[str]) -> None:
    assert " ".join(sentences(" ".join(words))).split() == words
