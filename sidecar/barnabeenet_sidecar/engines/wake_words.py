"""What the wake word engines share: which words a request means, and one detection per utterance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..errors import Unsupported
from .base import WakeDetection, WakeWordModel

# A model may be sure of a word for more than a second; it must have been unsure for so long before the next one.
_REARM_MS: Final = 500


def choose(names: Sequence[str] | None, models: Sequence[WakeWordModel]) -> Sequence[str]:
    """The names asked for, each once, or the first model's; raises Unsupported for one that is not here."""
    known = [model.name for model in models]
    if not known:
        raise Unsupported("no wake words are loaded here")
    for name in names or ():
        if name not in known:
            raise Unsupported(f"no wake word {name[:64]!r} here: there are {', '.join(known)}")
    return list(dict.fromkeys(names or known[:1]))


class Trigger:
    """Turns a model's repeated certainty about one utterance into one detection."""

    def __init__(self) -> None:
        self._armed_from_ms = 0

    def fire(self, name: str, at_ms: int) -> WakeDetection | None:
        """A model is sure of a word at this time; a detection when it has not been for a while."""
        armed = at_ms >= self._armed_from_ms
        self._armed_from_ms = at_ms + _REARM_MS
        return WakeDetection(name, at_ms) if armed else None
