"""Parts of the integration that know nothing of Home Assistant, for benches in an environment that does not have it.

They are found in the integration's folder under another name: its own package would bring Home Assistant along.
"""

from __future__ import annotations

import importlib
from pathlib import Path
import sys
from types import ModuleType

_FOLDER = Path(__file__).parent.parent.parent / "custom_components" / "barnabeenet"
_NAME = "barnabeenet_parts"


def part(name: str) -> ModuleType:
    """A module of `client`, `state` or `telemetry`, such as "client.errors"."""
    if _NAME not in sys.modules:
        package = ModuleType(_NAME)
        package.__path__ = [str(_FOLDER)]
        sys.modules[_NAME] = package
    return importlib.import_module(f"{_NAME}.{name}")
