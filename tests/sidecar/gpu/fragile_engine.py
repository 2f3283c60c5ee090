"""A child process of the tests: speaks the engine process's protocol without a model, and breaks when it is told to.

Run as a script by its path, without the packages of the environment: it starts within some hundredths of a second.
What an utterance "says" is what becomes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
import os
from pathlib import Path
import signal
import sys
import threading
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "sidecar"))

from barnabeenet_sidecar.errors import EngineUnavailable
from barnabeenet_sidecar.gpu.child_host import run
from barnabeenet_sidecar.gpu.child_protocol import Answer

DEVICE = sys.argv[sys.argv.index("--device") + 1]
loaded: dict[str, str] = {}
stopped: list[str] = []


async def load(value: Mapping[str, Any], _: bytes) -> Answer:
    """The model's folder is a file that says how loading goes."""
    name, path = (DEVICE == "cpu" and value["cpu_model"]) or value["model"]
    match Path(path).read_text().split() if Path(path).is_file() else []:
        case ["crash"]:
            os.kill(os.getpid(), signal.SIGSEGV)
        case ["missing"]:
            raise EngineUnavailable("the weights are missing: barnabeenet-sidecar models pull it")
        case ["alone"] if len(loaded) > 0:
            raise MemoryError("CUDA error 2")
        case ["huge"]:
            raise MemoryError("CUDA error 2")
    loaded[value["engine"]] = name
    return Answer(
        {
            "model": name,
            "version": "1",
            "languages": ["en"],
            "voices": [["af_heart", "Heart", "en-US"]],
            "placement": "the processor" if DEVICE == "cpu" else "a GPU",
            "on_cpu": DEVICE == "cpu",
            "load_ms": 1.0,
        }
    )


async def unload(value: Mapping[str, Any], _: bytes) -> Answer:
    del loaded[value["engine"]]
    return Answer()


async def transcribe(value: Mapping[str, Any], pcm: bytes) -> Answer:
    said = value["bias"][0]
    if said == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif said == "hang":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif said == "hang in a thread":
        await asyncio.to_thread(threading.Event().wait)
    elif said == "out of memory" or (said == "out of memory beside others" and len(loaded) > 1):
        raise MemoryError("CUDA error 2")
    elif said == "wait":
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(said)
    elif said == "stopped":
        return Answer({"text": " ".join(stopped), "confidence": 1.0})
    return Answer({"text": f"{said} {len(pcm)} {os.getpid()}", "confidence": 1.0})


async def synthesise(value: Mapping[str, Any], _: bytes) -> AsyncGenerator[Answer, None]:
    for word in value["text"].split():
        if word == "full":
            raise MemoryError("CUDA error 2")
        if word == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        yield Answer({}, word.encode())


async def embed(_: Mapping[str, Any], texts: bytes) -> Answer:
    return Answer({"shape": [1, 2]}, bytes(8))


if __name__ == "__main__":
    run({"load": load, "unload": unload, "transcribe": transcribe, "synthesise": synthesise, "embed": embed})
