"""Who answers how fast: every answer is credited to one agent, and the time that it took to choose that to the router."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
import math
from typing import Any, Final

from .trace import Stage, VoiceContext

# Answers that the figures look back on, of each agent.
WINDOW: Final = 256
# Fewer say nothing: the first turns after a start are slow.
WARN_FROM_ANSWERS: Final = 20
# A turn is told of again when its audio has been made; by then there were not so many others.
_TURNS_REMEMBERED: Final = 128


class Agent(StrEnum):
    """The parts of Barnabee that answer; META routes and answers itself only to refuse."""

    META = "meta"
    INSTANT = "instant"
    ACTION = "action"
    INTERACTION = "interaction"
    MEMORY = "memory"


WARN_ABOVE_MS: Final[Mapping[Agent, float]] = {Agent.META: 15.0, Agent.ACTION: 80.0, Agent.INTERACTION: 2_000.0}
# Of all answers, those that a language model gave after the local agents had tried.
LLM_FALLBACK_WARN_ABOVE: Final = 0.2

_INSTANT_INTENTS: Final = frozenset({"HassGetCurrentDate", "HassGetCurrentTime", "HassNevermind"})
_AGENT_OF_TIER: Final[Mapping[str, Agent]] = {
    "none": Agent.META,
    "meta": Agent.META,
    "instant": Agent.INSTANT,
    "cache": Agent.INSTANT,
    "trigger": Agent.ACTION,
    "strict": Agent.ACTION,
    "rescue": Agent.ACTION,
    "several": Agent.ACTION,
    "near_miss": Agent.ACTION,
    "action": Agent.ACTION,
    "memory": Agent.MEMORY,
}
_WHOLE: Final = "conversation"
_LOCAL_STAGES: Final = frozenset({"strict", "rescue"})
_ROUTER_STAGES: Final = frozenset({"admit", "session", "route"})


def agent_of(tier: str, intent: str | None = None) -> Agent:
    """Who gave an answer of this tier; what is not known here is a provider's, and so the interaction's."""
    if intent in _INSTANT_INTENTS:
        return Agent.INSTANT
    return _AGENT_OF_TIER.get(tier, Agent.INTERACTION)


@dataclass
class _Record:
    requests: int = 0
    failures: int = 0
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    # Of the last times that it was asked: whether another had to answer.
    passed_on: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def as_dict(self, agent: Agent) -> dict[str, Any]:
        warn_above_ms = WARN_ABOVE_MS.get(agent)
        p95_ms = percentile(self.latencies_ms, 95)
        enough = len(self.latencies_ms) >= WARN_FROM_ANSWERS
        return {
            "requests": self.requests,
            "failures": self.failures,
            "p50_ms": _rounded(percentile(self.latencies_ms, 50)),
            "p95_ms": _rounded(p95_ms),
            "fallback_rate": _rounded(_share(self.passed_on)),
            "warn_above_ms": warn_above_ms,
            "slow": enough and warn_above_ms is not None and p95_ms is not None and p95_ms > warn_above_ms,
        }


class Agents:
    """Counts since the start; latencies and rates over the last WINDOW answers."""

    def __init__(self) -> None:
        self._records = {agent: _Record() for agent in Agent}
        self._after_local: deque[bool] = deque(maxlen=WINDOW)
        self._seen: OrderedDict[str, None] = OrderedDict()

    def take(self, turn: VoiceContext) -> None:
        """Credits a finished turn, once; meant for `Turns.subscribe`. One that nobody answered has no agent."""
        whole = next((stage for stage in turn.stages if stage.name == _WHOLE), None)
        if turn.tier is None or whole is None or turn.trace_id in self._seen:
            return
        self._seen[turn.trace_id] = None
        while len(self._seen) > _TURNS_REMEMBERED:
            self._seen.popitem(last=False)
        inside = [stage for stage in turn.stages if stage is not whole and _is_inside(stage, whole)]
        work_ms = _covered_ms(stage for stage in inside if stage.name not in _ROUTER_STAGES)
        router_ms = max(0.0, whole.duration_ms - work_ms)
        agent = agent_of(turn.tier, turn.intent)
        after_local = agent in {Agent.INTERACTION, Agent.MEMORY} and any(s.name in _LOCAL_STAGES for s in inside)
        self.credit(
            agent,
            router_ms if agent is Agent.META else work_ms,
            router_ms=router_ms,
            failed=turn.error is not None,
            passed_on_by=Agent.ACTION if after_local else None,
        )

    def credit(
        self,
        agent: Agent,
        latency_ms: float,
        *,
        router_ms: float = 0.0,
        failed: bool = False,
        passed_on_by: Agent | None = None,
    ) -> None:
        """Counts one answer; `passed_on_by` was asked first and could not give it."""
        router, record = self._records[Agent.META], self._records[agent]
        router.requests += 1
        router.latencies_ms.append(router_ms)
        if agent is not Agent.META:
            record.requests += 1
            record.latencies_ms.append(latency_ms)
        record.failures += failed
        record.passed_on.append(False)
        if passed_on_by is not None:
            self._records[passed_on_by].passed_on.append(True)
        self._after_local.append(agent is Agent.INTERACTION and passed_on_by is not None)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: `agents` by name, the `llm_fallback_rate`, and the `warnings` as sentences for a person."""
        agents = {str(agent): record.as_dict(agent) for agent, record in self._records.items()}
        rate = _share(self._after_local)
        warnings = [
            f"The {name} agent takes {told['p95_ms']:g} ms at its 95th percentile; up to {told['warn_above_ms']:g} is good."
            for name, told in agents.items()
            if told["slow"]
        ]
        if rate is not None and rate > LLM_FALLBACK_WARN_ABOVE and len(self._after_local) >= WARN_FROM_ANSWERS:
            warnings.append(
                f"{rate:.0%} of the answers came from a language model because nothing local understood;"
                f" up to {LLM_FALLBACK_WARN_ABOVE:.0%} is good."
            )
        return {"agents": agents, "llm_fallback_rate": _rounded(rate), "warnings": warnings}


def percentile(values: Iterable[float], percent: int) -> float | None:
    """The smallest value that so many per cent of them do not exceed (nearest rank); None of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def _is_inside(stage: Stage, whole: Stage) -> bool:
    return whole.start_ms <= stage.start_ms <= whole.start_ms + whole.duration_ms


def _covered_ms(stages: Iterable[Stage]) -> float:
    """How long at least one of them ran: they may lie side by side or in one another."""
    covered_ms, until_ms = 0.0, -math.inf
    for stage in sorted(stages, key=lambda each: each.start_ms):
        end_ms = stage.start_ms + stage.duration_ms
        covered_ms += max(0.0, end_ms - max(until_ms, stage.start_ms))
        until_ms = max(until_ms, end_ms)
    return covered_ms


def _share(flags: deque[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
