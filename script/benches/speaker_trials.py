"""Utterances of known people in known noise, and what the sidecar makes of their voices.

Each is a stretch of a person's recorded speech of a given length, in a moment of the same recording's room, with noise
over all of it. What is measured goes the sidecar's way: Silero, `audio.voiced`, the voice encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
import time
from typing import Any

from home.process import ProcessFailed
import numpy as np
from numpy.typing import NDArray

from barnabeenet_sidecar.audio.pcm import resample, wav_read
from barnabeenet_sidecar.audio.voiced import Recorder, Voiced, voiced
from barnabeenet_sidecar.engines.silero import Silero
from barnabeenet_sidecar.engines.voice_print import ResemblyzerEncoder
from barnabeenet_sidecar.errors import BadRequest
from barnabeenet_sidecar.net.voice import SPEECH_MAX_MS, engine_name

from .integration import part

RATE_HZ = 16_000
FRAME_BYTES = 1_024
# The room before and after what is said: what a satellite sends before, and what the sidecar waits after.
LEAD_MS, TAIL_MS = 400, 200
CLEAN = "clean"
NOISES = ("room", "white", "pink", "babble")
# Nobody's clips that are enrolled or tested: they are the babble.
_BABBLE = ("rhasspy3", "s2p_de_gen", "s2p_es_gen", "s2p_it_gen")
_BABBLE_VOICES = 6

Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """One utterance: who speaks, how it was made, and the voice that the sidecar tells of it."""

    person: str
    speech_ms: int
    noise: str
    snr_db: float
    # `client.transcription.Voice`, which has no type here.
    voice: Any = field(repr=False)


class Ears:
    """The sidecar's own, in this process; `audio_s` and `print_s` are what was printed and how long it took."""

    def __init__(self) -> None:
        self.vad, self.encoder = Silero(), ResemblyzerEncoder()
        self.audio_s = self.print_s = 0.0

    async def load(self) -> None:
        """Loads both; raises EngineUnavailable."""
        await self.vad.load()
        await self.encoder.load()

    def apart(self, pcm: bytes) -> Voiced:
        """What of some audio is speech."""
        recorder = Recorder(self.vad.stream(), FRAME_BYTES)
        recorder.process(pcm)
        return voiced(recorder.recording(), self.vad.frame_ms, speech_max_ms=SPEECH_MAX_MS)

    async def voice(self, heard: Voiced) -> Any:
        """The voice of an utterance, as the integration gets it."""
        vector: tuple[float, ...] = ()
        started = time.perf_counter()
        try:
            vector = tuple((await self.encoder.embed(heard.speech, heard.room)).tolist())
        except BadRequest:
            pass
        else:
            self.print_s += time.perf_counter() - started
            self.audio_s += len(heard.speech) / 2 / RATE_HZ
        name = engine_name(self.encoder.info)
        return part("client.transcription").Voice(name, vector, heard.speech_ms, round(heard.snr_db, 1))


class Noise:
    """Noise of a kind, the same each time; `room` is a recording."""

    def __init__(self, recordings: Path) -> None:
        self._random = np.random.default_rng(0)
        self._room = read(recordings / "noise" / "background_noise.wav")
        clips = [read(path) for folder in _BABBLE for path in sorted((recordings / folder).glob("*.wav"))]
        self._babble = np.concatenate(clips)

    def over(self, samples: Samples, power: float, kind: str, snr_db: float) -> Samples:
        """The samples, whose speech has this mean square, with noise so far below."""
        if kind == CLEAN:
            return samples
        noise = self._of(kind, samples.size)
        noise *= np.sqrt(power / np.square(noise).mean() / 10 ** (snr_db / 10))
        return samples + noise

    def _of(self, kind: str, count: int) -> Samples:
        if kind == "room":
            return self._stretch(self._room, count)
        if kind == "babble":
            voices: Samples = np.sum([self._stretch(self._babble, count) for _ in range(_BABBLE_VOICES)], axis=0)
            return voices
        white: Samples = self._random.normal(size=count)
        if kind == "white":
            return white
        spectrum = np.fft.rfft(white)
        pink: Samples = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(spectrum.size))), count)
        return pink

    def _stretch(self, recorded: Samples, count: int) -> Samples:
        start = int(self._random.integers(max(1, recorded.size - count)))
        return np.resize(recorded[start:], count)


@dataclass(frozen=True)
class Clip:
    """A person's recording, taken apart."""

    person: str
    heard: Voiced

    def stretches(self, speech_ms: int, most: int) -> Iterator[tuple[Samples, float]]:
        """Parts of what is said, each in a moment of its room, and the mean square of their speech."""
        count = speech_ms * RATE_HZ // 1000
        speech, room = samples_of(self.heard.speech), samples_of(self.heard.room)
        for start in list(range(0, speech.size - count + 1, count))[:most]:
            said = speech[start : start + count]
            around = np.resize(room, (LEAD_MS + TAIL_MS) * RATE_HZ // 1000) if room.size else np.zeros(0)
            lead = around[: around.size * LEAD_MS // (LEAD_MS + TAIL_MS)]
            yield np.concatenate([lead, said, around[lead.size :]]), float(np.square(said).mean())


def clips(ears: Ears, people: dict[str, Sequence[Path]]) -> dict[str, list[Clip]]:
    """People's recordings by name."""
    found: dict[str, list[Clip]] = {}
    for person, paths in people.items():
        for path in paths:
            found.setdefault(person, []).append(Clip(person, ears.apart(pcm_of(read(path)))))
    return found


async def trials(
    ears: Ears,
    noise: Noise,
    of_people: Sequence[Clip],
    *,
    lengths_ms: Sequence[int],
    kinds: Sequence[tuple[str, float]],
    most: int,
) -> list[Trial]:
    """Each stretch of these clips in each kind of noise."""
    found = []
    for clip in of_people:
        for speech_ms in lengths_ms:
            for samples, power in clip.stretches(speech_ms, most):
                for kind, snr_db in kinds:
                    voice = await ears.voice(ears.apart(pcm_of(noise.over(samples, power, kind, snr_db))))
                    found.append(Trial(clip.person, speech_ms, kind, snr_db, voice))
    return found


def read(path: Path) -> Samples:
    """A recording at 16 kHz; raises ProcessFailed when it is not there."""
    try:
        audio = wav_read(path)
    except OSError as error:
        raise ProcessFailed(f"no recording {path}: set BARNABEENET_RECORDINGS") from error
    return samples_of(resample(audio.data, audio.rate_hz, RATE_HZ))


def samples_of(pcm: bytes) -> Samples:
    """16-bit audio as numbers."""
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def pcm_of(samples: Samples) -> bytes:
    """Numbers as 16-bit audio."""
    return np.clip(np.round(samples), -32_768, 32_767).astype("<i2").tobytes()
