"""Which engines there are, by name, and the ones that this sidecar runs: loaded side by side, failing one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import logging
from pathlib import Path
import shutil
import time
from typing import Any, Final, Generic, TypeAlias, TypeVar

from ..errors import EngineUnavailable
from ..telemetry.logs import HARMLESS
from .base import Engine, SpeechToText, TextEmbedding, TextToSpeech, VoiceActivity, VoicePrint, WakeWord
from .chain import OnFallback, SpeechToTextChain, TextToSpeechChain

_LOGGER = logging.getLogger(__name__)

_NO_EMBEDDING: Final = "its model is not here: run `barnabeenet-sidecar models pull minilm-l6-v2`"
EngineT = TypeVar("EngineT", bound=Engine)


class Slot(Generic[EngineT]):
    """A capability, and the engine that fills it when it loads on this machine; None for `missing`, the reason why."""

    def __init__(self, kind: str, engine: EngineT | None, *, missing: str = "", is_needed: bool = True) -> None:
        self.kind = kind
        self.is_needed = is_needed
        self.load_s = 0.0
        self.problem: str | None = "it is still loading" if engine else missing
        self._wanted = engine
        self._engine: EngineT | None = None

    @property
    def ready(self) -> bool:
        """Whether an engine is loaded and warmed up."""
        return self._engine is not None

    @property
    def name(self) -> str:
        """The engine that serves, or that is wanted; "none" without either."""
        return self._wanted.info.name if self._wanted else "none"

    @property
    def left_out(self) -> Mapping[str, str]:
        """Engines that should help and cannot, and why."""
        return self._engine.problems if isinstance(self._engine, SpeechToTextChain | TextToSpeechChain) else {}

    def get(self) -> EngineT:
        """The loaded engine; raises EngineUnavailable with the reason when there is none."""
        if self._engine is None:
            raise EngineUnavailable(f"no {self.kind} here: {self.problem}")
        return self._engine

    async def load(self) -> None:
        """Loads and warms up; never raises: what went wrong is in `problem`."""
        engine, started = self._wanted, time.perf_counter()
        if engine is None:
            return
        try:
            await engine.load()
        except EngineUnavailable as err:
            self.problem = str(err)
        except Exception as err:
            _LOGGER.exception("%s broke while it loaded", engine.info.name, extra=HARMLESS)
            self.problem = f"{engine.info.name} broke while it loaded: {err!r}"
        else:
            self.load_s = time.perf_counter() - started
            self._engine, self.problem = engine, None
            _LOGGER.info("%s: %s ready after %.0f ms", self.kind, engine.info.name, self.load_s * 1000)
            return
        await engine.close()
        level = logging.WARNING if self.is_needed else logging.INFO
        _LOGGER.log(level, "%s is off, the rest goes on: %s", self.kind, self.problem)

    def swap(self, other: Slot[EngineT]) -> None:
        """Exchanges what is in two slots: who asks for an engine from now on gets the other's."""
        for name in ("load_s", "problem", "_wanted", "_engine"):
            ours, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, theirs)
            setattr(other, name, ours)

    async def close(self) -> None:
        """Frees the engine; the slot is empty afterwards."""
        engine, self._engine = self._engine, None
        self.problem = "it is closed"
        if engine is not None:
            await engine.close()


AnySlot: TypeAlias = Slot[Any]


@dataclass(frozen=True)
class Engines:
    """One slot per capability."""

    stt: Slot[SpeechToText]
    tts: Slot[TextToSpeech]
    vad: Slot[VoiceActivity]
    wake: Slot[WakeWord]
    embedding: Slot[TextEmbedding]
    voice_print: Slot[VoicePrint]

    @property
    def slots(self) -> Sequence[AnySlot]:
        """All of them, in the order people ask about them."""
        return (self.stt, self.tts, self.vad, self.wake, self.embedding, self.voice_print)

    @property
    def can_serve(self) -> bool:
        """Whether a person can be heard and answered."""
        return self.stt.ready and self.tts.ready

    def swap(self, others: Engines) -> None:
        """Exchanges the engines in all slots."""
        for slot, other in zip(self.slots, others.slots, strict=True):
            slot.swap(other)

    async def load(self) -> None:
        """Loads all side by side; never raises."""
        await asyncio.gather(*(slot.load() for slot in self.slots))

    async def close(self) -> None:
        """Frees all."""
        await asyncio.gather(*(slot.close() for slot in self.slots))


def choose(
    *,
    tts: str,
    vad: str,
    wake: str,
    stt_workers: int,
    data_dir: Path,
    large_stt: Sequence[SpeechToText] = (),
    large_tts: Sequence[TextToSpeech] = (),
    embedding: TextEmbedding | None = None,
    absent_stt: Mapping[str, str] | None = None,
    absent_tts: Mapping[str, str] | None = None,
    on_fallback: OnFallback = lambda _failed, _next: None,
) -> Engines:
    """The engines of these names, not loaded yet: `large_*` before the embedded ones, which need no download.

    An engine that is asked for by name goes first; those that could do its work follow it. `absent_*` are those that
    cannot even be asked to load, and why.
    """
    hearing = SpeechToTextChain([*large_stt, _pocketsphinx(stt_workers, data_dir)], absent_stt, on_fallback)
    speaking = TextToSpeechChain([*large_tts, *_small_voices(tts)], absent_tts, on_fallback)
    return Engines(
        stt=Slot("speech recognition", hearing),
        tts=Slot("speech synthesis", speaking),
        vad=Slot("voice activity detection", _voice_activity(vad)),
        wake=Slot("wake word detection", _wake_word(wake)),
        embedding=Slot("text embedding", embedding, missing=_NO_EMBEDDING, is_needed=False),
        voice_print=Slot("voice printing", _voice_print(), is_needed=False),
    )


# An engine's libraries are imported when it is chosen, so that one that is broken here cannot stop the others.


def _pocketsphinx(workers: int, data_dir: Path) -> SpeechToText:
    from .pocketsphinx import PocketSphinx

    return PocketSphinx(workers, data_dir)


def _small_voices(name: str) -> Sequence[TextToSpeech]:
    from .espeak import Espeak
    from .flite import Flite

    # Flite is the clearer voice and stands on some machines only; espeak-ng comes along with the sidecar.
    wants_flite = name == "flite" or (name != "espeak" and shutil.which("flite") is not None)
    return [Flite(), Espeak()] if wants_flite else [Espeak()]


def _voice_activity(name: str) -> VoiceActivity:
    from .silero import Silero

    return {"silero": Silero}[name]()


def _wake_word(name: str) -> WakeWord:
    if name == "openwakeword":
        from .open_wake_word import OpenWakeWord

        return OpenWakeWord()
    from .micro_wake_word import MicroWakeWord

    return MicroWakeWord()


def _voice_print() -> VoicePrint:
    from .voice_print import ResemblyzerEncoder

    return ResemblyzerEncoder()
