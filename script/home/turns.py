"""The integration's own account of each turn, as its panel gets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from .api import HomeAssistant, Subscription


class TurnLog:
    """The latest turn that the integration told of."""

    def __init__(self) -> None:
        self._latest: dict[str, Any] | None = None

    async def follow(self, turns: Subscription) -> None:
        """Takes turns until the subscription ends."""
        async for arrived in turns:
            self._latest = arrived.event

    def latest(self, *, since: float) -> dict[str, Any] | None:
        """The latest turn, if it began after `since` (seconds of the wall clock)."""
        return None if self._latest is None or self._latest["started_at"] < since else self._latest

    def stages_ms(self, *, since: float) -> dict[str, float]:
        """Milliseconds per stage of the latest turn that began after `since` (seconds of the wall clock); or nothing."""
        turn = self.latest(since=since)
        if turn is None:
            return {}
        return {stage["name"]: round(stage["duration_ms"], 1) for stage in turn["stages"] if stage["duration_ms"]}

    def first_words_ms(self, *, since: float) -> float | None:
        """Milliseconds from the first question to a language model to the first words of its answer, of such a turn."""
        turn = self.latest(since=since) or {"stages": []}
        starts: dict[str, float] = {stage["name"]: stage["start_ms"] for stage in reversed(turn["stages"])}
        if not {"model", "first words"} <= starts.keys():
            return None
        return round(starts["first words"] - starts["model"], 1)


@asynccontextmanager
async def turn_log(home: HomeAssistant) -> AsyncIterator[TurnLog]:
    """Follows the turns until the block is left."""
    log = TurnLog()
    async with home.subscribe("barnabeenet/turns/subscribe") as turns:
        follower = asyncio.create_task(log.follow(turns))
        try:
            yield log
        finally:
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower
