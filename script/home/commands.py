"""What is said: the user's recordings, or commands in BarnabeeNet's own voice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .api import HomeAssistant
from .audio import RATE_HZ, Clip, after_wake_word, decode, load, speech_end_s

WAKE_WORD = "okay nabu"
SPOKEN = (
    "turn on the lights",
    "set brightness to 50 percent",
    "turn off lights in the Office",
    "open the Sliding Door",
    "lock the Front Door",
    "what's the temperature",
    "set a timer for 5 minutes",
)
AFTER_WAKE_WORD = "turn on the TV"


@dataclass(frozen=True)
class Command:
    """Something to say, and whether the run begins at the wake word."""

    said: str
    clip: Clip
    wake: bool = False


async def recorded(paths: Sequence[Path]) -> list[Command]:
    """The user's own recordings; raises BadRecording."""
    clips = await asyncio.gather(*(asyncio.to_thread(load, path) for path in paths))
    return [Command(clip.name, clip) for clip in clips]


async def synthesised(home: HomeAssistant, engine: str, text: str, *, pitch: float = 1.0) -> Clip:
    """A text in the voice of a text-to-speech entity, as Home Assistant plays it.

    A `pitch` above 1 makes it that of a smaller throat: higher, and as much faster.
    """
    speech = await home.post("/api/tts_get_url", {"engine_id": engine, "message": text})
    async with home.download(speech["path"]) as response:
        samples = await asyncio.to_thread(decode, await response.read(), rate_hz=round(RATE_HZ / pitch))
    return Clip(text, samples, speech_end_s(samples))


async def spoken(home: HomeAssistant, engine: str) -> list[Command]:
    """The demo's own commands in that voice, the last one after a wake word."""
    clips = {text: await synthesised(home, engine, text) for text in (*SPOKEN, AFTER_WAKE_WORD, WAKE_WORD)}
    woken = after_wake_word(clips[WAKE_WORD], clips[AFTER_WAKE_WORD])
    commands = [Command(text, clips[text]) for text in SPOKEN]
    return [*commands, Command(AFTER_WAKE_WORD, woken, wake=True)]
