"""What Barnabee says most, in the languages it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Occasion(Enum):
    """Occasions that a short reply without names or numbers is enough for."""

    DONE = "done"
    ON = "on"
    OFF = "off"
    OPEN = "open"
    CLOSED = "closed"
    LOCKED = "locked"
    ALREADY = "already"
    SAVED = "saved"
    CANCELLED = "cancelled"
    GOOD_MORNING = "good_morning"
    GOOD_AFTERNOON = "good_afternoon"
    GOOD_EVENING = "good_evening"
    HELLO = "hello"
    WELCOME_HOME = "welcome_home"
    GOODBYE = "goodbye"
    SEE_YOU = "see_you"
    GOOD_NIGHT = "good_night"
    SLEEP_WELL = "sleep_well"
    YES = "yes"
    NO = "no"
    NO_PROBLEM = "no_problem"
    YOU_ARE_WELCOME = "you_are_welcome"
    ANYTHING_ELSE = "anything_else"
    ARE_YOU_SURE = "are_you_sure"
    PLEASE_REPEAT = "please_repeat"
    NOT_FOUND = "not_found"
    NOT_ALLOWED = "not_allowed"
    UNAVAILABLE = "unavailable"
    OFFLINE = "offline"
    TRY_LATER = "try_later"
    MAINTENANCE = "maintenance"
    BACK = "back"


PHRASES: Final[Mapping[str, Mapping[Occasion, str]]] = {
    "en": {
        Occasion.DONE: "Done.",
        Occasion.ON: "It's on.",
        Occasion.OFF: "It's off.",
        Occasion.OPEN: "It's open.",
        Occasion.CLOSED: "It's closed.",
        Occasion.LOCKED: "It's locked.",
        Occasion.ALREADY: "That's already done.",
        Occasion.SAVED: "I'll remember that.",
        Occasion.CANCELLED: "Cancelled.",
        Occasion.GOOD_MORNING: "Good morning.",
        Occasion.GOOD_AFTERNOON: "Good afternoon.",
        Occasion.GOOD_EVENING: "Good evening.",
        Occasion.HELLO: "Hello.",
        Occasion.WELCOME_HOME: "Welcome home.",
        Occasion.GOODBYE: "Goodbye.",
        Occasion.SEE_YOU: "See you later.",
        Occasion.GOOD_NIGHT: "Good night.",
        Occasion.SLEEP_WELL: "Good night, sleep well.",
        Occasion.YES: "Yes.",
        Occasion.NO: "No.",
        Occasion.NO_PROBLEM: "No problem.",
        Occasion.YOU_ARE_WELCOME: "You're welcome.",
        Occasion.ANYTHING_ELSE: "Anything else?",
        Occasion.ARE_YOU_SURE: "Are you sure?",
        Occasion.PLEASE_REPEAT: "Could you say that again?",
        Occasion.NOT_FOUND: "Sorry, I couldn't find that.",
        Occasion.NOT_ALLOWED: "Sorry, I'm not allowed to do that.",
        Occasion.UNAVAILABLE: "That isn't available right now.",
        Occasion.OFFLINE: "It doesn't answer at the moment.",
        Occasion.TRY_LATER: "Please try again in a moment.",
        Occasion.MAINTENANCE: "I'm being updated and will be back soon.",
        Occasion.BACK: "I'm back.",
    },
    "de": {
        Occasion.DONE: "Erledigt.",
        Occasion.ON: "Ist an.",
        Occasion.OFF: "Ist aus.",
        Occasion.OPEN: "Ist offen.",
        Occasion.CLOSED: "Ist zu.",
        Occasion.LOCKED: "Ist abgeschlossen.",
        Occasion.ALREADY: "Das ist schon so.",
        Occasion.SAVED: "Das merke ich mir.",
        Occasion.CANCELLED: "Abgebrochen.",
        Occasion.GOOD_MORNING: "Guten Morgen.",
        Occasion.GOOD_AFTERNOON: "Guten Tag.",
        Occasion.GOOD_EVENING: "Guten Abend.",
        Occasion.HELLO: "Hallo.",
        Occasion.WELCOME_HOME: "Willkommen zu Hause.",
        Occasion.GOODBYE: "Auf Wiedersehen.",
        Occasion.SEE_YOU: "Bis später.",
        Occasion.GOOD_NIGHT: "Gute Nacht.",
        Occasion.SLEEP_WELL: "Gute Nacht, schlaf gut.",
        Occasion.YES: "Ja.",
        Occasion.NO: "Nein.",
        Occasion.NO_PROBLEM: "Kein Problem.",
        Occasion.YOU_ARE_WELCOME: "Gern geschehen.",
        Occasion.ANYTHING_ELSE: "Noch etwas?",
        Occasion.ARE_YOU_SURE: "Bist du sicher?",
        Occasion.PLEASE_REPEAT: "Kannst du das noch einmal sagen?",
        Occasion.NOT_FOUND: "Tut mir leid, das habe ich nicht gefunden.",
        Occasion.NOT_ALLOWED: "Tut mir leid, das darf ich nicht.",
        Occasion.UNAVAILABLE: "Das ist gerade nicht verfügbar.",
        Occasion.OFFLINE: "Es antwortet gerade nicht.",
        Occasion.TRY_LATER: "Versuch es bitte gleich noch einmal.",
        Occasion.MAINTENANCE: "Ich werde gerade aktualisiert und bin bald wieder da.",
        Occasion.BACK: "Ich bin wieder da.",
    },
    "fr": {
        Occasion.DONE: "C'est fait.",
        Occasion.ON: "C'est allumé.",
        Occasion.OFF: "C'est éteint.",
        Occasion.OPEN: "C'est ouvert.",
        Occasion.CLOSED: "C'est fermé.",
        Occasion.LOCKED: "C'est verrouillé.",
        Occasion.ALREADY: "C'est déjà le cas.",
        Occasion.SAVED: "Je m'en souviendrai.",
        Occasion.CANCELLED: "Annulé.",
        Occasion.GOOD_MORNING: "Bonjour.",
        Occasion.GOOD_AFTERNOON: "Bon après-midi.",
        Occasion.GOOD_EVENING: "Bonsoir.",
        Occasion.HELLO: "Salut.",
        Occasion.WELCOME_HOME: "Bienvenue à la maison.",
        Occasion.GOODBYE: "Au revoir.",
        Occasion.SEE_YOU: "À plus tard.",
        Occasion.GOOD_NIGHT: "Bonne nuit.",
        Occasion.SLEEP_WELL: "Bonne nuit, dors bien.",
        Occasion.YES: "Oui.",
        Occasion.NO: "Non.",
        Occasion.NO_PROBLEM: "Pas de problème.",
        Occasion.YOU_ARE_WELCOME: "Je t'en prie.",
        Occasion.ANYTHING_ELSE: "Autre chose ?",
        Occasion.ARE_YOU_SURE: "Tu en es sûr ?",
        Occasion.PLEASE_REPEAT: "Tu peux répéter ?",
        Occasion.NOT_FOUND: "Désolé, je ne l'ai pas trouvé.",
        Occasion.NOT_ALLOWED: "Désolé, je n'ai pas le droit de faire cela.",
        Occasion.UNAVAILABLE: "Ce n'est pas disponible pour le moment.",
        Occasion.OFFLINE: "Cela ne répond pas pour le moment.",
        Occasion.TRY_LATER: "Réessaie dans un instant.",
        Occasion.MAINTENANCE: "Je suis en cours de mise à jour et je reviens bientôt.",
        Occasion.BACK: "Me revoilà.",
    },
    "es": {
        Occasion.DONE: "Hecho.",
        Occasion.ON: "Está encendido.",
        Occasion.OFF: "Está apagado.",
        Occasion.OPEN: "Está abierto.",
        Occasion.CLOSED: "Está cerrado.",
        Occasion.LOCKED: "Está cerrado con llave.",
        Occasion.ALREADY: "Ya está así.",
        Occasion.SAVED: "Me acordaré.",
        Occasion.CANCELLED: "Cancelado.",
        Occasion.GOOD_MORNING: "Buenos días.",
        Occasion.GOOD_AFTERNOON: "Buenas tardes.",
        # From sunset on one and the same greeting serves; asked for twice it is made once.
        Occasion.GOOD_EVENING: "Buenas noches.",
        Occasion.HELLO: "Hola.",
        Occasion.WELCOME_HOME: "Bienvenido a casa.",
        Occasion.GOODBYE: "Adiós.",
        Occasion.SEE_YOU: "Hasta luego.",
        Occasion.GOOD_NIGHT: "Buenas noches.",
        Occasion.SLEEP_WELL: "Buenas noches, que descanses.",
        Occasion.YES: "Sí.",
        Occasion.NO: "No.",
        Occasion.NO_PROBLEM: "No hay problema.",
        Occasion.YOU_ARE_WELCOME: "De nada.",
        Occasion.ANYTHING_ELSE: "¿Algo más?",
        Occasion.ARE_YOU_SURE: "¿Seguro?",
        Occasion.PLEASE_REPEAT: "¿Puedes repetirlo?",
        Occasion.NOT_FOUND: "Lo siento, no lo he encontrado.",
        Occasion.NOT_ALLOWED: "Lo siento, no tengo permiso para eso.",
        Occasion.UNAVAILABLE: "Ahora mismo no está disponible.",
        Occasion.OFFLINE: "Ahora mismo no responde.",
        Occasion.TRY_LATER: "Inténtalo de nuevo en un momento.",
        Occasion.MAINTENANCE: "Me estoy actualizando y vuelvo enseguida.",
        Occasion.BACK: "Ya estoy de vuelta.",
    },
    "nl": {
        Occasion.DONE: "Klaar.",
        Occasion.ON: "Staat aan.",
        Occasion.OFF: "Staat uit.",
        Occasion.OPEN: "Is open.",
        Occasion.CLOSED: "Is dicht.",
        Occasion.LOCKED: "Is op slot.",
        Occasion.ALREADY: "Dat is al zo.",
        Occasion.SAVED: "Dat onthoud ik.",
        Occasion.CANCELLED: "Geannuleerd.",
        Occasion.GOOD_MORNING: "Goedemorgen.",
        Occasion.GOOD_AFTERNOON: "Goedemiddag.",
        Occasion.GOOD_EVENING: "Goedenavond.",
        Occasion.HELLO: "Hallo.",
        Occasion.WELCOME_HOME: "Welkom thuis.",
        Occasion.GOODBYE: "Tot ziens.",
        Occasion.SEE_YOU: "Tot straks.",
        Occasion.GOOD_NIGHT: "Welterusten.",
        Occasion.SLEEP_WELL: "Welterusten, slaap lekker.",
        Occasion.YES: "Ja.",
        Occasion.NO: "Nee.",
        Occasion.NO_PROBLEM: "Geen probleem.",
        Occasion.YOU_ARE_WELCOME: "Graag gedaan.",
        Occasion.ANYTHING_ELSE: "Nog iets?",
        Occasion.ARE_YOU_SURE: "Weet je het zeker?",
        Occasion.PLEASE_REPEAT: "Kun je dat nog eens zeggen?",
        Occasion.NOT_FOUND: "Sorry, dat heb ik niet gevonden.",
        Occasion.NOT_ALLOWED: "Sorry, dat mag ik niet.",
        Occasion.UNAVAILABLE: "Dat is nu niet beschikbaar.",
        Occasion.OFFLINE: "Het reageert nu even niet.",
        Occasion.TRY_LATER: "Probeer het zo nog eens.",
        Occasion.MAINTENANCE: "Ik word bijgewerkt en ben zo terug.",
        Occasion.BACK: "Ik ben er weer.",
    },
}

# While something takes its time: a word that it is under way, then one that there is something to think about.
ACKNOWLEDGEMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("Okay.", "Sure.", "All right."),
    "de": ("Okay.", "Klar.", "Alles klar."),
    "fr": ("D'accord.", "Bien sûr.", "Entendu."),
    "es": ("Vale.", "Claro.", "De acuerdo."),
    "nl": ("Oké.", "Goed.", "Komt voor elkaar."),
}
THINKING: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("Let me think.", "Let me see.", "One moment."),
    "de": ("Mal überlegen.", "Ich sehe mal nach.", "Einen Moment."),
    "fr": ("Laisse-moi réfléchir.", "Voyons voir.", "Un instant."),
    "es": ("Déjame pensar.", "Vamos a ver.", "Un momento."),
    "nl": ("Even denken.", "Even kijken.", "Een ogenblik."),
}
