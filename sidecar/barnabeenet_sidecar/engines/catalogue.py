"""Which engines there are, by name, and the ones that this sidecar runs: loaded side by side, failing one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
import logging
from pathlib import Path
import time
from typing import Generic, TypeVar

from ..errors import EngineUnavailable
from .base import Engine, SpeechToText, TextToSpeech, VoiceActivity, WakeWord

_LOGGER = logging.getLogger(__name__)

EngineT = TypeVar("EngineT", bound=Engine)


class Slot(Generic[EngineT]):
    """A capability and the engines that may fill it: the first that loads on this machine does."""

    def __init__(self, kind: str, candidates: Sequence[EngineT]) -> None:
        self.kind = kind
        self.load_s = 0.0
        self.problem: str | None = "it is still loading"
        self._candidates = candidates
        self._engine: EngineT | None = None

    @property
    def ready(self) -> bool:
        """Whether an engine is loaded and warmed up."""
        return self._engine is not None

    @property
    def name(self) -> str:
        """The engine that serves, or the one that was wanted first."""
        return (self._engine or self._candidates[0]).info.name

    def get(self) -> EngineT:
        """The loaded engine; raises EngineUnavailable with the reason when there is none."""
        if self._engine is None:
            raise EngineUnavailable(f"no {self.kind} here: {self.problem}")
        return self._engine

    async def load(self) -> None:
        """Loads and warms up; never raises: what went wrong is in `problem`."""
        problems = []
        for engine in self._candidates:
            started = time.perf_counter()
            try:
                await engine.load()
            except EngineUnavailable as err:
                problems.append(f"{engine.info.name}: {err}")
                await engine.close()
                continue
            except Exception as err:
                _LOGGER.exception("%s broke while it loaded", engine.info.name)
                problems.append(f"{engine.info.name} broke while it loaded: {err!r}")
                await engine.close()
                continue
            self.load_s = time.perf_counter() - started
            self._engine, self.problem = engine, None
            _LOGGER.info("%s: %s ready after %.0f ms", self.kind, engine.info.name, self.load_s * 1000)
            return
        self.problem = "; ".join(problems)
        _LOGGER.warning("%s is off, the rest goes on: %s", self.kind, self.problem)

    async def close(self) -> None:
        """Frees the engine; the slot is empty afterwards."""
        engine, self._engine = self._engine, None
        self.problem = "it is closed"
        if engine is not None:
            await engine.close()


@dataclass(frozen=True)
class Engines:
    """One slot per capability."""

    stt: Slot[SpeechToText]
    tts: Slot[TextToSpeech]
    vad: Slot[VoiceActivity]
    wake: Slot[WakeWord]

    @property
    def slots(self) -> Sequence[Slot[SpeechToText] | Slot[TextToSpeech] | Slot[VoiceActivity] | Slot[WakeWord]]:
        """All of them, in the order people ask about them."""
        return (self.stt, self.tts, self.vad, self.wake)

    @property
    def can_serve(self) -> bool:
        """Whether a person can be heard and answered."""
        return self.stt.ready and self.tts.ready

    async def load(self) -> None:
        """Loads all side by side; never raises."""
        await asyncio.gather(*(slot.load() for slot in self.slots))

    async def close(self) -> None:
        """Frees all."""
        await asyncio.gather(*(slot.close() for slot in self.slots))


def choose(*, stt: str, tts: str, vad: str, wake: str, stt_workers: int, data_dir: Path) -> Engines:
    """The engines of these names, not loaded yet."""
    return Engines(
        stt=Slot("speech recognition", _speech_to_text(stt, stt_workers, data_dir)),
        tts=Slot("speech synthesis", _text_to_speech(tts)),
        vad=Slot("voice activity detection", _voice_activity(vad)),
        wake=Slot("wake word detection", _wake_word(wake)),
    )


# An engine's libraries are imported when it is chosen, so that one that is broken here cannot stop the others.


def _speech_to_text(name: str, workers: int, data_dir: Path) -> Sequence[SpeechToText]:
    from .pocketsphinx import PocketSphinx

    return [{"pocketsphinx": PocketSphinx}[name](workers, data_dir)]


def _text_to_speech(name: str) -> Sequence[TextToSpeech]:
    from .espeak import Espeak
    from .flite import Flite

    # Flite is the clearer voice and stands on some machines only; espeak-ng comes along with the sidecar.
    kinds: dict[str, Sequence[type[TextToSpeech]]] = {"auto": [Flite, Espeak], "flite": [Flite], "espeak": [Espeak]}
    return [kind() for kind in kinds[name]]


def _voice_activity(name: str) -> Sequence[VoiceActivity]:
    from .silero import Silero

    return [{"silero": Silero}[name]()]


def _wake_word(name: str) -> Sequence[WakeWord]:
    if name == "openwakeword":
        from .open_wake_word import OpenWakeWord

        return [OpenWakeWord()]
    from .micro_wake_word import MicroWakeWord

    return [MicroWakeWord()]
