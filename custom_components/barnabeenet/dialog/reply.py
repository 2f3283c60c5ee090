"""What a turn begins with and what it ends with."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..telemetry.trace import Voice
from .local import Answer
from .sentences import Phrase, say

ResponseT = TypeVar("ResponseT")


@dataclass(frozen=True)
class Said:
    """A sentence and where it comes from; `device_id` names what belongs to one person where there is no device.

    `is_sure` says that the speaker is who they seem: by a login, or by a voice that can be hardly anybody else's. `voice` is
    how it sounded, where it was spoken.
    """

    text: str
    language: str
    device_id: str
    speaker: str | None = None
    area: str | None = None
    conversation_id: str | None = None
    is_sure: bool = False
    voice: Voice | None = field(default=None, repr=False)


@dataclass
class Reply(Generic[ResponseT]):
    """What is said: `answer.speech`, or the `words` of a language model as they come, which are to be read to their end.

    `asks` says that the speaker is expected to go on, without the wake word.
    """

    answer: Answer[ResponseT]
    words: AsyncGenerator[str, None] | None = None
    asks: bool = False


def refuse(phrase: Phrase, language: str, error: str, **said: object) -> Reply[ResponseT]:
    """The phrase, and for the trace why there is nothing better to say."""
    return Reply(Answer(say(phrase, language, **said), tier="none", error=error))
