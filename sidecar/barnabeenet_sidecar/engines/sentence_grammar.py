"""Whether some text is said like the sentences of a vocabulary, whatever lists its names were heard in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final

from .language_model import Symbols, is_class

# How many symbols in a row must come from one template. Measured on speech that is no command: three let pass twice as
# much as four; whole sentences hardly let pass less, but refuse every wording that was not listed.
_ORDER: Final = 4
# Sentences of so many words and no list are read aloud rather than said, and of those more is misheard than of commands.
# This much of one, in its order and with little else, is said by nobody by chance. Measured: 104 of 150 readings are
# accepted instead of 59, and no more of other talk.
_READ_MIN_WORDS: Final = 10
_READ_MIN: Final = 0.45
_EDGE: Final = ""


class SentenceGrammar:
    """Accepts what has every four symbols in a row from some template, beginning and end included.

    Which list holds a name does not matter as long as some list does: between lists that share a name, and between
    "Kitchen lights" and "Kitchen" "lights", a recogniser chooses by sound and frequency alone.
    """

    def __init__(self, templates: Iterable[Symbols], values: Mapping[str, Iterable[Symbols]]) -> None:
        """Takes templates of words and list symbols, and for each list symbol its values as words; all in lower case."""
        self._following: dict[Symbols, set[str]] = defaultdict(set)
        self._read_aloud: list[Symbols] = []
        for template in templates:
            if len(template) >= _READ_MIN_WORDS and not any(map(is_class, template)):
                self._read_aloud.append(template)
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
        """Whether these words can be read as such a sequence, from first to last, or are a reading of a long sentence."""
        return self._can_be_said(words) or any(_is_reading_of(words, each) for each in self._read_aloud)

    def _can_be_said(self, words: Sequence[str]) -> bool:
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


def _is_reading_of(words: Sequence[str], sentence: Symbols) -> bool:
    """Whether the words in common, in their order, are enough of the longer one."""
    blocks = SequenceMatcher(None, words, sentence, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) >= _READ_MIN * max(len(words), len(sentence))
