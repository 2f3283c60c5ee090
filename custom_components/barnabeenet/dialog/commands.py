"""What can be said to a home: HA's sentence templates, as far as something in the home can serve them."""

from __future__ import annotations

from collections.abc import Mapping
import logging
from typing import Final

from hassil.expression import Sentence
from hassil.intents import IntentData, Intents, SlotList
from hassil.parse_expression import parse_sentence
from hassil.parser import ParseError

from .own_sentences import Own
from .phrasings import SLOT, phrasings
from .slots import Home, SlotLists, values_of

_LOGGER = logging.getLogger(__name__)

_EDGE: Final = ("<>", "<>", "<>")
# Longer ones ("add {hours} hours {minutes} minutes to the {hours} hour timer") exist, but nobody says them.
_SLOTS_MAX: Final = 2
# Nobody gives the colour of light in kelvins, and every number more is one more to mishear.
_UNSAID_LISTS: Final = frozenset({"color_temperature"})

# What an intent needs where its sentences do not say so, by the beginning of the intent's name.
_NEEDED_DOMAIN: Final[Mapping[str, str]] = {
    "HassClimate": "climate",
    "HassFan": "fan",
    "HassGetWeather": "weather",
    "HassLawnMower": "lawn_mower",
    "HassList": "todo",
    "HassMedia": "media_player",
    "HassSetVolume": "media_player",
    "HassShoppingList": "todo",
    "HassVacuum": "vacuum",
}


class Commands:
    """Collects the sentences that something in the home can serve.

    A sentence is kept when it has four words in a row that none before it had: HA's templates hold millions of
    sentences but few such sequences, and the recogniser takes what is made of them and rejects everything else.
    """

    def __init__(self, home: Home) -> None:
        self.texts: list[str] = []
        self._slots = SlotLists(home)
        self._known: set[tuple[str, ...]] = set()

    def add_intents(self, intents: Intents, *, limit: int, max_cost: float = float("inf")) -> None:
        """Adds every intent's sentences, of each template at most `limit` phrasings; see `phrasings` for the cost."""
        for name, intent in intents.intents.items():
            for block in intent.data:
                if self._can_serve(name, block):
                    self._add_block(intents, block, limit, max_cost)

    def add_trigger(self, template: str) -> None:
        """Adds an automation's sentence; one with slots is left out, for anything may stand in them."""
        try:
            sentence = parse_sentence(template, keep_text=True)
        except ParseError:
            # HA refuses it too, and tells the automation's owner.
            return
        for text in _phrasings(sentence, {}, 32, float("inf")):
            if not SLOT.search(text):
                self._keep(text)

    def add_own(self, own: Own) -> None:
        """Adds what is said to Barnabee itself, but for sentences whose list is empty in this home."""
        # Found once each: a home may have thousands of names.
        found: dict[str, str | None] = {}
        for template in own.templates:
            for text in _phrasings(parse_sentence(template, keep_text=True), {}, 32, float("inf")):
                slots = list(SLOT.finditer(text))
                for slot in slots:
                    if slot[1] not in found:
                        found[slot[1]] = self._slots.own(slot[1], own.lists.get(slot[1], ()))
                self._keep_filled(text, {slot[0]: found[slot[1]] for slot in slots})

    def lists(self) -> dict[str, list[str]]:
        """The lists that the sentences use."""
        used = {slot[1] for text in self.texts for slot in SLOT.finditer(text)}
        return {name: values for name, values in self._slots.lists.items() if name in used}

    def _can_serve(self, intent: str, block: IntentData) -> bool:
        needed = next((domain for prefix, domain in _NEEDED_DOMAIN.items() if intent.startswith(prefix)), None)
        if needed is not None and needed not in self._slots.domains:
            return False
        domains, classes = values_of(block.slots.get("domain")), values_of(block.slots.get("device_class"))
        if domains and not domains & self._slots.domains:
            return False
        return not classes or any((domain, each) in self._slots.classes for domain in domains for each in classes)

    def _add_block(self, intents: Intents, block: IntentData, limit: int, max_cost: float) -> None:
        rules = {**intents.expansion_rules, **block.expansion_rules}
        lists = {**intents.slot_lists, **block.slot_lists}
        # A block asks the same of a slot in all of its sentences, and a home may have thousands of names.
        found: dict[str, str | None] = {}
        for sentence in block.sentences:
            for text in _phrasings(sentence, rules, limit, max_cost):
                slots = list(SLOT.finditer(text))
                for slot in slots:
                    if slot[0] not in found:
                        found[slot[0]] = self._find_list(slot[1], slot[2], lists, block)
                # A name alone is a command to HA ("Bed Light" turns it on), but every command holds a name.
                if len(slots) <= _SLOTS_MAX and SLOT.sub("", text).strip():
                    self._keep_filled(text, {slot[0]: found[slot[0]] for slot in slots})

    def _find_list(self, name: str, slot: str, lists: Mapping[str, SlotList], block: IntentData) -> str | None:
        return None if name in _UNSAID_LISTS else self._slots.find(name, slot, lists.get(name), block)

    def _keep_filled(self, text: str, found: Mapping[str, str | None]) -> None:
        """Keeps a text with each slot's list in its place, unless the home has nothing for one of them."""
        if all(found.values()):
            self._keep(SLOT.sub(lambda slot: f"{{{found[slot[0]]}}}", text))

    def _keep(self, text: str) -> None:
        words = (*_EDGE, *text.split(), *_EDGE[:1])
        sequences = set(zip(words, words[1:], words[2:], words[3:], strict=False))
        if not sequences <= self._known:
            self._known |= sequences
            self.texts.append(text)


def _phrasings(sentence: Sentence, rules: Mapping[str, Sentence], limit: int, max_cost: float) -> list[str]:
    try:
        return phrasings(sentence, rules, limit=limit, max_cost=max_cost)
    except ValueError as error:
        _LOGGER.warning("Left the sentence %r out of the vocabulary: %s", sentence.text, error)
        return []
