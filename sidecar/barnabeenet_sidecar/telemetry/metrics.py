"""What Prometheus is told: canonical names in base units, in a registry of our own. No label names anybody's home."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
import time
from typing import Final, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from .. import __version__
from .compatibility import LatencyMs
from .host_metrics import HostCollector, HostStatus
from .latency import Latencies
from .scraped import Scraped

# From an espeak phrase (a millisecond) to a whole minute of dictation.
_SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.4, 0.8, 1.5, 3, 6, 15, 60)
# The queue's, by the names of their members in small letters.
PRIORITIES: Final = ("short", "normal", "long")
# The kind under which `latencies` keeps the waits; its stages are the priorities.
QUEUE_KIND: Final = "queue"


class Metrics:
    """The sidecar's metrics; `kind` is transcribe, synthesize, detect, vocabulary or another request's.

    `latencies` holds the times of the last requests.
    """

    def __init__(self) -> None:
        # A second name for each counter and histogram, with the time of its first sample, helps nobody.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self.registry = CollectorRegistry()
        self.latencies = Latencies()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        Info("barnabeenet_sidecar", "The software that runs", registry=registry).info({"version": __version__})
        self._add_requests()
        self._add_engines()
        self._add_queue()
        self._add_connections()
        self._config_reloads = Counter(
            "barnabeenet_config_reloads",
            "Changed configurations that were taken or refused",
            ["outcome"],
            registry=registry,
        )

    def _add_requests(self) -> None:
        self._active = Gauge(
            "barnabeenet_requests_active", "Requests being worked on", ["kind"], registry=self.registry
        )
        self._requests = Counter(
            "barnabeenet_requests", "Requests that ended", ["kind", "outcome"], registry=self.registry
        )
        self._seconds = Histogram(
            "barnabeenet_request_seconds",
            "From a request to its last answer",
            ["kind"],
            buckets=_SECONDS_BUCKETS,
            registry=self.registry,
        )
        self._stage_seconds = Histogram(
            "barnabeenet_stage_seconds",
            "How long a stage of a request took",
            ["kind", "stage"],
            buckets=_SECONDS_BUCKETS,
            registry=self.registry,
        )
        self.registry.register(LatencyMs(self._stage_seconds))
        self._wake_detections = Counter(
            "barnabeenet_wake_detections", "Wake words that were heard", ["wake_word"], registry=self.registry
        )
        self._voice_prints = Counter(
            "barnabeenet_voice_prints", "Speakers' voices that were asked for", ["outcome"], registry=self.registry
        )

    def _add_engines(self) -> None:
        self._engine_ready = Gauge(
            "barnabeenet_engine_ready", "Whether an engine is loaded", ["capability"], registry=self.registry
        )
        self._engine_load_seconds = Gauge(
            "barnabeenet_engine_load_seconds", "How long loading took", ["capability"], registry=self.registry
        )
        self._model_info = Scraped(
            GaugeMetricFamily, "barnabeenet_model_info", "Which version of a model serves", ("model", "version")
        )
        self.registry.register(self._model_info)
        self._fallbacks = Counter(
            "barnabeenet_engine_fallbacks",
            "Requests that one engine could not do and another took over",
            ["engine", "next"],
            registry=self.registry,
        )
        self._host = HostCollector()
        self.registry.register(self._host)

    def _add_queue(self) -> None:
        self._queue_wait = Histogram(
            "barnabeenet_queue_wait_seconds",
            "How long a piece of work waited for its turn",
            ["priority", "kind"],
            buckets=_SECONDS_BUCKETS,
            registry=self.registry,
        )
        self._queue_depth = Scraped(
            GaugeMetricFamily, "barnabeenet_queue_depth", "Pieces of work that wait for their turn", ("priority",)
        )
        self.registry.register(self._queue_depth)

    def _add_connections(self) -> None:
        self.connections = Gauge(
            "barnabeenet_connections", "Conversations that are open", ["listener"], registry=self.registry
        )
        self._wrong_proofs = Scraped(
            CounterMetricFamily, "barnabeenet_hello_wrong_proofs", "Hellos with a wrong token since the start"
        )
        self._strangers = Scraped(
            GaugeMetricFamily, "barnabeenet_connections_without_hello", "Connections that prove no token yet"
        )
        self.registry.register(self._wrong_proofs)
        self.registry.register(self._strangers)
        self._http_requests = Counter(
            "barnabeenet_http_requests", "Requests for HTTP endpoints", ["endpoint", "status"], registry=self.registry
        )

    # Read at every scrape

    def observe_hellos(self, wrong_proofs: Callable[[], int], strangers: Callable[[], int]) -> None:
        """Reads these two whenever somebody asks for the metrics."""
        self._wrong_proofs.read = lambda: {(): wrong_proofs()}
        self._strangers.read = lambda: {(): strangers()}

    def observe_queue(self, depth: Callable[[str], int]) -> None:
        """Reads how many wait, by the name of a priority: short, normal or long."""
        self._queue_depth.read = lambda: {(priority,): depth(priority) for priority in PRIORITIES}

    def observe_host(self, status: Callable[[], HostStatus | None]) -> None:
        """Reads how the engine process and the GPU are; None when there is no such process."""
        self._host.status = status

    def observe_models(self, versions: Callable[[], Mapping[str, str]]) -> None:
        """Reads which version of each model serves."""
        self._model_info.read = lambda: dict.fromkeys(versions().items(), 1.0)

    # Told when it happens

    def observe_engine(self, capability: str, *, ready: bool, load_s: float) -> None:
        """Tells whether a capability is there and how long loading it took."""
        self._engine_ready.labels(capability).set(ready)
        self._engine_load_seconds.labels(capability).set(load_s)

    def fell_back(self, failed: str, following: str) -> None:
        """Counts a request that one engine could not do and another took over."""
        self._fallbacks.labels(failed, following).inc()

    def queue_wait(self, priority: str, kind: str, seconds: float) -> None:
        """Counts one wait for a turn: of a priority (short, normal or long) and a kind (recognition or synthesis)."""
        self._queue_wait.labels(priority, kind).observe(seconds)
        self.latencies.record(QUEUE_KIND, priority, seconds * 1000)

    def wake_detected(self, name: str) -> None:
        """Counts a wake word that was heard; `name` is its model's."""
        self._wake_detections.labels(name).inc()

    def voice_print(self, outcome: str) -> None:
        """Counts a speaker's voice that was asked for beside the words: printed, too_little, late or failed."""
        self._voice_prints.labels(outcome).inc()

    def config_reloaded(self, outcome: Literal["taken", "refused"]) -> None:
        """Counts a changed configuration."""
        self._config_reloads.labels(outcome).inc()

    def http_request(self, endpoint: str, status: int) -> None:
        """Counts an answer of an HTTP endpoint; `endpoint` is one of ours, never what a stranger made up."""
        self._http_requests.labels(endpoint, str(status)).inc()

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
                    self.latencies.record(kind, stage, milliseconds)

    def exposition(self) -> bytes:
        """All samples in Prometheus' text format."""
        return generate_latest(self.registry)


class RequestMeter:
    """What became of one request."""

    def __init__(self) -> None:
        self.outcome = "ok"
        self.stages: dict[str, float] = {}
