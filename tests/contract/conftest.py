"""Both sides of the contract, loaded from their files: neither Home Assistant nor the sidecar need be installed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
import importlib.util
import json
from pathlib import Path
import sys
import tracemalloc
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = {
    "integration": ROOT / "custom_components" / "barnabeenet" / "client",
    "sidecar": ROOT / "sidecar" / "barnabeenet_sidecar" / "net",
}


@dataclass(frozen=True)
class Side:
    """One side's twins."""

    name: str
    wire: ModuleType
    messages: ModuleType


def _load(side: str, module: str) -> ModuleType:
    name = f"contract_{side}_{module}"
    spec = importlib.util.spec_from_file_location(name, FOLDERS[side] / f"{module}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


SIDES = {side: Side(side, _load(side, "wire"), _load(side, "messages")) for side in FOLDERS}


@pytest.fixture(params=SIDES.values(), ids=lambda side: side.name)
def side(request: pytest.FixtureRequest) -> Side:
    """Each side in turn."""
    chosen: Side = request.param
    return chosen


@pytest.fixture
def least_peak_bytes() -> Callable[[Callable[[], Awaitable[None]]], Awaitable[int]]:
    """The most memory that is taken at once while something runs, the least of five: other threads take some, too."""

    async def peak_bytes(run: Callable[[], Awaitable[None]]) -> int:
        tracemalloc.start()
        try:
            await run()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    async def least(run: Callable[[], Awaitable[None]]) -> int:
        return min([await peak_bytes(run) for _ in range(5)])

    return least


@pytest.fixture(scope="session")
def twins() -> dict[str, Path]:
    return FOLDERS


@pytest.fixture(scope="session")
def limits() -> dict[str, int]:
    loaded: dict[str, int] = json.loads((ROOT / "contract" / "limits.json").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "contract" / "messages.schema.json").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture
def stream(side: Side) -> Callable[..., asyncio.StreamReader]:
    """Makes a reader in which the bytes have arrived, and the end of the stream unless it is left open."""

    def make(raw: bytes, *, ended: bool = True) -> asyncio.StreamReader:
        reader = asyncio.StreamReader(limit=side.wire.HEADER_MAX_BYTES)
        reader.feed_data(raw)
        if ended:
            reader.feed_eof()
        return reader

    return make
