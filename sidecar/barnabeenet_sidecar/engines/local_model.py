"""A model that is loaded from a folder into a thread of its own, and taken out of memory again."""

from __future__ import annotations

from collections.abc import Callable
import logging
from typing import Final, Generic, Protocol, TypeVar

from ..errors import EngineFailed
from .model_folder import ModelFolder, library_missing
from .model_thread import ModelThread, Stop

_LOGGER = logging.getLogger(__name__)

# Gigabytes are read and copied to the GPU, whose libraries are slow at the first call.
_LOAD_S: Final = 180.0


class Placed(Protocol):
    """A loaded model that says, for people, where and in what precision it computes."""

    @property
    def placement(self) -> str:
        """As in "the processor in int8"."""


ModelT = TypeVar("ModelT", bound=Placed)
ResultT = TypeVar("ResultT")


class LocalModel(Generic[ModelT]):
    """Loads, serves and frees one engine's model, any number of times."""

    def __init__(self, engine: str, folder: ModelFolder) -> None:
        self._engine = engine
        self._folder = folder
        self._thread: ModelThread | None = None
        self._model: ModelT | None = None

    @property
    def model(self) -> ModelT | None:
        """The model while it is loaded; its attributes may be read, its work goes through `run`."""
        return self._model

    @property
    def placement(self) -> str:
        """Where the model computes, for people; empty while it is not loaded."""
        return self._model.placement if self._model is not None else ""

    async def load(self, make: Callable[[Stop], ModelT]) -> ModelT:
        """Makes the model, which should run once to be warm; raises EngineUnavailable."""
        await self.close()
        thread = ModelThread(self._engine)
        try:
            self._model = await thread.run(lambda stop: self._make(make, stop), deadline_s=_LOAD_S)
        except EngineFailed as error:
            raise self._folder.unusable(f"the model in {self._folder.path} cannot be loaded ({error})") from error
        finally:
            if self._model is None:
                await thread.close()
        self._thread = thread
        _LOGGER.info("%s: %s runs on %s", self._engine, self._folder.name, self._model.placement)
        return self._model

    async def run(self, work: Callable[[ModelT, Stop], ResultT], *, deadline_s: float) -> ResultT:
        """Has the model do something; see `ModelThread.run`."""
        if self._thread is None or self._model is None:
            raise EngineFailed(f"{self._engine} is not loaded")
        model = self._model
        return await self._thread.run(lambda stop: work(model, stop), deadline_s=deadline_s)

    async def close(self) -> None:
        """Stops what runs and frees the model; safe to call twice."""
        thread, self._thread, self._model = self._thread, None, None
        if thread is not None:
            await thread.close()

    def _make(self, make: Callable[[Stop], ModelT], stop: Stop) -> ModelT:
        try:
            return make(stop)
        except ImportError as error:
            raise library_missing(self._engine, error) from error
