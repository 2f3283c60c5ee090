"""What the doctor tells the owner of a GPU, and of none."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from barnabeenet_sidecar import large_engines
from barnabeenet_sidecar.config import Settings, load
from barnabeenet_sidecar.doctor import render
from barnabeenet_sidecar.large_engines import INSTALL_FOR_GPU, PULL_FOR_CPU, PULL_FOR_GPU, examine
from barnabeenet_sidecar.models.store import Store


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return load({"data_dir": tmp_path / "data"})


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def hide(module: str) -> None:
        monkeypatch.setattr(large_engines, "find_spec", lambda name: None if name == module else find_spec(name))

    return hide


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_engines, "_knows_cuda", lambda: True)


def test_the_owner_of_a_gpu_is_told_exactly_what_to_run(settings: Settings, without: Callable[[str], None]) -> None:
    without("onnx_asr")
    [found] = examine(settings, has_gpu=True)
    assert (found.state, found.detail[:24]) == ("warning", "not installed: Parakeet;")
    assert found.commands == (*INSTALL_FOR_GPU, PULL_FOR_GPU)
    # To be copied: not cut into lines.
    assert set(found.commands) <= {line.strip() for line in render([found]).splitlines()}


def test_without_a_gpu_they_are_not_missed(settings: Settings, without: Callable[[str], None]) -> None:
    without("kokoro_onnx")
    [found] = examine(settings, has_gpu=False)
    assert found.state == "ok"
    assert "Kokoro" in found.detail


def test_the_wrong_onnxruntime_for_a_gpu_is_told(settings: Settings) -> None:
    libraries, models = examine(settings, has_gpu=True)
    assert (libraries.state, libraries.commands) == ("warning", INSTALL_FOR_GPU)
    assert (models.state, models.commands) == ("warning", (PULL_FOR_GPU,))


@pytest.mark.usefixtures("cuda")
def test_what_models_to_pull_depends_on_the_machine(settings: Settings) -> None:
    assert [found.commands for found in examine(settings, has_gpu=True)] == [(), (PULL_FOR_GPU,)]
    assert [found.commands for found in examine(settings, has_gpu=False)] == [(), (PULL_FOR_CPU,)]
    assert not settings.data_dir.exists()


@pytest.mark.usefixtures("cuda")
async def test_the_models_that_serve_are_named(settings: Settings) -> None:
    if find_spec("resemblyzer") is None:
        pytest.skip("the package that carries a model is not installed")
    await Store(settings.data_dir).pull("resemblyzer", "a test")
    models = examine(settings, has_gpu=True)[1]
    assert (models.state, models.detail) == ("ok", "resemblyzer 0.1.4")


@pytest.mark.usefixtures("cuda")
def test_a_broken_store_is_told(settings: Settings) -> None:
    (settings.data_dir / "models").mkdir(parents=True)
    (settings.data_dir / "models.toml").write_text("[[model]\n")
    models = examine(settings, has_gpu=True)[1]
    assert models.state == "warning"
    assert "models.toml" in models.detail
