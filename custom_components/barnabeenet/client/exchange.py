"""A request and its answers on one connection: what is sent beside the reading, and how long silence may last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
import math
from typing import Any, Final, TypeAlias

from wyoming.error import Error
from wyoming.event import Event

from . import messages
from .connection import PONG_S, Connection
from .errors import REQUEST_CODES, ConnectionLost, ProtocolError, RequestFailed, SidecarError, SidecarTimeout, refusal
from .messages import CANCEL, CANCELLED, MessageError

# A sidecar that works quietly is asked for a sign of life after this long, and is dead when none comes for PONG_S more.
QUIET_S: Final = 0.5
# All is sent and the sidecar lives: how long until it must get on with its answer.
ANSWER_S: Final = 15.0
CANCEL_S: Final = 1.0
# Far above what an honest request needs: a minute's partials, one every 20 ms.
EVENTS_MAX: Final = 3_000

Upload: TypeAlias = Callable[[Connection], Coroutine[Any, Any, None]]


class Exchange:
    """One request that has been sent: `read` its answers, `finish` with the last one, `close` in any case.

    An upload is written beside the reading; what goes wrong in it comes out of `read`.
    """

    def __init__(
        self,
        connection: Connection,
        upload: Upload | None = None,
        *,
        answer_s: float = ANSWER_S,
        events_max: float = EVENTS_MAX,
    ) -> None:
        """Takes a connection on which the request has just begun."""
        self.finished = False
        self._connection = connection
        self._answer_s = answer_s
        self._events_left = events_max
        self._sent_at = _now()
        self._upload = asyncio.create_task(upload(connection), name="barnabeenet upload") if upload else None

    async def read(self) -> Event:
        """The next answer that keeps the contract.

        Raises RequestFailed, Busy and so on when the sidecar answers with an error, SidecarTimeout when all is sent and
        it lives but does not get on, ConnectionLost when it shows no sign of life, ProtocolError when it breaks the
        contract, and whatever the upload raised.
        """
        self._events_left -= 1
        if self._events_left < 0:
            raise self._connection.end(ProtocolError("The sidecar answers without end"))
        started = _now()
        while True:
            upload = self._running_upload()
            answer_by = math.inf if upload else max(started, self._sent_at) + self._answer_s
            silent_by = self._silent_by(started)
            event = await self._connection.receive(min(answer_by, silent_by) - _now(), beside=upload)
            if event is not None:
                return self._checked(event)
            if _now() >= answer_by:
                raise SidecarTimeout(f"The sidecar did not get on with its answer for {self._answer_s:g} s")
            if _now() >= silent_by:
                self._doubt()

    async def expect(self, event_type: str) -> Event:
        """The only answer there is to some requests; raises as `read`."""
        event = await self.read()
        if event.type != event_type:
            raise self.unexpected(event)
        self.finish()
        return event

    def unexpected(self, event: Event) -> SidecarError:
        """Ends the connection over an answer that does not belong here; the error is to be raised."""
        return self._connection.end(ProtocolError(f"The sidecar sent {event.type!r} in the wrong place"))

    def finish(self) -> None:
        """The last answer has come: the connection may carry the next request."""
        self.finished = True

    async def send_last(self, event: Event) -> None:
        """Stops the upload where it is and sends this instead, unless all has been sent; raises ConnectionLost."""
        if self._upload is None or self._upload.done():
            return
        await self._stop_upload()
        await self._connection.write(event)
        self._sent_at = _now()

    async def close(self) -> None:
        """Ends the upload; what the connection then needs is up to its owner."""
        await self._stop_upload()

    def _silent_by(self, started: float) -> float:
        connection = self._connection
        if connection.pinged_at is not None:
            return max(started, connection.pinged_at) + PONG_S
        return max(started, connection.heard_at) + QUIET_S

    def _doubt(self) -> None:
        """Asks for a sign of life; raises ConnectionLost when that was asked before."""
        if self._connection.pinged_at is not None:
            raise self._connection.end(ConnectionLost(f"The sidecar has been silent for {QUIET_S + PONG_S:g} s"))
        self._connection.send_ping()

    def _running_upload(self) -> asyncio.Task[None] | None:
        upload = self._upload
        if upload is None or not upload.done():
            return upload
        self._upload, self._sent_at = None, _now()
        if upload.cancelled():
            raise RequestFailed("What was to be sent to the sidecar was cut off")
        error = upload.exception()
        if isinstance(error, TimeoutError):
            raise SidecarTimeout("What was to be sent to the sidecar did not come in time") from error
        # Of a lost connection the reading side tells: the sidecar's reason may still lie there unread.
        if error is not None and not isinstance(error, ConnectionLost):
            raise error
        return None

    async def _stop_upload(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.cancel()
            await asyncio.wait({upload})
            if not upload.cancelled():
                upload.exception()  # seen, and of no interest any more

    def _checked(self, event: Event) -> Event:
        try:
            messages.check(event)
        except MessageError as error:
            raise self._connection.end(ProtocolError(f"The sidecar broke the contract: {error}")) from error
        if not Error.is_type(event.type):
            return event
        told = Error.from_event(event)
        failure = refusal(told.text, told.code)
        raise failure if told.code in REQUEST_CODES else self._connection.end(failure)


async def call_off(connection: Connection) -> None:
    """Has the sidecar drop a request that is not wanted any more; the connection is idle or closed afterwards."""
    try:
        async with asyncio.timeout(CANCEL_S):
            await connection.write(Event(CANCEL))
            event: Event | None = None
            while event is None or event.type != CANCELLED:
                event = await connection.receive(CANCEL_S)
    except TimeoutError:
        connection.end(ConnectionLost(f"The sidecar did not stop within {CANCEL_S:g} s"))
    except SidecarError:
        pass  # closed, by whoever raised it
    else:
        connection.rest()


def _now() -> float:
    return asyncio.get_running_loop().time()
