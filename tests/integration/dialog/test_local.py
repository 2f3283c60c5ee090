"""In which order a sentence is tried without anybody's help."""

from __future__ import annotations

import pytest

from custom_components.barnabeenet.dialog.local import Answer, answer_locally
from custom_components.barnabeenet.telemetry.trace import VoiceContext

ORDER = ["strict", "several", "near_miss", "rescue"]


class Agent:
    """Answers at one of the tries and notes which were made."""

    def __init__(self, answers_at: str | None) -> None:
        self.answers_at = answers_at
        self.asked: list[str] = []

    async def strict(self) -> Answer[str] | None:
        return self._answer("strict")

    async def several(self) -> Answer[str] | None:
        return self._answer("several")

    async def near_miss(self) -> Answer[str] | None:
        return self._answer("near_miss")

    async def rescue(self) -> Answer[str] | None:
        return self._answer("rescue")

    def _answer(self, tier: str) -> Answer[str] | None:
        self.asked.append(tier)
        return Answer("Done", tier) if tier == self.answers_at else None


@pytest.mark.parametrize("tier", ORDER)
async def test_nothing_is_tried_once_there_is_an_answer(tier: str) -> None:
    agent, context = Agent(tier), VoiceContext()
    assert await answer_locally(agent, context) == Answer("Done", tier)
    assert agent.asked == [stage.name for stage in context.stages] == ORDER[: ORDER.index(tier) + 1]


async def test_everything_is_tried_before_it_is_left_to_others() -> None:
    agent = Agent(None)
    assert await answer_locally(agent, VoiceContext()) is None
    assert agent.asked == ORDER
