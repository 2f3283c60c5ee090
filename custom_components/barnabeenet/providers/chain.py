"""Asks one provider after the other until one has answered: within the turn's time, and nothing is said or done twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
import json
import logging
import time
from typing import Final

from .base import (
    Call,
    Caller,
    Delta,
    Done,
    Message,
    Meter,
    Prompt,
    Provider,
    ProviderError,
    TextDelta,
    Tier,
    TimedOut,
    ToolCall,
    ToolCallDelta,
)
from .breaker import Breaker, Permit, State
from .patience import Patience
from .prices import Price, cost
from .speech import Speech

_LOGGER = logging.getLogger(__name__)

TURN_S: Final = 30.0
# When none is left but those that failed lately, nobody waits longer for them.
RESTING_S: Final = 10.0

_GO_ON: Final = (
    "(Your answer was cut off here. I have heard exactly the words above, and no tool was called. Go on from there in"
    " the same language: only what is still missing, and nothing that I have heard.)"
)


class Resting(ProviderError):
    """It was not asked, because it failed lately or there is an objection to it."""

    outcome = "resting"


class AllProvidersFailed(ProviderError):
    """Nobody answered; `reasons` names each provider in the order in which they were asked and what was wrong.

    `said` is what had been given out before the last one failed.
    """

    def __init__(self, reasons: Sequence[tuple[str, ProviderError]], said: str) -> None:
        """Tells all reasons in one text."""
        told = "; ".join(f"{name}: {error}" for name, error in reasons)
        super().__init__(told or "No language model is configured for this")
        self.reasons = tuple(reasons)
        self.said = said


@dataclass(frozen=True)
class Health:
    """How a provider stands, for the screens; `rest_s` is for how long others are asked first."""

    name: str
    tier: Tier
    state: State
    failures: int
    rest_s: float


@dataclass(frozen=True)
class _Member:
    provider: Provider
    breaker: Breaker


class Chain:
    """The providers in the order in which a person put them. Each try is told as a Call, however it ends.

    `prices` are a person's own, by the provider's name; `clock` counts seconds and never goes back.
    """

    def __init__(
        self,
        providers: Sequence[Provider],
        told: Callable[[Call], None],
        *,
        prices: Mapping[str, Price] | None = None,
        objection: Callable[[Provider], str | None] = lambda _: None,
        turn_s: float = TURN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`objection` says why a provider may not be asked now, if there is a reason beside its failures."""
        self._members = [_Member(provider, Breaker(clock)) for provider in providers]
        self._told = told
        self._prices = dict(prices or {})
        self._objection = objection
        self._turn_s = turn_s

    def health(self) -> list[Health]:
        """How each provider stands, in the configured order."""
        return [
            Health(member.provider.name, member.provider.tier, breaker.state, breaker.failures, breaker.rest_s)
            for member in self._members
            for breaker in (member.breaker,)
        ]

    async def check(self, name: str) -> None:
        """Asks one provider whether it could answer, and forgets its failures if so; raises ProviderError, KeyError."""
        member = {member.provider.name: member for member in self._members}[name]
        await member.provider.check()
        member.breaker.forgive()

    async def stream(self, prompt: Prompt, *, tiers: Sequence[Tier], caller: Caller) -> AsyncGenerator[Delta, None]:
        """The answer, text in whole sentences, `Done` last; raises AllProvidersFailed.

        Asks providers of these tiers, the first tier first, and local ones last of all in any case.
        """
        turn = _Turn(prompt, caller, self._turn_s)
        reasons: list[tuple[str, ProviderError]] = []
        for member in self._in_order(tiers):
            if why := self._objection(member.provider):
                reasons.append((member.provider.name, Resting(why)))
                continue
            permit = member.breaker.enter()
            if permit is None:
                reasons.append((member.provider.name, _resting(member.breaker)))
                continue
            try:
                async with aclosing(self._try(member, permit, turn)) as answer:
                    async for delta in answer:
                        yield delta
            except ProviderError as error:
                reasons.append((member.provider.name, error))
                turn.speech.failed()
            else:
                return
            if not turn.patience.left_s:
                break
        raise AllProvidersFailed(reasons, turn.speech.said)

    def _in_order(self, tiers: Sequence[Tier]) -> list[_Member]:
        wanted: list[Tier] = list(dict.fromkeys((*tiers, "local")))
        members = [member for tier in wanted for member in self._members if member.provider.tier == tier]
        return sorted(members, key=lambda member: member.breaker.rest_s > 0)

    async def _try(self, member: _Member, permit: Permit, turn: _Turn) -> AsyncGenerator[Delta, None]:
        """One provider's part of the answer; raises ProviderError."""
        attempt = _Attempt(member, permit, turn.caller)
        patience = turn.patience_with_resting if member.breaker.rest_s > 0 else turn.patience
        prompt = turn.prompt()
        try:
            source = member.provider.stream(prompt, trace_id=turn.caller.trace_id, meter=attempt.meter)
            async with aclosing(_within(source, patience)) as deltas:
                async for delta in deltas:
                    attempt.hears(delta)
                    for said in turn.says(delta):
                        if isinstance(said, Done):
                            self._end(attempt, "cut" if said.reason == "length" else "answered")
                        yield said
        except ProviderError as error:
            self._end(attempt, error.outcome, error)
            raise
        finally:
            self._end(attempt, "cancelled")

    def _end(self, attempt: _Attempt, outcome: str, error: ProviderError | None = None) -> None:
        """Tells of a try, once."""
        if attempt.is_over:
            return
        attempt.is_over = True
        provider, usage = attempt.member.provider, attempt.meter.usage()
        price = self._prices.get(provider.name)
        usd, source = cost(provider.kind, provider.model, provider.tier, usage, price)
        if error is not None:
            attempt.member.breaker.failed(attempt.permit, error)
            _LOGGER.warning("The language model %s did not answer: %s", provider.name, error)
        elif outcome == "cancelled" and attempt.first_token_ms is None:
            attempt.member.breaker.abandoned(attempt.permit)
        else:
            attempt.member.breaker.succeeded(attempt.permit)
        self._told(
            Call(
                provider=provider.name,
                kind=provider.kind,
                model=provider.model,
                tier=provider.tier,
                outcome=outcome,
                first_token_ms=attempt.first_token_ms,
                total_ms=attempt.elapsed_ms(),
                usage=usage,
                cost_usd=usd,
                cost_source=source,
                caller=attempt.caller,
                error=None if error is None else str(error),
            )
        )


