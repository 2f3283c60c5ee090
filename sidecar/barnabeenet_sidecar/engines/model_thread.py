"""A thread that one model works in: a job at a time, each with a deadline and a way to be stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
import logging
import threading
from typing import Any, Final, TypeVar

from ..errors import EngineFailed, SidecarError
from .device import failure

_LOGGER = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")
_CLOSE_S: Final = 5.0


class Stopped(Exception):
    """Raised by a job that was told to stop."""


class Stop:
    """Tells a job, in its thread, that nobody waits for it any more."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._actions: list[Callable[[], None]] = []

    def check(self) -> None:
        """Raises Stopped when the job is to end."""
        if self._event.is_set():
            raise Stopped

    def on_set(self, action: Callable[[], None]) -> None:
        """Has an action done when the job is to end, at once when it already is."""
        with self._lock:
            self._actions.append(action)
        if self._event.is_set():
            action()

    def set(self) -> None:
        """Asks the job to end; safe to call twice and after its end."""
        self._event.set()
        with self._lock:
            actions, self._actions = self._actions, []
        for action in actions:
            action()


class ModelThread:
    """Runs a model's blocking calls off the event loop.

    A job that does not heed its Stop holds the thread, and the jobs behind it fail at their deadlines: it takes the end
    of the process to be rid of it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._jobs: dict[Future[Any], Stop] = {}
        self._closed = False

    async def run(self, work: Callable[[Stop], ResultT], *, deadline_s: float) -> ResultT:
        """Does a job; stops it when the caller is cancelled. The deadline counts the wait for the jobs before it.

        Raises EngineFailed with the cause in one line (EngineOutOfMemory for want of memory), and any SidecarError of
        the job itself.
        """
        if self._closed:
            raise EngineFailed(f"{self._name} is shut down")
        stop = Stop()
        job = self._executor.submit(copy_context().run, work, stop)
        self._jobs[job] = stop
        job.add_done_callback(lambda done: self._jobs.pop(done, None))
        try:
            async with asyncio.timeout(deadline_s):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            raise EngineFailed(f"{self._name} did not end within {deadline_s:g} s") from None
        except SidecarError:
            raise
        except asyncio.CancelledError:
            self._raise_if_closed()
            raise
        except Exception as error:
            self._raise_if_closed()
            _LOGGER.exception("%s broke", self._name)
            raise failure(self._name, error) from error
        finally:
            stop.set()
            job.cancel()

    async def close(self) -> None:
        """Stops what runs and refuses what waits; safe to call twice."""
        self._closed = True
        for stop in list(self._jobs.values()):
            stop.set()
        self._executor.shutdown(wait=False, cancel_futures=True)
        _, hung = await asyncio.to_thread(wait, list(self._jobs), _CLOSE_S)
        if hung:
            _LOGGER.warning("%s did not stop within %g s: its thread lives on", self._name, _CLOSE_S)
        else:
            await asyncio.to_thread(self._executor.shutdown)

    def _raise_if_closed(self) -> None:
        """What `close` stopped has failed, unless its caller was cancelled as well."""
        if self._closed and not is_cancelled():
            raise EngineFailed(f"{self._name} is shutting down") from None


def is_cancelled() -> bool:
    """Whether this very task is being cancelled, and not only what it waits for."""
    task = asyncio.current_task()
    return bool(task and task.cancelling())
