"""The pronouncing dictionary: the CMU dictionary, then spelling out, then letter-to-sound rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
import re
from typing import Final

from .letter_to_sound import Phones
from .spoken_words import spoken_forms

# A name of several words with several pronunciations each must not multiply without end.
PRONUNCIATIONS_MAX: Final = 8
# "TV", "HVAC", "MQTT": longer runs of capitals are words that somebody shouts.
_INITIALISM: Final = re.compile(r"[A-Z]{2,5}")
_HUMP: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z']+|.")
_VARIANT: Final = re.compile(r"\(\d+\)$")


class Unpronounceable(ValueError):
    """Words that no dictionary holds and no rule reads; `words` names them."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)
        super().__init__(f"cannot pronounce {', '.join(self.words)}")


def read_dictionary(path: Path) -> dict[str, list[Phones]]:
    """Reads a dictionary in CMU's format, `word phone phone...` with further pronunciations as `word(2)`."""
    dictionary: dict[str, list[Phones]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phones = line.split()
        dictionary.setdefault(_VARIANT.sub("", word), []).append(tuple(phones))
    return dictionary


class Lexicon:
    """Says how names, numbers and words are pronounced in American English."""

    def __init__(self, dictionary: dict[str, list[Phones]], letter_to_sound: Callable[[str], Phones | None]) -> None:
        self._dictionary = dictionary
        self._letter_to_sound = letter_to_sound
        self._known: dict[str, list[Phones]] = {}

    def pronounce(self, text: str) -> list[Phones]:
        """The pronunciations of a text as one unbroken word, the likeliest first; raises Unpronounceable."""
        forms = [form for form in spoken_forms(text) if form]
        if not forms:
            raise Unpronounceable([text])
        unknown = {word for form in forms for word in form if not self._word(word)}
        if unknown:
            raise Unpronounceable(sorted(unknown))
        pronunciations = [
            _joined(words) for form in forms for words in _bounded_product([self._word(word) for word in form])
        ]
        return list(dict.fromkeys(pronunciations))[:PRONUNCIATIONS_MAX]

    def _word(self, word: str) -> list[Phones]:
        if word not in self._known:
            self._known[word] = self._look_up(word)
        return self._known[word]

    def _look_up(self, word: str) -> list[Phones]:
        written = self._dictionary.get(word.lower(), [])
        if _INITIALISM.fullmatch(word):
            return [*self._spelled(word), *written]
        if written:
            return written
        humps = [self._dictionary.get(hump.lower(), []) for hump in _HUMP.findall(word)]
        if len(humps) > 1 and all(humps):
            return [_joined(parts) for parts in _bounded_product(humps)]
        phones = self._letter_to_sound(word)
        return [phones] if phones else []

    def _spelled(self, word: str) -> list[Phones]:
        letters = [self._dictionary.get(f"{letter.lower()}.", []) for letter in word]
        return [_joined(parts) for parts in _bounded_product(letters)] if all(letters) else []


def _bounded_product(alternatives: list[list[Phones]]) -> list[tuple[Phones, ...]]:
    combinations: list[tuple[Phones, ...]] = [()]
    for choices in alternatives:
        combinations = [(*before, choice) for before, choice in product(combinations, choices)][:PRONUNCIATIONS_MAX]
    return combinations


def _joined(parts: Iterable[Phones]) -> Phones:
    return tuple(phone for part in parts for phone in part)
