"""One HTTP connection of so many, cut off at its deadline: aiohttp waits for ever for a header."""

from __future__ import annotations

import asyncio


class BoundedProtocol(asyncio.Protocol):
    """Wraps one of aiohttp's connections; beyond `siblings_max` of them it is refused."""

    def __init__(
        self, inner: asyncio.Protocol, siblings: set[BoundedProtocol], siblings_max: int, deadline_s: float
    ) -> None:
        self.inner = inner
        self._siblings, self._siblings_max, self._deadline_s = siblings, siblings_max, deadline_s
        self._transport: asyncio.BaseTransport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the connection, or refuses it."""
        self._transport = transport
        if len(self._siblings) >= self._siblings_max:
            self.abort()
            return
        self._siblings.add(self)
        self.allow(self._deadline_s)
        self.inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Makes room for another."""
        if self._deadline is None:
            return
        self._deadline.cancel()
        self._siblings.discard(self)
        self.inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Passed on."""
        self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Passed on."""
        return self.inner.eof_received()

    def pause_writing(self) -> None:
        """Passed on."""
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        """Passed on."""
        self.inner.resume_writing()

    def allow(self, seconds: float) -> None:
        """Puts the deadline at so many seconds from now, in place of the one before."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self.abort)

    def abort(self) -> None:
        """Cuts the connection off, whatever is under way."""
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()
