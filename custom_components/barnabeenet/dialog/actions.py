"""What a tool would do in a home: which things it would reach, in which way, and how grave that is.

Home Assistant's `HassTurnOn` opens a cover and a valve and locks a lock, `HassTurnOff` the other way round, and one
that is given only a room reaches everything in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from .cues import tokens, word_set
from .things import Thing, Things


class Gravity(IntEnum):
    """How careful one must be."""

    READS = 0
    """Changes nothing."""
    ORDINARY = 1
    """Undone with a word."""
    GUARDED = 2
    """Makes the home safer, such as locking a door; not grave, but nobody else's business."""
    SENSITIVE = 3
    """Opens the home to others, or cannot be undone."""


# Tools by the last part of their name: the integration that offers them stands before it.
_READS: Final = frozenset(
    {
        "GetDateTime",
        "GetLiveContext",
        "HassClimateGetTemperature",
        "HassGetCurrentDate",
        "HassGetCurrentTime",
        "HassGetState",
        "HassGetWeather",
        "HassNevermind",
        "HassShoppingListLastItems",
        "HassTimerStatus",
        "get_events",
        "get_items",
        "recall",
        "search_media",
    }
)
# The verb of each tool that changes something; see `_VERBS` in `warrant`.
VERBS: Final[Mapping[str, str]] = {
    "HassBroadcast": "say",
    "HassCancelAllTimers": "timer",
    "HassCancelTimer": "timer",
    "HassClimateSetFanMode": "set",
    "HassClimateSetTemperature": "set",
    "HassCloseCover": "close",
    "HassDecreaseTimer": "timer",
    "HassFanSetSpeed": "set",
    "HassHumidifierMode": "set",
    "HassHumidifierSetpoint": "set",
    "HassIncreaseTimer": "timer",
    "HassLawnMowerDock": "off",
    "HassLawnMowerStartMowing": "on",
    "HassLightSet": "set",
    "HassListAddItem": "add",
    "HassListCompleteItem": "remove",
    "HassListRemoveItem": "remove",
    "HassMediaNext": "play",
    "HassMediaPause": "stop",
    "HassMediaPlayerMute": "stop",
    "HassMediaPlayerUnmute": "play",
    "HassMediaPrevious": "play",
    "HassMediaSearchAndPlay": "play",
    "HassMediaUnpause": "play",
    "HassOpenCover": "open",
    "HassPauseTimer": "timer",
    "HassSetPosition": "set",
    "HassSetVolume": "set",
    "HassSetVolumeRelative": "set",
    "HassShoppingListAddItem": "add",
    "HassShoppingListCompleteItem": "remove",
    "HassStartTimer": "timer",
    "HassStopMoving": "stop",
    "HassToggle": "toggle",
    "HassTurnOff": "off",
    "HassTurnOn": "on",
    "HassUnpauseTimer": "timer",
    "HassVacuumCleanArea": "on",
    "HassVacuumReturnToBase": "off",
    "HassVacuumStart": "on",
    "forget": "forget",
    "play_media": "play",
    "remember": "remember",
}
ALLOWED: Final = _READS | frozenset(VERBS)
# Home Assistant's intents may be offered by any integration; these names are only to be trusted in their own.
_OFFERED_BY: Final[Mapping[str, str]] = {
    "GetDateTime": "llm",
    "GetLiveContext": "homeassistant",
    "get_events": "calendar",
    "get_items": "todo",
    "forget": "barnabeenet",
    "play_media": "media_player",
    "recall": "barnabeenet",
    "remember": "barnabeenet",
    "search_media": "media_player",
}
# Offered by their prefix: a script of the home is a tool of its own.
SCRIPTS: Final = "script__"

