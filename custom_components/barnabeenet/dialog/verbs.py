"""The words for what is to be done, for yes and no, and the questions that ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from .cues import spoken, tokens, word_set

# By effect; folded, and whole words: what is said around them does not matter.
_VERBS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "on": "on start activate enable switch light vacuum clean mow",
        "off": "off stop deactivate disable kill out dock",
        "open": "open raise up lift",
        "close": "close shut lower down",
        "lock": "lock",
        "unlock": "unlock open",
        "set": "set dim brighten brighter darker warmer colder cooler hotter louder quieter softer change make turn "
        "percent degrees half full red green blue white yellow purple pink orange up down higher lower max minimum",
        "play": "play resume continue unmute next skip previous listen put watch back",
        "stop": "stop pause mute silence quiet halt off",
        "add": "add put write note list need buy",
        "remove": "remove delete cross tick check complete done finished off bought",
        "timer": "timer timers minute minutes hour hours second seconds countdown",
        "say": "announce broadcast tell say call",
        "run": "run start activate on do execute trigger press scene time mode",
        "toggle": "toggle switch",
    },
    "de": {
        "on": "an ein einschalten anschalten anmachen schalte starte aktiviere sauge mahe",
        "off": "aus ab ausschalten ausmachen abschalten stoppe deaktiviere",
        "open": "auf offne offnen aufmachen hoch rauf hochfahren",
        "close": "zu schliesse schliessen zumachen runter herunter runterfahren",
        "lock": "ab abschliessen zuschliessen verriegle verriegeln zusperren absperren schliesse",
        "unlock": "auf aufschliessen entriegle entriegeln aufsperren offne offnen",
        "set": "stelle stell setze dimme dimmen heller dunkler warmer kalter lauter leiser prozent grad halb voll rot "
        "grun blau weiss gelb hoher niedriger mach mache auf",
        "play": "spiele spiel abspielen weiter nachste nachstes vorherige hore fortsetzen lauter",
        "stop": "stopp stoppe pause pausiere stumm halt aus anhalten",
        "add": "setze schreib schreibe notiere hinzu fuge liste brauche brauchen kaufen",
        "remove": "entferne losche streiche erledigt abhaken hake gekauft",
        "timer": "timer wecker minute minuten stunde stunden sekunde sekunden",
        "say": "sag sage durchsage rufe ansage melde",
        "run": "starte aktiviere an fuhre ausfuhren szene drucke modus",
        "toggle": "umschalten schalte",
    },
    "fr": {
        "on": "allume allumer allumez demarre active activer lance mets aspire tonds",
        "off": "eteins eteindre eteignez arrete coupe desactive",
        "open": "ouvre ouvrir ouvrez leve monte remonte",
        "close": "ferme fermer fermez baisse descends",
        "lock": "verrouille verrouiller ferme cle",
        "unlock": "deverrouille deverrouiller ouvre",
        "set": "regle mets baisse monte augmente diminue tamise chauffe pourcent degres moitie rouge vert bleu blanc "
        "jaune plus moins",
        "play": "joue lis lecture reprends suivant suivante precedent ecoute mets",
        "stop": "arrete stop pause coupe muet",
        "add": "ajoute ajouter note ecris liste besoin acheter",
        "remove": "enleve retire supprime raye coche termine achete",
        "timer": "minuteur minuterie minute minutes heure heures seconde secondes",
        "say": "annonce diffuse dis appelle",
        "run": "lance active demarre execute appuie scene mode",
        "toggle": "bascule",
    },
    "es": {
        "on": "enciende encender prende activa inicia pon aspira corta",
        "off": "apaga apagar para desactiva desconecta",
        "open": "abre abrir sube levanta",
        "close": "cierra cerrar baja",
        "lock": "bloquea bloquear cierra llave",
        "unlock": "desbloquea desbloquear abre",
        "set": "pon ajusta sube baja aumenta reduce atenua por ciento grados mitad rojo verde azul blanco amarillo mas "
        "menos cambia",
        "play": "reproduce pon sigue continua siguiente anterior escucha toca",
        "stop": "para deten pausa silencia silencio",
        "add": "anade agrega apunta escribe lista necesito comprar pon",
        "remove": "quita elimina borra tacha marca comprado",
        "timer": "temporizador minuto minutos hora horas segundo segundos",
        "say": "anuncia di avisa llama",
        "run": "ejecuta activa inicia lanza pulsa escena modo",
        "toggle": "alterna cambia",
    },
    "nl": {
        "on": "aan aanzetten inschakelen start activeer zuig maai",
        "off": "uit uitzetten uitschakelen stop deactiveer",
        "open": "open openen omhoog op doe",
        "close": "dicht sluit sluiten omlaag naar",
        "lock": "slot vergrendel vergrendelen dicht",
        "unlock": "ontgrendel ontgrendelen open slot",
        "set": "zet dim dimmen feller helderder donkerder warmer kouder harder zachter procent graden half rood groen "
        "blauw wit geel hoger lager maak",
        "play": "speel hervat verder volgende vorige luister",
        "stop": "stop pauze pauzeer dempen stil",
        "add": "voeg toevoegen schrijf noteer zet lijst nodig kopen",
        "remove": "verwijder haal streep afvinken vink gekocht",
        "timer": "timer wekker minuut minuten uur uren seconde seconden",
        "say": "zeg omroepen roep meld kondig",
        "run": "start activeer voer druk scene aan modus",
        "toggle": "schakel wissel",
    },
}
# Apart from those: they are no commands to a home.
_MEMORY_VERBS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "remember": "remember keep mind note know save",
        "forget": "forget delete remove erase",
    },
    "de": {
        "remember": "merk merke merken behalte denk denke erinnere notiere",
        "forget": "vergiss vergesse vergessen losche loschen",
    },
    "fr": {
        "remember": "rappelle souviens retiens retenir memorise note",
        "forget": "oublie oublier efface supprime",
    },
    "es": {
        "remember": "recuerda recordar acuerdate memoriza apunta guarda",
        "forget": "olvida olvidar borra elimina",
    },
    "nl": {
        "remember": "onthoud onthouden bewaar noteer",
        "forget": "vergeet vergeten wis verwijder",
    },
}
# The first words of a sentence that wants to know and not to have done.
_ASKS: Final[Mapping[str, str]] = {
    "en": "is are was were am what which who whose where when why how did does do has have had",
    "de": "ist sind war waren was welche welcher welches wer wo wann warum wie wieso hat haben habe bin",
    "fr": "est sont etait quel quelle quels quelles qui ou quand pourquoi comment combien qu que",
    "es": "esta estan es son estaba que cual cuales quien donde cuando como cuanto cuanta hay",
    "nl": "is zijn was waren wat welke wie waar wanneer waarom hoe heeft hebben heb",
}
_NEGATES: Final[Mapping[str, str]] = {
    "en": "don dont not never",
    "de": "nicht kein keine niemals",
    "fr": "ne n pas jamais",
    "es": "nunca",
    "nl": "niet geen nooit",
}
_POINTS: Final[Mapping[str, str]] = {
    "en": "it them that those this one",
    "de": "es sie ihn das die diese dieses dort",
    "fr": "le la les l ca cela celle celui",
    "es": "la lo las los eso esa ese",
    "nl": "het die dat deze hem ze",
}
_ALL: Final[Mapping[str, str]] = {
    "en": "all every everything everywhere whole both",
    "de": "alle alles allen uberall ganze beide",
    "fr": "tout tous toute toutes partout",
    "es": "todo todos toda todas",
    "nl": "alle alles overal hele allemaal beide",
}
_YES: Final[Mapping[str, tuple[str, str]]] = {
    "en": ("yes yeah yep yup sure ok okay confirm confirmed affirmative", "please do it go ahead that right now"),
    "de": ("ja jawohl jo okay ok sicher klar genau bestatige", "bitte mach das gerne tu es jetzt"),
    "fr": ("oui ouais ok accord confirme", "s il te vous plait d bien sur vas y fais le"),
    "es": ("si vale claro ok confirmo confirmado", "por favor hazlo adelante"),
    "nl": ("ja jawel oke ok prima zeker bevestigd", "graag doe dat maar alsjeblieft het"),
}
_QUESTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "on": "Shall I turn on {}?",
        "off": "Shall I turn off {}?",
        "open": "Shall I open {}?",
        "close": "Shall I close {}?",
        "lock": "Shall I lock {}?",
        "unlock": "Shall I unlock {}?",
        "run": "Shall I start {}?",
        "set": "Shall I change {}?",
        "remember": "Shall I remember this: {}?",
        "forget": "Shall I forget this: {}?",
        "": "Shall I really do that: {}?",
    },
    "de": {
        "on": "Soll ich {} einschalten?",
        "off": "Soll ich {} ausschalten?",
        "open": "Soll ich {} öffnen?",
        "close": "Soll ich {} schließen?",
        "lock": "Soll ich {} abschließen?",
        "unlock": "Soll ich {} aufschließen?",
        "run": "Soll ich {} starten?",
        "set": "Soll ich {} verstellen?",
        "remember": "Soll ich mir das merken: {}?",
        "forget": "Soll ich das vergessen: {}?",
        "": "Soll ich das wirklich tun: {}?",
    },
    "fr": {
        "on": "Dois-je allumer {} ?",
        "off": "Dois-je éteindre {} ?",
        "open": "Dois-je ouvrir {} ?",
        "close": "Dois-je fermer {} ?",
        "lock": "Dois-je verrouiller {} ?",
        "unlock": "Dois-je déverrouiller {} ?",
        "run": "Dois-je lancer {} ?",
        "set": "Dois-je régler {} ?",
        "remember": "Dois-je retenir ceci : {} ?",
        "forget": "Dois-je oublier ceci : {} ?",
        "": "Dois-je vraiment faire cela : {} ?",
    },
    "es": {
        "on": "¿Enciendo {}?",
        "off": "¿Apago {}?",
        "open": "¿Abro {}?",
        "close": "¿Cierro {}?",
        "lock": "¿Cierro con llave {}?",
        "unlock": "¿Desbloqueo {}?",
        "run": "¿Inicio {}?",
        "set": "¿Cambio {}?",
        "remember": "¿Recuerdo esto: {}?",
        "forget": "¿Olvido esto: {}?",
        "": "¿De verdad hago esto: {}?",
    },
    "nl": {
        "on": "Zal ik {} aanzetten?",
        "off": "Zal ik {} uitzetten?",
        "open": "Zal ik {} openen?",
        "close": "Zal ik {} sluiten?",
        "lock": "Zal ik {} op slot doen?",
        "unlock": "Zal ik {} van het slot doen?",
        "run": "Zal ik {} starten?",
        "set": "Zal ik {} aanpassen?",
        "remember": "Zal ik dit onthouden: {}?",
        "forget": "Zal ik dit vergeten: {}?",
        "": "Zal ik dat echt doen: {}?",
    },
}
_YES_MAX_WORDS: Final = 6


def asks_for(effect: str, words: Sequence[str], language: str | None) -> bool | None:
    """Whether folded words ask for this effect; None in a language whose verbs are not known.

    A question, or a sentence with a negation, asks for nothing.
    """
    base = spoken(language)
    if base is None:
        return None
    if not words or words[0] in _set(_ASKS, base) or _set(_NEGATES, base).intersection(words):
        return False
    wanted = word_set(_VERBS[base].get(effect) or _MEMORY_VERBS[base].get(effect, ""))
    if wanted.intersection(words):
        return True
    return effect == "set" and any(word.isdecimal() for word in words)


def may_command(words: Sequence[str], language: str | None) -> bool:
    """Whether folded words may ask for any effect at all; also in a language whose verbs are not known."""
    base = spoken(language)
    if base is None:
        return True
    if not words or words[0] in _set(_ASKS, base):
        return False
    return any(word_set(verbs).intersection(words) for verbs in _VERBS[base].values())


def points_back(words: Sequence[str], language: str | None) -> bool:
    """Whether the words mean something that was said before ("turn it off")."""
    base = spoken(language)
    return base is not None and bool(_set(_POINTS, base).intersection(words))


def means_all(words: Sequence[str], language: str | None) -> bool:
    """Whether the words mean everything of a kind."""
    base = spoken(language)
    return base is not None and bool(_set(_ALL, base).intersection(words))


def is_yes(text: str, language: str | None) -> bool:
    """Whether a whole utterance is nothing but a yes; in a language that is not known it must be an English one."""
    said = tokens(text)
    strong, weak = _YES[spoken(language) or "en"]
    if not 0 < len(said) <= _YES_MAX_WORDS:
        return False
    return bool(word_set(strong).intersection(said)) and set(said) <= word_set(strong) | word_set(weak)


def question_for(effect: str, what: str, language: str | None) -> str:
    """Asks whether to do it."""
    table = _QUESTIONS[spoken(language) or "en"]
    return table.get(effect, table[""]).format(what)


def _set(table: Mapping[str, str], base: str) -> frozenset[str]:
    return word_set(table[base])
