"""The tier that costs nothing: Home Assistant's own sentences, and ours and its ways to read what is none of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from ..telemetry.trace import VoiceContext
from .follow_up import Question

ResponseT = TypeVar("ResponseT")

# The tier of an answer that stands before a command: it is the last word on it.
HELD: Final = "held"


@dataclass(frozen=True)
class Answer(Generic[ResponseT]):
    """What is said to the speaker, and which tier says so; `response` is what the tier did, in its own terms."""

    speech: str
    tier: str
    intent: str | None = None
    error: str | None = None
    response: ResponseT | None = None
    question: Question | None = None
    """What the speaker is asked; nothing is done before it is answered."""
    commands: tuple[str, ...] = ()
    """What was carried out, as sentences that are whole in themselves; see `Memory`."""


# Given a sentence, its intent and slots: the answer that stands before it is carried out; None when nothing does.
Hold = Callable[[str, str, Mapping[str, Any]], Answer[Any] | None]


class LocalAgent(Protocol[ResponseT]):
    """Understands one sentence and does what it asks."""

    async def strict(self) -> Answer[ResponseT] | None:
        """Takes the sentence literally; None when it is none of those that are known."""

    async def several(self) -> Answer[ResponseT] | None:
        """Takes the sentence as several commands or as one that speaks of the last; None when it is neither."""

    async def rescue(self) -> Answer[ResponseT] | None:
        """Makes the best of a sentence that is misheard or phrased otherwise; None when that says nothing helpful."""

    async def near_miss(self) -> Answer[ResponseT] | None:
        """Finds the names that were meant by words that only sound like them; None when none is near."""


class Memory(Protocol):
    """The last command of one device and session, so that "it" can be understood; whoever keeps it forgets it in time."""

    def recall(self) -> tuple[str, ...]:
        """The sentences of the last command, whole in themselves; empty when there is none."""

    def note(self, sentences: tuple[str, ...]) -> None:
        """Keeps them in place of what was there."""


Attempt = Callable[[], Awaitable[Answer[ResponseT] | None]]


async def answer_locally(
    agent: LocalAgent[ResponseT],
    context: VoiceContext,
    *,
    is_worth_a_rescue: Callable[[], bool] = lambda: True,
    memory: Attempt[ResponseT] | None = None,
) -> Answer[ResponseT] | None:
    """Strictly first, so that a sentence that is understood is never second-guessed; None when nothing helps.

    Then `memory`, for a sentence about what was told: a near miss would hear the door in "remember the door code". The
    rescue is the last: where it has to find out what was wrong, a large home takes a second.
    """
    tries: list[tuple[str, Attempt[ResponseT]]] = [("strict", agent.strict)]
    if memory is not None:
        tries.append(("memory", memory))
    tries += [("several", agent.several), ("near_miss", agent.near_miss), ("rescue", agent.rescue)]
    for name, attempt in tries:
        if name == "rescue" and not is_worth_a_rescue():
            break
        with context.stage(name):
            answer = await attempt()
        if answer is not None:
            return answer
    return None
