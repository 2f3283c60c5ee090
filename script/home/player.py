"""Says or writes something to an Assist pipeline and keeps what comes back and when: speech at a microphone's pace."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
import struct
from typing import Any

from .api import Arrived, HomeAssistant, Subscription
from .audio import CHUNK_S, Clip, microphone

TURN_S = 60
_ENDS_OF_SPEECH = {"stt-end", "error", "run-end"}


@dataclass
class Turn:
    """What one run of a pipeline said and did; times are milliseconds after the end of speech, or after it was written."""

    clip: Clip | None
    heard: str | None = None
    reply: str | None = None
    response_type: str | None = None
    error: str | None = None
    audio: bytes = b""
    speech_ended_at: float = 0.0  # on the event loop's clock
    times_ms: dict[str, float] = field(default_factory=dict)


class _Run:
    """One run in progress."""

    def __init__(self, home: HomeAssistant, clip: Clip | None) -> None:
        self.turn = Turn(clip)
        self._home = home
        self._clock = asyncio.get_running_loop().time
        self.turn.speech_ended_at = self._clock()
        self._listening = asyncio.Event()
        self._tts_path: str | None = None
        self._download: asyncio.Task[None] | None = None

    def mark(self, name: str, at: float) -> None:
        self.turn.times_ms.setdefault(name, (at - self.turn.speech_ended_at) * 1000)

    async def follow(self, events: Subscription) -> None:
        """Takes the run's events until its end."""
        speaker: asyncio.Task[None] | None = None
        try:
            async for arrived in events:
                kind, data = arrived.event["type"], arrived.event.get("data") or {}
                if kind == "run-start":
                    self._tts_path = (data.get("tts_output") or {}).get("url")
                    if (clip := self.turn.clip) is not None:
                        handler = data["runner_data"]["stt_binary_handler_id"]
                        speaker = asyncio.create_task(self._speak(clip, handler))
                if kind in _ENDS_OF_SPEECH:
                    self._listening.set()
                self._take(kind, data, arrived)
                if kind == "run-end":
                    break
            if self._download is not None:
                await self._download
        finally:
            for task in (speaker, self._download):
                if task is not None:
                    task.cancel()
            await asyncio.gather(*(task for task in (speaker, self._download) if task), return_exceptions=True)

    async def _speak(self, clip: Clip, handler: int) -> None:
        started_at = self._clock()
        self.turn.speech_ended_at = started_at + clip.speech_end_s
        for number, chunk in enumerate(microphone(clip), start=1):
            # A microphone has a chunk only once all of it was said.
            await self._until(started_at + number * CHUNK_S)
            if self._listening.is_set():
                break
            await self._home.send_audio(handler, chunk)
        if self.turn.error is None:
            await self._home.send_audio(handler, b"")

    async def _until(self, at: float) -> None:
        try:
            async with asyncio.timeout_at(at):
                await self._listening.wait()
        except TimeoutError:
            pass

    def _take(self, kind: str, data: dict[str, Any], arrived: Arrived) -> None:
        turn = self.turn
        self.mark(kind, arrived.at)
        if kind == "stt-end":
            turn.heard = data["stt_output"]["text"]
        elif kind == "intent-end":
            response = data["intent_output"]["response"]
            turn.response_type = response["response_type"]
            turn.reply = response["speech"].get("plain", {}).get("speech")
        elif kind == "error":
            turn.error = f"{data['code']}: {data['message']}"
        # As a satellite does: the audio is fetched as soon as the pipeline says that it will come.
        if (kind == "intent-progress" and data.get("tts_start_streaming")) or kind == "tts-end":
            path = (data.get("tts_output") or {}).get("url") or self._tts_path
            if path and self._download is None:
                self._download = asyncio.create_task(self._fetch(path))

    async def _fetch(self, path: str) -> None:
        async with self._home.download(path) as response:
            async for piece in response.content.iter_any():
                self.turn.audio += piece
                if len(self.turn.audio) > header_bytes(self.turn.audio):
                    self.mark("first-audio", self._clock())


def header_bytes(audio: bytes) -> int:
    """How much of the beginning of a WAV file comes before its first sample; 0 for other formats."""
    if not audio.startswith(b"RIFF"[: len(audio)]):
        return 0
    at = 12
    while len(audio) >= at + 8:
        name, size = struct.unpack_from("<4sI", audio, at)
        if name == b"data":
            return at + 8
        at += 8 + size + size % 2
    return at + 8


async def play(
    home: HomeAssistant,
    pipeline: str,
    clip: Clip,
    *,
    device_id: str | None,
    start_stage: str = "stt",
    end_stage: str = "tts",
) -> Turn:
    """Says a clip to a pipeline (by id) and returns the turn; raises ApiError, TimeoutError after a minute."""
    run = _Run(home, clip)
    request = {
        "start_stage": start_stage,
        "end_stage": end_stage,
        "input": {"sample_rate": 16000},
        "pipeline": pipeline,
        "device_id": device_id,
    }
    return await _followed(run, home, request)


async def write(home: HomeAssistant, pipeline: str, text: str, *, device_id: str | None) -> Turn:
    """Writes a sentence to a pipeline instead, whose reply is spoken all the same; raises ApiError, TimeoutError."""
    request = {
        "start_stage": "intent",
        "end_stage": "tts",
        "input": {"text": text},
        "pipeline": pipeline,
        "device_id": device_id,
    }
    return await _followed(_Run(home, None), home, request)


async def _followed(run: _Run, home: HomeAssistant, request: dict[str, Any]) -> Turn:
    async with asyncio.timeout(TURN_S), home.subscribe("assist_pipeline/run", **request) as events:
        await run.follow(events)
    return run.turn
