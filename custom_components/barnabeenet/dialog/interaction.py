"""One question to the language models: their words as they come, and the tools they ask for, as far as they may be used."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
import logging
from typing import Any, Final, Protocol

from ..providers.base import Caller, Delta, Message, Prompt, TextDelta, Tier, Tool, ToolCall, ToolCallDelta
from .actions import understand
from .policy import Allow, Confirm, Decision, Refuse
from .prompt import result_message, with_results
from .things import Things

_LOGGER = logging.getLogger(__name__)

# Look something up, act, look at what came of it, act again, tell.
ROUNDS_MAX: Final = 5
_ASKED_FIRST: Final = {"error": "not done", "error_text": "The person is asked first; say nothing more."}


class Models(Protocol):
    """Who can be asked; `providers.chain.Chain` is the real one."""

    def stream(self, prompt: Prompt, *, tiers: Sequence[Tier], caller: Caller) -> AsyncGenerator[Delta, None]:
        """The answer, text in whole sentences; raises AllProvidersFailed."""


class Tools(Protocol):
    """What a model may do in the home."""

    @property
    def tools(self) -> Sequence[Tool]:
        """What there is."""

    async def call(self, call: ToolCall) -> Any:
        """Does it; what comes of it, errors too, as JSON-ready data."""


@dataclass
class Interaction:
    """Asks, and keeps what came of it: `used` are the calls that were carried out.

    `confirm` is what the person has to say yes to first; its question was the last of the words.
    """

    models: Models
    tools: Tools
    decide: Callable[[ToolCall], Decision]
    things: Things
    used: list[ToolCall] = field(default_factory=list)
    confirm: Confirm | None = None
    is_whole: bool = True

    def acted(self) -> frozenset[str]:
        """The ids of the things that the calls reached: their new states may still be on their way."""
        return frozenset(
            thing.entity_id
            for call in self.used
            for thing in understand(call.name, call.arguments, self.things, frozenset()).things
        )

    def wanted(self) -> list[ToolCall]:
        """The calls that were carried out, and the one that waits for a yes."""
        return self.used if self.confirm is None else [*self.used, self.confirm.call]

    async def sentences(self, prompt: Prompt, *, tiers: Sequence[Tier], caller: Caller) -> AsyncGenerator[str, None]:
        """The words for the person; to be read once. Raises AllProvidersFailed."""
        results: dict[str, Any] = {}
        for _ in range(ROUNDS_MAX):
            said, calls = "", list[ToolCallDelta]()
            async with aclosing(self.models.stream(prompt, tiers=tiers, caller=caller)) as deltas:
                async for delta in deltas:
                    if isinstance(delta, TextDelta):
                        said += delta.text
                        yield delta.text
                    elif isinstance(delta, ToolCallDelta):
                        calls.append(delta)
            if not calls:
                return
            answers = [result_message(delta.call.id, await self._result(delta, results)) for delta in calls]
            if self.confirm is not None:
                yield self.confirm.question
                return
            prompt = with_results(prompt, Message("assistant", said, tuple(delta.call for delta in calls)), answers)
        _LOGGER.warning("A language model wanted more than %d rounds of tools", ROUNDS_MAX)
        self.is_whole = False

    async def _result(self, delta: ToolCallDelta, results: dict[str, Any]) -> Any:
        """What the model is told of a call, which is carried out if it may be and was not already."""
        if delta.repeats in results:
            # Under its own id, too: it may be repeated in turn.
            results[delta.call.id] = results[delta.repeats]
            return results[delta.call.id]
        if self.confirm is not None:
            return _ASKED_FIRST
        match self.decide(delta.call):
            case Allow(call):
                self.used.append(call)
                results[delta.call.id] = await self.tools.call(call)
            case Confirm() as confirm:
                self.confirm = confirm
                return _ASKED_FIRST
            case Refuse(reason):
                results[delta.call.id] = {"error": "refused", "error_text": reason}
        return results[delta.call.id]
