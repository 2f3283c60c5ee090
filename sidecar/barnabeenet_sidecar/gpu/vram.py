"""Which models are in the accelerator's memory: within a budget, the important ones early, the unused ones out first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
import itertools
import logging
from typing import Final, Protocol

from ..errors import EngineUnavailable

_LOGGER = logging.getLogger(__name__)

# Models up to this priority are loaded at start, the others on first use.
PRELOADED_PRIORITY: Final = 2


class OutOfMemory(EngineUnavailable):
    """A model does not fit beside those in use; the next engine of the chain should do the work."""


class Loadable(Protocol):
    """What can be brought into memory and taken out again."""

    async def load(self) -> None:
        """Raises EngineUnavailable, and then leaves nothing in memory."""

    async def unload(self) -> None:
        """Frees all of it."""


@dataclass(frozen=True)
class Model:
    """A model's claim on the memory; priority 1 is the most important."""

    name: str
    vram_mb: int
    priority: int
    loadable: Loadable


@dataclass(eq=False)
class _Resident:
    """A model in memory, or on its way in or out."""

    model: Model
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while it is loaded, unloaded or replaced."""
    loaded: bool = False
    users: int = 0
    """Who has it and who waits for it."""
    holders: int = 0
    unheld: asyncio.Event = field(default_factory=asyncio.Event)
    last_used: int = 0

    @property
    def evictable(self) -> bool:
        """Loaded, unused, and not being loaded or unloaded at the moment."""
        return self.usable and not self.users

    @property
    def usable(self) -> bool:
        """Loaded, and nobody is about to change that."""
        return self.loaded and not self.lock.locked()

    def hold(self) -> None:
        """Somebody has it."""
        self.holders += 1
        self.unheld.clear()

    def let_go(self) -> None:
        """Somebody has it no more."""
        self.holders -= 1
        if not self.holders:
            self.unheld.set()


class Vram:
    """Keeps the loaded models within `budget_mb`.

    A model is loaded when it is first used, after the least recently used ones that are in nobody's use have made room;
    a model in use is never evicted. Raises ValueError for two models of one name.
    """

    def __init__(
        self, budget_mb: int, models: Iterable[Model], *, on_change: Callable[[int], None] = lambda _: None
    ) -> None:
        self._budget_mb = budget_mb
        self._residents: dict[str, _Resident] = {}
        for model in models:
            if model.name in self._residents:
                raise ValueError(f"two models are called {model.name}")
            self._residents[model.name] = _Resident(model)
        self._claimed_mb = 0
        self._uses = itertools.count(1)
        self._on_change = on_change
        self._loads: set[asyncio.Task[None]] = set()

    @property
    def claimed_mb(self) -> int:
        """The memory of all models that are loaded or being loaded."""
        return self._claimed_mb

    @property
    def loaded(self) -> list[str]:
        """The names of the loaded models."""
        return [name for name, resident in self._residents.items() if resident.loaded]

    async def preload(self) -> None:
        """Loads the models of priority 1 and 2, the most important first, as long as there is room; logs the rest."""
        wanted = [each for each in self._residents.values() if each.model.priority <= PRELOADED_PRIORITY]
        for resident in sorted(wanted, key=lambda each: each.model.priority):
            if self._claimed_mb + resident.model.vram_mb > self._budget_mb and not resident.loaded:
                _LOGGER.warning("%s waits for its first use: the memory is taken", resident.model.name)
                continue
            try:
                async with self.use(resident.model.name):
                    pass
            except EngineUnavailable as error:
                _LOGGER.warning("%s is not loaded: %s", resident.model.name, error)

    @asynccontextmanager
    async def use(self, name: str) -> AsyncIterator[None]:
        """Has a model in memory for the length of the block; a load that was begun goes on when who waits is cancelled.

        Raises OutOfMemory when it does not fit beside what is in use, EngineUnavailable when it cannot be loaded,
        KeyError for an unknown name.
        """
        resident = self._residents[name]
        resident.users += 1
        resident.last_used = next(self._uses)
        try:
            while not resident.usable:
                await self._loading(resident)
            resident.hold()
            try:
                yield
            finally:
                resident.let_go()
        finally:
            resident.users -= 1

    async def replace(self, model: Model, *, wait_s: float) -> None:
        """Has another model in the place of the one of its name, and loads it.

        Who has the old one keeps it for `wait_s` at most. Raises EngineUnavailable when the new one cannot be loaded:
        then the old one is loaded again if it was. Raises KeyError for an unknown name.
        """
        resident = self._residents[model.name]
        async with resident.lock:
            old, was_loaded = resident.model, resident.loaded
            if resident.holders:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await resident.unheld.wait()
            if was_loaded:
                await self._take_out(resident)
            resident.model = model
            try:
                await self._load(resident)
            except BaseException:
                resident.model = old
                if was_loaded:
                    await self._load(resident)
                raise

    def resize(self, name: str, vram_mb: int) -> None:
        """Corrects what a model takes, loaded or being loaded; KeyError for an unknown name."""
        resident = self._residents[name]
        if resident.loaded or resident.lock.locked():
            self._claim(vram_mb - resident.model.vram_mb)
        resident.model = replace(resident.model, vram_mb=vram_mb)

    async def close(self) -> None:
        """Gives up the loads that nobody waits for any more."""
        for load in self._loads:
            load.cancel()
        await asyncio.gather(*self._loads, return_exceptions=True)

    async def evict(self, *, above_priority: int = 0) -> list[str]:
        """Unloads every unused model less important than a priority; gives their names."""
        evicted = []
        for resident in self._by_last_use():
            # Somebody may have begun to use it while another one was unloaded.
            if resident.model.priority > above_priority and resident.evictable:
                await self._unload(resident)
                evicted.append(resident.model.name)
        return evicted

    async def _loading(self, resident: _Resident) -> None:
        # In a task of its own: patience that ends too early would otherwise undo the work each time.
        load = asyncio.create_task(self._load_once(resident))
        self._loads.add(load)
        load.add_done_callback(self._loaded)
        await asyncio.shield(load)

    def _loaded(self, load: asyncio.Task[None]) -> None:
        self._loads.discard(load)
        if not load.cancelled():
            load.exception()  # those who wait are told

    async def _load_once(self, resident: _Resident) -> None:
        async with resident.lock:
            if not resident.loaded:
                await self._load(resident)

    async def _load(self, resident: _Resident) -> None:
        await self._make_room(resident.model)
        # Claimed before the wait, so that two models that load at the same time do not count on the same room.
        self._claim(resident.model.vram_mb)
        try:
            await resident.model.loadable.load()
        except BaseException:
            # Not what it claimed at first: `resize` may have corrected it.
            self._claim(-resident.model.vram_mb)
            raise
        resident.loaded = True

    async def _make_room(self, model: Model) -> None:
        while (missing_mb := self._claimed_mb + model.vram_mb - self._budget_mb) > 0:
            victims = self._by_last_use()
            if sum(victim.model.vram_mb for victim in victims) < missing_mb:
                raise OutOfMemory(
                    f"{model.name} needs {model.vram_mb} MB, {max(0, self._budget_mb - self._claimed_mb)} of "
                    f"{self._budget_mb} MB are free and the rest is in use"
                )
            await self._unload(victims[0])

    def _by_last_use(self) -> list[_Resident]:
        evictable = (resident for resident in self._residents.values() if resident.evictable)
        return sorted(evictable, key=lambda each: each.last_used)

    async def _unload(self, resident: _Resident) -> None:
        async with resident.lock:
            await self._take_out(resident)
        _LOGGER.info("%s made room in the accelerator's memory", resident.model.name)

    async def _take_out(self, resident: _Resident) -> None:
        resident.loaded = False
        try:
            await resident.model.loadable.unload()
        finally:
            self._claim(-resident.model.vram_mb)

    def _claim(self, mb: int) -> None:
        self._claimed_mb += mb
        self._on_change(self._claimed_mb)
