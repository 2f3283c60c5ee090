"""The `barnabeenet_*_latency_ms` names that older dashboards ask for, over the samples of the canonical histograms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import math
from typing import Final

from prometheus_client import Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_MS_PER_S: Final = 1000
# Each is one stage of one kind of request.
LATENCIES_MS: Final[Mapping[str, tuple[str, str]]] = {
    "barnabeenet_stt_latency_ms": ("transcribe", "decode"),
    "barnabeenet_tts_latency_ms": ("synthesize", "first_audio"),
    "barnabeenet_speaker_id_latency_ms": ("transcribe", "voice"),
}


class LatencyMs(Collector):
    """Reads the histogram of the stages (labels kind and stage, in seconds) anew at every scrape."""

    def __init__(self, stage_seconds: Histogram) -> None:
        self._stage_seconds = stage_seconds

    def collect(self) -> Iterable[Metric]:
        """One histogram in milliseconds for each of the names; empty until there was such a request."""
        samples = [sample for family in self._stage_seconds.collect() for sample in family.samples]
        for name, (kind, stage) in LATENCIES_MS.items():
            family = HistogramMetricFamily(name, f"The stage {stage} of {kind} in ms: barnabeenet_stage_seconds")
            own = [each for each in samples if (each.labels["kind"], each.labels["stage"]) == (kind, stage)]
            if own:
                buckets = [(_in_ms(each.labels["le"]), each.value) for each in own if each.name.endswith("_bucket")]
                seconds = next(each.value for each in own if each.name.endswith("_sum"))
                family.add_metric([], buckets, seconds * _MS_PER_S)
            yield family


def _in_ms(seconds: str) -> str:
    bound = float(seconds)
    return "+Inf" if math.isinf(bound) else str(round(bound * _MS_PER_S, 6))
