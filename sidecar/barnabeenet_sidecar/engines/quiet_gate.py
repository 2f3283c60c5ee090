"""Whether anything happens in a stream of audio: in a room where nothing does, nobody need listen for words."""

from __future__ import annotations

from typing import Final

import numpy as np

from .base import SAMPLE_BYTES, SAMPLE_RATE_HZ

# What Home Assistant sends at a time, four steps of a wake word's network.
BLOCK_MS: Final = 120
BLOCK_BYTES: Final = BLOCK_MS * SAMPLE_RATE_HZ // 1000 * SAMPLE_BYTES
# No speech keeps one level for so long, not within so little; the noise of a room does.
_STEADY_BLOCKS: Final = 1_500 // BLOCK_MS
_STEADY_RATIO: Final = 10 ** (3.0 / 10)
# Above the loudest of those blocks. With it words are heard down to where their noise is as loud as they are.
_LOUDER_RATIO: Final = 10 ** (0.7 / 10)
# A room that grows louder over seconds does not wake anybody.
_FLOOR_BLOCKS: Final = 32
# Of the last bit, so that digital silence has a level too.
_LEAST_POWER: Final = 1.0


class QuietGate:
    """Watches one stream of 16 kHz audio in blocks of 120 ms."""

    def __init__(self) -> None:
        self.is_quiet = False
        # Words are loud beside a room's rumble where the sound changes fast, and beside its hiss where it does not.
        self._levels = (_Level(), _Level())

    def watch(self, block: bytes) -> bool:
        """Takes the next block; whether the room is quiet: steady for 1.5 s, and not louder since."""
        samples = np.frombuffer(block, "<i2").astype(np.float32)
        changes = samples[1:] - samples[:-1]
        plain, fast = self._levels
        power, fast_power = float(samples @ samples) + _LEAST_POWER, float(changes @ changes) + _LEAST_POWER
        if self.is_quiet:
            self.is_quiet = plain.stays(power) and fast.stays(fast_power)
        else:
            steady_blocks = min(plain.follow(power), fast.follow(fast_power))
            self.is_quiet = steady_blocks >= _STEADY_BLOCKS
            if self.is_quiet:
                plain.settle()
                fast.settle()
        return self.is_quiet


class _Level:
    """The power of the last blocks that were alike, in one of the two ways to measure it."""

    def __init__(self) -> None:
        self._blocks = 0
        self._sum = self._least = self._most = 0.0
        self._mean = self._ratio = 0.0

    def follow(self, power: float) -> int:
        """Takes the next block; how many in a row were alike, with this one."""
        if not self._blocks or power > self._least * _STEADY_RATIO or power * _STEADY_RATIO < self._most:
            self._blocks, self._sum, self._least, self._most = 1, power, power, power
            return 1
        self._blocks += 1
        self._sum += power
        self._least, self._most = min(self._least, power), max(self._most, power)
        return self._blocks

    def settle(self) -> None:
        """Takes the blocks for the room; the next time of steadiness begins anew."""
        self._mean = self._sum / self._blocks
        self._ratio = self._most / self._mean * _LOUDER_RATIO
        self._blocks = 0

    def stays(self, power: float) -> bool:
        """Whether the next block is no louder than the room, which is followed slowly."""
        if power > self._mean * self._ratio:
            return False
        self._mean += (power - self._mean) / _FLOOR_BLOCKS
        return True
