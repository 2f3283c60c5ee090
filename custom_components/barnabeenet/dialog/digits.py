"""The digits of a code as people say them: "four seven one one", "47 11", "forty-seven eleven", "4.711"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
import re
from typing import Final

from .follow_up_words import base_of, plain


@dataclass(frozen=True)
class _Numerals:
    """How a language counts: `ones` from 0 to 19, `tens` from 20 to 90; several ways are separated by "|"."""

    ones: str
    tens: str
    # Of "{ten}" and "{one}", for 21 to 99.
    joined: tuple[str, ...]
    # What is said before or after a code and is none of it.
    fillers: str
    double: str
    odd: Mapping[str, int]


_NUMERALS: Final[Mapping[str, _Numerals]] = {
    "en": _Numerals(
        "zero|oh|o|null,one,two,three,four|for,five,six,seven,eight,nine,ten,eleven,twelve,thirteen,fourteen,fifteen,"
        "sixteen,seventeen,eighteen,nineteen",
        "twenty,thirty,forty,fifty,sixty,seventy,eighty,ninety",
        ("{ten} {one}",),
        "the my code pin number is it s its that please and barnabee um uh er thanks yes okay ok",
        "double",
        {},
    ),
    "de": _Numerals(
        "null,eins|ein|eine,zwei|zwo,drei,vier,funf,sechs,sieben,acht,neun,zehn,elf,zwolf,dreizehn,vierzehn,funfzehn,"
        "sechzehn,siebzehn,achtzehn,neunzehn",
        "zwanzig,dreissig,vierzig,funfzig,sechzig,siebzig,achtzig,neunzig",
        ("{one}und{ten}", "{one} und {ten}"),
        "der die das mein meine code pin geheimzahl zahl nummer ist lautet es bitte und barnabee ah ahm danke ja okay ok",
        "doppel",
        {},
    ),
    "fr": _Numerals(
        "zero,un|une,deux,trois,quatre,cinq,six,sept,huit,neuf,dix,onze,douze,treize,quatorze,quinze,seize,dix sept,"
        "dix huit,dix neuf",
        "vingt,trente,quarante,cinquante,soixante,septante,huitante|octante|quatre vingt|quatre vingts,nonante",
        ("{ten} {one}", "{ten} et {one}"),
        "le la mon ma code numero c est il s te vous plait et barnabee euh merci oui d accord",
        "double",
        {},
    ),
    "es": _Numerals(
        "cero,uno|una|un,dos,tres,cuatro,cinco,seis,siete,ocho,nueve,diez,once,doce,trece,catorce,quince,dieciseis,"
        "diecisiete,dieciocho,diecinueve",
        "veinte,treinta,cuarenta,cincuenta,sesenta,setenta,ochenta,noventa",
        ("{ten} y {one}",),
        "el la mi codigo clave pin numero es por favor y barnabee eh gracias si vale",
        "doble",
        {"veintiuno": 21, "veintidos": 22, "veintitres": 23, "veinticuatro": 24, "veinticinco": 25}
        | {"veintiseis": 26, "veintisiete": 27, "veintiocho": 28, "veintinueve": 29},
    ),
    "nl": _Numerals(
        "nul,een,twee,drie,vier,vijf,zes,zeven,acht,negen,tien,elf,twaalf,dertien,veertien,vijftien,zestien,zeventien,"
        "achttien,negentien",
        "twintig,dertig,veertig,vijftig,zestig,zeventig,tachtig,negentig",
        ("{one}en{ten}", "{one} en {ten}"),
        "de het mijn code pin pincode nummer is alsjeblieft alstublieft en barnabee eh bedankt ja oke ok",
        "dubbel",
        {},
    ),
}
# "Soixante et onze" and "quatre-vingt-dix-sept" go on beyond nine.
_TENS_WITH_TEENS: Final = {"soixante": 60, "quatre vingt": 80}
_NOT_A_DIGIT: Final = re.compile(r"\D")


@dataclass(frozen=True)
class Heard:
    """The digits in a sentence, in their order; `alone` when nothing else was said but words that mean nothing here."""

    digits: str
    alone: bool

    def __repr__(self) -> str:
        return f"Heard({len(self.digits)} digits, alone={self.alone})"


def digits_in(text: str, language: str | None) -> Heard:
    """What digits were said, as figures or as words."""
    base = base_of(language)
    numbers, fillers = _numbers(base), frozenset(_NUMERALS[base].fillers.split())
    words, digits, alone, at, times = plain(text), "", True, 0, 1
    while at < len(words):
        value, length = _at(words, at, numbers)
        if value is not None:
            digits, times = digits + value * times, 1
        elif words[at] == _NUMERALS[base].double:
            times = 2
        elif words[at] not in fillers:
            alone = False
        at += length
    return Heard(digits, alone)


def _at(words: tuple[str, ...], at: int, numbers: Mapping[tuple[str, ...], int]) -> tuple[str | None, int]:
    """The digits that begin at a word, and how many words they take; the longest number counts."""
    if words[at][0].isdigit():
        return _NOT_A_DIGIT.sub("", words[at]), 1
    for length in range(min(_LONGEST, len(words) - at), 0, -1):
        value = numbers.get(words[at : at + length])
        if value is not None:
            return str(value), length
    return None, 1


_LONGEST: Final = 5


@cache
def _numbers(language: str) -> Mapping[tuple[str, ...], int]:
    return {plain(words): value for words, value in _spoken(_NUMERALS[language], is_french=language == "fr")}


def _spoken(numerals: _Numerals, *, is_french: bool) -> Iterator[tuple[str, int]]:
    ones = [ways.split("|") for ways in numerals.ones.split(",")]
    tens = [ways.split("|") for ways in numerals.tens.split(",")]
    for value, ways in enumerate(ones):
        yield from ((way, value) for way in ways)
    for ten, ways in enumerate(tens, start=2):
        for way in ways:
            yield way, 10 * ten
            for one in range(1, 10):
                yield from _joined(numerals, way, ones[one], 10 * ten + one)
    if is_french:
        for way, ten in _TENS_WITH_TEENS.items():
            for teen in range(10, 20):
                yield from _joined(numerals, way, ones[teen], ten + teen)
    yield from numerals.odd.items()


def _joined(numerals: _Numerals, ten: str, ones: list[str], value: int) -> Iterator[tuple[str, int]]:
    for form in numerals.joined:
        yield from ((form.format(ten=ten, one=one), value) for one in ones)
