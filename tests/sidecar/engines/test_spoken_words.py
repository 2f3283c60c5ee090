"""How written text is said."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from barnabeenet_sidecar.engines.spoken_words import CARDINAL_MAX, FORMS_MAX, cardinal, spoken_forms


def first(text: str) -> str:
    return " ".join(spoken_forms(text)[0])


def forms(text: str) -> set[str]:
    return {" ".join(form) for form in spoken_forms(text)}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("0", "zero"),
        ("7", "seven"),
        ("12", "twelve"),
        ("20", "twenty"),
        ("50", "fifty"),
        ("99", "ninety nine"),
        ("100", "one hundred"),
        ("342", "three hundred forty two"),
        ("6500", "six thousand five hundred"),
        ("21.5", "twenty one point five"),
        ("007", "zero zero seven"),
        ("1234567", "one two three four five six seven"),
    ],
)
def test_a_number_is_said_in_words(written: str, said: str) -> None:
    assert first(written) == said


def test_a_number_is_said_in_the_ways_people_say_it() -> None:
    assert forms("100") == {"one hundred", "a hundred"}
    assert forms("101") == {"one hundred one", "one hundred and one"}
    assert forms("2024") == {"two thousand twenty four", "two thousand and twenty four", "twenty twenty four"}
    assert "nineteen oh five" in forms("1905")


def test_words_keep_their_case_and_apostrophes() -> None:
    assert first("What's the TV doing") == "What's the TV doing"
    assert first("Anna\N{RIGHT SINGLE QUOTATION MARK}s lamp") == "Anna's lamp"


def test_punctuation_separates_and_is_not_said() -> None:
    assert first("Front-Door (left), 1st_floor!") == "Front Door left one st floor"


def test_digits_within_a_word_are_a_number() -> None:
    assert first("Zigbee2MQTT") == "Zigbee two MQTT"


def test_symbols_that_people_say_are_said() -> None:
    assert first("50%") == "fifty percent"
    assert first("Mom & Dad") == "Mom and Dad"
    assert first("21°") == "twenty one degrees"


def test_accents_are_taken_off() -> None:
    assert first("Café Küche") == "Cafe Kuche"


def test_nothing_is_said_of_punctuation_alone() -> None:
    assert spoken_forms(" - ... 🙂 ") == [()]


def test_a_name_of_many_numbers_does_not_multiply() -> None:
    assert len(spoken_forms("2024 " * 30)) == FORMS_MAX


@given(st.integers(0, CARDINAL_MAX - 1))
def test_a_cardinal_says_its_number(number: int) -> None:
    assert _value(cardinal(number)) == number


@given(st.text(max_size=60))
def test_any_text_is_said_somehow(text: str) -> None:
    said = spoken_forms(text)
    assert 1 <= len(said) <= FORMS_MAX
    assert all(word and not word.isspace() for form in said for word in form)


def _value(words: tuple[str, ...]) -> int:
    small = {" ".join(cardinal(number)): number for number in range(20)}
    tens = {cardinal(number)[0]: number for number in range(20, 100, 10)}
    total = current = 0
    for word in words:
        if word == "thousand":
            total, current = total + current * 1000, 0
        elif word == "hundred":
            current *= 100
        else:
            current += small.get(word, tens.get(word, 0))
    return total + current
