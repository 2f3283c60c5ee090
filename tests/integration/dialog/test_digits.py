"""Codes as people say them and as recognisers write them down."""

from __future__ import annotations

import pytest

from custom_components.barnabeenet.dialog.digits import digits_in


@pytest.mark.parametrize(
    ("language", "text", "digits"),
    [
        ("en", "four seven one one", "4711"),
        ("en", "4711", "4711"),
        ("en", "47 11", "4711"),
        ("en", "4.711", "4711"),
        ("en", "4,711.", "4711"),
        ("en", "4-7-1-1", "4711"),
        ("en", "Forty-seven eleven.", "4711"),
        ("en", "my code is double four oh nine, please", "4409"),
        ("en", "yes, four seven 11", "4711"),
        ("en-GB", "nineteen eighty four", "1984"),
        ("de", "vier sieben eins eins", "4711"),
        ("de", "siebenundvierzig elf", "4711"),
        ("de", "Mein Code ist zwo null dreißig eins", "20301"),
        ("fr", "quatre sept un un", "4711"),
        ("fr", "quarante-sept onze", "4711"),
        ("fr", "quatre-vingt-dix-sept soixante et onze", "9771"),
        ("fr", "septante-deux nonante", "7290"),
        ("es", "cuatro siete uno uno", "4711"),
        ("es", "cuarenta y siete once", "4711"),
        ("es", "veintitrés cero uno", "2301"),
        ("nl", "vier zeven een een", "4711"),
        ("nl", "zevenenveertig elf", "4711"),
        ("nl", "tweeëntwintig drieëndertig", "2233"),
        ("tlh", "four seven one one", "4711"),
    ],
)
def test_digits_are_heard_as_words_and_as_figures(language: str, text: str, digits: str) -> None:
    heard = digits_in(text, language)
    assert (heard.digits, heard.alone) == (digits, True)


@pytest.mark.parametrize("text", ["turn on the light", "", "?!", "I would rather not"])
def test_what_has_no_digits_has_none(text: str) -> None:
    assert digits_in(text, "en").digits == ""


def test_digits_among_other_words_are_not_alone() -> None:
    heard = digits_in("the bottle of 4711 cologne", "en")
    assert (heard.digits, heard.alone) == ("4711", False)


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "nl"])
def test_every_figure_can_be_said_in_every_language(language: str) -> None:
    zero_to_nine = {
        "en": "zero one two three four five six seven eight nine",
        "de": "null eins zwei drei vier fünf sechs sieben acht neun",
        "fr": "zéro un deux trois quatre cinq six sept huit neuf",
        "es": "cero uno dos tres cuatro cinco seis siete ocho nueve",
        "nl": "nul een twee drie vier vijf zes zeven acht negen",
    }[language]
    assert digits_in(zero_to_nine, language).digits == "0123456789"


def test_what_was_heard_is_in_no_repr() -> None:
    assert "4711" not in repr(digits_in("4711", "en"))
