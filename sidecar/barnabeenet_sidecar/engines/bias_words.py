"""The words that a home says and a recogniser should prefer: names and terms, per home."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from .base import Vocabulary, VocabularyReport

HOMES_MAX: Final = 16
# More would cost time with every utterance, and a recogniser that prefers everything prefers nothing.
WORDS_MAX: Final = 1000


class BiasWords:
    """Holds the words of the homes that were set last."""

    def __init__(self) -> None:
        self._homes: OrderedDict[str, tuple[str, tuple[str, ...]]] = OrderedDict()  # the one set last comes last

    def take(self, home: str, vocabulary: Vocabulary) -> VocabularyReport:
        """Takes a home's first 1000 names and terms; its sentences are of no use to one that knows the language."""
        words = _distinct([*vocabulary.names, *vocabulary.terms])[:WORDS_MAX]
        self._homes.pop(home, None)
        self._homes[home] = (vocabulary.revision, words)
        if len(self._homes) > HOMES_MAX:
            self._homes.popitem(last=False)
        return VocabularyReport(words=len(words), sentences=0)

    def revision(self, home: str) -> str | None:
        """The revision of a home's words; the 16 homes that were set last are held."""
        held = self._homes.get(home)
        return held[0] if held else None

    def words(self, home: str | None, bias: Sequence[str]) -> tuple[str, ...]:
        """What to prefer in an utterance: its own bias words first, then its home's (None: of the home set last)."""
        if home is None and self._homes:
            home = next(reversed(self._homes))
        held = self._homes.get(home) if home is not None else None
        at_home = held[1] if held else ()
        return _distinct([*bias, *at_home])[:WORDS_MAX] if bias else at_home


def _distinct(words: Sequence[str]) -> tuple[str, ...]:
    """Words without those that differ from an earlier one only in case or space."""
    found: dict[str, str] = {}
    for word in words:
        tidy = " ".join(word.split())
        if tidy:
            found.setdefault(tidy.casefold(), tidy)
    return tuple(found.values())
