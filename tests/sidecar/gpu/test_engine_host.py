"""The real engines in a real process of their own, on tiny models."""

from __future__ import annotations

from contextlib import aclosing

import numpy as np

from barnabeenet_sidecar.engines.base import SAMPLE_RATE_HZ, SpeechToText, TextToSpeech
from barnabeenet_sidecar.gpu.engine_host import EngineHost


def noise(seconds: float) -> bytes:
    samples = np.random.default_rng(7).normal(size=round(seconds * SAMPLE_RATE_HZ)) * 3000
    return samples.clip(-32_768, 32_767).astype("<i2").tobytes()


async def hear(engine: SpeechToText, bias: tuple[str, ...] = (), home: str | None = None, language: str = "en") -> str:
    recognition = await engine.recognise(language, home, bias)
    recognition.feed(noise(1))
    try:
        return (await recognition.decode()).text
    finally:
        await recognition.close()


async def speak(engine: TextToSpeech, text: str, voice: str | None = None) -> list[bytes]:
    async with aclosing(engine.synthesise(text, voice, None)) as spoken:
        return [chunk async for chunk in spoken]


async def test_all_engines_do_their_work_in_the_engine_process(host: EngineHost) -> None:
    assert await hear(host.speech_to_text("parakeet")) == "turn on the loose light"
    assert await hear(host.speech_to_text("whisper")) == "turn on the loose light"
    assert len(await speak(host.text_to_speech("kokoro"), "The light is on. Is it?")) == 2
    points = await host.embedding("minilm").embed(["the light is on", "the light is off", "door"])
    assert points.shape == (3, 384)
    assert points.dtype == np.float32
    assert points[0] @ points[1] > points[0] @ points[2]
