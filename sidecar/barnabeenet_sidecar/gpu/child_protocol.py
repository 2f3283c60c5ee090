"""What passes between the sidecar and a child process that hosts engines: frames of JSON and raw bytes, over pipes.

To the child: {id, method, value, about} begins a request, about which lines of the log say `about`; {id, credit} asks
for more of its answers, {id, cancel} gives it up, {ping} asks for a sign of life. From the child: {ready} once, {pong},
and for each request any number of {id, value}, of which the last says {last}; or {id, error, text}, which is the last
as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
import json
import struct
from typing import Any, Final, NamedTuple

HEADER_MAX_BYTES: Final = 1024 * 1024
PAYLOAD_MAX_BYTES: Final = 8 * 1024 * 1024
# Answers of a request that may be under way or wait to be taken; a child that is further ahead waits.
CREDIT: Final = 4
_LENGTHS: Final = struct.Struct(">II")


class ProtocolError(ValueError):
    """The other side does not keep the protocol; nothing more can be read from it."""


class Answer(NamedTuple):
    """What an engine answers: small things as JSON, audio and numbers as bytes."""

    value: Mapping[str, Any] = {}
    payload: bytes = b""


class Frame(NamedTuple):
    """One message."""

    header: dict[str, Any]
    payload: bytes


def pack(header: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """A frame; raises ValueError when it is too large or its header is no JSON."""
    encoded = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    _check(len(encoded), len(payload))
    return _LENGTHS.pack(len(encoded), len(payload)) + encoded + payload


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame, or None when the other side has ended, in mid-frame or not; raises ProtocolError."""
    try:
        header_bytes, payload_bytes = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        _check(header_bytes, payload_bytes)
        header = json.loads(await reader.readexactly(header_bytes))
        payload = await reader.readexactly(payload_bytes)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a frame is broken: {error}") from error
    if not isinstance(header, dict):
        raise ProtocolError("a frame's header is no object")
    return Frame(header, payload)


def _check(header_bytes: int, payload_bytes: int) -> None:
    if header_bytes > HEADER_MAX_BYTES:
        raise ValueError(f"a header of {header_bytes} bytes is more than {HEADER_MAX_BYTES}")
    if payload_bytes > PAYLOAD_MAX_BYTES:
        raise ValueError(f"a payload of {payload_bytes} bytes is more than {PAYLOAD_MAX_BYTES}")
