"""The nearest vectors among those that a speaker may see, in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
import heapq
from typing import Final, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float32]
_NumberT = TypeVar("_NumberT", bound=np.generic)

# As they lie in the database.
DTYPE: Final = np.dtype("<f4")
DIMENSIONS_MAX: Final = 8_192
# Up to so many rows all are compared in full; of more, this part and so many at least.
EXACT_ROWS: Final = 8_192
LIKELY_PART: Final = 25
LIKELY_LEAST: Final = 2_000
_FIRST_ROWS: Final = 64


class Place(NamedTuple):
    """What a search asks of a memory beside its vector."""

    id: int
    owner: str
    visibility: str
    kind: str


class Near(NamedTuple):
    """A memory's number and the cosine of its vector and the query's."""

    similarity: float
    id: int


class Index(Protocol):
    """Finds vectors of one model; used by one thread at a time."""

    def put(self, place: Place, vector: bytes) -> None:
        """Takes a memory in, or its new vector."""

    def move(self, place: Place) -> None:
        """Takes note that a memory is seen by others or of another kind now."""

    def drop(self, ids: Iterable[int]) -> None:
        """Leaves memories out from now on; unknown ones too."""

    def nearest(self, vector: Vector, speaker: str | None, limit: int, kinds: Collection[str] | None) -> list[Near]:
        """The nearest of those that the speaker (None: a guest) may see, the nearest first."""

    def similarities(self, vector: Vector, ids: Sequence[int]) -> dict[int, float]:
        """How near those are that have a vector; the caller has seen to it that the speaker may see them."""

    def close(self) -> None:
        """Gives back what it holds."""


def unit_vectors(given: NDArray[np.float32] | Sequence[Sequence[float]], count: int, dimensions: int) -> Vector:
    """The vectors at length one, shape (count, dimensions); one that has no direction becomes zeros.

    Raises ValueError when they are not as many or not as long as they should be.
    """
    vectors = np.array(given, np.float32, ndmin=2)
    if vectors.shape != (count, dimensions) or not 0 < dimensions <= DIMENSIONS_MAX:
        raise ValueError(f"The model gave vectors of shape {vectors.shape} and not {(count, dimensions)}")
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1)
    told = np.isfinite(lengths) & (lengths > 0)
    vectors[~told], lengths[~told] = 0, 1
    vectors /= lengths[:, None]
    return vectors


class Matrix:
    """All vectors in memory, apart for each that may see them: what a search does not touch, it cannot tell."""

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        # None is the family's.
        self._parts: dict[str | None, _Part] = {}
        self._homes: dict[int, _Part] = {}
        self._kinds: dict[str, int] = {}

    def put(self, place: Place, vector: bytes) -> None:
        """See Index."""
        self.drop((place.id,))
        self._add(place, np.frombuffer(vector, DTYPE))

    def move(self, place: Place) -> None:
        """See Index."""
        part = self._homes.get(place.id)
        if part is not None:
            vector = part.take(place.id)
            self._add(place, vector)

    def drop(self, ids: Iterable[int]) -> None:
        """See Index."""
        for number in ids:
            part = self._homes.pop(number, None)
            if part is not None:
                part.take(number)

    def nearest(self, vector: Vector, speaker: str | None, limit: int, kinds: Collection[str] | None) -> list[Near]:
        """See Index."""
        codes = None if kinds is None else [self._kinds[kind] for kind in kinds if kind in self._kinds]
        parts = [self._parts[key] for key in {None, speaker} if key in self._parts]
        found = [near for part in parts for near in part.nearest(vector, limit, codes)]
        return heapq.nlargest(limit, found)

    def similarities(self, vector: Vector, ids: Sequence[int]) -> dict[int, float]:
        """See Index."""
        return {number: self._homes[number].similarity(vector, number) for number in ids if number in self._homes}

    def close(self) -> None:
        """See Index."""

    def _add(self, place: Place, vector: Vector) -> None:
        key = None if place.visibility == "family" else place.owner
        part = self._homes[place.id] = self._parts.setdefault(key, _Part(self._dimensions))
        part.add(place.id, self._kinds.setdefault(place.kind, len(self._kinds)), vector)


class _Part:
    """Rows without gaps, in no order.

    Many of them are first compared by the signs of their numbers alone, and the likely ones by the numbers: that reads a
    thirtieth of the memory, and leaves one in a hundred of the first five out.
    """

    def __init__(self, dimensions: int) -> None:
        self._vectors: Vector = np.empty((_FIRST_ROWS, dimensions), np.float32)
        self._ids: NDArray[np.int64] = np.empty(_FIRST_ROWS, np.int64)
        self._kinds: NDArray[np.int32] = np.empty(_FIRST_ROWS, np.int32)
        # Column by column, 64 signs each.
        self._signs: NDArray[np.uint64] = np.empty((-(-dimensions // 64), _FIRST_ROWS), np.uint64)
        self._rows: dict[int, int] = {}

    def add(self, number: int, kind: int, vector: Vector) -> None:
        row = len(self._rows)
        if row == len(self._ids):
            rows = row + row // 4
            self._vectors, self._ids = _grown(self._vectors, rows), _grown(self._ids, rows)
            self._kinds, self._signs = _grown(self._kinds, rows), np.ascontiguousarray(_grown(self._signs.T, rows).T)
        self._vectors[row], self._ids[row], self._kinds[row] = vector, number, kind
        self._signs[:, row] = _signs(vector)
        self._rows[number] = row

    def take(self, number: int) -> Vector:
        """Removes a row and gives its vector; the last one fills its place."""
        row, last = self._rows.pop(number), len(self._rows)
        vector: Vector = self._vectors[row].copy()
        if row != last:
            for each in (self._vectors, self._ids, self._kinds, self._signs.T):
                each[row] = each[last]
            self._rows[int(self._ids[row])] = row
        return vector

    def nearest(self, vector: Vector, limit: int, kinds: Sequence[int] | None) -> Iterator[Near]:
        """The nearest ones of these kinds, in no order; numpy lets other threads run meanwhile."""
        chosen = (
            np.arange(len(self._rows))
            if kinds is None
            else np.flatnonzero(np.isin(self._kinds[: len(self._rows)], kinds))
        )
        if len(chosen) > EXACT_ROWS:
            chosen = chosen[_first(self._differing(vector)[chosen], max(LIKELY_LEAST, len(chosen) // LIKELY_PART))]
        # All rows in their order need no copy.
        whole = len(chosen) == len(self._rows)
        vectors = self._vectors[: len(chosen)] if whole else self._vectors[chosen]
        # Not `@`: BLAS starts threads for it and waits until a busy machine lets each of them run, for ten times as long.
        similarities = np.einsum("ij,j->i", vectors, vector)
        best = _first(-similarities, limit)
        return (Near(float(similarities[place]), int(self._ids[chosen[place]])) for place in best)

    def similarity(self, vector: Vector, number: int) -> float:
        return float(self._vectors[self._rows[number]] @ vector)

    def _differing(self, vector: Vector) -> NDArray[np.uint16]:
        """How many signs of each row are not the vector's."""
        differing = np.zeros(len(self._rows), np.uint16)
        for column, signs in zip(self._signs, _signs(vector), strict=True):
            differing += np.bitwise_count(column[: len(differing)] ^ signs)
        return differing


def _signs(vector: Vector) -> NDArray[np.uint64]:
    bits = np.packbits(vector > 0)
    return np.pad(bits, (0, -len(bits) % 8)).view(np.uint64)


def _first(values: NDArray[np.generic], count: int) -> NDArray[np.intp]:
    """Where the so many smallest are, in no order."""
    return np.arange(len(values)) if len(values) <= count else np.argpartition(values, count)[:count]


def _grown(array: NDArray[_NumberT], rows: int) -> NDArray[_NumberT]:
    grown = np.empty((rows, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown
