"""The `barnabeenet-embed` request: texts become points, so that what means the same can be found."""

from __future__ import annotations

from collections.abc import Sequence
import time
from typing import Final

import numpy as np
from wyoming.event import Event

from ..engines.base import TextEmbedding
from ..errors import BadRequest, EngineFailed
from ..gpu.queue import Priority
from .messages import Embed, Embeddings
from .request import Request
from .turns import Turns
from .wire import PAYLOAD_MAX_BYTES

# What the longest texts take of a processor in one turn is some seconds; a command passes between two.
_TURN_TEXTS: Final = 16
_FLOAT: Final = np.dtype("<f4")


class Embedding(Request):
    """Answers with a point for each text. A single text is looked for now, many are kept for later."""

    kind = "embed"

    def __init__(self, event: Event, engine: TextEmbedding, turns: Turns) -> None:
        """Raises BadRequest when the answer would not fit into a frame."""
        super().__init__()
        self._engine, self._turns = engine, turns
        self._texts = Embed.from_event(event).texts
        self._priority = Priority.SHORT if len(self._texts) == 1 else Priority.LONG
        most = PAYLOAD_MAX_BYTES // (_FLOAT.itemsize * engine.dimensions)
        if len(self._texts) > most:
            raise BadRequest(f"{len(self._texts)} texts are too many at once: send {most} at most")

    async def run(self) -> Sequence[Event]:
        """Has the engine read them, some in each turn."""
        started = time.perf_counter()
        points = np.concatenate([await self._embed(start) for start in range(0, len(self._texts), _TURN_TEXTS)])
        count, dimensions = len(self._texts), self._engine.dimensions
        if points.shape != (count, dimensions) or not np.isfinite(points).all():
            raise EngineFailed(f"{self._engine.info.name} gave no usable points for {count} texts")
        self.stages["queue"] = self._turns.waited_ms
        self.stages["embed"] = (time.perf_counter() - started) * 1000 - self._turns.waited_ms
        return [Embeddings(self._engine.info.name, dimensions, count, points.tobytes()).event()]

    async def _embed(self, start: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        async with self._turns.turn(self._priority):
            points = await self._engine.embed(self._texts[start : start + _TURN_TEXTS])
        return points.astype(_FLOAT, copy=False)
