"""The HTTP endpoints for operators: /health, /ready and /metrics. None of them tells anything of a home."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ..engines.catalogue import Engines
from ..telemetry.metrics import Metrics

CONNECTION_S: Final = 10.0
CONNECTIONS_MAX: Final = 32
# A probe or a scrape has no body.
_BODY_MAX_BYTES = 1024


class HttpServer:
    """Answers probes and scrapes; a connection lives for one answer and never longer than `connection_s`.

    `is_listening` is for whoever starts the listeners to set: without them nothing is ready.
    """

    def __init__(
        self,
        engines: Engines,
        metrics: Metrics,
        *,
        connection_s: float = CONNECTION_S,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self.is_listening = False
        self._engines, self._metrics = engines, metrics
        self._connection_s, self._connections_max = connection_s, connections_max
        self._open: set[_BoundedProtocol] = set()
        self._server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port listened on; raises RuntimeError before `start`."""
        if self._server is None:
            raise RuntimeError("the HTTP server is not started")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self, host: str, port: int) -> None:
        """Listens on the address, port 0 for any free one; raises OSError when it is taken."""
        app = web.Application(client_max_size=_BODY_MAX_BYTES)
        app.add_routes(
            [web.get("/health", self._health), web.get("/ready", self._ready), web.get("/metrics", self._expose)]
        )
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None)
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_server(self._protocol, host, port)

    async def close(self) -> None:
        """Stops listening and ends every connection."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._open):
            connection.abort()
        if self._runner is not None:
            await self._runner.cleanup()

    def _protocol(self) -> asyncio.Protocol:
        assert self._runner is not None
        assert self._runner.server is not None
        return _BoundedProtocol(self._runner.server(), self._open, self._connections_max, self._connection_s)

    async def _health(self, _request: web.Request) -> web.Response:
        return _json({"status": "alive"})

    async def _ready(self, _request: web.Request) -> web.Response:
        engines = {slot.kind: slot.problem or f"{slot.name} is ready" for slot in self._engines.slots}
        ready = self.is_listening and self._engines.can_serve
        return _json({"status": "ready" if ready else "not ready", "engines": engines}, 200 if ready else 503)

    async def _expose(self, _request: web.Request) -> web.Response:
        response = web.Response(body=self._metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})
        response.force_close()
        return response


def _json(data: object, status: int = 200) -> web.Response:
    response = web.json_response(data, status=status)
    response.force_close()
    return response


class _BoundedProtocol(asyncio.Protocol):
    """One of aiohttp's connections, one of so many, cut off at its deadline: aiohttp waits for ever for a header."""

    def __init__(
        self, inner: asyncio.Protocol, siblings: set[_BoundedProtocol], siblings_max: int, deadline_s: float
    ) -> None:
        self._inner, self._siblings = inner, siblings
        self._siblings_max, self._deadline_s = siblings_max, deadline_s
        self._transport: asyncio.BaseTransport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if len(self._siblings) >= self._siblings_max:
            self.abort()
            return
        self._siblings.add(self)
        self._deadline = asyncio.get_running_loop().call_later(self._deadline_s, self.abort)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is None:
            return
        self._deadline.cancel()
        self._siblings.discard(self)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def abort(self) -> None:
        """Cuts the connection off, whatever is under way."""
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()
