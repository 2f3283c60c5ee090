"""What there is in a home, and which of it a sentence is about: an index that follows the home, not a walk through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from math import log
from typing import Any, Final

from .cues import begins_compound, kinds_in, stop_words, tokens

RELEVANT_MAX: Final = 20

# Who says a whole name means it; the rest only narrows down.
_WHOLE_NAME: Final = 60.0
_WHOLE_NAME_PER_WORD: Final = 6.0
_PART_OF_NAME: Final = 20.0
_AREA_SAID: Final = 35.0
_KIND_SAID: Final = 25.0
_FLOOR_SAID: Final = 20.0
_AREA_OF_DEVICE: Final = 12.0
_CONTROLLABLE: Final = 3.0
_CONTROLLABLE_DOMAINS: Final = frozenset(
    {"climate", "cover", "fan", "humidifier", "light", "lock", "media_player", "switch", "vacuum", "valve"}
)
# A part of a name that more things share than this says nothing about which is meant.
_SHARED_MAX: Final = 400


@dataclass(frozen=True)
class Thing:
    """An exposed entity as it is called: the first of `names` is the one to say, the others are aliases."""

    entity_id: str
    names: tuple[str, ...]
    device_class: str | None = None
    area: str | None = None
    area_aliases: tuple[str, ...] = ()
    floor: str | None = None

    @property
    def domain(self) -> str:
        """The part of the id before the dot."""
        return self.entity_id.partition(".")[0]

    @property
    def name(self) -> str:
        """The name to say."""
        return self.names[0] if self.names else self.entity_id

    @property
    def kinds(self) -> tuple[str, ...]:
        """Its domain, and its domain with its device class."""
        return (self.domain,) if self.device_class is None else (self.domain, f"{self.domain}.{self.device_class}")


@dataclass(frozen=True)
class Reading:
    """A state at a moment; the attributes are Home Assistant's own."""

    state: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Mentions:
    """What a sentence speaks of: rooms and floors that the home has, and kinds of things."""

    words: tuple[str, ...]
    areas: frozenset[str]
    floors: frozenset[str]
    kinds: frozenset[str]


