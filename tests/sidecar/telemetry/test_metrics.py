"""What a scrape shows, read back with Prometheus' own parser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
import re
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
import pytest

from barnabeenet_sidecar.gpu.nvml import Reading
from barnabeenet_sidecar.gpu.queue import Priority
from barnabeenet_sidecar.gpu.watchdog import Action
from barnabeenet_sidecar.telemetry.metrics import PRIORITIES, Metrics

MIB = 1024 * 1024


@dataclass(frozen=True)
class Host:
    """An engine process on a GPU."""

    device: str = "cuda"
    ready: bool = True
    restarts: int = 2
    loaded: Sequence[str] = ("parakeet", "kokoro")
    claimed_mb: int = 7168
    budget_mb: int = 16_000
    on_cpu: bool = False
    actions: Mapping[Any, int] = field(default_factory=lambda: Counter({Action.UNLOAD: 3}))
    out_of_memory: int = 5
    reading: Reading | None = field(default_factory=lambda: Reading(8000, 16_000, 61, 0.35))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def families(metrics: Metrics) -> list[Any]:
    return list(text_string_to_metric_families(metrics.exposition().decode()))


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """By name and label values, these in the order of their labels' names."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families(metrics)
        for sample in family.samples
    }


def test_every_metric_is_explained_and_its_name_is_canonical(metrics: Metrics) -> None:
    for family in families(metrics):
        assert family.documentation, family.name
        assert family.type != "unknown", family.name
        if family.name.startswith("barnabeenet_") and not family.name.endswith("_latency_ms"):
            assert re.search(r"(?<!seconds)_(ms|mb|minutes|percent)$", family.name) is None, family.name


def test_nothing_is_exposed_but_what_is_meant(metrics: Metrics) -> None:
    assert not [family.name for family in families(metrics) if family.name.endswith("_created")]


def test_a_name_is_exposed_once(metrics: Metrics) -> None:
    names = [family.name for family in families(metrics)]
    assert len(names) == len(set(names))


def test_a_request_is_counted_and_its_stages_are_measured_in_seconds(metrics: Metrics) -> None:
    with metrics.request("synthesize") as meter:
        assert samples(metrics)["barnabeenet_requests_active", ("synthesize",)] == 1
        meter.stages["first_audio"] = 120.0
    shown = samples(metrics)
    assert shown["barnabeenet_requests_active", ("synthesize",)] == 0
    assert shown["barnabeenet_requests_total", ("synthesize", "ok")] == 1
    assert shown["barnabeenet_stage_seconds_sum", ("synthesize", "first_audio")] == pytest.approx(0.12)


def test_a_request_that_breaks_is_counted_with_what_became_of_it(metrics: Metrics) -> None:
    def fail() -> None:
        with metrics.request("transcribe") as meter:
            meter.outcome = "engine-failed"
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError):
        fail()
    assert samples(metrics)["barnabeenet_requests_total", ("transcribe", "engine-failed")] == 1


@pytest.mark.parametrize(
    ("kind", "stage", "name"),
    [
        ("transcribe", "decode", "barnabeenet_stt_latency_ms"),
        ("synthesize", "first_audio", "barnabeenet_tts_latency_ms"),
        ("transcribe", "voice", "barnabeenet_speaker_id_latency_ms"),
    ],
)
def test_the_names_in_milliseconds_show_the_same_samples(metrics: Metrics, kind: str, stage: str, name: str) -> None:
    for milliseconds in (4.0, 90.0, 130.0, 70_000.0):
        with metrics.request(kind) as meter:
            meter.stages = {stage: milliseconds, "another": 1.0}
    shown = samples(metrics)
    seconds = {
        key[1][1]: value
        for key, value in shown.items()
        if key[0] == "barnabeenet_stage_seconds_bucket" and stage in key[1]
    }
    in_ms = {key[1][-1]: value for key, value in shown.items() if key[0] == f"{name}_bucket"}
    assert [float(bound) for bound in in_ms] == [pytest.approx(float(bound) * 1000) for bound in seconds]
    assert list(in_ms.values()) == list(seconds.values())
    assert shown[f"{name}_count", ()] == 4
    assert shown[f"{name}_sum", ()] == pytest.approx(70_224)
    assert in_ms["100.0"] == 2


def test_the_names_in_milliseconds_are_there_before_the_first_request(metrics: Metrics) -> None:
    named = {family.name: family.type for family in families(metrics)}
    assert named["barnabeenet_stt_latency_ms"] == "histogram"


def test_the_queue_is_asked_at_the_moment_of_the_scrape(metrics: Metrics) -> None:
    waiting = {"short": 0, "normal": 2, "long": 5}
    metrics.observe_queue(waiting.__getitem__)
    waiting["short"] = 1
    shown = samples(metrics)
    assert [shown["barnabeenet_queue_depth", (priority,)] for priority in PRIORITIES] == [1, 2, 5]


