"""How long an address must wait after wrong proofs of the token."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
import time
from typing import Final

GUESSES_BEFORE_BACKOFF: Final = 5
GUESSES_WINDOW_S: Final = 60.0
BACKOFF_FIRST_S: Final = 1.0
BACKOFF_MAX_S: Final = 60.0
ADDRESSES_MAX: Final = 1024


@dataclass
class _Guesses:
    at_s: deque[float] = field(default_factory=lambda: deque(maxlen=GUESSES_BEFORE_BACKOFF))
    delay_s: float = 0.0
    blocked_until_s: float = 0.0


class Backoff:
    """Counts wrong proofs per address, in a table of bounded size; `clock` is monotonic seconds.

    The fifth wrong proof within a minute blocks the address for 1 s, each further one for twice as long, up to 60 s. A
    minute without a wrong proof after the block, or a right proof, forgets the address. When the table is full, the
    address whose last wrong proof is the oldest is forgotten.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guesses: OrderedDict[str, _Guesses] = OrderedDict()

    def __len__(self) -> int:
        return len(self._guesses)

    def remaining_s(self, address: str) -> float:
        """Seconds for which the address is still refused; 0 when it may try."""
        guesses = self._guesses.get(address)
        return max(0.0, guesses.blocked_until_s - self._clock()) if guesses else 0.0

    def record_wrong_proof(self, address: str) -> None:
        """Counts a wrong proof."""
        now_s = self._clock()
        guesses = self._guesses.pop(address, None)
        if guesses is None or self._is_forgotten(guesses, now_s):
            guesses = _Guesses()
        guesses.at_s.append(now_s)
        if guesses.delay_s or self._is_burst(guesses, now_s):
            guesses.delay_s = min(BACKOFF_MAX_S, guesses.delay_s * 2 or BACKOFF_FIRST_S)
            guesses.blocked_until_s = now_s + guesses.delay_s
        self._guesses[address] = guesses
        if len(self._guesses) > ADDRESSES_MAX:
            self._guesses.popitem(last=False)

    def clear(self, address: str) -> None:
        """Forgets the address: it has proved the token."""
        self._guesses.pop(address, None)

    @staticmethod
    def _is_forgotten(guesses: _Guesses, now_s: float) -> bool:
        return now_s - max(guesses.at_s[-1], guesses.blocked_until_s) > GUESSES_WINDOW_S

    @staticmethod
    def _is_burst(guesses: _Guesses, now_s: float) -> bool:
        return len(guesses.at_s) == GUESSES_BEFORE_BACKOFF and now_s - guesses.at_s[0] <= GUESSES_WINDOW_S
