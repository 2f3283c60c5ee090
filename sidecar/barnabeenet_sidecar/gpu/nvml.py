"""What an NVIDIA GPU says of itself through its driver (NVML, by nvidia-ml-py)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ..errors import SidecarError

_MB: Final = 1024 * 1024


class GpuLost(SidecarError):
    """The GPU or its driver is not there, or does not answer any more."""


@dataclass(frozen=True)
class GpuProcess:
    """A process with memory on the GPU; `memory_mb` is None where the driver does not tell."""

    pid: int
    memory_mb: int | None


@dataclass(frozen=True)
class Reading:
    """A GPU at one moment; `utilisation` from 0 to 1, None where the driver does not tell."""

    memory_used_mb: int
    memory_total_mb: int
    temperature_c: int | None = None
    utilisation: float | None = None
    processes: Sequence[GpuProcess] = ()

    @property
    def memory_share(self) -> float:
        """How full the memory is, from 0 to 1."""
        return self.memory_used_mb / self.memory_total_mb


class Nvml:
    """The GPU of an index. Calls block, and may hang when the driver does."""

    def __init__(self, index: int = 0) -> None:
        self._index = index
        self._handle: Any = None

    def read(self) -> Reading:
        """What the GPU says now; raises GpuLost, after which the next call begins anew with the driver."""
        try:
            import pynvml
        except ImportError as error:
            raise GpuLost("nvidia-ml-py is not installed: pip install nvidia-ml-py") from error
        try:
            return self._read()
        except pynvml.NVMLError as error:
            self.close()
            raise GpuLost(f"the GPU's driver says: {error}") from error

    def close(self) -> None:
        """Lets go of the driver; safe to call twice."""
        if self._handle is not None:
            import pynvml

            self._handle = None
            with suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()

    def _read(self) -> Reading:
        import pynvml

        if self._handle is None:
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByIndex(self._index)
        memory = pynvml.nvmlDeviceGetMemoryInfo(self._handle)
        utilisation = _if_supported(pynvml.nvmlDeviceGetUtilizationRates, self._handle)
        processes = _if_supported(pynvml.nvmlDeviceGetComputeRunningProcesses, self._handle) or ()
        return Reading(
            memory_used_mb=memory.used // _MB,
            memory_total_mb=memory.total // _MB,
            temperature_c=_if_supported(pynvml.nvmlDeviceGetTemperature, self._handle, pynvml.NVML_TEMPERATURE_GPU),
            utilisation=None if utilisation is None else utilisation.gpu / 100,
            processes=tuple(_process(each.pid, each.usedGpuMemory) for each in processes),
        )


def _process(pid: int, used_bytes: int | None) -> GpuProcess:
    return GpuProcess(pid, None if used_bytes is None else used_bytes // _MB)


def _if_supported(ask: Any, *arguments: Any) -> Any:
    """Some GPUs, and parts of shared ones, have no such figure."""
    import pynvml

    try:
        return ask(*arguments)
    except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_NoPermission):
        return None
