"""The words by which people mean kinds of things and actions, in the languages that Barnabee speaks.

They steer what a model is told and whether a call follows from what was said. They understand no sentence: that is
the work of Home Assistant's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
import re
from typing import Final
import unicodedata

LANGUAGES: Final = ("en", "de", "fr", "es", "nl")
_COMPOUNDING: Final = frozenset({"de", "nl"})
# Of the part before, and of the part that says what it is.
_COMPOUND_MIN_CHARS: Final = (4, 3)
_WORD: Final = re.compile(r"[^\W_]+")

# A kind is a domain of Home Assistant, or a domain and a device class: "cover.garage".
_KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "light": "light lights lamp lamps brightness dim dimmer darker bright brighter",
        "switch": "switch switches plug plugs socket outlet",
        "lock": "lock locks locked unlock unlocked",
        "cover": "cover covers blind blinds curtain curtains shutter shutters shade shades awning",
        "cover.garage": "garage",
        "cover.gate": "gate gates",
        "binary_sensor.door": "door doors",
        "binary_sensor.window": "window windows",
        "binary_sensor.motion": "motion anybody anyone somebody",
        "climate": "thermostat heating heater temperature warm cold warmer colder cooler climate conditioning ac",
        "sensor.temperature": "temperature warm cold hot degrees",
        "sensor.humidity": "humidity humid",
        "sensor.battery": "battery batteries",
        "sensor.power": "power watts consumption",
        "sensor.energy": "energy electricity consumption",
        "fan": "fan fans",
        "media_player": "music tv television speaker speakers radio song volume playing play movie",
        "vacuum": "vacuum hoover robot",
        "lawn_mower": "mower lawn",
        "valve": "valve valves water sprinkler",
        "alarm_control_panel": "alarm armed disarm arm",
        "weather": "weather rain raining sunny snow forecast umbrella outside",
        "todo": "list shopping todo groceries",
        "person": "who home where",
        "scene": "scene",
        "camera": "camera",
    },
    "de": {
        "light": "licht lichter lampe lampen leuchte leuchten helligkeit heller dunkler dimme",
        "switch": "schalter steckdose steckdosen stecker",
        "lock": "schloss schlosser abgeschlossen verriegelt entriegeln aufschliessen abschliessen aufsperren",
        "cover": "rollo rollos rolladen rollladen jalousie jalousien vorhang vorhange markise beschattung",
        "cover.garage": "garage garagentor",
        "cover.gate": "tor tore",
        "binary_sensor.door": "tur turen",
        "binary_sensor.window": "fenster",
        "binary_sensor.motion": "bewegung jemand",
        "climate": "heizung thermostat temperatur warm kalt warmer kalter klimaanlage klima",
        "sensor.temperature": "temperatur warm kalt heiss grad",
        "sensor.humidity": "luftfeuchtigkeit feuchtigkeit feucht",
        "sensor.battery": "batterie batterien akku",
        "sensor.power": "leistung watt verbrauch",
        "sensor.energy": "energie strom verbrauch",
        "fan": "ventilator lufter",
        "media_player": "musik fernseher lautsprecher radio lied lautstarke spiele spielt lauter leiser film",
        "vacuum": "staubsauger sauger roboter",
        "lawn_mower": "maher rasen",
        "valve": "ventil ventile wasser bewasserung",
        "alarm_control_panel": "alarm alarmanlage scharf unscharf",
        "weather": "wetter regen regnet sonnig schnee vorhersage regenschirm draussen",
        "todo": "liste einkaufsliste einkauf",
        "person": "wer wo hause",
        "scene": "szene",
        "camera": "kamera",
    },
    "fr": {
        "light": "lumiere lumieres lampe lampes luminosite eclairage allume eteins",
        "switch": "interrupteur prise prises",
        "lock": "serrure serrures verrouille verrouillee deverrouille verrou",
        "cover": "volet volets store stores rideau rideaux",
        "cover.garage": "garage",
        "cover.gate": "portail",
        "binary_sensor.door": "porte portes",
        "binary_sensor.window": "fenetre fenetres",
        "binary_sensor.motion": "mouvement quelqu",
        "climate": "thermostat chauffage temperature chaud froid climatisation clim",
        "sensor.temperature": "temperature chaud froid degres",
        "sensor.humidity": "humidite humide",
        "sensor.battery": "batterie pile piles",
        "sensor.power": "puissance watts consommation",
        "sensor.energy": "energie electricite consommation",
        "fan": "ventilateur ventilateurs",
        "media_player": "musique tele television enceinte radio chanson volume film",
        "vacuum": "aspirateur robot",
        "lawn_mower": "tondeuse pelouse",
        "valve": "vanne vannes eau arrosage",
        "alarm_control_panel": "alarme",
        "weather": "meteo pluie pleut soleil neige previsions parapluie dehors",
        "todo": "liste courses",
        "person": "qui maison ou",
        "scene": "scene",
        "camera": "camera",
    },
    "es": {
        "light": "luz luces lampara lamparas brillo",
        "switch": "interruptor enchufe enchufes",
        "lock": "cerradura cerraduras cerrojo bloqueada desbloquea desbloquear bloquear",
        "cover": "persiana persianas cortina cortinas toldo",
        "cover.garage": "garaje cochera",
        "cover.gate": "porton verja",
        "binary_sensor.door": "puerta puertas",
        "binary_sensor.window": "ventana ventanas",
        "binary_sensor.motion": "movimiento alguien",
        "climate": "termostato calefaccion temperatura calor frio clima aire acondicionado",
        "sensor.temperature": "temperatura calor frio grados",
        "sensor.humidity": "humedad",
        "sensor.battery": "bateria baterias pila pilas",
        "sensor.power": "potencia vatios consumo",
        "sensor.energy": "energia electricidad consumo",
        "fan": "ventilador ventiladores",
        "media_player": "musica tele television altavoz radio cancion volumen pelicula",
        "vacuum": "aspiradora aspirador robot",
        "lawn_mower": "cortacesped cesped",
        "valve": "valvula valvulas agua riego",
        "alarm_control_panel": "alarma",
        "weather": "tiempo lluvia llueve sol nieve pronostico paraguas fuera",
        "todo": "lista compra",
        "person": "quien casa donde",
        "scene": "escena",
        "camera": "camara",
    },
    "nl": {
        "light": "licht lichten lamp lampen verlichting helderheid dim",
        "switch": "schakelaar stopcontact stekker",
        "lock": "slot sloten vergrendeld ontgrendel ontgrendelen",
        "cover": "gordijn gordijnen rolluik rolluiken jaloezie zonwering",
        "cover.garage": "garage garagedeur",
        "cover.gate": "poort hek",
        "binary_sensor.door": "deur deuren",
        "binary_sensor.window": "raam ramen",
        "binary_sensor.motion": "beweging iemand",
        "climate": "thermostaat verwarming temperatuur warm koud warmer kouder airco",
        "sensor.temperature": "temperatuur warm koud graden",
        "sensor.humidity": "luchtvochtigheid vochtig",
        "sensor.battery": "batterij batterijen accu",
        "sensor.power": "vermogen watt verbruik",
        "sensor.energy": "energie stroom verbruik",
        "fan": "ventilator ventilatoren",
        "media_player": "muziek televisie speaker luidspreker radio nummer volume film",
        "vacuum": "stofzuiger robot",
        "lawn_mower": "maaier gras",
        "valve": "kraan klep water besproeiing",
        "alarm_control_panel": "alarm",
        "weather": "weer regen regent zonnig sneeuw voorspelling paraplu buiten",
        "todo": "lijst boodschappen boodschappenlijst",
        "person": "wie thuis waar",
        "scene": "scene",
        "camera": "camera",
    },
}

_STOP: Final[Mapping[str, str]] = {
    "en": "the a an in of at on off to is are my our all and please what turn switch set it",
    "de": "der die das den dem des ein eine einen im in am an auf aus zu ist sind mein unser alle und bitte was mach",
    "fr": "le la les l un une des du de d dans en au aux est sont mon notre tous toutes et quel quelle",
    "es": "el la los las un una de del en al esta estan mi nuestro todos todas y por favor que",
    "nl": "de het een in op van aan uit naar is zijn mijn ons onze alle en wat zet doe",
}


def spoken(language: str | None) -> str | None:
    """The language without its region where there are cues for it, else None."""
    base = (language or "en").replace("_", "-").split("-", maxsplit=1)[0].lower()
    return base if base in LANGUAGES else None


def fold(text: str) -> str:
    """Lower case without accents: "Küche" and "kuche" are one word."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def tokens(text: str) -> tuple[str, ...]:
    """The words, folded, without punctuation."""
    return tuple(_WORD.findall(fold(text)))


