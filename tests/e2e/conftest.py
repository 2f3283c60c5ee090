"""Real processes: a Home Assistant of the demo's kind, a sidecar, and what a user has around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from script.home.stage import Stage, stage


@pytest.fixture
async def on_stage(tmp_path: Path, socket_enabled: None) -> AsyncIterator[Stage]:
    """Home Assistant and sidecar, paired and listening; the sidecar serves any Wyoming client as well."""
    async with stage(tmp_path, plain=True) as on:
        yield on
