"""What outlives a turn: who talked about what, what is still asked, what may be spent, and who can be asked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
import time
from typing import Final, Protocol

from ..providers.base import Tier
from ..state.budget import Budget
from ..state.rate_limit import RateLimiter
from ..state.session_types import Declined, Session, Turn
from .context import Sources
from .enrolment import Lessons
from .follow_up import FollowUps
from .interaction import Models
from .policy import Policy
from .second_factor import Codes
from .telling import Telling
from .validate import ReplyCounts

# "Turn them off" means what was done a moment ago, not yesterday's lamp.
COMMAND_KEPT_S: Final = 120.0
_KEPT_MAX: Final = 64


class Sessions(Protocol):
    """Who talks where; `state.sessions.Sessions` is the real one."""

    async def enter(
        self, device_id: str, *, speaker: str | None, conversation_id: str | None = None
    ) -> Session | Declined:
        """The session of a speaker at a device."""

    async def add_turn(self, session: Session, turn: Turn) -> None:
        """Adds to its context and keeps the turn."""


@dataclass(frozen=True)
class LanguageModels:
    """The language models that are configured; there is at least one."""

    chain: Models
    tiers: Sequence[Tier]


class LastCommands:
    """What was commanded last, for each session; `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[tuple[str, ...], float]] = OrderedDict()

    def of(self, session_id: str) -> LastCommand:
        """The memory of one session."""
        return LastCommand(self, session_id)

    def recall(self, session_id: str) -> tuple[str, ...]:
        """The last command; empty when there is none, or when it is too long ago."""
        sentences, until_s = self._kept.get(session_id, ((), 0.0))
        return sentences if self._clock() < until_s else ()

    def note(self, session_id: str, sentences: tuple[str, ...]) -> None:
        """Keeps it in place of what was there."""
        self._kept.pop(session_id, None)
        self._kept[session_id] = (sentences, self._clock() + COMMAND_KEPT_S)
        while len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)


@dataclass(frozen=True)
class LastCommand:
    """One session's memory of what it commanded last; see `local.Memory`."""

    commands: LastCommands
    session_id: str

    def recall(self) -> tuple[str, ...]:
        """The sentences, whole in themselves."""
        return self.commands.recall(self.session_id)

    def note(self, sentences: tuple[str, ...]) -> None:
        """Keeps them."""
        self.commands.note(self.session_id, sentences)


@dataclass
class Mind:
    """What a turn works with.

    `models` is None in a home that has none or does not want them asked, `telling` in one that remembers nothing, `lessons`
    in one that learns no voices.
    """

    limiter: RateLimiter
    sessions: Sessions
    budget: Budget
    policy: Policy
    sources: Sources
    models: LanguageModels | None = None
    telling: Telling | None = None
    follow_ups: FollowUps = field(default_factory=FollowUps)
    commands: LastCommands = field(default_factory=LastCommands)
    counts: ReplyCounts = field(default_factory=ReplyCounts)
    codes: Codes = field(init=False)
    lessons: Lessons | None = None

    def __post_init__(self) -> None:
        self.codes = Codes(self.policy.household)
