"""When does a person begin to speak, pause, and end? A state machine over speech probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final, Protocol

PAUSE_MS: Final = 160
NO_SPEECH_MS: Final = 8_000

# Hysteresis: speech begins above the first probability and lasts until it falls under the second.
_SPEECH_PROBABILITY: Final = 0.5
_SILENCE_PROBABILITY: Final = 0.3
# Shorter bursts above the first probability are clicks, at the beginning and within a silence.
_MIN_SPEECH_MS: Final = 96
_MIN_RESUMED_MS: Final = 64


class Sensitivity(StrEnum):
    """How soon silence ends an utterance; Home Assistant's names."""

    AGGRESSIVE = "aggressive"
    DEFAULT = "default"
    RELAXED = "relaxed"


SILENCE_MS: Final = {Sensitivity.AGGRESSIVE: 500, Sensitivity.DEFAULT: 700, Sensitivity.RELAXED: 1_200}


class EndpointKind(StrEnum):
    """What was noticed."""

    SPEECH_STARTED = "speech_started"
    PAUSE = "pause"
    SPEECH_RESUMED = "speech_resumed"
    SPEECH_ENDED = "speech_ended"
    NO_SPEECH = "no_speech"


@dataclass(frozen=True)
class EndpointEvent:
    """What was noticed, in milliseconds of audio from the stream's beginning.

    `at_ms` is where the speech began or resumed, or where it stopped before a pause or the end; `noticed_ms` is how
    much audio had been heard by then.
    """

    kind: EndpointKind
    at_ms: int
    noticed_ms: int


class SpeechProbabilities(Protocol):
    """Gives the speech probability of each whole frame that some audio completes."""

    def process(self, pcm: bytes) -> Sequence[float]:
        """Takes audio of any length."""


class _State(Enum):
    WAITING = auto()
    SPEAKING = auto()
    PAUSED = auto()
    DONE = auto()


class Endpointer:
    """Watches one utterance; after `speech_ended` or `no_speech` it notices nothing more."""

    def __init__(
        self, activity: SpeechProbabilities, frame_ms: int, sensitivity: Sensitivity = Sensitivity.DEFAULT
    ) -> None:
        self._activity = activity
        self._frame_ms = frame_ms
        self._end_ms = SILENCE_MS[sensitivity]
        self._state = _State.WAITING
        self._heard_ms = 0
        self._speech_end_ms = 0
        self._burst_ms = 0

    @property
    def silence_ms(self) -> int:
        """How long it has been silent: since the last speech, or since the beginning when there was none."""
        return self._heard_ms - self._speech_end_ms

    def feed(self, pcm: bytes) -> list[EndpointEvent]:
        """Takes the next audio, of any length; gives what was noticed in it, in order."""
        noticed = (self._hear(probability) for probability in self._activity.process(pcm))
        return [event for event in noticed if event]

    def _hear(self, probability: float) -> EndpointEvent | None:
        if self._state is _State.DONE:
            return None
        was_speech = self._state is not _State.WAITING and self.silence_ms == 0
        self._heard_ms += self._frame_ms
        self._burst_ms = self._burst_ms + self._frame_ms if probability >= _SPEECH_PROBABILITY else 0
        if self._state is _State.WAITING:
            return self._wait()
        if (was_speech and probability >= _SILENCE_PROBABILITY) or self._burst_ms >= _MIN_RESUMED_MS:
            return self._speak()
        return self._fall_silent()

    def _wait(self) -> EndpointEvent | None:
        if self._burst_ms >= _MIN_SPEECH_MS:
            self._speech_end_ms = self._heard_ms
            return self._become(_State.SPEAKING, EndpointKind.SPEECH_STARTED, self._heard_ms - self._burst_ms)
        if self._heard_ms >= NO_SPEECH_MS and self._burst_ms == 0:
            return self._become(_State.DONE, EndpointKind.NO_SPEECH, 0)
        return None

    def _speak(self) -> EndpointEvent | None:
        self._speech_end_ms = self._heard_ms
        if self._state is _State.PAUSED:
            return self._become(_State.SPEAKING, EndpointKind.SPEECH_RESUMED, self._heard_ms - self._burst_ms)
        return None

    def _fall_silent(self) -> EndpointEvent | None:
        if self._burst_ms:  # perhaps somebody goes on; the next frame tells
            return None
        if self.silence_ms >= self._end_ms:
            return self._become(_State.DONE, EndpointKind.SPEECH_ENDED, self._speech_end_ms)
        if self.silence_ms >= PAUSE_MS and self._state is _State.SPEAKING:
            return self._become(_State.PAUSED, EndpointKind.PAUSE, self._speech_end_ms)
        return None

    def _become(self, state: _State, kind: EndpointKind, at_ms: int) -> EndpointEvent:
        self._state = state
        return EndpointEvent(kind, at_ms, self._heard_ms)
