"""What passes between the engine and its worker processes: frames of a kind and a bounded body, over pipes.

Requests are answered in their order by ANSWER or FAILURE; audio is not answered.
"""

from __future__ import annotations

from enum import IntEnum
import struct
from typing import Final

BODY_MAX_BYTES: Final = 8 * 1024 * 1024
AUDIO_MAX_BYTES: Final = 64 * 1024
HEADER: Final = struct.Struct(">BI")


class Kind(IntEnum):
    """The kind of a frame, with what its body is."""

    COMPILE = 1
    """JSON {vocabulary, folder}; answered by a JSON vocabulary report."""
    BEGIN = 2
    """The folder of a compiled vocabulary; answered by nothing, when it is loaded."""
    AUDIO = 3
    """16 kHz audio."""
    PARTIAL = 4
    """Nothing; answered by a JSON transcription."""
    DECODE = 5
    """Nothing; answered by a JSON transcription."""
    END = 6
    """Nothing; forgets the audio and is answered by nothing."""
    ANSWER = 16
    FAILURE = 17
    """JSON {code, text} of an error of ours."""


def pack(kind: Kind, body: bytes = b"") -> bytes:
    """A frame; raises ValueError when its body is too large."""
    if len(body) > BODY_MAX_BYTES:
        raise ValueError(f"{kind.name} has {len(body)} bytes, more than {BODY_MAX_BYTES}")
    return HEADER.pack(kind, len(body)) + body


def unpack_header(header: bytes) -> tuple[Kind, int]:
    """The kind and body length that a header tells; raises ValueError."""
    kind, length = HEADER.unpack(header)
    if length > BODY_MAX_BYTES:
        raise ValueError(f"a frame tells of {length} bytes, more than {BODY_MAX_BYTES}")
    return Kind(kind), length
