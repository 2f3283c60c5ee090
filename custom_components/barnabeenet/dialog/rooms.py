"""Which sentences may mean the room that they are spoken in.

Home Assistant's rescue takes the satellite's room for any sentence in which it finds none: "turn off the lights in the
attic" would then darken the kitchen where there is no attic. Its own sentences take that room only where they leave no
place for another, so a sentence may borrow it only when it is made of the words of those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hassil.expression import Alternative, Expression, Group, ListReference, RuleReference, Sentence, TextChunk
from hassil.intents import Intents, SlotList, TextSlotList

# Kinds of covers are places, too: a garage, a gate.
_PLACES: Final = frozenset({"cover_classes", "name", "area", "floor"})
_DEPTH_MAX: Final = 24


def borrowing_words(intents: Intents) -> frozenset[str]:
    """The words, in lower case, of all sentences that take their room from the satellite."""
    words = {word for skipped in intents.skip_words for word in skipped.lower().split()}
    for intent in intents.intents.values():
        for block in intent.data:
            area = block.requires_context.get("area")
            if isinstance(area, Mapping) and area.get("slot"):
                rules = {**intents.expansion_rules, **block.expansion_rules}
                lists = {**intents.slot_lists, **block.slot_lists}
                for sentence in block.sentences:
                    # An optional ending makes two words of one: "show" and "shows".
                    for gap in ("", " "):
                        words.update(_words(_text(sentence.expression, _Grammar(rules, lists, gap), 0)))
    return frozenset(words)


def may_borrow_room(text: str, words: frozenset[str]) -> bool:
    """Whether a sentence has nothing in it that could be a place; numbers never are."""
    spoken = _words(text)
    return bool(spoken) and all(word in words or word.isdecimal() for word in spoken)


def _words(text: str) -> list[str]:
    cleaned = "".join(letter if letter.isalnum() or letter in "'’" else " " for letter in text.lower())  # noqa: RUF001
    return cleaned.split()


@dataclass(frozen=True)
class _Grammar:
    rules: Mapping[str, Sentence]
    lists: Mapping[str, SlotList]
    optional_gap: str


def _text(expression: Expression, grammar: _Grammar, depth: int) -> str:
    """All text in an expression, whichever way it may be said."""
    return "".join(_pieces(expression, grammar, depth)) if depth <= _DEPTH_MAX else ""


def _pieces(expression: Expression, grammar: _Grammar, depth: int) -> Iterator[str]:
    if isinstance(expression, TextChunk):
        yield expression.text
    elif isinstance(expression, Alternative):
        gap = grammar.optional_gap if expression.is_optional and len(expression.items) <= 2 else " "
        for item in expression.items:
            yield f"{gap}{_text(item, grammar, depth + 1)}{gap}"
    elif isinstance(expression, Group):
        for item in expression.items:
            yield _text(item, grammar, depth + 1)
    elif isinstance(expression, RuleReference) and (rule := grammar.rules.get(expression.rule_name)):
        yield f" {_text(rule.expression, grammar, depth + 1)} "
    elif isinstance(expression, ListReference) and expression.list_name not in _PLACES:
        values = grammar.lists.get(expression.list_name)
        for value in values.values if isinstance(values, TextSlotList) else ():
            yield f" {_text(value.text_in, grammar, depth + 1)} "
