"""Wake words by openWakeWord's models on the CPU, about 1 % of a core per stream. Opt-in: not for commercial use."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineUnavailable
from .base import SAMPLE_BYTES, SAMPLE_RATE_HZ, EngineInfo, WakeDetection, WakeWordModel
from .package_version import package_version
from .wake_words import Trigger, choose

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_LOGGER = logging.getLogger(__name__)

_PACKAGE: Final = "openwakeword"
# Later versions download their models; without --no-deps this one would bring scikit-learn and scipy, which go unused.
_ADVICE: Final = f"pip install --no-deps {_PACKAGE}==0.4.0"
_LICENCE: Final = "CC-BY-NC-SA-4.0"
_MODELS: Final = ("hey_jarvis", "alexa", "hey_mycroft", "hey_marvin")  # the default first
_THRESHOLD: Final = 0.5

_FRAME_SAMPLES: Final = 1280
_FRAME_MS: Final = _FRAME_SAMPLES * 1000 // SAMPLE_RATE_HZ
_CONTEXT_SAMPLES: Final = 480  # of the frame before, for the spectrogram's overlapping windows
_SPECTRA: Final = 76  # in the window of one embedding; 8 new ones per frame
_BANDS: Final = 32
_EMBEDDINGS: Final = 16  # in the window of a wake word; one new one per frame
_EMBEDDING_SIZE: Final = 96


@dataclass(frozen=True)
class _Networks:
    """The stateless networks, shared by all streams: audio -> spectra -> embedding -> probability of a word."""

    spectrogram: InferenceSession
    embedding: InferenceSession
    words: dict[str, InferenceSession]


@dataclass(frozen=True)
class _Heard:
    """What a stream remembers of its past: the windows that the networks look at."""

    context: NDArray[np.float32]
    spectra: NDArray[np.float32]
    embeddings: NDArray[np.float32]


_NOTHING_HEARD: Final = _Heard(
    np.zeros(_CONTEXT_SAMPLES, np.float32),
    np.zeros((_SPECTRA, _BANDS), np.float32),
    np.zeros((_EMBEDDINGS, _EMBEDDING_SIZE), np.float32),
)


class OpenWakeWordStream:
    """One stream of 16 kHz audio."""

    def __init__(self, networks: _Networks, names: Sequence[str], heard: _Heard) -> None:
        self._networks = networks
        self._names = names
        self._heard = heard
        self._trigger = Trigger()
        self._rest = b""
        self._heard_ms = 0

    def process(self, pcm: bytes) -> WakeDetection | None:
        """Takes audio of any length; gives the first wake word that it completes, to 80 ms."""
        audio = self._rest + pcm
        frame_bytes = _FRAME_SAMPLES * SAMPLE_BYTES
        whole = len(audio) - len(audio) % frame_bytes
        self._rest = audio[whole:]
        found = None
        for start in range(0, whole, frame_bytes):
            self._heard_ms += _FRAME_MS
            self.hear(np.frombuffer(audio, "<i2", _FRAME_SAMPLES, start).astype(np.float32))
            fired = [name for name in self._names if self._probability(name) > _THRESHOLD]
            if fired:
                detection = self._trigger.fire(fired[0], self._heard_ms)
                found = found or detection
        return found

    def hear(self, frame: NDArray[np.float32]) -> _Heard:
        """Takes one frame of samples; what is remembered after it."""
        before = self._heard
        samples = np.concatenate((before.context, frame))
        decibels = self._networks.spectrogram.run(None, {"input": samples[None]})[0].reshape(-1, _BANDS)
        # The scale that Google's speech embedding was trained on.
        spectra = np.concatenate((before.spectra, decibels / 10 + 2))[-_SPECTRA:]
        embedding = self._networks.embedding.run(None, {"input_1": spectra[None, :, :, None]})[0]
        embeddings = np.concatenate((before.embeddings, embedding.reshape(1, -1)))[-_EMBEDDINGS:]
        self._heard = _Heard(frame[-_CONTEXT_SAMPLES:], spectra, embeddings)
        return self._heard

    def _probability(self, name: str) -> float:
        word = self._networks.words[name]
        return float(word.run(None, {word.get_inputs()[0].name: self._heard.embeddings[None]})[0].item())


class OpenWakeWord:
    """Hears "hey Jarvis", "Alexa", "hey Mycroft" and "hey Marvin"; its user must accept the models' licence."""

    def __init__(self) -> None:
        self._networks: _Networks | None = None
        self._silence = _NOTHING_HEARD

    @property
    def info(self) -> EngineInfo:
        """Who this engine is."""
        return EngineInfo(
            name="openwakeword",
            description="openWakeWord: wake words on the CPU; models for non-commercial use only",
            version=package_version(_PACKAGE),
            languages=("en",),
            author="David Scripka",
            url="https://github.com/dscripka/openWakeWord",
            licence=_LICENCE,
        )

    @property
    def models(self) -> Sequence[WakeWordModel]:
        """The wake words that are here, known after `load`; the first is the default."""
        names = self._networks.words if self._networks else ()
        return [WakeWordModel(name, name.replace("_", " ").title(), ("en",)) for name in names]

    async def load(self) -> None:
        """Loads the models and runs them; raises EngineUnavailable."""
        self._networks, self._silence = await asyncio.to_thread(_load)
        _LOGGER.warning("openWakeWord's models are licensed %s: not for commercial use", _LICENCE)

    async def close(self) -> None:
        """Frees the models as soon as the last stream is gone."""
        self._networks = None

    def stream(self, names: Sequence[str] | None) -> OpenWakeWordStream:
        """Begins a stream for some wake words (None: the default); raises Unsupported for an unknown one."""
        chosen = choose(names, self.models)
        assert self._networks is not None
        return OpenWakeWordStream(self._networks, chosen, self._silence)


def _load() -> tuple[_Networks, _Heard]:
    """The networks, and what a stream remembers of silence: one that remembers nothing hears words at its start."""
    spec = find_spec(_PACKAGE)  # its files alone: importing it would need scikit-learn
    if spec is None or spec.origin is None:
        raise EngineUnavailable(f"openWakeWord is not installed; to use its models ({_LICENCE}): {_ADVICE}")
    folder = Path(spec.origin).parent / "resources" / "models"
    try:
        networks = _Networks(
            _session(folder / "melspectrogram.onnx"),
            _session(folder / "embedding_model.onnx"),
            {name: _session(folder / f"{name}_v0.1.onnx") for name in _MODELS},
        )
        stream = OpenWakeWordStream(networks, _MODELS, _NOTHING_HEARD)
        stream.process(bytes(_FRAME_SAMPLES * SAMPLE_BYTES))
        for _ in range(_EMBEDDINGS + _SPECTRA // 8):
            silence = stream.hear(np.zeros(_FRAME_SAMPLES, np.float32))
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineUnavailable(f"openWakeWord's models cannot be loaded ({error}): {_ADVICE}") from error
    return networks, silence


def _session(path: Path) -> InferenceSession:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as failures

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (failures.NoSuchFile, failures.InvalidProtobuf, failures.InvalidGraph, failures.Fail) as error:
        raise OSError(f"{path.name}: {error}") from error
