"""Who is credited with an answer, and when somebody is warned."""

from __future__ import annotations

import json

import pytest

from custom_components.barnabeenet.telemetry.agents import (
    WARN_FROM_ANSWERS,
    WINDOW,
    Agent,
    Agents,
    agent_of,
    percentile,
)
from custom_components.barnabeenet.telemetry.trace import Stage, Turns, VoiceContext


def turn(tier: str | None, *stages: tuple[str, float, float], intent: str | None = None) -> VoiceContext:
    return VoiceContext(tier=tier, intent=intent, stages=[Stage(*stage) for stage in stages])


@pytest.mark.parametrize(
    ("tier", "intent", "agent"),
    [
        ("strict", "HassTurnOn", Agent.ACTION),
        ("rescue", None, Agent.ACTION),
        ("trigger", None, Agent.ACTION),
        ("strict", "HassGetCurrentTime", Agent.INSTANT),
        ("cache", None, Agent.INSTANT),
        ("memory", None, Agent.MEMORY),
        ("none", None, Agent.META),
        ("cloud_fast", None, Agent.INTERACTION),
        ("local", None, Agent.INTERACTION),
    ],
)
def test_every_tier_has_its_agent(tier: str, intent: str | None, agent: Agent) -> None:
    assert agent_of(tier, intent) is agent


def test_the_work_is_the_agents_and_the_rest_of_the_conversation_the_routers() -> None:
    agents = Agents()
    agents.take(turn("strict", ("stt", 0, 900), ("conversation", 900, 30), ("strict", 902, 20), ("tts", 931, 50)))
    told = agents.as_dict()["agents"]
    assert told["action"]["p50_ms"] == 20
    assert told["meta"]["p50_ms"] == 10
    assert (told["action"]["requests"], told["meta"]["requests"], told["instant"]["requests"]) == (1, 1, 0)


def test_stages_beside_and_within_one_another_are_counted_once() -> None:
    agents = Agents()
    agents.take(
        turn("cloud_fast", ("conversation", 0, 100), ("context", 10, 40), ("weather", 20, 20), ("provider", 40, 50))
    )
    told = agents.as_dict()["agents"]
    assert told["interaction"]["p50_ms"] == 80
    assert told["meta"]["p50_ms"] == 20


def test_what_the_router_does_itself_is_its_own() -> None:
    agents = Agents()
    agents.take(turn("none", ("conversation", 0, 5), ("admit", 1, 3)))
    told = agents.as_dict()["agents"]
    assert (told["meta"]["requests"], told["meta"]["p50_ms"]) == (1, 5)


def test_a_turn_is_credited_once_however_often_it_is_told() -> None:
    agents, turns = Agents(), Turns()
    turns.subscribe(agents.take)
    context = turn("strict", ("conversation", 0, 10), ("strict", 0, 9))
    turns.finish(context)
    turns.finish(context)
    assert agents.as_dict()["agents"]["action"]["requests"] == 1


@pytest.mark.parametrize("context", [turn(None, ("stt", 0, 10)), turn("strict", ("tts", 0, 10))])
def test_a_turn_that_nobody_answered_has_no_agent(context: VoiceContext) -> None:
    agents = Agents()
    agents.take(context)
    assert agents.as_dict()["agents"]["meta"]["requests"] == 0


def test_a_model_that_answers_after_the_local_agents_is_a_fallback() -> None:
    agents = Agents()
    local = [("conversation", 0.0, 900.0), ("strict", 1.0, 2.0), ("provider", 4.0, 890.0)]
    agents.take(turn("cloud_fast", *local))
    agents.take(turn("cloud_fast", ("conversation", 0, 900), ("provider", 4, 890)))
    agents.take(turn("strict", ("conversation", 0, 10), ("strict", 1, 8)))
    agents.take(turn("strict", ("conversation", 0, 10), ("strict", 1, 8)))
    told = agents.as_dict()
    assert told["llm_fallback_rate"] == 0.25
    assert told["agents"]["action"]["fallback_rate"] == pytest.approx(1 / 3, abs=0.001)
    assert told["agents"]["interaction"]["fallback_rate"] == 0


@pytest.mark.parametrize(
    ("agent", "limit_ms"), [(Agent.META, 15.0), (Agent.ACTION, 80.0), (Agent.INTERACTION, 2_000.0)]
)
def test_a_slow_agent_is_warned_of_beyond_its_limit_and_not_at_it(agent: Agent, limit_ms: float) -> None:
    for latency_ms, warns in ((limit_ms, False), (limit_ms + 1, True)):
        agents = Agents()
        for _ in range(WARN_FROM_ANSWERS):
            agents.credit(agent, latency_ms, router_ms=latency_ms if agent is Agent.META else 0)
        warnings = agents.as_dict()["warnings"]
        assert [f"The {agent} agent" in text for text in warnings] == [True] * warns


def test_few_answers_warn_nobody() -> None:
    agents = Agents()
    for _ in range(WARN_FROM_ANSWERS - 1):
        agents.credit(Agent.ACTION, 500, passed_on_by=None)
    assert agents.as_dict()["warnings"] == []


def test_too_many_fallbacks_to_a_model_are_warned_of() -> None:
    agents = Agents()
    for number in range(100):
        fell_back = number < 20
        agents.credit(
            Agent.INTERACTION if fell_back else Agent.ACTION, 1, passed_on_by=Agent.ACTION if fell_back else None
        )
    assert agents.as_dict()["warnings"] == []
    agents.credit(Agent.INTERACTION, 1, passed_on_by=Agent.ACTION)
    (warning,) = agents.as_dict()["warnings"]
    assert "21% of the answers" in warning


def test_only_the_last_answers_count_and_the_number_of_requests_goes_on() -> None:
    agents = Agents()
    for _ in range(WINDOW):
        agents.credit(Agent.ACTION, 1_000)
    for _ in range(WINDOW):
        agents.credit(Agent.ACTION, 10)
    told = agents.as_dict()["agents"]["action"]
    assert (told["p95_ms"], told["slow"], told["requests"]) == (10, False, 2 * WINDOW)


def test_failures_are_counted_for_whom_they_happened() -> None:
    agents = Agents()
    failed = turn("strict", ("conversation", 0, 10), ("strict", 0, 9))
    failed.error = "failed_to_handle"
    agents.take(failed)
    told = agents.as_dict()["agents"]
    assert (told["action"]["failures"], told["meta"]["failures"]) == (1, 0)


def test_before_the_first_answer_there_are_no_figures_and_all_is_json() -> None:
    told = json.loads(json.dumps(Agents().as_dict()))
    assert set(told["agents"]) == {"meta", "instant", "action", "interaction", "memory"}
    assert told["agents"]["action"]["p95_ms"] is None
    assert told["llm_fallback_rate"] is None


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([], 95) is None
    assert percentile([7.0], 95) == 7
    assert percentile(map(float, range(1, 101)), 50) == 50
    assert percentile(map(float, range(1, 101)), 95) == 95
