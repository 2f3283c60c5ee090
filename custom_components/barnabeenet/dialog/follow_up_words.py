"""The words that answer a question, in the languages that Barnabee speaks; all without accents, in lower case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
import re
from typing import Final
import unicodedata

_WORD: Final = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+")
_FALLBACK: Final = "en"


@dataclass(frozen=True)
class Words:
    """Phrases separated by "|"; `ordinals` and `numbers` (from zero on) may have several for each place.

    `cancel` ends a question whatever it was; `no` is an answer to it. `fillers` mean nothing beside an answer, and a
    negator beside a name or a place turns it into its opposite.
    """

    yes: str
    no: str
    cancel: str
    fillers: str
    ordinals: tuple[str, ...]
    last: str
    numbers: tuple[str, ...]
    units: str
    negators: frozenset[str]


_WORDS: Final[Mapping[str, Words]] = {
    "en": Words(
        yes="yes|yeah|yep|yup|sure|correct|exactly|ok|okay|do it|do that|go ahead|of course|that s right|definitely",
        no="no|nope|none|neither|don t|do not|not that|not now|none of them",
        cancel="never mind|nevermind|cancel|forget it|leave it|stop|forget about it",
        fillers="the|one|please|i|mean|meant|it|it s|is|that|thanks|thank you|um|uh|to|make|set|number|option|barnabee",
        ordinals=("first|number one|option one", "second|number two|option two", "third|number three", "fourth"),
        last="last|latter",
        numbers=(
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ),
        units="degree|degrees|percent|minute|minutes|hour|hours|second|seconds",
        negators=frozenset({"not", "don"}),
    ),
    "de": Words(
        yes="ja|jawohl|jo|genau|richtig|stimmt|klar|ok|okay|mach das|mach es|tu das|gerne|auf jeden fall|bitte ja",
        no="nein|no|ne|nee|keins|keine|keinen|nicht|jetzt nicht|nicht jetzt|keins von beiden|keine von beiden|lieber nicht",
        cancel="egal|vergiss es|lass es|lass gut sein|abbrechen|abbruch|stopp|stop|schon gut",
        fillers="der|die|das|den|dem|ich|meine|meinte|bitte|es|ist|danke|ah|ahm|auf|doch|nummer|option|barnabee",
        ordinals=(
            "erste|erster|ersten|erstes|nummer eins",
            "zweite|zweiter|zweiten|zweites|nummer zwei",
            "dritte|dritten|nummer drei",
            "vierte|vierten",
        ),
        last="letzte|letzter|letzten|letztes",
        numbers=(
            "null",
            "eins|ein|eine",
            "zwei",
            "drei",
            "vier",
            "funf",
            "sechs",
            "sieben",
            "acht",
            "neun",
            "zehn",
            "elf",
            "zwolf",
        ),
        units="grad|prozent|minute|minuten|stunde|stunden|sekunde|sekunden",
        negators=frozenset({"nicht"}),
    ),
    "fr": Words(
        yes="oui|ouais|ok|okay|d accord|exactement|c est ca|bien sur|voila|vas y|fais le|tout a fait",
        no="non|aucun|aucune|ni l un ni l autre|pas ca|surtout pas",
        cancel="laisse tomber|annule|annuler|arrete|stop|oublie|oublie ca|tant pis|peu importe",
        fillers="le|la|les|l|je|veux|dire|c est|s il te plait|s il vous plait|merci|celui|celle|euh|a|numero|option|barnabee",
        ordinals=(
            "premier|premiere|numero un",
            "deuxieme|second|seconde|numero deux",
            "troisieme|numero trois",
            "quatrieme",
        ),
        last="dernier|derniere",
        numbers=(
            "zero",
            "un|une",
            "deux",
            "trois",
            "quatre",
            "cinq",
            "six",
            "sept",
            "huit",
            "neuf",
            "dix",
            "onze",
            "douze",
        ),
        units="degre|degres|pour cent|pourcent|minute|minutes|heure|heures|seconde|secondes",
        negators=frozenset({"pas"}),
    ),
    "es": Words(
        yes="si|claro|vale|ok|okay|exacto|correcto|eso es|por supuesto|hazlo|adelante|de acuerdo",
        no="no|ninguno|ninguna|ni uno ni otro|eso no",
        cancel="dejalo|olvidalo|cancela|cancelar|para|da igual|no importa|nada",
        fillers="el|la|los|las|lo|quiero|decir|queria|es|por favor|gracias|de|a|eh|numero|opcion|barnabee",
        ordinals=(
            "primero|primera|primer|numero uno",
            "segundo|segunda|numero dos",
            "tercero|tercera|numero tres",
            "cuarto|cuarta",
        ),
        last="ultimo|ultima",
        numbers=(
            "cero",
            "uno|una|un",
            "dos",
            "tres",
            "cuatro",
            "cinco",
            "seis",
            "siete",
            "ocho",
            "nueve",
            "diez",
            "once",
            "doce",
        ),
        units="grado|grados|por ciento|minuto|minutos|hora|horas|segundos",
        negators=frozenset({"no"}),
    ),
    "nl": Words(
        yes="ja|jawel|jep|klopt|precies|oke|ok|okay|doe maar|natuurlijk|zeker|graag|ja hoor|goed|is goed|dat is goed",
        no="nee|neen|geen|geen van beide|niet|liever niet|doe maar niet",
        cancel="laat maar|annuleer|annuleren|stop|vergeet het|vergeet maar|maakt niet uit",
        fillers="de|het|een|ik|bedoel|bedoelde|is|dat|alsjeblieft|alstublieft|bedankt|eh|op|naar|nummer|optie|barnabee",
        ordinals=("eerste|nummer een", "tweede|nummer twee", "derde|nummer drie", "vierde"),
        last="laatste",
        numbers=(
            "nul",
            "een",
            "twee",
            "drie",
            "vier",
            "vijf",
            "zes",
            "zeven",
            "acht",
            "negen",
            "tien",
            "elf",
            "twaalf",
        ),
        units="graad|graden|procent|minuut|minuten|uur|seconde|seconden",
        negators=frozenset({"niet"}),
    ),
}

AGAIN: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "confirm": "Sorry, was that a yes or a no?",
        "choice": "Sorry, which one: {options}?",
        "number": "Sorry, which number?",
        "code": "Sorry, please say your code once more, digit by digit.",
        "or": "or",
        "dropped": "All right, I'll leave it.",
    },
    "de": {
        "confirm": "Entschuldigung, war das ein Ja oder ein Nein?",
        "choice": "Entschuldigung, was davon: {options}?",
        "number": "Entschuldigung, welche Zahl?",
        "code": "Entschuldigung, sag deinen Code bitte noch einmal, Ziffer für Ziffer.",
        "or": "oder",
        "dropped": "In Ordnung, ich lasse es.",
    },
    "fr": {
        "confirm": "Pardon, c'était oui ou non ?",
        "choice": "Pardon, lequel : {options} ?",
        "number": "Pardon, quel nombre ?",
        "code": "Pardon, redites votre code, chiffre par chiffre.",
        "or": "ou",
        "dropped": "D'accord, je laisse.",
    },
    "es": {
        "confirm": "Perdona, ¿era un sí o un no?",
        "choice": "Perdona, ¿cuál: {options}?",
        "number": "Perdona, ¿qué número?",
        "code": "Perdona, di tu código otra vez, cifra por cifra.",
        "or": "o",
        "dropped": "De acuerdo, lo dejo.",
    },
    "nl": {
        "confirm": "Sorry, was dat een ja of een nee?",
        "choice": "Sorry, welke: {options}?",
        "number": "Sorry, welk getal?",
        "code": "Sorry, zeg je code nog eens, cijfer voor cijfer.",
        "or": "of",
        "dropped": "Goed, ik laat het zo.",
    },
}


def base_of(language: str | None) -> str:
    """The language of a region (de for de-CH) as it is listed here; English for one that is not."""
    base = (language or _FALLBACK).replace("_", "-").split("-", maxsplit=1)[0].lower()
    return base if base in _WORDS else _FALLBACK


def plain(text: str) -> tuple[str, ...]:
    """The words and numbers of a text, without accents, in lower case."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return tuple(_WORD.findall("".join(letter for letter in letters if not unicodedata.combining(letter))))


