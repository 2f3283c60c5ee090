"""What of an utterance is speech and what is the room behind it, and how far the one stands above the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .endpoint import SpeechProbabilities

SNR_MAX_DB: Final = 60.0
SNR_MIN_DB: Final = -20.0
# What lies between belongs to neither: breath, the soft ends of words, the room's echo.
_SPEECH_PROBABILITY: Final = 0.3
_ROOM_PROBABILITY: Final = 0.1
# Silences as long as those between words stay in the speech, and this much of its soft beginnings and endings.
_GAP_MS: Final = 192
_MARGIN_MS: Final = 32
# The room is heard from so far from speech on, when there are enough frames of it; else between the words.
_ECHO_MS: Final = 64
_MIN_ROOM_FRAMES: Final = 3
_QUIETEST: Final = 0.1
# Less than any microphone gives: silence that was put in, and tells nothing about the room.
_NOTHING_POWER: Final = 2.0
# A chair or a cough in the room is not what is behind the speech.
_LOUD_IN_ROOM: Final = 2.0


class Recorder:
    """Keeps an utterance (16-bit mono) with what a detector of speech makes of it; it stands before the detector.

    `spoken_frames` is how many frames of it are speech.
    """

    def __init__(self, activity: SpeechProbabilities, frame_bytes: int) -> None:
        self._activity, self._frame_bytes = activity, frame_bytes
        self._pcm = bytearray()
        self._probabilities: list[float] = []
        self.spoken_frames = 0

    def process(self, pcm: bytes) -> Sequence[float]:
        """Takes audio of any length; gives the speech probability of each whole frame that it completes."""
        probabilities = self._activity.process(pcm)
        self._pcm += pcm
        self._probabilities += probabilities
        self.spoken_frames += sum(probability >= _SPEECH_PROBABILITY for probability in probabilities)
        return probabilities

    def recording(self) -> Recording:
        """All that was heard until now, in whole frames."""
        probabilities = tuple(self._probabilities)
        return Recording(bytes(self._pcm[: len(probabilities) * self._frame_bytes]), probabilities)


@dataclass(frozen=True)
class Recording:
    """Audio in frames of equal length, and the speech probability of each."""

    pcm: bytes = field(repr=False)
    probabilities: Sequence[float] = field(repr=False)


@dataclass(frozen=True)
class Voiced:
    """The speech of an utterance without the silences around and in it, and the room behind it, as 16-bit audio."""

    speech: bytes = field(repr=False)
    room: bytes = field(repr=False)
    speech_ms: float
    snr_db: float


def voiced(recording: Recording, frame_ms: int, *, speech_max_ms: int) -> Voiced:
    """Takes an utterance apart; of its speech the first `speech_max_ms` are taken.

    `snr_db` is the power of the speech over that of the room, from -20 to 60 dB; 60 when nothing is heard of the room.
    """
    probabilities = np.array(recording.probabilities)
    if not probabilities.size:
        return Voiced(b"", b"", 0.0, SNR_MIN_DB)
    frames = np.frombuffer(recording.pcm, "<i2").reshape(probabilities.size, -1)
    power = np.square(frames.astype(np.float32)).mean(axis=1)
    is_speech = probabilities >= _SPEECH_PROBABILITY
    whole = _widened(_joined(is_speech, _GAP_MS // frame_ms), _MARGIN_MS // frame_ms)
    room = ~_widened(is_speech, _ECHO_MS // frame_ms) & (probabilities < _ROOM_PROBABILITY) & (power > _NOTHING_POWER)
    room_power = _room_power(power, room, whole)
    taken = np.flatnonzero(whole)[: speech_max_ms // frame_ms]
    return Voiced(
        speech=frames[taken].tobytes(),
        room=frames[room & (power <= _LOUD_IN_ROOM * room_power)].tobytes(),
        speech_ms=float(np.count_nonzero(whole) * frame_ms),
        snr_db=_snr_db(power[is_speech], room_power),
    )


def _room_power(power: NDArray[np.float32], room: NDArray[np.bool_], speech: NDArray[np.bool_]) -> float:
    """The mean square of the room's sound; 0 when it was silenced."""
    if np.count_nonzero(room) >= _MIN_ROOM_FRAMES:
        return float(np.median(power[room]))
    heard = np.sort(power[speech & (power > _NOTHING_POWER)])
    return float(heard[: max(1, round(len(heard) * _QUIETEST))].mean()) if heard.size else 0.0


def _snr_db(speech_power: NDArray[np.float32], room_power: float) -> float:
    if not speech_power.size:
        return SNR_MIN_DB
    if room_power <= 0:
        return SNR_MAX_DB
    # The speech was heard together with the room.
    ratio = float(speech_power.mean()) / room_power - 1
    return float(np.clip(10 * np.log10(max(ratio, 1e-9)), SNR_MIN_DB, SNR_MAX_DB))


def _joined(is_speech: NDArray[np.bool_], gap: int) -> NDArray[np.bool_]:
    """Closes gaps of up to so many frames."""
    joined = is_speech.copy()
    at = np.flatnonzero(is_speech)
    for before, after in pairwise(at):
        if after - before <= gap + 1:
            joined[before:after] = True
    return joined


def _widened(chosen: NDArray[np.bool_], frames: int) -> NDArray[np.bool_]:
    """Each run of frames longer by so many at both ends."""
    widened: NDArray[np.bool_] = np.convolve(chosen, np.ones(2 * frames + 1))[frames : frames + chosen.size] > 0
    return widened
