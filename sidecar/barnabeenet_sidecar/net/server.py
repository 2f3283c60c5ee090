"""The listener: admits peers within its caps and hands each proved connection to the handler."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
import logging
import ssl
from typing import Final

from .auth import Authenticator, HelloRefused
from .connection import DEADLINES, Connection, Deadlines
from .wire import HEADER_MAX_BYTES, HELLO_S

__all__ = ["CAPS", "DEADLINES", "Caps", "Connection", "Deadlines", "Server"]

_LOGGER = logging.getLogger(__name__)

CONNECTIONS_MAX: Final = 128
CONNECTIONS_PER_PEER_MAX: Final = 32
CONNECTIONS_WITHOUT_HELLO_MAX: Final = 16

_REFUSALS_LOGGED: Final = 10
_REFUSALS_WINDOW_S: Final = 60.0


@dataclass(frozen=True)
class Caps:
    """How many connections are kept; the contract's own by default."""

    connections: int = CONNECTIONS_MAX
    per_peer: int = CONNECTIONS_PER_PEER_MAX
    without_hello: int = CONNECTIONS_WITHOUT_HELLO_MAX


CAPS: Final = Caps()


class Server:
    """Owns the listening socket, the connections and one task for each of them.

    `handle` is called once for every connection that has proved the token, or for every one on the plain listener
    (`authenticator=None`); when it returns, the connection is closed. With `tls` peers have to speak it. Proved
    connections and strangers are counted apart. A proved peer over `connections` or `per_peer` is told `busy`, every
    newcomer after `drain` is told `draining`. When there are `without_hello` strangers, the next one takes the place of
    the oldest stranger of the address that has the most of them: idlers cannot lock a family out, and one address that
    floods displaces itself.
    """

    def __init__(
        self,
        handle: Callable[[Connection], Awaitable[None]],
        *,
        authenticator: Authenticator | None,
        tls: ssl.SSLContext | None = None,
        caps: Caps = CAPS,
        deadlines: Deadlines = DEADLINES,
    ) -> None:
        self._handle = handle
        self._authenticator = authenticator
        self._tls = tls
        self._caps = caps
        self._deadlines = deadlines
        self._server: asyncio.Server | None = None
        self._stopping: str | None = None
        # Both in the order of arrival.
        self._strangers: dict[asyncio.Task[None], Connection] = {}
        self._proved: dict[asyncio.Task[None], Connection] = {}
        self._refusals = _RefusalLog()

    @property
    def port(self) -> int:
        """The port listened on; raises RuntimeError before `start`."""
        if self._server is None:
            raise RuntimeError("the server is not started")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """How many proved connections are open."""
        return len(self._proved)

    @property
    def connections_without_hello(self) -> int:
        """How many connections have not proved the token yet."""
        return len(self._strangers)

    async def start(self, host: str, port: int) -> None:
        """Listens on the address, port 0 for any free one; raises OSError when it is taken."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=HEADER_MAX_BYTES)

    def drain(self, text: str) -> None:
        """From now on newcomers are told `draining` and this text; those who have proved the token stay."""
        self._stopping = text

    async def wait_left(self) -> None:
        """Waits until all who have proved the token have left; none can come when newcomers are refused."""
        if self._proved:
            await asyncio.wait(self._proved)

    async def close(self) -> None:
        """Stops listening and ends every connection and task."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        open_connections = self._strangers | self._proved
        for task in open_connections:
            task.cancel()
        await asyncio.gather(*open_connections, return_exceptions=True)
        for connection in open_connections.values():
            await connection.wait_closed()
        await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, plain=self._authenticator is None, deadlines=self._deadlines)
        if self._server is None:
            connection.abort()
            return
        if self._tls is not None:
            # Else the beginning of the peer's handshake might be read before anybody takes it for one.
            writer.transport.pause_reading()  # type: ignore[attr-defined]
        task = asyncio.create_task(self._serve(connection), name=f"connection of {connection.peer}")
        task.add_done_callback(self._release)
        if connection.plain and self._refusal(connection.peer) is None:
            self._proved[task] = connection
            return
        if len(self._strangers) >= self._caps.without_hello:
            self._displace_stranger()
        self._strangers[task] = connection

    def _displace_stranger(self) -> None:
        busiest = Counter(stranger.peer for stranger in self._strangers.values()).most_common(1)[0][0]
        task = next(task for task, stranger in self._strangers.items() if stranger.peer == busiest)
        _LOGGER.debug("closing the oldest connection without a hello, of %s, to make room", busiest)
        task.cancel()
        self._release(task)

    def _release(self, task: asyncio.Task[None]) -> None:
        # Not in the task itself: one that is cancelled before its first step runs none of its code.
        connection = self._strangers.pop(task, None) or self._proved.pop(task, None)
        if connection is not None:
            connection.abort()

    async def _serve(self, connection: Connection) -> None:
        try:
            await self._admit(connection)
            await self._handle(connection)
        except HelloRefused as refusal:
            self._refusals.add(connection.peer, refusal)
            with suppress(OSError):
                await connection.error(refusal.code, str(refusal))
        except OSError as error:
            _LOGGER.debug("lost the connection of %s: %s", connection.peer, error)
        except Exception:
            _LOGGER.exception("the handler of a connection of %s failed", connection.peer)
            with suppress(OSError):
                await connection.error("engine-failed", "the sidecar failed: see its log")
        await connection.close()

    async def _admit(self, connection: Connection) -> None:
        task = asyncio.current_task()
        if task is None or task in self._proved:
            return
        if self._tls is not None:
            await connection.encrypt(self._tls, HELLO_S)
        self._refuse_newcomer(connection.peer)
        if self._authenticator is not None:
            is_known = any(proved.peer == connection.peer for proved in self._proved.values())
            connection.home = await self._authenticator.hello(
                connection.reader, connection.writer, connection.peer, is_known=is_known
            )
            # Again, as others may have proved the token meanwhile.
            self._refuse_newcomer(connection.peer)
        self._proved[task] = self._strangers.pop(task)

    def _refusal(self, peer: str) -> HelloRefused | None:
        if self._stopping is not None:
            return HelloRefused("draining", self._stopping)
        if text := self._crowded(peer):
            return HelloRefused("busy", text)
        return None

    def _crowded(self, peer: str) -> str | None:
        if len(self._proved) >= self._caps.connections:
            return f"all {self._caps.connections} connections of this sidecar are taken: close some or try later"
        if sum(proved.peer == peer for proved in self._proved.values()) >= self._caps.per_peer:
            return f"{peer} has {self._caps.per_peer} connections, more are not allowed: close some or try later"
        return None

    def _refuse_newcomer(self, peer: str) -> None:
        if refusal := self._refusal(peer):
            raise refusal


class _RefusalLog:
    """Logs refused hellos, at most `_REFUSALS_LOGGED` a minute, and how many it left out."""

    def __init__(self) -> None:
        self._window_start_s = 0.0
        self._count = 0

    def add(self, peer: str, refusal: HelloRefused) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._window_start_s >= _REFUSALS_WINDOW_S:
            if self._count > _REFUSALS_LOGGED:
                _LOGGER.info("refused %d more hellos, not logged one by one", self._count - _REFUSALS_LOGGED)
            self._window_start_s, self._count = now_s, 0
        self._count += 1
        if self._count <= _REFUSALS_LOGGED:
            _LOGGER.info("refused a hello of %s: %s (%s)", peer, refusal, refusal.code)
