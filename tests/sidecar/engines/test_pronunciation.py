"""Pronunciations of names that are in the dictionary, and of those that are not."""
# ruff: noqa: RUF001 - phonetic letters look like others

from __future__ import annotations

from pathlib import Path

import pytest

from barnabeenet_sidecar.engines import letter_to_sound
from barnabeenet_sidecar.engines.letter_to_sound import LetterToSound, arpabet
from barnabeenet_sidecar.engines.pronunciation import PRONUNCIATIONS_MAX, Lexicon, Unpronounceable, read_dictionary
from barnabeenet_sidecar.engines.utterance import PRONUNCIATIONS
from barnabeenet_sidecar.errors import EngineUnavailable


def spoken(lexicon: Lexicon, text: str) -> list[str]:
    return [" ".join(phones) for phones in lexicon.pronounce(text)]


def test_a_name_of_several_words_is_one_pronunciation(lexicon: Lexicon) -> None:
    assert spoken(lexicon, "Bed Light") == ["B EH D L AY T"]


def test_a_number_is_pronounced_like_its_words(lexicon: Lexicon) -> None:
    assert lexicon.pronounce("50") == lexicon.pronounce("fifty")


def test_every_pronunciation_of_the_dictionary_is_known(lexicon: Lexicon) -> None:
    assert spoken(lexicon, "the") == ["DH AH", "DH IY"]


def test_initials_are_spelled_out_first(lexicon: Lexicon) -> None:
    assert spoken(lexicon, "TV")[0] == "T IY V IY"
    assert spoken(lexicon, "MQTT")[0].endswith("K Y UW T IY T IY")
    assert {"EH L IY D IY", "L EH D"} <= set(spoken(lexicon, "LED"))


def test_a_made_up_name_is_read_by_its_parts_when_they_are_words(lexicon: Lexicon) -> None:
    assert "IY K OW B IY" in spoken(lexicon, "EcoBee")


def test_a_word_of_no_dictionary_is_read_by_rule(lexicon: Lexicon) -> None:
    assert spoken(lexicon, "Zigbee") == ["Z IH G B IY"]
    assert spoken(lexicon, "Wohnzimmer")[0].startswith("W OW N Z IH M")


def test_only_phones_of_the_acoustic_model_come_out(lexicon: Lexicon) -> None:
    known = {phone for word in read_dictionary(PRONUNCIATIONS).values() for phones in word for phone in phones}
    words = "Barnabee Roborock joaillerie Xbox Thermostaat Geräteraum Qwrtz bouillabaisse Tschüss Zażółć zuñiga oe ng"
    assert {phone for word in words.split() for phones in lexicon.pronounce(word) for phone in phones} <= known


@pytest.mark.parametrize("text", ["кухня", "台所", "مطبخ"])
def test_another_script_is_named_as_unpronounceable(lexicon: Lexicon, text: str) -> None:
    with pytest.raises(Unpronounceable) as refused:
        lexicon.pronounce(f"lamp {text}")
    assert [word.casefold() for word in refused.value.words] == [text]


def test_punctuation_alone_is_unpronounceable(lexicon: Lexicon) -> None:
    with pytest.raises(Unpronounceable):
        lexicon.pronounce("---")


def test_a_long_name_does_not_multiply(lexicon: Lexicon) -> None:
    assert len(lexicon.pronounce("the a the a the a the a the a 2024 2025")) == PRONUNCIATIONS_MAX


@pytest.mark.parametrize(
    ("ipa", "phones"),
    [
        ("lˈaɪt", "L AY T"),
        ("tʃˈɜːtʃ", "CH ER CH"),
        ("dʒˈʌdʒ", "JH AH JH"),
        ("ˈiːkoʊ bˈiː", "IY K OW B IY"),
        ("bˈʌʔn̩", "B AH T AH N"),
        ("wˈɔːɾɚ", "W AO D ER"),
    ],
)
def test_phonetic_letters_become_phones(ipa: str, phones: str) -> None:
    assert arpabet(ipa) == tuple(phones.split())


def test_a_sound_that_english_lacks_is_refused() -> None:
    assert arpabet("ǂ") is None
    assert arpabet("") is None


def test_a_missing_espeak_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError("no espeakng_loader")

    monkeypatch.setattr(letter_to_sound, "library", missing)
    with pytest.raises(EngineUnavailable, match="pip install espeakng-loader"):
        LetterToSound()


def test_the_dictionary_is_read_with_its_variants(tmp_path: Path) -> None:
    path = tmp_path / "words.dict"
    path.write_text("a AH\na(2) EY\nb B IY\n", encoding="utf-8")
    assert read_dictionary(path) == {"a": [("AH",), ("EY",)], "b": [("B", "IY")]}
