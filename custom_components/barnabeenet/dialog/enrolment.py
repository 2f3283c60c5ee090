"""Learns a voice in a talk: who it is, five sentences to repeat, what was wrong with one, and a last word.

Nobody takes another's place: whose voice is known already, or who may open the home, proves first who they are, by that
voice, a login or their code. Nothing is kept before the set is whole.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from enum import Enum
from functools import cache
import time
from typing import Final, Protocol

from ..state.errors import StateError
from ..state.spoken_code import is_code
from ..state.voices import Sample, Voice
from .digits import digits_in
from .enrolment_words import phrases_of, words_of
from .follow_up_words import plain, read
from .second_factor import Codes, Verdict
from .voice_quality import Feedback, Progress

# Between two sentences; somebody may be called to the door.
EXPIRE_S: Final = 90.0
LESSONS_MAX: Final = 16
# Failures in a row before it is given up.
FAILURES_MAX: Final = 3

_NEAR: Final = 0.8
_NAME_MAX_WORDS: Final = 5
# These stand anywhere, also in the middle of what is asked for.
_POLITE: Final = frozenset({"please", "now", "bitte", "doch", "mal", "jetzt", "alsjeblieft", "alstublieft", "eens"})
# Of a sentence's words: a recogniser that knows commands alone makes something else of the others.
_READ_MIN: Final = 0.4


@dataclass(frozen=True)
class Learner:
    """Somebody whose voice may be learnt; `must_prove`: a word alone does not make anybody them."""

    speaker: str
    name: str
    has_voice: bool = False
    has_code: bool = False
    must_prove: bool = False


class VoiceBook(Protocol):
    """Where voices are kept."""

    def learners(self) -> Sequence[Learner]:
        """The people of the home."""

    async def learn(self, speaker: str, samples: Sequence[Sample]) -> None:
        """Keeps a whole set in place of what there was; raises StateError."""


@dataclass(frozen=True)
class Heard:
    """A sentence with the voice that said it; `speaker` is whom it was recognised as, by voice or by login."""

    text: str
    language: str
    device_id: str
    speaker: str | None = None
    voice: Voice | None = field(default=None, repr=False)


@dataclass(frozen=True)
class LessonReply:
    """What is said, whether the person is to go on, and whether their words were a code that nobody may keep."""

    speech: str
    listens: bool = False
    is_secret: bool = False


class _Step(Enum):
    NAME = "name"
    CODE = "code"
    PHRASE = "phrase"


@dataclass
class _Lesson:
    language: str
    step: _Step = _Step.NAME
    learner: Learner | None = None
    progress: Progress = field(default_factory=Progress)
    failures: int = 0
    until_s: float = 0.0

    def says(self, what: str, **more: str) -> str:
        phrases = phrases_of(self.language)
        phrase = phrases[min(len(self.progress.accepted), len(phrases) - 1)]
        name = self.learner.name if self.learner else ""
        return words_of(self.language).says[what].format(**{"phrase": phrase, "name": name, **more})


class Lessons:
    """One for each device, in memory only; `clock` is monotonic, in seconds."""

    def __init__(self, book: VoiceBook, codes: Codes, clock: Callable[[], float] = time.monotonic) -> None:
        self._book, self._codes, self._clock = book, codes, clock
        self._lessons: OrderedDict[str, _Lesson] = OrderedDict()

    def __len__(self) -> int:
        return len(self._lessons)

    async def hear(self, heard: Heard, is_command: Callable[[str], Awaitable[bool]]) -> LessonReply | None:
        """What is said to a sentence that asks for a lesson or belongs to one; None for any other.

        A command of the home ends a lesson without a word: it is carried out instead.
        """
        lesson = self._current(heard.device_id)
        if lesson is None:
            asked = asks_for_lesson(heard.text, heard.language)
            return None if asked is None else self._begin(heard, asked)
        if self._is_stop(heard):
            del self._lessons[heard.device_id]
            return LessonReply(lesson.says("stopped"))
        match lesson.step:
            case _Step.NAME:
                reply = await self._take_name(lesson, heard, is_command)
            case _Step.CODE:
                reply = await self._take_code(lesson, heard, is_command)
            case _Step.PHRASE:
                reply = await self._take_phrase(lesson, heard, is_command)
        if reply is None or not reply.listens:
            if self._lessons.get(heard.device_id) is lesson:
                del self._lessons[heard.device_id]
        else:
            lesson.until_s = self._clock() + EXPIRE_S
        return reply

    # The steps

    def _begin(self, heard: Heard, name: tuple[str, ...]) -> LessonReply:
        lesson = _Lesson(heard.language, until_s=self._clock() + EXPIRE_S)
        people = self._book.learners()
        if not people:
            return LessonReply(lesson.says("nobody"))
        known = next((person for person in people if person.speaker == heard.speaker), None)
        if name and (named := _named(name, people)) is None:
            return LessonReply(lesson.says("unknown"))
        learner = named if name else known
        reply = LessonReply(lesson.says("who"), listens=True) if learner is None else self._meet(lesson, learner, heard)
        if reply.listens:
            self._keep(heard.device_id, lesson)
        return reply

    def _meet(self, lesson: _Lesson, learner: Learner, heard: Heard) -> LessonReply:
        """Begins with a person, or asks for a proof of who they are."""
        lesson.learner, lesson.failures = learner, 0
        if learner.speaker == heard.speaker:
            return self._start(lesson)
        if learner.has_code:
            if self._codes.locked_s(learner.speaker, heard.device_id) > 0:
                return LessonReply(lesson.says("no_code"))
            lesson.step = _Step.CODE
            self._codes.ask(heard.device_id)
            return LessonReply(lesson.says("code"), listens=True)
        if learner.has_voice or learner.must_prove:
            return LessonReply(lesson.says("proof"))
        return self._start(lesson)

    def _start(self, lesson: _Lesson) -> LessonReply:
        lesson.step = _Step.PHRASE
        return LessonReply(lesson.says("begin"), listens=True)

    async def _take_name(
        self, lesson: _Lesson, heard: Heard, is_command: Callable[[str], Awaitable[bool]]
    ) -> LessonReply | None:
        people = self._book.learners()
        words = _without(plain(heard.text), heard.language)
        named = _named(words, people)
        if named is not None:
            return self._meet(lesson, named, heard)
        if await is_command(heard.text):
            return None
        lesson.failures += 1
        if lesson.failures >= FAILURES_MAX:
            return LessonReply(lesson.says("unknown"))
        return LessonReply(lesson.says("who_again", names=", ".join(person.name for person in people)), listens=True)

    async def _take_code(
        self, lesson: _Lesson, heard: Heard, is_command: Callable[[str], Awaitable[bool]]
    ) -> LessonReply | None:
        learner = lesson.learner
        said = digits_in(heard.text, heard.language)
        if learner is None or (not said.digits and await is_command(heard.text)):
            return None
        if not (said.alone and is_code(said.digits)):
            lesson.failures += 1
            if lesson.failures >= FAILURES_MAX:
                return LessonReply(lesson.says("given_up"), is_secret=True)
            return LessonReply(lesson.says("code"), listens=True, is_secret=True)
        match await self._codes.verify(learner.speaker, heard.device_id, said.digits):
            case Verdict.RIGHT:
                return LessonReply(self._start(lesson).speech, listens=True, is_secret=True)
            case Verdict.WRONG:
                self._codes.ask(heard.device_id)
                return LessonReply(lesson.says("wrong_code"), listens=True, is_secret=True)
            case Verdict.LOCKED:
                return LessonReply(lesson.says("no_code"), is_secret=True)

    async def _take_phrase(
        self, lesson: _Lesson, heard: Heard, is_command: Callable[[str], Awaitable[bool]]
    ) -> LessonReply | None:
        progress, phrases = lesson.progress, phrases_of(lesson.language)
        number = len(progress.accepted)
        if not _is_read(heard.text, phrases[number]):
            return None if await is_command(heard.text) else self._failed(lesson, "misread")
        feedback = progress.hear(heard.voice, number)
        if feedback is Feedback.NOT_AVAILABLE:
            return LessonReply(lesson.says("not_available"))
        if feedback is not Feedback.ACCEPTED:
            return self._failed(lesson, feedback.value)
        lesson.failures = 0
        if progress.is_complete:
            return await self._finish(lesson)
        return LessonReply(lesson.says("next"), listens=True)

    def _failed(self, lesson: _Lesson, why: str) -> LessonReply:
        lesson.failures += 1
        if lesson.failures > FAILURES_MAX:
            return LessonReply(lesson.says("given_up"))
        return LessonReply(lesson.says(why), listens=True)

    async def _finish(self, lesson: _Lesson) -> LessonReply:
        learner = next((each for each in self._book.learners() if each == lesson.learner), None)
        if learner is None:
            # Removed or changed meanwhile.
            return LessonReply(lesson.says("given_up"))
        samples = [Sample.of(voice, learner.speaker, number) for number, voice in lesson.progress.accepted]
        try:
            await self._book.learn(learner.speaker, samples)
        except StateError:
            return LessonReply(lesson.says("failed"))
        return LessonReply(lesson.says("done"))

    # Which lesson it is

    def _current(self, device_id: str) -> _Lesson | None:
        now_s = self._clock()
        for device in [device for device, lesson in self._lessons.items() if lesson.until_s <= now_s]:
            del self._lessons[device]
        return self._lessons.get(device_id)

    def _keep(self, device_id: str, lesson: _Lesson) -> None:
        self._lessons[device_id] = lesson
        while len(self._lessons) > LESSONS_MAX:
            self._lessons.popitem(last=False)

    @staticmethod
    def _is_stop(heard: Heard) -> bool:
        said = read(heard.text, heard.language)
        return said.cancel and not said.rest and not said.numbers


def asks_for_lesson(text: str, language: str | None) -> tuple[str, ...] | None:
    """The words of the name in a sentence that asks for a lesson, empty without one; None when it does not ask."""
    words = tuple(word for word in plain(text) if word not in _POLITE)
    for phrase in _phrases(words_of(language).ask):
        for at in range(len(words) - len(phrase) + 1):
            if words[at : at + len(phrase)] == phrase:
                return _rest(words[:at], words[at + len(phrase) :], language)
    return None


@cache
def _phrases(listed: str) -> tuple[tuple[str, ...], ...]:
    """The words of each phrase in "one|another one", the longest first."""
    return tuple(sorted(map(plain, listed.split("|")), key=len, reverse=True))


def _rest(before: tuple[str, ...], after: tuple[str, ...], language: str | None) -> tuple[str, ...] | None:
    """The name beside the request; None when there is more than a name."""
    fillers = set(words_of(language).fillers.split())
    name: tuple[str, ...] = ()
    for part in (before, after):
        rest = tuple(word for word in part if word not in fillers)
        if not rest:
            continue
        named = _without(part, language)
        if len(named) == len(part) or name or len(named) > _NAME_MAX_WORDS:
            return None  # nobody has said their name in it
        name = named
    return name


def _without(words: tuple[str, ...], language: str | None) -> tuple[str, ...]:
    """What is left of an answer that says who one is: the name, after "I am" if that is there."""
    said = words_of(language)
    fillers = set(said.fillers.split())
    for phrase in _phrases(said.name):
        for at in range(len(words) - len(phrase)):
            if words[at : at + len(phrase)] == phrase:
                name = words[at + len(phrase) :]
                return tuple(word for word in name if word not in fillers) or name
    return words


def _named(words: tuple[str, ...], people: Sequence[Learner]) -> Learner | None:
    """The one person whom the words name, nearly; a first name is enough where nobody else has it."""
    found = [person for person in people if words and _is_name(words, plain(person.name))]
    exact = [person for person in found if plain(person.name) == words]
    chosen = exact or found
    return chosen[0] if len(chosen) == 1 else None


def _is_name(words: tuple[str, ...], name: tuple[str, ...]) -> bool:
    return all(any(SequenceMatcher(None, word, part).ratio() >= _NEAR for part in name) for word in words)


def _is_read(text: str, phrase: str) -> bool:
    """Whether a sentence is the one that was to be repeated, as far as it was understood."""
    wanted, said = plain(phrase), plain(text)
    matching = SequenceMatcher(None, wanted, said, autojunk=False).get_matching_blocks()
    return sum(block.size for block in matching) >= _READ_MIN * len(wanted)
