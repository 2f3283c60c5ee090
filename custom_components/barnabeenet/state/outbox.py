"""What is to be written without anybody waiting for it: kept in order, bounded, tried again while the database is away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
import logging
import sqlite3
from typing import Any, Final

from .database import Database
from .errors import Conflict, StateError

_LOGGER = logging.getLogger(__name__)

Statement = tuple[str, Sequence[Any]]

# A day of much talk; what comes beyond pushes out the oldest.
KEPT: Final = 2000
BATCH: Final = 100
FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 60.0
CLOSE_S: Final = 10.0

# The statement is at fault and not the database: trying again would hold up all others for ever.
_WRONG: Final = (Conflict, sqlite3.Error, ValueError, OverflowError)


class Outbox:
    """Writes what is posted in the background; `lost` counts what could not be kept."""

    def __init__(self, database: Database, *, kept: int = KEPT) -> None:
        self._database = database
        self._kept = kept
        self._waiting: deque[Statement] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._closed = False
        self.lost = 0
        self.error: StateError | None = None

    def __len__(self) -> int:
        """Statements that wait for the database."""
        return len(self._waiting)

    def post(self, sql: str, parameters: Sequence[Any]) -> None:
        """Returns at once; must be called in the event loop, and may be called twice for the same without harm."""
        if self._closed:
            self._lose(1)
            return
        self._waiting.append((sql, parameters))
        self._trim()
        self._start()

    async def flush(self) -> None:
        """Returns when all that was posted has been written, or once the database has failed."""
        self._hurry.set()
        # Also what has left the queue and is just being written.
        while self._writer is not None and not self._writer.done():
            await asyncio.wait([self._writer])
        self._hurry.clear()
        if self._waiting and not self._closed:
            self._start()

    async def close(self) -> None:
        """Tries once more and ends; the database is closed by whoever opened it."""
        self._closed = True
        self._hurry.set()
        if self._writer is not None:
            await asyncio.wait([self._writer], timeout=CLOSE_S)
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        self._lose(len(self._waiting))
        self._waiting.clear()

    def _start(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="barnabeenet outbox")

    async def _write(self) -> None:
        retry_s = FIRST_RETRY_S
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._write_batch(batch)
            except StateError as error:
                self._waiting.extendleft(reversed(batch))
                self._trim()
                self._fail(error)
                if self._hurry.is_set():
                    return
                await self._wait(retry_s)
                retry_s = min(retry_s * 2, LONGEST_RETRY_S)
            else:
                retry_s, self.error = FIRST_RETRY_S, None

    async def _write_batch(self, batch: list[Statement]) -> None:
        try:
            await self._database.write(*batch)
        except _WRONG:
            # One of them is wrong: the others are not lost for it.
            while batch:
                try:
                    await self._database.write(batch[0])
                except _WRONG:
                    _LOGGER.exception("The database refused what is never written again: %s", batch[0][0])
                    self.lost += 1
                del batch[0]

    async def _wait(self, retry_s: float) -> None:
        try:
            async with asyncio.timeout(retry_s):
                await self._hurry.wait()
        except TimeoutError:
            pass

    def _fail(self, error: StateError) -> None:
        if self.error is None:
            _LOGGER.warning("What was spent is kept in memory for now: %s", error)
        self.error = error

    def _trim(self) -> None:
        over = len(self._waiting) - self._kept
        for _ in range(over):
            self._waiting.popleft()
        self._lose(over)

    def _lose(self, count: int) -> None:
        if count > 0:
            if self.lost == 0:
                _LOGGER.warning("The database is away for too long: the oldest entries of the ledger are given up")
            self.lost += count
