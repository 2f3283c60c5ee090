"""Voice prints: who may be speaking, as a point among voices. To personalise with, never to authorise with alone.

Resemblyzer's encoder (generalised end-to-end loss, arXiv:1710.10467) on the CPU, without PyTorch: its weights are read
from the package's own file, which takes no import of the package.
"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
import onnxruntime

from ..errors import BadRequest, EngineFailed, EngineUnavailable
from .base import SAMPLE_BYTES, SAMPLE_RATE_HZ, EngineInfo
from .mel_spectrogram import BANDS, HOP_SAMPLES, mel_spectrogram
from .resemblyzer_weights import BadCheckpoint, read_checkpoint

SHORTEST_S: Final = 0.5
LONGEST_S: Final = 60.0
DIMENSIONS: Final = 256

_PACKAGE: Final = "resemblyzer"
_VERSION: Final = "0.1.4"
_WEIGHTS_SHA256: Final = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
_GRAPH: Final = Path(__file__).with_name("voice_print.onnx")
_LAYERS: Final = 3
# An utterance is heard in overlapping parts of 1.6 s, 1.3 of them a second; the last must be three quarters full.
_PART_FRAMES: Final = 160
_PART_STEP_FRAMES: Final = 77
_LAST_PART_COVERAGE: Final = 0.75
_PART_SAMPLES: Final = _PART_FRAMES * HOP_SAMPLES
# A band that the room fills keeps this much of its power: with none at all it would be a sound that no voice makes.
_LEFT_OF_ROOM: Final = 0.02
# Less tells nothing of a room.
_ROOM_MIN_BYTES: Final = SAMPLE_RATE_HZ * SAMPLE_BYTES // 20
_QUIETEST_RMS: Final = 10 ** (-30 / 20)


class ResemblyzerEncoder:
    """Embeds on a thread of its own, several utterances at a time if need be; 5 to 7 ms of one core a second of speech."""

    def __init__(self) -> None:
        self._session: onnxruntime.InferenceSession | None = None

    @property
    def info(self) -> EngineInfo:
        """Who this engine is."""
        return EngineInfo(
            name=_PACKAGE,
            description="Resemblyzer: voice prints of who is speaking",
            version=_VERSION,
            languages=(),
            author="Resemble AI",
            url="https://github.com/resemble-ai/Resemblyzer",
            licence="Apache-2.0",
        )

    async def load(self) -> None:
        """Reads and checks the weights and runs once; raises EngineUnavailable."""
        self._session = await asyncio.to_thread(_load)

    async def close(self) -> None:
        """Frees the weights; safe to call twice."""
        self._session = None

    async def embed(self, pcm: bytes, room: bytes = b"") -> NDArray[np.float32]:
        """A voice's point on the unit sphere, shape (256,); see `base.VoicePrint`."""
        if self._session is None:
            raise EngineFailed("the voice encoder is not loaded")
        return await asyncio.to_thread(_voice_print, self._session, pcm, room)


def _load() -> onnxruntime.InferenceSession:
    path = _weights_path()
    try:
        state = read_checkpoint(path, _WEIGHTS_SHA256)
    except (BadCheckpoint, OSError) as error:
        raise EngineUnavailable(
            f"the voice encoder's weights {path} cannot be used: {error}; "
            f"run pip install --force-reinstall --no-deps {_PACKAGE}=={_VERSION}"
        ) from error
    session = _session(state)
    _embed(session, np.full(_PART_SAMPLES, _QUIETEST_RMS, np.float32))
    return session


def _weights_path() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EngineUnavailable(f"the voice encoder is not installed: pip install --no-deps {_PACKAGE}=={_VERSION}")
    return Path(spec.origin).with_name("pretrained.pt")


