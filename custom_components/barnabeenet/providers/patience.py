"""How long somebody waits for others; the time in which others wait for him does not count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

_T = TypeVar("_T")


class Patience:
    """Seconds to wait in all; what is spent of it is spent of `whole` too.

    Speech is slower than a model: an answer may lie there for a minute before somebody wants its next sentence.
    """

    def __init__(self, seconds: float, whole: Patience | None = None) -> None:
        self._left_s = seconds
        self._whole = whole

    @property
    def left_s(self) -> float:
        """What is left; never less than 0."""
        left_s = self._left_s if self._whole is None else min(self._left_s, self._whole.left_s)
        return max(0.0, left_s)

    async def next(self, source: AsyncGenerator[_T, None]) -> _T | None:
        """The next of the source, None after the last; raises TimeoutError."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self.left_s):
                return await anext(source, None)
        finally:
            self.spend(loop.time() - began)

    def spend(self, seconds: float) -> None:
        """Takes seconds away."""
        self._left_s -= seconds
        if self._whole is not None:
            self._whole.spend(seconds)