def test_the_names_of_the_priorities_are_the_queue_s() -> None:
    assert list(PRIORITIES) == [priority.name.lower() for priority in Priority]


def test_waits_are_measured_by_priority_and_kind_and_kept_for_the_breakdown(metrics: Metrics) -> None:
    metrics.queue_wait("short", "recognition", 0.02)
    metrics.queue_wait("short", "synthesis", 0.04)
    shown = samples(metrics)
    assert shown["barnabeenet_queue_wait_seconds_sum", ("recognition", "short")] == pytest.approx(0.02)
    assert shown["barnabeenet_queue_wait_seconds_count", ("synthesis", "short")] == 1
    summary = metrics.latencies.summary()["queue"]["short"]
    assert (summary.count, summary.max_ms) == (2, pytest.approx(40))


def test_the_engine_process_and_the_gpu_are_shown_in_base_units(metrics: Metrics) -> None:
    metrics.observe_host(Host)
    shown = samples(metrics)
    assert shown["barnabeenet_engine_process_up", ()] == 1
    assert shown["barnabeenet_engine_process_restarts_total", ()] == 2
    assert shown["barnabeenet_engines_on_cpu", ()] == 0
    assert shown["barnabeenet_oom_recoveries_total", ()] == 5
    assert shown["barnabeenet_watchdog_actions_total", ("unload",)] == 3
    assert shown["barnabeenet_model_loaded", ("kokoro",)] == 1
    assert shown["barnabeenet_vram_claimed_bytes", ()] == 7168 * MIB
    assert shown["barnabeenet_vram_budget_bytes", ()] == 16_000 * MIB
    assert shown["barnabeenet_gpu_memory_used_bytes", ()] == 8000 * MIB
    assert shown["barnabeenet_gpu_memory_total_bytes", ()] == 16_000 * MIB
    assert shown["barnabeenet_gpu_temperature_celsius", ()] == 61
    assert shown["barnabeenet_gpu_utilisation_ratio", ()] == 0.35


def test_figures_that_a_driver_does_not_tell_are_left_out(metrics: Metrics) -> None:
    metrics.observe_host(lambda: Host(reading=Reading(1, 2)))
    shown = samples(metrics)
    assert ("barnabeenet_gpu_memory_used_bytes", ()) in shown
    assert ("barnabeenet_gpu_temperature_celsius", ()) not in shown
    assert ("barnabeenet_gpu_utilisation_ratio", ()) not in shown


def test_without_a_gpu_or_an_engine_process_their_metrics_are_named_but_empty(metrics: Metrics) -> None:
    empty = {family.name for family in families(metrics) if not family.samples}
    assert {"barnabeenet_engine_process_up", "barnabeenet_gpu_temperature_celsius"} <= empty
    metrics.observe_host(lambda: Host(reading=None))
    empty = {family.name for family in families(metrics) if not family.samples}
    assert "barnabeenet_engine_process_up" not in empty
    assert "barnabeenet_gpu_temperature_celsius" in empty


def test_actions_may_be_counted_by_name_too(metrics: Metrics) -> None:
    class Other(Enum):
        RESTART = "restart"

    metrics.observe_host(lambda: Host(actions={"to_cpu": 1, Other.RESTART: 4}))
    shown = samples(metrics)
    assert shown["barnabeenet_watchdog_actions_total", ("to_cpu",)] == 1
    assert shown["barnabeenet_watchdog_actions_total", ("restart",)] == 4


def test_a_model_that_was_changed_is_shown_in_its_new_version_alone(metrics: Metrics) -> None:
    serving = {"kokoro-82m-v1.0": "1", "minilm-l6-v2": "1"}
    metrics.observe_models(lambda: serving)
    metrics.exposition()
    serving = {"kokoro-82m-v1.0": "2"}
    shown = [key for key in samples(metrics) if key[0] == "barnabeenet_model_info"]
    assert shown == [("barnabeenet_model_info", ("kokoro-82m-v1.0", "2"))]


def test_what_happens_now_and_then_is_counted(metrics: Metrics) -> None:
    metrics.wake_detected("okay_nabu")
    metrics.config_reloaded("refused")
    metrics.http_request("/ready", 503)
    metrics.observe_engine("speech synthesis", ready=True, load_s=1.5)
    metrics.observe_hellos(lambda: 7, lambda: 1)
    shown = samples(metrics)
    assert shown["barnabeenet_wake_detections_total", ("okay_nabu",)] == 1
    assert shown["barnabeenet_config_reloads_total", ("refused",)] == 1
    assert shown["barnabeenet_http_requests_total", ("/ready", "503")] == 1
    assert shown["barnabeenet_engine_load_seconds", ("speech synthesis",)] == 1.5
    assert shown["barnabeenet_hello_wrong_proofs_total", ()] == 7
    assert shown["barnabeenet_connections_without_hello", ()] == 1
