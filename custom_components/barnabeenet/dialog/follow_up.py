"""Questions that Barnabee asked, and whether the next sentence answers them.

A question belongs to a device and to the one whom it was asked. What somebody else says there neither answers nor
cancels it. A whole new command is a new command.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from enum import Enum
import time
from typing import Any, Final

from ..state.spoken_code import is_code
from .digits import digits_in
from .follow_up_words import AGAIN, Spoken, base_of, plain, read
from .second_factor import Awaited

EXPIRE_S: Final = 30.0
# Devices times people; the oldest goes first.
WAITING_MAX: Final = 64
# What is longer is no answer that was misheard but a sentence of its own.
_ANSWER_MAX_WORDS: Final = 6
_NO_MAX_WORDS: Final = 4
_NEAR: Final = 0.8


class Kind(Enum):
    """What is asked for: a yes, one of the options, a number, a spoken code, or anything at all."""

    CONFIRM = "confirm"
    CHOICE = "choice"
    NUMBER = "number"
    CODE = "code"
    OPEN = "open"


@dataclass(frozen=True)
class Option:
    """One of several; `names` as people say them, the first one is read out. `choice` is given back when it is chosen."""

    names: tuple[str, ...]
    choice: Any


@dataclass(frozen=True)
class Answered:
    """What the question has for a yes (True), the option's `choice`, a number, a code's digits, or an open answer's words.

    `awaited` is the question's.
    """

    choice: Any = field(repr=False)
    awaited: Awaited | None = None


@dataclass(frozen=True)
class Cancelled:
    """The question is over; `text` is what is to be said about that, if anything, `rest` a command that came after the no."""

    text: str | None = None
    rest: str | None = None


@dataclass(frozen=True)
class AskAgain:
    """It was not understood; to be said, and to be listened for, once more. `is_private` as in Question."""

    text: str
    is_private: bool = False


@dataclass(frozen=True)
class NotAnAnswer:
    """There is no question, or the sentence is not about it: take it for itself."""


Outcome = Answered | Cancelled | AskAgain | NotAnAnswer
# Own means of understanding an answer, which go before those here; None when it is none.
Understand = Callable[[str], Answered | Cancelled | None]


@dataclass(frozen=True)
class Question:
    """What was asked; a yes gives back `agreed`.

    `sensitive`: only the very voice that was asked may answer, and only with a plain yes. `awaited` is what is done after
    the answer. Where that needs a code or a phone, a voice that is not known may answer, too: they tell who it is.
    `is_private`: the options name what is for no voice that may be another's.
    """

    kind: Kind
    language: str
    options: tuple[Option, ...] = ()
    sensitive: bool = False
    understand: Understand | None = None
    agreed: Any = True
    awaited: Awaited | None = None
    is_private: bool = False

    @property
    def is_for_one(self) -> bool:
        """Whether only a voice that is known to be the right one may answer."""
        return self.sensitive and not (self.awaited is not None and self.awaited.is_proved)

    def __post_init__(self) -> None:
        if (self.kind is Kind.CHOICE) != bool(self.options):
            raise ValueError("A choice needs options, and nothing else has any")

    def again(self) -> str:
        """The question put shortly, for who was not understood."""
        said = AGAIN[base_of(self.language)]
        if self.kind is not Kind.CHOICE:
            return said[self.kind.value if self.kind in {Kind.NUMBER, Kind.CODE} else "confirm"]
        names = [option.names[0] for option in self.options]
        listed = f" {said['or']} ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        return said["choice"].format(options=listed)

    def answer(self, text: str, language: str | None = None) -> Answered | Cancelled | None:
        """What a sentence says to it; None when nothing or when it is not clear."""
        said = self._said_first(text, language)
        if said is not None:
            return said
        spoken = read(text, language or self.language)
        if self.kind is Kind.CODE:
            return _cancelled(spoken)
        if self.kind is Kind.OPEN:
            plain_word = _is_plain(spoken) and (spoken.yes or spoken.no) and not spoken.cancel
            return Answered(text) if plain_word else _cancelled(spoken)
        if self.kind is Kind.CONFIRM:
            agreed = self._is_said(spoken) and spoken.yes and not (spoken.no or spoken.cancel or spoken.places)
            return Answered(self.agreed) if agreed else _cancelled(spoken)
        if self.kind is Kind.NUMBER:
            given = len(spoken.numbers) == 1 and not spoken.rest
            return Answered(spoken.numbers[0]) if given else _cancelled(spoken)
        option = self._chosen(text, spoken)
        return _cancelled(spoken) if option is None else Answered(option.choice)

    def _is_said(self, spoken: Spoken) -> bool:
        """Whether there is nothing beside the yes but what was asked: "yes, unlock the front door" has enough voice in it."""
        asked = plain(self.awaited.words) if self.awaited is not None else ()
        return not spoken.numbers and not spoken.negated and set(spoken.rest) <= set(asked)

    def _said_first(self, text: str, language: str | None) -> Answered | Cancelled | None:
        """What goes before all else: what the question understands by itself, and a code, which some say with the yes."""
        if self.understand is not None and (understood := self.understand(text)) is not None:
            return understood
        if self.awaited is None or not self.awaited.needs_code:
            return None
        heard = digits_in(text, language or self.language)
        return Answered(heard.digits) if heard.alone and is_code(heard.digits) else None

    def _chosen(self, text: str, spoken: Spoken) -> Option | None:
        """The one option that was named or counted off; None when none or more than one could be meant."""
        whole = plain(text)
        for option in self.options:
            if any(plain(name) == whole for name in option.names):
                return option
        if spoken.cancel or spoken.negated:
            return None
        by_name = [option for option in self.options if spoken.rest and _names(spoken, option)]
        if spoken.rest or len(by_name) == 1:
            return by_name[0] if len(by_name) == 1 else None
        places = set(spoken.places) or {int(number) - 1 for number in spoken.numbers}
        if len(places) == 1 and -1 <= (place := places.pop()) < len(self.options):
            return self.options[place] if place >= 0 or spoken.places else None
        return None


@dataclass
class _Waiting:
    question: Question
    conversation_id: str | None
    until_s: float
    asked_again: bool = False


class FollowUps:
    """The questions that wait; in memory only, for after a restart nobody answers them any more."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, expire_s: float = EXPIRE_S) -> None:
        self._clock = clock
        self._expire_s = expire_s
        self._waiting: OrderedDict[tuple[str, str | None], _Waiting] = OrderedDict()

    def __len__(self) -> int:
        self._sweep()
        return len(self._waiting)

    def ask(
        self, device_id: str, speaker: str | None, question: Question, *, conversation_id: str | None = None
    ) -> None:
        """Notes what was asked, in place of an earlier question to the same person at the same device."""
        self._sweep()
        key = (device_id, speaker)
        self._waiting.pop(key, None)
        self._waiting[key] = _Waiting(question, conversation_id, self._clock() + self._expire_s)
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popitem(last=False)

    def forget(self, device_id: str, speaker: str | None) -> None:
        """Takes a question back."""
        self._waiting.pop((device_id, speaker), None)

    def waiting(self, device_id: str, speaker: str | None) -> Question | None:
        """What this person was asked at this device and has not answered yet."""
        self._sweep()
        waiting = self._waiting.get((device_id, speaker))
        return None if waiting is None else waiting.question

    def needs_voice(self, device_id: str, conversation_id: str | None) -> bool:
        """Whether a question waits here, in this conversation, that only a voice that is known may answer."""
        self._sweep()
        return conversation_id is not None and any(
            device == device_id and waiting.conversation_id == conversation_id and waiting.question.is_for_one
            for (device, _), waiting in self._waiting.items()
        )

    async def hear(
        self,
        device_id: str,
        speaker: str | None,
        text: str,
        *,
        language: str,
        is_command: Callable[[str], Awaitable[bool]],
        conversation_id: str | None = None,
    ) -> Outcome:
        """What a sentence is to the question that waits for its speaker; `is_command` is asked when it is no clear answer.

        The conversation id tells a sentence for which the microphone stayed open from one after the wake word.
        """
        key = self._key(device_id, speaker, conversation_id)
        waiting = None if key is None else self._waiting.get(key)
        if key is None or waiting is None or not text.strip():
            return NotAnAnswer()
        heard = waiting.question.answer(text, language)
        if heard is not None:
            del self._waiting[key]
            return replace(heard, awaited=waiting.question.awaited) if isinstance(heard, Answered) else heard
        is_new = await is_command(text)
        rest = None if is_new else await _command_after_no(text, language, is_command)
        if self._waiting.get(key) is not waiting:
            # Another sentence was quicker.
            return NotAnAnswer()
        if rest is not None:
            del self._waiting[key]
            return Cancelled(rest=rest)
        if is_new:
            del self._waiting[key]
            return NotAnAnswer()
        continued = conversation_id is not None and conversation_id == waiting.conversation_id
        return self._unclear(key, waiting, text) if continued else NotAnAnswer()

    def _unclear(self, key: tuple[str, str | None], waiting: _Waiting, text: str) -> Outcome:
        """What was said into the open microphone and is neither a clear answer nor a command."""
        if waiting.question.kind is Kind.OPEN:
            del self._waiting[key]
            return Answered(text)
        if len(text.split()) > _ANSWER_MAX_WORDS and waiting.question.kind is not Kind.CODE:
            del self._waiting[key]
            return NotAnAnswer()
        return self._again(key, waiting)

    def _again(self, key: tuple[str, str | None], waiting: _Waiting) -> AskAgain | Cancelled:
        question = waiting.question
        if waiting.asked_again:
            del self._waiting[key]
            return Cancelled(AGAIN[base_of(question.language)]["dropped"])
        waiting.asked_again = True
        waiting.until_s = self._clock() + self._expire_s
        return AskAgain(question.again(), question.is_private)

    def _key(self, device_id: str, speaker: str | None, conversation_id: str | None) -> tuple[str, str | None] | None:
        """Whose question it may be; a voice that is not known (None) may be that of somebody known.

        "Yes" is too short to know a voice by. In the same conversation it answers the one question that waits at the
        device, if nothing depends on who says it.
        """
        self._sweep()
        if (device_id, speaker) in self._waiting or speaker is not None:
            return (device_id, speaker)
        here = [key for key in self._waiting if key[0] == device_id]
        if len(here) != 1 or conversation_id is None:
            return None
        waiting = self._waiting[here[0]]
        same = waiting.conversation_id == conversation_id and not waiting.question.is_for_one
        return here[0] if same else None

    def _sweep(self) -> None:
        now_s = self._clock()
        for key in [key for key, waiting in self._waiting.items() if waiting.until_s <= now_s]:
            del self._waiting[key]


