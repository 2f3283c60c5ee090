"""The store of a sidecar that serves: one change at a time, and the engines take over what serves afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
import logging
from typing import Any, Final, TypeAlias

from ..errors import Busy, Draining, EngineFailed, SidecarError
from .bell import Bell
from .errors import ModelError
from .registry import Deployment
from .store import Store

_LOGGER = logging.getLogger(__name__)

# Has the engines that use a model take the version of it that serves now; raises SidecarError when they cannot.
OnChanged: TypeAlias = Callable[[str], Awaitable[None]]
Change: TypeAlias = Callable[[Store], Coroutine[Any, Any, str]]

# How long who gives up a change waits for its end, mostly a moment; a file that is being read is read to its end.
_GIVEN_UP_S: Final = 0.5
_STOPPING: Final = "the sidecar is stopping: ask again in a moment, a pull goes on where it was"


class Keeper:
    """Changes the store for those who ask from outside.

    A change that its asker gives up is stopped where it may be stopped; the engines take over what came of it even then,
    so that what serves and what the registry says stay the same.
    """

    def __init__(self, open_store: Callable[[], Store], on_changed: OnChanged) -> None:
        """`open_store` may block; it is called for each request, so that an edited models.toml counts at once."""
        self._open_store = open_store
        self._on_changed = on_changed
        self._serving: Mapping[str, Deployment] | None = None
        self._doing: str | None = None
        self._seeing_through: set[asyncio.Task[str]] = set()
        self._working: asyncio.Task[str] | None = None
        self._is_closed = False
        self._bell: Bell | None = None
        self._following: asyncio.Task[None] | None = None
        self._rung = asyncio.Event()

    @property
    def is_busy(self) -> bool:
        """Whether a change is under way."""
        return self._doing is not None

    @property
    def versions(self) -> Mapping[str, str]:
        """The version that serves of each model that has one; none before `start`."""
        return {model: deployment.version for model, deployment in (self._serving or {}).items()}

    async def start(self) -> None:
        """Notes what serves now, before the engines load it, and listens to the command line from here on; never raises.

        A store that cannot be used is told in the log: the embedded engines need none.
        """
        try:
            store = await self.store()
            self._serving = await asyncio.to_thread(store.serving)
        except ModelError as err:
            _LOGGER.warning("there are no models: %s", err)
            return
        if store.problem is not None:
            _LOGGER.warning("the home's own models cannot be pulled: %s", store.problem)
        self._bell = Bell(store.bell, self._rung.set)
        self._following = asyncio.create_task(self._follow(), name="changes of models by commands")

    async def store(self) -> Store:
        """The store, to be looked at from threads; raises ModelError."""
        return await asyncio.to_thread(self._open_store)

    async def change(self, doing: str, change: Change) -> str:
        """Makes a change, `doing` in words; gives what was done in a sentence.

        Cancelling it ends a pull, and whatever else between two steps. Raises Busy while another change is under way,
        Draining, ModelError, and EngineFailed when an engine cannot take what serves now: what served before serves
        again then.
        """
        self._claim(doing)
        try:
            store = await self.store()
            if self._serving is None:
                self._serving = await asyncio.to_thread(store.serving)
        except BaseException:
            self._doing = None
            raise
        working = self._working = asyncio.create_task(change(store), name=doing)
        whole = asyncio.create_task(self._see_through(store, working), name=f"{doing}, seen through")
        self._seeing_through.add(whole)
        whole.add_done_callback(self._seeing_through.discard)
        try:
            return await asyncio.shield(whole)
        except asyncio.CancelledError:
            if whole.cancelled():
                raise Draining(_STOPPING) from None
            working.cancel()
            await asyncio.wait([whole], timeout=_GIVEN_UP_S)
            raise

    async def refresh(self) -> None:
        """Has the engines take over what was changed outside, as by the command line; raises as `change`."""

        async def nothing(_: Store) -> str:
            return ""

        await self.change("looking for models that were changed", nothing)

    async def close(self) -> None:
        """Stops what runs and refuses what comes; a pull goes on from there another time."""
        self._is_closed = True
        if self._bell is not None:
            self._bell.close()
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        if self._working is not None:
            self._working.cancel()
        if self._seeing_through:
            await asyncio.wait(self._seeing_through)

    async def _follow(self) -> None:
        while True:
            await self._rung.wait()
            self._rung.clear()
            if self._seeing_through:
                await asyncio.wait(self._seeing_through)
            try:
                await self.refresh()
            except (Busy, EngineFailed):
                # What is under way looks at the registry when it ends; of an engine the log tells already.
                continue
            except SidecarError as err:
                _LOGGER.warning("what was changed by a command is not taken over: %s", err)
            except Exception:
                _LOGGER.exception("what was changed by a command could not be taken over")

    def _claim(self, doing: str) -> None:
        if self._is_closed:
            raise Draining(_STOPPING)
        if self._doing is not None:
            raise Busy(f"one change of the models at a time, and now it is {self._doing}: try again after that")
        self._doing = doing

    async def _see_through(self, store: Store, working: asyncio.Task[str]) -> str:
        try:
            await asyncio.wait([working])
            await self._hand_over(store)
            return await working
        finally:
            self._doing = None

    async def _hand_over(self, store: Store) -> None:
        before = self._serving or {}
        self._serving = now = await asyncio.to_thread(store.serving)
        for model, serving in now.items():
            was = before.get(model)
            if was is None or (was.version, was.files) != (serving.version, serving.files):
                await self._take_over(store, serving)

    async def _take_over(self, store: Store, serving: Deployment) -> None:
        """Raises EngineFailed when the engine does not take what serves, after going back to what served before."""
        model, version = serving.model, serving.version
        failure = await self._try(model)
        if failure is None:
            _LOGGER.info("%s %s serves now", model, version)
            return
        text = f"{model} {version} cannot be used: {failure}"
        earlier = await asyncio.to_thread(store.set_aside, model, version, f"it cannot be used: {failure}")
        if earlier is not None:
            self._serving = await asyncio.to_thread(store.serving)
            second = await self._try(model)
            # The outcome first: who shows the text may cut it.
            text = f"{model} {version} cannot be used and {earlier} serves again: {failure}"
            if second is not None:
                text = f"{model} {version} cannot be used, nor can {earlier}: {failure}; {second}"
        _LOGGER.warning("%s", text)
        raise EngineFailed(text)

    async def _try(self, model: str) -> str | None:
        """Why the engine does not take what serves, in one line."""
        try:
            await self._on_changed(model)
        except SidecarError as err:
            return " ".join(str(err).split())
        return None
