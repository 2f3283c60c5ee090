"""How written text is said: "Kitchen 2" as kitchen two, "21.5%" as twenty one point five percent."""

from __future__ import annotations

from itertools import product
import re
from typing import Final
import unicodedata

# One written token may be said in several ways; a name of many numbers must not multiply without end.
FORMS_MAX: Final = 8
# Beyond this a number is said digit by digit.
CARDINAL_MAX: Final = 1_000_000

_ONES: Final = [
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
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS: Final = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SYMBOLS: Final = {
    "%": "percent",
    "&": "and",
    "+": "plus",
    "=": "equals",
    "@": "at",
    "°": "degrees",
    "$": "dollars",
    "€": "euros",
    "£": "pounds",
}
_APOSTROPHES: Final = str.maketrans("\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}`", "'''")
# A number, a run of letters with inner apostrophes, or a symbol that is said; the rest only separates.
_TOKEN: Final = re.compile(
    r"\d+(?:\.\d+)?|[^\W\d_]+(?:'[^\W\d_]+)*'?|[" + re.escape("".join(_SYMBOLS)) + "]",
)


def spoken_forms(text: str) -> list[tuple[str, ...]]:
    """The ways to say a text, as words that keep their case, the likeliest first; [()] when nothing of it is said."""
    folded = _without_accents(text.translate(_APOSTROPHES))
    tokens = [_token_forms(match.group()) for match in _TOKEN.finditer(folded)]
    forms: list[tuple[str, ...]] = [()]
    for alternatives in tokens:
        forms = [before + form for before, form in product(forms, alternatives)][:FORMS_MAX]
    return forms


def cardinal(number: int) -> tuple[str, ...]:
    """A number from 0 to CARDINAL_MAX - 1 in words, without "and"."""
    if number < 20:
        return (_ONES[number],)
    if number < 100:
        tens, ones = divmod(number, 10)
        return (_TENS[tens - 2], *(cardinal(ones) if ones else ()))
    size, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    count, rest = divmod(number, size)
    return (*cardinal(count), name, *(cardinal(rest) if rest else ()))


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _token_forms(token: str) -> list[tuple[str, ...]]:
    if token in _SYMBOLS:
        return [(_SYMBOLS[token],)]
    if not token[0].isdigit():
        return [(token,)]
    whole, _, decimals = token.partition(".")
    forms = _number_forms(whole)
    return [(*form, "point", *_digits(decimals)) for form in forms] if decimals else forms


def _number_forms(written: str) -> list[tuple[str, ...]]:
    number = int(written)
    if number >= CARDINAL_MAX or (len(written) > 1 and written.startswith("0")):
        return [_digits(written)]
    forms = [cardinal(number)]
    if number == 100:
        forms.append(("a", "hundred"))
    if number > 100 and number % 100:
        forms.append(_with_and(number))
    if 1100 <= number < 2100 and number % 100:
        forms.append(_as_year(number))
    return forms


def _with_and(number: int) -> tuple[str, ...]:
    return (*cardinal(number - number % 100), "and", *cardinal(number % 100))


def _as_year(number: int) -> tuple[str, ...]:
    century, year = divmod(number, 100)
    return (*cardinal(century), *(("oh",) if year < 10 else ()), *cardinal(year))


def _digits(written: str) -> tuple[str, ...]:
    return tuple(_ONES[int(digit)] for digit in written)