def _session(state: dict[str, NDArray[np.float32]]) -> onnxruntime.InferenceSession:
    weights = {"linear.weight": state["linear.weight"], "linear.bias": state["linear.bias"]}
    for layer in range(_LAYERS):
        for name in (f"lstm.weight_ih_l{layer}", f"lstm.weight_hh_l{layer}"):
            weights[name] = _gates_in_order(state[name])[None]
        biases = [_gates_in_order(state[f"lstm.bias_{side}_l{layer}"]) for side in ("ih", "hh")]
        weights[f"lstm.bias_l{layer}"] = np.concatenate(biases)[None]
    options = onnxruntime.SessionOptions()
    # A second thread wins little for such small matrices and takes a core from those who transcribe.
    options.intra_op_num_threads = 1
    options.add_external_initializers(
        list(weights), [onnxruntime.OrtValue.ortvalue_from_numpy(each) for each in weights.values()]
    )
    return onnxruntime.InferenceSession(_GRAPH.read_bytes(), options, providers=["CPUExecutionProvider"])


def _gates_in_order(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """From PyTorch's order of the gates (input, forget, cell, output) to ONNX's (input, output, forget, cell)."""
    into, forget, cell, out = np.split(weights, 4)
    return np.concatenate([into, out, forget, cell])


def _voice_print(session: onnxruntime.InferenceSession, pcm: bytes, room: bytes) -> NDArray[np.float32]:
    _check(pcm)
    samples = _samples(pcm)
    rms = float(np.sqrt(np.mean(np.square(samples))))
    if rms == 0:
        raise BadRequest("a voice print takes speech, and this is silence")
    # The spectrogram is not logarithmic: a quiet voice would be another voice.
    gain = max(1.0, _QUIETEST_RMS / rms)
    if len(samples) < _PART_SAMPLES:
        # The encoder was taught with full parts: half a second and silence is nearly anybody.
        samples = np.resize(samples, _PART_SAMPLES)
    behind = mel_spectrogram(_samples(room) * gain).mean(axis=0) if len(room) >= _ROOM_MIN_BYTES else None
    return _embed(session, samples * gain, behind)


def _check(pcm: bytes) -> None:
    if len(pcm) % SAMPLE_BYTES:
        raise BadRequest("audio must be whole 16-bit samples")
    seconds = len(pcm) / SAMPLE_BYTES / SAMPLE_RATE_HZ
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise BadRequest(f"a voice print takes {SHORTEST_S} to {LONGEST_S:.0f} s of speech, not {seconds:.2f} s")


def _samples(pcm: bytes) -> NDArray[np.float32]:
    samples: NDArray[np.float32] = np.frombuffer(pcm, "<i2").astype(np.float32)
    samples /= 32_768
    return samples


def _embed(
    session: onnxruntime.InferenceSession, samples: NDArray[np.float32], room: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Of at least a part of audio; `room` is the mean power in each band when nobody speaks."""
    starts = _part_starts(len(samples))
    missing = (starts[-1] + _PART_FRAMES) * HOP_SAMPLES - len(samples)
    mel = mel_spectrogram(np.pad(samples, (0, max(0, missing))))
    if room is not None:
        mel = np.maximum(mel - room, _LEFT_OF_ROOM * mel)
    parts = np.stack([mel[start : start + _PART_FRAMES] for start in starts], axis=1)
    assert parts.shape[2] == BANDS
    embeddings: NDArray[np.float32] = session.run(["embeddings"], {"mels": parts})[0]
    return _normed(_normed(embeddings).mean(axis=0))


def _part_starts(samples: int) -> list[int]:
    """The first frame of each part of an utterance, as `VoiceEncoder.compute_partial_slices` has them."""
    frames = samples // HOP_SAMPLES + 1
    starts = list(range(0, max(1, frames - _PART_FRAMES + _PART_STEP_FRAMES + 1), _PART_STEP_FRAMES))
    coverage = (samples - starts[-1] * HOP_SAMPLES) / (_PART_FRAMES * HOP_SAMPLES)
    if coverage < _LAST_PART_COVERAGE and len(starts) > 1:
        del starts[-1]
    return starts


def _normed(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not lengths.all():
        raise BadRequest("the voice encoder hears no voice in this audio: speak for longer")
    normed: NDArray[np.float32] = vectors / lengths
    return normed
