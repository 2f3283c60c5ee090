"""What is said to Barnabee itself: every sentence that the ears are told of is one that somebody answers."""

from __future__ import annotations

from dataclasses import replace
import re

from hassil.parse_expression import parse_sentence
import pytest

from custom_components.barnabeenet.dialog.digits import digits_in
from custom_components.barnabeenet.dialog.enrolment import asks_for_lesson
from custom_components.barnabeenet.dialog.enrolment_words import phrases_of
from custom_components.barnabeenet.dialog.follow_up_words import plain, read
from custom_components.barnabeenet.dialog.own_sentences import own_sentences
from custom_components.barnabeenet.dialog.phrasings import SLOT
from custom_components.barnabeenet.dialog.slots import Entity, Home
from custom_components.barnabeenet.dialog.telling_grammar import Form, wish_of
from custom_components.barnabeenet.dialog.vocabulary import Templates, build
from custom_components.barnabeenet.state.spoken_code import is_code

OWN = own_sentences("en")
THINGS = (Entity(("Bed Light",), "light"), Entity(("Front Door",), "lock"), Entity(("Garage",), "cover", "garage"))
HOME = Home("en", THINGS, areas=("Kitchen",), people=("Ada", "Ben"))


def _built(home: Home) -> list[str]:
    return build(home, Templates(None, None, own=OWN)).sentences


def _said(text: str) -> str:
    """A sentence as the recogniser gives it back, with the last value of each list."""
    values = {
        **OWN.lists,
        "area": HOME.areas,
        "person": HOME.people,
        "lock": ("Front Door",),
        "cover": ("Garage",),
        **{f"digit_{place}": ("7",) for place in (1, 2, 3, 4)},
    }
    return SLOT.sub(lambda slot: values[slot[1]][-1], text)


def _is_understood(text: str) -> bool:
    answer = read(text, "en")
    if answer.yes and text.startswith("yes "):
        return True
    if plain(text) in map(plain, phrases_of("en")) or asks_for_lesson(text, "en") == ():
        return True
    if (digits := digits_in(text, "en")).alone and is_code(digits.digits):
        return True
    is_name = any(text.endswith(person) for person in HOME.people) and wish_of(text, "en") is None
    return is_name or wish_of(text, "en") is not None or not answer.rest


@pytest.mark.parametrize("text", _built(HOME))
def test_somebody_answers_each_of_them(text: str) -> None:
    assert _is_understood(_said(text))


def test_a_sentence_that_nobody_answers_would_be_found() -> None:
    assert not _is_understood("tell the goldfish a story")


def test_a_memory_is_told_asked_for_and_forgotten() -> None:
    forms = {wish.form for text in _built(HOME) if (wish := wish_of(_said(text), "en"))}
    assert {Form.REMEMBER, Form.ASK, Form.MINE, Form.FORGET, Form.FORGET_THAT, Form.FORGET_ALL, Form.KNOW} <= forms


def test_everybodys_memory_is_for_the_family() -> None:
    wishes = [wish for text in _built(HOME) if "for everyone" in text and (wish := wish_of(_said(text), "en"))]
    assert wishes
    assert all(wish.for_family and wish.words == "our safe code is 7 7 7 7" for wish in wishes)


def test_all_phrases_of_a_lesson_are_known() -> None:
    assert set(map(plain, phrases_of("en"))) <= set(map(plain, _built(HOME)))


def test_an_empty_home_knows_nobody_and_no_place() -> None:
    sentences = _built(replace(HOME, entities=(), areas=(), people=()))
    assert "learn my voice" in sentences
    assert not [text for text in sentences if re.search(r"{(person|area|lock|cover)}", text)]


def test_the_people_of_the_home_are_in_their_list() -> None:
    built = build(HOME, Templates(None, None, own=OWN))
    assert built.lists["person"] == ["Ada", "Ben"]
    assert built.lists["area"] == ["Kitchen"]
    assert (built.lists["lock"], built.lists["cover"]) == (["Front Door"], ["Garage"])


@pytest.mark.parametrize("language", ["de", "pl", ""])
def test_other_languages_have_none(language: str) -> None:
    assert own_sentences(language).templates == ()


@pytest.mark.parametrize("template", OWN.templates)
def test_each_template_is_one_that_hassil_reads(template: str) -> None:
    parse_sentence(template)
