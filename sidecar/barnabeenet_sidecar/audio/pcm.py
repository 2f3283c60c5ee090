"""16-bit little-endian mono PCM in `bytes`: WAV files, sample rates, length and level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
import io
import math
from pathlib import Path
import struct
from typing import IO, Final
import wave

import numpy as np
from numpy.typing import NDArray

from ..errors import BadRequest

SAMPLE_BYTES: Final = 2
RATE_MIN_HZ: Final = 8_000
RATE_MAX_HZ: Final = 48_000
WAV_MAX_BYTES: Final = 16 * 1024 * 1024
WAV_LIMIT_S: Final = 60.0
LEVEL_FLOOR_DBFS: Final = -100.0
_FULL_SCALE: Final = 32_768
_LENGTH_UNKNOWN: Final = 0xFFFFFFFF

_ZERO_CROSSINGS: Final = 24
_KAISER_BETA: Final = 9.0  # 90 dB of stop-band attenuation
_ROLL_OFF: Final = 0.93  # of the lower Nyquist frequency, so that the transition band ends near it
_PHASES_MAX: Final = 1024  # every usual pair of rates needs fewer; odd ones are rounded to 1/1024 sample, 67 dB
_BLOCK: Final = 8192  # outputs made at once; bounds the memory of a long chunk


@dataclass(frozen=True)
class Pcm:
    """Mono audio and its sample rate."""

    data: bytes
    rate_hz: int

    @property
    def duration_ms(self) -> float:
        """How long it plays."""
        return duration_ms(self.data, self.rate_hz)


def duration_ms(pcm: bytes, rate_hz: int) -> float:
    """How long mono 16-bit audio plays, in milliseconds."""
    return len(pcm) // SAMPLE_BYTES * 1000 / rate_hz


def level_dbfs(pcm: bytes) -> float:
    """Root mean square in dB below a full-scale square wave; silence, and no audio, is LEVEL_FLOOR_DBFS."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    mean_square = float(np.mean(np.square(samples))) if samples.size else 0.0
    if mean_square == 0.0:
        return LEVEL_FLOOR_DBFS
    return max(10 * math.log10(mean_square / _FULL_SCALE**2), LEVEL_FLOOR_DBFS)


def wav_read(source: Path | str | IO[bytes], *, limit_s: float = WAV_LIMIT_S) -> Pcm:
    """Reads a 16-bit WAV of 8 to 48 kHz, stereo mixed down; raises BadRequest when it is anything else or longer."""
    if isinstance(source, Path | str):
        with Path(source).open("rb") as file:
            return wav_read(file, limit_s=limit_s)
    content = source.read(WAV_MAX_BYTES + 1)
    if len(content) > WAV_MAX_BYTES:
        raise BadRequest(f"the WAV file is larger than {WAV_MAX_BYTES // 1024**2} MiB: send a shorter one")
    try:
        with wave.open(io.BytesIO(content), "rb") as reader:
            channels, width, rate_hz = reader.getnchannels(), reader.getsampwidth(), reader.getframerate()
            _check_format(channels, width, rate_hz)
            data = reader.readframes(reader.getnframes())
    except (wave.Error, EOFError, RuntimeError) as error:
        reason = str(error) or "it ends too soon"
        raise BadRequest(f"not a WAV file that can be read ({reason}): send 16-bit PCM") from error
    data = data[: len(data) - len(data) % (SAMPLE_BYTES * channels)]
    if duration_ms(data, rate_hz) / channels > limit_s * 1000:
        raise BadRequest(f"the WAV file is longer than {limit_s:g} s: send a shorter one")
    return Pcm(_mix_down(data) if channels == 2 else data, rate_hz)


