"""What is given out of an answer, sentence by sentence, by one model or by several."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from custom_components.barnabeenet.providers.base import BadAnswer
from custom_components.barnabeenet.providers.speech import Speech


def test_a_sentence_is_given_out_when_the_next_begins() -> None:
    speech = Speech()

    assert speech.take("It is sunny.") == ""
    assert speech.take(" Take") == "It is sunny."
    assert speech.take(" a hat!") == ""
    assert speech.rest(is_whole=True) == " Take a hat!"


def test_a_number_is_no_end() -> None:
    assert Speech().take("It is 21.5 degrees") == ""


@pytest.mark.parametrize("text", ["好的。", 'He said "no." Then', "One\nTwo", "Really?! Yes", "Well… no"])
def test_ends_of_several_kinds_are_known(text: str) -> None:
    assert Speech().take(text)


def test_a_sentence_without_an_end_is_given_out_at_a_space() -> None:
    speech = Speech()
    given_out = speech.take("and on " * 60)

    assert 300 < len(given_out) < 420
    assert given_out.endswith("on")


def test_characters_without_a_space_are_no_answer() -> None:
    with pytest.raises(BadAnswer, match="1000 characters without a space"):
        Speech().take("x" * 1001)


@given(st.text(alphabet="ab .!?\n,", max_size=200), st.lists(st.integers(1, 9), max_size=60))
def test_whatever_the_pieces_nothing_is_lost_or_changed(text: str, lengths: list[int]) -> None:
    speech, given_out, at = Speech(), [], 0
    for length in [*lengths, len(text) + 1]:
        given_out.append(speech.take(text[at : at + length]))
        at += length
    given_out.append(speech.rest(is_whole=True))

    assert "".join(given_out) == text == speech.said


def test_what_a_failed_model_had_begun_is_dropped() -> None:
    speech = Speech()
    speech.take("It is sunny. The temperature is twen")
    speech.failed()

    assert speech.said == "It is sunny."
    assert speech.take("The temperature is 20 degrees. ") == " The temperature is 20 degrees."


@pytest.mark.parametrize(
    "again",
    ["It is sunny. ", "it is SUNNY! ", '"It is, sunny." ', "  It is sunny.\n"],
)
def test_what_was_said_is_not_said_again(again: str) -> None:
    speech = Speech()
    speech.take("It is sunny. And")
    speech.failed()

    assert speech.take(again + "Take a hat. ").strip() == "Take a hat."
    assert speech.said.split() == ["It", "is", "sunny.", "Take", "a", "hat."]


def test_another_sentence_that_begins_alike_is_said() -> None:
    speech = Speech()
    speech.take("The lamp in the hall is on. And")
    speech.failed()

    assert speech.take("The lamp in the hall is off. ") == " The lamp in the hall is off."


def test_a_model_may_repeat_itself() -> None:
    speech = Speech()

    assert speech.take("Ha! Ha! Ha! ") == "Ha! Ha! Ha!"


def test_a_third_model_repeats_neither_the_first_nor_the_second() -> None:
    speech = Speech()
    speech.take("One is here. T")
    speech.failed()
    speech.take("Two is there. Th")
    speech.failed()

    assert speech.take("One is here. Two is there. Three is gone. ") == " Three is gone."


def test_the_unfinished_end_of_a_cut_answer_is_dropped() -> None:
    speech = Speech()
    speech.take("It is sunny. Take a")

    assert speech.rest(is_whole=False) == ""


def test_an_unfinished_sentence_is_better_than_nothing() -> None:
    speech = Speech()
    speech.take("Once upon a")

    assert speech.rest(is_whole=False) == "Once upon a"
