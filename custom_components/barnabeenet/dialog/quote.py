"""How text that nobody in this conversation said enters a prompt: as data between marks that the data cannot hold.

Names of entities, memories, calendar entries, weather and what tools return may have been written by anybody. A model
is told once that what stands between the marks is never an instruction; that it may still obey one is why
`dialog.policy` decides about every call.
"""

from __future__ import annotations

from typing import Any, Final
import unicodedata

OPEN: Final = "⟦"
CLOSE: Final = "⟧"

NAME_MAX_CHARS: Final = 80
TEXT_MAX_CHARS: Final = 400
RESULT_MAX_CHARS: Final = 6_000
_ELLIPSIS: Final = "…"
# More than any script stacks on one letter.
_MARKS_MAX: Final = 3
# Cleaning looks at every character; what is beyond this is cut before.
_LOOKED_AT_FACTOR: Final = 4
_JOINERS: Final = frozenset("\u200c\u200d")
_DROPPED: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
# What chat templates and markup are made of, and every bracket that looks like a mark.
_STAND_INS: Final = str.maketrans(
    {"<": "\u2039", ">": "\u203a", "[": "(", "]": ")", "{": "(", "}": ")", "|": "/", "`": "'"}
)


def clean(text: str, *, max_chars: int = TEXT_MAX_CHARS) -> str:
    """One line without control, direction or invisible characters, at most `max_chars` long; words stay as they are."""
    if len(text) <= max_chars and text.isascii() and text.isprintable():
        return " ".join(text.split())
    looked_at = unicodedata.normalize("NFC", text[: max_chars * _LOOKED_AT_FACTOR])
    kept: list[str] = []
    marks = 0
    for index, letter in enumerate(looked_at):
        category = unicodedata.category(letter)
        if letter.isspace() or category in {"Zl", "Zp"}:
            kept.append(" ")
        elif letter in _JOINERS:
            if _joins(looked_at, index):
                kept.append(letter)
        elif category in _DROPPED or _selects_variation(letter):
            continue
        elif category in {"Mn", "Me"}:
            marks += 1
            if marks <= _MARKS_MAX:
                kept.append(letter)
            continue
        else:
            kept.append(letter)
        marks = 0
    line = " ".join("".join(kept).split())
    return _shorten(line, max_chars, cut=len(text) > max_chars * _LOOKED_AT_FACTOR)


def quote(text: str, *, max_chars: int = TEXT_MAX_CHARS) -> str:
    """The text as data: cleaned, without anything that could end the quotation or pass for a turn of the talk."""
    line = clean(text, max_chars=max_chars).translate(_STAND_INS)
    return f"{OPEN}{line if line.isascii() else ''.join(map(_stand_in, line))}{CLOSE}"


def quote_name(name: str) -> str:
    """A name of an entity, a room or a person as data."""
    return quote(name, max_chars=NAME_MAX_CHARS)


def unquote(value: Any) -> Any:
    """A tool call's arguments without the marks that a model may have copied with a name."""
    if isinstance(value, str):
        return value.replace(OPEN, "").replace(CLOSE, "").strip() if OPEN in value or CLOSE in value else value
    if isinstance(value, dict):
        return {key: unquote(each) for key, each in value.items()}
    if isinstance(value, list):
        return [unquote(each) for each in value]
    return value


def _stand_in(letter: str) -> str:
    if letter.isascii():
        return letter
    category = unicodedata.category(letter)
    return "(" if category == "Ps" else ")" if category == "Pe" else letter


def _joins(text: str, index: int) -> bool:
    """Whether an invisible joiner stands between letters of a script that is written with it."""
    around = text[max(0, index - 1) : index] + text[index + 1 : index + 2]
    return len(around) == 2 and all(letter.isalpha() and ord(letter) > 0x2FF for letter in around)


def _selects_variation(letter: str) -> bool:
    """Whether it only chooses how another is drawn; long runs of these carry hidden text."""
    return "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef"


def _shorten(line: str, max_chars: int, *, cut: bool) -> str:
    if len(line) <= max_chars and not cut:
        return line
    return line[: max_chars - 1].rstrip() + _ELLIPSIS
