"""Writes the graph of the voice encoder, without its weights; run it only to change the graph itself.

    .venv-sidecar/bin/python script/voice_print_graph.py

So the sidecar needs onnxruntime alone: it names the weights it has read, and they take the place of the ones left out.
"""

from __future__ import annotations

from pathlib import Path

# Installed beside the sidecar, for its tests, and not beside Home Assistant.
from onnx import ModelProto, NodeProto, TensorProto, helper  # type: ignore[import-not-found]

TARGET = Path(__file__).resolve().parents[1] / "sidecar/barnabeenet_sidecar/engines/voice_print.onnx"
LAYERS = 3
BANDS, HIDDEN, EMBEDDING = 40, 256, 256
PARTIAL_FRAMES = 160


def graph() -> ModelProto:
    """Mel spectrograms (frames, partial utterances, bands) to embeddings (partial utterances, 256) not normed yet."""
    weights: list[TensorProto] = []
    nodes: list[NodeProto] = []
    layer_input = "mels"
    for layer in range(LAYERS):
        names = [f"lstm.{kind}_l{layer}" for kind in ("weight_ih", "weight_hh", "bias")]
        shapes = [1, 4 * HIDDEN, BANDS if layer == 0 else HIDDEN], [1, 4 * HIDDEN, HIDDEN], [1, 8 * HIDDEN]
        weights += map(_left_out, names, shapes)
        nodes += [
            helper.make_node("LSTM", [layer_input, *names], [f"all_{layer}", f"last_{layer}"], hidden_size=HIDDEN),
            helper.make_node("Squeeze", [f"all_{layer}", "direction"], [f"hidden_{layer}"]),
        ]
        layer_input = f"hidden_{layer}"
    del nodes[-1]  # of the last layer only the last state is wanted
    weights += [_left_out("linear.weight", [EMBEDDING, HIDDEN]), _left_out("linear.bias", [EMBEDDING])]
    nodes += [
        helper.make_node("Squeeze", [f"last_{LAYERS - 1}", "layer"], ["voice"]),
        helper.make_node("Gemm", ["voice", "linear.weight", "linear.bias"], ["projected"], transB=1),
        helper.make_node("Relu", ["projected"], ["embeddings"]),
    ]
    axes = [helper.make_tensor(name, TensorProto.INT64, [1], [axis]) for name, axis in (("direction", 1), ("layer", 0))]
    mels = helper.make_tensor_value_info("mels", TensorProto.FLOAT, [PARTIAL_FRAMES, "partials", BANDS])
    embeddings = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["partials", EMBEDDING])
    built = helper.make_graph(nodes, "voice_print", [mels], [embeddings], [*weights, *axes])
    return helper.make_model(built, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _left_out(name: str, shape: list[int]) -> TensorProto:
    tensor = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="resemblyzer")
    return tensor


if __name__ == "__main__":
    TARGET.write_bytes(graph().SerializeToString(deterministic=True))
