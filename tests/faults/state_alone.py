"""Makes the integration's `state` importable without Home Assistant, which takes seconds: for processes to be killed."""

from __future__ import annotations

from pathlib import Path
import sys
from types import ModuleType

PACKAGE = "custom_components.barnabeenet"

if PACKAGE not in sys.modules:
    package = ModuleType(PACKAGE)
    package.__path__ = [str(Path(__file__).resolve().parents[2] / "custom_components" / "barnabeenet")]
    sys.modules[PACKAGE] = package
