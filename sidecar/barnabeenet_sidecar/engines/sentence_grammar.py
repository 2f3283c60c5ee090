"""Whether some text is said like the sentences of a vocabulary, whatever lists its names were heard in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from .language_model import Symbols, is_class

# How many symbols in a row must come from one template. Measured on speech that is no command: three let pass twice as
# much as four; whole sentences hardly let pass less, but refuse every wording that was not listed.
_ORDER: Final = 4
_EDGE: Final = ""


class SentenceGrammar:
    """Accepts what has every four symbols in a row from some template, beginning and end included.

    Which list holds a name does not matter as long as some list does: between lists that share a name, and between
    "Kitchen lights" and "Kitchen" "lights", a recogniser chooses by sound and frequency alone.
    """

    def __init__(self, templates: Iterable[Symbols], values: Mapping[str, Iterable[Symbols]]) -> None:
        """Takes templates of words and list symbols, and for each list symbol its values as words; all in lower case."""
        self._following: dict[Symbols, set[str]] = defaultdict(set)
        for template in templates:
            last = _BEGINNING
            for symbol in (*template, _EDGE):
                self._following[last].add(symbol)
                last = (*last[1:], symbol)
        self._lists: dict[Symbols, list[str]] = defaultdict(list)
        for symbol, members in values.items():
            for words in members:
                self._lists[words].append(symbol)
        self._longest = max((len(words) for words in self._lists), default=1)

    def accepts(self, words: Sequence[str]) -> bool:
        """Whether these words can be read as such a sequence, from first to last."""
        reached: list[set[Symbols]] = [{_BEGINNING}, *(set() for _ in words)]
        for start in range(len(words)):
            for end in range(start + 1, min(start + self._longest, len(words)) + 1):
                symbols = self._symbols(tuple(words[start:end]))
                reached[end].update(
                    (*last[1:], symbol) for last in reached[start] for symbol in symbols & self._after(last)
                )
        return any(_EDGE in self._after(last) for last in reached[-1])

    def _symbols(self, piece: Symbols) -> set[str]:
        """What these words may stand for: a list that holds them, or a single word itself."""
        return {*self._lists.get(piece, ()), *(piece if len(piece) == 1 and not is_class(piece[0]) else ())}

    def _after(self, last: Symbols) -> set[str]:
        return self._following.get(last, set())


_BEGINNING: Final = (_EDGE,) * (_ORDER - 1)
