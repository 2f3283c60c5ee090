"""The HTTP endpoints for operators. What reveals or does something wants the HTTP token; nothing tells of a home."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Final

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ..engines.catalogue import Engines
from ..gpu.queue import WorkQueue
from ..telemetry.latency import ALERT_FACTOR, KEPT, Summary
from ..telemetry.metrics import Metrics
from .http_answers import answering, json_answer
from .http_benchmark import Benchmark
from .http_connection import BoundedProtocol
from .http_guard import HttpGuard
from .http_ready import Readiness
from .http_speaker import BODY_MAX_BYTES, verify

CONNECTION_S: Final = 10.0
CONNECTIONS_MAX: Final = 32
VERIFY_S: Final = 30.0
BENCHMARK_S: Final = 60.0
# What a connection gets beyond the work itself, to read the answer in.
_ANSWER_S: Final = 5.0


class HttpServer:
    """Answers probes, scrapes and those who show the HTTP token; a connection lives for one answer.

    It is cut off after `connection_s`; once the token is shown, after the bound of the work that is asked for.
    `readiness` is for whoever starts and stops things to tell.
    """

    def __init__(
        self,
        engines: Engines,
        metrics: Metrics,
        *,
        token: str,
        queue: WorkQueue | None = None,
        connection_s: float = CONNECTION_S,
        connections_max: int = CONNECTIONS_MAX,
        verify_s: float = VERIFY_S,
        benchmark_s: float = BENCHMARK_S,
    ) -> None:
        """`token` is the pairing token, from which that of HTTP is derived."""
        self.readiness = Readiness(engines)
        self._engines, self._metrics, self._queue = engines, metrics, queue or WorkQueue()
        self._guard = HttpGuard(token)
        self._benchmark = Benchmark(engines, self._queue, within_s=benchmark_s)
        self._connection_s, self._connections_max = connection_s, connections_max
        self._verify_s, self._benchmark_s = verify_s, benchmark_s
        self._open: set[BoundedProtocol] = set()
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
        routes = self._routes()
        app = web.Application(
            client_max_size=BODY_MAX_BYTES,
            middlewares=[answering(self._metrics, [f"{route.method} {route.path}" for route in routes])],
        )
        app.add_routes(routes)
        # A body is taken as it is: what unpacks to gigabytes is not unpacked. Who hangs up is not worked for.
        self._runner = web.AppRunner(
            app, handle_signals=False, access_log=None, auto_decompress=False, handler_cancellation=True
        )
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_server(self._protocol, host, port)

    async def close(self) -> None:
        """Stops listening and ends every connection, and the work that is done for it."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._open):
            connection.abort()
        if self._runner is not None:
            await self._runner.cleanup()

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.get("/health", self._health),
            web.get("/ready", self._ready),
            web.get("/metrics", self._expose),
            web.get("/latency", self._guarded(self._latency, self._connection_s), allow_head=False),
            web.post("/speaker/verify", self._guarded(self._verify, self._verify_s)),
            web.post("/benchmark", self._guarded(self._measure, self._benchmark_s)),
        ]

    def _protocol(self) -> asyncio.Protocol:
        assert self._runner is not None
        assert self._runner.server is not None
        return BoundedProtocol(self._runner.server(), self._open, self._connections_max, self._connection_s)

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[web.Response]], work_s: float
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Who shows the token gets the time that the work takes; the bound is fixed from then on."""

        async def guarded(request: web.Request) -> web.Response:
            self._guard.check(request.headers.get("Authorization"), request.remote or "")
            for connection in self._open:
                if connection.inner is request.protocol:
                    connection.allow(work_s + _ANSWER_S)
            return await handler(request)

        return guarded

    # One method per endpoint

    async def _health(self, _request: web.Request) -> web.Response:
        return json_answer({"status": "alive"})

    async def _ready(self, _request: web.Request) -> web.Response:
        is_ready, report = self.readiness.report()
        return json_answer(report, 200 if is_ready else 503)

    async def _expose(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _latency(self, _request: web.Request) -> web.Response:
        summary = self._metrics.latencies.summary()
        warnings = [
            f"{kind} {stage}: {_in_words(times)}"
            for kind, stages in summary.items()
            for stage, times in stages.items()
            if times.verdict not in (None, "ok")
        ]
        stages = {kind: {stage: _figures(times) for stage, times in of.items()} for kind, of in summary.items()}
        return json_answer({"last_requests": KEPT, "warnings": warnings, "stages": stages})

    async def _verify(self, request: web.Request) -> web.Response:
        engine = self._engines.voice_print.get()
        return await verify(request, engine, self._metrics, self._queue, within_s=self._verify_s)

    async def _measure(self, _request: web.Request) -> web.Response:
        return json_answer(await self._benchmark.run())


def _figures(times: Summary) -> dict[str, object]:
    """Without the fields that a stage without a budget does not have."""
    return {
        name: round(value, 2) if isinstance(value, float) else value
        for name, value in asdict(times).items()
        if value is not None
    }


def _in_words(times: Summary) -> str:
    assert times.budget_ms is not None
    limit = f"{ALERT_FACTOR:g} times its budget" if times.verdict == "alert" else "its budget"
    return f"{times.verdict}: its 95th percentile of {times.p95_ms:.0f} ms is above {limit} of {times.budget_ms:.0f} ms"
