"""Whatever people tell, change, ask and forget, and whatever the model and the house do: nothing crosses, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
import tempfile
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from custom_components.barnabeenet.state import vectors as vectors_module
from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.memories import Memories
from custom_components.barnabeenet.state.words import words_of

from .conftest import Reader

ResultT = TypeVar("ResultT")

OWNERS = st.sampled_from(["anna", "ben", "eve"])
SPEAKERS = st.sampled_from(["anna", "ben", "eve", "family", None])
TEXTS = st.lists(
    st.sampled_from(
        [
            "teeth",
            "dentist",
            "key",
            "pot",
            "car",
            "vehicle",
            "code",
            "4711",
            "AND",
            "OR",
            "NEAR",
            "straße",
            "küche",
            "kuche",
            '"x"',
            "*",
        ]
    ),
    min_size=1,
    max_size=4,
).map(" ".join)
KINDS = st.sampled_from(["fact", "note"])
VISIBILITIES = st.sampled_from(["owner", "family"])


@dataclass
class Told:
    owner: str
    text: str
    visibility: str
    kind: str

    def seen_by(self, speaker: str | None) -> bool:
        return self.visibility == "family" or self.owner == speaker


class House(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        # Small parts go the way of large ones too.
        self.exact_rows, vectors_module.EXACT_ROWS = vectors_module.EXACT_ROWS, 3
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "house.db"
        self.reader = Reader()
        self.told: dict[int, Told] = {}
        self.open()

    def run(self, doing: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self.runner.run(doing)

    def open(self) -> None:
        self.database = self.run(Database.open(self.path))
        self.memories = self.run(Memories.open(self.database, self.reader))

    def close(self) -> None:
        self.run(self.memories.close())
        self.run(self.database.close())

    def teardown(self) -> None:
        vectors_module.EXACT_ROWS = self.exact_rows
        self.close()
        self.runner.close()
        self.folder.cleanup()

    def pick(self, index: int) -> int:
        """A number that is there, or was."""
        return sorted(self.told)[index % len(self.told)] if self.told else index

    @rule(owner=OWNERS, text=TEXTS, visibility=VISIBILITIES, kind=KINDS)
    def somebody_tells(self, owner: str, text: str, visibility: Any, kind: str) -> None:
        memory = self.run(self.memories.remember(text, speaker=owner, visibility=visibility, kind=kind))
        same = [number for number, told in self.told.items() if (told.owner, told.text) == (owner, text)]
        assert same in ([], [memory.id])
        assert same or memory.id > max(self.told, default=0)
        self.told[memory.id] = Told(owner, text, visibility, kind)

    @rule(index=st.integers(0, 20), speaker=OWNERS, text=TEXTS)
    def somebody_changes(self, index: int, speaker: str, text: str) -> None:
        number = self.pick(index)
        changed = self.run(self.memories.change(number, text, speaker=speaker))
        if number not in self.told or self.told[number].owner != speaker:
            assert changed is None
            return
        assert changed is not None
        for other in [n for n, told in self.told.items() if n != number and (told.owner, told.text) == (speaker, text)]:
            del self.told[other]
        self.told[number].text = text

    @rule(index=st.integers(0, 20), speaker=SPEAKERS)
    def somebody_forgets(self, index: int, speaker: str | None) -> None:
        number = self.pick(index)
        may = number in self.told and self.told[number].owner == speaker
        assert self.run(self.memories.forget(number, speaker=speaker)) == may
        if may:
            del self.told[number]

    @rule(speaker=OWNERS)
    def somebody_is_forgotten(self, speaker: str) -> None:
        own = [number for number, told in self.told.items() if told.owner == speaker]
        assert self.run(self.memories.forget_all_of(speaker)) == len(own)
        for number in own:
            del self.told[number]

    @rule(text=TEXTS, speaker=SPEAKERS, kinds=st.sampled_from([None, {"fact"}, {"note"}]), settled=st.booleans())
    def somebody_asks(self, text: str, speaker: str | None, kinds: set[str] | None, settled: bool) -> None:
        if settled:
            self.run(self.memories.settled())
        found = self.run(self.memories.recall(text, speaker=speaker, limit=50, kinds=kinds))
        ids = [each.memory.id for each in found]
        assert len(ids) == len(set(ids))
        for each in found:
            told = self.told[each.memory.id]
            assert (each.memory.owner, each.memory.text) == (told.owner, told.text)
            assert (each.memory.visibility, each.memory.kind) == (told.visibility, told.kind)
            assert told.seen_by(speaker)
            assert kinds is None or told.kind in kinds
        for number, told in self.told.items():
            if told.seen_by(speaker) and (kinds is None or told.kind in kinds) and words_of(text):
                assert number in ids or not set(words_of(text)) & set(words_of(told.text)), "a word in common"

    @rule(what=st.sampled_from(["fail", "recover", "change", "restart", "wake", "settle"]))
    def something_happens(self, what: str) -> None:
        if what == "fail":
            self.reader.fails = OSError("away")
        elif what == "recover":
            self.reader.fails = None
            self.memories.wake()
        elif what == "change":
            self.reader = Reader("large" if self.reader.name == "small" else "small", 64)
            self.memories.use(self.reader)
        elif what == "restart":
            self.close()
            self.open()
        elif what == "wake":
            self.memories.wake()
        else:
            self.run(self.memories.settled())

    @precondition(lambda self: self.reader.fails is None)
    @rule(index=st.integers(0, 20), speaker=SPEAKERS)
    def what_is_there_is_found_by_meaning(self, index: int, speaker: str | None) -> None:
        self.memories.wake()
        self.run(self.memories.settled())
        seen = [number for number, told in self.told.items() if told.seen_by(speaker)]
        for number in seen[index % len(seen) :][:1] if seen else []:
            found = self.run(self.memories.recall(self.told[number].text, speaker=speaker, limit=50))
            (same,) = [each for each in found if each.memory.id == number]
            assert same.similarity > 0.999
            assert "vector" in same.how

    @invariant()
    def everybody_sees_exactly_what_they_may(self) -> None:
        for speaker in ("anna", "ben", None):
            seen = {number for number, told in self.told.items() if told.seen_by(speaker)}
            assert {each.id for each in self.run(self.memories.page(speaker=speaker, limit=500))} == seen
            assert self.run(self.memories.count(speaker=speaker)) == len(seen)

    @invariant()
    def the_index_of_words_is_that_of_the_texts(self) -> None:
        check = "INSERT INTO memories_words (memories_words, rank) VALUES ('integrity-check', 1)"
        self.run(self.database.write((check, ())))


House.TestCase.settings = settings(max_examples=60, stateful_step_count=40, suppress_health_check=list(HealthCheck))


class TestHouse(House.TestCase):
    pass
