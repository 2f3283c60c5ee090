"""One peer's connection: its events read within the contract, its errors answered."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
import ssl
from typing import Final

from wyoming.error import Error
from wyoming.event import Event

from .messages import TEXT_MAX_CHARS, MessageError, check
from .wire import BODY_S, HEADER_S, IDLE_S, WRITE_S, FrameReader, WireError, encode, write_event

# How long and how much a refused peer may still send before the socket is closed under it. Closing while its bytes are
# unread would reset the connection and take the error that explains the refusal away from it.
_LINGER_S: Final = 1.0
_LINGER_READS: Final = 64
_LINGER_READ_BYTES: Final = 65_536
_READ_BYTES: Final = 16_384
_FLUSHED_S: Final = 0.02


@dataclass(frozen=True)
class Deadlines:
    """How long a peer may take; the contract's own by default."""

    header_s: float = HEADER_S
    body_s: float = BODY_S
    idle_s: float = IDLE_S
    write_s: float = WRITE_S


DEADLINES: Final = Deadlines()


class Connection:
    """What a handler sees of a peer: `peer` is its address, `home` its home's name or None on the plain listener."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        plain: bool,
        deadlines: Deadlines = DEADLINES,
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.plain = plain
        self.home: str | None = None
        # Absent when the peer has gone before we looked.
        peername = writer.get_extra_info("peername")
        self.peer: str = peername[0] if peername else "unknown"
        self._deadlines = deadlines
        self._frames = FrameReader(
            reader, idle_s=deadlines.idle_s, header_s=deadlines.header_s, body_s=deadlines.body_s
        )
        # What is below TLS, if there is any.
        self._socket = writer.transport
        self._broken = False
        # A handshake failed: asyncio closes the socket and never tells the stream.
        self._is_lost = False
        # Asyncio sets 256 KiB aside for every read otherwise, which costs more than the read of a frame of audio.
        writer.transport.max_size = _READ_BYTES  # type: ignore[attr-defined]

    async def encrypt(self, context: ssl.SSLContext, within_s: float) -> None:
        """Goes on in TLS, which the peer begins; nothing of it may have been read. Raises OSError."""
        try:
            await self.writer.start_tls(context, ssl_handshake_timeout=within_s)
        except BaseException:
            self._is_lost = True
            raise

    async def read(self) -> Event | None:
        """The next event that keeps the contract; None when the connection ended or broke.

        An event that breaks the contract is answered with `bad-request` and skipped, a frame that breaks the framing is
        answered and ends the connection. A read cancelled in mid-frame leaves the connection unusable.
        """
        with suppress(OSError):
            while (event := await self._read_frame()) is not None:
                try:
                    return self._checked(event)
                except MessageError as error:
                    await self.error("bad-request", str(error))
        return None

    async def write(self, event: Event) -> None:
        """Sends an event; raises OSError when the peer is gone or does not read, WireError when the event is too big."""
        try:
            await write_event(self.writer, event, write_s=self._deadlines.write_s)
        except WireError as error:
            if error.code != "timeout":
                raise
            raise ConnectionAbortedError(str(error)) from None

    def post(self, event: Event) -> None:
        """Sends a small event without waiting for room: a peer that does not read keeps nobody."""
        self.writer.write(encode(event))

    async def flush(self) -> None:
        """Waits until all that was sent is on its way, whether the peer reads it now or later; OSError if it is gone."""
        if self.writer.transport is self._socket:
            self._socket.set_write_buffer_limits(high=0)
            await self.writer.drain()
            return
        # Asyncio tells nobody when what is below TLS has been sent.
        layers = (self.writer.transport, self._socket)
        while not self._socket.is_closing() and any(layer.get_write_buffer_size() for layer in layers):  # noqa: ASYNC110
            await asyncio.sleep(_FLUSHED_S)
        if self._socket.is_closing():
            raise ConnectionResetError("the peer is gone")

    async def error(self, code: str, text: str) -> None:
        """Sends an `error` event; raises as `write`."""
        await self.write(Error(text=text[:TEXT_MAX_CHARS], code=code).event())

    async def close(self) -> None:
        """Closes so that what was written still arrives, within about a second."""
        if not self._is_lost:
            with suppress(OSError):
                async with asyncio.timeout(_LINGER_S):
                    await self._close_gently()
        self.abort()

    def abort(self) -> None:
        """Closes at once."""
        self._frames.close()
        # TLS no longer knows its socket once it has said goodbye.
        self._socket.abort()

    async def wait_closed(self) -> None:
        """Waits until the socket is closed."""
        if self._is_lost:
            return
        with suppress(OSError):
            # All who wait share one future, and one of them that is cancelled would cancel it for the others.
            closing = asyncio.ensure_future(self.writer.wait_closed())
            # How it ended is of no interest when nobody waits any more.
            closing.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.shield(closing)

    async def _close_gently(self) -> None:
        # TLS knows no half-open connection: there closing itself waits for the peer's goodbye.
        if not self.reader.at_eof() and self.writer.can_write_eof():
            self.writer.write_eof()
            await self._discard()
        self.writer.close()
        await self.wait_closed()

    async def _discard(self) -> None:
        for _ in range(_LINGER_READS):
            if not await self.reader.read(_LINGER_READ_BYTES):
                return

    async def _read_frame(self) -> Event | None:
        if self._broken:
            return None
        try:
            return await self._frames.read()
        except WireError as error:
            self._broken = True
            await self.error(error.code, str(error))
            return None

    def _checked(self, event: Event) -> Event:
        if self.plain and event.type.startswith("barnabeenet-"):
            raise MessageError("the plain listener takes no barnabeenet events: use the listener with the hello")
        return check(event)
