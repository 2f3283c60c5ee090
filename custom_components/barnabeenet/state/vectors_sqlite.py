"""The nearest vectors by the sqlite-vec extension, read from the file: slower than in memory, and no room is needed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
import json
from pathlib import Path
import sqlite3

from .vectors import DTYPE, Near, Place, Vector

_NEAREST = """
SELECT m.id, 1 - vec_distance_cosine(v.vector, :vector) AS similarity
FROM memory_vectors AS v JOIN memories AS m ON m.id = v.memory_id
WHERE v.model = :model AND (m.visibility = 'family' OR m.owner = :speaker)
    AND (:kinds IS NULL OR m.kind IN (SELECT value FROM json_each(:kinds)))
ORDER BY similarity DESC LIMIT :limit
"""

_SIMILARITIES = """
SELECT memory_id, 1 - vec_distance_cosine(vector, :vector) FROM memory_vectors
WHERE model = :model AND memory_id IN (SELECT value FROM json_each(:ids))
"""


def loads() -> bool:
    """Whether the extension is there and this Python can load it (musl and some builds cannot)."""
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            _load(connection)
    except (ImportError, AttributeError, OSError, sqlite3.Error):
        return False
    return True


class FileIndex:
    """Searches what is in the file, so it need not be told of anything."""

    def __init__(self, path: Path, model: str) -> None:
        self._model = model
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        _load(self._connection)
        self._connection.execute("PRAGMA query_only = ON")

    def put(self, place: Place, vector: bytes) -> None:
        """See Index."""

    def move(self, place: Place) -> None:
        """See Index."""

    def drop(self, ids: Iterable[int]) -> None:
        """See Index."""

    def nearest(self, vector: Vector, speaker: str | None, limit: int, kinds: Collection[str] | None) -> list[Near]:
        """See Index; raises sqlite3.Error."""
        asked = {
            "vector": vector.astype(DTYPE).tobytes(),
            "model": self._model,
            "speaker": speaker,
            "kinds": None if kinds is None else json.dumps(sorted(kinds)),
            "limit": limit,
        }
        return [Near(similarity, number) for number, similarity in self._connection.execute(_NEAREST, asked)]

    def similarities(self, vector: Vector, ids: Sequence[int]) -> dict[int, float]:
        """See Index; raises sqlite3.Error."""
        asked = {"vector": vector.astype(DTYPE).tobytes(), "model": self._model, "ids": json.dumps(list(ids))}
        return dict(self._connection.execute(_SIMILARITIES, asked).fetchall())

    def close(self) -> None:
        """See Index."""
        self._connection.close()


def _load(connection: sqlite3.Connection) -> None:
    import sqlite_vec

    connection.enable_load_extension(True)
    sqlite_vec.load(connection)
    connection.enable_load_extension(False)
