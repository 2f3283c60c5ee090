"""What is said in the benches: replies, long texts, commands as audio, and the vocabulary that holds them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
import os
from pathlib import Path
import subprocess
import sys
from tempfile import TemporaryDirectory

from home.process import child_environment

from barnabeenet_sidecar.audio.pcm import resample, wav_read
from barnabeenet_sidecar.engines.base import SAMPLE_BYTES, SAMPLE_RATE_HZ, Vocabulary
from barnabeenet_sidecar.engines.silero import Silero

ROOT = Path(__file__).parent.parent.parent
RECORDINGS = Path(os.environ.get("BARNABEENET_RECORDINGS", ROOT.parent / "shared" / "audio"))
# Commands without a pause in them, so that the sidecar takes none for their end.
COMMANDS = (
    "turn on the lights",
    "turn the lights on",
    "what's the temperature",
    "what time is it",
    "lock the Front Door",
    "next track",
    "stop my timer",
    "set lights to red",
)
VOCABULARY = Vocabulary(
    language="en",
    revision="0123456789abcdef",
    sentences=(
        "turn on the lights",
        "turn the lights on",
        "turn off the lights in the {area}",
        "turn on the {name}",
        "turn off the {name}",
        "what's the temperature",
        "what's the temperature in the {area}",
        "what time is it",
        "lock the {door}",
        "open the {door}",
        "next track",
        "stop my timer",
        "set a timer for {count} minutes",
        "set lights to {colour}",
        "set {name} brightness to {count} percent",
    ),
    lists={
        "area": ("kitchen", "living room", "bedroom", "bathroom", "office", "hallway", "garage"),
        "name": ("ceiling light", "bed light", "standing light", "desk lamp", "fan", "heater", "radio", "TV"),
        "door": ("front door", "back door", "sliding door", "garage door"),
        "colour": ("red", "green", "blue", "white", "orange", "yellow"),
        "count": tuple(str(number) for number in range(1, 61)),
    },
)
REPLIES = (
    "Turned on the light.",
    "It is 21 degrees in the living room.",
    "The timer for the potatoes is set to ten minutes. I will tell you when it is done.",
)
_TALE = (
    "the people of the town had never seen such a thing before, and for many years they told each other about it in "
    "the evenings, when the work in the fields and at the harbour was done and the lamps were lit, and although "
    "nobody remembered it in quite the same way as the others did, all were certain to have stood in the first row"
)
_SPEECH_PROBABILITY = 0.5


@dataclass(frozen=True)
class Clip:
    """A command as 16 kHz audio that ends where its last sound does."""

    said: str
    pcm: bytes

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return len(self.pcm) / (SAMPLE_RATE_HZ * SAMPLE_BYTES)


def tale_sentence(number: int) -> str:
    """A sentence of a long text, 20 s of speech and spoken in one piece."""
    return f"On day {number}, {_TALE}."


def tale(sentences: int) -> str:
    """A long text."""
    return " ".join(map(tale_sentence, range(sentences)))


async def commands() -> list[Clip]:
    """The commands: people's recordings where they lie, else as the sidecar's own `say` speaks them."""
    activity = Silero()
    await activity.load()
    clips = []
    for said, pcm in await asyncio.to_thread(_recorded_or_said):
        clips.append(Clip(said, spoken_part(pcm, activity.stream().process(pcm), activity.frame_ms)))
    await activity.close()
    return clips


def _recorded_or_said() -> list[tuple[str, bytes]]:
    recorded = {path.stem: path for path in sorted(RECORDINGS.glob("s2p_en_*/*.wav"))}
    found = []
    with TemporaryDirectory(prefix="barnabeenet-bench-") as folder:
        for said in COMMANDS:
            stem = said.replace(" ", "_").replace("'", "_")
            audio = wav_read(recorded.get(stem) or _say(said, Path(folder) / f"{stem}.wav"))
            found.append((said, resample(audio.data, audio.rate_hz, SAMPLE_RATE_HZ)))
    return found


def _say(text: str, path: Path) -> Path:
    """Speaks into a file as a user would; raises CalledProcessError."""
    command = [sys.executable, "-m", "barnabeenet_sidecar", "say", text, "-o", str(path), "--tts", "espeak"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, env=child_environment({}))
    return path


def spoken_part(pcm: bytes, probabilities: Sequence[float], frame_ms: int) -> bytes:
    """The audio to the end of its last frame of speech: what follows would be decoded before it is over."""
    frame_bytes = SAMPLE_RATE_HZ * SAMPLE_BYTES * frame_ms // 1000
    spoken = [number for number, probability in enumerate(probabilities) if probability >= _SPEECH_PROBABILITY]
    return pcm[: (spoken[-1] + 1) * frame_bytes] if spoken else pcm