class _Attempt:
    """One try at one provider, as it is measured."""

    def __init__(self, member: _Member, permit: Permit, caller: Caller) -> None:
        self.member = member
        self.permit = permit
        self.caller = caller
        self.meter = Meter()
        self.first_token_ms: float | None = None
        self.is_over = False
        self._started_s = time.monotonic()

    def elapsed_ms(self) -> float:
        return (time.monotonic() - self._started_s) * 1000

    def hears(self, delta: Delta) -> None:
        if self.first_token_ms is None and not isinstance(delta, Done):
            self.first_token_ms = self.elapsed_ms()


class _Turn:
    """What the tries of one question share: the time, what was said and what was done."""

    def __init__(self, prompt: Prompt, caller: Caller, turn_s: float) -> None:
        self._prompt = prompt
        self._done = _done(prompt.messages)
        self.patience = Patience(turn_s)
        self.patience_with_resting = Patience(RESTING_S, self.patience)
        self.caller = caller
        self.speech = Speech()

    def prompt(self) -> Prompt:
        """What the next provider is asked: it is told what others have said already."""
        said = self.speech.said.strip()
        if not said:
            return self._prompt
        more = (Message("assistant", said), Message("user", _GO_ON))
        return replace(self._prompt, messages=(*self._prompt.messages, *more))

    def says(self, delta: Delta) -> list[Delta]:
        """What of a provider's delta is given out."""
        if isinstance(delta, TextDelta):
            return _text(self.speech.take(delta.text))
        if isinstance(delta, ToolCallDelta):
            repeated = replace(delta, repeats=self._done.get(_key(delta.call)))
            return [*_text(self.speech.rest(is_whole=True)), repeated]
        return [*_text(self.speech.rest(is_whole=delta.reason != "length")), delta]


def _text(text: str) -> list[Delta]:
    return [TextDelta(text)] if text else []


def _done(messages: Sequence[Message]) -> dict[str, str]:
    """The ids of the calls of this turn that have their results, by what they do."""
    last_user = max((at for at, message in enumerate(messages) if message.role == "user"), default=-1)
    turn = messages[last_user + 1 :]
    answered = {message.tool_call_id for message in turn if message.role == "tool"}
    return {_key(call): call.id for message in turn for call in message.tool_calls if call.id in answered}


def _key(call: ToolCall) -> str:
    return json.dumps([call.name, call.arguments], sort_keys=True)


def _resting(breaker: Breaker) -> Resting:
    seconds = breaker.barred_s
    return Resting(f"Left alone for {seconds:.0f} s after it failed" if seconds else "Just being tried by another turn")


async def _within(source: AsyncGenerator[Delta, None], patience: Patience) -> AsyncGenerator[Delta, None]:
    """The same deltas; raises TimedOut when the patience is at its end."""
    async with aclosing(source):
        while True:
            try:
                delta = await patience.next(source)
            except TimeoutError:
                raise TimedOut("The time for this turn is used up") from None
            if delta is None:
                return
            yield delta
