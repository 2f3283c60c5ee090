"""Which sentences may mean the room they are spoken in."""

from __future__ import annotations

from hassil.intents import Intents
import pytest

from custom_components.barnabeenet.dialog.rooms import borrowing_words, may_borrow_room


@pytest.fixture(scope="session")
def words(english_intents: Intents) -> frozenset[str]:
    return borrowing_words(english_intents)


@pytest.mark.parametrize(
    "text",
    [
        "the lights turn on",
        "lights please turn on",
        "Turn on, on the lights!",
        "set brightness 50 percent",
        "could you pause the music please",
        "lamps off here",
        "skip the song",
        "what's the temperature",
    ],
)
def test_a_sentence_that_names_nothing_may_borrow_the_room(words: frozenset[str], text: str) -> None:
    assert may_borrow_room(text, words)


@pytest.mark.parametrize(
    "text",
    [
        "turn off the lights in the attic",
        "lights on in the garden please",
        "turn off the lights upstairs",
        "turn off the lights outside",
        "turn off the lights in the garage",
        "turn off the lights in the front",
        "turn off the lights in the kitchen",
        "turn off the lights in the house next door",
        "banana",
        "",
        "...",
    ],
)
def test_a_sentence_with_a_word_that_could_be_a_place_may_not(words: frozenset[str], text: str) -> None:
    assert not may_borrow_room(text, words)


def test_sentences_that_name_their_target_lend_no_words() -> None:
    intents = Intents.from_dict(
        {
            "language": "en",
            "intents": {
                "Named": {"data": [{"sentences": ["polish {name}"], "requires_context": {"domain": ["light"]}}]},
                "Here": {
                    "data": [{"sentences": ["dim[mer] <it> [{level}]"], "requires_context": {"area": {"slot": True}}}]
                },
            },
            "lists": {"level": {"values": ["low", "high"]}},
            "expansion_rules": {"it": "(it|that)"},
            "skip_words": ["pretty please"],
        }
    )
    assert borrowing_words(intents) == {"dim", "dimmer", "mer", "it", "that", "low", "high", "pretty", "please"}


def test_rules_that_call_each_other_end() -> None:
    intents = Intents.from_dict(
        {
            "language": "en",
            "intents": {"Here": {"data": [{"sentences": ["go <one>"], "requires_context": {"area": {"slot": True}}}]}},
            "expansion_rules": {"one": "round <two>", "two": "and <one>"},
        }
    )
    assert borrowing_words(intents) == {"go", "round", "and"}
