"""What Barnabee says of itself."""

from __future__ import annotations

import pytest

from custom_components.barnabeenet.dialog.sentences import Phrase, say

LANGUAGES = ["en", "de", "fr", "es", "nl"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("phrase", list(Phrase))
def test_every_phrase_is_one_sentence_in_every_language(phrase: Phrase, language: str) -> None:
    said = say(phrase, language)
    assert said.endswith((".", "?"))
    assert said.count(".") + said.count("?") == 1
    assert "  " not in said


@pytest.mark.parametrize("phrase", list(Phrase))
def test_no_two_languages_say_the_same(phrase: Phrase) -> None:
    assert len({say(phrase, language) for language in LANGUAGES}) == len(LANGUAGES)


@pytest.mark.parametrize("language", ["de-CH", "de_AT", "DE"])
def test_a_regional_form_is_its_language(language: str) -> None:
    assert say(Phrase.FAILED, language) == say(Phrase.FAILED, "de")


@pytest.mark.parametrize("language", ["tlh", "", None, "*"])
def test_a_language_that_barnabee_does_not_speak_is_answered_in_english(language: str | None) -> None:
    assert say(Phrase.FAILED, language) == say(Phrase.FAILED, "en")
