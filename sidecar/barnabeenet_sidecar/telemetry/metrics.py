"""What Prometheus is told: canonical names in base units, in a registry of our own. No label names anybody's home."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from .. import __version__

# From an espeak phrase (a millisecond) to a whole minute of dictation.
_SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.4, 0.8, 1.5, 3, 6, 15, 60)


class Metrics:
    """The sidecar's metrics; `kind` is transcribe, synthesize, detect or vocabulary."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        Info("barnabeenet_sidecar", "The software that runs", registry=registry).info({"version": __version__})
        self._engine_ready = Gauge(
            "barnabeenet_engine_ready", "Whether an engine is loaded", ["capability"], registry=registry
        )
        self._engine_load_seconds = Gauge(
            "barnabeenet_engine_load_seconds", "How long loading took", ["capability"], registry=registry
        )
        self._wrong_proofs = Gauge(
            "barnabeenet_hello_wrong_proofs", "Hellos with a wrong token since the start", registry=registry
        )
        self._strangers = Gauge(
            "barnabeenet_connections_without_hello", "Connections that prove no token yet", registry=registry
        )
        self.connections = Gauge(
            "barnabeenet_connections", "Conversations that are open", ["listener"], registry=registry
        )
        self._active = Gauge("barnabeenet_requests_active", "Requests being worked on", ["kind"], registry=registry)
        self._requests = Counter("barnabeenet_requests", "Requests that ended", ["kind", "outcome"], registry=registry)
        self._seconds = Histogram(
            "barnabeenet_request_seconds",
            "From a request to its last answer",
            ["kind"],
            buckets=_SECONDS_BUCKETS,
            registry=registry,
        )
        self._stage_seconds = Histogram(
            "barnabeenet_stage_seconds",
            "How long a stage of a request took",
            ["kind", "stage"],
            buckets=_SECONDS_BUCKETS,
            registry=registry,
        )

    def observe_engine(self, capability: str, *, ready: bool, load_s: float) -> None:
        """Tells whether a capability is there and how long loading it took."""
        self._engine_ready.labels(capability).set(ready)
        self._engine_load_seconds.labels(capability).set(load_s)

    def observe_hellos(self, wrong_proofs: Callable[[], int], strangers: Callable[[], int]) -> None:
        """Reads these two whenever somebody asks for the metrics."""
        self._wrong_proofs.set_function(wrong_proofs)
        self._strangers.set_function(strangers)

    @contextmanager
    def request(self, kind: str) -> Iterator[RequestMeter]:
        """Meters one request from here to the end of the block; its outcome is "ok" unless the meter is told another."""
        meter, started = RequestMeter(), time.perf_counter()
        with self._active.labels(kind).track_inprogress():
            try:
                yield meter
            finally:
                self._requests.labels(kind, meter.outcome).inc()
                self._seconds.labels(kind).observe(time.perf_counter() - started)
                for stage, milliseconds in meter.stages.items():
                    self._stage_seconds.labels(kind, stage).observe(milliseconds / 1000)

    def exposition(self) -> bytes:
        """All samples in Prometheus' text format."""
        return generate_latest(self.registry)


class RequestMeter:
    """What became of one request."""

    def __init__(self) -> None:
        self.outcome = "ok"
        self.stages: dict[str, float] = {}
