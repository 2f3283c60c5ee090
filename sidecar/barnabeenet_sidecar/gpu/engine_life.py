"""One life of the engine process: what is loaded in it, and how its engines are asked.

With the process all of this goes: the next one begins with a memory that is empty, whatever was going on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
import logging
from typing import Any, Final

from ..errors import EngineFailed, EngineUnavailable
from .child_process import ChildProcess
from .child_protocol import Answer
from .hosted import Described, EngineName, Hosted, Troubles
from .vram import PRELOADED_PRIORITY, Model, OutOfMemory, Vram

_LOGGER = logging.getLogger(__name__)
# Less than the engines' own deadline, after which a thread that hangs would live on.
_LOAD_S: Final = 170.0
_UNLOAD_S: Final = 15.0
# How long an old model may go on speaking when another one is to take its place.
_REPLACE_WAIT_S: Final = 20.0


@dataclass(frozen=True)
class Loads:
    """What the lives of the process have in common: what is known of the engines, and who wants to hear of events."""

    troubles: Troubles
    described: dict[str, Described]
    on_event: Callable[[str, str], None]


class EngineLife:
    """A running engine process and the models in it."""

    def __init__(
        self, child: ChildProcess, hosted: Mapping[EngineName, Hosted], loads: Loads, *, budget_mb: int, on_cpu: bool
    ) -> None:
        """Models that run on the processor claim none of the budget."""
        self._child, self._loads, self._on_cpu = child, loads, on_cpu
        self._hosted = dict(hosted)
        self._vram = Vram(budget_mb, [self._model(each) for each in hosted.values()])
        self._preloading = True

    @property
    def settled(self) -> bool:
        """Whether all models that belong into the memory are in it, or cannot be."""
        return not self._preloading and self._child.alive

    @property
    def claimed_mb(self) -> int:
        """The memory that is taken."""
        return self._vram.claimed_mb

    @property
    def loaded(self) -> list[str]:
        """The names of the engines whose models are loaded."""
        return self._vram.loaded

    async def preload(self) -> None:
        """Loads what is important; what cannot be loaded is logged. Raises EngineFailed when the process died of it."""
        try:
            await self._vram.preload()
        except EngineFailed:
            raise
        except Exception:
            _LOGGER.exception("not all engines could be loaded")
        self._preloading = False

    async def ensure(self, engine: EngineName) -> None:
        """Has an engine's model loaded; raises as `stream`."""
        self._check(engine)
        async with self._vram.use(engine):
            pass

    async def stream(
        self, engine: EngineName, method: str, value: Mapping[str, Any], payload: bytes, deadline_s: float
    ) -> AsyncGenerator[Answer, None]:
        """The answers of an engine, which is loaded if need be.

        When the accelerator's memory is full, unused models go and it is tried once more; then OutOfMemory is raised.
        Raises EngineFailed when the process dies or while the model is loaded after a restart, EngineUnavailable when
        it cannot be loaded, and what the engine raises.
        """
        self._check(engine)
        value = {"engine": engine, **value}
        async with self._vram.use(engine):
            answered = False
            for is_last in (False, True):
                try:
                    async with aclosing(self._child.stream(method, value, payload, deadline_s=deadline_s)) as answers:
                        async for answer in answers:
                            answered = True
                            yield answer
                except OutOfMemory:
                    await self._out_of_memory(engine)
                    if answered or is_last:
                        raise
                else:
                    return

    async def replace(self, hosted: Hosted) -> None:
        """Loads other files for an engine; raises EngineUnavailable, or EngineFailed when the process died of them."""
        await self._vram.replace(self._model(hosted), wait_s=_REPLACE_WAIT_S)
        self._hosted[hosted.engine] = hosted

    async def evict(self, *, above_priority: int) -> None:
        """Unloads what is less important than a priority, and unused."""
        for engine in await self._vram.evict(above_priority=above_priority):
            self._loads.on_event("unloaded", engine)

    async def close(self) -> None:
        """Gives up the loads that go on."""
        await self._vram.close()

    def _model(self, hosted: Hosted) -> Model:
        return Model(hosted.engine, 0 if self._on_cpu else hosted.vram_mb, hosted.priority, _Loadable(self, hosted))

    def _check(self, engine: EngineName) -> None:
        # Who asks may take another engine meanwhile, which is sooner done than this one is loaded.
        important = self._hosted[engine].priority <= PRELOADED_PRIORITY
        if self._preloading and important and engine not in self._vram.loaded:
            raise EngineFailed(f"{engine} is being loaded after a restart: try again in a moment")

    async def load(self, hosted: Hosted) -> None:
        """Brings files into memory, for `Vram` alone; raises EngineUnavailable, EngineFailed when the process died."""
        engine, troubles = hosted.engine, self._loads.troubles
        troubles.check(hosted)
        try:
            described = await self._load_or_make_room(hosted)
        except EngineUnavailable as error:
            troubles.note(hosted, str(error))
            raise
        except EngineFailed as error:
            troubles.note(hosted, str(error), died=not self._child.alive)
            if self._child.alive:
                raise EngineUnavailable(str(error)) from error
            raise
        troubles.forget(hosted)
        self._loads.described[engine] = described
        if described.on_cpu:
            self._vram.resize(engine, 0)
        _LOGGER.info(
            "%s: %s on %s, loaded and warm after %.0f ms",
            *(engine, described.model, described.placement, described.load_ms),
        )
        self._loads.on_event("loaded", engine)

    async def unload(self, engine: EngineName) -> None:
        """Takes an engine's model out of memory, for `Vram` alone."""
        await self._child.call("unload", {"engine": engine}, deadline_s=_UNLOAD_S)

    async def _load_or_make_room(self, hosted: Hosted) -> Described:
        try:
            return await self._load(hosted)
        except OutOfMemory:
            await self._out_of_memory(hosted.engine)
        return await self._load(hosted)

    async def _load(self, hosted: Hosted) -> Described:
        files = {
            name: None if model is None else (model.name, str(model.path))
            for name, model in (("model", hosted.model), ("cpu_model", hosted.cpu_model))
        }
        value = {"engine": hosted.engine, **files}
        answer = await self._child.call("load", value, deadline_s=_LOAD_S, loads=True)
        return Described.read(answer.value)

    async def _out_of_memory(self, engine: EngineName) -> None:
        _LOGGER.warning("%s found the memory full: unused models make room", engine)
        self._loads.on_event("out_of_memory", engine)
        await self.evict(above_priority=0)


@dataclass(frozen=True)
class _Loadable:
    """An engine with its files, as `Vram` knows it."""

    life: EngineLife
    hosted: Hosted

    async def load(self) -> None:
        await self.life.load(self.hosted)

    async def unload(self) -> None:
        await self.life.unload(self.hosted.engine)
