"""What was asked about and is agreed to: done at once, after the right code, or after a tap on the phone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
import logging
import math
from typing import Any, Generic, TypeVar

from ..telemetry.trace import VoiceContext
from .follow_up import Kind, Question
from .local import Answer
from .reply import Reply, Said, refuse
from .second_factor import LOCKED_S, Awaited, Codes, Household, Permission, Verdict
from .sentences import Phrase, say

_LOGGER = logging.getLogger(__name__)

ResponseT = TypeVar("ResponseT")


@dataclass(frozen=True)
class Agreement(Generic[ResponseT]):
    """One turn's means: `ask` asks a question of somebody, `do` does what was agreed to, `record` keeps what was said."""

    said: Said
    context: VoiceContext
    household: Household
    codes: Codes
    ask: Callable[[Question, str | None], None]
    do: Callable[[Awaited], Awaitable[Reply[ResponseT] | None]]
    record: Callable[[str], Awaitable[None]]

    async def settle(self, choice: Any, awaited: Awaited) -> Reply[ResponseT] | None:
        """What becomes of a clear answer: a yes (True) or a code."""
        if awaited.proof is Permission.PHONE:
            return Reply(Answer("", tier="action"), words=self._after_a_tap(awaited))
        if not awaited.needs_code:
            return await self.do(awaited)
        if choice is True:
            return self._ask_code(awaited, Phrase.SAY_CODE)
        verdict = await self.codes.verify(awaited.speaker or "", self.said.device_id, choice)
        if verdict is Verdict.WRONG:
            return self._ask_code(awaited, Phrase.WRONG_CODE)
        if verdict is Verdict.LOCKED:
            return self._locked()
        return await self.do(awaited)

    async def _after_a_tap(self, awaited: Awaited) -> AsyncGenerator[str, None]:
        """Says that the phone is asked, and then what came of it. Never raises."""
        said, context = self.said, self.context
        spoken = say(Phrase.LOOK_AT_PHONE, said.language)
        try:
            yield spoken
            with context.stage("phone"):
                question = awaited.question
                tapped = await self.household.confirms(awaited.speaker or "", question, said.language)
            done = await self.do(awaited) if tapped else None
            end = say(Phrase.LEFT_ALONE, said.language) if done is None else done.answer.speech
        except Exception:
            _LOGGER.exception("Turn %s failed", context.trace_id)
            end, context.error = say(Phrase.FAILED, said.language), "failed"
        yield f" {end}"
        context.reply = f"{spoken} {end}"
        await self.record(context.reply)

    def _ask_code(self, awaited: Awaited, phrase: Phrase) -> Reply[ResponseT]:
        said = self.said
        if self.codes.locked_s(awaited.speaker or "", said.device_id) > 0:
            return self._locked()
        question = Question(Kind.CODE, said.language, sensitive=True, awaited=awaited)
        # It is asked of who wants it done, also when the yes was too short to know the voice by.
        self.ask(question, awaited.speaker)
        return Reply(Answer(say(phrase, said.language), tier="instant"), asks=True)

    def _locked(self) -> Reply[ResponseT]:
        minutes = math.ceil(LOCKED_S / 60)
        return refuse(Phrase.CODE_LOCKED, self.said.language, "too many wrong codes", minutes=minutes)
