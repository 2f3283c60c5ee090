"""What Barnabee says of itself, in the languages it speaks; everything else is said in Home Assistant's own words."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Phrase(Enum):
    """Occasions on which Barnabee speaks of itself."""

    CANNOT_HELP = "cannot_help"
    HEARD_NOTHING = "heard_nothing"
    TOO_LONG = "too_long"
    FAILED = "failed"


_PHRASES: Final[dict[str, dict[Phrase, str]]] = {
    "en": {
        Phrase.CANNOT_HELP: "Sorry, I can't help with that yet.",
        Phrase.HEARD_NOTHING: "Sorry, I didn't hear anything.",
        Phrase.TOO_LONG: "Sorry, that was too long for me.",
        Phrase.FAILED: "Sorry, something went wrong.",
    },
    "de": {
        Phrase.CANNOT_HELP: "Tut mir leid, dabei kann ich noch nicht helfen.",
        Phrase.HEARD_NOTHING: "Tut mir leid, ich habe nichts gehört.",
        Phrase.TOO_LONG: "Tut mir leid, das war mir zu lang.",
        Phrase.FAILED: "Tut mir leid, da ist etwas schiefgegangen.",
    },
    "fr": {
        Phrase.CANNOT_HELP: "Désolé, je ne sais pas encore faire cela.",
        Phrase.HEARD_NOTHING: "Désolé, je n'ai rien entendu.",
        Phrase.TOO_LONG: "Désolé, c'était trop long pour moi.",
        Phrase.FAILED: "Désolé, quelque chose s'est mal passé.",
    },
    "es": {
        Phrase.CANNOT_HELP: "Lo siento, todavía no puedo ayudarte con eso.",
        Phrase.HEARD_NOTHING: "Lo siento, no he oído nada.",
        Phrase.TOO_LONG: "Lo siento, eso es demasiado largo para mí.",
        Phrase.FAILED: "Lo siento, algo ha salido mal.",
    },
    "nl": {
        Phrase.CANNOT_HELP: "Sorry, daar kan ik nog niet mee helpen.",
        Phrase.HEARD_NOTHING: "Sorry, ik heb niets gehoord.",
        Phrase.TOO_LONG: "Sorry, dat was te lang voor mij.",
        Phrase.FAILED: "Sorry, er ging iets mis.",
    },
}


def say(phrase: Phrase, language: str | None) -> str:
    """The phrase in a language or its regional form ("de-CH"); in English where Barnabee does not speak it."""
    spoken = (language or "en").replace("_", "-").split("-", maxsplit=1)[0].lower()
    return _PHRASES.get(spoken, _PHRASES["en"])[phrase]
