"""What a bench prints: figures by name, and how they are made of samples."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Sequence
import json
import math
import os
from statistics import median
import subprocess
import sys
from typing import Any, TypeAlias

from home.process import ProcessFailed

from barnabeenet_sidecar.errors import SidecarError

from .client import ClientError

Figures: TypeAlias = dict[str, float]
_FAILURES = (ClientError, ProcessFailed, SidecarError, TimeoutError, OSError, subprocess.CalledProcessError)

# Of all cores: with more work than this beside it, a bench waits for the scheduler.
_BUSY = 0.25


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that so many per cent of all are not above; raises ValueError without samples."""
    if not samples:
        raise ValueError("a percentile needs samples")
    return sorted(samples)[max(0, math.ceil(len(samples) * percent / 100) - 1)]


def spread(name: str, samples_ms: Sequence[float], suffix: str = "") -> Figures:
    """Median and 95th percentile of a time, as `<name>_median<suffix>` and `<name>_p95<suffix>`; raises ProcessFailed."""
    if not samples_ms:
        raise ProcessFailed(f"{name}{suffix}: nothing was answered in all the time; give it more, or a quieter machine")
    return {
        f"{name}_median{suffix}": round(median(samples_ms), 2),
        f"{name}_p95{suffix}": round(percentile(samples_ms, 95), 2),
    }


def note(text: str) -> None:
    """Tells a person at the terminal what goes on, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def table(found: Figures) -> str:
    """The figures for a person, one a line."""
    width = max(len(name) for name in found)
    return "\n".join(f"{name:<{width}}  {value:>10g}" for name, value in found.items())


def main(
    bench: str,
    description: str | None,
    options: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], Coroutine[Any, Any, Figures]],
) -> int:
    """Runs a bench and prints a table, or one JSON object as the last line; returns 0, or 2 when it could not be held."""
    parser = argparse.ArgumentParser(
        prog=f"script/bench {bench}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options(parser)
    asked = parser.parse_args()
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > cores * _BUSY:
        note(f"this machine is busy (load {load:.1f} on {cores} cores): times will be longer than they are")
    try:
        found = asyncio.run(run(asked)) | {"load_before": round(load, 2)}
    except _FAILURES as error:
        note(f"error: {error or type(error).__name__}")
        return 2
    print(json.dumps({"bench": bench, "figures": found}) if asked.json else table(found))
    return 0
