"""Memories that last as long as a test, with the rules of the real ones: what is somebody's is seen by nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from custom_components.barnabeenet.dialog.cues import tokens
from custom_components.barnabeenet.dialog.memories import Visibility


@dataclass(frozen=True)
class FakeMemory:
    """One memory."""

    id: int
    text: str
    owner: str
    visibility: str
    kind: str
    source: str | None
    at: float
    language: str | None


@dataclass(frozen=True)
class FakeFound:
    """One that was found."""

    memory: FakeMemory
    similarity: float
    how: frozenset[str] = frozenset({"keyword"})


class FakeMemories:
    """Finds by shared words; `failure` is what goes wrong."""

    def __init__(self) -> None:
        self.kept: list[FakeMemory] = []
        self.asked: list[tuple[str, Any]] = []
        self.failure: Exception | None = None
        self._made = 0

    async def remember(
        self,
        text: str,
        *,
        speaker: str,
        visibility: Visibility = "owner",
        kind: str = "fact",
        source: str | None = None,
        language: str | None = None,
    ) -> FakeMemory:
        self._ask("remember", text)
        self._made += 1
        memory = FakeMemory(self._made, text, speaker, visibility, kind, source, float(self._made), language)
        self.kept.append(memory)
        return memory

    async def recall(
        self, query: str, *, speaker: str | None, limit: int = 5, kinds: Sequence[str] | None = None
    ) -> list[FakeFound]:
        self._ask("recall", query)
        words = set(tokens(query))
        found = [
            FakeFound(memory, len(shared) / len(words))
            for memory in self._seen_by(speaker)
            if (shared := words & set(tokens(memory.text))) and (kinds is None or memory.kind in kinds)
        ]
        return sorted(found, key=lambda each: -each.similarity)[:limit]

    async def forget(self, memory_id: int, *, speaker: str) -> bool:
        self._ask("forget", memory_id)
        before = len(self.kept)
        self.kept = [each for each in self.kept if each.id != memory_id or each.owner != speaker]
        return len(self.kept) < before

    async def forget_all_of(self, speaker: str) -> int:
        self._ask("forget_all_of", speaker)
        before = len(self.kept)
        self.kept = [each for each in self.kept if each.owner != speaker]
        return before - len(self.kept)

    async def change(self, memory_id: int, text: str, *, speaker: str) -> FakeMemory | None:
        for place, each in enumerate(self.kept):
            if each.id == memory_id and each.owner == speaker:
                self.kept[place] = replace(each, text=text)
                return self.kept[place]
        return None

    async def page(self, *, speaker: str | None, limit: int, before: int | None = None) -> list[FakeMemory]:
        self._ask("page", before)
        newest = list(reversed(self._seen_by(speaker)))
        ids = [each.id for each in newest]
        start = ids.index(before) + 1 if before in ids else 0
        return newest[start : start + limit]

    def texts(self, owner: str) -> list[str]:
        """What somebody has told, oldest first."""
        return [each.text for each in self.kept if each.owner == owner]

    def _seen_by(self, speaker: str | None) -> list[FakeMemory]:
        return [each for each in self.kept if each.visibility == "family" or each.owner == speaker]

    def _ask(self, what: str, about: Any) -> None:
        self.asked.append((what, about))
        if self.failure is not None:
            raise self.failure
