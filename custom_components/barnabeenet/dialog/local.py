"""The tier that costs nothing: Home Assistant's own sentences, then its rescue of those that are nearly right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from ..telemetry.trace import VoiceContext

ResponseT = TypeVar("ResponseT")


@dataclass(frozen=True)
class Answer(Generic[ResponseT]):
    """What is said to the speaker, and which tier says so; `response` is what the tier did, in its own terms."""

    speech: str
    tier: str
    intent: str | None = None
    error: str | None = None
    response: ResponseT | None = None


class LocalAgent(Protocol[ResponseT]):
    """Understands one sentence and does what it asks."""

    async def strict(self) -> Answer[ResponseT] | None:
        """Takes the sentence literally; None when it is none of those that are known."""

    async def rescue(self) -> Answer[ResponseT] | None:
        """Makes the best of a sentence that is misheard or phrased otherwise; None when that says nothing helpful."""


async def answer_locally(agent: LocalAgent[ResponseT], context: VoiceContext) -> Answer[ResponseT] | None:
    """Strictly first, so that a sentence that is understood is never second-guessed; None when neither can help."""
    with context.stage("strict"):
        answer = await agent.strict()
    if answer is not None:
        return answer
    with context.stage("rescue"):
        return await agent.rescue()
