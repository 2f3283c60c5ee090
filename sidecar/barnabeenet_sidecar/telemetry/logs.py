"""Log lines for people: time, level, component, text, on stderr."""

from __future__ import annotations

import logging
import sys


def configure(level: str) -> None:
    """Sends every log line of at least this level to stderr; `level` is debug, info, warning or error."""
    logging.basicConfig(
        level=level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
        stream=sys.stderr,
        force=True,
    )
    # Their debug lines would drown ours, and multicast troubles are told once by net/discovery.
    for library in ("asyncio", "aiohttp.access", "zeroconf"):
        logging.getLogger(library).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
