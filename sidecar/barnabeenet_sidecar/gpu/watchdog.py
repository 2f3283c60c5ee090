"""Looks after the GPU: when its memory fills up it makes room, and when it is lost the CPU takes over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
import concurrent.futures
from dataclasses import dataclass
from enum import Enum
import logging
import threading
import time
from typing import Final, Protocol

from .nvml import GpuLost, Reading

_LOGGER = logging.getLogger(__name__)
CHECK_S: Final = 5.0
COOLDOWN_S: Final = 60.0
MEMORY_MAX: Final = 0.95
HOT_C: Final = 85
READ_S: Final = 3.0
ACTION_S: Final = 30.0


class Gpu(Protocol):
    """A GPU that can be asked how it is; `nvml.Nvml` is the real one."""

    def read(self) -> Reading:
        """Blocks for some milliseconds; raises GpuLost."""


class Action(Enum):
    """What the watchdog does, and counts."""

    UNLOAD = "unload"
    RESTART = "restart"
    TO_CPU = "to_cpu"
    TO_GPU = "to_gpu"


@dataclass(frozen=True)
class Remedies:
    """How it is done. `to_cpu` makes the GPU's engines not ready and the CPU's serve, `to_gpu` the other way round."""

    unload: Callable[[], Awaitable[object]]
    restart: Callable[[], Awaitable[object]]
    to_cpu: Callable[[], Awaitable[object]]
    to_gpu: Callable[[], Awaitable[object]]


# What is tried next when the memory stays full.
_NEXT: Final = {
    None: Action.UNLOAD,
    Action.UNLOAD: Action.RESTART,
    Action.RESTART: Action.TO_CPU,
    Action.TO_CPU: Action.TO_CPU,
}


class Watchdog:
    """Checks a GPU every 5 s.

    Memory over 95 %: what is unimportant is unloaded; if that was not enough by the next check, the engine process is
    restarted; if the memory is still full a minute later, somebody else has filled it and the CPU takes over. A GPU that
    is lost, or whose driver hangs, goes to the CPU at once. After each but the first of these nothing is done for a
    minute; then a GPU that is well again is used again.
    """

    def __init__(
        self,
        gpu: Gpu,
        remedies: Remedies,
        *,
        on_reading: Callable[[Reading], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        read_s: float = READ_S,
    ) -> None:
        self._gpu, self._on_reading, self._clock, self._read_s = gpu, on_reading, clock, read_s
        self._remedies = {
            Action.UNLOAD: remedies.unload,
            Action.RESTART: remedies.restart,
            Action.TO_CPU: remedies.to_cpu,
            Action.TO_GPU: remedies.to_gpu,
        }
        self._pending: asyncio.Future[Reading] | None = None
        self._tried: Action | None = None
        self._acted_s = float("-inf")
        self._hot = False
        self.on_cpu = False
        self.actions: Counter[Action] = Counter()
        self.failures = 0
        """Checks without an answer, and actions that failed."""

    async def run(self) -> None:
        """Checks until it is cancelled."""
        while True:
            try:
                await self.check()
            except Exception:
                _LOGGER.exception("a check of the GPU broke")
                self.failures += 1
            await asyncio.sleep(CHECK_S)

    async def check(self) -> None:
        """Looks once, and acts."""
        try:
            reading = await self.read()
        except GpuLost as error:
            self.failures += 1
            if not self.on_cpu:
                await self._act(Action.TO_CPU, str(error))
            return
        self._on_reading(reading)
        self._feel(reading)
        if reading.memory_share > MEMORY_MAX:
            await self._make_room(reading)
            return
        self._tried = None
        if self.on_cpu and self._cooled:
            await self._act(Action.TO_GPU, "the GPU is well again")

    @property
    def _cooled(self) -> bool:
        return self._clock() - self._acted_s >= COOLDOWN_S

    async def _make_room(self, reading: Reading) -> None:
        action = _NEXT[self._tried]
        # An unloading that did not help is followed up at once.
        if self.on_cpu or not (self._cooled or action is Action.RESTART):
            return
        self._tried = action
        await self._act(action, _described(reading))

    async def _act(self, action: Action, reason: str) -> None:
        _LOGGER.warning("%s: %s", action.value, reason)
        self._acted_s = self._clock()
        self.actions[action] += 1
        try:
            async with asyncio.timeout(ACTION_S):
                await self._remedies[action]()
        except Exception:
            _LOGGER.exception("%s failed", action.value)
            self.failures += 1
            return
        if action in (Action.TO_CPU, Action.TO_GPU):
            self.on_cpu = action is Action.TO_CPU

    def _feel(self, reading: Reading) -> None:
        hot = reading.temperature_c is not None and reading.temperature_c > HOT_C
        if hot and not self._hot:
            _LOGGER.warning("the GPU has %d C: look after its cooling", reading.temperature_c)
        self._hot = hot

    async def read(self) -> Reading:
        """What the GPU says; raises GpuLost."""
        # On a thread of its own, one at a time: a driver that hangs holds up nothing, the end included.
        if self._pending is None:
            self._pending = _in_daemon_thread(self._gpu.read)
        done, _ = await asyncio.wait({self._pending}, timeout=self._read_s)
        if not done:
            raise GpuLost(f"the GPU's driver does not answer within {self._read_s:g} s")
        answered, self._pending = self._pending, None
        return answered.result()


def _in_daemon_thread(call: Callable[[], Reading]) -> asyncio.Future[Reading]:
    answer: concurrent.futures.Future[Reading] = concurrent.futures.Future()

    def work() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
            answer.set_exception(error)

    threading.Thread(target=work, name="gpu-watchdog", daemon=True).start()
    return asyncio.wrap_future(answer)


def _described(reading: Reading) -> str:
    holders = sorted(reading.processes, key=lambda each: each.memory_mb or 0, reverse=True)[:5]
    held = ", ".join(f"process {each.pid}: {each.memory_mb or '?'} MB" for each in holders)
    return f"{reading.memory_used_mb} of {reading.memory_total_mb} MB of the GPU's memory are in use ({held or 'by whom is unknown'})"
