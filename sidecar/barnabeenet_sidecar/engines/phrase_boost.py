"""Names made likelier in a transducer's greedy search, token by token.

A phrase-boosting tree as in A. Andrusenko et al., "TurboBias: Universal ASR Context-Biasing powered by GPU-accelerated
Phrase-Boosting Tree" (2025), without its way back from half-said phrases: a search that takes the best token of each
step cannot go back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

# In natural logarithms, as the paper recommends for transducers: a phrase is hard to begin by mistake, and likely to
# go on once it is begun.
_BEGIN: Final = 1.0
_GO_ON: Final = 2.0
_PHRASE_MAX_CHARS: Final = 64


@dataclass(eq=False)
class _Node:
    """A place within phrases, and the tokens that go on from it."""

    children: dict[int, _Node] = field(default_factory=dict)

    @cached_property
    def tokens(self) -> NDArray[np.intp]:
        return np.array(list(self.children), np.intp)


class PhraseBoost:
    """The phrases of a home as the tokens of a model."""

    def __init__(self, tokens: Mapping[str, int], phrases: Iterable[str]) -> None:
        """`tokens` are a byte-pair model's, in the order in which they were merged; a word begins with a space."""
        self.root = _Node()
        for phrase in phrases:
            for written in {phrase, phrase.lower(), phrase.capitalize(), phrase.title()}:
                self._add(byte_pair_tokens(tokens, f" {written[:_PHRASE_MAX_CHARS]}"))

    def _add(self, phrase: Sequence[int]) -> None:
        node = self.root
        for token in phrase:
            node = node.children.setdefault(token, _Node())


class BoostedSearch:
    """Follows one utterance through the phrases."""

    def __init__(self, boost: PhraseBoost) -> None:
        self._root = boost.root
        self._begun: list[_Node] = []
        self._followed = 0

    def follow(self, tokens: Sequence[int]) -> None:
        """Takes the tokens chosen so far."""
        for token in tokens[self._followed :]:
            places = [self._root, *self._begun]
            self._begun = [place.children[token] for place in places if token in place.children]
        self._followed = len(tokens)

    def boosted(self, logits: NDArray[np.float32], blank: int) -> NDArray[np.float32]:
        """The logits with those of the phrases' next tokens raised; whether a token is due at all stays as it is."""
        if int(logits.argmax()) == blank:
            return logits
        raised = logits.copy()
        raised[self._root.tokens] += np.float32(_BEGIN)
        for place in self._begun:
            following = place.tokens
            raised[following] = logits[following] + np.float32(_GO_ON)
        return raised


def byte_pair_tokens(tokens: Mapping[str, int], text: str) -> list[int]:
    """A text in a byte-pair model's tokens, the earliest merge first; empty when a character is in none of them."""
    pieces = list(text)
    while merges := [(tokens[a + b], at) for at, (a, b) in enumerate(pairwise(pieces)) if a + b in tokens]:
        _, at = min(merges)
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    return [tokens[piece] for piece in pieces] if all(piece in tokens for piece in pieces) else []
