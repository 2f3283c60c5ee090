"""How a line of the log looks: for people, or as one JSON object."""

from __future__ import annotations

from datetime import UTC, datetime
import json
import logging
import re
from typing import Any, Final

from . import content, request_log

OWN: Final = "barnabeenet_sidecar"
# A line that somebody else has a hand in must not be able to look like two, nor to fill the disk.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MESSAGE_MAX_CHARS = 8192
# What a line may say about itself with `extra=`.
_EXTRA = ("stage", "stages", "latency_ms", "outcome", "error")


class TextFormatter(logging.Formatter):
    """Time, level, component, text, and what request it is about in brackets."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback under it where there is one."""
        time = self.formatTime(record, "%Y-%m-%d %H:%M:%S")
        about = " ".join(f"{name}={value}" for name, value in request_log.fields().items())
        line = f"{time} {record.levelname:<7} {record.name}: {_message(record)}{f' [{about}]' if about else ''}"
        return "\n".join(filter(None, (line, _exception(record))))


class JsonFormatter(logging.Formatter):
    """One object a line: timestamp (RFC 3339, UTC), level, component, message, and what else is known."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "component": record.name.removeprefix(f"{OWN}."),
            "message": _message(record),
            **request_log.fields(),
        }
        line |= {name: value for name in _EXTRA if (value := getattr(record, name, None)) is not None}
        if exception := _exception(record):
            line["exception"] = exception
        return json.dumps(line, ensure_ascii=False, default=str)


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.name == "asyncio" and not content.is_shown():
        # What it says next are the words of a lost error, or what a callback was called with.
        text = re.split(r"[\n(<]", text, maxsplit=1)[0]
    return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode(), text[:_MESSAGE_MAX_CHARS])


def _exception(record: logging.LogRecord) -> str:
    """The traceback; an error's words are left out unless content is asked for, or the line says that they are harmless."""
    if not record.exc_info or (error := record.exc_info[1]) is None:
        return ""
    if content.is_shown() or getattr(record, "harmless", False):
        return logging.Formatter().formatException(record.exc_info)
    return content.without_content(error)
