"""The mel spectrogram that the voice encoder was trained on: 25 ms windows every 10 ms, 40 mel bands of power, no logarithm."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .base import SAMPLE_RATE_HZ

HOP_SAMPLES: Final = SAMPLE_RATE_HZ // 100
BANDS: Final = 40
_WINDOW_SAMPLES: Final = SAMPLE_RATE_HZ // 40
# Slaney's mel scale: linear below 1 kHz, logarithmic above.
_HZ_PER_MEL: Final = 200 / 3
_BREAK_HZ: Final = 1000.0
_BREAK_MEL: Final = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP: Final = np.log(6.4) / 27


def mel_spectrogram(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power in each mel band, shape (1 + samples // 160, 40); frames are centred on multiples of 10 ms.

    Equals `librosa.feature.melspectrogram(y, sr=16000, n_fft=400, hop_length=160, n_mels=40).T`, librosa 0.10 and later:
    M. Slaney, "Auditory Toolbox", 1998, for the scale and the bands of unit area.
    """
    padded = np.pad(samples, _WINDOW_SAMPLES // 2)
    frames = sliding_window_view(padded, _WINDOW_SAMPLES)[::HOP_SAMPLES]
    spectrum = np.fft.rfft(frames * _window(), axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return (power @ _filters()).astype(np.float32)


@cache
def _window() -> NDArray[np.float32]:
    """Hann, periodic."""
    return np.hanning(_WINDOW_SAMPLES + 1)[:-1].astype(np.float32)


@cache
def _filters() -> NDArray[np.float32]:
    """Triangles between neighbouring mel frequencies, shape (201, 40)."""
    bins_hz = np.fft.rfftfreq(_WINDOW_SAMPLES, 1 / SAMPLE_RATE_HZ)[:, None]
    edges_hz = _mel_to_hz(np.linspace(0, _hz_to_mel(SAMPLE_RATE_HZ / 2), BANDS + 2))
    lower, centre, upper = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz - lower) / (centre - lower)
    falling = (upper - bins_hz) / (upper - centre)
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (upper - lower))).astype(np.float32)


def _hz_to_mel(hz: float) -> float:
    """For frequencies above 1 kHz."""
    return float(_BREAK_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP)


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, _BREAK_HZ * np.exp((mel - _BREAK_MEL) * _LOG_STEP))
