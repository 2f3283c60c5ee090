"""A log that is put back after each test."""

from __future__ import annotations

from collections.abc import Iterator
import logging

import pytest

from barnabeenet_sidecar.telemetry import content

LIBRARIES = ("asyncio", "aiohttp.access", "zeroconf")


@pytest.fixture
def restored_log() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # What pytest has put there would be closed by the configuration of another log.
    root.handlers[:] = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    content.show(False)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.NOTSET)
