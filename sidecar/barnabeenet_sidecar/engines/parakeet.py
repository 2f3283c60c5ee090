"""Speech to text with NVIDIA's Parakeet TDT: 25 European languages, fast on a GPU and good on a processor.

Bias words are hot words: they are made likelier token by token while it searches (`phrase_boost`).
"""

from __future__ import annotations

from typing import ClassVar, Final

from .base import EngineInfo
from .batch_speech_to_text import BatchSpeechToText, Decoder
from .device import Device, onnx_device
from .package_version import package_version

_PACKAGE: Final = "onnx-asr"


class Parakeet(BatchSpeechToText):
    """Recognises with one model, in float on a GPU and in 8 bits on a processor where those files are there."""

    name: ClassVar[str] = "parakeet"

    @property
    def info(self) -> EngineInfo:
        """Who this engine is."""
        return EngineInfo(
            name=self.name,
            description="Parakeet TDT: recognises free speech in 25 European languages",
            version=package_version(_PACKAGE),
            languages=self.languages,
            author="NVIDIA",
            url="https://github.com/istupakov/onnx-asr",
            licence="CC-BY-4.0",
        )

    def _device(self) -> Device:
        return onnx_device()

    def _open(self, device: Device) -> Decoder:
        from .parakeet_decoder import ParakeetDecoder

        return ParakeetDecoder(self._folder, device)
