"""What a session is made of, and what is told about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
import time
from typing import Final
from uuid import uuid4

from .errors import StateError

SESSIONS_MAX: Final = 4
IDLE_S: Final = 300.0
WINDOW_TURNS: Final = 10
# Home Assistant's are 26 to 36 long; anybody may send others.
NAME_MAX_CHARS: Final = 255
# A long journal entry; what is longer is cut in what is kept.
TEXT_MAX_CHARS: Final = 10_000
# How many of Home Assistant's conversations may lead to one of ours.
CONVERSATION_IDS_MAX: Final = 8


class Mode(StrEnum):
    """What the words of a session are taken for."""

    COMMAND = "command"
    CONVERSATION = "conversation"
    NOTES = "notes"
    JOURNAL = "journal"


class EndReason(StrEnum):
    """Why a session is over."""

    ASKED = "asked"
    EXPIRED = "expired"
    EVICTED = "evicted"
    # A guest's alone: somebody known spoke at the device, or Home Assistant began another conversation there.
    TAKEN_OVER = "taken over"
    NEW_CONVERSATION = "new conversation"


class Change(StrEnum):
    """What happened to a session; `ASIDE` is one that waits while another speaker has its device."""

    STARTED = "started"
    CHANGED = "changed"
    ASIDE = "aside"
    ENDED = "ended"


@dataclass(frozen=True)
class Clock:
    """Seconds: `monotonic` decides, `wall` (since 1970) is shown and written down."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(frozen=True)
class Options:
    """`sessions_max` devices at once, each for `idle_s` seconds after its last sign of life."""

    sessions_max: int = SESSIONS_MAX
    idle_s: float = IDLE_S
    window_turns: int = WINDOW_TURNS

    def __post_init__(self) -> None:
        if self.sessions_max < 1 or self.idle_s <= 0 or self.window_turns < 1:
            raise ValueError("There must be room for at least one session, one turn, and a while to speak in")


@dataclass(frozen=True)
class Turn:
    """What was said and what was replied; `at` is wall time.

    `is_private`: something in it is the speaker's alone, and not for a voice that may be another's.
    """

    said: str
    replied: str
    trace_id: str | None = None
    at: float = field(default_factory=time.time)
    is_private: bool = False


@dataclass(eq=False)
class Thread:
    """The last turns of one person, or of the guests at one device, oldest first."""

    turns: deque[Turn]
    id: str = field(default_factory=lambda: uuid4().hex)
    # Home Assistant's names for it.
    conversation_ids: deque[str] = field(default_factory=lambda: deque(maxlen=CONVERSATION_IDS_MAX))

    def answers_to(self, conversation_id: str | None) -> None:
        """Notes one more of Home Assistant's names for it."""
        if conversation_id is not None and conversation_id not in self.conversation_ids:
            self.conversation_ids.append(conversation_id)


@dataclass(eq=False)
class Session:
    """One speaker (None: a guest) at one device. `turns` is all that a turn of it may see of earlier ones."""

    device_id: str
    speaker: str | None
    thread: Thread = field(repr=False)
    started_at: float
    last_active: float
    active_s: float
    id: str = field(default_factory=lambda: uuid4().hex)
    mode: Mode = Mode.COMMAND
    conversation_id: str | None = None
    ended_at: float | None = None
    end_reason: EndReason | None = None

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The context window, oldest first."""
        return tuple(self.thread.turns)


@dataclass(frozen=True)
class SessionEvent:
    """Told to subscribers."""

    change: Change
    session: Session


@dataclass(frozen=True)
class Declined:
    """No new session now; existing ones go on. The error says why and what to do."""

    because: StateError


def check_name(name: str | None, what: str) -> None:
    """Raises ValueError for what cannot be written down; None may."""
    if name is None:
        return
    if not name or len(name) > NAME_MAX_CHARS:
        raise ValueError(f"A {what} has 1 to {NAME_MAX_CHARS} characters, not {len(name)}")
    if clean(name) != name:
        raise ValueError(f"The {what} contains characters that are no Unicode text")


def clean(text: str) -> str:
    """The text cut to TEXT_MAX_CHARS, with half characters (which no file can hold) replaced."""
    return text[:TEXT_MAX_CHARS].encode(errors="replace").decode()
