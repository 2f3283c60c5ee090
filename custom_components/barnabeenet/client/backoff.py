"""How long to wait before dialling a sidecar again."""

from __future__ import annotations

import random
from typing import Final

from .errors import ContractMismatch, Impostor, SidecarError, Unauthorized

FIRST_S: Final = 0.5
# A sidecar that is back is found within this and the time of one dial.
LONGEST_S: Final = 5.0
# A person must act first: pair anew, update a side.
HOPELESS_S: Final = 60.0

_HOPELESS = (ContractMismatch, Impostor, Unauthorized)


class Backoff:
    """Doubles from FIRST_S to LONGEST_S; each wait is shortened at random, so that many clients do not come at once."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def wait_s(self, error: SidecarError) -> float:
        """Seconds to wait after a failed attempt."""
        if isinstance(error, _HOPELESS):
            return HOPELESS_S
        longest_s, self._next_s = self._next_s, min(self._next_s * 2, LONGEST_S)
        return longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing

    def reset(self) -> None:
        """Call after a success."""
        self._next_s = FIRST_S