def wav_write(target: Path | str | IO[bytes], pcm: Pcm) -> None:
    """Writes a mono WAV file."""
    with wave.open(str(target) if isinstance(target, Path) else target, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(SAMPLE_BYTES)
        writer.setframerate(pcm.rate_hz)
        writer.writeframes(pcm.data)


def wav_header(rate_hz: int) -> bytes:
    """The 44 bytes before mono audio whose length is not known yet."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", _LENGTH_UNKNOWN, b"WAVE"),
        *(b"fmt ", 16, 1, 1, rate_hz, rate_hz * SAMPLE_BYTES, SAMPLE_BYTES, 8 * SAMPLE_BYTES),
        *(b"data", _LENGTH_UNKNOWN),
    )


def _check_format(channels: int, width: int, rate_hz: int) -> None:
    if width != SAMPLE_BYTES:
        raise BadRequest(f"the WAV file has {8 * width}-bit samples: send 16-bit PCM")
    if channels not in (1, 2):
        raise BadRequest(f"the WAV file has {channels} channels: send one or two")
    if not RATE_MIN_HZ <= rate_hz <= RATE_MAX_HZ:
        raise BadRequest(f"the WAV file has {rate_hz} samples a second: send {RATE_MIN_HZ} to {RATE_MAX_HZ}")


def _mix_down(stereo: bytes) -> bytes:
    pairs = np.frombuffer(stereo, "<i2").reshape(-1, 2).astype(np.int32)
    mono: NDArray[np.int32] = pairs.sum(axis=1) >> 1
    return mono.astype("<i2").tobytes()


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """Converts a whole mono recording; it keeps its length in time."""
    resampler = Resampler(from_hz, to_hz)
    return resampler.feed(pcm) + resampler.finish()


class Resampler:
    """Converts one mono stream, chunk by chunk, to the very bytes that `resample` gives for the whole.

    Windowed-sinc polyphase interpolation (J. O. Smith, "Digital Audio Resampling", 1984); looks ahead about 24 samples
    of the lower rate. Raises ValueError for a rate outside 8 to 48 kHz.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        for rate_hz in (from_hz, to_hz):
            if not RATE_MIN_HZ <= rate_hz <= RATE_MAX_HZ:
                raise ValueError(f"cannot convert {rate_hz} Hz: sample rates go from {RATE_MIN_HZ} to {RATE_MAX_HZ}")
        divisor = math.gcd(from_hz, to_hz)
        self._step, self._up = from_hz // divisor, to_hz // divisor
        self._same = from_hz == to_hz
        self._odd = b""
        if self._same:
            return
        self._filters = _polyphase(self._step, self._up)
        self._half = self._filters.shape[1] // 2
        self._pending: NDArray[np.float32] = np.zeros(self._half, np.float32)
        self._start = -self._half  # index in the input stream of the first pending sample
        self._received = 0
        self._made = 0

    def feed(self, pcm: bytes) -> bytes:
        """Takes the next audio, of any length; gives what can be made of it already."""
        if self._same:
            return pcm
        pcm = self._odd + pcm
        whole = len(pcm) - len(pcm) % 2
        self._odd = pcm[whole:]
        samples = np.frombuffer(pcm[:whole], "<i2").astype(np.float32)
        self._received += samples.size
        self._pending = np.concatenate((self._pending, samples))
        return self._make(self._outputs_before(self._received - self._half))

    def finish(self) -> bytes:
        """Ends the stream: what was still held back."""
        if self._same:
            return b""
        self._pending = np.concatenate((self._pending, np.zeros(self._half + 1, np.float32)))
        return self._make(self._outputs_before(self._received))

    def _outputs_before(self, position: int) -> int:
        """How many outputs lie before this index of the input."""
        return max(0, -(-position * self._up // self._step))

    def _make(self, until: int) -> bytes:
        return b"".join(self._make_block(min(start + _BLOCK, until)) for start in range(self._made, until, _BLOCK))

    def _make_block(self, until: int) -> bytes:
        ticks = np.arange(self._made, until, dtype=np.int64) * self._step
        first = ticks // self._up - self._half + 1 - self._start
        phases = (ticks % self._up) * len(self._filters) // self._up
        windows = np.lib.stride_tricks.sliding_window_view(self._pending, self._filters.shape[1])
        out: NDArray[np.float32] = np.einsum("ij,ij->i", windows[first], self._filters[phases])
        self._made = until
        self._forget(until * self._step // self._up - self._half + 1)
        return np.clip(np.rint(out), -32_768, 32_767).astype("<i2").tobytes()

    def _forget(self, before: int) -> None:
        if before > self._start:
            self._pending = self._pending[before - self._start :].copy()
            self._start = before


@lru_cache(maxsize=16)
def _polyphase(step: int, up: int) -> NDArray[np.float32]:
    """One filter per phase, each with unit gain: shape (phases, taps)."""
    phases = min(up, _PHASES_MAX)
    cutoff = _ROLL_OFF * min(1.0, up / step)
    half = int(np.ceil(_ZERO_CROSSINGS / cutoff))
    offsets = np.arange(-half + 1, half + 1)[None, :] - (np.arange(phases) / phases)[:, None]
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (offsets / half) ** 2, 0, None)))
    filters: NDArray[np.float64] = np.sinc(cutoff * offsets) * window
    filters /= filters.sum(axis=1, keepdims=True)
    return filters.astype(np.float32)
