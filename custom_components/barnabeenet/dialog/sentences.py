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
    DONE = "done"
    NOT_DONE = "not_done"
    PARTLY_DONE = "partly_done"
    TOO_MANY = "too_many"
    DID_YOU_MEAN = "did_you_mean"
    LEFT_ALONE = "left_alone"


_PHRASES: Final[dict[str, dict[Phrase, str]]] = {
    "en": {
        Phrase.CANNOT_HELP: "Sorry, I can't help with that yet.",
        Phrase.HEARD_NOTHING: "Sorry, I didn't hear anything.",
        Phrase.TOO_LONG: "Sorry, that was too long for me.",
        Phrase.FAILED: "Sorry, something went wrong.",
        Phrase.DONE: "Done.",
        Phrase.NOT_DONE: "This did not work: {failed}.",
        Phrase.PARTLY_DONE: "{done}, but this did not work: {failed}.",
        Phrase.TOO_MANY: "Sorry, I can do at most {most} things at once.",
        Phrase.DID_YOU_MEAN: "Did you mean {options}?",
        Phrase.LEFT_ALONE: "Okay, I'll leave it.",
    },
    "de": {
        Phrase.CANNOT_HELP: "Tut mir leid, dabei kann ich noch nicht helfen.",
        Phrase.HEARD_NOTHING: "Tut mir leid, ich habe nichts gehört.",
        Phrase.TOO_LONG: "Tut mir leid, das war mir zu lang.",
        Phrase.FAILED: "Tut mir leid, da ist etwas schiefgegangen.",
        Phrase.DONE: "Erledigt.",
        Phrase.NOT_DONE: "Das ging nicht: {failed}.",
        Phrase.PARTLY_DONE: "{done}, aber das ging nicht: {failed}.",
        Phrase.TOO_MANY: "Tut mir leid, ich kann höchstens {most} Dinge auf einmal tun.",
        Phrase.DID_YOU_MEAN: "Meintest du {options}?",
        Phrase.LEFT_ALONE: "Gut, ich lasse es.",
    },
    "fr": {
        Phrase.CANNOT_HELP: "Désolé, je ne sais pas encore faire cela.",
        Phrase.HEARD_NOTHING: "Désolé, je n'ai rien entendu.",
        Phrase.TOO_LONG: "Désolé, c'était trop long pour moi.",
        Phrase.FAILED: "Désolé, quelque chose s'est mal passé.",
        Phrase.DONE: "C'est fait.",
        Phrase.NOT_DONE: "Ceci n'a pas marché : {failed}.",
        Phrase.PARTLY_DONE: "{done}, mais ceci n'a pas marché : {failed}.",
        Phrase.TOO_MANY: "Désolé, je peux faire au plus {most} choses à la fois.",
        Phrase.DID_YOU_MEAN: "Vouliez-vous dire {options} ?",
        Phrase.LEFT_ALONE: "D'accord, je laisse comme ça.",
    },
    "es": {
        Phrase.CANNOT_HELP: "Lo siento, todavía no puedo ayudarte con eso.",
        Phrase.HEARD_NOTHING: "Lo siento, no he oído nada.",
        Phrase.TOO_LONG: "Lo siento, eso es demasiado largo para mí.",
        Phrase.FAILED: "Lo siento, algo ha salido mal.",
        Phrase.DONE: "Hecho.",
        Phrase.NOT_DONE: "Esto no ha funcionado: {failed}.",
        Phrase.PARTLY_DONE: "{done}, pero esto no ha funcionado: {failed}.",
        Phrase.TOO_MANY: "Lo siento, puedo hacer como mucho {most} cosas a la vez.",
        Phrase.DID_YOU_MEAN: "¿Querías decir {options}?",
        Phrase.LEFT_ALONE: "De acuerdo, lo dejo así.",
    },
    "nl": {
        Phrase.CANNOT_HELP: "Sorry, daar kan ik nog niet mee helpen.",
        Phrase.HEARD_NOTHING: "Sorry, ik heb niets gehoord.",
        Phrase.TOO_LONG: "Sorry, dat was te lang voor mij.",
        Phrase.FAILED: "Sorry, er ging iets mis.",
        Phrase.DONE: "Klaar.",
        Phrase.NOT_DONE: "Dit lukte niet: {failed}.",
        Phrase.PARTLY_DONE: "{done}, maar dit lukte niet: {failed}.",
        Phrase.TOO_MANY: "Sorry, ik kan hooguit {most} dingen tegelijk doen.",
        Phrase.DID_YOU_MEAN: "Bedoelde je {options}?",
        Phrase.LEFT_ALONE: "Goed, ik laat het zo.",
    },
}


def say(phrase: Phrase, language: str | None, **said: object) -> str:
    """The phrase in a language or its regional form ("de-CH"); in English where Barnabee does not speak it.

    `said` are the words for its blanks, if it has any.
    """
    spoken = (language or "en").replace("_", "-").split("-", maxsplit=1)[0].lower()
    text = _PHRASES.get(spoken, _PHRASES["en"])[phrase]
    return text.format(**said) if said else text