@dataclass(frozen=True)
class Spoken:
    """What the words of a sentence mean as an answer; `rest` are those that mean nothing here."""

    yes: bool
    no: bool
    cancel: bool
    places: frozenset[int]
    """Which of several, from 0; -1 the last."""
    numbers: tuple[float, ...]
    rest: tuple[str, ...]
    negated: bool


def read(text: str, language: str | None) -> Spoken:
    """Takes the longest phrase at each word."""
    meanings = _meanings(base_of(language))
    words = plain(text)
    found: dict[str, list[float]] = {}
    rest: list[str] = []
    at = 0
    while at < len(words):
        kind, value, length = "rest", 0.0, 1
        if words[at][0].isdigit():
            kind, value = "number", float(words[at].replace(",", "."))
        else:
            for size in range(min(_LONGEST, len(words) - at), 0, -1):
                meaning = meanings.get(words[at : at + size])
                if meaning is not None:
                    (kind, value), length = meaning, size
                    break
        if kind == "rest":
            rest.append(words[at])
        found.setdefault(kind, []).append(value)
        at += length
    if set(found) <= {"filler", "unit"}:
        # "One" may be a filler, but not when there is nothing else.
        found["number"] = list(_said_numbers(base_of(language), words))
    return Spoken(
        yes="yes" in found,
        no="no" in found,
        cancel="cancel" in found,
        places=frozenset(map(int, found.get("place", ()))),
        numbers=tuple(found.get("number", ())),
        rest=tuple(rest),
        negated=bool(_WORDS[base_of(language)].negators.intersection(words)),
    )


def _said_numbers(language: str, words: tuple[str, ...]) -> Iterator[float]:
    for word in words:
        yield from (float(value) for value, said in enumerate(_WORDS[language].numbers) if word in said.split("|"))


_LONGEST: Final = 5


@cache
def _meanings(language: str) -> Mapping[tuple[str, ...], tuple[str, float]]:
    words = _WORDS[language]
    kinds = [
        *((phrase, ("number", float(value))) for value, phrase in enumerate(words.numbers)),
        (words.fillers, ("filler", 0.0)),
        (words.units, ("unit", 0.0)),
        *((phrase, ("place", float(place))) for place, phrase in enumerate(words.ordinals)),
        (words.last, ("place", -1.0)),
        (words.yes, ("yes", 0.0)),
        (words.no, ("no", 0.0)),
        (words.cancel, ("cancel", 0.0)),
    ]
    return {plain(phrase): meaning for phrases, meaning in kinds for phrase in phrases.split("|")}
