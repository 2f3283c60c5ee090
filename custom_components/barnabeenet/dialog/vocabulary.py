"""What people say in this home: the sentences it can serve and the values that stand in them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
import hashlib
import json
import logging
from typing import Final

from hassil.intents import Intents

from ..client.messages import (
    NAME_MAX_CHARS,
    VOCABULARY_MAX_LISTS,
    VOCABULARY_MAX_SENTENCES,
    VOCABULARY_MAX_TERMS,
    Vocabulary,
)
from .commands import Commands
from .own_sentences import NOTHING, Own
from .phrasings import SLOT
from .slots import Home

_LOGGER = logging.getLogger(__name__)

# A frame's JSON is bounded at 1 MiB; the rest of it needs little.
_BYTES_MAX: Final = 1_000_000


@dataclass(frozen=True, eq=False)
class Templates:
    """Where sentences come from."""

    lean: Intents | None
    """HA's short list made for recognisers; few languages have one."""
    full: Intents | None
    """All of HA's sentences for the language, with the user's own."""
    triggers: tuple[str, ...] = ()
    """The sentences of automations."""
    own: Own = NOTHING
    """What is said to Barnabee itself."""

    def same_as(self, other: Templates) -> bool:
        """Whether nothing was loaded anew; comparing the sentences themselves would take longer than using them."""
        return (
            self.lean is other.lean
            and self.full is other.full
            and self.triggers == other.triggers
            and self.own == other.own
        )


def build(home: Home, templates: Templates) -> Vocabulary:
    """The vocabulary of a home within the contract's bounds; takes some 0.3 s, so it is no work for an event loop."""
    commands = Commands(home)
    if templates.lean is not None:
        commands.add_intents(templates.lean, limit=64)
    for trigger in templates.triggers:
        commands.add_trigger(trigger)
    commands.add_own(templates.own)
    if templates.full is not None:
        commands.add_intents(templates.full, limit=64, max_cost=2.5)
    names = dict.fromkeys(name for entity in home.entities for name in entity.names)
    vocabulary = Vocabulary(
        language=home.language,
        revision="",
        names=list(names),
        terms=list(dict.fromkeys((*home.areas, *home.floors))),
        sentences=commands.texts,
        lists=commands.lists(),
    )
    bounded = _bounded(vocabulary)
    return replace(bounded, revision=hashlib.sha256(_encoded(bounded)).hexdigest()[:32])


def _bounded(vocabulary: Vocabulary) -> Vocabulary:
    """The vocabulary cut to what the contract allows, the least likely first; says so in the log."""
    kept = replace(
        vocabulary,
        names=[name for name in vocabulary.names if len(name) <= NAME_MAX_CHARS][:VOCABULARY_MAX_TERMS],
        terms=[term for term in vocabulary.terms if len(term) <= NAME_MAX_CHARS][:VOCABULARY_MAX_TERMS],
        lists={
            name: short
            for name, values in list(vocabulary.lists.items())[:VOCABULARY_MAX_LISTS]
            if (short := [value for value in values if len(value) <= NAME_MAX_CHARS][:VOCABULARY_MAX_TERMS])
        },
    )
    kept = _without_orphans(kept)
    while len(_encoded(kept)) > _BYTES_MAX:
        kept = _without_orphans(_three_quarters(kept))
    if kept != vocabulary:
        _LOGGER.warning(
            "The vocabulary of this home is too large for the recogniser: kept %d of %d names, %d of %d sentences;"
            " expose fewer entities to Assist or shorten their names",
            *(len(kept.names), len(vocabulary.names), len(kept.sentences), len(vocabulary.sentences)),
        )
    return kept


def _without_orphans(vocabulary: Vocabulary) -> Vocabulary:
    """The vocabulary without sentences that are too long or lack a list."""
    return replace(
        vocabulary,
        sentences=[
            text
            for text in vocabulary.sentences
            if len(text) <= NAME_MAX_CHARS and all(match[1] in vocabulary.lists for match in SLOT.finditer(text))
        ][:VOCABULARY_MAX_SENTENCES],
    )


def _three_quarters(vocabulary: Vocabulary) -> Vocabulary:
    def cut(values: list[str]) -> list[str]:
        return values[: max(100, len(values) * 3 // 4)]

    return replace(
        vocabulary,
        names=cut(vocabulary.names),
        terms=cut(vocabulary.terms),
        sentences=cut(vocabulary.sentences),
        lists={name: cut(values) for name, values in vocabulary.lists.items()},
    )


def _encoded(vocabulary: Vocabulary) -> bytes:
    return json.dumps(asdict(vocabulary), sort_keys=True).encode()