_FIXED_DOMAIN: Final[Mapping[str, str]] = {
    "HassClimate": "climate",
    "HassCloseCover": "cover",
    "HassFan": "fan",
    "HassHumidifier": "humidifier",
    "HassLawnMower": "lawn_mower",
    "HassLight": "light",
    "HassList": "todo",
    "HassMedia": "media_player",
    "HassOpenCover": "cover",
    "HassSetVolume": "media_player",
    "HassShoppingList": "todo",
    "HassVacuum": "vacuum",
    "play_media": "media_player",
}
_EFFECTS: Final[Mapping[tuple[str, str], str]] = {
    ("on", "lock"): "lock",
    ("off", "lock"): "unlock",
    ("on", "cover"): "open",
    ("off", "cover"): "close",
    ("on", "valve"): "open",
    ("off", "valve"): "close",
    ("on", "button"): "run",
    ("on", "input_button"): "run",
    ("on", "scene"): "run",
    ("on", "script"): "run",
}
_TARGETS: Final = ("name", "area", "floor", "domain", "device_class")
_WITHOUT_TARGET: Final = {
    "forget": Gravity.SENSITIVE,
    "remember": Gravity.ORDINARY,
    "say": Gravity.ORDINARY,
    "timer": Gravity.ORDINARY,
}
_SENSITIVE_DOMAINS: Final = frozenset(
    {
        "alarm_control_panel",
        "automation",
        "button",
        "camera",
        "input_button",
        "lawn_mower",
        "lock",
        "script",
        "siren",
        "update",
        "valve",
        "water_heater",
    }
)
_OPENING_DOMAINS: Final = frozenset({"alarm_control_panel", "cover", "lock", "valve"})
_SENSITIVE_COVERS: Final = frozenset({"door", "garage", "gate"})
# The direction that makes a home safer; every other one of a sensitive thing is sensitive.
_SECURES: Final[Mapping[str, frozenset[str]]] = {
    "cover": frozenset({"close", "off"}),
    "lawn_mower": frozenset({"off"}),
    "lock": frozenset({"lock", "on"}),
    "siren": frozenset({"off"}),
    "switch": frozenset(),
    "valve": frozenset({"close", "off"}),
}
# A relay at a garage door is a switch to Home Assistant, and may be called anything in any language.
_SENSITIVE_WORDS: Final = word_set(
    "alarm alarme alarma siren sirene sirena garage garagen garaje gate tor poort portail porton door doors tur tore "
    "deur porte puerta lock schloss slot serrure cerradura opener offner buzzer intercom valve ventil vanne valvula "
    "kraan oven ofen horno stove herd cooker cuisiniere cocina fornuis boiler heater pump pumpe pompe bomba pomp "
    "sprinkler freezer congelateur congelador vriezer fridge kuhlschrank refrigerator frigo nevera koelkast server "
    "router modem nas medical oxygen cpap"
)
# A compound is what its last part is, but a "ventilator" is no "tor" and "outdoor" is no door.
_SENSITIVE_ENDINGS: Final = tuple(
    word_set(
        "alarmanlage deur garage gartentor gartentur gefrierschrank haustur hoftor kellertur kuhlschrank offner ofen pomp "
        "poort pumpe schloss sirene wohnungstur eingangstur terrassentur balkontur ventil"
    )
)
_SENSITIVE_BEGINNINGS: Final = ("garage",)
_NAMED_DOMAINS: Final = frozenset({"cover", "input_boolean", "switch"})


@dataclass(frozen=True)
class Action:
    """A tool call as the home sees it: `verb` as in `VERBS`, and the things that it would reach, as far as is known."""

    tool: str
    verb: str
    gravity: Gravity
    things: tuple[Thing, ...] = ()
    area: str | None = None
    domains: frozenset[str] = frozenset()
    targeted: bool = True
    """Whether the call says what it is meant for; one that does not is for whatever the speaker's room has."""

    @property
    def effect(self) -> str:
        """What becomes of the things: the verb as a person would put it."""
        domains = {thing.domain for thing in self.things} or self.domains
        return next(
            (effect for (verb, domain), effect in _EFFECTS.items() if verb == self.verb and domain in domains),
            self.verb,
        )


def is_offered(name: str) -> bool:
    """Whether a tool of this name may be shown to a model at all; another integration's "get_items" may not."""
    integration, _, base = name.rpartition("__")
    if base in _OFFERED_BY:
        return integration in {"", _OFFERED_BY[base]}
    return name.startswith(SCRIPTS) or base in ALLOWED


def base_name(name: str) -> str:
    """The tool's own name without the integration's."""
    return name.rpartition("__")[2]


def is_of_memories(name: str) -> bool:
    """Whether a tool gives out, keeps or forgets what somebody told."""
    return _OFFERED_BY.get(base_name(name)) == "barnabeenet"


def understand(name: str, arguments: Mapping[str, Any], things: Things, harmless: frozenset[str]) -> Action:
    """What a call of an offered tool would do; `harmless` are entity ids that the home's owner has cleared."""
    if name.startswith(SCRIPTS):
        return _script(name, things, harmless)
    base = base_name(name)
    if base in _READS:
        return Action(base, "read", Gravity.READS)
    verb = VERBS[base]
    domains = _domains(base, arguments)
    area = _text(arguments.get("area"))
    if verb in _WITHOUT_TARGET:
        return Action(base, verb, _WITHOUT_TARGET[verb], domains=domains, area=area)
    reached = _reached(arguments, area, domains, things)
    gravity = max((gravity_of(verb, thing, harmless) for thing in reached), default=_gravity_unknown(domains))
    targeted = any(arguments.get(each) for each in _TARGETS)
    return Action(base, verb, gravity, tuple(reached), area, domains, targeted)


