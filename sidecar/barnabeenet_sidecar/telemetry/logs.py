"""The log on stderr: its level, its format, and how much of a home it may show."""

from __future__ import annotations

from collections.abc import Mapping
import logging
import os
import sys
from typing import Final, Literal, TypeAlias

from . import content
from .log_format import OWN, JsonFormatter, TextFormatter

Format: TypeAlias = Literal["auto", "text", "json"]

# For an error that was raised outside of requests: its words are logged, as they can hold nothing of a home's.
HARMLESS: Final[Mapping[str, object]] = {"harmless": True}

_CHILD_VARIABLE: Final = "BARNABEENET_CHILD_LOG"
# No child has any use for it.
_NOT_INHERITED: Final = "BARNABEENET_TOKEN"
_QUIET_LIBRARIES: Final = ("asyncio", "aiohttp.access", "zeroconf")


def configure(level: str, log_format: Format = "auto", *, log_content: bool = False) -> None:
    """Sends every line of at least this level to stderr; may be called again at any time.

    `level` is debug, info, warning or error; "auto" is text on a terminal and JSON elsewhere. Libraries are heard from
    warnings on, as their other lines may quote what they work on, unless content is asked for.
    """
    content.show(log_content)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if is_json(log_format) else TextFormatter())
    handler.addFilter(_is_wanted)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Their debug lines would drown ours, and multicast troubles are told once by net/discovery.
    for library in _QUIET_LIBRARIES:
        logging.getLogger(library).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))


def is_json(log_format: Format) -> bool:
    """Whether lines are JSON."""
    return log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())


def child_environment() -> dict[str, str]:
    """The environment for a child process of ours, whose log is to look like this one's (`configure_child`), without the token."""
    root = logging.getLogger()
    as_json = any(isinstance(handler.formatter, JsonFormatter) for handler in root.handlers)
    level = logging.getLevelName(root.level).lower()
    words = (level, "json" if as_json else "text", "content" if content.is_shown() else "")
    inherited = {name: value for name, value in os.environ.items() if name != _NOT_INHERITED}
    return {**inherited, _CHILD_VARIABLE: " ".join(words)}


def configure_child() -> None:
    """In a child process: logs as its parent did when it started it; warnings alone when nobody said how."""
    level, log_format, *rest = os.environ.get(_CHILD_VARIABLE, "warning text").split()
    configure(level, "json" if log_format == "json" else "text", log_content="content" in rest)


def _is_wanted(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or content.is_shown() or record.name.partition(".")[0] == OWN
