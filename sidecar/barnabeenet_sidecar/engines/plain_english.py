"""Text in the letters that an English-only engine knows: ASCII, with signs as words."""

# ruff: noqa: RUF001 - look-alikes of ASCII signs are what is replaced here

from __future__ import annotations

import re
from typing import Final
import unicodedata

_SIGNS: Final = {
    "°C": "degrees Celsius",
    "°F": "degrees Fahrenheit",
    "°": "degrees",
    "€": "euros",
    "£": "pounds",
    "¥": "yen",
    "²": "squared",
    "³": "cubed",
    "½": "and a half",
    "¼": "and a quarter",
    "¾": "and three quarters",
    "×": "times",
    "÷": "divided by",
    "±": "plus or minus",
    "≈": "about",
    "~": "about",
    "&": "and",
    "+": "plus",
    "=": "equals",
    "<": "less than",
    ">": "greater than",
    "@": "at",
    "#": "number",
    "%": "percent",
}
_SIGN = re.compile("|".join(re.escape(sign) for sign in _SIGNS))
# A currency is written before its number and spoken after it.
_PRICE = re.compile(r"([€£¥])\s?(\d+(?:[.,]\d+)*)")
_LETTERS: Final = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "ð": "d"}
    | {"‘": "'", "’": "'", "“": '"', "”": '"', "–": ", ", "—": ", ", "…": "...", "_": " ", "|": " ", "*": " "}
)


def plain_english(text: str) -> str:
    """Accents dropped, signs spoken, and what has no English form left out."""
    text = _PRICE.sub(r"\2 \1", text)
    text = _SIGN.sub(lambda match: f" {_SIGNS[match[0]]} ", text).translate(_LETTERS)
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
