"""What a memory is, what it is found by, and who tells what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Visibility: TypeAlias = Literal["owner", "family"]
How: TypeAlias = Literal["keyword", "vector"]

VISIBILITIES: Final = frozenset(get_args(Visibility))
# A long entry of a journal.
TEXT_MAX_CHARS: Final = 10_000
KIND_MAX_CHARS: Final = 32
NAME_MAX_CHARS: Final = 255


@dataclass(frozen=True, slots=True)
class Memory:
    """What somebody asked to remember; `owner` is a speaker's key, `at` when it was first told (seconds since 1970)."""

    id: int
    text: str
    owner: str
    visibility: Visibility
    kind: str
    # The trace of the turn in which it was told.
    source: str | None
    at: float
    language: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """A memory that answers a query; `similarity` is the cosine of both, 0 where only words tell."""

    memory: Memory
    similarity: float
    how: frozenset[How]


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many memories the model has still to read, and how many it has read since it last was up to date."""

    model: str | None = None
    left: int = 0
    done: int = 0

    @property
    def percent(self) -> int:
        """How far it has come; 100 when nothing is left."""
        return 100 * self.done // (self.done + self.left) if self.left else 100


class Embedder(Protocol):
    """Makes vectors of length one of texts: what means the same lies close together.

    `name` and `dimensions` are those of the model that answered last; "" and 0 while nobody knows.
    """

    @property
    def name(self) -> str:
        """Of the model."""

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32] | Sequence[Sequence[float]]:
        """A vector for each text, in order; raises SidecarError, OSError or TimeoutError when it cannot."""


def checked_text(text: str) -> str:
    """A memory's text without the blanks around it; raises ValueError for what cannot be kept."""
    text = text.strip()
    if not text:
        raise ValueError("There is nothing to remember in an empty text")
    if len(text) > TEXT_MAX_CHARS:
        raise ValueError(f"A memory has {TEXT_MAX_CHARS} characters at most, not {len(text)}: tell it in parts")
    return _checked_letters(text, "text")


def checked_name(name: str, what: str, max_chars: int = NAME_MAX_CHARS) -> str:
    """The name as it is; raises ValueError for one that cannot be kept."""
    if not 1 <= len(name) <= max_chars:
        raise ValueError(f"A {what} has 1 to {max_chars} characters, not {len(name)}")
    return _checked_letters(name, what)


def _checked_letters(text: str, what: str) -> str:
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError(f"The {what} contains characters that are no Unicode text")
    return text
