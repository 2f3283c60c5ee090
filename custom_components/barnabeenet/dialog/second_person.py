"""Turns what somebody said of themselves round, so that it can be said to them: "my code is 4711", "your code is 4711".

Only where that is a matter of words: where a verb would have to change, or the text speaks of "you", it is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
import re
from typing import Final

from .follow_up_words import base_of


@dataclass(frozen=True)
class _Persons:
    """`turns` word by word, longer phrases first; a text with an `unsafe` word, or that does not begin as `opens` says, stays.

    A `clause` begins a subordinate clause, whose words stand in another order than a sentence's.
    """

    turns: Mapping[str, str]
    unsafe: str
    opens: str
    clause: str = ""


_PERSONS: Final[Mapping[str, _Persons]] = {
    "en": _Persons(
        turns={
            "i am": "you are",
            "i was": "you were",
            "i'm": "you're",
            "we're": "you're",
            "i": "you",
            "me": "you",
            "my": "your",
            "mine": "yours",
            "myself": "yourself",
            "we": "you",
            "us": "you",
            "our": "your",
            "ours": "yours",
        },
        unsafe="you|your|yours|yourself|you're|am|was",
        opens=r"i|i'm|i've|i'd|i'll|we|we're|my|our|the|his|her|their|there|\w+'s",
    ),
    "de": _Persons(
        turns={
            "mein": "dein",
            "meine": "deine",
            "meinen": "deinen",
            "meinem": "deinem",
            "meiner": "deiner",
            "meines": "deines",
            "mir": "dir",
            "mich": "dich",
        },
        unsafe=r"ich|wir|uns|unse?r\w*|du|dir|dich|dein\w*|ihr\w*|ihnen|eu(?:er|re)\w*|euch|sie",
        opens="meine?|der|die|das|dass",
        clause="dass ",
    ),
    "fr": _Persons(
        turns={
            "mon": "votre",
            "ma": "votre",
            "mes": "vos",
            "notre": "votre",
            "nos": "vos",
            "me": "vous",
            "moi": "vous",
        },
        unsafe="je|j|nous|m|tu|te|t|toi|ton|ta|tes|vous|votre|vos|l'on",
        opens="mon|ma|mes|notre|nos|le|la|les",
    ),
    "es": _Persons(
        turns={"mi": "tu", "mis": "tus", "me": "te"},
        unsafe=r"yo|nosotr[oa]s|nuestr[oa]s?|nos|mí|mío|mía|míos|mías|conmigo|tú|tu|tus|te|ti|contigo|usted|su|sus|vosotr[oa]s"
        r"|\w+mos|soy|estoy|tengo|voy|quiero|debo|puedo|sé|he",
        opens="mis?|el|la|los|las",
    ),
    "nl": _Persons(
        turns={"mijn": "jouw", "m'n": "je", "mij": "jou"},
        unsafe="ik|wij|we|ons|onze|me|jij|je|jou|jouw|jullie|u|uw|hun",
        opens="mijn|m'n|de|het|dat",
        clause="dat ",
    ),
}


def turned(text: str, language: str | None) -> str | None:
    """What is said to the one who said it, without a full stop; None where it can only be quoted."""
    persons = _PERSONS[base_of(language)]
    opens, unsafe, turns = _compiled(base_of(language))
    text = text.replace("\u2019", "'")
    if opens.match(text) is None:
        return None
    left = turns.sub(" ", text)
    return None if unsafe.search(left) else turns.sub(lambda found: persons.turns[_key(found)], text)


def speaks_of_nobody(text: str, language: str | None) -> bool:
    """Whether it is the same whoever says it to whom."""
    return turned(text, language) == text


def clause_of(text: str, language: str | None) -> str | None:
    """The text when it is a subordinate clause ("dass mein Code 4711 ist"), else None."""
    clause = _PERSONS[base_of(language)].clause
    return text if clause and text.casefold().startswith(clause) else None


def _key(found: re.Match[str]) -> str:
    return " ".join(found[0].casefold().split())


@cache
def _compiled(base: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    persons = _PERSONS[base]
    turns = "|".join(re.escape(each) for each in sorted(persons.turns, key=len, reverse=True))
    return (
        re.compile(rf"(?:{persons.opens})(?=\s)", re.IGNORECASE),
        re.compile(rf"(?<![\w])(?:{persons.unsafe})(?![\w])", re.IGNORECASE),
        re.compile(rf"(?<![\w'])(?:{turns})(?![\w'])", re.IGNORECASE),
    )
