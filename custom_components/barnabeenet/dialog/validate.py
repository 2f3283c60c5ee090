"""Checks a reply against the home before it is spoken, sentence by sentence so that it can be spoken as it comes.

A sentence that says something false about a known thing is put right; one about something unknown is flagged; what is
not surely false is left as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from math import isfinite
import re
from typing import Any, Final

from .claims import Claim, grammar_endings, read_claims
from .claims_grammar import GRAMMARS, Kind, patterns
from .context import House
from .cues import kinds_in, spoken, stop_words, tokens
from .persona import repair
from .things import Reading, Thing
from .verbs import means_all

_POWER_DOMAINS: Final = frozenset({"fan", "humidifier", "input_boolean", "light", "media_player", "siren", "switch"})
_OFF: Final = frozenset({"off", "standby"})
_OPEN_CLASSES: Final = frozenset({"door", "garage_door", "opening", "window"})
_GONE: Final = frozenset({"unavailable"})
_UNSAID: Final = frozenset({"unavailable", "unknown", "buffering"})
_PERCENT_ATTRIBUTES: Final = {"cover": "current_position", "fan": "percentage"}
_PERCENT_CLASSES: Final = frozenset({"battery", "humidity", "moisture"})
_NOT: Final = re.compile(r"n['\u2019]t$", re.IGNORECASE)
_ENDS: Final = re.compile(r"[^.!]+")
_APOSTROPHES: Final = ("'", "\u2019")
# A device reports what it rounded, and a model says what it rounded again.
_PERCENT_OFF_BY: Final = 2.0
_DEGREES_OFF_BY: Final = 0.6
_ABOUT_FACTOR: Final = 4.0
_BRIGHTNESS_MAX: Final = 255
_LENGTHS_KEPT: Final = 256
_NEAR_MAX: Final = 8
_NEARLY_CLOSED: Final = 10
_WORKING: Final = frozenset({"cooling", "drying", "fan", "heating", "preheating"})


@dataclass(frozen=True)
class Finding:
    """What was found in a sentence: `corrected`, `unavailable`, `unknown_device`, `unknown_room` or `persona`."""

    kind: str
    about: str


@dataclass(frozen=True)
class Checked:
    """A sentence as it may be spoken (empty: not at all), and what was found in it."""

    text: str
    findings: tuple[Finding, ...] = ()


@dataclass
class Lengths:
    """How long replies of one sort were, in characters."""

    replies: int = 0
    chars: int = 0
    longest_chars: int = 0


@dataclass
class ReplyCounts:
    """What the checks found since the start; plain numbers for telemetry."""

    findings: Counter[str] = field(default_factory=Counter)
    regenerations: int = 0
    lengths: dict[tuple[str, str], Lengths] = field(default_factory=dict)

    def replied(self, text: str, *, intent: str | None, path: str) -> None:
        """Counts a whole reply under its intent and the path that it came by; beyond a bound all new ones together."""
        key = (intent or "none", path)
        if key not in self.lengths and len(self.lengths) >= _LENGTHS_KEPT:
            key = ("other", "other")
        lengths = self.lengths.setdefault(key, Lengths())
        lengths.replies += 1
        lengths.chars += len(text)
        lengths.longest_chars = max(lengths.longest_chars, len(text))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "findings": dict(sorted(self.findings.items())),
            "regenerations": self.regenerations,
            "lengths": [
                {
                    "intent": intent,
                    "path": path,
                    "replies": each.replies,
                    "mean_chars": round(each.chars / each.replies, 1),
                    "longest_chars": each.longest_chars,
                }
                for (intent, path), each in sorted(self.lengths.items())
            ],
        }


class ReplyCheck:
    """Checks the sentences of one reply, in their order.

    `acted` gives the ids of what tools have changed in this session: their states may be on their way, and what is said
    of them is the tools' word.
    """

    def __init__(
        self,
        house: House,
        language: str | None,
        counts: ReplyCounts,
        acted: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._house = house
        self._language = spoken(language)
        self._counts = counts
        self._acted = acted

    def check(self, sentence: str) -> Checked:
        """The sentence as it may be spoken."""
        text, slips = repair(sentence, self._language)
        findings = [Finding("persona", slip) for slip in slips]
        if self._language is not None:
            language = _Language(self._language)
            for claim in reversed(read_claims(text, self._language, self._house.things)):
                put, finding = self._judge(claim, language)
                findings.extend(() if finding is None else (finding,))
                if put is not None:
                    text = text[: claim.start] + put + text[claim.end :]
        self._counts.findings.update(finding.kind for finding in findings)
        return Checked(text, tuple(findings))

    def _judge(self, claim: Claim, language: _Language) -> tuple[str | None, Finding | None]:
        """What to say in the place of a claim (None: let it stand), and what was found."""
        if not claim.things:
            return None, self._unknown(claim, language)
        acted = self._acted()
        if any(thing.entity_id in acted for thing in claim.things):
            return None, None
        read = [(thing, self._house.reading(thing.entity_id)) for thing in claim.things]
        about = [(thing, reading) for thing, reading in read if reading is not None and _fits(claim.kind, thing)]
        if not about:
            return None, None
        first = about[0][0].entity_id
        if not claim.group and all(reading.state in _GONE for _, reading in about):
            return language.put(claim, language.unavailable), Finding("unavailable", first)
        if not isinstance(claim.value, bool):
            put = _number_put(claim, about, language)
        elif {truth_of(claim.kind, *each) for each in about} == {not claim.value}:
            put = language.put(claim, language.state(claim, claim.kind, value=not claim.value))
        else:
            put = self._several_put(claim, language)
        return (None, None) if put is None else (put, Finding("corrected", first))

    def _several_put(self, claim: Claim, language: _Language) -> str | None:
        """One clause for each of several named things, when some are and some are not as is said of all."""
        said: list[tuple[str, bool]] = []
        for subject, things in claim.parts if len(claim.parts) > 1 else ():
            read = [(thing, self._house.reading(thing.entity_id)) for thing in things if _fits(claim.kind, thing)]
            truths = {None if reading is None else truth_of(claim.kind, thing, reading) for thing, reading in read}
            (truth,) = truths if len(truths) == 1 else (None,)
            if truth is None:
                return None
            said.append((subject, truth))
        return language.several(claim, said) if {truth for _, truth in said} == {True, False} else None

    def _unknown(self, claim: Claim, language: _Language) -> Finding | None:
        """A flag for a thing or a room that the home does not have, when a clause plainly claims something of it."""
        words = tokens(claim.subject)
        kinds, things = kinds_in(words, language.code), self._house.things
        telling = {
            word for word in words if word not in stop_words(language.code) and not kinds_in([word], language.code)
        }
        if not kinds or not telling or means_all(words, language.code):
            return None
        for thing in things.relevant(claim.subject, language.code, limit=_NEAR_MAX):
            # A part of a name, or a name with its room put another way.
            if telling <= {word for name in (*thing.names, thing.area or "") for word in tokens(name)}:
                return None
        place = patterns(language.code).place.search(claim.subject)
        if place is not None and not things.area_named(claim.subject[place.end() :]):
            return Finding("unknown_room", claim.subject[place.end() :].strip())
        return Finding("unknown_device", claim.subject.strip())


def truth_of(kind: Kind, thing: Thing, reading: Reading) -> bool | None:
    """Whether a thing is on, open or locked; None while it changes, or when its state does not say."""
    state = reading.state
    if kind == "power":
        if thing.domain == "climate":
            # "The heating is off" is also said of one that is on and has nothing to do.
            return False if state == "off" else True if reading.attributes.get("hvac_action") in _WORKING else None
        return None if state in _UNSAID else state not in _OFF
    if kind == "lock":
        return {"locked": True, "unlocked": False, "open": False}.get(state)
    if any(0 < number <= _NEARLY_CLOSED for number in _numbers(reading.attributes.get("current_position"))):
        return None
    if thing.domain == "binary_sensor":
        return {"on": True, "off": False}.get(state)
    return {"open": True, "closed": False}.get(state)


def _fits(kind: Kind, thing: Thing) -> bool:
    """Whether the words of a claim can be about such a thing: a lock is never "off", a lamp never "open"."""
    domain = thing.domain
    if kind == "power":
        return domain in _POWER_DOMAINS or domain == "climate"
    if kind == "lock":
        return domain == "lock"
    if kind == "open":
        return domain in {"cover", "valve"} or (domain == "binary_sensor" and thing.device_class in _OPEN_CLASSES)
    if kind == "percent":
        return domain in {"cover", "fan", "light", "media_player"} or thing.device_class in _PERCENT_CLASSES
    return domain == "climate" or thing.device_class == "temperature"


def _number_put(claim: Claim, about: list[tuple[Thing, Reading]], language: _Language) -> str | None:
    """The clause with the true number; None when the number is right, or nobody can tell."""
    if len(about) != 1:
        return None
    ((thing, reading),) = about
    if claim.kind == "percent" and thing.domain == "light" and reading.state == "off":
        return language.put(claim, language.state(claim, "power", value=False))
    numbers = _percents(thing, reading) if claim.kind == "percent" else _degrees(claim, thing, reading)
    off_by = _PERCENT_OFF_BY if claim.kind == "percent" else _DEGREES_OFF_BY
    if claim.approximate:
        off_by *= _ABOUT_FACTOR
    if not numbers or any(abs(number - claim.value) <= off_by for number in numbers):
        return None
    at = claim.text.rindex(claim.number)
    return (
        claim.text[:at]
        + language.number(numbers[0], decimals=0 if claim.kind == "percent" else 1)
        + claim.text[at + len(claim.number) :]
    )


def _percents(thing: Thing, reading: Reading) -> list[float]:
    attributes = reading.attributes
    if thing.domain == "light":
        return [number / _BRIGHTNESS_MAX * 100 for number in _numbers(attributes.get("brightness"))]
    if thing.domain == "media_player":
        return [number * 100 for number in _numbers(attributes.get("volume_level"))]
    if thing.domain in _PERCENT_ATTRIBUTES:
        return _numbers(attributes.get(_PERCENT_ATTRIBUTES[thing.domain]))
    return _numbers(reading.state)


def _degrees(claim: Claim, thing: Thing, reading: Reading) -> list[float]:
    """The temperatures that may be meant, in the unit of the claim; none when the units differ."""
    attributes = reading.attributes
    if thing.domain == "climate":
        names = ("temperature",) if claim.target else ("current_temperature", "temperature")
        found = [number for name in names for number in _numbers(attributes.get(name))]
        unit = str(attributes.get("temperature_unit", ""))
    else:
        found, unit = _numbers(reading.state), str(attributes.get("unit_of_measurement", ""))
    if claim.fahrenheit is not None and claim.fahrenheit != unit.endswith("F"):
        return []
    return found


def _numbers(value: Any) -> list[float]:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return []
    return [number] if isfinite(number) else []


@dataclass(frozen=True)
class _Language:
    """Puts the truth into words, changing as little of the sentence as it can."""

    code: str

    @property
    def unavailable(self) -> str:
        return GRAMMARS[self.code].unavailable

    def number(self, number: float, *, decimals: int) -> str:
        return f"{round(number, decimals):g}".replace(".", GRAMMARS[self.code].decimal)

    def state(self, claim: Claim, kind: Kind, *, value: bool) -> str:
        ending = claim.ending or grammar_endings(self.code, claim.subject)
        return GRAMMARS[self.code].said[(kind, value)].format(ending)

    def put(self, claim: Claim, state: str) -> str:
        """The clause with another state; a deed that was not done becomes the state that there is."""
        if not claim.deed:
            verb = _NOT.sub("", claim.verb).strip()
            gap = "" if verb.startswith(_APOSTROPHES) else " "
            return f"{claim.lead}{claim.subject}{gap}{verb} {state}{claim.tail}"
        subject = re.sub("^den ", "der ", claim.subject)
        subject = subject if claim.lead.strip().endswith(",") else subject[:1].upper() + subject[1:]
        put = GRAMMARS[self.code].sentence.format(subject=subject, state=state)
        return f"{claim.lead}{put}{_ENDS.sub('', claim.tail) if claim.tail.strip('.! ') else claim.tail}"

    def several(self, claim: Claim, said: list[tuple[str, bool]]) -> str:
        """Each with its own state, joined as the language joins."""
        grammar = GRAMMARS[self.code]
        clauses = [
            grammar.sentence.format(
                subject=subject, state=grammar.said[(claim.kind, value)].format(grammar_endings(self.code, subject))
            )
            for subject, value in said
        ]
        return f"{claim.lead}{', '.join(clauses[:-1])} {grammar.joints.split('|')[0]} {clauses[-1]}{claim.tail}"