class Things:
    """Everything that is exposed, found by name, room, floor and kind; changed one by one as the home changes."""

    def __init__(self, things: Iterable[Thing] = ()) -> None:
        self.revision = 0
        """Another one after every change."""
        self._things: dict[str, Thing] = {}
        self._by_word: dict[str, dict[str, set[tuple[str, ...]]]] = {}
        self._by_name: dict[tuple[str, ...], set[str]] = {}
        self._by_kind: dict[str, set[str]] = {}
        self._by_place: dict[tuple[str, str], set[str]] = {}
        self._places: dict[str, Counter[tuple[tuple[str, ...], str]]] = {"area": Counter(), "floor": Counter()}
        for thing in things:
            self.put(thing)

    def __len__(self) -> int:
        return len(self._things)

    def __iter__(self) -> Iterator[Thing]:
        return iter(self._things.values())

    def get(self, entity_id: str) -> Thing | None:
        """The thing with this id, if it is exposed."""
        return self._things.get(entity_id)

    def put(self, thing: Thing) -> None:
        """Adds a thing, or takes the place of what had its id."""
        self.remove(thing.entity_id)
        self.revision += 1
        self._things[thing.entity_id] = thing
        for words in set(map(tokens, thing.names)):
            self._by_name.setdefault(words, set()).add(thing.entity_id)
            for word in set(words):
                self._by_word.setdefault(word, {}).setdefault(thing.entity_id, set()).add(words)
        for kind in thing.kinds:
            self._by_kind.setdefault(kind, set()).add(thing.entity_id)
        for sort, place, called in _places_of(thing):
            self._by_place.setdefault((sort, place), set()).add(thing.entity_id)
            self._places[sort][(called, place)] += 1

    def remove(self, entity_id: str) -> None:
        """Forgets a thing; nothing happens when it is not there."""
        thing = self._things.pop(entity_id, None)
        if thing is None:
            return
        self.revision += 1
        for words in set(map(tokens, thing.names)):
            _discard(self._by_name, words, entity_id)
        for word in {word for name in thing.names for word in tokens(name)}:
            self._by_word[word].pop(entity_id)
            if not self._by_word[word]:
                del self._by_word[word]
        for kind in thing.kinds:
            _discard(self._by_kind, kind, entity_id)
        for sort, place, called in _places_of(thing):
            _discard(self._by_place, (sort, place), entity_id)
            self._places[sort][(called, place)] -= 1
            if not self._places[sort][(called, place)]:
                del self._places[sort][(called, place)]

    def areas(self) -> list[str]:
        """The rooms that have something in them, by name."""
        return sorted({place for _, place in self._places["area"]})

    def in_area(self, area: str) -> list[Thing]:
        """What is in a room, by id; the room by its name or an alias of it."""
        places = self.area_named(area)
        return [self._things[each] for place in places for each in sorted(self._by_place[("area", place)])]

    def area_named(self, name: str) -> frozenset[str]:
        """The rooms that are called so."""
        wanted = tokens(name)
        return frozenset(place for called, place in self._places["area"] if called == wanted)

    def of_kind(self, kind: str) -> list[Thing]:
        """All things of a domain or of a domain's device class, by id."""
        return [self._things[each] for each in sorted(self._by_kind.get(kind, ()))]

    def named(self, name: str) -> list[Thing]:
        """The things with exactly this name or alias, by id, whatever its case and accents."""
        return [self._things[each] for each in sorted(self._by_name.get(tokens(name), ()))]

    def named_in(self, words: Iterable[str]) -> frozenset[str]:
        """The ids of the things of which a whole name is among these folded words, in whatever order."""
        said = frozenset(words)
        named = (self._by_word.get(word, {}) for word in said)
        return frozenset(
            entity_id for each in named for entity_id, names in each.items() if any(map(said.issuperset, names))
        )

    def mentions(self, text: str, language: str | None) -> Mentions:
        """The places and kinds that a sentence speaks of."""
        words = tokens(text)
        areas, floors = (self._said(sort, words, language) for sort in ("area", "floor"))
        return Mentions(words, areas, floors, kinds_in(words, language))

    def relevant(
        self, text: str, language: str | None, *, area: str | None = None, limit: int = RELEVANT_MAX
    ) -> list[Thing]:
        """What a sentence said in a room is about, best first; equally good ones by id."""
        mentioned = self.mentions(text, language)
        scores = self._name_scores(mentioned.words, stop_words(language))
        for kind in mentioned.kinds:
            _add(scores, self._by_kind.get(kind, ()), _KIND_SAID)
        for place in mentioned.areas:
            _add(scores, self._by_place[("area", place)], _AREA_SAID)
        for place in mentioned.floors:
            _add(scores, self._by_place[("floor", place)], _FLOOR_SAID)
        if area is not None and not mentioned.areas and not mentioned.floors:
            _add(scores, self._by_place.get(("area", area), ()), _AREA_OF_DEVICE)
        ranked = nsmallest(limit, scores, key=lambda each: (-scores[each] - self._bonus(each), each))
        return [self._things[each] for each in ranked]

    def _bonus(self, entity_id: str) -> float:
        return _CONTROLLABLE if entity_id.partition(".")[0] in _CONTROLLABLE_DOMAINS else 0.0

    def _name_scores(self, words: tuple[str, ...], stop: frozenset[str]) -> dict[str, float]:
        said = frozenset(words)
        scores: dict[str, float] = {}
        for word in said - stop:
            named = self._by_word.get(word)
            if named is None:
                continue
            rarity = log(1 + len(self._things) / len(named)) / log(1 + len(self._things))
            for entity_id, names in named.items():
                whole = max((len(name) for name in names if said.issuperset(name)), default=0)
                if whole:
                    score = _WHOLE_NAME + _WHOLE_NAME_PER_WORD * whole
                elif len(named) > _SHARED_MAX:
                    continue
                else:
                    score = _PART_OF_NAME * rarity
                scores[entity_id] = max(score, scores.get(entity_id, 0.0) + (0.0 if whole else score))
        return scores

    def _said(self, sort: str, words: tuple[str, ...], language: str | None) -> frozenset[str]:
        """The places whose name, or an alias, stands in the words or begins one of them."""
        line = f" {' '.join(words)} "
        return frozenset(
            place
            for called, place in self._places[sort]
            if (called and f" {' '.join(called)} " in line)
            or (len(called) == 1 and any(begins_compound(called[0], word, language) for word in words))
        )


def _places_of(thing: Thing) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The sort of place, its name, and one of the ways it is called."""
    if thing.area is not None:
        for called in dict.fromkeys(map(tokens, (thing.area, *thing.area_aliases))):
            yield "area", thing.area, called
    if thing.floor is not None:
        yield "floor", thing.floor, tokens(thing.floor)


def _discard(index: dict[Any, set[str]], key: Any, entity_id: str) -> None:
    if key in index:
        index[key].discard(entity_id)
        if not index[key]:
            del index[key]


def _add(scores: dict[str, float], entity_ids: Iterable[str], points: float) -> None:
    for entity_id in entity_ids:
        scores[entity_id] = scores.get(entity_id, 0.0) + points
