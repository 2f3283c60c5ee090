"""What the streams of the wake word bench hear: rooms, talk and wake words, mixed from recordings the same way each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from barnabeenet_sidecar.audio.pcm import resample, wav_read
from barnabeenet_sidecar.engines.espeak_library import library

RATE_HZ = 16_000
# Half of the streams listen for the default, which is also the largest model.
WORDS = ("okay_nabu", "hey_jarvis", "okay_nabu", "hey_mycroft", "okay_nabu", "alexa")
SPOKEN_BY_PEOPLE = {
    "hey_jarvis": ("wow_hey_jarvis",),
    "alexa": ("wow_alexa", "oww_alexa_test"),
    "hey_mycroft": ("oww_hey_mycroft_test",),
}
# No person says "okay Nabu" in the recordings.
NABU_VOICES = (("gmw/en-US", 145), ("gmw/en-US", 160), ("gmw/en", 145), ("gmw/en-US+edward", 145), ("gmw/en+f3", 160))
READ_SPEECH = ("ls_test-other", "lj", "psx")

ROOM_DBFS = (-68.0, -48.0)
TALK_DBFS = (-38.0, -22.0)
# Of a household's stream: two stretches of talk, one wake word a minute, and the room for the rest.
TALK_SHARE = 0.2
HOUSEHOLD_WORD_EVERY_S = 60.0
SPEECH_WORD_EVERY_S = 30.0
PAUSE_S = 0.6

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Mixed:
    """One stream's audio: the wake word it listens for, and where that is said in it (milliseconds)."""

    word: str
    samples: Samples
    said_ms: list[tuple[float, float]] = field(default_factory=list)

    @property
    def pcm(self) -> bytes:
        """As 16-bit PCM."""
        return np.clip(np.round(self.samples), -32_768, 32_767).astype("<i2").tobytes()


@dataclass(frozen=True)
class Material:
    """The recordings the streams are mixed from, at 16 kHz; words are cut close, by name."""

    talk: Sequence[Samples]
    words: Mapping[str, Sequence[Samples]]
    room: Samples


def material(folder: Path) -> Material:
    """Reads the recordings; raises OSError when one is missing."""
    words = {
        name: [_cut(read(folder / "wake" / f"{clip}.wav")) for clip in SPOKEN_BY_PEOPLE[name]]
        for name in SPOKEN_BY_PEOPLE
    }
    words["okay_nabu"] = [_cut(_spoken("okay nahboo", voice, rate)) for voice, rate in NABU_VOICES]
    room = read(folder / "noise" / "background_noise.wav")
    return Material([read(path) for path in read_speech(folder)], words, room)


def read_speech(folder: Path) -> list[Path]:
    """The recordings of people who read aloud and say no wake word."""
    return sorted(path for name in READ_SPEECH for path in (folder / name).glob("*.wav"))


def read(path: Path) -> Samples:
    """A recording at 16 kHz."""
    pcm = wav_read(path, limit_s=120)
    audio = pcm.data if pcm.rate_hz == RATE_HZ else resample(pcm.data, pcm.rate_hz, RATE_HZ)
    return np.frombuffer(audio, "<i2").astype(np.float32)


def household(source: Material, seed: int, *, seconds: float) -> Mixed:
    """Mostly a quiet room, now and then talk, and a wake word a minute."""
    random, mixed = _stream(source, seed, seconds)
    length = mixed.samples.size
    stretch = int(length * TALK_SHARE / 2)
    for half in range(2):
        begin = half * length // 2 + int(random.integers(0, length // 2 - stretch))
        _add(mixed, _talk(source, random, stretch), begin, random.uniform(*TALK_DBFS))
    _say(mixed, source, random, HOUSEHOLD_WORD_EVERY_S)
    return mixed


def speech(source: Material, seed: int, *, seconds: float) -> Mixed:
    """Talk without end, and a wake word every half minute."""
    random, mixed = _stream(source, seed, seconds)
    _add(mixed, _talk(source, random, mixed.samples.size), 0, random.uniform(*TALK_DBFS))
    _say(mixed, source, random, SPEECH_WORD_EVERY_S)
    return mixed


def _stream(source: Material, seed: int, seconds: float) -> tuple[np.random.Generator, Mixed]:
    random = np.random.default_rng(seed)
    length = int(seconds * RATE_HZ)
    level = random.uniform(*ROOM_DBFS)
    if seed % 3 == 0:
        noise = np.resize(np.roll(source.room, int(random.integers(source.room.size))), length)
        return random, Mixed(WORDS[seed % len(WORDS)], noise.copy())
    return random, Mixed(WORDS[seed % len(WORDS)], _hiss(random, length) * _amplitude(level))


def _hiss(random: np.random.Generator, length: int) -> Samples:
    """Noise of unit level that falls off towards the treble, as that of rooms does."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    spectrum /= np.sqrt(np.maximum(np.arange(spectrum.size) * RATE_HZ / length, 50.0))
    noise: Samples = np.fft.irfft(spectrum, length).astype(np.float32)
    return noise / np.float32(noise.std())


def _talk(source: Material, random: np.random.Generator, length: int) -> Samples:
    """Read speech of a length, at unit level, with short pauses between the recordings."""
    pieces: list[Samples] = []
    while sum(piece.size for piece in pieces) < length:
        clip = source.talk[int(random.integers(len(source.talk)))]
        pieces += [clip / clip.std(), np.zeros(int(random.uniform(0.1, PAUSE_S) * RATE_HZ), np.float32)]
    return np.concatenate(pieces)[:length]


def _say(mixed: Mixed, source: Material, random: np.random.Generator, every_s: float) -> None:
    """Says the stream's own word once in each period; other talk pauses for it, as people do."""
    clips = source.words[mixed.word]
    period = int(every_s * RATE_HZ)
    pause = int(PAUSE_S * RATE_HZ)
    for start in range(0, max(mixed.samples.size - period, 0) + 1, period):
        clip = clips[int(random.integers(len(clips)))]
        room = min(period, mixed.samples.size - start) - clip.size - 4 * pause
        begin = start + 2 * pause + int(random.integers(max(room, 1)))
        mixed.samples[begin - pause : begin + clip.size + pause] *= 0.05
        _add(mixed, clip / clip.std(), begin, random.uniform(*TALK_DBFS))
        mixed.said_ms.append((begin * 1000 / RATE_HZ, (begin + clip.size) * 1000 / RATE_HZ))


def _add(mixed: Mixed, sound: Samples, begin: int, dbfs: float) -> None:
    mixed.samples[begin : begin + sound.size] += sound * _amplitude(dbfs)


def _amplitude(dbfs: float) -> float:
    return float(32_768 * 10 ** (dbfs / 20))


def _cut(clip: Samples) -> Samples:
    """A word without the silence around it, but for a tenth of a second."""
    frame = RATE_HZ // 100
    levels = clip[: clip.size // frame * frame].reshape(-1, frame).std(axis=1)
    loud = np.flatnonzero(levels > levels.max() / 20)
    return clip[max(int(loud[0]) - 10, 0) * frame : (int(loud[-1]) + 10) * frame]


def _spoken(text: str, voice: str, rate_wpm: int) -> Samples:
    pieces: list[bytes] = []

    def keep(pcm: bytes) -> bool:
        pieces.append(pcm)
        return True

    library().speak(text, voice, rate_wpm, keep)
    return np.frombuffer(resample(b"".join(pieces), library().rate_hz, RATE_HZ), "<i2").astype(np.float32)
