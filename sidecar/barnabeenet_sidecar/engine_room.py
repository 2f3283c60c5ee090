"""The engines of a sidecar that serves: always the same slots, in which others may take their places while it serves."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from .config import Settings
from .engines.catalogue import Engines
from .engines.chain import SpeechToTextChain
from .errors import EngineUnavailable, SidecarError
from .gpu.hosted import HostStatus
from .roster import Roster, call_up, engine_of
from .telemetry.metrics import Metrics

# Who still works with engines that were replaced may end it: the longest utterance, and its decode.
RETIREMENT_S: Final = 75.0


class EngineRoom:
    """Loads the engines that the settings ask for, and replaces them when the settings or the models change.

    `engines` is what everybody else holds on to.
    """

    def __init__(self, settings: Settings, metrics: Metrics, *, retirement_s: float = RETIREMENT_S) -> None:
        self._settings, self._metrics, self._retirement_s = settings, metrics, retirement_s
        self._roster: Roster | None = None
        self._retired: Roster | None = None
        self._retiring: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    @property
    def engines(self) -> Engines:
        """The slots, from `open` on; raises RuntimeError before."""
        if self._roster is None:
            raise RuntimeError("the engine room is not open")
        return self._roster.engines

    @property
    def host(self) -> HostStatus | None:
        """How the engine process is; None when there is none."""
        return self._roster.host.status if self._roster and self._roster.host else None

    async def open(self) -> None:
        """Says which engines there will be, without loading them."""
        self._roster = await self._call_up(self._settings)

    async def load(self) -> None:
        """Loads and warms up; never raises: what went wrong is in the slots."""
        if self._roster is not None:
            await self._roster.load()
            self._tell()

    async def close(self) -> None:
        """Frees all; safe to call twice."""
        await self._end_retirement()
        if self._roster is not None:
            await self._roster.close()

    async def change(self, settings: Settings) -> None:
        """Has other engines serve, once they are loaded; raises EngineUnavailable, and then the old ones serve on.

        For that time, and until the last request that works with the old ones has ended, there are both in memory.
        """
        async with self._changing:
            await self._end_retirement()
            coming = await self._call_up(settings)
            try:
                await coming.load()
                _require(coming.engines, settings)
                await self._hand_over_vocabularies(coming.engines)
            except BaseException:
                await coming.close()
                raise
            self._settings = settings
            self._replace(coming)

    async def model_changed(self, model: str) -> None:
        """Has the engine that works with a model take the version that serves now; raises SidecarError."""
        engine, roster = engine_of(model), self._roster
        if engine is None or roster is None:
            return
        if engine in roster.hosted:
            await roster.take_model(engine, self._settings.data_dir)
        else:
            await self.change(self._settings)

    async def _call_up(self, settings: Settings) -> Roster:
        # An engine clears its folder when it loads: those of two generations must not have the same.
        is_second = self._roster is not None and self._roster.work_dir == settings.data_dir
        work_dir = settings.data_dir / "second" if is_second else settings.data_dir
        return await call_up(settings, work_dir, on_fallback=self._metrics.fell_back)

    def _replace(self, coming: Roster) -> None:
        assert self._roster is not None
        leaving = self._roster
        # The slots stay, what is in them changes places.
        leaving.engines.swap(coming.engines)
        self._roster, self._retired = coming.with_engines(leaving.engines), leaving.with_engines(coming.engines)
        self._retiring = asyncio.create_task(self._retire(self._retired), name="engines that were replaced")
        self._tell()

    async def _retire(self, roster: Roster) -> None:
        await asyncio.sleep(self._retirement_s)
        await roster.close()

    async def _end_retirement(self) -> None:
        retiring, self._retiring = self._retiring, None
        if retiring is not None:
            retiring.cancel()
            await asyncio.wait([retiring])
        if self._retired is not None:
            await self._retired.close()
            self._retired = None

    async def _hand_over_vocabularies(self, engines: Engines) -> None:
        if not (self.engines.stt.ready and isinstance(chain := self.engines.stt.get(), SpeechToTextChain)):
            return
        for home, vocabulary in chain.vocabularies.items():
            # A language that the new ones do not know is no reason to keep the old ones.
            with suppress(SidecarError):
                await engines.stt.get().set_vocabulary(home, vocabulary)

    def _tell(self) -> None:
        for slot in self.engines.slots:
            self._metrics.observe_engine(slot.kind, ready=slot.ready, load_s=slot.load_s)


def _require(engines: Engines, settings: Settings) -> None:
    """Raises EngineUnavailable when these cannot do what the settings ask for by name."""
    for slot in engines.slots:
        if slot.is_needed and slot.problem is not None:
            raise EngineUnavailable(f"{slot.kind}: {slot.problem}")
        for name, why in slot.left_out.items():
            if name in (settings.stt, settings.tts):
                raise EngineUnavailable(f"{name}: {why}")
