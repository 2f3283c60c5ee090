"""Decides about every call that a model asks for: it may have been told to by something that it only read.

What is asked must follow from the speaker's own words. What opens the home or cannot be undone needs a known speaker
as well who may do it, their yes to a question that names it, and for some people their code. In a home that has people,
the last holds for the home's own sentences, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..providers.base import ToolCall
from .actions import Action, Gravity, is_offered, opens_home, understand, understand_intent
from .cues import stop_words, tokens
from .own_words import are_own_words
from .quote import NAME_MAX_CHARS, clean, unquote
from .second_factor import Household, NoHousehold, Permission
from .things import Mentions, Thing, Things
from .verbs import asks_for, means_all, points_back, question_for

_ARGUMENTS_MAX_CHARS: Final = 4_000
_NAMED_MAX: Final = 3
_MEMORY_MAX_CHARS: Final = 240
_EARLIER_MAX: Final = 2
# These reach no thing of the home by its name, or a list that Home Assistant finds by itself.
_UNTARGETED: Final = frozenset({"add", "remove", "say", "timer"})
_MEMORY: Final = frozenset({"forget", "remember"})
# A sentence that Home Assistant carries out when a timer ends.
_LATER_COMMAND: Final = "conversation_command"
# The arguments that are words of the speaker's own, to be found in what they said.
_SAID_ARGUMENTS: Final = {"add": ("item",), "remove": ("item",), "say": ("message",), "play": ("search_query",)}


@dataclass(frozen=True)
class Spoken:
    """What the speaker said now, and in the turns before it, oldest first.

    `speaker` is None for a guest; `is_sure` says that they have proved who they are, or that their voice does.
    """

    text: str
    language: str
    speaker: str | None
    session: str
    area: str | None = None
    earlier: tuple[str, ...] = ()
    is_sure: bool = False


@dataclass(frozen=True)
class Allow:
    """Carry it out, with the arguments as they are in `call`."""

    call: ToolCall


@dataclass(frozen=True)
class Confirm:
    """Ask the speaker first; `proof` is what their yes is worth."""

    question: str
    call: ToolCall
    sensitive: bool
    proof: Permission = Permission.YES


@dataclass(frozen=True)
class Refuse:
    """Do not carry it out; the reason is for the model and the trace."""

    reason: str


Decision = Allow | Confirm | Refuse


@dataclass(frozen=True)
class Held:
    """A sentence that is not carried out, or not before the question is answered."""

    permission: Permission
    question: str | None = None


@dataclass(frozen=True)
class Policy:
    """The rules of one home; `harmless` are entity ids of scripts and the like that its owner has cleared."""

    things: Things
    harmless: frozenset[str] = frozenset()
    household: Household = field(default_factory=NoHousehold)

    def decide(self, call: ToolCall, spoken: Spoken) -> Decision:
        """What is to become of a call, from the words of the speaker alone."""
        if not is_offered(call.name):
            return Refuse(f"There is no tool {clean(call.name, max_chars=NAME_MAX_CHARS)}.")
        if len(repr(call.arguments)) > _ARGUMENTS_MAX_CHARS:
            return Refuse("The arguments are too long.")
        call = ToolCall(call.id, call.name, unquote(call.arguments))
        if call.arguments.get(_LATER_COMMAND):
            # Nobody would be asked when the time has come. Home Assistant's own sentences take what a person says so.
            return Refuse("Commands cannot be put off with a timer. Set one that rings, or do it now.")
        action = understand(call.name, call.arguments, self.things, self.harmless)
        if action.verb in _MEMORY:
            return _decide_memory(action, call, spoken)
        return Allow(call) if action.gravity is Gravity.READS else self._decide_change(action, call, spoken)

    def _decide_change(self, action: Action, call: ToolCall, spoken: Spoken) -> Decision:
        if action.targeted and not action.things and action.verb not in _UNTARGETED:
            return Refuse("Nothing in the home is called that. Ask the person what they mean.")
        asked_for = self._warrants(action, call, spoken)
        if action.gravity is Gravity.SENSITIVE:
            return self._decide_sensitive(action, call, spoken, asked_for=asked_for)
        if asked_for:
            return Allow(call)
        if action.gravity is Gravity.GUARDED and spoken.speaker is None:
            return Refuse("The person has not asked for this.")
        return Confirm(_question(action, call, spoken.language), call, sensitive=False)

    def _decide_sensitive(self, action: Action, call: ToolCall, spoken: Spoken, *, asked_for: bool) -> Decision:
        if not asked_for:
            return Refuse("The person has not asked for this in plain words.")
        if spoken.speaker is None:
            return Refuse("This needs somebody whom the home knows, and the speaker is not known.")
        match self.household.permission(spoken.speaker, is_sure=spoken.is_sure):
            case Permission.NO:
                return Refuse("This person may not do this.")
            case Permission.UNSURE:
                return Refuse("This needs somebody whose voice is recognised for certain, and this one is not.")
            case permission:
                question = _question(action, call, spoken.language)
                return Confirm(question, call, sensitive=True, proof=permission or Permission.YES)

    def hold(self, intent: str, slots: Mapping[str, Any], spoken: Spoken) -> Held | None:
        """What stands before one of the home's own sentences is carried out; None when nothing does.

        Nothing does in a home that has no people: there, everybody whom it hears may do everything, as ever.
        """
        permission = self.household.permission(spoken.speaker, is_sure=spoken.is_sure)
        if permission is None:
            return None
        action = understand_intent(intent, slots, self.things, self.harmless)
        if action is None or not opens_home(action):
            return None
        if permission in {Permission.NO, Permission.UNSURE}:
            return Held(permission)
        return Held(permission, _question(action, ToolCall("", intent, dict(slots)), spoken.language))

    def _warrants(self, action: Action, call: ToolCall, spoken: Spoken) -> bool:
        """Whether the speaker's words ask for this: the deed now, the thing now or in the turns just before."""
        now = self.things.mentions(spoken.text, spoken.language)
        asks = _asks(action, now.words, spoken.language)
        if asks is False or (asks is None and action.gravity is not Gravity.ORDINARY):
            return False
        if not _says_arguments(action, call, now.words, spoken.language):
            return False
        if not action.targeted:
            # Home Assistant takes the speaker's room; a thing that was named is one that the model left out.
            return action.gravity is Gravity.ORDINARY
        if self._all_meant(action, now, spoken):
            return True
        if now.areas or now.kinds or not points_back(now.words, spoken.language):
            return False
        before = [self.things.mentions(text, spoken.language) for text in spoken.earlier[-_EARLIER_MAX:]]
        return any(self._all_meant(action, each, spoken) for each in before)

    def _all_meant(self, action: Action, said: Mentions, spoken: Spoken) -> bool:
        named = self.things.named_in(said.words)
        return all(self._means(thing, said, spoken, named) for thing in action.things)

    def _means(self, thing: Thing, said: Mentions, spoken: Spoken, named: frozenset[str]) -> bool:
        """Whether words mean a thing: by its name, by most of it, or by its kind and a place.

        Where they name something else of its domain, "the light" in them is that.
        """
        words = frozenset(said.words)
        stop = stop_words(spoken.language)
        here = thing.area in said.areas or (thing.floor is not None and thing.floor in said.floors)
        elsewhere = bool(said.areas or said.floors) and not here
        for name in map(tokens, thing.names):
            telling = frozenset(name) - stop or frozenset(name)
            if telling and telling <= words:
                return True
            if not elsewhere and 2 * len(telling & words) > len(telling):
                return True
        if elsewhere:
            return False
        everything = means_all(said.words, spoken.language)
        if not (here or everything or (self._is_nearest(thing, spoken.area) and not _names_another(thing, named))):
            return False
        return any(_is_kind(thing, kind) for kind in said.kinds) if said.kinds else everything

    def _is_nearest(self, thing: Thing, area: str | None) -> bool:
        """Whether who names no place means this one: in their own room, or the home's only one of its domain."""
        return (thing.area is not None and thing.area == area) or len(self.things.of_kind(thing.domain)) == 1


