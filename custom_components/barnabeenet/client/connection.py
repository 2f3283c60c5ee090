"""One authenticated connection to a sidecar: its stream, its state and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import contextlib
from dataclasses import dataclass
from enum import Enum
import ssl
from typing import Final

from wyoming.error import Error
from wyoming.event import Event
from wyoming.ping import Ping, Pong

from . import messages
from .errors import (
    CannotConnect,
    ConnectionLost,
    ProtocolError,
    RequestFailed,
    SidecarError,
    SidecarTimeout,
    TlsMismatch,
    refusal,
)
from .hello import shake_hands
from .messages import DrainingNotice, MessageError, Welcome
from .tls import encrypt
from .wire import HEADER_MAX_BYTES, WireError, encode, read_event, write_event

CONNECT_S: Final = 2.0
HELLO_S: Final = 2.5
# A sidecar answers a ping at any time, also in the middle of a request.
PONG_S: Final = 3.0


@dataclass(frozen=True)
class Address:
    """Where a sidecar listens, and whether it speaks TLS there."""

    host: str
    port: int
    tls: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class State(Enum):
    """What a connection is doing; it is made only after a whole hello."""

    IDLE = "idle"
    BUSY = "busy"
    CLOSED = "closed"


class Connection:
    """A proven connection that carries one request at a time.

    While idle it listens for its own end. `ended` is called once, when it closes for whatever reason. A sidecar that is
    about to stop says so at any time: `leaving` is called then, what runs may end, and the connection closes with it.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, welcome: Welcome) -> None:
        """Takes over a stream on which the hello is complete; `open` is the way to make one."""
        self.welcome = welcome
        self.state = State.IDLE
        self.error: SidecarError | None = None
        self.ended: Callable[[Connection], None] | None = None
        self.leaving: Callable[[Connection], None] | None = None
        # Why the sidecar takes no further request; None while it does.
        self.farewell: SidecarError | None = None
        # On the loop's clock: when it was made, when anything came last, and when a ping went out that nothing has
        # followed yet.
        self.opened_at = self.heard_at = asyncio.get_running_loop().time()
        self.pinged_at: float | None = None
        self._pongs_due = 0
        self._reader = reader
        self._writer = writer
        # One read ahead in a task that outlives a reader's deadline: a cancelled read would lose half a frame.
        self._reading: asyncio.Task[Event | None] | None = None
        self.rest()

    @classmethod
    async def open(cls, address: Address, token: str, *, home: str, software: str) -> Connection:
        """Dials and shakes hands.

        Raises CannotConnect, TlsMismatch, SidecarTimeout, NotASidecar, Unauthorized, Impostor, ContractMismatch,
        BackingOff, Busy.
        """
        reader, writer = await _dial(address)
        try:
            async with asyncio.timeout(HELLO_S):
                certificate = await _encrypt(address, writer) if address.tls else ""
                welcome = await shake_hands(
                    reader, writer, token, home=home, software=software, certificate=certificate
                )
                return cls(reader, writer, welcome)
        except BaseException as error:
            writer.transport.abort()
            if isinstance(error, TimeoutError):
                raise SidecarTimeout(
                    f"{address} took the connection but did not answer the hello within {HELLO_S:g} s: "
                    "it hangs or is not a BarnabeeNet sidecar"
                ) from error
            if isinstance(error, OSError | WireError):
                raise _broke_off(address, error) from error
            raise

    async def begin(self, request: Event) -> None:
        """Sends a request; raises ConnectionLost, or RequestFailed when the contract does not allow the request."""
        self._wake()
        await self.write(request)

    def rest(self) -> None:
        """A request is over and both sides have said all: from here on the sidecar has nothing to say."""
        if self.farewell is not None:
            self.end(self.farewell)
        elif self.error is None:
            self.state = State.IDLE
            self._read_ahead().add_done_callback(self._disturbed)

    async def write(self, event: Event) -> None:
        """Sends one event; raises ConnectionLost, or RequestFailed when the contract does not allow the event."""
        if self.error is not None:
            raise self.error.again()
        try:
            await write_event(self._writer, messages.check(event))
        except MessageError as error:
            raise RequestFailed(str(error), code="bad-request") from error
        except WireError as error:
            if error.code == "timeout":
                raise self.end(ConnectionLost("The sidecar stopped taking data")) from error
            raise RequestFailed(str(error), code=error.code) from error
        except OSError as error:
            raise self.end(ConnectionLost(f"The connection to the sidecar broke: {error}")) from error

    def send_ping(self) -> None:
        """Asks for a sign of life, without waiting for room in a stream that may be dead."""
        if self.error is None:
            self._writer.write(encode(Ping().event()))
            self._pongs_due += 1
            self.pinged_at = asyncio.get_running_loop().time()

    async def receive(self, within_s: float | None, *, beside: asyncio.Task[None] | None = None) -> Event | None:
        """The next event as the wire gives it; None when only a pong, a farewell or nothing came in time.

        Also None when `beside` ended first.
        May be cancelled without loss. Raises ConnectionLost or ProtocolError, and is closed then.
        """
        if self.error is not None:
            raise self.error.again()
        reading = self._read_ahead()
        others = () if beside is None else (beside,)
        await asyncio.wait({reading, *others}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            return None
        return self._take(reading)

    async def ping(self) -> None:
        """Makes sure that an idle connection lives and stays; raises why it does not, and is closed then."""
        self._wake()
        self.send_ping()
        event = await self.receive(PONG_S)
        if event is not None:
            raise self.end(_unasked(event))
        if self.farewell is not None:
            raise self.end(self.farewell)
        if self.pinged_at is not None:
            raise self.end(ConnectionLost(f"The sidecar did not answer a ping within {PONG_S:g} s"))
        self.rest()

    def end(self, error: SidecarError) -> SidecarError:
        """Closes at once for a reason, which is returned to be raised; the first reason stays."""
        if self.error is None:
            self.error = error
            self.state = State.CLOSED
            self._writer.transport.abort()
            if self.ended is not None:
                self.ended(self)
        return error

    async def close(self) -> None:
        """Closes and waits until nothing of the connection is left; safe to call twice."""
        self.end(ConnectionLost("The connection was closed on this side"))
        if self._reading is not None:
            # The aborted transport ends the read; what it says no longer matters.
            await asyncio.wait({self._reading})
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _wake(self) -> None:
        reading = self._read_ahead()
        reading.remove_done_callback(self._disturbed)
        if self.error is None:
            self.state = State.BUSY
        if reading.done():
            self._disturbed(reading)

    def _read_ahead(self) -> asyncio.Task[Event | None]:
        if self._reading is None:
            self._reading = asyncio.create_task(read_event(self._reader), name="barnabeenet read")
            self._reading.add_done_callback(_retrieve)
        return self._reading

    def _take(self, reading: asyncio.Task[Event | None]) -> Event | None:
        """What a finished read gave, None for a pong that was due or a farewell.

        Raises what it means when it gave nothing.
        """
        self._reading = None
        try:
            event = reading.result()
        except WireError as error:
            if self._reader.at_eof() or error.code == "timeout":
                raise self.end(ConnectionLost(f"The connection ended in the middle: {error}")) from error
            raise self.end(ProtocolError(f"The sidecar broke the framing: {error}", code=error.code)) from error
        except OSError as error:
            lost = ConnectionLost(f"The connection to the sidecar broke: {error}")
            raise self.end(self.farewell or lost) from error
        if event is None:
            raise self.end(self.farewell or ConnectionLost("The sidecar closed the connection"))
        self.heard_at, self.pinged_at = asyncio.get_running_loop().time(), None
        if Pong.is_type(event.type) and self._pongs_due:
            self._pongs_due -= 1
            return None
        if DrainingNotice.is_type(event.type):
            self._take_leave(event)
            return None
        return event

    def _take_leave(self, event: Event) -> None:
        try:
            text = DrainingNotice.from_event(event).text
        except MessageError as error:
            raise self.end(ProtocolError(f"The sidecar broke the contract: {error}")) from error
        if self.farewell is None:
            self.farewell = refusal(text, "draining")
            if self.leaving is not None:
                self.leaving(self)

    def _disturbed(self, reading: asyncio.Task[Event | None]) -> None:
        """Something came while nothing was asked: a late pong, a farewell, the end of the stream, or nonsense."""
        if reading is not self._reading or self.error is not None:
            return
        with contextlib.suppress(SidecarError):
            event = self._take(reading)
            if event is not None:
                self.end(_unasked(event))
            elif self.farewell is not None:
                self.end(self.farewell)
            elif self.state is State.IDLE:
                self.rest()


def _unasked(event: Event) -> SidecarError:
    if Error.is_type(event.type):
        return refusal(str(event.data.get("text")), str(event.data.get("code")))
    return ProtocolError(f"The sidecar sent {event.type[:50]!r} unasked")


def _retrieve(reading: asyncio.Task[Event | None]) -> None:
    """Marks a failure as seen: a read that nobody waits for any more must not be reported as forgotten."""
    if not reading.cancelled():
        reading.exception()


def _broke_off(address: Address, error: Exception) -> CannotConnect:
    text = f"{address} broke the connection during the hello: {str(error) or 'it hung up'}"
    if address.tls:
        return CannotConnect(text)
    # That is all that one who speaks TLS can say to one who does not.
    return TlsMismatch(f"{text}. If `tls = true` is set there, turn encryption on for it here")


async def _encrypt(address: Address, writer: asyncio.StreamWriter) -> str:
    """The fingerprint of the certificate by which it is encrypted from now on."""
    try:
        return await encrypt(writer)
    except ssl.SSLError as error:
        raise TlsMismatch(
            f"{address} does not speak TLS ({error}): turn encryption off for it here, or set `tls = true` there"
        ) from error


async def _dial(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(CONNECT_S):
            return await asyncio.open_connection(address.host, address.port, limit=HEADER_MAX_BYTES)
    except TimeoutError as error:
        raise CannotConnect(f"{address} does not answer") from error
    except (OSError, OverflowError, ValueError) as error:  # of a port out of range, a name that cannot be encoded
        raise CannotConnect(f"Nobody answers at {address}: {error}") from error
