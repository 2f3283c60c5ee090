"""Which replies are short and frequent enough to be held as audio, and which one is said when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from .quick_phrases import ACKNOWLEDGEMENTS, PHRASES, THINKING, Occasion
from .sentences import Phrase, say

# Half a breath: what Home Assistant says that is longer is asked for rarely.
TEXT_MAX_CHARS: Final = 60

_FALLBACK_LANGUAGE: Final = "en"
_FINAL_PUNCTUATION: Final = " .!…"
# Until when they last, in hours of the day; after the last of them and before five it is night.
_GREETINGS: Final = ((5, Occasion.GOOD_EVENING), (12, Occasion.GOOD_MORNING), (18, Occasion.GOOD_AFTERNOON))

# A filler for less would come with the answer itself.
FILLER_FROM_MS: Final = 300
THINKING_FROM_MS: Final = 800

ValueT = TypeVar("ValueT")


def phrase(occasion: Occasion, language: str | None) -> str:
    """What is said then, in a language or its regional form; in English where Barnabee does not speak it."""
    return _spoken(PHRASES, language)[occasion]


def greeting(hour: int) -> Occasion:
    """How one greets at an hour of the day, 0 to 23."""
    return next((occasion for until, occasion in _GREETINGS if hour < until), Occasion.GOOD_EVENING)


def filler(expected_ms: float, language: str | None, last: str | None = None) -> str | None:
    """What is said while the answer is expected to take so long; never the same as the last time, None for nothing."""
    if expected_ms < FILLER_FROM_MS:
        return None
    choice = _spoken(ACKNOWLEDGEMENTS if expected_ms < THINKING_FROM_MS else THINKING, language)
    return choice[(choice.index(last) + 1) % len(choice)] if last in choice else choice[0]


def quick_words(language: str | None, responses: Mapping[str, Any]) -> list[str]:
    """Every quick word of a language, each once, ours first.

    `responses` are those of Home Assistant's sentences: of them, what is short and has nothing to fill in.
    """
    ours = [
        *_spoken(PHRASES, language).values(),
        *(text for occasion in Phrase if "{" not in (text := say(occasion, language))),
        *_spoken(ACKNOWLEDGEMENTS, language),
        *_spoken(THINKING, language),
    ]
    by_meaning: dict[str, str] = {}
    for text in [*ours, *_fixed(responses)]:
        by_meaning.setdefault(normalised(text), text)
    return list(by_meaning.values())


def normalised(text: str) -> str:
    """A text without what is not heard: how it is spaced and how a statement ends."""
    return " ".join(text.split()).rstrip(_FINAL_PUNCTUATION)


def _fixed(responses: Mapping[str, Any]) -> Iterator[str]:
    replies = (text for intent in responses.get("intents", {}).values() for text in intent.values())
    for text in [*replies, *responses.get("errors", {}).values()]:
        if isinstance(text, str) and "{" not in text and 0 < len(normalised(text)) <= TEXT_MAX_CHARS:
            yield text.strip()


def _spoken(table: Mapping[str, ValueT], language: str | None) -> ValueT:
    primary = (language or _FALLBACK_LANGUAGE).replace("_", "-").split("-", maxsplit=1)[0].lower()
    return table.get(primary, table[_FALLBACK_LANGUAGE])


def batches(texts: Sequence[str], size: int) -> list[Sequence[str]]:
    """The texts in portions of one request."""
    return [texts[start : start + size] for start in range(0, len(texts), size)]
