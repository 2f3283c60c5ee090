"""Which texts are said like the sentences of a vocabulary."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, strategies as st
import pytest

from barnabeenet_sidecar.engines.sentence_grammar import SentenceGrammar

GRAMMAR = SentenceGrammar(
    templates=[
        ("turn", "on", "the", "[name]"),
        ("turn", "on", "the", "[area]", "lights"),
        ("[name]", "off"),
        ("lock", "the", "[lock]"),
        ("set", "[name]", "to", "[percent]", "percent"),
        ("never", "mind"),
        ("how", "much", "time", "is", "left", "now"),
        ("say", "time", "is", "left", "on", "it"),
    ],
    values={
        "[name]": [("bed", "light"), ("tv",), ("kitchen", "lights")],
        "[area]": [("kitchen",), ("living", "room")],
        "[lock]": [("front", "door")],
        "[percent]": [(str(number),) for number in range(101)],
    },
)


@pytest.mark.parametrize(
    "text",
    [
        "never mind",
        "turn on the tv",
        "turn on the bed light",
        "turn on the kitchen lights",
        "turn on the living room lights",
        "tv off",
        "set kitchen lights to 50 percent",
        "how much time is left now",
    ],
)
def test_a_template_with_its_slots_filled_is_a_sentence(text: str) -> None:
    assert GRAMMAR.accepts(text.split())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "turn",
        "turn on the",
        "the tv",
        "turn on the tv off",
        "turn on the bed",
        "lock the tv",
        "lock the bed light",
        "turn on the front door",
        "set tv to percent",
        "set tv to 101 percent",
        "turn on the [name]",
        "never mind never mind",
        "mind never",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert not GRAMMAR.accepts(text.split())


def test_an_empty_grammar_accepts_nothing() -> None:
    assert not SentenceGrammar([], {}).accepts(["hello"])
    assert not SentenceGrammar([], {}).accepts([])


def test_wordings_may_be_joined_where_they_share_three_words() -> None:
    assert GRAMMAR.accepts(["how", "much", "time", "is", "left", "on", "it"])
    assert not GRAMMAR.accepts(["say", "time", "is", "left"])
    assert not GRAMMAR.accepts(["how", "much", "time", "is", "left", "on"])


WORD = st.sampled_from(["a", "b", "c"])
SYMBOLS = st.lists(st.sampled_from(["a", "b", "[x]", "[y]"]), min_size=1, max_size=6).map(tuple)
VALUES = st.lists(st.lists(WORD, min_size=1, max_size=2).map(tuple), max_size=3)


@given(st.lists(SYMBOLS, max_size=5), VALUES, VALUES, st.lists(WORD, max_size=6).map(tuple))
def test_it_accepts_exactly_what_can_be_read_with_known_fours(
    templates: list[tuple[str, ...]], xs: list[tuple[str, ...]], ys: list[tuple[str, ...]], words: tuple[str, ...]
) -> None:
    values = {"[x]": set(xs), "[y]": set(ys)}
    known = {four for template in templates for four in fours(template)}
    expected = any(fours(reading) <= known for reading in readings(words, values)) and bool(templates)
    assert SentenceGrammar(templates, values).accepts(words) == expected


def fours(symbols: tuple[str, ...]) -> set[tuple[str, ...]]:
    padded = ("", "", "", *symbols, "")
    return {padded[start : start + 4] for start in range(len(padded) - 3)}


def readings(words: tuple[str, ...], values: dict[str, set[tuple[str, ...]]]) -> Iterator[tuple[str, ...]]:
    if not words:
        yield ()
    for length in range(1, len(words) + 1):
        symbols = [symbol for symbol, members in values.items() if words[:length] in members]
        for symbol in [*symbols, *(words[:1] if length == 1 else ())]:
            for rest in readings(words[length:], values):
                yield (symbol, *rest)


READ_ALOUD = "every thursday we cook rice fish and vegetables for the neighbours"
WITH_A_NAME = "tell [name] that we have dinner at eight and nobody waits"
READING = SentenceGrammar(
    [tuple(READ_ALOUD.split()), tuple(WITH_A_NAME.split())],
    {"[name]": [("anna",)]},
)


@pytest.mark.parametrize(
    "text",
    [
        READ_ALOUD,
        "every thursday we cook rice fish on vegetables for the neighbours",
        "every tv to 5 fish and vegetables for the neighbours",
        "every thursday we cook rice",
        "tell anna that we have dinner at eight and nobody waits",
    ],
)
def test_half_of_what_is_read_aloud_is_enough(text: str) -> None:
    assert READING.accepts(text.split())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "every thursday we cook",
        "neighbours the for vegetables and fish rice cook we thursday every",
        f"turn on the tv and then {READ_ALOUD} and turn the tv off again once you have come home from them",
        "tell anna that we have dinner at eight and nobody",
    ],
)
def test_less_of_it_or_another_order_or_much_else_is_not(text: str) -> None:
    assert not READING.accepts(text.split())
