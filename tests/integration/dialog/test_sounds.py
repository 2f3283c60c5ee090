"""How words sound."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from custom_components.barnabeenet.dialog.sounds import likeness, sound_of


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("en", "ceiling", "sealing"),
        ("en", "night", "knight"),
        ("en", "phone", "fone"),
        ("en", "bed room", "bedroom"),
        ("en", "kitchen", "key chain"),
        ("en-GB", "ceiling", "sealing"),
        ("de", "Rad", "Rat"),
        ("de", "Vase", "Wase"),
        ("de", "Schlafzimmer", "Schlaf Zimmer"),
        ("fr", "eau", "haut"),
        ("fr", "lampe", "lampes"),
        ("es", "cocina", "cosina"),
        ("es", "baño", "vaño"),
        ("nl", "ij", "ei"),
        ("nl", "blauw", "blou"),
    ],
)
def test_what_sounds_the_same_is_the_same(language: str, one: str, other: str) -> None:
    assert sound_of(one, language) == sound_of(other, language)


@pytest.mark.parametrize(("one", "other"), [("ceiling", "kitchen"), ("attic", "office"), ("lamp", "fan")])
def test_what_sounds_otherwise_is_not(one: str, other: str) -> None:
    assert likeness(one, other, "en") < 0.6


def test_a_language_without_rules_is_read_as_it_is_written() -> None:
    assert sound_of("lampa", "pl") == sound_of("Lampa", "pl") == "lanpa".replace("n", "m")


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(["en", "de", "fr", "es", "nl", "pl"]))
def test_any_text_is_like_itself_and_likeness_has_bounds(one: str, other: str, language: str) -> None:
    assert likeness(one, one, language) == 1
    assert 0 <= likeness(one, other, language) <= 1
    assert likeness(one, other, language) == likeness(other, one, language)
