"""What Barnabee says of its memories, in the languages that it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from .follow_up_words import base_of


class Say(Enum):
    """Occasions."""

    REMEMBERED = "remembered"
    REMEMBERED_FAMILY = "remembered_family"
    GUEST = "guest"
    UNSURE = "unsure"
    NOTHING = "nothing"
    YOU_TOLD = "you_told"
    YOU_TOLD_CLAUSE = "you_told_clause"
    FAMILY_TOLD = "family_told"
    ASK_FORGET = "ask_forget"
    ASK_FORGET_ALL = "ask_forget_all"
    ASK_WHICH = "ask_which"
    OR = "or"
    FORGOTTEN = "forgotten"
    FORGOTTEN_ALL = "forgotten_all"
    NOT_YOURS = "not_yours"
    TOO_LONG = "too_long"
    AWAY = "away"


_SAID: Final[Mapping[str, Mapping[Say, str]]] = {
    "en": {
        Say.REMEMBERED: "I'll remember that.",
        Say.REMEMBERED_FAMILY: "I'll remember that for the family.",
        Say.GUEST: "I keep things only for people I know, and I don't know who is speaking.",
        Say.UNSURE: "I am not sure enough that it is you. Please say that again.",
        Say.NOTHING: "You have told me nothing about that.",
        Say.YOU_TOLD: "You told me: {text}.",
        Say.YOU_TOLD_CLAUSE: "You told me {text}.",
        Say.FAMILY_TOLD: "Somebody in the family told me: {text}.",
        Say.ASK_FORGET: "Shall I forget this: {text}?",
        Say.ASK_FORGET_ALL: "Shall I forget everything that you have told me?",
        Say.ASK_WHICH: "Which one shall I forget: {options}?",
        Say.OR: "or",
        Say.FORGOTTEN: "I have forgotten it.",
        Say.FORGOTTEN_ALL: "I have forgotten all of it.",
        Say.NOT_YOURS: "That was told by somebody else, and only they can have me forget it.",
        Say.TOO_LONG: "That is too long for me to remember.",
        Say.AWAY: "Sorry, I can't reach what I was told right now.",
    },
    "de": {
        Say.REMEMBERED: "Das merke ich mir.",
        Say.REMEMBERED_FAMILY: "Das merke ich mir für die Familie.",
        Say.GUEST: "Ich merke mir nur etwas für Menschen, die ich kenne, und ich weiß nicht, wer spricht.",
        Say.UNSURE: "Ich bin nicht sicher genug, dass du es bist. Sag es bitte noch einmal.",
        Say.NOTHING: "Darüber hast du mir nichts gesagt.",
        Say.YOU_TOLD: "Du hast mir gesagt: {text}.",
        Say.YOU_TOLD_CLAUSE: "Du hast mir gesagt, {text}.",
        Say.FAMILY_TOLD: "Jemand aus der Familie hat mir gesagt: {text}.",
        Say.ASK_FORGET: "Soll ich das vergessen: {text}?",
        Say.ASK_FORGET_ALL: "Soll ich alles vergessen, was du mir gesagt hast?",
        Say.ASK_WHICH: "Was davon soll ich vergessen: {options}?",
        Say.OR: "oder",
        Say.FORGOTTEN: "Ich habe es vergessen.",
        Say.FORGOTTEN_ALL: "Ich habe alles vergessen.",
        Say.NOT_YOURS: "Das hat mir jemand anderes gesagt, und nur der kann es mich vergessen lassen.",
        Say.TOO_LONG: "Das ist zu lang, um es mir zu merken.",
        Say.AWAY: "Tut mir leid, ich komme gerade nicht an das, was mir gesagt wurde.",
    },
    "fr": {
        Say.REMEMBERED: "Je m'en souviendrai.",
        Say.REMEMBERED_FAMILY: "Je m'en souviendrai pour la famille.",
        Say.GUEST: "Je ne retiens des choses que pour les personnes que je connais, et je ne sais pas qui parle.",
        Say.UNSURE: "Je ne suis pas assez sûr que ce soit vous. Répétez, s'il vous plaît.",
        Say.NOTHING: "Vous ne m'avez rien dit à ce sujet.",
        Say.YOU_TOLD: "Vous m'avez dit : {text}.",
        Say.YOU_TOLD_CLAUSE: "Vous m'avez dit {text}.",
        Say.FAMILY_TOLD: "Quelqu'un de la famille m'a dit : {text}.",
        Say.ASK_FORGET: "Dois-je oublier ceci : {text} ?",
        Say.ASK_FORGET_ALL: "Dois-je oublier tout ce que vous m'avez dit ?",
        Say.ASK_WHICH: "Que dois-je oublier : {options} ?",
        Say.OR: "ou",
        Say.FORGOTTEN: "Je l'ai oublié.",
        Say.FORGOTTEN_ALL: "J'ai tout oublié.",
        Say.NOT_YOURS: "C'est quelqu'un d'autre qui me l'a dit, et seule cette personne peut me le faire oublier.",
        Say.TOO_LONG: "C'est trop long pour que je le retienne.",
        Say.AWAY: "Désolé, je n'ai pas accès à ce qu'on m'a dit pour le moment.",
    },
    "es": {
        Say.REMEMBERED: "Lo recordaré.",
        Say.REMEMBERED_FAMILY: "Lo recordaré para la familia.",
        Say.GUEST: "Solo guardo cosas para las personas que conozco, y no sé quién está hablando.",
        Say.UNSURE: "No estoy lo bastante seguro de que seas tú. Dilo otra vez, por favor.",
        Say.NOTHING: "No me has dicho nada sobre eso.",
        Say.YOU_TOLD: "Me dijiste: {text}.",
        Say.YOU_TOLD_CLAUSE: "Me dijiste {text}.",
        Say.FAMILY_TOLD: "Alguien de la familia me dijo: {text}.",
        Say.ASK_FORGET: "¿Olvido esto: {text}?",
        Say.ASK_FORGET_ALL: "¿Olvido todo lo que me has dicho?",
        Say.ASK_WHICH: "¿Qué olvido: {options}?",
        Say.OR: "o",
        Say.FORGOTTEN: "Lo he olvidado.",
        Say.FORGOTTEN_ALL: "Lo he olvidado todo.",
        Say.NOT_YOURS: "Eso me lo dijo otra persona, y solo ella puede hacer que lo olvide.",
        Say.TOO_LONG: "Eso es demasiado largo para recordarlo.",
        Say.AWAY: "Lo siento, ahora no puedo acceder a lo que me han dicho.",
    },
    "nl": {
        Say.REMEMBERED: "Dat onthoud ik.",
        Say.REMEMBERED_FAMILY: "Dat onthoud ik voor het gezin.",
        Say.GUEST: "Ik onthoud alleen dingen voor mensen die ik ken, en ik weet niet wie er spreekt.",
        Say.UNSURE: "Ik weet niet zeker genoeg dat jij het bent. Zeg het alsjeblieft nog eens.",
        Say.NOTHING: "Daar heb je me niets over verteld.",
        Say.YOU_TOLD: "Je hebt me verteld: {text}.",
        Say.YOU_TOLD_CLAUSE: "Je hebt me verteld {text}.",
        Say.FAMILY_TOLD: "Iemand uit het gezin heeft me verteld: {text}.",
        Say.ASK_FORGET: "Zal ik dit vergeten: {text}?",
        Say.ASK_FORGET_ALL: "Zal ik alles vergeten wat je me hebt verteld?",
        Say.ASK_WHICH: "Wat zal ik vergeten: {options}?",
        Say.OR: "of",
        Say.FORGOTTEN: "Ik ben het vergeten.",
        Say.FORGOTTEN_ALL: "Ik ben alles vergeten.",
        Say.NOT_YOURS: "Dat heeft iemand anders me verteld, en alleen die kan het me laten vergeten.",
        Say.TOO_LONG: "Dat is te lang om te onthouden.",
        Say.AWAY: "Sorry, ik kan nu niet bij wat me verteld is.",
    },
}


def say(occasion: Say, language: str | None, **said: str) -> str:
    """The phrase; in English where Barnabee does not speak the language."""
    text = _SAID[base_of(language)][occasion]
    return text.format(**said) if said else text
