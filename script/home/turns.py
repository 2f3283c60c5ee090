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

    def stages_ms(self, *, since: float) -> dict[str, float]:
        """Milliseconds per stage of the latest turn that began after `since` (seconds of the wall clock); or nothing."""
        if self._latest is None or self._latest["started_at"] < since:
            return {}
        return {
            stage["name"]: round(stage["duration_ms"], 1) for stage in self._latest["stages"] if stage["duration_ms"]
        }


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
