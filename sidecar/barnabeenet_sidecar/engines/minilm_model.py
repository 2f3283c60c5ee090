"""The MiniLM model: word pieces in, one point per text out; import it only to load a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from tokenizers import Tokenizer

from .device import Device
from .model_folder import ModelFolder
from .model_thread import Stop
from .onnx_run import placement, run_options

# As the model was trained.
_PIECES_MAX: Final = 256
_BATCH: Final = 16


class MiniLmModel:
    """A loaded model. It blocks, and is used by one thread at a time."""

    def __init__(self, folder: ModelFolder, device: Device) -> None:
        """Loads it; raises EngineUnavailable for a missing file, and what the libraries raise for a damaged one."""
        model = folder.file("onnx/model.onnx", "model.onnx")
        self._tokenizer = Tokenizer.from_file(str(folder.file("tokenizer.json")))
        self._tokenizer.enable_truncation(_PIECES_MAX)
        self._tokenizer.enable_padding()
        self._session = InferenceSession(str(model), providers=list(device.providers))
        self._inputs = [given.name for given in self._session.get_inputs()]
        self.placement = placement(self._session, device, "")

    def embed(self, texts: Sequence[str], stop: Stop) -> NDArray[np.float32]:
        """Points on the unit sphere, shape (texts, dimensions); raises Stopped or what onnxruntime raises."""
        if not texts:
            return np.empty((0, self._session.get_outputs()[0].shape[-1]), np.float32)
        parts = [self._embed(texts[start : start + _BATCH], stop) for start in range(0, len(texts), _BATCH)]
        return np.concatenate(parts)

    def _embed(self, texts: Sequence[str], stop: Stop) -> NDArray[np.float32]:
        stop.check()
        encodings = self._tokenizer.encode_batch(list(texts))
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        given = {
            "input_ids": np.array([encoding.ids for encoding in encodings], np.int64),
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(mask),
        }
        inputs = {name: given[name] for name in self._inputs}
        hidden: NDArray[np.float32] = self._session.run(None, inputs, run_options(stop))[0]
        # The mean over a text's own pieces; every text has two at least, its beginning and its end.
        means = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        points = means / np.linalg.norm(means, axis=1, keepdims=True)
        return np.asarray(points, np.float32)
