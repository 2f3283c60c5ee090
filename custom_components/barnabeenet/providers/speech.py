"""What has been given out of an answer that several models may have to finish: whole sentences, and none of them twice."""

from __future__ import annotations

import re
from typing import Final

from .base import BadAnswer

# A sentence ends here when something follows; wrong for "Dr. Smith", which costs nothing unless the model fails there.
_END: Final = re.compile(r"[.!?…][\"'”’»)\]]*(?=\s)|[。！？]|\n")  # noqa: RUF001
_NOT_SPOKEN: Final = re.compile(r"[\W_]+")
# Speech need not wait longer for an end that does not come.
_HELD_CHARS: Final = 300
_WORD_MAX_CHARS: Final = 1000


class Speech:
    """Holds back the sentence that is not whole yet, so that another model can begin it anew when this one fails."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._earlier: set[str] = set()
        self._held = ""
        self._is_fresh = True

    @property
    def said(self) -> str:
        """All that was given out."""
        return "".join(self._said)

    def take(self, text: str) -> str:
        """What may be given out now; raises BadAnswer for text without words."""
        self._held += text
        end = max((match.end() for match in _END.finditer(self._held)), default=0)
        if not end and len(self._held) > _HELD_CHARS:
            end = self._held.rfind(" ")
            if end <= 0 and len(self._held) > _WORD_MAX_CHARS:
                raise BadAnswer(f"It sent {_WORD_MAX_CHARS} characters without a space")
        if end <= 0:
            return ""
        whole, self._held = self._held[:end], self._held[end:]
        return self._give(whole)

    def rest(self, *, is_whole: bool) -> str:
        """What was held back, at the end of an answer; an unfinished sentence only when nothing else was said."""
        held, self._held = self._held, ""
        if not is_whole and self.said:
            return ""
        return self._give(held)

    def failed(self) -> None:
        """The model is gone: what it had begun is dropped, and what it said is not to be heard again from the next."""
        self._held = ""
        self._earlier = {_spoken(sentence) for sentence in _sentences(self.said)}
        self._is_fresh = False

    def _give(self, text: str) -> str:
        kept = text
        if self._earlier:
            kept = "".join(sentence for sentence in _sentences(text) if not self._was_said(sentence))
        if not self._is_fresh and kept.strip():
            self._is_fresh = True
            if self._said and not kept[0].isspace():
                kept = f" {kept}"
        if kept:
            self._said.append(kept)
        return kept

    def _was_said(self, sentence: str) -> bool:
        # Only the same words: "the lamp is on" and "the lamp is off" are very much alike.
        words = _spoken(sentence)
        return bool(words) and words in self._earlier


def _sentences(text: str) -> list[str]:
    """The sentences, with the space before each; joined they are the text."""
    ends = [match.end() for match in _END.finditer(text)]
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True) if start < end]


def _spoken(sentence: str) -> str:
    return _NOT_SPOKEN.sub(" ", sentence.casefold()).strip()
