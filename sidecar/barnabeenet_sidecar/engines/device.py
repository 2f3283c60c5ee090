"""Where a model runs: on a CUDA GPU when there is one that the library can use, else on the processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import os
import re
from typing import Final, Literal

from ..errors import EngineFailed, EngineUnavailable

_CAUSE_MAX_CHARS: Final = 300
# What onnxruntime, CTranslate2, CUDA's libraries and C++ say when a buffer cannot be had.
_OUT_OF_MEMORY: Final = re.compile(
    r"out of memory|failed to allocate memory|bad[_ ]alloc|ALLOC_FAILED|AllocateRaw|unable to allocate", re.IGNORECASE
)


class EngineOutOfMemory(EngineFailed):
    """A model found no memory for this request; the next engine of the chain, or the processor, may do it."""


@dataclass(frozen=True)
class Device:
    """A processor or GPU; `precisions` are worth asking for on it, best first, the model's own ("") being the last."""

    kind: Literal["cuda", "cpu"]
    name: str

    @property
    def precisions(self) -> Sequence[str]:
        """Suffixes of ONNX files as their makers write them."""
        return ("fp16", "") if self.kind == "cuda" else ("int8", "")

    @property
    def providers(self) -> Sequence[str]:
        """What onnxruntime is to run a model with; a node that the GPU cannot do runs on the processor."""
        cuda = ["CUDAExecutionProvider"] if self.kind == "cuda" else []
        return [*cuda, "CPUExecutionProvider"]

    def __str__(self) -> str:
        return self.name


CPU: Final = Device("cpu", "the processor")


_wanted: Literal["auto", "cuda", "cpu"] = "auto"


def use_device(wanted: Literal["auto", "cuda", "cpu"]) -> None:
    """Binds every model that this process loads from now on to a GPU or to the processor; "auto" takes what is there.

    With "cpu" no library even looks for a GPU: a broken one may hang who does.
    """
    global _wanted  # noqa: PLW0603 - one choice for the whole process
    _wanted = wanted
    if wanted == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def onnx_device() -> Device:
    """Where onnxruntime can run a model; its GPU build says CUDA on machines without a GPU too.

    Raises EngineUnavailable when it has to be a GPU and there is none.
    """
    if _wanted == "cpu":
        return CPU
    import onnxruntime

    gpu = _gpu_name()
    if gpu is None or "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return _processor("onnxruntime")
    # CUDA's libraries may stand in Python packages, where the loader does not look.
    onnxruntime.preload_dlls()
    return Device("cuda", gpu)


def ctranslate2_device() -> Device:
    """Where CTranslate2 can run a model; raises EngineUnavailable when it has to be a GPU and there is none."""
    if _wanted == "cpu":
        return CPU
    import ctranslate2

    if not ctranslate2.get_cuda_device_count():
        return _processor("CTranslate2")
    return Device("cuda", _gpu_name() or "a GPU")


def _processor(library: str) -> Device:
    if _wanted == "cuda":
        raise EngineUnavailable(
            f"{library} finds no GPU that it can use: install its CUDA build, or set device to auto"
        )
    return CPU


def failure(engine: str, error: Exception) -> EngineFailed:
    """What a library's error means, its cause in one line."""
    cause = " ".join(str(error).split())[:_CAUSE_MAX_CHARS] or type(error).__name__
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(cause):
        return EngineOutOfMemory(f"{engine} ran out of memory: {cause}")
    return EngineFailed(f"{engine} broke: {cause}")


def _gpu_name() -> str | None:
    """The first GPU that NVIDIA's driver manages."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        return str(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0)))
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
