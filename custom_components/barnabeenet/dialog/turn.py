"""A turn, told from the sentence to the answer."""

from __future__ import annotations

import logging
from typing import Final, TypeVar

from ..telemetry.trace import VoiceContext
from .local import Answer, LocalAgent, answer_locally
from .sentences import Phrase, say

_LOGGER = logging.getLogger(__name__)

# A minute of speech; what is longer is no command, and matching takes longer with every word.
TEXT_MAX_CHARS: Final = 1_000

ResponseT = TypeVar("ResponseT")


async def take_turn(text: str, language: str, agent: LocalAgent[ResponseT], context: VoiceContext) -> Answer[ResponseT]:
    """Always answers with something to say, in the speaker's language, and never raises."""
    context.text, context.language = text, language
    try:
        answer = (
            _admit(text, language)
            or await answer_locally(agent, context)
            or _refuse(Phrase.CANNOT_HELP, language, "not understood")
        )
    except Exception:  # whatever broke in one turn, the family gets an answer
        _LOGGER.exception("Turn %s failed", context.trace_id)
        answer = _refuse(Phrase.FAILED, language, "failed")
    return _record(answer, context)


def _admit(text: str, language: str) -> Answer[ResponseT] | None:
    """A refusal of what is no sentence; None for one that may pass."""
    if not text.strip():
        return _refuse(Phrase.HEARD_NOTHING, language, "nothing was said")
    if len(text) > TEXT_MAX_CHARS:
        return _refuse(Phrase.TOO_LONG, language, f"longer than {TEXT_MAX_CHARS} characters")
    return None


def _refuse(phrase: Phrase, language: str, error: str) -> Answer[ResponseT]:
    return Answer(say(phrase, language), tier="none", error=error)


def _record(answer: Answer[ResponseT], context: VoiceContext) -> Answer[ResponseT]:
    context.reply, context.intent = answer.speech, answer.intent
    context.tier, context.error = answer.tier, answer.error
    return answer
