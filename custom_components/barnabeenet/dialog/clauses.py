"""Where a sentence may be divided, and which words point back, in the languages that Barnabee speaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import re
from typing import Final

_JOINTS: Final[Mapping[str, str]] = {
    "en": r"and|then|also|as well as|plus",
    "de": r"und|dann|danach|sowie|auch",
    "fr": r"et|puis|ensuite|aussi",
    "es": r"y|e|luego|después|también",
    "nl": r"en|dan|daarna|ook",
}
# "And the fan too": what shows that a sentence goes on from the one before it.
_TOO: Final[Mapping[str, str]] = {
    "en": r"too|also|as well",
    "de": r"auch|ebenfalls",
    "fr": r"aussi|également",
    "es": r"también",
    "nl": r"ook",
}
_BACK_TO_ONE: Final[Mapping[str, str]] = {
    "en": r"it|that|this",
    "de": r"es|ihn|das|den|die",
    "fr": r"le|la|ça|cela",
    "es": r"lo|la|eso|esto",
    "nl": r"het|hem|die|dat",
}
_BACK_TO_ALL: Final[Mapping[str, str]] = {
    "en": r"them|those|these|both",
    "de": r"sie|diese|beide",
    "fr": r"les",
    "es": r"los|las",
    "nl": r"ze|deze",
}
# "Éteins-les", "apágalas": the pronoun hangs on the verb, which takes an accent for it in Spanish.
_HANGING: Final[Mapping[str, re.Pattern[str]]] = {
    "fr": re.compile(r"\b(\w+)-(les?|la)\b", re.IGNORECASE),
    "es": re.compile(r"\b(\w{3,})(l[ao]s?)\b", re.IGNORECASE),
}
# What turns a command into its opposite or takes something out of it.
_DENIALS: Final[Mapping[str, str]] = {
    "en": r"not|no|never|without|except|but|don ?t|won ?t|can ?t|doesn ?t|shouldn ?t|\w+n['’]t",  # noqa: RUF001
    "de": r"nicht|nie|niemals|kein\w*|ohne|außer|bis auf|aber",
    "fr": r"ne|n['’]\w+|pas|jamais|sans|sauf|mais",  # noqa: RUF001
    "es": r"no|nunca|sin|excepto|salvo|menos|pero",
    "nl": r"niet|nooit|geen|zonder|behalve|maar",
}
_UNACCENTED: Final = str.maketrans("áéíóú", "aeiou")
_STOP: Final = r"(?:\s*[,;]|[.!?](?=\s))"


@dataclass(frozen=True)
class Reference:
    """A pronoun: the text around it, and whether it means all that was spoken of before or the last of it."""

    before: str
    after: str
    means_all: bool

    def said_as(self, words: str) -> str:
        """The sentence with the words in the pronoun's place."""
        return " ".join(f"{self.before} {words} {self.after}".split())


@dataclass(frozen=True)
class Joint:
    """The characters between two parts of a sentence: a comma, "and", "and then"."""

    start: int
    end: int


def base_of(language: str) -> str:
    """The language without its region, in lower case."""
    return language.replace("_", "-").split("-", maxsplit=1)[0].lower()


def joints(text: str, language: str) -> list[Joint]:
    """Where the text may be divided; empty in a language whose words for it are unknown."""
    words = _JOINTS.get(base_of(language))
    if words is None:
        return []
    joint = rf"(?:{_STOP}(?:\s+(?:{words})\b)*|\s+(?:{words})\b(?:,?\s+(?:{words})\b)*)\s+"
    found = (Joint(match.start(), match.end()) for match in re.finditer(joint, text, re.IGNORECASE))
    return [each for each in found if each.start > 0 and each.end < len(text)]


def references(text: str, language: str) -> Iterator[Reference]:
    """The pronouns of a sentence, each as a way to read it: in "schalte die Lampe aus" no "die" is one, but who knows."""
    base = base_of(language)
    for means_all, words in ((True, _BACK_TO_ALL.get(base)), (False, _BACK_TO_ONE.get(base))):
        for match in re.finditer(rf"(?<!\S)(?:{words})(?!\w)", text, re.IGNORECASE) if words else ():
            yield Reference(text[: match.start()], text[match.end() :], means_all)
    if base in _HANGING:
        for match in _HANGING[base].finditer(text):
            verb = match[1].translate(_UNACCENTED) if base == "es" else match[1]
            yield Reference(text[: match.start()] + verb, text[match.end() :], match[2].endswith("s"))


def continuation(text: str, language: str) -> str | None:
    """What a sentence that goes on from the one before adds to it: "the fan" of "and the fan too"."""
    base = base_of(language)
    if base not in _TOO:
        return None
    bare = text.strip(" .!?,")
    rest = re.sub(rf"^(?:(?:{_JOINTS[base]})\b[,\s]*)+", "", bare, flags=re.IGNORECASE)
    rest = re.sub(rf"[,\s]+(?:{_TOO[base]})$", "", rest, flags=re.IGNORECASE)
    return rest if rest and rest != bare else None


def denies(text: str, language: str) -> bool:
    """Whether a sentence may say what is not to be done."""
    words = _DENIALS.get(base_of(language))
    return words is not None and re.search(rf"(?<!\w)(?:{words})(?!\w)", text, re.IGNORECASE) is not None


def joining_word(language: str) -> str:
    """The word for "and" in a language that is known here."""
    return _JOINTS.get(base_of(language), "and").split("|", maxsplit=1)[0]
