"""Which engines this sidecar runs: those that the settings ask for, with the models that the store has."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
import logging
from pathlib import Path
from typing import Final

from .config import Settings
from .engines.catalogue import AnySlot, Engines, choose
from .engines.chain import OnFallback
from .engines.model_folder import ModelFolder
from .errors import EngineUnavailable, SidecarError
from .gpu.engine_host import EngineHost
from .gpu.hosted import EngineName, Hosted
from .gpu.nvml import Nvml
from .models.errors import ModelError
from .models.store import Store

_LOGGER = logging.getLogger(__name__)

HEARING: Final[Sequence[EngineName]] = ("parakeet", "whisper")
SPEAKING: Final[Sequence[EngineName]] = ("kokoro",)
ALL: Final[Sequence[EngineName]] = (*HEARING, *SPEAKING, "minilm")

# The store's models that an engine can work with: the one for a GPU, then a smaller one for the processor.
_MODELS: Final[Mapping[EngineName, Sequence[str]]] = {
    "parakeet": ("parakeet-tdt-0.6b-v3", "parakeet-tdt-0.6b-v3-int8"),
    "whisper": ("whisper-large-v3-turbo", "whisper-small"),
    "kokoro": ("kokoro-82m-v1.0",),
    "minilm": ("minilm-l6-v2",),
}


@dataclass(frozen=True)
class Roster:
    """The engines, and the process that hosts the large ones when there are any.

    What engines write while they run goes into `work_dir`.
    """

    engines: Engines
    work_dir: Path
    host: EngineHost | None = None
    hosted: Collection[EngineName] = ()

    def with_engines(self, engines: Engines) -> Roster:
        """The same with other slots."""
        return replace(self, engines=engines)

    async def load(self) -> None:
        """Loads all side by side; never raises: each slot knows what is wrong with it."""
        await asyncio.gather(self._start_host(), self.engines.load())

    async def load_for(self, slot: AnySlot) -> None:
        """Loads what is in one slot; never raises."""
        await asyncio.gather(self._start_host(), slot.load())

    async def close(self) -> None:
        """Frees all; safe to call twice."""
        await self.engines.close()
        if self.host is not None:
            await self.host.close()

    async def take_model(self, engine: EngineName, data_dir: Path) -> None:
        """Has a hosted engine take the version that the store has active; raises SidecarError."""
        found, absent = await asyncio.to_thread(_find, data_dir, [engine], [engine])
        if engine not in found:
            raise EngineUnavailable(absent[engine])
        if self.host is not None:
            await self.host.replace(found[engine])

    async def _start_host(self) -> None:
        if self.host is None:
            return
        try:
            await self.host.start()
        except SidecarError as error:
            _LOGGER.warning("the large engines are off: %s", error)


async def call_up(
    settings: Settings,
    work_dir: Path,
    *,
    among: Collection[EngineName] = ALL,
    on_fallback: OnFallback = lambda _failed, _next: None,
) -> Roster:
    """The engines that the settings ask for, not loaded yet; of the large ones those `among`."""
    wanted = [name for name in _wanted(settings) if name in among]
    named = (settings.stt, settings.tts)
    found, absent = await asyncio.to_thread(_find, settings.data_dir, wanted, named)
    host = EngineHost(list(found.values()), device=settings.device, vram_mb=settings.vram_mb, gpu=Nvml())
    engines = choose(
        tts=settings.tts,
        vad=settings.vad,
        wake=settings.wake,
        stt_workers=settings.stt_workers,
        data_dir=work_dir,
        large_stt=[host.speech_to_text(name) for name in found if name in HEARING],
        large_tts=[host.text_to_speech(name) for name in found if name in SPEAKING],
        embedding=host.embedding("minilm") if "minilm" in found else None,
        absent_stt={name: reason for name, reason in absent.items() if name in HEARING},
        absent_tts={name: reason for name, reason in absent.items() if name in SPEAKING},
        on_fallback=on_fallback,
    )
    return Roster(engines, work_dir, host, tuple(found)) if found else Roster(engines, work_dir)


def engine_of(model: str) -> EngineName | None:
    """The engine that works with a model of the store; None for one that is nobody's."""
    return next((engine for engine, models in _MODELS.items() if model in models), None)


def _wanted(settings: Settings) -> Sequence[EngineName]:
    """The large engines that may be used, those that were asked for by name first."""
    hearing = sorted(HEARING, key=lambda name: name != settings.stt) if settings.stt != "pocketsphinx" else ()
    speaking = SPEAKING if settings.tts in ("auto", "kokoro") else ()
    return (*hearing, *speaking, "minilm")


def _find(
    data_dir: Path, wanted: Sequence[EngineName], named: Collection[str]
) -> tuple[Mapping[EngineName, Hosted], Mapping[EngineName, str]]:
    """The engines whose models are here and whole, in the order asked for, and of others why not.

    An engine whose model was never pulled is missed only when it was asked for by name. Blocks: it may read gigabytes.
    """
    found: dict[EngineName, Hosted] = {}
    absent: dict[EngineName, str] = {}
    # The store would make its folder.
    try:
        store = Store(data_dir) if (data_dir / "models").is_dir() else None
    except ModelError as error:
        return {}, {engine: str(error) for engine in wanted}
    for engine in wanted:
        models = _MODELS[engine]
        folders, problems = _folders(store, models) if store else ([], {})
        if store and folders:
            entry = store.manifest.get(folders[0].name)
            found[engine] = Hosted(
                engine,
                folders[0],
                vram_mb=entry.vram_mb if entry else 0,
                priority=entry.priority if entry else 3,
                cpu_model=folders[1] if len(folders) > 1 else None,
            )
        elif problems:
            absent[engine] = "; ".join(problems.values())
        elif engine in named:
            absent[engine] = f"its model is not here: run `barnabeenet-sidecar models pull {models[0]}`"
    return found, absent


def _folders(store: Store, models: Sequence[str]) -> tuple[Sequence[ModelFolder], Mapping[str, str]]:
    """The folders of those models that are here and whole, and what is wrong with others that are here."""
    folders, problems = [], {}
    for model in models:
        if not store.deployments(model):
            continue
        try:
            files = store.open(model)
        except SidecarError as error:
            problems[model] = str(error)
            continue
        if files.notice:
            _LOGGER.warning("%s", files.notice)
        folders.append(ModelFolder(model, files.folder))
    return folders, problems
