"""The language models, as far as a device's tokens of the hour reach."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
import json

from ..providers.base import Caller, Delta, Done, Prompt, Tier, tokens
from ..providers.chain import AllProvidersFailed
from ..state.rate_limit import RateLimiter, Verdict
from .interaction import Models


class OutOfTokens(Exception):
    """The device has talked away its hour; it may go on after `retry_after_s`."""

    def __init__(self, retry_after_s: float) -> None:
        """Keeps when to come again beside the text."""
        super().__init__(f"No tokens are left for {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class RationedModels:
    """Reserves before each question about what it will take, and settles that by what it took.

    An answer that is left, or that fails half way, stays reserved as a whole: it may have been paid all the same.
    """

    models: Models
    limiter: RateLimiter
    device_id: str

    async def stream(self, prompt: Prompt, *, tiers: Sequence[Tier], caller: Caller) -> AsyncGenerator[Delta, None]:
        """See Models; raises OutOfTokens before anybody is asked."""
        verdict = await self.limiter.reserve(self.device_id, _estimate(prompt))
        if not verdict.allowed:
            raise OutOfTokens(verdict.retry_after_s)
        async with aclosing(self.models.stream(prompt, tiers=tiers, caller=caller)) as deltas:
            try:
                async for delta in deltas:
                    if isinstance(delta, Done):
                        await self._settle(verdict, delta.usage.prompt_tokens + delta.usage.completion_tokens)
                    yield delta
            except AllProvidersFailed as failure:
                if not failure.said:
                    await self._settle(verdict, 0)
                raise

    async def _settle(self, verdict: Verdict, used_tokens: int) -> None:
        if verdict.ticket is not None:
            await self.limiter.settle(self.device_id, verdict.ticket, used_tokens)


def _estimate(prompt: Prompt) -> int:
    """About what the prompt and the longest answer to it take."""
    told = [prompt.static, prompt.entities, prompt.volatile, *(message.text for message in prompt.messages)]
    calls = [call.arguments for message in prompt.messages for call in message.tool_calls]
    tools = [(tool.name, tool.description, dict(tool.parameters)) for tool in prompt.tools]
    chars = sum(map(len, told)) + len(json.dumps([calls, tools], default=str))
    return tokens(chars) + prompt.max_tokens
