"""Whether a text that a language model wants kept follows from what the person has said, and not from what it read."""

from __future__ import annotations

from collections.abc import Iterable

from .cues import stop_words, tokens


def are_own_words(text: str, said: Iterable[str], language: str | None) -> bool:
    """Whether at least half of the words that say something were said; a text without any is nobody's."""
    telling = frozenset(tokens(text)) - stop_words(language)
    words = frozenset(word for each in said for word in tokens(each))
    return bool(telling) and 2 * len(telling & words) >= len(telling)
