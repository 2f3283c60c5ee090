"""Carries what nobody may wait for: woken when there is something to deliver, again and again until it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
import logging
from typing import Final

_LOGGER = logging.getLogger(__name__)

RETRY_S: Final = 2.0


class Courier:
    """Calls `deliver` in a task of its own after each `wake`, and RETRY_S after it raised one of `failures`.

    `changed` is called when `error` (the last failure, None after a success) has come or gone.
    """

    def __init__(
        self,
        to: str,
        deliver: Callable[[], Awaitable[None]],
        failures: tuple[type[Exception], ...],
        changed: Callable[[], None],
    ) -> None:
        self.error: Exception | None = None
        self._to = to
        self._deliver = deliver
        self._failures = failures
        self._changed = changed
        self._woken = asyncio.Event()
        self._closing = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._task = asyncio.create_task(self._run(), name=f"barnabeenet courier to {to}")

    def wake(self) -> None:
        """There is something to deliver."""
        self._settled.clear()
        self._woken.set()

    async def settled(self) -> None:
        """Waits until all that was there to deliver has arrived, or an attempt at it has failed."""
        await self._settled.wait()

    async def close(self, within_s: float) -> None:
        """Tries once more to deliver what is left; safe to call twice."""
        self._closing.set()
        self._woken.set()
        await asyncio.wait({self._task}, timeout=within_s)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._settled.set()

    async def _run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            last = self._closing.is_set()
            await self._attempt()
            if not self._woken.is_set():
                self._settled.set()
            if last:
                return
            if self.error is not None:
                await self._pause()

    async def _attempt(self) -> None:
        try:
            await self._deliver()
        except self._failures as error:
            self._say(error)
        except Exception:  # a bug in one delivery must not stop the next
            _LOGGER.exception("Something for %s was lost", self._to)
        else:
            self._say(None)

    def _say(self, error: Exception | None) -> None:
        before, self.error = self.error, error
        if (before is None) == (error is None):
            return
        if error is not None:
            _LOGGER.warning("%s does not take what is to be kept, it is tried again: %s", self._to, error)
        else:
            _LOGGER.info("%s takes what is to be kept again", self._to)
        self._changed()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(RETRY_S):
                await self._closing.wait()
        self._woken.set()
