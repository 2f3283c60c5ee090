"""What the dialogue needs of the memories that a family keeps; `state.memories.Memories` is the real one.

Whoever keeps them gives out what belongs to the speaker or to the family, and to a guest (None) only the latter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from .context import Memory as Recalled
from .telling_grammar import telling_words

Visibility = Literal["owner", "family"]
VISIBILITIES: Final[tuple[Visibility, ...]] = ("owner", "family")

# As people speak: longer than a turn may be, a text is no memory.
TEXT_MAX_CHARS: Final = 1_000
SHARED_MIN_WORDS: Final = 2


class Kept(Protocol):
    """One memory; `owner` is who told it."""

    @property
    def id(self) -> int:
        """Its name in the store."""

    @property
    def text(self) -> str:
        """As it was told."""

    @property
    def owner(self) -> str:
        """The speaker whose it is."""

    @property
    def visibility(self) -> str:
        """`owner` or `family`."""

    @property
    def kind(self) -> str:
        """`fact`, or how else it came here."""

    @property
    def at(self) -> float:
        """When it was told, in seconds since 1970."""

    @property
    def language(self) -> str | None:
        """In which language it was told."""


class Match(Protocol):
    """A memory that a search has found."""

    @property
    def memory(self) -> Kept:
        """What was found."""

    @property
    def similarity(self) -> float:
        """How near it is to the question (1: the same, 0: only words tell)."""

    @property
    def how(self) -> frozenset[str]:
        """By which ways."""


class Memories(Protocol):
    """All of them may raise StateError, and ValueError for what cannot be kept."""

    async def remember(
        self,
        text: str,
        *,
        speaker: str,
        visibility: Visibility = "owner",
        kind: str = "fact",
        source: str | None = None,
        language: str | None = None,
    ) -> Kept:
        """Keeps a text; `source` is the trace id of the turn it was said in."""

    async def recall(
        self, query: str, *, speaker: str | None, limit: int = 5, kinds: Sequence[str] | None = None
    ) -> Sequence[Match]:
        """The nearest first."""

    async def forget(self, memory_id: int, *, speaker: str) -> bool:
        """Whether there was such a memory of this speaker; it is gone now."""

    async def forget_all_of(self, speaker: str) -> int:
        """Forgets all that a speaker has told; returns how many there were."""

    async def page(self, *, speaker: str | None, limit: int, before: int | None = None) -> Sequence[Kept]:
        """The newest first, from the one after `before` on."""


@dataclass(frozen=True)
class Recollections:
    """The memories as a source of a model's context; see `context.Memories`."""

    memories: Memories

    async def recall(self, text: str, *, speaker: str | None, limit: int, min_similarity: float) -> Sequence[Recalled]:
        """Those that are near enough; where only words tell, by the words that they share."""
        found = await self.memories.recall(text, speaker=speaker, limit=limit)
        near = [Recalled(each.memory.text, each.similarity or shared(text, each.memory)) for each in found]
        return [each for each in near if each.similarity >= min_similarity]


def shared(text: str, memory: Kept) -> float:
    """How much of what they say the text and a memory have in common, from 0 to 1; one word alone is chance."""
    asked, told = (frozenset(telling_words(each, memory.language)) for each in (text, memory.text))
    common = len(asked & told)
    return common / min(len(asked), len(told)) if common >= SHARED_MIN_WORDS else 0.0
