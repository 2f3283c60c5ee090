"""Whatever people, devices, clocks and restarts do: no turn ever sees another's context."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
import tempfile
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.session_types import Mode, Options, Session, Turn
from custom_components.barnabeenet.state.sessions import ASIDE_MAX, Sessions

from .conftest import Time

ResultT = TypeVar("ResultT")

DEVICES = st.sampled_from(["kitchen", "bedroom", "office", "hall", "phone"])
SPEAKERS = st.sampled_from(["anna", "ben", None])
CONVERSATIONS = st.sampled_from(["c1", "c2", "c3", None])
WINDOW = 3


@dataclass(frozen=True)
class Entry:
    """A turn that has begun; `number` orders them."""

    number: int
    boot: int
    device: str
    speaker: str | None
    conversation: str | None


class House(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.time = Time()
        self.boot = 0
        self.database = self.run(Database.open(Path(self.folder.name) / "house.db"))
        self.sessions = self.open()
        # What was said, and in which turn.
        self.words: dict[str, Entry] = {}
        self.modes: dict[tuple[str, Mode], Entry] = {}
        self.under_way: list[tuple[Session, Entry]] = []
        self.entries: list[Entry] = []

    def run(self, doing: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self.runner.run(doing)

    def open(self) -> Sessions:
        options = Options(window_turns=WINDOW)
        return self.run(Sessions.open(self.database, options=options, clock=self.time.clock))

    def teardown(self) -> None:
        self.run(self.sessions.close())
        self.run(self.database.close())
        self.runner.close()
        self.folder.cleanup()

    @rule(device=DEVICES, speaker=SPEAKERS, conversation=CONVERSATIONS, answered=st.booleans())
    def somebody_speaks(self, device: str, speaker: str | None, conversation: str | None, answered: bool) -> None:
        entry = Entry(len(self.entries), self.boot, device, speaker, conversation)
        self.entries.append(entry)
        session = self.run(self.sessions.enter(device, speaker=speaker, conversation_id=conversation))
        assert isinstance(session, Session)
        assert (session.device_id, session.speaker) == (device, speaker)
        self.look(session, entry)
        self.under_way.append((session, entry))
        if answered:
            self.an_answer_comes(-1)

    @precondition(lambda self: self.entries)
    @rule(index=st.integers(1, 6), speaker=SPEAKERS, same=st.booleans())
    def somebody_speaks_where_somebody_spoke(self, index: int, speaker: str | None, same: bool) -> None:
        entry = self.entries[-index % len(self.entries)]
        self.somebody_speaks(entry.device, entry.speaker if same else speaker, entry.conversation, answered=True)

    @precondition(lambda self: self.entries)
    @rule(device=DEVICES, index=st.integers(1, 6), speaker=SPEAKERS, same=st.booleans())
    def somebody_names_a_conversation(self, device: str, index: int, speaker: str | None, same: bool) -> None:
        entry = self.entries[-index % len(self.entries)]
        self.somebody_speaks(device, entry.speaker if same else speaker, entry.conversation, answered=True)

    @precondition(lambda self: self.under_way)
    @rule(index=st.integers(0, 20))
    def an_answer_comes(self, index: int) -> None:
        session, entry = self.under_way.pop(index % len(self.under_way))
        words = f"turn {entry.number}"
        self.words[words] = entry
        self.run(self.sessions.add_turn(session, Turn(words, "")))

    @precondition(lambda self: self.under_way)
    @rule(mode=st.sampled_from(Mode))
    def a_mode_is_chosen(self, mode: Mode) -> None:
        session, entry = self.under_way[-1]
        self.modes[session.id, mode] = entry
        self.sessions.set_mode(session, mode)

    # One rule for all of these, so that people speak more often than clocks jump.
    @rule(what=st.sampled_from(["end", "sweep", "restart", 1, 100, 299, 300, "back", "forth"]), index=st.integers(0, 3))
    def something_happens(self, what: str | int, index: int) -> None:
        if isinstance(what, int):
            self.time.passes(what)
        elif what == "restart":
            self.home_assistant_restarts()
        elif what == "sweep":
            self.sessions.sweep()
        elif what == "end" and (live := self.sessions.live):
            assert self.run(self.sessions.end(live[index % len(live)].id))
        else:
            self.time.wall_s += 10_000_000 if what == "forth" else -3600

    def home_assistant_restarts(self) -> None:
        # What was under way dies with it.
        self.under_way.clear()
        self.run(self.sessions.close())
        self.boot += 1
        self.sessions = self.open()

    @invariant()
    def there_is_one_for_each_device_and_four_at_most(self) -> None:
        live = self.sessions.live
        assert len(live) <= 4
        assert len({session.device_id for session in live}) == len(live)
        assert len(self.sessions._aside) <= ASIDE_MAX
        everything = list(self.sessions._all())
        assert len({session.id for session in everything}) == len(everything)
        assert all(session.end_reason is None for session in everything)

    def look(self, session: Session, now: Entry) -> None:
        """Everything this turn can see is its own speaker's, from here or from a conversation that led here."""
        assert len(session.turns) <= WINDOW
        seen = [self.words[turn.said] for turn in session.turns]
        if session.mode is not Mode.COMMAND:
            seen.append(self.modes[session.id, session.mode])
        for entry in seen:
            assert entry.speaker == now.speaker
            if now.speaker is None:
                self.look_as_a_guest(entry, now)
            else:
                assert now.device in self.reachable(entry.device, now.speaker)

    def look_as_a_guest(self, entry: Entry, now: Entry) -> None:
        assert entry.device == now.device
        between = [other for other in self.entries[entry.number : now.number] if other.device == now.device]
        assert all(other.speaker is None for other in between)
        if entry.boot == now.boot and None not in (entry.conversation, now.conversation):
            assert entry.conversation == now.conversation

    def reachable(self, device: str, speaker: str) -> set[str]:
        """The devices to which a conversation of this speaker can have gone from there."""
        uses = {(entry.device, entry.conversation) for entry in self.entries if entry.speaker == speaker}
        found, before = {device}, set[str]()
        while found != before:
            before = set(found)
            names = {name for where, name in uses if where in found and name is not None}
            found |= {where for where, name in uses if name in names}
        return found


House.TestCase.settings = settings(max_examples=100, stateful_step_count=50, suppress_health_check=list(HealthCheck))


class TestHouse(House.TestCase):
    pass
