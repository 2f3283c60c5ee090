"""Quick words of a sidecar of flesh and blood, through Home Assistant's own pipelines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import io
from pathlib import Path
from typing import Any
import wave

from homeassistant.components import tts
from homeassistant.components.assist_pipeline import async_get_pipelines, async_update_pipeline
from homeassistant.components.assist_pipeline.models import Pipeline
from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
import numpy as np
import pytest

from custom_components.barnabeenet.client.sidecar import Sidecar as Client, SpokenWords
from custom_components.barnabeenet.const import DOMAIN
from custom_components.barnabeenet.dialog.sentences import Phrase, say
from script.home.sidecar import Sidecar

TTS = "tts.barnabee_text_to_speech"
REFUSAL = say(Phrase.CANNOT_HELP, "en")


class Heard:
    """What the sidecar has spoken ahead, request by request."""

    def __init__(self) -> None:
        self.requests: list[list[SpokenWords]] = []
        self._changed = asyncio.Condition()

    async def end(self, messages: list[SpokenWords]) -> None:
        async with self._changed:
            self.requests.append(messages)
            self._changed.notify_all()

    async def until(self, word: str, *, voice: str | None = None) -> list[SpokenWords]:
        """The answers to the first request in which a word was spoken; forgets it and those before it."""

        def has_it(messages: list[SpokenWords]) -> bool:
            return any(word in said.audio and said.voice == (voice or said.voice) for said in messages)

        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: any(map(has_it, self.requests)))
        while not has_it(messages := self.requests.pop(0)):
            pass
        return messages


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    heard, ask = Heard(), Client.quick_words

    async def quick_words(client: Client, texts: Any, *, on_words: Callable[[SpokenWords], None], **how: Any) -> None:
        messages: list[SpokenWords] = []

        def keep(words: SpokenWords) -> None:
            messages.append(words)
            on_words(words)

        await ask(client, texts, on_words=keep, **how)
        await heard.end(messages)

    monkeypatch.setattr(Client, "quick_words", quick_words)
    return heard


@pytest.fixture
async def pipeline(home: HomeAssistant, sidecar_process: Sidecar, heard: Heard) -> AsyncIterator[Pipeline]:
    """The pipeline of a sidecar that was paired through the form."""
    result = await home.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    typed = {"host": "127.0.0.1", "port": sidecar_process.port, "token": await sidecar_process.token()}
    result = await home.config_entries.flow.async_configure(result["flow_id"], {**typed, "preferred": True})
    await home.async_block_till_done()
    (pipeline,) = [pipeline for pipeline in async_get_pipelines(home) if pipeline.tts_engine == TTS]
    yield pipeline
    await home.config_entries.async_unload(result["result"].entry_id)


@pytest.fixture
async def answer(
    home: HomeAssistant,
    pipeline: Pipeline,
    hass_ws_client: Callable[..., Awaitable[Any]],
    hass_client: Callable[..., Awaitable[Any]],
) -> Callable[[str], Awaitable[tuple[int, bytes]]]:
    """Says a sentence to the pipeline as the app does: the rate and the audio that is played."""
    socket, web = await hass_ws_client(home), await hass_client()

    async def ask(sentence: str) -> tuple[int, bytes]:
        run = {"type": "assist_pipeline/run", "start_stage": "intent", "end_stage": "tts", "input": {"text": sentence}}
        await socket.send_json_auto_id({**run, "pipeline": pipeline.id})
        url = None
        async with asyncio.timeout(30):
            while (message := await socket.receive_json()).get("event", {}).get("type") != "run-end":
                event = message.get("event") or {}
                assert event.get("type") != "error", event
                if event.get("type") == "tts-end":
                    url = event["data"]["tts_output"]["url"]
        response = await web.get(url)
        assert response.status == 200
        with wave.open(io.BytesIO(await response.read())) as reader:
            return reader.getframerate(), reader.readframes(10_000_000)

    return ask


def audio_of(messages: list[SpokenWords]) -> dict[str, bytes]:
    return {text: pcm for message in messages for text, pcm in message.audio.items()}


async def test_what_was_made_once_comes_from_disk_after_a_restart(
    pipeline: Pipeline, sidecar_process: Sidecar, heard: Heard, tmp_path: Path
) -> None:
    made = await heard.until(REFUSAL)
    assert max(len(message.audio) for message in made) == 1
    kept = list((tmp_path / "sidecar" / "data" / "speech").iterdir())
    assert len(kept) >= len(made)
    await sidecar_process.process.stop()
    await sidecar_process.process.start()
    await sidecar_process.ready()
    again = await heard.until(REFUSAL)
    assert audio_of(again) == audio_of(made)
    assert len(again) <= sum(map(len, audio_of(made).values())) // 500_000 + 1
    assert {message.version for message in again} == {message.version for message in made}


async def test_with_the_sidecar_killed_the_refusal_is_still_spoken(
    home: HomeAssistant,
    pipeline: Pipeline,
    sidecar_process: Sidecar,
    heard: Heard,
    answer: Callable[[str], Awaitable[tuple[int, bytes]]],
) -> None:
    made = await heard.until(REFUSAL)
    await sidecar_process.process.kill()
    rate_hz, audio = await answer("please recite the phone book backwards")
    assert (rate_hz, audio) == (made[0].rate_hz, audio_of(made)[REFUSAL])
    samples = np.frombuffer(audio, "<i2") / 32_768
    assert 0.5 < len(samples) / rate_hz < 5
    assert np.sqrt(np.mean(samples**2)) > 0.01


async def test_another_voice_is_asked_for_and_heard(
    home: HomeAssistant,
    pipeline: Pipeline,
    heard: Heard,
    answer: Callable[[str], Awaitable[tuple[int, bytes]]],
) -> None:
    made = audio_of(await heard.until(REFUSAL))
    mouth = tts.get_engine_instance(home, TTS)
    assert isinstance(mouth, tts.TextToSpeechEntity)
    language = next(tag for tag in mouth.supported_languages if tag.startswith("en") and tag != pipeline.tts_language)
    (voice, *_) = mouth.async_get_supported_voices(language) or []
    await async_update_pipeline(home, pipeline, tts_language=language, tts_voice=voice.voice_id)
    changed = audio_of(await heard.until(REFUSAL, voice=voice.voice_id))
    _, audio = await answer("please recite the phone book backwards")
    assert audio == changed[REFUSAL] != made[REFUSAL]
