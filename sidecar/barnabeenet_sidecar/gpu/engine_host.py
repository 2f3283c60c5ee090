"""The large engines in a process of their own: preloaded, watched, restarted, moved to the processor and back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
import logging
import sys
from typing import Any, Final

from ..errors import EngineFailed, EngineUnavailable
from .child import EngineProcess, RestartDelay
from .child_process import BEAT_S, ChildProcess
from .child_protocol import Answer
from .engine_life import EngineLife, Loads
from .hosted import Described, DeviceChoice, EngineName, Hosted, HostStatus, Troubles
from .nvml import GpuLost, Reading
from .remote import RemoteEmbedding, RemoteSpeechToText, RemoteTextToSpeech
from .vram import PRELOADED_PRIORITY
from .watchdog import Gpu, Remedies, Watchdog

_LOGGER = logging.getLogger(__name__)
# What the product was laid out for, where the driver does not say.
_VRAM_MB: Final = 16_000
_VRAM_SHARE: Final = 0.95
_UNLOAD_ABOVE_PRIORITY: Final = 1
# Two loads that hang until their deadlines, and the rest.
_START_S: Final = 600.0
_DELAY: Final = RestartDelay()


def engine_command(device: DeviceChoice) -> Sequence[str]:
    """The command line of the engine process."""
    return (sys.executable, "-m", "barnabeenet_sidecar.gpu.engine_child", "--device", device)


def _nothing(_event: str, _engine: str) -> None:
    """Nobody wants to know."""


class EngineHost:
    """Owns the engine process, the memory's budget and the GPU's watchdog.

    Whatever becomes of the process, requests in flight end with EngineFailed and another process takes its place, which
    loads the important models again. Without a GPU all runs on the processor, and there is no watchdog.
    """

    def __init__(
        self,
        hosted: Sequence[Hosted],
        *,
        device: DeviceChoice = "auto",
        vram_mb: int | None = None,
        gpu: Gpu | None = None,
        on_event: Callable[[str, str], None] = _nothing,
        command: Callable[[DeviceChoice], Sequence[str]] = engine_command,
        delay: RestartDelay = _DELAY,
        beat_s: float = BEAT_S,
    ) -> None:
        """`on_event` hears of "loaded", "unloaded" and "out_of_memory" with an engine, "ready" and "lost" without.

        `vram_mb` None takes what the GPU has, less 5 %. Raises ValueError for two models of one engine.
        """
        self._hosted = {each.engine: each for each in hosted}
        if len(self._hosted) < len(hosted):
            raise ValueError("an engine is hosted with one model at a time")
        self._device, self._vram_mb, self._command = device, vram_mb, command
        self._delay, self._beat_s, self._on_event = delay, beat_s, on_event
        remedies = Remedies(self._unload, self._restart, self._to_cpu, self._to_gpu)
        self._watchdog = Watchdog(gpu, remedies, on_reading=self._take_reading) if gpu and device != "cpu" else None
        self._on_cpu = device == "cpu"
        self._reading: Reading | None = None
        self._events: Counter[str] = Counter()
        self._loads = Loads(Troubles(), {}, self._tell)
        self._process: EngineProcess | None = None
        self._life: EngineLife | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._change = asyncio.Condition()
        self._started: asyncio.Future[None] | None = None

    # Life

    async def start(self) -> None:
        """Starts the process and loads the important models; raises EngineUnavailable, and then nothing is left."""
        self._started = self._started or asyncio.get_running_loop().create_future()
        try:
            await self._start()
        except EngineUnavailable as error:
            self._started.set_exception(error)
            self._started.exception()  # those who wait for it are told, and there may be none
            await self.close()
            raise
        except BaseException:
            await self.close()
            raise
        self._started.set_result(None)

    async def close(self) -> None:
        """Ends the process and whatever was asked of it; safe to call twice."""
        for task in self._tasks:
            task.cancel()
        if self._process is not None:
            await self._process.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._started is not None and not self._started.done():
            self._started.set_exception(EngineUnavailable("the engine process was shut down"))
            self._started.exception()

    # Engines

    def speech_to_text(self, engine: EngineName) -> RemoteSpeechToText:
        """A recogniser that is hosted here; raises KeyError for one that is not."""
        return RemoteSpeechToText(self, engine, self._hosted[engine].model)

    def text_to_speech(self, engine: EngineName) -> RemoteTextToSpeech:
        """A voice that is hosted here; raises KeyError for one that is not."""
        return RemoteTextToSpeech(self, engine, self._hosted[engine].model)

    def embedding(self, engine: EngineName) -> RemoteEmbedding:
        """An embedding that is hosted here; raises KeyError for one that is not."""
        return RemoteEmbedding(self, engine, self._hosted[engine].model)

    async def replace(self, hosted: Hosted) -> None:
        """Takes other files for an engine; who speaks with the old ones may end within 20 s.

        Raises EngineUnavailable when they cannot be loaded: then the old ones serve on. Raises KeyError for an engine
        that is not hosted, EngineFailed while there is no process.
        """
        old = self._hosted[hosted.engine]
        life = self._serving()
        self._loads.troubles.forget(hosted)
        self._hosted[hosted.engine] = hosted
        try:
            await life.replace(hosted)
        except EngineFailed as error:
            self._hosted[hosted.engine] = old
            raise EngineUnavailable(f"{hosted.model.name} cannot be loaded ({error})") from error
        except BaseException:
            self._hosted[hosted.engine] = old
            raise

    @property
    def status(self) -> HostStatus:
        """How it is."""
        life = self._life
        names = [self._loads.described[engine].model for engine in life.loaded] if life else []
        return HostStatus(
            device="cpu" if self._on_cpu else "cuda",
            ready=life is not None and life.settled,
            restarts=self._process.restarts if self._process else 0,
            loaded=names,
            claimed_mb=life.claimed_mb if life else 0,
            budget_mb=0 if self._on_cpu else self._budget_mb,
            on_cpu=self._on_cpu,
            actions=self._watchdog.actions if self._watchdog else {},
            out_of_memory=self._events["out_of_memory"],
            reading=self._reading,
        )

    @property
    def pid(self) -> int | None:
        """The process id of the engine process that serves."""
        return self._process.pid if self._process else None

    async def until_ready(self) -> None:
        """Waits until the important models are loaded, in this process or the next."""
        async with self._change:
            await self._change.wait_for(lambda: self._life is not None and self._life.settled)

    # For the proxies

    def described(self, engine: EngineName) -> Described | None:
        """What an engine said of itself when it was last loaded."""
        return self._loads.described.get(engine)

    async def loaded(self, engine: EngineName) -> None:
        """Waits for `start`; raises EngineUnavailable when it failed or the engine's important model is not there."""
        if self._started is None:
            self._started = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._started)
        hosted = self._hosted[engine]
        if hosted.priority <= PRELOADED_PRIORITY and (reason := self._loads.troubles.reason(hosted)) is not None:
            raise EngineUnavailable(reason)

    async def ensure(self, engine: EngineName) -> Described:
        """Has an engine loaded; raises as `EngineLife.stream`."""
        await self._serving().ensure(engine)
        return self._loads.described[engine]

    async def stream(
        self, engine: EngineName, method: str, value: Mapping[str, Any], payload: bytes, deadline_s: float
    ) -> AsyncGenerator[Answer, None]:
        """The answers of an engine; raises as `EngineLife.stream`, and EngineFailed while there is no process."""
        async with aclosing(self._serving().stream(engine, method, value, payload, deadline_s)) as answers:
            async for answer in answers:
                yield answer

    def _serving(self) -> EngineLife:
        if self._life is None:
            raise EngineFailed("the engine process is not there: try again in a moment")
        return self._life

    # The process

    async def _start(self) -> None:
        self._on_cpu = self._on_cpu or not await self._has_gpu()
        self._process = EngineProcess(
            self._command(self._child_device),
            prepare=self._begin,
            on_change=self._changed,
            delay=self._delay,
            beat_s=self._beat_s,
        )
        await self._process.start()
        if self._watchdog is not None:
            self._spawn(self._watchdog.run())
        try:
            async with asyncio.timeout(_START_S):
                await self.until_ready()
        except TimeoutError:
            raise EngineUnavailable(f"the engine process is not ready after {_START_S:g} s: see the log") from None

    async def _has_gpu(self) -> bool:
        if self._watchdog is None:
            # Somebody who asks for a GPU may have one without NVML.
            return self._device == "cuda"
        try:
            self._take_reading(await self._watchdog.read())
        except GpuLost as error:
            self._watchdog = None
            if self._device == "auto":
                _LOGGER.info("the engines run on the processor: %s", error)
                return False
            _LOGGER.warning("nobody looks after the GPU: %s", error)
        return True

    @property
    def _child_device(self) -> DeviceChoice:
        return "cpu" if self._on_cpu else self._device

    @property
    def _budget_mb(self) -> int:
        if self._vram_mb is not None:
            return self._vram_mb
        return int(self._reading.memory_total_mb * _VRAM_SHARE) if self._reading else _VRAM_MB

    async def _begin(self, child: ChildProcess) -> None:
        self._life = EngineLife(child, self._hosted, self._loads, budget_mb=self._budget_mb, on_cpu=self._on_cpu)

    def _changed(self, is_there: bool) -> None:
        life = self._life
        assert life is not None
        if is_there:
            self._spawn(self._settle(life))
        else:
            self._life = None
            self._tell("lost", "")
            self._spawn(life.close())

    async def _settle(self, life: EngineLife) -> None:
        try:
            await life.preload()
        except EngineFailed as error:
            _LOGGER.warning("the engines are not loaded: %s", error)
            return
        self._tell("ready", "")
        async with self._change:
            self._change.notify_all()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tell(self, event: str, engine: str) -> None:
        self._events[event] += 1
        self._on_event(event, engine)

    # The watchdog's remedies

    def _take_reading(self, reading: Reading) -> None:
        self._reading = reading

    async def _unload(self) -> None:
        if self._life is not None:
            await self._life.evict(above_priority=_UNLOAD_ABOVE_PRIORITY)

    async def _restart(self) -> None:
        self._renew("the GPU's memory is full")

    async def _to_cpu(self) -> None:
        self._on_cpu = True
        self._renew("the processor takes over from the GPU")

    async def _to_gpu(self) -> None:
        self._on_cpu = False
        self._renew("the GPU takes over from the processor")

    def _renew(self, reason: str) -> None:
        """Does not wait until the next process is ready: that takes its time, and is seen to."""
        self._loads.troubles.clear()
        assert self._process is not None
        self._process.restart(reason, self._command(self._child_device))
