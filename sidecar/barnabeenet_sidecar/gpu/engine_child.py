"""The engine process: hosts the large engines for a parent that may lose it at any time.

Run as `python -m barnabeenet_sidecar.gpu.engine_child --device auto|cuda|cpu`; see `child_host` for how it is asked.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
import gc
import json
from pathlib import Path
import time
from typing import Any, Final, Protocol, cast

from ..engines.base import Engine, SpeechToText, TextEmbedding, TextToSpeech
from ..engines.device import CPU, EngineOutOfMemory, ctranslate2_device, onnx_device, use_device
from ..engines.model_folder import ModelFolder, library_missing
from ..errors import EngineFailed, EngineUnavailable
from ..telemetry.logs import configure_child
from .child_host import run
from .child_protocol import Answer
from .hosted import make_engine
from .vram import OutOfMemory

_CTRANSLATE2: Final = ("whisper",)


class _LoadedEngine(Engine, Protocol):
    """What all engines here have in common."""

    @property
    def placement(self) -> str: ...


class Engines:
    """The engines of this process by name; each method is one of the protocol's."""

    def __init__(self) -> None:
        self._loaded: dict[str, _LoadedEngine] = {}

    async def load(self, value: Mapping[str, Any], _: bytes) -> Answer:
        """Loads and warms up {engine, model, cpu_model}, in place of what that engine had; says what became of it.

        Raises OutOfMemory, EngineUnavailable.
        """
        began = time.perf_counter()
        name = str(value["engine"])
        await self._drop(name)
        model = await asyncio.to_thread(_model, name, value)
        engine = cast(_LoadedEngine, make_engine(name, model))
        try:
            await engine.load()
        except EngineUnavailable as error:
            if isinstance(error.__cause__, EngineOutOfMemory):
                raise OutOfMemory(str(error)) from error
            raise
        self._loaded[name] = engine
        return Answer(
            {
                "model": model.name,
                "version": model.version,
                "languages": list(engine.info.languages),
                "voices": [(voice.name, voice.description, voice.language) for voice in getattr(engine, "voices", ())],
                "placement": engine.placement,
                "on_cpu": engine.placement.startswith(str(CPU)),
                "load_ms": (time.perf_counter() - began) * 1000,
            }
        )

    async def unload(self, value: Mapping[str, Any], _: bytes) -> Answer:
        """Frees the memory of {engine}; nothing to do is fine."""
        await self._drop(str(value["engine"]))
        return Answer()

    async def transcribe(self, value: Mapping[str, Any], pcm: bytes) -> Answer:
        """{text, confidence} of an utterance, by {engine, language, bias, final}."""
        engine = cast(SpeechToText, self._get(value))
        recognition = await engine.recognise(value["language"], None, value["bias"])
        try:
            recognition.feed(pcm)
            words = await (recognition.decode() if value["final"] else recognition.partial())
        finally:
            await recognition.close()
        return Answer({"text": words.text, "confidence": words.confidence})

    async def synthesise(self, value: Mapping[str, Any], _: bytes) -> AsyncGenerator[Answer, None]:
        """Audio as it is made, by {engine, text, voice, language}."""
        engine = cast(TextToSpeech, self._get(value))
        async with aclosing(engine.synthesise(value["text"], value["voice"], value["language"])) as chunks:
            async for pcm in chunks:
                yield Answer({}, pcm)

    async def embed(self, value: Mapping[str, Any], texts: bytes) -> Answer:
        """{shape} and float32 numbers for texts, which come as a JSON list in the payload; by {engine}."""
        engine = cast(TextEmbedding, self._get(value))
        points = await engine.embed(json.loads(texts))
        return Answer({"shape": points.shape}, points.astype("<f4").tobytes())

    def _get(self, value: Mapping[str, Any]) -> _LoadedEngine:
        engine = self._loaded.get(value["engine"])
        if engine is None:
            raise EngineFailed(f"{value['engine']} is not loaded: try again")
        return engine

    async def _drop(self, name: str) -> None:
        engine = self._loaded.pop(name, None)
        if engine is not None:
            await engine.close()
            del engine
            # What libraries keep in cycles holds the accelerator's memory, too.
            gc.collect()


def _model(name: str, value: Mapping[str, Any]) -> ModelFolder:
    """The files that suit where the engine is going to run; raises EngineUnavailable."""
    choice = value["model"]
    if value["cpu_model"] is not None:
        try:
            device = ctranslate2_device() if name in _CTRANSLATE2 else onnx_device()
        except ImportError as error:
            raise library_missing(name, error) from error
        choice = value["cpu_model"] if device.kind == "cpu" else choice
    return ModelFolder(choice[0], Path(choice[1]))


def main() -> None:
    """Serves until the parent is gone."""
    parser = argparse.ArgumentParser(description="Hosts engines for barnabeenet-sidecar, which starts it.")
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")
    use_device(parser.parse_args().device)
    configure_child()
    engines = Engines()
    run(
        {
            "load": engines.load,
            "unload": engines.unload,
            "transcribe": engines.transcribe,
            "synthesise": engines.synthesise,
            "embed": engines.embed,
        }
    )


if __name__ == "__main__":
    main()
