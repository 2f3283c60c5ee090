"""The warm connections to one sidecar: handed out, taken back, kept alive and replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
import logging
from typing import Final

from wyoming.event import Event

from .backoff import LONGEST_S, Backoff
from .connection import Connection, State
from .errors import Busy, CannotConnect, ConnectionLost, SidecarError
from .exchange import ANSWER_S, EVENTS_MAX, Exchange, Upload, call_off

_LOGGER = logging.getLogger(__name__)

WARM: Final = 2
CONNECTIONS_MAX: Final = 24
KEEP_ALIVE_S: Final = 20.0
SURPLUS_S: Final = 60.0
# A connection that does not last so long is no success.
STABLE_S: Final = 5.0
# How long a request waits for one of CONNECTIONS_MAX to come free.
WAIT_S: Final = 2.0


class Pool:
    """Keeps WARM connections, one of them idle; more are dialled on demand and closed when they are not needed.

    `open_` dials and raises SidecarError; `changed` is called when `error` may have changed. While there is an error,
    requests fail with it at once and the supervisor goes on trying.
    """

    def __init__(self, open_: Callable[[], Awaitable[Connection]], changed: Callable[[], None]) -> None:
        self._open = open_
        self._changed = changed
        self._failure: SidecarError | None = CannotConnect("The client of the sidecar is not started")
        self._closed = False
        self._live: set[Connection] = set()
        # With the time of the last use; the last one is the warmest.
        self._idle: dict[Connection, float] = {}
        # Held by whoever uses or dials a connection, so that there are never more than CONNECTIONS_MAX.
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)
        self._call_offs: set[asyncio.Task[None]] = set()
        self._supervisor: asyncio.Task[None] | None = None
        self._attempted = asyncio.Event()
        self._woken = asyncio.Event()
        self._in_doubt = False
        self._backoff = Backoff()
        self._setback: SidecarError | None = None

    @property
    def error(self) -> SidecarError | None:
        """Why there is no connection for a request; None while there is one or the first attempt at it has not failed.

        What still runs on connections that the sidecar is about to close goes on.
        """
        return None if any(connection.farewell is None for connection in self._live) else self._failure

    @property
    def is_empty(self) -> bool:
        """Whether no connection lives."""
        return not self._live

    async def start(self, within_s: float) -> None:
        """Begins to supervise; returns when the first attempt has ended, well or not."""
        self._supervisor = asyncio.create_task(self._supervise(), name="barnabeenet pool")
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._attempted.wait()

    async def close(self) -> None:
        """Ends everything, running requests too; safe to call twice."""
        self._closed = True
        self._failure = CannotConnect("The client of the sidecar is closed")
        tasks = [*self._call_offs, *([self._supervisor] if self._supervisor else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(connection.close() for connection in tuple(self._live)))

    @asynccontextmanager
    async def request(
        self,
        event: Event,
        upload: Upload | None = None,
        *,
        answer_s: float = ANSWER_S,
        events_max: float = EVENTS_MAX,
    ) -> AsyncIterator[Exchange]:
        """Sends a request on a connection of its own, which is taken back afterwards; raises SidecarError.

        A request that is left before its last answer is called off.
        """
        connection = await self._begin(event)
        exchange = Exchange(connection, upload, answer_s=answer_s, events_max=events_max)
        try:
            yield exchange
        finally:
            try:
                await exchange.close()
            finally:
                self._take_back(connection, finished=exchange.finished)

    # Handing out and taking back

    async def _begin(self, event: Event) -> Connection:
        """A connection on which the request has been sent."""
        await self._enter()
        warm = self._warmest()
        if warm is not None:
            try:
                return await self._begin_on(warm, event)
            except SidecarError:
                if warm.error is None:
                    raise
            # It had gone since it was last heard of, and nothing of the request was sent.
            await self._enter()
        try:
            fresh = await self._dial()
        except BaseException:
            self._room.release()
            raise
        return await self._begin_on(fresh, event)

    async def _begin_on(self, connection: Connection, event: Event) -> Connection:
        try:
            await connection.begin(event)
        except BaseException:
            self._take_back(connection, finished=False)
            raise
        return connection

    async def _enter(self) -> None:
        """Waits for room; raises Busy, or at once what keeps the sidecar from being reached."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._room.acquire()
        except TimeoutError as error:
            raise Busy(f"{CONNECTIONS_MAX} requests are already running") from error
        if self.error is not None:
            self._room.release()
            raise self.error.again()

    def _warmest(self) -> Connection | None:
        connection = self._idle.popitem()[0] if self._idle else None
        if not self._idle:
            self._woken.set()
        return connection

    def _take_back(self, connection: Connection, *, finished: bool) -> None:
        if finished:
            connection.rest()
        if connection.state is State.BUSY:
            task = asyncio.create_task(self._call_off(connection), name="barnabeenet call off")
            self._call_offs.add(task)
            task.add_done_callback(self._call_offs.discard)
        else:
            self._put_away(connection)

    async def _call_off(self, connection: Connection) -> None:
        try:
            await call_off(connection)
        finally:
            self._put_away(connection)

    def _put_away(self, connection: Connection) -> None:
        self._room.release()
        if connection.state is State.IDLE:
            self._idle[connection] = _now()

    # Connecting and supervising

    async def _dial(self) -> Connection:
        try:
            connection = await self._open()
            if connection.error is not None:  # it came and went
                raise connection.error.again()
        except SidecarError as error:
            self._fail(error)
            raise
        if self._closed:
            await connection.close()
            raise ConnectionLost("The client of the sidecar is closed")
        connection.ended, connection.leaving = self._forget, self._part
        self._live.add(connection)
        self._failure = None
        self._changed()
        return connection

    def _fail(self, error: SidecarError) -> None:
        _LOGGER.debug("no connection: %s", error)
        if not self._closed:
            self._failure = error
            self._changed()

    def _part(self, connection: Connection) -> None:
        _LOGGER.debug("a connection takes no further request: %s", connection.farewell)
        self._failure = connection.farewell
        self._woken.set()
        self._changed()

    def _forget(self, connection: Connection) -> None:
        _LOGGER.debug("a connection has ended: %s", connection.error)
        self._live.discard(connection)
        self._idle.pop(connection, None)
        # What ended this one may have ended the others without a word.
        self._in_doubt = True
        if _now() - connection.opened_at >= STABLE_S:
            self._backoff.reset()
        else:
            # Dialling anew at once could go on for ever.
            self._setback = connection.error
        self._woken.set()
        self._changed()

    async def _supervise(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._tend()
            except SidecarError as error:
                wait_s = self._backoff.wait_s(error)
            except Exception as error:
                _LOGGER.exception("Looking after the connections to the sidecar failed")
                self._fail(SidecarError(f"A mistake of the client's own: {error}"))
                wait_s = LONGEST_S
            else:
                self._attempted.set()
                await self._until_woken()
                continue
            self._attempted.set()
            await asyncio.sleep(wait_s)

    async def _tend(self) -> None:
        """Pings, closes and dials what is due; raises SidecarError when a connection cannot be had or kept."""
        await self._keep_alive()
        await self._close_surplus()
        setback, self._setback = self._setback, None
        if setback is not None:
            self._fail(setback)
            raise setback.again()
        await self._warm_up()

    async def _until_woken(self) -> None:
        oldest = min((connection.heard_at for connection in self._idle), default=_now())
        with suppress(TimeoutError):
            async with asyncio.timeout_at(oldest + KEEP_ALIVE_S):
                await self._woken.wait()

    async def _warm_up(self) -> None:
        while self._setback is None and (len(self._live) < WARM or not self._idle) and not self._room.locked():
            await self._room.acquire()
            try:
                connection = await self._dial()
            except BaseException:
                self._room.release()
                raise
            self._put_away(connection)

    async def _keep_alive(self) -> None:
        silent_since = _now() - KEEP_ALIVE_S
        due = [connection for connection in self._idle if self._in_doubt or connection.heard_at <= silent_since]
        self._in_doubt = False
        await asyncio.gather(*(self._ping(connection, self._idle.pop(connection)) for connection in due))

    async def _ping(self, connection: Connection, used_at: float) -> None:
        with suppress(SidecarError):  # it has ended then, which was told
            await connection.ping()
            self._idle[connection] = used_at

    async def _close_surplus(self) -> None:
        unused_since = _now() - SURPLUS_S
        for connection, used_at in tuple(self._idle.items()):
            if len(self._live) > WARM and len(self._idle) > 1 and used_at <= unused_since:
                await connection.close()


def _now() -> float:
    return asyncio.get_running_loop().time()
