"""NVIDIA's Parakeet TDT through onnx-asr, made stoppable and given a home's names; import it only to load a model.

onnx-asr runs an encoder over the whole utterance and then a greedy search, one small network call per token. It has
neither a way to stop nor hot words, so the steps of its model class are extended here (onnx-asr 0.12).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
import math
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx_asr.asr import Preprocessor
from onnx_asr.models.nemo import NemoConformerTdt
from onnx_asr.onnx import OnnxSessionOptions
from onnx_asr.preprocessors.numpy_preprocessor import NemoPreprocessorNumpy

from .base import Transcription
from .batch_speech_to_text import Speech
from .device import Device
from .model_folder import ModelFolder, onnx_file
from .model_thread import Stop
from .onnx_run import placement, run_options
from .phrase_boost import BoostedSearch, PhraseBoost

_ENCODER: Final = "encoder-model"
_JOINT: Final = "decoder_joint-model"
_BOOSTS_KEPT: Final = 8
# Parakeet TDT 0.6B v3 hears which of them is spoken and cannot be told.
LANGUAGES: Final = (
    *("en", "bg", "cs", "da", "de", "el", "es", "et", "fi", "fr", "hr", "hu", "it"),
    *("lt", "lv", "mt", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "uk"),
)

_State: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]


class ParakeetDecoder(NemoConformerTdt):
    """A loaded Parakeet model."""

    def __init__(self, folder: ModelFolder, device: Device) -> None:
        """Loads it; raises EngineUnavailable when a file is missing, and what onnxruntime raises."""
        precision = folder.precision(_ENCODER, device)
        files: dict[str, Path] = {
            "encoder": folder.file(onnx_file(_ENCODER, precision)),
            "decoder_joint": folder.file(onnx_file(_JOINT, precision)),
            "vocab": folder.file("vocab.txt"),
            "config": folder.file("config.json"),
        }
        super().__init__(files, _features, OnnxSessionOptions(providers=list(device.providers)))
        self.placement = placement(self._encoder, device, precision)
        self.languages: Sequence[str] = LANGUAGES
        self._token_ids = {token: id_ for id_, token in self._vocab.items()}
        # A home's words are the same in nearly every utterance.
        self._boost = lru_cache(maxsize=_BOOSTS_KEPT)(partial(PhraseBoost, self._token_ids))
        self._begin((), Stop())

    def transcribe(self, speech: Speech, stop: Stop) -> Transcription:
        """The words of an utterance; it is as careful with provisional ones. Raises Stopped or what onnxruntime raises."""
        self._begin(speech.bias, stop)
        lengths = np.array([len(speech.samples)], np.int64)
        result = next(self.recognize_batch(speech.samples[None], lengths, need_logprobs=True))
        logprobs = result.logprobs or []
        return Transcription(result.text, math.exp(sum(logprobs) / len(logprobs)) if logprobs else 1.0)

    def _begin(self, bias: tuple[str, ...], stop: Stop) -> None:
        self._search = BoostedSearch(self._boost(bias))
        self._stop = stop

    def _encode(
        self, features: NDArray[np.float32], features_lens: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        inputs = {"audio_signal": features, "length": features_lens}
        encoded, lengths = self._encoder.run(["outputs", "encoded_lengths"], inputs, run_options(self._stop))
        return encoded.transpose(0, 2, 1), lengths

    def _decode(
        self, prev_tokens: list[int], prev_state: _State, encoder_out: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], int, _State]:
        self._stop.check()
        logits, duration, state = super()._decode(prev_tokens, prev_state, encoder_out)
        self._search.follow(prev_tokens)
        return self._search.boosted(logits, self._blank_idx), duration, state


def _features(name: str) -> Preprocessor:
    return NemoPreprocessorNumpy(name)
