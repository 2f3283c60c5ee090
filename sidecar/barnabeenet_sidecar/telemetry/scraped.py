"""Samples that are read at the moment of a scrape and kept nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector


class Scraped(Collector):
    """A family whose samples are asked for at each scrape, by label values; none before `read` is set."""

    def __init__(
        self,
        family: type[CounterMetricFamily | GaugeMetricFamily],
        name: str,
        help_text: str,
        labels: Iterable[str] = (),
    ) -> None:
        self._family, self._name, self._help, self._labels = family, name, help_text, tuple(labels)
        self.read: Callable[[], Mapping[tuple[str, ...], float]] | None = None

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """The family, empty or not."""
        family = self._family(self._name, self._help, labels=self._labels)
        for labels, value in (self.read() if self.read else {}).items():
            family.add_metric(labels, value)
        yield family
