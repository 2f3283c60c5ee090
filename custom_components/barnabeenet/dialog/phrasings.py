"""The likeliest phrasings of a hassil sentence template, of which there may be millions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
import heapq
from itertools import pairwise, permutations
from operator import itemgetter
import re
from typing import Final, TypeAlias

from hassil.expression import (
    Alternative,
    Expression,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    Sentence,
    TextChunk,
)

# What a phrasing costs: optional words are a little rarer than none, and alternatives are listed the usual one first.
_OPTIONAL_COST: Final = 0.5
_ALTERNATIVE_COST: Final = 1.0
# Templates may be a user's own: rules that call each other or long permutations must not hang the expansion.
_DEPTH_MAX: Final = 24
_PERMUTED_MAX: Final = 4
_PARTS_MAX: Final = 64

_Phrasing: TypeAlias = tuple[float, str]

SLOT: Final = re.compile(r"\{([^}:]*):?([^}]*)\}")
_UNSAYABLE: Final = re.compile(r"[^\w\s'\u2019-]|[\d_]")
_LETTER: Final = re.compile(r"[^\W\d_]")


def sayable(text: str) -> bool:
    """Whether a piece of a sentence can be said as it is written: no digits, no signs such as % or a lone hyphen."""
    return not text.strip() or bool(_LETTER.search(text) and not _UNSAYABLE.search(text))


def phrasings(
    sentence: Sentence, rules: Mapping[str, Sentence], *, limit: int, max_cost: float = float("inf")
) -> list[str]:
    """At most `limit` phrasings, the likeliest first, as words and {list:slot} where a value stands.

    What cannot be said ("50%", "5-hour", "of the the", a slot glued to a word) is left out, and what costs more than
    `max_cost` (half for each optional part said, one for each step down a list of alternatives). Raises ValueError for
    a template that names an unknown rule or nests too deeply.
    """
    found = _Expansion(rules, limit * 2, max_cost).expand(sentence.expression, 0)
    texts = (" ".join(text.split()) for _, text in found)
    return list(dict.fromkeys(text for text in texts if _is_whole(text)))[:limit]


def _is_whole(text: str) -> bool:
    words = text.split()
    doubled = any(word == following for word, following in pairwise(words))
    return bool(words) and not doubled and all("{" not in word or SLOT.fullmatch(word) for word in words)


class _Expansion:
    """Expands expressions bottom up and keeps the cheapest phrasings of each, so that no product grows large."""

    def __init__(self, rules: Mapping[str, Sentence], limit: int, max_cost: float) -> None:
        self._rules = rules
        self._limit = limit
        self._max_cost = max_cost

    def expand(self, expression: Expression, depth: int) -> list[_Phrasing]:
        """The cheapest phrasings of an expression, sorted."""
        if depth > _DEPTH_MAX:
            raise ValueError(f"a template nests deeper than {_DEPTH_MAX}")
        if isinstance(expression, TextChunk):
            return [(0.0, expression.original_text)] if sayable(expression.original_text) else []
        if isinstance(expression, ListReference):
            return [(0.0, f"{{{expression.list_name}:{expression.slot_name}}}")]
        if isinstance(expression, RuleReference):
            if (rule := self._rules.get(expression.rule_name)) is None:
                raise ValueError(f"unknown rule <{expression.rule_name}>")
            return self.expand(rule.expression, depth + 1)
        if not isinstance(expression, Group) or len(expression.items) > _PARTS_MAX:
            raise ValueError(f"a template has a part that cannot be expanded: {type(expression).__name__}")
        return self._cheapest(self._group(expression, depth + 1))

    def _group(self, group: Group, depth: int) -> Iterable[_Phrasing]:
        parts = [self.expand(item, depth) for item in group.items]
        if isinstance(group, Alternative):
            return _either([part for part in parts if part], optional=group.is_optional)
        if isinstance(group, Permutation):
            orders = permutations(parts) if len(parts) <= _PERMUTED_MAX else [tuple(parts)]
            return [phrasing for order in orders for phrasing in self._joined(order, " ")]
        return self._joined(parts, "")

    def _joined(self, parts: Iterable[list[_Phrasing]], separator: str) -> list[_Phrasing]:
        joined: list[_Phrasing] = [(0.0, "")]
        for part in parts:
            joined = self._cheapest((a + b, left + separator + right) for a, left in joined for b, right in part)
        return joined

    def _cheapest(self, found: Iterable[_Phrasing]) -> list[_Phrasing]:
        """The cheapest, each text once; equal costs keep their order."""
        costs: dict[str, float] = {}
        for cost, text in found:
            if cost <= self._max_cost and cost < costs.get(text, float("inf")):
                costs[text] = cost
        return heapq.nsmallest(self._limit, ((cost, text) for text, cost in costs.items()), key=itemgetter(0))


def _either(parts: list[list[_Phrasing]], *, optional: bool) -> Iterator[_Phrasing]:
    for index, part in enumerate(parts):
        for cost, text in part:
            if optional and not text.strip():
                yield 0.0, text
            else:
                yield cost + index * _ALTERNATIVE_COST + (_OPTIONAL_COST if optional else 0.0), text
