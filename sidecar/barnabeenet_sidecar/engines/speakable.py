"""Text made ready for a speech engine: cleaned, bounded and cut into sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
import unicodedata

from sentence_stream import stream_to_sentences

from ..errors import BadRequest

TEXT_MAX_CHARS: Final = 16_384
# A sentence is made as a whole, so its length bounds the memory and how long others wait for their turn.
SENTENCE_MAX_CHARS: Final = 400
# Longer words have no meaning to a listener and some engines die of them.
_WORD_MAX_CHARS: Final = 50


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, without control characters; raises BadRequest when it is too long. Markup is text."""
    if len(text) > TEXT_MAX_CHARS:
        raise BadRequest(f"the text has more than {TEXT_MAX_CHARS} characters: send it in parts")
    for sentence in stream_to_sentences([_clean(text)]):
        yield from _bounded(sentence)


def _clean(text: str) -> str:
    # Unassigned, private and surrogate code points and control characters; format characters join letters and emoji.
    visible = (" " if unicodedata.category(char) in ("Cc", "Cn", "Co", "Cs") else char for char in text)
    return " ".join("".join(visible).split())


def _bounded(sentence: str) -> Iterator[str]:
    """Cuts between words, and within a word only when it is longer than any word."""
    part = ""
    for word in sentence.split():
        for start in range(0, len(word), _WORD_MAX_CHARS):
            piece = word[start : start + _WORD_MAX_CHARS]
            if part and len(part) + 1 + len(piece) > SENTENCE_MAX_CHARS:
                yield part
                part = ""
            part = f"{part} {piece}" if part else piece
    if any(char.isalnum() or unicodedata.category(char)[0] == "S" for char in part):
        yield part
