"""A sidecar as the embedder of memories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..client.sidecar import Sidecar
from .vectors import Vector


class SidecarEmbedder:
    """Asks one sidecar; which model it has is known from its last answer."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar
        self.name = ""
        self.dimensions = 0

    async def embed(self, texts: Sequence[str]) -> Vector:
        """A vector for each text, in order; raises SidecarError."""
        points = await self._sidecar.embed(texts)
        vectors = np.array(points.vectors, np.float32)
        self.name, self.dimensions = points.model, vectors.shape[-1]
        return vectors
