"""What sentences mean, by all-MiniLM-L6-v2 through onnxruntime: sentences that mean the same lie close together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import BadRequest, EngineFailed
from .base import EngineInfo
from .device import onnx_device
from .local_model import LocalModel
from .model_folder import ModelFolder
from .model_thread import Stop
from .package_version import package_version

if TYPE_CHECKING:
    from .minilm_model import MiniLmModel

DIMENSIONS: Final = 384
TEXTS_MAX: Final = 256
TEXT_MAX_CHARS: Final = 16_384
_PACKAGE: Final = "tokenizers"
# A sentence takes some 3 ms, the longest text a hundred.
_EMBED_S: Final = 20.0
_EMBED_S_PER_TEXT: Final = 1.0


class MiniLm:
    """One model; requests take turns. English; what goes beyond 256 word pieces of a text is not read."""

    def __init__(self, model: ModelFolder) -> None:
        self._folder = model
        self._local: LocalModel[MiniLmModel] = LocalModel("minilm", model)

    @property
    def info(self) -> EngineInfo:
        """Who this engine is."""
        return EngineInfo(
            name="minilm",
            description="all-MiniLM-L6-v2: what sentences mean",
            version=package_version(_PACKAGE),
            languages=("en",),
            author="sentence-transformers",
            url="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
            licence="Apache-2.0",
        )

    @property
    def dimensions(self) -> int:
        """The length of a point's vector."""
        return DIMENSIONS

    @property
    def placement(self) -> str:
        """Where and in what precision it computes, for people; known after `load`."""
        return self._local.placement

    async def load(self) -> None:
        """Loads the model and runs it once; raises EngineUnavailable. May be called again after `close`."""
        await self._local.load(self._make)

    async def close(self) -> None:
        """Stops what runs and frees the model; safe to call twice."""
        await self._local.close()

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Points on the unit sphere, shape (texts, 384); see `base.TextEmbedding`."""
        if len(texts) > TEXTS_MAX:
            raise BadRequest(f"{len(texts)} texts are too many at once: send {TEXTS_MAX} at most")
        if any(len(text) > TEXT_MAX_CHARS for text in texts):
            raise BadRequest(f"a text has more than {TEXT_MAX_CHARS} characters: send it in parts")
        deadline_s = _EMBED_S + _EMBED_S_PER_TEXT * len(texts)
        return await self._local.run(lambda model, stop: model.embed(texts, stop), deadline_s=deadline_s)

    def _make(self, stop: Stop) -> MiniLmModel:
        from .minilm_model import MiniLmModel

        model = MiniLmModel(self._folder, onnx_device())
        shape = model.embed(["ready"], stop).shape
        if shape != (1, DIMENSIONS):
            raise EngineFailed(f"the model gives {shape[-1]} numbers for a text, not {DIMENSIONS}")
        return model