async def _command_after_no(text: str, language: str, is_command: Callable[[str], Awaitable[bool]]) -> str | None:
    """The command in "no, turn on the lamp"; None when there is none."""
    words = text.split()
    for count in range(1, min(len(words), _NO_MAX_WORDS + 1)):
        said = read(" ".join(words[:count]), language)
        if not _is_plain(said) or said.yes or said.places:
            return None
        rest = " ".join(words[count:])
        if (said.no or said.cancel) and await is_command(rest):
            return rest
    return None


def _cancelled(spoken: Spoken) -> Cancelled | None:
    refused = (spoken.no or spoken.cancel) and not spoken.yes and not spoken.places
    return Cancelled() if refused and _is_plain(spoken) else None


def _is_plain(spoken: Spoken) -> bool:
    """Whether there is nothing beside the answer that could change it."""
    return not spoken.rest and not spoken.numbers


def _names(spoken: Spoken, option: Option) -> bool:
    """Whether every word that means nothing else is, nearly, a word of one of the option's names."""
    return any(all(_is_near(word, plain(name)) for word in spoken.rest) for name in option.names)


def _is_near(word: str, name: tuple[str, ...]) -> bool:
    return any(word == part or SequenceMatcher(None, word, part).ratio() >= _NEAR for part in name)
