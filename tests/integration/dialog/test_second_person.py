"""What somebody said of themselves, said to them."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from custom_components.barnabeenet.dialog.second_person import clause_of, speaks_of_nobody, turned


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "my bike code is 4711", "your bike code is 4711"),
        ("en", "My bike is mine", "your bike is yours"),
        ("en", "I am allergic to nuts", "you are allergic to nuts"),
        ("en", "I'm away in July", "you're away in July"),
        ("en", "I\u2019m away in July", "you're away in July"),
        ("en", "I was born in May", "you were born in May"),
        ("en", "our neighbours owe us money", "your neighbours owe you money"),
        ("en", "the bins go out on Tuesday", "the bins go out on Tuesday"),
        ("en", "Anna's birthday is in May", "Anna's birthday is in May"),
        ("de", "mein Fahrradcode ist 4711", "dein Fahrradcode ist 4711"),
        ("de", "dass mein Fahrradcode 4711 ist", "dass dein Fahrradcode 4711 ist"),
        ("de", "die Tonne steht vor meinem Haus", "die Tonne steht vor deinem Haus"),
        ("fr", "mon code de vélo est 4711", "votre code de vélo est 4711"),
        ("fr", "mes clés sont chez ma mère", "vos clés sont chez votre mère"),
        ("es", "mi código es 4711", "tu código es 4711"),
        ("es", "mis llaves están en la cocina", "tus llaves están en la cocina"),
        ("nl", "mijn fietscode is 4711", "jouw fietscode is 4711"),
        ("nl", "dat mijn fietscode 4711 is", "dat jouw fietscode 4711 is"),
    ],
)
def test_it_is_turned_round(language: str, text: str, expected: str) -> None:
    assert turned(text, language) == expected


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I told you so"),
        ("en", "my brother likes you"),
        ("en", "your name is Barnabee"),
        ("en", "buy milk"),
        ("de", "ich mag Tee"),
        ("de", "dass ich Tee mag"),
        ("de", "mein Bruder mag dich"),
        ("de", "unser Auto ist rot"),
        ("fr", "j'aime le thé"),
        ("fr", "mon frère t'aime"),
        ("es", "soy alérgico a las nueces"),
        ("es", "mi hermano y yo vamos en julio"),
        ("es", "el martes tengo médico"),
        ("nl", "ik hou van thee"),
        ("nl", "dat ik van thee hou"),
        ("nl", "onze auto is rood"),
    ],
)
def test_what_needs_another_verb_or_speaks_of_you_is_left_alone(language: str, text: str) -> None:
    assert turned(text, language) is None


def test_what_speaks_of_nobody_is_the_same_for_all() -> None:
    assert speaks_of_nobody("the wifi password is banana", "en")
    assert not speaks_of_nobody("my wifi password is banana", "en")
    assert not speaks_of_nobody("I like it", "en")


def test_a_subordinate_clause_is_known_as_one() -> None:
    assert clause_of("dass mein Code 4711 ist", "de") == "dass mein Code 4711 ist"
    assert clause_of("mein Code ist 4711", "de") is None
    assert clause_of("that my code is 4711", "en") is None


@given(st.sampled_from(["en", "de", "fr", "es", "nl", "sv"]), st.text(max_size=200))
def test_no_text_breaks_it(language: str, text: str) -> None:
    said = turned(text, language)
    assert said is None or said or not text
