"""Wake words by microWakeWord on the CPU: about 0.2 % of a core and 150 KB per stream; the models are in the package."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from ..errors import EngineUnavailable
from .base import SAMPLE_BYTES, SAMPLE_RATE_HZ, EngineInfo, WakeDetection, WakeWordModel
from .wake_words import Trigger, choose

if TYPE_CHECKING:
    from pymicro_wakeword import MicroWakeWord as Detector, MicroWakeWordFeatures

_PACKAGE: Final = "pymicro-wakeword"
# A feature covers 30 ms of audio and the next one begins 10 ms later.
_WINDOW_MS: Final = 30
_STEP_MS: Final = 10
# A model that has heard nothing yet is rash: of 165 recordings that begin at once it took two for wake words.
_LEAD_IN_MS: Final = 300


class MicroWakeWordStream:
    """One stream of 16 kHz audio; the detectors carry its state, so nothing is shared between streams."""

    def __init__(self, features: MicroWakeWordFeatures, detectors: Sequence[Detector]) -> None:
        self._features = features
        self._detectors = detectors
        self._heard_ms = _WINDOW_MS - _STEP_MS - _LEAD_IN_MS
        self._trigger = Trigger()
        self.process(bytes(_LEAD_IN_MS * SAMPLE_RATE_HZ // 1000 * SAMPLE_BYTES))

    def process(self, pcm: bytes) -> WakeDetection | None:
        """Takes audio of any length; gives the first wake word that it completes."""
        found = None
        # The features must be taken to the last, or the package would give the same audio again.
        for features in self._features.process_streaming(pcm):
            self._heard_ms += _STEP_MS
            fired = [detector.id for detector in self._detectors if detector.process_streaming(features)]
            if fired:
                detection = self._trigger.fire(fired[0], self._heard_ms)
                found = found or detection
        return found


class MicroWakeWord:
    """Hears "okay Nabu", "hey Jarvis", "hey Mycroft" and "Alexa"."""

    def __init__(self) -> None:
        self._models: tuple[WakeWordModel, ...] = ()

    @property
    def info(self) -> EngineInfo:
        """Who this engine is."""
        return EngineInfo(
            name="microwakeword",
            description="microWakeWord: wake words on the CPU",
            version=version(_PACKAGE),
            languages=sorted({language for model in self._models for language in model.languages}) or ("en",),
            author="Kevin Ahrendt",
            url="https://github.com/kahrendt/microWakeWord",
            licence="Apache-2.0",
        )

    @property
    def models(self) -> Sequence[WakeWordModel]:
        """The wake words that are here, known after `load`; the first is the default."""
        return self._models

    async def load(self) -> None:
        """Loads every model once and runs it; raises EngineUnavailable."""
        self._models = await asyncio.to_thread(_warm)

    async def close(self) -> None:
        """Nothing is held but what the streams hold."""

    def stream(self, names: Sequence[str] | None) -> MicroWakeWordStream:
        """Begins a stream for some wake words (None: the default); raises Unsupported for an unknown one."""
        from pymicro_wakeword import MicroWakeWordFeatures

        # First the names: the package's feature object loses an exception that passes while it is freed.
        chosen = choose(names, self._models)
        return MicroWakeWordStream(MicroWakeWordFeatures(), [_detector(name) for name in chosen])


def _detector(name: str) -> Detector:
    from pymicro_wakeword import MicroWakeWord as Detector, Model

    return Detector.from_builtin(Model(name))


def _warm() -> tuple[WakeWordModel, ...]:
    try:
        from pymicro_wakeword import MicroWakeWordFeatures, Model

        detectors = [_detector(model.value) for model in Model]
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise EngineUnavailable(f"microWakeWord cannot be loaded ({error}): pip install {_PACKAGE}") from error
    MicroWakeWordStream(MicroWakeWordFeatures(), detectors)
    return tuple(
        WakeWordModel(detector.id, detector.wake_word, tuple(detector.trained_languages)) for detector in detectors
    )
