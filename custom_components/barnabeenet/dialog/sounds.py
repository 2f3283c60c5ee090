"""How words sound, as far as a recogniser confuses them: "ceiling" and "sealing" are one, "bat" and "bed" are close."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
import re
from typing import Final
import unicodedata

from rapidfuzz.distance import Levenshtein

from .clauses import base_of

_Rules = tuple[tuple[re.Pattern[str], str], ...]

# Alike sounds share a letter: p b, t d, k g, f v, s z, and S for sh, C for ch and j, N for ng.
_ALIKE: Final = str.maketrans("bdgvzqjywc", "ptkfskCiuk")


def _rules(*pairs: tuple[str, str]) -> _Rules:
    return tuple((re.compile(pattern), sound) for pattern, sound in pairs)


_ENGLISH: Final = _rules(
    (r"^[kgp]n", "n"), (r"^wr", "r"), (r"^ps", "s"), (r"^wh", "w"), (r"^x", "s"), (r"mb$", "m"), (r"tch", "C"),
    (r"sch", "sk"), (r"ch", "C"), (r"sh|[st]ion|[tc]i(?=[aeou])", "S"), (r"ph", "f"), (r"th", "t"), (r"augh", "af"),
    (r"(?<=[aeiou])gh(?=t|$)", ""), (r"gh", "g"), (r"dg", "j"), (r"ck", "k"), (r"qu", "kw"), (r"x", "ks"),
    (r"c(?=[eiy])", "s"), (r"ng", "N"), (r"(?<=[aeiou])h(?![aeiou])", ""), (r"(?<=[a-z]{2})e?s?$", ""),
    (r"ee|ea|ie|ei|ey", "i"), (r"ay|ai", "e"), (r"oo|ou|ow|ew|ue", "u"), (r"oa|oe", "o"), (r"au|aw", "o"),
    (r"igh", "ai"), (r"(?<=[a-z])y$", "i"),
)  # fmt: skip
_GERMAN: Final = _rules(
    (r"ä", "e"), (r"ö", "e"), (r"ü|y", "i"), (r"ß", "s"), (r"sch|^s(?=[pt])", "S"), (r"chs|x", "ks"), (r"ph|v", "f"),
    (r"w", "v"), (r"t?z|c(?=[eiä])", "s"), (r"dt|th", "t"), (r"ck", "k"), (r"ch", "h"), (r"ng", "N"), (r"qu", "kv"),
    (r"ei|ai|ey|ay", "ai"), (r"eu|äu|oi", "oi"), (r"ie", "i"), (r"(?<=[aeiou])h(?![aeiou])", ""), (r"e(?=r?$)", "e"),
    (r"j", "i"),
)  # fmt: skip
_FRENCH: Final = _rules(
    (r"ç", "s"), (r"œu?", "e"), (r"eau|au|ô", "o"), (r"oi|oî", "ua"), (r"ou|où", "u"), (r"[éèêë]|ai|ei", "e"),
    (r"ch", "S"), (r"gn", "n"), (r"ph", "f"), (r"qu", "k"), (r"gu(?=[ei])", "g"), (r"g(?=[eiy])|j", "S"),
    (r"c(?=[eiy])", "s"), (r"ill(?=[e$])", "i"), (r"h", ""), (r"(?<=[a-z])[stdxpz]$|(?<=[a-z]{2})(?:es?|ent)$", ""),
    (r"[ae][nm](?![aeiouy])", "AN"), (r"on(?![aeiouy])", "ON"), (r"[iuy]n(?![aeiouy])", "IN"), (r"y", "i"),
)  # fmt: skip
_SPANISH: Final = _rules(
    (r"ñ", "n"), (r"ll", "i"), (r"ch", "C"), (r"h", ""), (r"qu|k", "k"), (r"gu(?=[ei])", "g"), (r"g(?=[ei])|j", "h"),
    (r"[zc](?=[ei])|z", "s"), (r"v", "b"), (r"y", "i"), (r"x", "ks"), (r"ü", "u"),
)  # fmt: skip
_DUTCH: Final = _rules(
    (r"ij|ei", "ai"), (r"[oa]uw?", "au"), (r"oe", "u"), (r"eu|ui", "oi"), (r"ie", "i"), (r"sch(?=[aeiou])", "sk"),
    (r"sch", "s"), (r"ch|g", "g"), (r"v|w", "f"), (r"z", "s"), (r"ng", "N"), (r"j", "i"), (r"th|dt", "t"), (r"en$", "e"),
)  # fmt: skip
_LANGUAGES: Final[Mapping[str, _Rules]] = {
    "en": _ENGLISH,
    "de": _GERMAN,
    "fr": _FRENCH,
    "es": _SPANISH,
    "nl": _DUTCH,
}
_VOWELS: Final = re.compile(r"[aeiouAIO]+")
_DOUBLE: Final = re.compile(r"(.)\1+")


@lru_cache(maxsize=8192)
def sound_of(text: str, language: str) -> str:
    """The sounds of a name, one letter each and without the gaps between words, which nobody hears.

    A language without rules of its own is read as it is written.
    """
    rules = _LANGUAGES.get(base_of(language), ())
    return "".join(_word(word, rules) for word in re.findall(r"\w+", text.casefold()))


def _word(word: str, rules: _Rules) -> str:
    for pattern, sound in rules:
        word = pattern.sub(sound, word)
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))
    return _DOUBLE.sub(r"\1", plain.translate(_ALIKE))


def skeleton(sound: str) -> str:
    """The consonants alone: vowels are what is misheard first."""
    return _VOWELS.sub("", sound)


def likeness(one: str, other: str, language: str) -> float:
    """From 0 to 1, how easily one is heard as the other: half sound, a quarter each consonants and spelling."""
    sounds = sound_of(one, language), sound_of(other, language)
    alike = Levenshtein.normalized_similarity(*sounds)
    consonants = Levenshtein.normalized_similarity(*map(skeleton, sounds))
    written = Levenshtein.normalized_similarity(_letters(one), _letters(other))
    return 0.5 * alike + 0.25 * consonants + 0.25 * written


def weakest(one: str, other: str, language: str) -> float:
    """How like the words are that two names do not share: "bathroom ceiling light" is no "bedroom ceiling light".

    From 0 to 1; 0 when one has a word more.
    """
    words, others = one.casefold().split(), other.casefold().split()
    aligned = list(zip(words, others, strict=False)) if len(words) == len(others) else []
    while words and others and words[0] == others[0]:
        words, others = words[1:], others[1:]
    while words and others and words[-1] == others[-1]:
        words, others = words[:-1], others[:-1]
    if not words and not others:
        return 1.0
    if not words or not others:
        return 0.0
    rest = likeness(" ".join(words), " ".join(others), language)
    return min([rest, *(likeness(a, b, language) for a, b in aligned)])


def _letters(text: str) -> str:
    return "".join(text.casefold().split())
