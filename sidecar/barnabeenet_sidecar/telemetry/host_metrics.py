"""What the engine process and the GPU say of themselves, read whenever somebody asks for the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_MB: Final = 1024 * 1024


class GpuReading(Protocol):
    """A GPU at one moment; None is a figure that its driver does not tell."""

    @property
    def memory_used_mb(self) -> int:
        """In use, by whomever."""

    @property
    def memory_total_mb(self) -> int:
        """What there is."""

    @property
    def temperature_c(self) -> int | None:
        """How hot it is."""

    @property
    def utilisation(self) -> float | None:
        """How busy it is, from 0 to 1."""


class HostStatus(Protocol):
    """How the engine process is."""

    @property
    def device(self) -> str:
        """Where its engines run."""

    @property
    def ready(self) -> bool:
        """Whether it serves."""

    @property
    def restarts(self) -> int:
        """How often it was started again."""

    @property
    def loaded(self) -> Iterable[str]:
        """The models in memory."""

    @property
    def claimed_mb(self) -> int:
        """What the loaded models were granted."""

    @property
    def budget_mb(self) -> int:
        """What models may take in all."""

    @property
    def on_cpu(self) -> bool:
        """Whether its engines run on the processor."""

    @property
    def actions(self) -> Mapping[Any, int]:
        """What the watchdog did, and how often."""

    @property
    def out_of_memory(self) -> int:
        """How often the GPU's memory was full."""

    @property
    def reading(self) -> GpuReading | None:
        """The GPU when it was last asked; None without one."""


def is_shunned(status: HostStatus) -> bool:
    """Whether the watchdog sent the engines away from the GPU and has not called them back."""
    actions = _by_name(status.actions)
    return actions.get("to_cpu", 0) > actions.get("to_gpu", 0)


def _by_name(actions: Mapping[Any, int]) -> dict[str, int]:
    return {str(action.value) if isinstance(action, Enum) else str(action): times for action, times in actions.items()}


class HostCollector(Collector):
    """Samples of the engine process; none while there is no such process."""

    def __init__(self) -> None:
        self.status: Callable[[], HostStatus | None] | None = None

    def collect(self) -> Iterable[Metric]:
        """All families, also the empty ones: what is there to be watched is always named."""
        status = self.status() if self.status else None
        return [*_process(status), *_memory(status), *_gpu(status.reading if status else None)]


def _process(status: HostStatus | None) -> Iterable[Metric]:
    up = GaugeMetricFamily("barnabeenet_engine_process_up", "Whether the engine process serves")
    restarts = CounterMetricFamily("barnabeenet_engine_process_restarts", "Engine processes started again")
    on_cpu = GaugeMetricFamily(
        "barnabeenet_engines_on_cpu", "Whether the engines of the engine process run on the processor"
    )
    actions = CounterMetricFamily("barnabeenet_watchdog_actions", "What the GPU's watchdog did", labels=["action"])
    recoveries = CounterMetricFamily(
        "barnabeenet_oom_recoveries",
        "How often the GPU's memory was full, and room was made or the processor took over",
    )
    if status is not None:
        up.add_metric([], status.ready)
        restarts.add_metric([], status.restarts)
        on_cpu.add_metric([], status.on_cpu)
        recoveries.add_metric([], status.out_of_memory)
        for action, times in _by_name(status.actions).items():
            actions.add_metric([action], times)
    return up, restarts, on_cpu, actions, recoveries


def _memory(status: HostStatus | None) -> Iterable[Metric]:
    loaded = GaugeMetricFamily("barnabeenet_model_loaded", "Models in the engine process's memory", labels=["model"])
    claimed = GaugeMetricFamily("barnabeenet_vram_claimed_bytes", "GPU memory set aside for the loaded models")
    budget = GaugeMetricFamily("barnabeenet_vram_budget_bytes", "GPU memory that models may take in all")
    if status is not None:
        for model in status.loaded:
            loaded.add_metric([model], 1)
        claimed.add_metric([], status.claimed_mb * _MB)
        budget.add_metric([], status.budget_mb * _MB)
    return loaded, claimed, budget


def _gpu(reading: GpuReading | None) -> Iterable[Metric]:
    used = GaugeMetricFamily("barnabeenet_gpu_memory_used_bytes", "GPU memory in use, by whomever")
    total = GaugeMetricFamily("barnabeenet_gpu_memory_total_bytes", "GPU memory there is")
    temperature = GaugeMetricFamily("barnabeenet_gpu_temperature_celsius", "How hot the GPU is")
    utilisation = GaugeMetricFamily("barnabeenet_gpu_utilisation_ratio", "How busy the GPU is, from 0 to 1")
    if reading is not None:
        used.add_metric([], reading.memory_used_mb * _MB)
        total.add_metric([], reading.memory_total_mb * _MB)
        if reading.temperature_c is not None:
            temperature.add_metric([], reading.temperature_c)
        if reading.utilisation is not None:
            utilisation.add_metric([], reading.utilisation)
    return used, total, temperature, utilisation
