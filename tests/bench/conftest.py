"""The benches of the sidecar: what they compute, and that they run."""

from __future__ import annotations

from pathlib import Path
import sys

# Where `script/bench` starts them from.
sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "script"))
