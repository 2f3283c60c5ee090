"""What a sidecar says it can do, read with distrust."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wyoming.event import Event
from wyoming.info import Artifact, AsrProgram, Describe, Info, TtsProgram, WakeModel, WakeProgram

from .connection import Connection
from .errors import ProtocolError
from .exchange import Exchange
from .messages import NAME_MAX_CHARS

ENTRIES_MAX: Final = 4096


async def describe(connection: Connection) -> Info:
    """Asks an idle connection what the sidecar can do; raises SidecarError, and the connection is to be closed then."""
    await connection.begin(Describe().event())
    event = await Exchange(connection).expect("info")
    connection.rest()
    return read_info(event)


def read_info(event: Event) -> Info:
    """Wyoming's own reading of an `info` event, which trusts its input, and a check of what we use of it.

    Raises ProtocolError.
    """
    try:
        info = Info.from_event(event)
        for programs in (info.asr, info.tts, info.wake):
            _check_artifacts(programs)
            for program in programs:
                _check_parts(program)
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ProtocolError(f"The sidecar's description of itself cannot be read: {error}") from error
    return info


def _check_parts(program: AsrProgram | TtsProgram | WakeProgram) -> None:
    parts = program.voices if isinstance(program, TtsProgram) else program.models
    _check_artifacts(parts)
    for part in parts:
        _check_names("languages", part.languages)
        if isinstance(part, WakeModel):
            _check_names("phrases", [part.phrase or ""])


def _check_artifacts(artifacts: Sequence[Artifact]) -> None:
    _check_names("names", [artifact.name for artifact in artifacts])
    for artifact in artifacts:
        _check_names("details", [text for text in (artifact.description, artifact.version) if text is not None])
        if not isinstance(artifact.installed, bool):
            raise TypeError("installed must be true or false")


def _check_names(what: str, names: Sequence[str]) -> None:
    if not isinstance(names, list) or len(names) > ENTRIES_MAX:
        raise ValueError(f"{what} must be a list of at most {ENTRIES_MAX}")
    if not all(isinstance(name, str) and len(name) <= NAME_MAX_CHARS for name in names):
        raise ValueError(f"{what} must be text of at most {NAME_MAX_CHARS} characters")
