"""The statements on memories: jobs for the database's threads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import log
import sqlite3
from typing import Final, NamedTuple

from .memory_types import Memory
from .words import any_of, phrase, words_of

# A word of more memories than these tells little; and no more of them are ranked, the newest.
RANKED_MAX: Final = 5_000

# What a speaker may see; NULL, a guest, equals nobody.
_VISIBLE: Final = "(m.visibility = 'family' OR m.owner = ?)"
_MEMORY: Final = "m.id, m.text, m.owner, m.visibility, m.kind, m.source_trace, m.at, m.language"

_REMEMBER: Final = """
INSERT INTO memories (owner, visibility, kind, text, language, source_trace, at, changed_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (owner, text) DO UPDATE SET
    visibility = excluded.visibility, kind = excluded.kind, language = COALESCE(excluded.language, language),
    source_trace = COALESCE(excluded.source_trace, source_trace), changed_at = excluded.changed_at
RETURNING id
"""
_COMMON: Final = f"SELECT COUNT(*) FROM (SELECT 1 FROM memories_words WHERE memories_words MATCH ? LIMIT {RANKED_MAX})"  # noqa: S608 - a number of ours


class New(NamedTuple):
    """A memory that is to be written."""

    owner: str
    visibility: str
    kind: str
    text: str
    language: str | None
    source: str | None
    now: float


def remember(new: New) -> Callable[[sqlite3.Connection], Memory]:
    """Writes it, or refreshes the owner's own with the same text."""

    def job(connection: sqlite3.Connection) -> Memory:
        values = (*new, new.now)
        # RETURNING gives the row as it was before the triggers, and only once all rows are read.
        ((number,),) = connection.execute(_REMEMBER, values).fetchall()
        return _by_id(connection, number)

    return job


def forget(number: int, speaker: str) -> Callable[[sqlite3.Connection], list[int]]:
    """Deletes it if it is the speaker's own; gives the numbers of what was deleted."""
    return _returning("DELETE FROM memories WHERE id = ? AND owner = ? RETURNING id", (number, speaker))


def forget_all(speaker: str) -> Callable[[sqlite3.Connection], list[int]]:
    """Deletes all that is the speaker's own; gives their numbers."""
    return _returning("DELETE FROM memories WHERE owner = ? RETURNING id", (speaker,))


class Handed(NamedTuple):
    """Memories that have become somebody else's, and the numbers of those that they had already."""

    moved: list[Memory]
    doubled: list[int]


def hand_over(owner: str, to: str) -> Callable[[sqlite3.Connection], Handed]:
    """Makes all that is one speaker's another's; of what both have, the other's own is left."""

    def job(connection: sqlite3.Connection) -> Handed:
        doubled = _returning(
            "DELETE FROM memories WHERE owner = ?1 AND text IN (SELECT text FROM memories WHERE owner = ?2) RETURNING id",
            (owner, to),
        )(connection)
        moved = _returning("UPDATE memories SET owner = ? WHERE owner = ? RETURNING id", (to, owner))(connection)
        return Handed([_by_id(connection, number) for number in moved], doubled)

    return job


class Changed(NamedTuple):
    """A memory with its new text, and the numbers of those whose vectors are no longer right."""

    memory: Memory
    unread: list[int]


def change(number: int, text: str, speaker: str, now: float) -> Callable[[sqlite3.Connection], Changed | None]:
    """Gives the speaker's own another text; where another of hers has that text already, one of them is left."""

    def job(connection: sqlite3.Connection) -> Changed | None:
        own = connection.execute("SELECT text FROM memories WHERE id = ? AND owner = ?", (number, speaker)).fetchone()
        if own is None:
            return None
        if own["text"] == text:
            return Changed(_by_id(connection, number), [])
        same = connection.execute("DELETE FROM memories WHERE owner = ? AND text = ? RETURNING id", (speaker, text))
        unread = [number, *(row["id"] for row in same.fetchall())]
        connection.execute("UPDATE memories SET text = ?, changed_at = ? WHERE id = ?", (text, now, number))
        return Changed(_by_id(connection, number), unread)

    return job


def page(speaker: str | None, limit: int, before: int | None) -> Callable[[sqlite3.Connection], list[Memory]]:
    """The newest that the speaker may see, or those before a number."""
    sql = f"SELECT {_MEMORY} FROM memories AS m WHERE {_VISIBLE} AND m.id < COALESCE(?, 1 << 62) ORDER BY m.id DESC LIMIT ?"  # noqa: S608 - ours

    def job(connection: sqlite3.Connection) -> list[Memory]:
        return [Memory(*row) for row in connection.execute(sql, (speaker, before, limit))]

    return job


def count(speaker: str | None) -> Callable[[sqlite3.Connection], int]:
    """How many the speaker may see."""
    sql = f"SELECT COUNT(*) FROM memories AS m WHERE {_VISIBLE}"  # noqa: S608 - ours

    def job(connection: sqlite3.Connection) -> int:
        ((number,),) = connection.execute(sql, (speaker,)).fetchall()
        return int(number)

    return job


def fetch(
    numbers: Sequence[int], speaker: str | None, kinds: Collection[str] | None
) -> Callable[[sqlite3.Connection], dict[int, Memory]]:
    """Those of the numbers that the speaker may see."""
    sql = f"SELECT {_MEMORY} FROM memories AS m WHERE {_VISIBLE}{_in('m.id', numbers)}{_of_kinds(kinds)}"  # noqa: S608 - ours

    def job(connection: sqlite3.Connection) -> dict[int, Memory]:
        found = [Memory(*row) for row in connection.execute(sql, (speaker, *numbers, *(kinds or ())))]
        return {memory.id: memory for memory in found}

    return job


def by_words(
    query: str, speaker: str | None, limit: int, kinds: Collection[str] | None
) -> Callable[[sqlite3.Connection], dict[int, float]]:
    """The numbers of what has words of the query, the best first, with the part of the query that they cover (0 to 1).

    A rare word covers more of it than a usual one; those that too many memories have count where no others are.
    """
    words = words_of(query)
    ranked = f"""
    SELECT id, -score AS score FROM (
        SELECT m.id, memories_words.rank AS score FROM memories_words JOIN memories AS m ON m.id = memories_words.rowid
        WHERE memories_words MATCH ? AND {_VISIBLE}{_of_kinds(kinds)}
        ORDER BY memories_words.rowid DESC LIMIT {RANKED_MAX}
    ) ORDER BY score DESC, id DESC LIMIT ?
    """  # noqa: S608 - ours

    def job(connection: sqlite3.Connection) -> dict[int, float]:
        counts = {word: _count(connection, word) for word in words}
        rare = [word for word, count in counts.items() if count < RANKED_MAX] or words
        if not rare:
            return {}
        ((rows,),) = connection.execute("SELECT COALESCE(MAX(id), 0) FROM memories").fetchall()
        whole = sum(_weight(counts[word], rows) for word in rare)
        found = connection.execute(ranked, (any_of(rare), speaker, *(kinds or ()), limit))
        return {row["id"]: min(1.0, row["score"] / whole) for row in found}

    return job


def _weight(count: int, rows: int) -> float:
    """How much a word tells: what bm25 of FTS5 gives to one that is in a text of middling length."""
    return max(1e-6, log((max(rows, count) - count + 0.5) / (count + 0.5)))


def _count(connection: sqlite3.Connection, word: str) -> int:
    ((number,),) = connection.execute(_COMMON, (phrase(word),)).fetchall()
    return int(number)


def _by_id(connection: sqlite3.Connection, number: int) -> Memory:
    (row,) = connection.execute(f"SELECT {_MEMORY} FROM memories AS m WHERE id = ?", (number,)).fetchall()  # noqa: S608 - ours
    return Memory(*row)


def _returning(sql: str, parameters: Sequence[object]) -> Callable[[sqlite3.Connection], list[int]]:
    def job(connection: sqlite3.Connection) -> list[int]:
        return [row["id"] for row in connection.execute(sql, parameters).fetchall()]

    return job


def _in(column: str, values: Collection[object]) -> str:
    return f" AND {column} IN ({', '.join('?' * len(values))})"


def _of_kinds(kinds: Collection[str] | None) -> str:
    return "" if kinds is None else _in("m.kind", kinds)
