"""The model that reads memories, in the sidecar's environment; and vectors that are known already."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
import json

import numpy as np
from numpy.typing import NDArray

from .process import ProcessFailed, child_environment
from .sidecar import ROOT

PYTHON = ROOT / ".venv-sidecar" / "bin" / "python"
_TEXTS = 128
_LINE_MAX_BYTES = 16 * 1024 * 1024
NAME = "minilm-l6-v2"
DIMENSIONS = 384

Vectors = NDArray[np.float32]


class Reader:
    """Has texts read in the other process; `times_ms` are its own for each request."""

    name = NAME
    dimensions = DIMENSIONS

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()
        self.times_ms: list[float] = []

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text, in order; raises ProcessFailed when the process has ended."""
        parts = [await self._embed(texts[start : start + _TEXTS]) for start in range(0, len(texts), _TEXTS)]
        return np.concatenate(parts)

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        assert self._process.stdin is not None
        async with self._turn:
            self._process.stdin.write(json.dumps(list(texts)).encode() + b"\n")
            answer = await self.line()
        assert isinstance(answer, dict)
        self.times_ms.append(answer["ms"])
        return np.frombuffer(b64decode(answer["vectors"]), "<f4").reshape(len(texts), DIMENSIONS)

    async def line(self) -> object:
        """What the process says next."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise ProcessFailed("the model's process ended: see its errors above")
        said: object = json.loads(line)
        return said


class Known:
    """Answers at once with what was read before: so a search is timed apart from the model."""

    name = NAME
    dimensions = DIMENSIONS

    def __init__(self, vectors: Mapping[str, Vectors]) -> None:
        self._vectors = vectors

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text, in order; raises KeyError for one that was not read."""
        return np.array([self._vectors[text] for text in texts])


@asynccontextmanager
async def reader() -> AsyncIterator[Reader]:
    """A loaded model for the length of the block; raises ProcessFailed where its weights are not installed."""
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, "-m", "benches.read_texts"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=child_environment({"PYTHONPATH": f"{ROOT / 'script'}:{ROOT / 'sidecar'}"}),
        limit=_LINE_MAX_BYTES,
    )
    try:
        loaded = Reader(process)
        if why := await loaded.line():
            raise ProcessFailed(str(why))
        yield loaded
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()
