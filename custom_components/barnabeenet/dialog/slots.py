"""What may stand in a slot of HA's sentences in this home."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hassil.expression import Sentence
from hassil.intents import IntentData, RangeSlotList, RangeType, SlotList, TextSlotList

from .phrasings import phrasings

_NUMBERS_MAX: Final = 101
_PHRASINGS_PER_VALUE: Final = 4
# What HA's agent tells its sentences of an entity.
_CONTEXT: Final = ("domain", "device_class")
# What is opened only after a yes.
_OPENED_DOMAINS: Final = ("cover", "lock")


@dataclass(frozen=True)
class Entity:
    """An entity that may be spoken to: its names and aliases, and what the sentences ask of it."""

    names: tuple[str, ...]
    domain: str
    device_class: str | None = None


@dataclass(frozen=True)
class Home:
    """The home as the sentences see it. `wildcards` has values for HA's open lists, such as what people buy."""

    language: str
    entities: tuple[Entity, ...] = ()
    areas: tuple[str, ...] = ()
    floors: tuple[str, ...] = ()
    temperatures: range = range(5, 36)
    wildcards: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    people: tuple[str, ...] = ()


class SlotLists:
    """Finds the list for a slot and keeps the lists that were asked for.

    Names are kept apart by what can be done with them (`name_lock`, `name_light_switch`), so that nobody hears
    "lock the bed light".
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.domains = frozenset(entity.domain for entity in home.entities)
        self.classes = frozenset((entity.domain, entity.device_class) for entity in home.entities)
        self.lists: dict[str, list[str]] = {}
        self._names: dict[tuple[str, tuple[str, ...]], str] = {}

    def find(self, name: str, slot: str, slot_list: SlotList | None, block: IntentData) -> str | None:
        """The name of the list that stands for {name:slot} in a block of sentences; None when the home has none."""
        if name == "name":
            entities = self._entities(block)
            domains = sorted({entity.domain for entity in entities})
            return self._keep("_".join(("name", *domains)), [name for entity in entities for name in entity.names])
        if name in {"area", "floor"}:
            return self._keep(name, self.home.areas if name == "area" else self.home.floors)
        if name in self.home.wildcards:
            return self._keep(name, self.home.wildcards[name])
        if isinstance(slot_list, RangeSlotList):
            return self._keep(name, self._numbers(slot_list))
        if isinstance(slot_list, TextSlotList):
            return self._keep(name, self._texts(slot_list, slot, block))
        return None

    def own(self, name: str, values: Iterable[str]) -> str | None:
        """The name of the list for what is said to Barnabee itself: the home's own where it has one, else these values."""
        home = self.home
        named = {"area": home.areas, "person": home.people, **{each: self._named(each) for each in _OPENED_DOMAINS}}
        return self._keep(name, named.get(name, values))

    def _named(self, domain: str) -> tuple[str, ...]:
        return tuple(name for entity in self.home.entities if entity.domain == domain for name in entity.names)

    def _entities(self, block: IntentData) -> list[Entity]:
        """The entities that a block of sentences may name."""
        required = {key: values_of(block.requires_context[key]) for key in _CONTEXT if key in block.requires_context}
        excluded = {key: values_of(block.excludes_context[key]) for key in _CONTEXT if key in block.excludes_context}
        return [
            entity
            for entity in self.home.entities
            if all(getattr(entity, key) in values for key, values in required.items())
            and not any(getattr(entity, key) in values for key, values in excluded.items())
        ]

    def _numbers(self, numbers: RangeSlotList) -> Iterator[str]:
        """Whole numbers as digits: the recogniser knows how they are said, and HA takes digits in any language."""
        for number in range(numbers.start, numbers.stop + 1, numbers.step)[:_NUMBERS_MAX]:
            if numbers.type is not RangeType.TEMPERATURE or number in self.home.temperatures:
                yield str(number)

    def _texts(self, texts: TextSlotList, slot: str, block: IntentData) -> Iterator[str]:
        domains = values_of(block.slots.get("domain"))
        for value in texts.values:
            if slot != "device_class" or any((domain, value.value_out) in self.classes for domain in domains):
                yield from phrasings(Sentence(expression=value.text_in), {}, limit=_PHRASINGS_PER_VALUE)

    def _keep(self, name: str, values: Iterable[str]) -> str | None:
        kept = tuple(dict.fromkeys(values))
        if not kept:
            return None
        if (name, kept) not in self._names:
            unused = name if name not in self.lists else f"{name}_{len(self.lists)}"
            self._names[name, kept] = unused
            self.lists[unused] = list(kept)
        return self._names[name, kept]


def values_of(value: Any) -> frozenset[Any]:
    """What a hassil context or slot value allows: it may be one value, several, or a wish for any."""
    if value is None or isinstance(value, Mapping):
        return frozenset()
    return frozenset([value] if isinstance(value, str) or not isinstance(value, Sequence) else value)
