"""Where a model runs, and what its failures mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import sys
from types import SimpleNamespace
from typing import Literal

import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException
import pytest

from barnabeenet_sidecar.engines.device import (
    CPU,
    Device,
    EngineOutOfMemory,
    ctranslate2_device,
    failure,
    onnx_device,
    use_device,
)
from barnabeenet_sidecar.engines.model_folder import ModelFolder
from barnabeenet_sidecar.errors import EngineFailed, EngineUnavailable

GPU = Device("cuda", "NVIDIA Something")


class NvmlError(Exception):
    """NVML's own."""


def nvml(name: str | None) -> SimpleNamespace:
    """NVML as it is on a machine with one GPU, or with a library but no driver."""
    calls: list[str] = []

    def init() -> None:
        if name is None:
            raise NvmlError("Driver Not Loaded")
        calls.append("init")

    return SimpleNamespace(
        NVMLError=NvmlError,
        calls=calls,
        nvmlInit=init,
        nvmlShutdown=lambda: calls.append("shutdown"),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda _handle: name,
    )


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SimpleNamespace]:
    """Makes this machine look as if it had a GPU, for NVML and onnxruntime each."""

    def make(name: str | None, *, onnx_cuda: bool = True) -> SimpleNamespace:
        fake = nvml(name)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        providers = [*(["CUDAExecutionProvider"] if onnx_cuda else []), "CPUExecutionProvider"]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: fake.calls.append("preload"))
        return fake

    return make


def test_a_gpu_that_onnxruntime_can_use_is_taken_and_named(gpu: Callable[..., SimpleNamespace]) -> None:
    fake = gpu(GPU.name)
    assert onnx_device() == GPU
    assert fake.calls == ["init", "shutdown", "preload"]
    assert list(onnx_device().providers) == ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize(("name", "onnx_cuda"), [(None, True), (GPU.name, False), (None, False)])
def test_without_a_gpu_or_its_build_of_onnxruntime_the_processor_is_taken(
    gpu: Callable[..., SimpleNamespace],
    name: str | None,
    onnx_cuda: bool,
) -> None:
    fake = gpu(name, onnx_cuda=onnx_cuda)
    assert onnx_device() == CPU
    assert "preload" not in fake.calls
    assert list(CPU.providers) == ["CPUExecutionProvider"]


def test_without_nvml_the_processor_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert onnx_device() == CPU


def test_ctranslate2_takes_the_gpu_that_it_counts(
    gpu: Callable[..., SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ctranslate2

    gpu(GPU.name)
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    assert ctranslate2_device() == GPU
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 0)
    assert ctranslate2_device() == CPU


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA failed with error out of memory"),
        RuntimeError("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED"),
        RuntimeError("std::bad_alloc"),
        RuntimeException("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of size 9437184"),
        RuntimeException("BFCArena::AllocateRawInternal Available memory of 0 is smaller than requested"),
        MemoryError(),
        MemoryError("Unable to allocate 80.0 GiB for an array"),
    ],
)
def test_want_of_memory_is_told_from_other_failures(error: Exception) -> None:
    failed = failure("whisper", error)
    assert isinstance(failed, EngineOutOfMemory)
    assert str(failed).startswith("whisper ran out of memory: ")


def test_another_failure_is_told_in_one_short_line() -> None:
    failed = failure("whisper", ValueError("line one\n  line two\t" + "x" * 9000))
    assert type(failed) is EngineFailed
    assert str(failed).startswith("whisper broke: line one line two xxx")
    assert len(str(failed)) < 400


def test_a_failure_without_words_is_told_by_its_kind() -> None:
    assert str(failure("whisper", AssertionError())) == "whisper broke: AssertionError"


@pytest.mark.parametrize(
    ("files", "device", "precision"),
    [
        (["m.onnx", "m.int8.onnx", "m.fp16.onnx"], CPU, "int8"),
        (["m.onnx", "m.int8.onnx", "m.fp16.onnx"], GPU, "fp16"),
        (["m.onnx", "m.int8.onnx"], GPU, ""),
        (["m.onnx", "m.fp16.onnx"], CPU, ""),
        (["m.int8.onnx"], GPU, "int8"),
        (["m.fp16.onnx"], CPU, "fp16"),
    ],
)
def test_the_best_precision_that_is_here_is_taken(
    tmp_path: Path, files: list[str], device: Device, precision: str
) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert ModelFolder("x", tmp_path).precision("m", device) == precision


def test_a_missing_file_is_told_with_the_command_that_brings_it(tmp_path: Path) -> None:
    folder = ModelFolder("kokoro-82m-v1.0", tmp_path)
    with pytest.raises(
        EngineUnavailable, match=r"a or b is not in .*: barnabeenet-sidecar models pull kokoro-82m-v1.0"
    ):
        folder.file("a", "b")
    with pytest.raises(EngineUnavailable, match=r"m\.onnx is not in"):
        folder.precision("m", CPU)
    (tmp_path / "b").touch()
    assert folder.file("a", "b") == tmp_path / "b"


# Bound to one or the other


@pytest.fixture
def bound() -> Iterator[Callable[[Literal["auto", "cuda", "cpu"]], None]]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    yield use_device
    use_device("auto")
    if visible is None:
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible


@pytest.mark.parametrize("device_of", [onnx_device, ctranslate2_device])
def test_bound_to_the_processor_nobody_even_looks_for_a_gpu(
    gpu: Callable[..., SimpleNamespace],
    bound: Callable[[str], None],
    device_of: Callable[[], Device],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = gpu("NVIDIA Something")
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    bound("cpu")
    assert device_of() == CPU
    assert fake.calls == []
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_bound_to_a_gpu_it_takes_the_one_that_is_there(
    gpu: Callable[..., SimpleNamespace], bound: Callable[[str], None]
) -> None:
    gpu("NVIDIA Something")
    bound("cuda")
    assert onnx_device() == GPU


@pytest.mark.parametrize(("device_of", "library"), [(onnx_device, "onnxruntime"), (ctranslate2_device, "CTranslate2")])
def test_bound_to_a_gpu_that_is_not_there_it_says_what_to_do(
    gpu: Callable[..., SimpleNamespace],
    bound: Callable[[str], None],
    device_of: Callable[[], Device],
    library: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu(None)
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 0)
    bound("cuda")
    with pytest.raises(EngineUnavailable, match=f"{library} finds no GPU .* set device to auto"):
        device_of()
