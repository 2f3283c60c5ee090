"""What the engine process hosts: which engines, with which files, and what is known of them once they are loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
import logging
import time
from typing import Any, Final, Literal, TypeAlias

from ..engines.base import Engine, Voice
from ..engines.model_folder import ModelFolder
from ..errors import EngineUnavailable
from .nvml import Reading

_LOGGER = logging.getLogger(__name__)

EngineName: TypeAlias = Literal["parakeet", "whisper", "kokoro", "minilm"]
DeviceChoice: TypeAlias = Literal["auto", "cuda", "cpu"]
# A model that cannot be loaded is left alone for so long, and twice as long each further time.
_TRY_AGAIN_S: Final = 60.0
_TRY_AGAIN_MAX_S: Final = 3600.0


@dataclass(frozen=True)
class Hosted:
    """An engine and its files; `cpu_model` is taken instead of `model` where it runs on the processor.

    Priorities 1 and 2 are loaded at start, the most important first, and 3 on first use.
    """

    engine: EngineName
    model: ModelFolder
    vram_mb: int
    priority: int
    cpu_model: ModelFolder | None = None


@dataclass(frozen=True)
class Described:
    """What an engine said of itself when it was loaded."""

    model: str
    version: str
    languages: Sequence[str]
    voices: Sequence[Voice]
    placement: str
    on_cpu: bool
    load_ms: float

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Described:
        """From the engine process's answer to `load`."""
        return cls(
            model=said["model"],
            version=said["version"],
            languages=tuple(said["languages"]),
            voices=tuple(Voice(*voice) for voice in said["voices"]),
            placement=said["placement"],
            on_cpu=said["on_cpu"],
            load_ms=said["load_ms"],
        )


@dataclass(frozen=True)
class HostStatus:
    """How the engine process is; `loaded` are names of models, `on_cpu` whether it keeps off the GPU."""

    device: Literal["cuda", "cpu"]
    ready: bool
    restarts: int
    loaded: Sequence[str]
    claimed_mb: int
    budget_mb: int
    on_cpu: bool
    actions: Mapping[Any, int] = field(default_factory=dict)
    out_of_memory: int = 0
    reading: Reading | None = None


def make_engine(name: str, model: ModelFolder) -> Engine:
    """An engine that is not loaded; raises EngineUnavailable for an unknown name. Its libraries are not imported."""
    match name:
        case "parakeet":
            from ..engines.parakeet import Parakeet

            return Parakeet(model)
        case "whisper":
            from ..engines.whisper import Whisper

            return Whisper(model)
        case "kokoro":
            from ..engines.kokoro import Kokoro

            return Kokoro(model)
        case "minilm":
            from ..engines.minilm import MiniLm

            return MiniLm(model)
    raise EngineUnavailable(f"the engine process knows no engine {name}")


@dataclass
class _Trouble:
    reason: str
    failures: int = 0
    until_s: float = float("-inf")


class Troubles:
    """Files that could not be loaded: nobody tries again for a while, and so no model can make a crash loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._troubles: dict[Hosted, _Trouble] = {}

    def check(self, hosted: Hosted) -> None:
        """Raises EngineUnavailable while it is too early to load them again."""
        trouble = self._troubles.get(hosted)
        if trouble is not None and (left_s := trouble.until_s - self._clock()) > 0:
            raise EngineUnavailable(f"{trouble.reason} (it is tried again in {left_s:.0f} s)")

    def reason(self, hosted: Hosted) -> str | None:
        """Why they were not loaded the last time."""
        trouble = self._troubles.get(hosted)
        return trouble.reason if trouble is not None else None

    def note(self, hosted: Hosted, reason: str, *, died: bool = False) -> None:
        """A load failed; where the process died meanwhile, the files are only suspected from the second time on."""
        trouble = self._troubles.setdefault(hosted, _Trouble(reason))
        trouble.reason = reason
        trouble.failures += 1
        if (times := trouble.failures - died) > 0:
            wait_s = min(_TRY_AGAIN_S * 2 ** (times - 1), _TRY_AGAIN_MAX_S)
            trouble.until_s = self._clock() + wait_s
            _LOGGER.warning("%s is not tried again for %.0f s", hosted.model.name, wait_s)

    def forget(self, hosted: Hosted) -> None:
        """They were loaded, or somebody wants it tried at once."""
        self._troubles.pop(hosted, None)

    def clear(self) -> None:
        """Everything is different now."""
        self._troubles.clear()
