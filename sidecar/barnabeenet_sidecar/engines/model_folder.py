"""The folder of a model's files, as the model store verified it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import EngineUnavailable
from .device import Device


@dataclass(frozen=True)
class ModelFolder:
    """A model by its name in the store, and where its files are; nothing here ever downloads."""

    name: str
    path: Path

    @property
    def version(self) -> str:
        """The version of the files: the store gives each a folder of its own."""
        return self.path.name

    def file(self, *names: str) -> Path:
        """The first of some files that is here; raises EngineUnavailable."""
        for name in names:
            if (path := self.path / name).is_file():
                return path
        raise self.unusable(f"{' or '.join(names)} is not in {self.path}")

    def precision(self, stem: str, device: Device) -> str:
        """The best precision for a device among STEM.onnx, STEM.int8.onnx and so on; raises EngineUnavailable."""
        here = [precision for precision in ("", "fp16", "int8") if (self.path / onnx_file(stem, precision)).is_file()]
        best = [precision for precision in device.precisions if precision in here]
        if not here:
            raise self.unusable(f"{onnx_file(stem)} is not in {self.path}")
        return (best or here)[0]

    def unusable(self, reason: str) -> EngineUnavailable:
        """The error to raise when the files cannot be used."""
        return EngineUnavailable(f"{reason}: barnabeenet-sidecar models pull {self.name}")


def onnx_file(stem: str, precision: str = "") -> str:
    """The name of an ONNX file in a precision; "" is the model's own."""
    return f"{stem}.{precision}.onnx" if precision else f"{stem}.onnx"


def library_missing(engine: str, error: ImportError) -> EngineUnavailable:
    """The error to raise when an engine's library cannot be imported."""
    return EngineUnavailable(f"{engine} needs more libraries ({error}): pip install 'barnabeenet-sidecar[models]'")
