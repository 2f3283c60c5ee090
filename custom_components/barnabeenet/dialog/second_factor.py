"""Who may open the home, and the code that proves it: asked for, tried a few times, then not for some minutes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
import time
from typing import Final, Protocol

from ..providers.base import ToolCall
from .digits import digits_in

TRIES_MAX: Final = 3
LOCKED_S: Final = 300.0
# How long after a code was asked for what sounds like one is still kept secret.
SECRET_S: Final = 120.0
# Devices and people of whom tries are known.
_KNOWN_MAX: Final = 256
# As it stands wherever the words of a turn are kept.
HIDDEN: Final = "(code)"
_SOUNDS_LIKE_MIN_DIGITS: Final = 3


class Permission(StrEnum):
    """What somebody may do of what opens the home or cannot be undone."""

    NO = "no"
    UNSURE = "unsure"
    """Their voice has to be sure for it, and is not."""
    YES = "yes"
    """After a yes to a question."""
    CODE = "code"
    """After a yes and their spoken code."""
    PHONE = "phone"
    """After a yes and a tap on their phone."""


class Household(Protocol):
    """The people of the home, as far as they prove who they are."""

    def permission(self, speaker: str | None, *, is_sure: bool) -> Permission | None:
        """What a speaker (None: a guest) may do; None in a home that has no people: everybody who is known may."""

    async def is_code(self, speaker: str, code: str) -> bool:
        """Whether it is this person's; takes as long when it is not."""

    async def confirms(self, speaker: str, question: str, language: str) -> bool:
        """Whether this person says yes on their phone, within a minute."""


class NoHousehold:
    """A home that has no people."""

    def permission(self, speaker: str | None, *, is_sure: bool) -> Permission | None:  # noqa: ARG002
        """Nothing special."""
        return None

    async def is_code(self, speaker: str, code: str) -> bool:  # noqa: ARG002
        """Nobody's."""
        return False

    async def confirms(self, speaker: str, question: str, language: str) -> bool:  # noqa: ARG002
        """Nobody does."""
        return False


@dataclass(frozen=True)
class Awaited:
    """What is done once it is agreed to: a model's call, or a sentence; `speaker` is who asked for it.

    `question` names it: who says yes in its words agrees, too.
    """

    what: ToolCall | str
    speaker: str | None
    proof: Permission = Permission.YES
    question: str = ""

    @property
    def words(self) -> str:
        """All in which it was asked for and about."""
        return f"{self.question} {self.what}" if isinstance(self.what, str) else self.question

    @property
    def needs_code(self) -> bool:
        """Whether a code has to follow the yes."""
        return self.proof is Permission.CODE

    @property
    def is_proved(self) -> bool:
        """Whether more than the voice tells who agrees."""
        return self.proof in {Permission.CODE, Permission.PHONE}


class Verdict(Enum):
    """What becomes of a code."""

    RIGHT = "right"
    WRONG = "wrong"
    LOCKED = "locked"


@dataclass
class _Tries:
    count: int = 0
    until_s: float = 0.0


class Codes:
    """Compares codes and counts the tries, of a person wherever they are and at a device whoever it is.

    In memory only; `clock` is monotonic, in seconds.
    """

    def __init__(self, household: Household | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._household: Household = household or NoHousehold()
        self._clock = clock
        self._tries: dict[str, OrderedDict[str, _Tries]] = {"speaker": OrderedDict(), "device": OrderedDict()}
        self._asked: OrderedDict[str, float] = OrderedDict()

    def ask(self, device_id: str) -> None:
        """Notes that a code is asked for at a device."""
        self._asked.pop(device_id, None)
        self._asked[device_id] = self._clock() + SECRET_S
        while len(self._asked) > _KNOWN_MAX:
            self._asked.popitem(last=False)

    def is_secret(self, device_id: str, text: str, language: str) -> bool:
        """Whether a sentence may be a code, whoever says it: one was asked for at this device a while ago."""
        if self._clock() >= self._asked.get(device_id, 0.0):
            return False
        heard = digits_in(text, language)
        return len(heard.digits) >= _SOUNDS_LIKE_MIN_DIGITS or (heard.alone and bool(heard.digits))

    def locked_s(self, speaker: str, device_id: str) -> float:
        """For how long no code is taken from this person or at this device; 0 when it is."""
        until_s = max(tries.until_s for tries in (self._of("speaker", speaker), self._of("device", device_id)))
        return max(0.0, until_s - self._clock())

    async def verify(self, speaker: str, device_id: str, code: str) -> Verdict:
        """Whether it is the person's code; a wrong one counts."""
        if self.locked_s(speaker, device_id) > 0:
            return Verdict.LOCKED
        # Before it is known: who says two at once has tried twice.
        counted = [self._count("speaker", speaker), self._count("device", device_id)]
        if await self._household.is_code(speaker, code):
            for tries in counted:
                tries.count, tries.until_s = 0, 0.0
            return Verdict.RIGHT
        return Verdict.LOCKED if self.locked_s(speaker, device_id) > 0 else Verdict.WRONG

    def _of(self, kind: str, name: str) -> _Tries:
        return self._tries[kind].get(name, _Tries())

    def _count(self, kind: str, name: str) -> _Tries:
        table = self._tries[kind]
        tries = table.pop(name, None) or _Tries()
        if tries.until_s and tries.until_s <= self._clock():
            tries.count, tries.until_s = 0, 0.0
        table[name] = tries
        tries.count += 1
        if tries.count >= TRIES_MAX:
            tries.until_s = self._clock() + LOCKED_S
        while len(table) > _KNOWN_MAX:
            table.popitem(last=False)
        return tries
