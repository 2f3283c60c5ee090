"""Workers that are always there: each is watched, and replaced as soon as it dies."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from ..errors import EngineFailed, SidecarError
from ..telemetry.content import Content
from .worker_process import WorkerProcess
from .worker_protocol import Kind

_LOGGER = logging.getLogger(__name__)
_END_S: Final = 5.0
# A worker that dies sooner than this died of something that may kill the next one too.
_SHORT_LIFE_S: Final = 10.0
_RESTART_MIN_S: Final = 0.05
_RESTART_MAX_S: Final = 5.0


class WorkerPool:
    """Lends each worker to one user at a time."""

    def __init__(self, size: int) -> None:
        self._size = size
        # None tells those who wait that no worker will come any more.
        self._idle: asyncio.Queue[WorkerProcess | None] = asyncio.Queue()
        self._supervisors: list[asyncio.Task[None]] = []
        self._cleaners: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Starts the workers."""
        self._supervisors = [asyncio.create_task(self._supervise()) for _ in range(self._size)]

    async def acquire(self) -> WorkerProcess:
        """Waits for a free worker; raises EngineFailed when the pool is closed."""
        while (worker := await self._idle.get()) is not None:
            if worker.alive:
                return worker
        self._idle.put_nowait(None)
        raise EngineFailed("speech recognition is shut down")

    def release(self, worker: WorkerProcess) -> None:
        """Takes a worker back, whatever it is still at: it is lent again when it has finished, or replaced."""
        cleaner = asyncio.create_task(self._clean(worker))
        self._cleaners.add(cleaner)
        cleaner.add_done_callback(self._cleaners.discard)

    async def close(self) -> None:
        """Kills the workers and waits until nothing is left of them; safe to call twice."""
        tasks = [*self._supervisors, *self._cleaners]
        self._supervisors = []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._idle.put_nowait(None)

    async def _clean(self, worker: WorkerProcess) -> None:
        try:
            await worker.request(Kind.END, deadline_s=_END_S)
        except SidecarError as error:
            _LOGGER.warning("recogniser %d did not end its work: %s", worker.pid, Content(error))
            await worker.close()
        else:
            self._idle.put_nowait(worker)

    async def _supervise(self) -> None:
        delay_s = 0.0
        while True:
            started = time.monotonic()
            try:
                await self._live()
            except SidecarError as error:
                _LOGGER.warning("no recogniser can be started: %s", error)
            short = time.monotonic() - started < _SHORT_LIFE_S
            delay_s = min(max(2 * delay_s, _RESTART_MIN_S), _RESTART_MAX_S) if short else 0.0
            await asyncio.sleep(delay_s)

    async def _live(self) -> None:
        """One worker's life; raises EngineUnavailable."""
        worker = await WorkerProcess.start()
        try:
            self._idle.put_nowait(worker)
            await worker.ended()
            _LOGGER.warning("recogniser %d died and is replaced", worker.pid)
        finally:
            await worker.close()