def _decide_memory(action: Action, call: ToolCall, spoken: Spoken) -> Decision:
    """What is kept are the speaker's own words; what is theirs is forgotten after a yes of theirs."""
    if spoken.speaker is None:
        return Refuse("Things are kept for people whom the home knows, and the speaker is not known.")
    text = str(call.arguments.get("text", ""))
    said = (*spoken.earlier[-_EARLIER_MAX:], spoken.text)
    asked_for = asks_for(action.verb, tokens(spoken.text), spoken.language)
    if action.verb == "forget":
        if asked_for is False:
            return Refuse("The person has not asked for this in plain words.")
    elif not are_own_words(text, said, spoken.language):
        return Refuse("The person has not said this. Remember only what they said, in their own words.")
    elif asked_for:
        return Allow(call)
    return Confirm(
        question_for(action.verb, clean(text, max_chars=_MEMORY_MAX_CHARS), spoken.language), call, sensitive=True
    )


def _names_another(thing: Thing, named: frozenset[str]) -> bool:
    return any(entity_id.startswith(f"{thing.domain}.") for entity_id in named - {thing.entity_id})


def _asks(action: Action, words: tuple[str, ...], language: str) -> bool | None:
    """Whether the words ask for this deed; who turns something off has not said that a door is to be unlocked."""
    asks = asks_for(action.effect, words, language)
    if asks or any(thing.domain == "lock" for thing in action.things):
        return asks
    return asks_for(action.verb, words, language)


def _says_arguments(action: Action, call: ToolCall, words: tuple[str, ...], language: str) -> bool:
    """Whether what is to be written down, announced or played is in the speaker's own words."""
    said, stop = frozenset(words), stop_words(language)
    for name in _SAID_ARGUMENTS.get(action.verb, ()):
        value = call.arguments.get(name)
        telling = frozenset(tokens(str(value))) - stop if value is not None else frozenset()
        if telling and 2 * len(telling & said) < len(telling):
            return False
    return True


def _is_kind(thing: Thing, kind: str) -> bool:
    """Whether a thing is of a kind that was said; "the door" is also the lock in it."""
    domain, _, device_class = kind.partition(".")
    if kind == "binary_sensor.door":
        return thing.domain == "lock" or (thing.domain == "cover" and thing.device_class in {"door", "garage", "gate"})
    if kind == "binary_sensor.window":
        return thing.domain == "cover"
    return thing.domain == domain and (not device_class or thing.device_class == device_class)


def _question(action: Action, call: ToolCall, language: str) -> str:
    names = [clean(thing.name, max_chars=NAME_MAX_CHARS) for thing in action.things]
    if not names:
        said = ", ".join(f"{value}" for value in call.arguments.values() if isinstance(value, str | int | float))
        names = [clean(f"{action.tool.removeprefix('Hass')} {said}", max_chars=NAME_MAX_CHARS)]
    shown = ", ".join(names[:_NAMED_MAX])
    return question_for(
        action.effect, f"{shown} (+{len(names) - _NAMED_MAX})" if len(names) > _NAMED_MAX else shown, language
    )
