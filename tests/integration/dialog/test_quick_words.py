"""Which replies are quick words, and which filler is said when."""

from __future__ import annotations

from home_assistant_intents import get_intents
import pytest

from custom_components.barnabeenet.client.messages import NAME_MAX_CHARS
from custom_components.barnabeenet.dialog.quick_phrases import ACKNOWLEDGEMENTS, PHRASES, THINKING, Occasion
from custom_components.barnabeenet.dialog.quick_words import (
    TEXT_MAX_CHARS,
    batches,
    filler,
    greeting,
    normalised,
    phrase,
    quick_words,
)
from custom_components.barnabeenet.dialog.sentences import Phrase, say

LANGUAGES = ["en", "de", "fr", "es", "nl"]


def responses(language: str) -> dict[str, dict[str, dict[str, str]]]:
    return (get_intents(language) or {})["responses"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_occasion_has_a_short_phrase_in_every_language(language: str) -> None:
    assert set(PHRASES[language]) == set(Occasion)
    assert len(Occasion) >= 30
    for said in [*PHRASES[language].values(), *ACKNOWLEDGEMENTS[language], *THINKING[language]]:
        assert said.endswith((".", "?"))
        assert said == " ".join(said.split())
        assert len(said) <= TEXT_MAX_CHARS


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_of_ours_are_quick_words(language: str) -> None:
    words = quick_words(language, {})
    ours = [*PHRASES[language].values(), *ACKNOWLEDGEMENTS[language], *THINKING[language]]
    assert set(words) == {*ours, *(text for occasion in Phrase if "{" not in (text := say(occasion, language)))}


@pytest.mark.parametrize(
    ("language", "reply"),
    [
        ("en", "Turned on the lights"),
        ("en", "Brightness set"),
        ("en", "Opening"),
        ("de", "Licht eingeschaltet"),
        ("fr", "Luminosité réglée"),
        ("es", "Luces apagadas"),
        ("nl", "Verlichting aangezet"),
    ],
)
def test_what_home_assistant_says_without_names_is_a_quick_word(language: str, reply: str) -> None:
    assert reply in quick_words(language, responses(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_is_short_has_nothing_to_fill_in_and_comes_once(language: str) -> None:
    words = quick_words(language, responses(language))
    assert 40 < len(words) <= 128
    assert len({normalised(word) for word in words}) == len(words)
    for word in words:
        assert "{" not in word
        assert 0 < len(word) <= NAME_MAX_CHARS


def test_responses_of_an_unknown_make_are_left_out() -> None:
    odd = {"intents": {"HassTurnOn": {"default": "Turned on {{ slots.name }}", "none": "", "odd": 3, "ok": "Fine"}}}
    assert set(quick_words("en", odd)) - set(quick_words("en", {})) == {"Fine"}


def test_a_regional_form_is_its_language_and_an_unknown_one_english() -> None:
    assert phrase(Occasion.DONE, "de-AT") == "Erledigt."
    assert phrase(Occasion.DONE, "tlh") == phrase(Occasion.DONE, None) == "Done."


@pytest.mark.parametrize(
    ("hour", "occasion"),
    [
        (0, Occasion.GOOD_EVENING),
        (4, Occasion.GOOD_EVENING),
        (5, Occasion.GOOD_MORNING),
        (11, Occasion.GOOD_MORNING),
        (12, Occasion.GOOD_AFTERNOON),
        (17, Occasion.GOOD_AFTERNOON),
        (18, Occasion.GOOD_EVENING),
        (23, Occasion.GOOD_EVENING),
    ],
)
def test_a_greeting_is_of_its_hour(hour: int, occasion: Occasion) -> None:
    assert greeting(hour) is occasion


@pytest.mark.parametrize(("one", "other"), [("Done.", "Done"), (" It's  on ", "It's on!"), ("Okay…", "Okay...")])
def test_spacing_and_the_end_of_a_statement_are_not_heard(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(("one", "other"), [("On?", "On."), ("It's on.", "It's off."), ("A. B.", "A B.")])
def test_what_is_heard_differs(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@pytest.mark.parametrize(
    ("expected_ms", "choice"),
    [
        (0, None),
        (299.9, None),
        (300, ACKNOWLEDGEMENTS),
        (799.9, ACKNOWLEDGEMENTS),
        (800, THINKING),
        (60_000, THINKING),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longer_it_takes_the_more_is_said(expected_ms: float, choice: dict[str, str] | None, language: str) -> None:
    said = filler(expected_ms, language)
    assert said is None if choice is None else said in choice[language]


@pytest.mark.parametrize("expected_ms", [500, 2000])
@pytest.mark.parametrize("language", [*LANGUAGES, "tlh"])
def test_the_same_filler_is_never_said_twice_in_a_row(expected_ms: float, language: str) -> None:
    last = None
    heard = set()
    for _ in range(6):
        said = filler(expected_ms, language, last)
        assert said != last
        heard.add(said)
        last = said
    assert len(heard) == 3


def test_batches_have_all_of_them_in_order() -> None:
    assert batches(["a", "b", "c"], 2) == [["a", "b"], ["c"]]
    assert batches([], 2) == []
