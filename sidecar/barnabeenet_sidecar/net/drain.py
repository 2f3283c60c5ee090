"""The end of a sidecar that serves: nothing new is taken, what runs may end, the rest is told why it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
import logging
import time
from typing import Final

from .discovery import Announcement
from .handler import STOPPING, Handler
from .http_ready import Readiness
from .server import Server

_LOGGER = logging.getLogger(__name__)

DRAIN_S: Final = 30.0
# To tell those who are cut off, and to hang up on them.
_CUT_OFF_S: Final = 2.0


@dataclass(frozen=True)
class Drain:
    """Ends the conversations on some servers; the listeners stay open, so that newcomers are told."""

    handler: Handler
    servers: Sequence[Server]
    announcement: Announcement
    readiness: Readiness

    async def __call__(self, within_s: float, at_once: asyncio.Event) -> None:
        """Returns when the last request has ended; cuts off what still runs after `within_s`, or when `at_once` is set."""
        started = time.perf_counter()
        self.readiness.is_draining = True
        for server in self.servers:
            server.drain(STOPPING)
        running = self.handler.working
        _LOGGER.info("draining: %d requests run and have %g s to end, new ones are refused", running, within_s)
        waits = [asyncio.create_task(wait) for wait in (self._everything_ended(), at_once.wait())]
        await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        cut = self.handler.working
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
        await self._cut_off()
        seconds, ended = time.perf_counter() - started, max(0, running - cut)
        _LOGGER.info("drained after %.1f s: %d requests ended, %d were cut off", seconds, ended, cut)

    async def _everything_ended(self) -> None:
        await asyncio.gather(self.announcement.close(), self._models_kept(), self._everybody_left())

    async def _models_kept(self) -> None:
        # A pull may take an hour; another time it goes on from where it was.
        if self.handler.models is not None:
            await self.handler.models.close()

    async def _everybody_left(self) -> None:
        await self.handler.drain()
        for server in self.servers:
            await server.wait_left()

    async def _cut_off(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_CUT_OFF_S):
                await self.handler.cut_off()
                for server in self.servers:
                    await server.wait_left()
