"""What of a question is looked for, in the languages of the home."""

from __future__ import annotations

from contextlib import closing
import sqlite3

from hypothesis import given, strategies as st
import pytest

from custom_components.barnabeenet.state.words import QUERY_MAX_CHARS, WORDS_MAX, any_of, words_of


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What is the code of the garage?", ("code", "garage")),
        ("Where is my hat?", ("hat",)),
        ("Wann hat Oma Geburtstag?", ("oma", "geburtstag")),
        ("Quelle est l'allergie de Zoé ?", ("allergie", "zoé")),
        ("¿Dónde está la llave del trastero?", ("llave", "trastero")),
        ("Wat is het wachtwoord van de wifi?", ("wachtwoord", "wifi")),
        ("garage garage GARAGE", ("garage",)),
        ("Straße", ("straße",)),
        ("4711", ("4711",)),
        # A telling word is better than none.
        ("who is it", ("who", "is", "it")),
        ("?!", ()),
        ("", ()),
    ],
)
def test_the_words_that_tell(question: str, words: tuple[str, ...]) -> None:
    assert words_of(question) == words


def test_a_word_of_another_language_tells() -> None:
    """ "die" and "hat" say nothing in German, and something in English."""
    assert words_of("When did grandpa die?") == ("grandpa", "die")
    assert words_of("Wann ist die Feier?") == ("feier",)


def test_questions_are_bounded() -> None:
    assert len(words_of(" ".join(f"w{number}" for number in range(1000)))) == WORDS_MAX
    assert words_of("x" * 5000) == ("x" * QUERY_MAX_CHARS,)


@given(st.text(max_size=200) | st.text(alphabet='"*():^-+{}~ ANDORNETxü\0', max_size=60))
def test_whatever_is_asked_is_no_syntax(question: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5 (text)")
        words = words_of(question)
        if words:
            connection.execute("SELECT * FROM words WHERE words MATCH ?", (any_of(words),)).fetchall()


@given(st.lists(st.text(alphabet="aäéñøßœğzZ09", min_size=1, max_size=8), min_size=1, max_size=6))
def test_a_text_is_found_by_each_of_its_words(texts: list[str]) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2')")
        connection.execute("INSERT INTO words VALUES (?)", (" ".join(texts),))
        for word in words_of(" ".join(texts)):
            found = connection.execute("SELECT COUNT(*) FROM words WHERE words MATCH ?", (any_of([word]),)).fetchone()
            assert found == (1,)
