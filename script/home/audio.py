"""Recordings as a microphone would send them: 16 kHz, 16-bit, mono."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import io
from pathlib import Path
import wave

import av
import numpy as np
import numpy.typing as npt

RATE_HZ = 16000
CHUNK_S = 0.02
_FRAME_S = 0.01
# A frame counts as speech above both: so far under the loudest frame, and so far over the quietest tenth.
_BELOW_PEAK_DB = 35
_ABOVE_FLOOR_DB = 9
_ROOM_NOISE = 10  # standard deviation in 16-bit steps, about -70 dBFS
MAX_S = 60
# Wake word models look at about a second of sound, so something has to come before the word.
_LISTENING_S = 1.0
_PAUSE_S = 0.6

Samples = npt.NDArray[np.int16]


class BadRecording(Exception):
    """A file is no audio that can be played; the text names it."""


@dataclass(frozen=True)
class Clip:
    """Something said: its name, its samples (16 kHz mono), and when the last of the speech is over."""

    name: str
    samples: Samples
    speech_end_s: float

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return len(self.samples) / RATE_HZ


def decode(source: Path | bytes, *, rate_hz: int = RATE_HZ) -> Samples:
    """Any audio file as mono samples at `rate_hz`; raises BadRecording."""
    try:
        with av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source), mode="r") as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
            frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
            frames += resampler.resample(None)
    except (av.FFmpegError, OSError, IndexError) as error:
        raise BadRecording(f"{source if isinstance(source, Path) else 'a reply'}: {error}") from error
    if not frames:
        raise BadRecording(f"{source if isinstance(source, Path) else 'a reply'}: no audio in it")
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.int16)


def speech_end_s(samples: Samples) -> float:
    """Where the last frame of speech ends, by its energy; the whole length when all is equally loud."""
    frame = int(RATE_HZ * _FRAME_S)
    count = len(samples) // frame
    if count == 0:
        return len(samples) / RATE_HZ
    power = np.square(samples[: count * frame].reshape(count, frame).astype(np.float64)).mean(axis=1) + 1e-9
    level_db = 10 * np.log10(power)
    threshold = max(level_db.max() - _BELOW_PEAK_DB, np.percentile(level_db, 10) + _ABOVE_FLOOR_DB)
    loud = np.flatnonzero(level_db >= threshold)
    return float(loud[-1] + 1) * _FRAME_S if loud.size else len(samples) / RATE_HZ


def load(path: Path, *, name: str | None = None) -> Clip:
    """A recording of any rate and format; raises BadRecording."""
    samples = decode(path)
    if len(samples) > MAX_S * RATE_HZ:
        raise BadRecording(f"{path}: {len(samples) / RATE_HZ:.0f} s long; a command takes at most {MAX_S} s")
    return Clip(name or path.stem.replace("_", " "), samples, speech_end_s(samples))


def after_wake_word(wake_word: Clip, command: Clip) -> Clip:
    """A command as an open microphone hears it: a quiet room, the wake word, a short pause, the command."""
    before, pause = next(room_noise(_LISTENING_S)), next(room_noise(_PAUSE_S))
    samples = np.concatenate([before, wake_word.samples, pause, command.samples])
    ends_s = (len(samples) - len(command.samples)) / RATE_HZ + command.speech_end_s
    return Clip(command.name, samples, ends_s)


def room_noise(seconds: float) -> Iterator[Samples]:
    """Endless pieces of a quiet room, the same at every call."""
    random = np.random.default_rng(0)
    while True:
        yield random.normal(0, _ROOM_NOISE, int(RATE_HZ * seconds)).astype(np.int16)


def microphone(clip: Clip) -> Iterator[bytes]:
    """The clip in chunks of 20 ms and then the quiet room without end."""
    step = int(RATE_HZ * CHUNK_S)
    noise = room_noise(CHUNK_S)
    for start in range(0, len(clip.samples), step):
        chunk = clip.samples[start : start + step]
        yield np.concatenate([chunk, next(noise)[len(chunk) :]]).tobytes()
    for chunk in noise:
        yield chunk.tobytes()


def write_wav(path: Path, samples: Samples, *, rate_hz: int) -> None:
    """Writes mono 16-bit samples."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())