@cache
def word_set(line: str) -> frozenset[str]:
    """The words of a line of a table."""
    return frozenset(line.split())


def stop_words(language: str | None) -> frozenset[str]:
    """Words that say nothing about which thing is meant; of all languages where ours is unknown."""
    return _stop_words(spoken(language))


def kinds_in(words: Sequence[str], language: str | None) -> frozenset[str]:
    """The kinds of things that the folded words mention; none in a language without cues."""
    base = spoken(language)
    if base is None:
        return frozenset()
    table = _kind_table(base)
    found: set[str] = set()
    for word in words:
        if word in table:
            found |= table[word]
        elif base in _COMPOUNDING:
            # The last part of a compound says what it is: a "Küchenlicht" is a light.
            before, last = _COMPOUND_MIN_CHARS
            for start in range(before, len(word) - last + 1):
                if (kinds := table.get(word[start:])) is not None:
                    found |= kinds
                    break
    return frozenset(found)


def begins_compound(part: str, word: str, language: str | None) -> bool:
    """Whether a word is a compound that begins with the part, as "Küchenlicht" does with "Küche"."""
    before, last = _COMPOUND_MIN_CHARS
    return (
        spoken(language) in _COMPOUNDING
        and len(part) >= before
        and len(word) >= len(part) + last
        and word.startswith(part)
    )


@cache
def _kind_table(base: str) -> Mapping[str, frozenset[str]]:
    table: dict[str, set[str]] = {}
    for kind, words in _KINDS[base].items():
        for word in words.split():
            table.setdefault(word, set()).add(kind)
    return {word: frozenset(kinds) for word, kinds in table.items()}


@cache
def _stop_words(base: str | None) -> frozenset[str]:
    return frozenset(word for language in ([base] if base else LANGUAGES) for word in _STOP[language].split())
