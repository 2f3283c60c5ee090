"""Speech to text with OpenAI's Whisper: 99 languages; the fallback of a faster recogniser.

Bias words are put into its prompt as hot words, as many as fit.
"""

from __future__ import annotations

from typing import ClassVar, Final

from .base import EngineInfo
from .batch_speech_to_text import BatchSpeechToText, Decoder
from .device import Device, ctranslate2_device
from .package_version import package_version

_PACKAGE: Final = "faster-whisper"


class Whisper(BatchSpeechToText):
    """Recognises with one model, in 16-bit float on a GPU and in 8 bits on a processor."""

    name: ClassVar[str] = "whisper"

    @property
    def info(self) -> EngineInfo:
        """Who this engine is."""
        return EngineInfo(
            name=self.name,
            description="Whisper: recognises free speech in 99 languages",
            version=package_version(_PACKAGE),
            languages=self.languages,
            author="OpenAI",
            url="https://github.com/SYSTRAN/faster-whisper",
            licence="MIT",
        )

    def _device(self) -> Device:
        return ctranslate2_device()

    def _open(self, device: Device) -> Decoder:
        from .whisper_decoder import WhisperDecoder

        return WhisperDecoder(self._folder, device)
