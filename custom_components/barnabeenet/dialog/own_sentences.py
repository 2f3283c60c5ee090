"""What people say to Barnabee itself, beside HA's sentences: answers, codes, names, memories, a lesson of their voice.

A recogniser that writes whatever it hears needs none of it. The embedded one takes the sentences that it was told and
nothing else, so these are few, and only in the languages that it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from .enrolment_words import phrases_of


@dataclass(frozen=True)
class Own:
    """Hassil templates and what may stand in their lists; the home knows each {person}, {area}, {lock} and {cover}."""

    templates: tuple[str, ...] = ()
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NOTHING: Final = Own()

# A list for each place: of one for all, digits without end could be made, and any foreign speech sounds like some.
_PLACES: Final = ("digit_1", "digit_2", "digit_3", "digit_4")
_CODE: Final = " ".join(f"{{{place}}}" for place in _PLACES)
_DIGITS: Final = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")

_PUNCTUATION: Final = str.maketrans("", "", ".,?")

_OWN: Final[Mapping[str, Own]] = {
    "en": Own(
        templates=(
            # Answers to what was asked back.
            "yes [please]",
            "no [thanks|thank you]",
            "(cancel|never mind|stop)",
            "the (first|second|third|last) one",
            # A yes alone is too short to know a voice by.
            "yes (unlock|open) it",
            "yes unlock [the] {lock}",
            "yes open [the] {cover}",
            # Codes and names.
            f"[my code is] {_CODE}",
            "(i'm|i am|it's|my name is|this is) {person}",
            "{person}",
            # Memories.
            f"remember [that] (my|our) {{secret}} code is {_CODE}",
            f"remember for everyone that our {{secret}} code is {_CODE}",
            "(what's|what is) (my|our) {secret} code",
            "what did i tell you about (my|our) {secret} code",
            "forget (my|our) {secret} code",
            "remember [that] my {thing} is in the {area}",
            "remember [that] my {things} are in the {area}",
            "(where's|where is) my {thing}",
            "where are my {things}",
            "where did i put my {thing}",
            "where did i put my {things}",
            "what do you (know|remember) about me",
            "forget that",
            "forget everything you know about me",
            # A lesson.
            "[please] learn my voice",
            *(phrase.translate(_PUNCTUATION).lower() for phrase in phrases_of("en")),
        ),
        lists={
            **dict.fromkeys(_PLACES, _DIGITS),
            "secret": (
                "alarm",
                "bike",
                "bike lock",
                "cabinet",
                "door",
                "garage",
                "gate",
                "locker",
                "parcel box",
                "safe",
            ),
            "thing": ("bag", "camera", "charger", "coat", "jacket", "passport", "phone", "umbrella", "wallet", "watch"),
            "things": ("glasses", "gloves", "headphones", "keys", "pills", "scissors", "shoes", "sunglasses"),
        },
    )
}


def own_sentences(language: str) -> Own:
    """The sentences of a language; none in most."""
    return _OWN.get(language, NOTHING)
