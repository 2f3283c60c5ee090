"""What somebody has Barnabee remember, asks of its memories and has it forget, in their own words and without a model.

Everything here is done in the name of the one who speaks. A guest hears what the family shares, and no more, and so does a
voice that might be somebody else's; what is found is checked once more against that, whoever found it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
import logging
import time
from typing import Any, Final, TypeVar

from ..state.errors import StateError
from ..state.session_types import Session
from .cues import kinds_in, tokens
from .follow_up import Kind, Option, Question
from .follow_up_words import base_of
from .local import Answer
from .memories import TEXT_MAX_CHARS, Kept, Match, Memories
from .quote import clean
from .second_person import clause_of, speaks_of_nobody, turned
from .telling_grammar import Form, Wish, is_about_me, telling_words
from .telling_phrases import Say, say

_LOGGER = logging.getLogger(__name__)

TIER: Final = "memory"
# Who asks what they told waits for it; a question that a model could answer as well goes on to it.
ASKED_LIMIT_S: Final = 1.0
MAY_GO_ON_LIMIT_S: Final = 0.15
# What is remembered is on the disk before that is said; a database that somebody else holds is given up after 5 s.
WRITE_LIMIT_S: Final = 6.0
# "Forget that" is about what was said a moment ago.
LAST_KEPT_S: Final = 300.0
# By meaning alone: MiniLM gives a question and its answer 0.5 to 0.8.
MIN_SIMILARITY: Final = 0.6

_LAST_MAX: Final = 64
_LOOKED_AT_MAX: Final = 12
_TOLD_MAX: Final = 3
_SPOKEN_MAX_CHARS: Final = 240
_OPTION_MAX_CHARS: Final = 80
_PREFIX_MIN_CHARS: Final = 4
_NAMED_MIN_WORDS: Final = 2
_OTHERS_MAY_ANSWER: Final = frozenset({Form.KNOW, Form.MINE, Form.WHAT})
_ENDS: Final = " .,;:!?…"

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Teller:
    """Who speaks (None: a guest), how, and in which session and turn; `is_sure`: it can be hardly anybody else."""

    speaker: str | None
    language: str
    session: Session | None
    trace_id: str
    is_sure: bool


@dataclass(frozen=True)
class Forget:
    """What a yes has forgotten: a memory of this owner, or all of theirs."""

    owner: str
    memory_id: int = 0
    everything: bool = False


@dataclass(frozen=True)
class _Last:
    """What the last answer of a session was about; `told`: it was remembered then."""

    speaker: str
    memories: tuple[Kept, ...]
    told: bool
    trace_id: str
    until_s: float


class _Away(Exception):
    """The memories do not answer."""


class Telling:
    """Answers wishes; `clock` is monotonic, in seconds."""

    def __init__(self, memories: Memories, clock: Callable[[], float] = time.monotonic) -> None:
        self._memories = memories
        self._clock = clock
        self._last: OrderedDict[str, _Last] = OrderedDict()

    async def answer(self, wish: Wish, teller: Teller) -> Answer[Any] | None:
        """What is said to it; None where something else may answer as well or better."""
        try:
            return await self._grant(wish, teller)
        except _Away as error:
            if wish.form in _OTHERS_MAY_ANSWER:
                return None
            return _answer(Say.AWAY, teller, wish.form.value, error=str(error))

    async def forget(self, choice: Forget, teller: Teller) -> Answer[Any]:
        """Does what was agreed to; only its owner may have said so, and is asked again when it might not be them."""
        if teller.speaker != choice.owner:
            return _answer(Say.NOT_YOURS if teller.speaker else Say.GUEST, teller, "forget")
        if not teller.is_sure:
            question = Question(Kind.CONFIRM, teller.language, sensitive=True, agreed=choice)
            return replace(_answer(Say.UNSURE, teller, "forget"), question=question)
        try:
            if choice.everything:
                await self._within(WRITE_LIMIT_S, lambda: self._memories.forget_all_of(choice.owner))
                return _answer(Say.FORGOTTEN_ALL, teller, "forget")
            return await self._forget(choice.memory_id, choice.owner, teller)
        except _Away as error:
            return _answer(Say.AWAY, teller, "forget", error=str(error))

    async def _grant(self, wish: Wish, teller: Teller) -> Answer[Any] | None:
        match wish.form:
            case Form.REMEMBER:
                return await self._remember(wish, teller)
            case Form.ASK | Form.KNOW | Form.MINE | Form.WHAT:
                return await self._recall(wish, teller)
            case Form.FORGET:
                return await self._ask_to_forget(wish, teller)
            case Form.FORGET_THAT:
                return await self._forget_that(teller)
            case Form.FORGET_ALL:
                return self._ask_to_forget_all(teller)

    # Remember

    async def _remember(self, wish: Wish, teller: Teller) -> Answer[Any]:
        speaker = teller.speaker
        if speaker is None:
            return _answer(Say.GUEST, teller, "remember")
        text = clean(wish.words, max_chars=TEXT_MAX_CHARS)
        if len(wish.words) > TEXT_MAX_CHARS:
            return _answer(Say.TOO_LONG, teller, "remember")
        kept = await self._within(
            WRITE_LIMIT_S,
            lambda: self._memories.remember(
                text,
                speaker=speaker,
                visibility="family" if wish.for_family else "owner",
                source=teller.trace_id,
                language=teller.language,
            ),
        )
        self._note(teller, speaker, (kept,), told=True)
        done = _answer(Say.REMEMBERED_FAMILY if wish.for_family else Say.REMEMBERED, teller, "remember")
        # A digit that was misheard sounds like any other: who told it can say "forget that" now, and not when it matters.
        is_read_back = any(map(str.isdigit, kept.text))
        return replace(done, speech=f"{done.speech} {_spoken(kept, teller)}") if is_read_back else done

    # Recall

    async def _recall(self, wish: Wish, teller: Teller) -> Answer[Any] | None:
        if wish.form is Form.WHAT and _is_of_the_home(wish.words, teller.language):
            return None
        if is_about_me(wish.words, teller.language):
            found = await self._newest(teller)
        else:
            found = await self._found(wish, teller)
        if wish.form in {Form.MINE, Form.WHAT}:
            found = [each for each in found if _answers(each, wish, teller)][:1]
        if not found:
            if wish.form is not Form.ASK:
                return None
            return _answer(Say.NOTHING if teller.speaker else Say.GUEST, teller, "recall")
        told = [each for each in found[:_TOLD_MAX] if teller.is_sure or each.visibility == "family"]
        if not told:
            return _answer(Say.UNSURE, teller, "recall")
        if teller.speaker is not None:
            self._note(teller, teller.speaker, told, told=False)
        return Answer(" ".join(_spoken(each, teller) for each in told), tier=TIER, intent="recall")

    async def _newest(self, teller: Teller) -> list[Kept]:
        """What the speaker told last; a guest has told nothing."""
        speaker = teller.speaker
        if speaker is None:
            return []
        page = await self._within(ASKED_LIMIT_S, lambda: self._memories.page(speaker=speaker, limit=_LOOKED_AT_MAX))
        return [each for each in page if each.owner == speaker]

    async def _found(self, wish: Wish, teller: Teller) -> list[Kept]:
        """What is about the topic and may be heard by the speaker, the nearest first."""
        limit_s = ASKED_LIMIT_S if wish.form in {Form.ASK, Form.FORGET} else MAY_GO_ON_LIMIT_S
        found = await self._within(
            limit_s, lambda: self._memories.recall(wish.words, speaker=teller.speaker, limit=_LOOKED_AT_MAX)
        )
        topic = telling_words(wish.words, teller.language)
        return [each.memory for each in found if _may_hear(each.memory, teller.speaker) and _is_about(each, topic)]

    # Forget

    async def _ask_to_forget(self, wish: Wish, teller: Teller) -> Answer[Any]:
        speaker = teller.speaker
        if speaker is None or not teller.is_sure:
            return _answer(Say.UNSURE if speaker else Say.GUEST, teller, "forget")
        found = await self._found(wish, teller)
        own = [each for each in found if each.owner == speaker]
        if not own:
            return _answer(Say.NOT_YOURS if found else Say.NOTHING, teller, "forget")
        return _question(own[:_TOLD_MAX], speaker, teller)

    async def _forget_that(self, teller: Teller) -> Answer[Any] | None:
        """What was remembered with the last sentence is forgotten at once; what was only told is asked about."""
        last = None if teller.session is None else self._last.get(teller.session.id)
        if last is None or last.speaker != teller.speaker or self._clock() >= last.until_s:
            return None
        own = [each for each in last.memories if each.owner == last.speaker]
        if not own:
            return _answer(Say.NOT_YOURS, teller, "forget")
        if last.told and _was_last_said(teller.session, last.trace_id):
            return await self._forget(own[0].id, last.speaker, teller)
        if not teller.is_sure:
            return _answer(Say.UNSURE, teller, "forget")
        return _question(own, last.speaker, teller)

    def _ask_to_forget_all(self, teller: Teller) -> Answer[Any]:
        if teller.speaker is None or not teller.is_sure:
            return _answer(Say.UNSURE if teller.speaker else Say.GUEST, teller, "forget")
        agreed = Forget(teller.speaker, everything=True)
        question = Question(Kind.CONFIRM, teller.language, sensitive=True, agreed=agreed)
        return Answer(say(Say.ASK_FORGET_ALL, teller.language), tier=TIER, intent="forget", question=question)

    async def _forget(self, memory_id: int, owner: str, teller: Teller) -> Answer[Any]:
        gone = await self._within(WRITE_LIMIT_S, lambda: self._memories.forget(memory_id, speaker=owner))
        if teller.session is not None:
            self._last.pop(teller.session.id, None)
        return _answer(Say.FORGOTTEN if gone else Say.NOTHING, teller, "forget")

    def _note(self, teller: Teller, speaker: str, memories: Sequence[Kept], *, told: bool) -> None:
        if teller.session is None:
            return
        self._last.pop(teller.session.id, None)
        until_s = self._clock() + LAST_KEPT_S
        self._last[teller.session.id] = _Last(speaker, tuple(memories), told, teller.trace_id, until_s)
        while len(self._last) > _LAST_MAX:
            self._last.popitem(last=False)

    @staticmethod
    async def _within(limit_s: float, asking: Callable[[], Awaitable[ValueT]]) -> ValueT:
        """Raises _Away when the memories fail or are late."""
        try:
            async with asyncio.timeout(limit_s):
                return await asking()
        except (StateError, TimeoutError, ValueError) as error:
            _LOGGER.warning("The memories cannot be reached: %r", error)
            raise _Away(f"memories: {type(error).__name__}") from error


def _may_hear(memory: Kept, speaker: str | None) -> bool:
    return memory.visibility == "family" or (speaker is not None and memory.owner == speaker)


def _is_about(found: Match, topic: Sequence[str]) -> bool:
    """Whether a memory shares a word with the topic, or means the same."""
    words = telling_words(found.memory.text, found.memory.language)
    return found.similarity >= MIN_SIMILARITY or any(_is_in(each, words) for each in topic)


def _answers(memory: Kept, wish: Wish, teller: Teller) -> bool:
    """Whether a memory says what something is: it names all of it, and says more.

    What is not the speaker's own it has to name first: "the wifi password is ...".
    """
    language = memory.language or teller.language
    if memory.owner != teller.speaker and not speaks_of_nobody(memory.text, language):
        return False
    asked, words = telling_words(wish.words, teller.language), telling_words(memory.text, language)
    first = words if wish.form is Form.MINE else words[: len(asked)]
    return len(words) > len(asked) and all(_is_in(each, first) for each in asked)


def _is_of_the_home(topic: str, language: str) -> bool:
    """Whether the home knows better, or the topic says too little to tell a memory by."""
    return len(telling_words(topic, language)) < _NAMED_MIN_WORDS or bool(kinds_in(tokens(topic), language))


def _is_in(word: str, words: Sequence[str]) -> bool:
    """Whether the word, or one that it begins or that begins with it ("bike", "bikes"), is among them."""
    if word in words:
        return True
    return any(
        min(len(word), len(each)) >= _PREFIX_MIN_CHARS and (word.startswith(each) or each.startswith(word))
        for each in words
    )


def _was_last_said(session: Session | None, trace_id: str) -> bool:
    return session is not None and bool(session.turns) and session.turns[-1].trace_id == trace_id


def _question(memories: Sequence[Kept], speaker: str, teller: Teller) -> Answer[Any]:
    """Names what is to be forgotten; only the one who asked may say yes or choose."""
    language = teller.language
    if len(memories) == 1:
        agreed = Forget(speaker, memories[0].id)
        question = Question(Kind.CONFIRM, language, sensitive=True, agreed=agreed)
        text = say(Say.ASK_FORGET, language, text=_named(memories[0], teller))
    else:
        options = tuple(Option((_named(each, teller),), Forget(speaker, each.id)) for each in memories)
        question = Question(Kind.CHOICE, language, options=options, sensitive=True, is_private=True)
        names = [option.names[0] for option in options]
        listed = f" {say(Say.OR, language)} ".join((", ".join(names[:-1]), names[-1]))
        text = say(Say.ASK_WHICH, language, options=listed)
    return Answer(text, tier=TIER, intent="forget", question=question)


def _named(memory: Kept, teller: Teller) -> str:
    """A memory within a question."""
    text = clean(memory.text, max_chars=_OPTION_MAX_CHARS).rstrip(_ENDS)
    return (turned(text, teller.language) if _is_in_language(memory, teller) else None) or text


def _spoken(memory: Kept, teller: Teller) -> str:
    """A memory as a sentence to the speaker; what cannot be turned round is quoted."""
    language = teller.language
    text = clean(memory.text, max_chars=_SPOKEN_MAX_CHARS).rstrip(_ENDS)
    understood = _is_in_language(memory, teller)
    if memory.owner != teller.speaker:
        if understood and clause_of(text, language) is None and speaks_of_nobody(text, language):
            return _sentence(text)
        return say(Say.FAMILY_TOLD, language, text=text)
    said = turned(text, language) if understood else None
    if said is None:
        return say(Say.YOU_TOLD, language, text=text)
    return say(Say.YOU_TOLD_CLAUSE, language, text=said) if clause_of(text, language) else _sentence(said)


def _is_in_language(memory: Kept, teller: Teller) -> bool:
    return memory.language is not None and base_of(memory.language) == base_of(teller.language)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _answer(occasion: Say, teller: Teller, intent: str, *, error: str | None = None) -> Answer[Any]:
    return Answer(say(occasion, teller.language), tier=TIER, intent=intent, error=error)