def gravity_of(verb: str, thing: Thing, harmless: frozenset[str] = frozenset()) -> Gravity:
    """How grave it is to do this to a thing; the one rule for tools, intents and services alike."""
    if thing.entity_id in harmless or not _is_sensitive(thing):
        return Gravity.ORDINARY
    return Gravity.GUARDED if verb in _SECURES.get(thing.domain, frozenset()) else Gravity.SENSITIVE


def understand_intent(intent: str, slots: Mapping[str, Any], things: Things, harmless: frozenset[str]) -> Action | None:
    """What one of Home Assistant's own sentences would do; None for one that only tells or that is not its own."""
    if intent not in VERBS:
        return None
    return understand(intent, slots, things, harmless)


def opens_home(action: Action) -> bool:
    """Whether an action is what people think of as opening the home: locks, doors, alarms, and what is called so.

    A script or a button that only might do so is left to who says its name.
    """
    if action.gravity is not Gravity.SENSITIVE:
        return False
    grave = [thing for thing in action.things if gravity_of(action.verb, thing) is Gravity.SENSITIVE]
    # What is meant but not known yet may be a lock.
    return not grave or any(thing.domain in _OPENING_DOMAINS or _sounds_sensitive(thing) for thing in grave)


def gravity_of_service(domain: str, service: str, things: Iterable[Thing] = ()) -> Gravity:
    """How grave an action of Home Assistant is; an unknown one of a sensitive domain is sensitive."""
    word = service.split("_", maxsplit=1)[0]
    verb = {"turn": service.removeprefix("turn_"), "unlock": "unlock", "press": "on"}.get(word, word)
    target = tuple(things) or (Thing(f"{domain}.unknown", ()),)
    return max(gravity_of(verb, thing) for thing in target)


def _script(name: str, things: Things, harmless: frozenset[str]) -> Action:
    entity_id = name.replace("__", ".", 1)
    thing = things.get(entity_id) or Thing(entity_id, (entity_id.partition(".")[2].replace("_", " "),))
    gravity = Gravity.ORDINARY if entity_id in harmless else Gravity.SENSITIVE
    return Action(name, "run", gravity, (thing,), domains=frozenset({"script"}))


def _is_sensitive(thing: Thing) -> bool:
    if thing.domain in _SENSITIVE_DOMAINS:
        return True
    if thing.domain == "cover" and thing.device_class in _SENSITIVE_COVERS:
        return True
    return thing.domain in _NAMED_DOMAINS and _sounds_sensitive(thing)


def _sounds_sensitive(thing: Thing) -> bool:
    return any(_is_sensitive_word(word) for name in thing.names for word in tokens(name))


def _is_sensitive_word(word: str) -> bool:
    return word in _SENSITIVE_WORDS or word.endswith(_SENSITIVE_ENDINGS) or word.startswith(_SENSITIVE_BEGINNINGS)


def _gravity_unknown(domains: frozenset[str]) -> Gravity:
    """Of a call that reaches nothing we know: Home Assistant may still find something by it."""
    return Gravity.ORDINARY if domains and not domains & (_SENSITIVE_DOMAINS | {"cover"}) else Gravity.SENSITIVE


def _reached(arguments: Mapping[str, Any], area: str | None, domains: frozenset[str], things: Things) -> list[Thing]:
    """What a call would reach: by name, else by room, else by domain; a name may be an entity id."""
    name, floor = _text(arguments.get("name")), _text(arguments.get("floor"))
    classes = frozenset(_texts(arguments.get("device_class")))
    if name is not None:
        thing = things.get(name)
        found = [thing] if thing is not None else things.named(name)
        # Home Assistant takes another of that name when none is in the room: so all of them count.
        in_area = [each for each in found if area is None or each.area in things.area_named(area)]
        return [each for each in in_area or found if not domains or each.domain in domains] or found
    if area is not None:
        found = things.in_area(area)
    elif floor is not None:
        found = [each for each in things if each.floor is not None and tokens(each.floor) == tokens(floor)]
    elif domains or classes:
        found = list(things)
    else:
        found = []
    return [
        each
        for each in found
        if (not domains or each.domain in domains) and (not classes or each.device_class in classes)
    ]


def _domains(base: str, arguments: Mapping[str, Any]) -> frozenset[str]:
    fixed = next((domain for prefix, domain in _FIXED_DOMAIN.items() if base.startswith(prefix)), None)
    return frozenset({fixed}) if fixed is not None else frozenset(_texts(arguments.get("domain")))


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(each.strip().lower() for each in values if isinstance(each, str) and each.strip())
