"""How long the stages of the last requests took: bounded rings in memory, summed up when somebody asks."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
import math
from typing import Final

KEPT: Final = 512
ALERT_FACTOR: Final = 2.5
# What a stage may take on a machine with a GPU; further up is a warning, ALERT_FACTOR times as much an alert.
BUDGETS_MS: Final[Mapping[tuple[str, str], float]] = {
    ("transcribe", "decode"): 200.0,
    ("synthesize", "first_audio"): 150.0,
}
# Kinds and stages are named by the code; this is for the day when one is not.
_RINGS_MAX: Final = 64


@dataclass(frozen=True)
class Summary:
    """The last requests' times of a stage in milliseconds; `verdict` is ok, warning or alert where there is a budget."""

    count: int
    p50_ms: float
    p95_ms: float
    max_ms: float
    budget_ms: float | None = None
    verdict: str | None = None


class Latencies:
    """The times of the last KEPT requests of each kind and stage."""

    def __init__(self) -> None:
        self._rings: defaultdict[tuple[str, str], deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))

    def record(self, kind: str, stage: str, milliseconds: float) -> None:
        """Adds one time; forgets the oldest one of that stage when there are too many."""
        if (kind, stage) in self._rings or len(self._rings) < _RINGS_MAX:
            self._rings[kind, stage].append(milliseconds)

    def summary(self) -> dict[str, dict[str, Summary]]:
        """By kind, then by stage."""
        summed: dict[str, dict[str, Summary]] = {}
        for (kind, stage), ring in sorted(self._rings.items()):
            summed.setdefault(kind, {})[stage] = summarise(ring, BUDGETS_MS.get((kind, stage)))
        return summed


def summarise(times_ms: Iterable[float], budget_ms: float | None = None) -> Summary:
    """Count, median, 95th percentile (nearest rank) and maximum; the verdict is the 95th percentile's.

    Raises ValueError when there are no times.
    """
    ordered = sorted(times_ms)
    if not ordered:
        raise ValueError("there are no times to sum up")
    p50_ms, p95_ms = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.95))
    verdict = None if budget_ms is None else _verdict(p95_ms, budget_ms)
    return Summary(len(ordered), p50_ms, p95_ms, ordered[-1], budget_ms, verdict)


def _verdict(p95_ms: float, budget_ms: float) -> str:
    if p95_ms <= budget_ms:
        return "ok"
    return "warning" if p95_ms <= ALERT_FACTOR * budget_ms else "alert"
