"""Networks of TensorFlow Lite: what is refused, what is shared, what is freed."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import psutil
from pymicro_wakeword import MicroWakeWord as Detector, MicroWakeWordFeatures, Model
import pytest

from barnabeenet_sidecar.audio.pcm import wav_read
from barnabeenet_sidecar.engines.tensorflow_lite import Levels, Network, NetworkModel


@pytest.fixture(scope="module")
def files() -> tuple[Path, Path]:
    detector = Detector.from_builtin(Model.ALEXA)
    return Path(detector.libtensorflowlite_c_path), Path(detector.tflite_model)


def test_networks_of_one_model_remember_apart(files: tuple[Path, Path], recordings: Path) -> None:
    model = NetworkModel(*files)
    pcm = wav_read(recordings / "wake" / "wow_alexa.wav").data
    frames = np.concatenate(list(MicroWakeWordFeatures().process_streaming(pcm)))
    said = model.levels.of(frames.flatten().tolist())
    steps = [said[at : at + model.step_bytes] for at in range(0, len(said) - model.step_bytes, model.step_bytes)]
    alone = Network(model)
    wanted = [alone.run(step) for step in steps]
    assert len(set(wanted)) > 5
    assert max(wanted) > 200

    one, other = Network(model), Network(model)
    found = []
    for step in steps:
        found.append(one.run(step))
        other.run(bytes(model.step_bytes))
    assert found == wanted


def test_a_network_outlives_the_name_of_its_model(files: tuple[Path, Path]) -> None:
    network = Network(NetworkModel(*files))
    gc.collect()
    assert 0 <= network.run(bytes(network.model.step_bytes)) <= 255


def test_a_step_of_another_size_is_refused(files: tuple[Path, Path]) -> None:
    network = Network(NetworkModel(*files))
    for size in (0, network.model.step_bytes - 1, network.model.step_bytes + 1):
        with pytest.raises(ValueError, match="structure"):
            network.run(bytes(size))


def test_networks_and_models_that_are_gone_leave_no_memory_behind(files: tuple[Path, Path]) -> None:
    def use() -> None:
        Network(NetworkModel(*files)).run(bytes(120))

    process = psutil.Process()
    for _ in range(50):
        use()
    gc.collect()
    before = process.memory_info().rss
    for _ in range(200):
        use()
    gc.collect()
    assert process.memory_info().rss - before < 5_000_000


def test_what_is_no_model_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    library, model = files
    (tmp_path / "empty.tflite").write_bytes(b"")
    (tmp_path / "text.tflite").write_text("not a network")
    (tmp_path / "half.tflite").write_bytes(model.read_bytes()[:1000])
    for name in ("empty", "text", "half", "missing"):
        with pytest.raises(ValueError, match=f"{name}.tflite"):
            NetworkModel(library, tmp_path / f"{name}.tflite")


def test_what_is_no_library_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "library.so").write_text("not a library")
    for name in ("library.so", "missing.so"):
        with pytest.raises(OSError, match=name):
            NetworkModel(tmp_path / name, files[1])


def test_values_become_bytes_as_python_would_round_them() -> None:
    scale, zero_point = 0.10196078568696976, -128
    levels = Levels(scale, zero_point)
    values = [step * 0.0390625 for step in range(700)]
    assert levels.of(values) == bytes(round(value / scale + zero_point) & 0xFF for value in values)
    assert list(Levels(1.0, 0).of([0.5, 1.5, 2.5, -0.5, -1.5])) == [0, 2, 2, 0, 254]
    assert levels.of([]) == b""
