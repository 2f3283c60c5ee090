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
    TOO_OFTEN = "too_often"
    TALKED_OUT = "talked_out"
    TRY_LATER = "try_later"
    MODELS_GONE = "models_gone"
    LOCAL_ONLY = "local_only"
    SAVING = "saving"
    BUDGET_USED_UP = "budget_used_up"
    UNFINISHED = "unfinished"
    SAY_CODE = "say_code"
    WRONG_CODE = "wrong_code"
    CODE_LOCKED = "code_locked"
    CODE_TOO_LATE = "code_too_late"
    LOOK_AT_PHONE = "look_at_phone"
    SAY_IT_ALL = "say_it_all"
    UNKNOWN_VOICE = "unknown_voice"
    UNSURE_VOICE = "unsure_voice"
    MAY_NOT = "may_not"


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
        Phrase.TOO_OFTEN: "That was a lot at once, please give me {seconds} seconds.",
        Phrase.TALKED_OUT: "We have talked so much that I keep to home commands for the next {minutes} minutes.",
        Phrase.TRY_LATER: "Sorry, I can't remember conversations right now, but home commands still work.",
        Phrase.MODELS_GONE: "Sorry, I can't reach my language model right now, but home commands still work.",
        Phrase.LOCAL_ONLY: "I am set to stay at home, so I can only do home commands.",
        Phrase.SAVING: "I am saving today's budget, so I keep to home commands for now.",
        Phrase.BUDGET_USED_UP: "Today's budget is nearly used up, so I only do basic commands until tomorrow.",
        Phrase.UNFINISHED: "Sorry, I could not finish that.",
        Phrase.SAY_CODE: "Please say your code.",
        Phrase.WRONG_CODE: "That was not the right code, please say it again.",
        Phrase.CODE_LOCKED: "That was wrong too often, so I take no code for {minutes} minutes.",
        Phrase.CODE_TOO_LATE: "I am not waiting for a code.",
        Phrase.LOOK_AT_PHONE: "Please confirm it on your phone.",
        Phrase.SAY_IT_ALL: "I could not tell who that was, please say yes and what you want in one sentence.",
        Phrase.UNKNOWN_VOICE: "I only do that for people whose voice I know.",
        Phrase.UNSURE_VOICE: "I am not sure enough that it is you, so I leave that.",
        Phrase.MAY_NOT: "I may not do that for you.",
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
        Phrase.TOO_OFTEN: "Das war viel auf einmal, gib mir bitte {seconds} Sekunden.",
        Phrase.TALKED_OUT: "Wir haben so viel geredet, dass ich die nächsten {minutes} Minuten bei Befehlen fürs Haus bleibe.",
        Phrase.TRY_LATER: "Tut mir leid, ich kann mir Gespräche gerade nicht merken, aber Befehle fürs Haus gehen weiter.",
        Phrase.MODELS_GONE: "Tut mir leid, ich erreiche mein Sprachmodell gerade nicht, aber Befehle fürs Haus gehen weiter.",
        Phrase.LOCAL_ONLY: "Ich soll im Haus bleiben und kann deshalb nur Befehle fürs Haus ausführen.",
        Phrase.SAVING: "Ich schone das Budget für heute und bleibe vorerst bei Befehlen fürs Haus.",
        Phrase.BUDGET_USED_UP: "Das Budget für heute ist fast aufgebraucht, bis morgen mache ich nur noch einfache Befehle.",
        Phrase.UNFINISHED: "Tut mir leid, damit bin ich nicht fertig geworden.",
        Phrase.SAY_CODE: "Sag bitte deinen Code.",
        Phrase.WRONG_CODE: "Das war nicht der richtige Code, sag ihn bitte noch einmal.",
        Phrase.CODE_LOCKED: "Das war zu oft falsch, deshalb nehme ich {minutes} Minuten lang keinen Code an.",
        Phrase.CODE_TOO_LATE: "Ich warte auf keinen Code.",
        Phrase.LOOK_AT_PHONE: "Bestätige es bitte auf deinem Telefon.",
        Phrase.SAY_IT_ALL: "Ich konnte nicht hören, wer das war, sag bitte ja und was du willst in einem Satz.",
        Phrase.UNKNOWN_VOICE: "Das mache ich nur für Leute, deren Stimme ich kenne.",
        Phrase.UNSURE_VOICE: "Ich bin nicht sicher genug, dass du es bist, deshalb lasse ich das.",
        Phrase.MAY_NOT: "Das darf ich für dich nicht tun.",
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
        Phrase.TOO_OFTEN: "Cela fait beaucoup à la fois, laissez-moi {seconds} secondes, s'il vous plaît.",
        Phrase.TALKED_OUT: "Nous avons tant parlé que je m'en tiens aux commandes de la maison pour les {minutes} prochaines minutes.",
        Phrase.TRY_LATER: "Désolé, je ne peux pas retenir de conversation pour l'instant, mais les commandes de la maison marchent toujours.",
        Phrase.MODELS_GONE: "Désolé, je n'arrive pas à joindre mon modèle de langue, mais les commandes de la maison marchent toujours.",
        Phrase.LOCAL_ONLY: "Je dois rester à la maison, je ne fais donc que les commandes de la maison.",
        Phrase.SAVING: "J'économise le budget du jour, je m'en tiens donc aux commandes de la maison.",
        Phrase.BUDGET_USED_UP: "Le budget du jour est presque épuisé, je ne fais que les commandes simples jusqu'à demain.",
        Phrase.UNFINISHED: "Désolé, je n'ai pas pu terminer cela.",
        Phrase.SAY_CODE: "Dites votre code, s'il vous plaît.",
        Phrase.WRONG_CODE: "Ce n'était pas le bon code, redites-le, s'il vous plaît.",
        Phrase.CODE_LOCKED: "C'était faux trop souvent, je n'accepte donc aucun code pendant {minutes} minutes.",
        Phrase.CODE_TOO_LATE: "Je n'attends pas de code.",
        Phrase.LOOK_AT_PHONE: "Confirmez-le sur votre téléphone, s'il vous plaît.",
        Phrase.SAY_IT_ALL: "Je n'ai pas pu reconnaître qui c'était, dites oui et ce que vous voulez en une phrase.",
        Phrase.UNKNOWN_VOICE: "Je ne fais cela que pour les personnes dont je connais la voix.",
        Phrase.UNSURE_VOICE: "Je ne suis pas assez sûr que ce soit vous, je laisse donc cela.",
        Phrase.MAY_NOT: "Je n'ai pas le droit de faire cela pour vous.",
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
        Phrase.TOO_OFTEN: "Eso ha sido mucho de una vez, dame {seconds} segundos, por favor.",
        Phrase.TALKED_OUT: "Hemos hablado tanto que durante los próximos {minutes} minutos solo haré órdenes de la casa.",
        Phrase.TRY_LATER: "Lo siento, ahora no puedo recordar conversaciones, pero las órdenes de la casa siguen funcionando.",
        Phrase.MODELS_GONE: "Lo siento, ahora no puedo contactar con mi modelo de lenguaje, pero las órdenes de la casa siguen funcionando.",
        Phrase.LOCAL_ONLY: "Debo quedarme en casa, así que solo hago órdenes de la casa.",
        Phrase.SAVING: "Estoy ahorrando el presupuesto de hoy, así que por ahora solo hago órdenes de la casa.",
        Phrase.BUDGET_USED_UP: "El presupuesto de hoy casi se ha agotado, así que solo hago órdenes sencillas hasta mañana.",
        Phrase.UNFINISHED: "Lo siento, no he podido terminar eso.",
        Phrase.SAY_CODE: "Di tu código, por favor.",
        Phrase.WRONG_CODE: "Ese no era el código correcto, dilo otra vez, por favor.",
        Phrase.CODE_LOCKED: "Ha fallado demasiadas veces, así que no acepto ningún código durante {minutes} minutos.",
        Phrase.CODE_TOO_LATE: "No estoy esperando ningún código.",
        Phrase.LOOK_AT_PHONE: "Confírmalo en tu teléfono, por favor.",
        Phrase.SAY_IT_ALL: "No he podido saber quién era, di sí y lo que quieres en una sola frase.",
        Phrase.UNKNOWN_VOICE: "Eso solo lo hago para personas cuya voz conozco.",
        Phrase.UNSURE_VOICE: "No estoy lo bastante seguro de que seas tú, así que lo dejo.",
        Phrase.MAY_NOT: "No puedo hacer eso por ti.",
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
        Phrase.TOO_OFTEN: "Dat was veel tegelijk, geef me {seconds} seconden, alsjeblieft.",
        Phrase.TALKED_OUT: "We hebben zoveel gepraat dat ik het de komende {minutes} minuten bij opdrachten voor het huis houd.",
        Phrase.TRY_LATER: "Sorry, ik kan nu geen gesprekken onthouden, maar opdrachten voor het huis werken nog.",
        Phrase.MODELS_GONE: "Sorry, ik kan mijn taalmodel nu niet bereiken, maar opdrachten voor het huis werken nog.",
        Phrase.LOCAL_ONLY: "Ik moet in huis blijven, dus ik doe alleen opdrachten voor het huis.",
        Phrase.SAVING: "Ik spaar het budget van vandaag en houd het voorlopig bij opdrachten voor het huis.",
        Phrase.BUDGET_USED_UP: "Het budget van vandaag is bijna op, tot morgen doe ik alleen eenvoudige opdrachten.",
        Phrase.UNFINISHED: "Sorry, dat heb ik niet kunnen afmaken.",
        Phrase.SAY_CODE: "Zeg je code, alsjeblieft.",
        Phrase.WRONG_CODE: "Dat was niet de juiste code, zeg hem nog eens, alsjeblieft.",
        Phrase.CODE_LOCKED: "Dat was te vaak fout, dus ik neem {minutes} minuten lang geen code aan.",
        Phrase.CODE_TOO_LATE: "Ik wacht niet op een code.",
        Phrase.LOOK_AT_PHONE: "Bevestig het op je telefoon, alsjeblieft.",
        Phrase.SAY_IT_ALL: "Ik kon niet horen wie dat was, zeg ja en wat je wilt in één zin.",
        Phrase.UNKNOWN_VOICE: "Dat doe ik alleen voor mensen van wie ik de stem ken.",
        Phrase.UNSURE_VOICE: "Ik weet niet zeker genoeg dat jij het bent, dus ik laat dat.",
        Phrase.MAY_NOT: "Dat mag ik niet voor je doen.",
    },
}


def say(phrase: Phrase, language: str | None, **said: object) -> str:
    """The phrase in a language or its regional form ("de-CH"); in English where Barnabee does not speak it.

    `said` are the words for its blanks, if it has any.
    """
    spoken = (language or "en").replace("_", "-").split("-", maxsplit=1)[0].lower()
    text = _PHRASES.get(spoken, _PHRASES["en"])[phrase]
    return text.format(**said) if said else text
