"""The Kokoro model through kokoro-onnx, made stoppable; import it only to load a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import logging
from pathlib import Path
import re
from typing import Any, Final

from kokoro_onnx import Kokoro as KokoroOnnx
import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from .device import Device
from .model_folder import ModelFolder, onnx_file
from .model_thread import Stop
from .onnx_run import placement, run_options

_MODEL: Final = "kokoro-v1.0"
_VOICES: Final = "voices-v1.0.bin"
_STYLE_SIZE: Final = 256
# espeak-ng marks where it reads a word by another language's rules; the model would speak the marks.
_LANGUAGE_MARK: Final = re.compile(r"\((?:en|es|fr|hi|it|pt)(?:-[a-z]+)?\)")

Style = NDArray[np.float32]


class StoppableSession:
    """What kokoro-onnx uses of an onnxruntime session, whose work ends when the job is told to stop."""

    def __init__(self, path: Path, device: Device) -> None:
        self._session = InferenceSession(str(path), providers=list(device.providers))
        self._model_path = str(path)  # kokoro-onnx looks for it
        self.stop = Stop()

    def run(self, outputs: Sequence[str] | None, inputs: Mapping[str, Any]) -> Sequence[Any]:
        """Runs the model; raises Stopped before it and onnxruntime's own error within it."""
        self.stop.check()
        answers: Sequence[Any] = self._session.run(outputs, inputs, run_options(self.stop))
        return answers

    def get_inputs(self) -> Sequence[Any]:
        """As onnxruntime's."""
        return list(self._session.get_inputs())

    def get_outputs(self) -> Sequence[Any]:
        """As onnxruntime's."""
        return list(self._session.get_outputs())

    def get_modelmeta(self) -> Any:
        """As onnxruntime's."""
        return self._session.get_modelmeta()

    def get_providers(self) -> Sequence[str]:
        """As onnxruntime's."""
        return list(self._session.get_providers())


class KokoroModel:
    """A loaded model and its voices. It blocks, and is used by one thread at a time."""

    def __init__(self, folder: ModelFolder, device: Device) -> None:
        """Loads them; raises EngineUnavailable for a missing file, ValueError for a damaged one, or onnxruntime's."""
        # It counts words otherwise than espeak-ng does, and warns of every difference.
        logging.getLogger("phonemizer").setLevel(logging.ERROR)
        # What it has to say goes into the sidecar's own log.
        logging.getLogger("kokoro_onnx").handlers.clear()
        voices = folder.file(_VOICES)
        precision = folder.precision(_MODEL, device)
        self._session = StoppableSession(folder.file(onnx_file(_MODEL, precision)), device)
        self.styles = _read_styles(voices)
        self._kokoro = KokoroOnnx.from_session(self._session, str(voices))
        # It would read each voice anew from the file, which it keeps open.
        archive: Any = self._kokoro.voices
        archive.close()
        self.placement = placement(self._session, device, precision)

    def speak(self, sentence: str, voice: str, espeak_language: str, stop: Stop) -> bytes:
        """A sentence at 24 kHz, nothing when it has no sound; raises Stopped, or what the libraries raise."""
        stop.check()
        phonemes = _LANGUAGE_MARK.sub("", self._kokoro.tokenizer.phonemize(sentence, espeak_language))
        if not any(phoneme.isalpha() for phoneme in phonemes):
            return b""
        self._session.stop = stop
        audio, _ = self._kokoro.create(phonemes, self.styles[voice], speed=1.0, is_phonemes=True, trim=False)
        samples = np.clip(np.nan_to_num(audio), -1, 1) * 32_767
        return bytes(samples.astype("<i2").tobytes())


def _read_styles(path: Path) -> dict[str, Style]:
    """A voice's styles, one per length of a sentence; raises ValueError or what zipfile raises."""
    with path.open("rb") as file, np.load(file) as archive:
        styles = {str(name): np.asarray(archive[name], np.float32) for name in archive}
    for name, style in styles.items():
        if style.ndim != 3 or not len(style) or style.shape[1:] != (1, _STYLE_SIZE):
            raise ValueError(f"{path.name}: {name[:64]!r} has the shape {style.shape}, not (any, 1, {_STYLE_SIZE})")
    return styles
