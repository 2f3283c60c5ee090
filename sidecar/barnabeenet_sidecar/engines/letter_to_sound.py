"""Pronounces words that no dictionary holds, by espeak-ng's rules for English."""
# ruff: noqa: RUF001 - phonetic letters look like others

from __future__ import annotations

import re
from typing import Final, TypeAlias
import unicodedata

from ..errors import EngineUnavailable
from .espeak_library import EspeakError, library

# Phones of the CMU dictionary (ARPAbet without stress), as in "B EH D".
Phones: TypeAlias = tuple[str, ...]

_VOICE: Final = "gmw/en-US"

# International Phonetic Alphabet, as espeak-ng's American voice writes it, to ARPAbet.
_ARPABET: Final = {
    "tʃ": "CH",
    "dʒ": "JH",
    "aɪ": "AY",
    "aʊ": "AW",
    "eɪ": "EY",
    "oʊ": "OW",
    "ɔɪ": "OY",
    "ɔːɹ": "AO R",
    "oːɹ": "AO R",
    "aɪɚ": "AY ER",
    "əl": "AH L",
    "n̩": "AH N",
    "l̩": "AH L",
    "ɜː": "ER",
    "ɚ": "ER",
    "iː": "IY",
    "i": "IY",
    "ɪ": "IH",
    "ᵻ": "IH",
    "ɛ": "EH",
    "e": "EY",
    "æ": "AE",
    "a": "AE",
    "ɑː": "AA",
    "ɑ": "AA",
    "ɒ": "AA",
    "ɔː": "AO",
    "ɔ": "AO",
    "o": "OW",
    "ʊ": "UH",
    "uː": "UW",
    "u": "UW",
    "ʌ": "AH",
    "ə": "AH",
    "ɐ": "AH",
    "b": "B",
    "d": "D",
    "ð": "DH",
    "f": "F",
    "ɡ": "G",
    "h": "HH",
    "j": "Y",
    "k": "K",
    "l": "L",
    "m": "M",
    "n": "N",
    "ŋ": "NG",
    "p": "P",
    "ɹ": "R",
    "r": "R",
    "s": "S",
    "ʃ": "SH",
    "t": "T",
    "ɾ": "D",
    "θ": "TH",
    "v": "V",
    "w": "W",
    "x": "K",
    "z": "Z",
    "ʒ": "ZH",
    "ʔ": "T",
    "ː": "",
}
_SYMBOL: Final = re.compile("|".join(sorted(_ARPABET, key=len, reverse=True)))
# Stress, spaces, nasalisation and left-over length change no phone.
_IGNORED: Final = re.compile("[ˈˌ\\s\u0303-]")


def arpabet(ipa: str) -> Phones | None:
    """The phones of a transcription in the International Phonetic Alphabet; None when a symbol is no English sound."""
    symbols = _IGNORED.sub("", ipa)
    phones: list[str] = []
    position = 0
    while position < len(symbols):
        match = _SYMBOL.match(symbols, position)
        if match is None:
            return None
        phones += _ARPABET[match.group()].split()
        position = match.end()
    return tuple(phones) or None


class LetterToSound:
    """espeak-ng as a pronouncing dictionary of American English."""

    def __init__(self) -> None:
        """Raises EngineUnavailable when espeak-ng cannot be used."""
        try:
            self._library = library()
        except (ImportError, OSError, EspeakError) as error:
            raise EngineUnavailable(f"espeak-ng cannot be loaded ({error}): pip install espeakng-loader") from error

    def __call__(self, word: str) -> Phones | None:
        """The phones of one word; None when it is not written in Latin letters or has no English sounds."""
        if not all(letter == "'" or "LATIN" in unicodedata.name(letter, "") for letter in word):
            return None
        return arpabet(self._library.pronounce(word, _VOICE))
