"""Silence around speech taken away, so that a reply is heard at once."""

from __future__ import annotations

from typing import Final

import numpy as np

from .pcm import SAMPLE_BYTES

_FRAME_MS: Final = 10
_KEPT_MS: Final = 60  # soft beginnings and endings lie under the level
_AUDIBLE_POWER: Final = 32_768**2 * 10 ** (-50 / 10)  # -50 dBFS


class SilenceTrimmer:
    """Shortens the silence before and after one stream of mono 16-bit speech to 60 ms; pauses within stay."""

    def __init__(self, rate_hz: int) -> None:
        self._frame_bytes = rate_hz * _FRAME_MS // 1000 * SAMPLE_BYTES
        self._kept_bytes = self._frame_bytes * _KEPT_MS // _FRAME_MS
        self._held = b""
        self._searched = 0  # bytes of `_held` that are known to be silent
        self._begun = False

    def feed(self, pcm: bytes) -> bytes:
        """Takes the next audio, of any length; gives what surely belongs to the speech."""
        self._held += pcm
        audible = self._search()
        if audible is None:
            if not self._begun:
                self._forget(self._searched - self._kept_bytes)
            return b""
        first, last = audible
        begin = 0 if self._begun else max(first - self._kept_bytes, 0)
        self._begun = True
        speech = self._held[begin:last]
        self._forget(last)
        return speech

    def finish(self) -> bytes:
        """Ends the stream: what may stay of the silence at its end; nothing when all was silent."""
        return self._held[: self._kept_bytes] if self._begun else b""

    def _search(self) -> tuple[int, int] | None:
        """Where in `_held` the newly completed frames are audible: begin of the first such frame, end of the last."""
        begin = self._searched
        samples = (len(self._held) - begin) // self._frame_bytes * self._frame_bytes // SAMPLE_BYTES
        if not samples:
            return None
        self._searched += samples * SAMPLE_BYTES
        frames = np.frombuffer(self._held, "<i2", samples, begin).astype(np.float32)
        power = np.square(frames).reshape(-1, self._frame_bytes // SAMPLE_BYTES).mean(axis=1)
        audible = np.flatnonzero(power > _AUDIBLE_POWER)
        if not audible.size:
            return None
        return begin + int(audible[0]) * self._frame_bytes, begin + int(audible[-1] + 1) * self._frame_bytes

    def _forget(self, count: int) -> None:
        if count > 0:
            self._held = self._held[count:]
            self._searched -= count
