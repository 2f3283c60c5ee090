"""Whether anything happens in a stream of audio: in a room where nothing does, nobody need listen for words."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from .base import SAMPLE_BYTES, SAMPLE_RATE_HZ

# Two steps of a wake word's network.
BLOCK_MS: Final = 60
BLOCK_BYTES: Final = BLOCK_MS * SAMPLE_RATE_HZ // 1000 * SAMPLE_BYTES
# No speech keeps one level for so long, not within so little; the noise of a room does.
_STEADY_BLOCKS: Final = 1_500 // BLOCK_MS
_STEADY_RATIO: Final = 10 ** (3.0 / 10)
# Above the loudest of those blocks. With it words are heard down to where their noise is as loud as they are.
_LOUDER_RATIO: Final = 10 ** (0.5 / 10)
# A room that grows louder over seconds does not wake anybody.
_FLOOR_BLOCKS: Final = 64
# Of the last bit, so that digital silence has a level too.
_LEAST_POWER: Final = 1.0


class QuietGate:
    """Watches one stream of 16 kHz audio in blocks of 60 ms."""

    def __init__(self) -> None:
        self.is_quiet = False
        # Words are loud beside a room's rumble where the sound changes fast, and beside its hiss where it does not.
        self._levels = (_Level(), _Level())

    def watch(self, block: bytes) -> bool:
        """Takes the next block; whether the room is quiet: steady for 1.5 s, and not louder since."""
        samples = np.frombuffer(block, "<i2").astype(np.float32)
        changes = samples[1:] - samples[:-1]
        plain, fast = self._levels
        powers = float(np.dot(samples, samples)) + _LEAST_POWER, float(np.dot(changes, changes)) + _LEAST_POWER
        if self.is_quiet:
            self.is_quiet = plain.stays(powers[0]) and fast.stays(powers[1])
            return self.is_quiet
        plain.powers.append(powers[0])
        fast.powers.append(powers[1])
        if fast.is_steady() and plain.is_steady():
            self.is_quiet = True
            plain.settle()
            fast.settle()
        return self.is_quiet


class _Level:
    """The power of the last blocks, in one of the two ways to measure it."""

    def __init__(self) -> None:
        self.powers: deque[float] = deque(maxlen=_STEADY_BLOCKS)
        self._mean = self._ratio = 0.0

    def is_steady(self) -> bool:
        """Whether there are enough blocks and all of them are alike."""
        return len(self.powers) == _STEADY_BLOCKS and max(self.powers) < min(self.powers) * _STEADY_RATIO

    def settle(self) -> None:
        """Takes the blocks for the room; the next time of steadiness begins anew."""
        self._mean = sum(self.powers) / _STEADY_BLOCKS
        self._ratio = max(self.powers) / self._mean * _LOUDER_RATIO
        self.powers.clear()

    def stays(self, power: float) -> bool:
        """Whether the next block is no louder than the room, which is followed slowly."""
        if power > self._mean * self._ratio:
            return False
        self._mean += (power - self._mean) / _FLOOR_BLOCKS
        return True
