"""Tiny models with the files, inputs and outputs of the large ones: what they say is written into their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import json
from pathlib import Path
import re
from typing import Any

import numpy as np
import pytest

# Parakeet: from one piece of a word to the next, each with its logit; "" is the beginning.
_NEXT_PIECES: dict[str, dict[str, float]] = {
    "": {"▁turn": 5.0},
    "▁turn": {"▁on": 5.0},
    "▁on": {"▁the": 5.0},
    "▁the": {"▁loo": 5.0, "▁Lu": 4.5},
    "▁loo": {"se": 5.0},
    "▁Lu": {"x": 5.0, "ce": 4.0},
    "se": {"▁light": 5.0},
    "ce": {"▁light": 5.0},
    "x": {"▁light": 5.0},
    "▁light": {},
}
_PIECES = ["<unk>", "▁L", "▁Lu", "ce", "se", *list("▁Luceoslightx"), "▁turn", "▁on", "▁the", "▁loo", "▁light", "<blk>"]
_DURATIONS = 5

# Whisper: the same story in words.
_NEXT_WORDS: dict[str, dict[str, float]] = {
    "<|notimestamps|>": {" turn": 4.0},
    " turn": {" on": 4.0},
    " on": {" the": 4.0},
    " the": {" loose": 4.0, " Luce": 3.9},
    " loose": {" light": 4.0},
    " Luce": {" light": 4.0},
    " light": {"<|endoftext|>": 4.0},
}
_WIDTH = 32
_WHISPER_SHAPES: dict[str, tuple[int, ...]] = {
    "(gamma|beta|bias)$": (_WIDTH,),
    "conv1/weight": (_WIDTH, 80, 3),
    "conv2/weight": (_WIDTH, _WIDTH, 3),
    "self_attention/linear_0/weight": (3 * _WIDTH, _WIDTH),
    "self_attention/linear_1/weight": (_WIDTH, _WIDTH),
    "attention/linear_1/weight": (2 * _WIDTH, _WIDTH),
    "weight": (_WIDTH, _WIDTH),
}


@pytest.fixture(scope="session")
def make_parakeet() -> Callable[..., Path]:
    """Writes a Parakeet that says "turn on the loose light", a piece per 80 ms; "Luce" is nearly as likely."""
    return _parakeet


@pytest.fixture(scope="session")
def make_whisper() -> Callable[..., Path]:
    """Writes a Whisper that says " turn on the loose light"; with " Luce" in its prompt it says that."""
    return _whisper


@pytest.fixture(scope="session")
def make_kokoro() -> Callable[..., Path]:
    """Writes a Kokoro that hums 25 ms per phoneme; each voice has its loudness."""
    return _kokoro


def _parakeet(folder: Path, *, precision: str = "", slow: bool = False) -> Path:
    from onnx import TensorProto, helper

    folder.mkdir(parents=True, exist_ok=True)
    suffix = f".{precision}.onnx" if precision else ".onnx"
    pieces = list(dict.fromkeys(_PIECES))
    table = np.full((len(pieces), len(pieces) + _DURATIONS), -5.0, np.float32)
    for piece, following in _NEXT_PIECES.items():
        row = table[pieces.index(piece or "<blk>")]
        row[len(pieces) + 1] = 5.0  # on to the next frame
        row[pieces.index("<blk>")] = 0.0
        for other, logit in following.items():
            row[pieces.index(other)] = logit
    encoder = [
        helper.make_node("Conv", ["audio_signal", "kernel"], ["conv"], strides=[8]),
        *_zero("zero", trips=1 << 40 if slow else 1),
        helper.make_node("Add", ["conv", "zero"], ["outputs"]),
        helper.make_node("Div", ["length", "eight"], ["encoded_lengths"]),
    ]
    _write_onnx(
        folder / f"encoder-model{suffix}",
        encoder,
        {"audio_signal": (TensorProto.FLOAT, ["B", 128, "T"]), "length": (TensorProto.INT64, ["B"])},
        {"outputs": (TensorProto.FLOAT, ["B", 4, "S"]), "encoded_lengths": (TensorProto.INT64, ["B"])},
        {"kernel": np.zeros((4, 128, 8), np.float32), "eight": np.array(8, np.int64)},
    )
    state = (TensorProto.FLOAT, [2, 1, 8])
    joint = [
        helper.make_node("Gather", ["table", "targets"], ["rows"]),
        helper.make_node("Unsqueeze", ["rows", "one"], ["outputs"]),
        helper.make_node("Identity", ["target_length"], ["prednet_lengths"]),
        helper.make_node("Identity", ["input_states_1"], ["output_states_1"]),
        helper.make_node("Identity", ["input_states_2"], ["output_states_2"]),
    ]
    _write_onnx(
        folder / f"decoder_joint-model{suffix}",
        joint,
        {
            "encoder_outputs": (TensorProto.FLOAT, [1, 4, "S"]),
            "targets": (TensorProto.INT32, [1, "U"]),
            "target_length": (TensorProto.INT32, [1]),
            "input_states_1": state,
            "input_states_2": state,
        },
        {
            "outputs": (TensorProto.FLOAT, [1, 1, "U", table.shape[1]]),
            "prednet_lengths": (TensorProto.INT32, [1]),
            "output_states_1": state,
            "output_states_2": state,
        },
        {"table": table, "one": np.array([1], np.int64)},
    )
    (folder / "vocab.txt").write_text("".join(f"{piece} {at}\n" for at, piece in enumerate(pieces)), encoding="utf-8")
    config = {"model_type": "nemo-conformer-tdt", "features_size": 128, "subsampling_factor": 8}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def _kokoro(folder: Path, *, voices: Mapping[str, float], precision: str = "", slow: bool = False) -> Path:
    from onnx import TensorProto, helper

    folder.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(600) / 24_000
    hum = np.stack([np.sin(2 * np.pi * (150 + 2 * token) * time_s) for token in range(180)]).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["hum", "tokens"], ["sound"]),
        helper.make_node("ReduceMean", ["style"], ["loudness"], keepdims=0),
        helper.make_node("Mul", ["sound", "loudness"], ["loud"]),
        *_zero("zero", trips=1 << 40 if slow else 1),
        helper.make_node("Add", ["loud", "zero"], ["whole"]),
        helper.make_node("Reshape", ["whole", "flat"], ["audio"]),
    ]
    _write_onnx(
        folder / (f"kokoro-v1.0.{precision}.onnx" if precision else "kokoro-v1.0.onnx"),
        nodes,
        {
            "tokens": (TensorProto.INT64, [1, "N"]),
            "style": (TensorProto.FLOAT, [1, 256]),
            "speed": (TensorProto.FLOAT, [1]),
        },
        {"audio": (TensorProto.FLOAT, ["S"])},
        {"hum": hum, "flat": np.array([-1], np.int64)},
    )
    styles = {name: np.full((510, 1, 256), loudness, np.float32) for name, loudness in voices.items()}
    with (folder / "voices-v1.0.bin").open("wb") as file:
        np.savez(file, **styles)  # type: ignore[arg-type]
    return folder


def _whisper(folder: Path, *, story: Mapping[str, Mapping[str, float]] = _NEXT_WORDS, no_speech: bool = False) -> Path:
    """With `no_speech` it is sure that nobody speaks, and unsure of every word."""
    from ctranslate2.specs import WhisperSpec
    from ctranslate2.specs.model_spec import visit_spec

    words = _write_whisper_tokenizer(folder)
    spec = WhisperSpec(1, 1, 1, 1)
    visit_spec(spec, _fill)
    spec.encoder.position_encodings.encodings = np.zeros((1500, _WIDTH), np.float32)
    spec.decoder.position_encodings.encodings = np.zeros((448, _WIDTH), np.float32)
    embeddings = np.zeros((len(words), _WIDTH), np.float32)
    projection = np.zeros((len(words), _WIDTH), np.float32)
    flag = len(story) + 1  # the dimension that tells whether " Luce" was said before
    for at, (word, following) in enumerate(story.items()):
        embeddings[words[word], at] = 1.0
        for other, weight in following.items():
            projection[words[other], at] = 0.1 * weight if no_speech else weight
    embeddings[words[" Luce"], flag] = 1.0
    projection[words[" Luce"], flag] = 4.0
    projection[words[" Luce"], list(story).index(" Luce")] = -4.0  # not twice
    if no_speech:
        embeddings[words["<|startoftranscript|>"], flag + 1] = 1.0
        projection[words["<|nospeech|>"], flag + 1] = 4.0
    attention = spec.decoder.layer[0].self_attention
    attention.linear[0].weight[2 * _WIDTH + flag, flag] = 1.0  # values: everybody is looked at alike
    attention.linear[1].weight[flag, flag] = 0.2
    spec.decoder.embeddings.weight = embeddings
    spec.decoder.projection.weight = projection
    tokens = sorted(words, key=lambda word: words[word])
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [words["<|endoftext|>"]]
    spec.config.lang_ids = [words["<|en|>"], words["<|de|>"]]
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.save(str(folder))
    return folder


def _write_whisper_tokenizer(folder: Path) -> dict[str, int]:
    """A byte-level tokenizer with Whisper's special tokens in their order; its tokens as text."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {letter: at for at, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges: list[tuple[str, str]] = []
    for word in ("Ġturn", "Ġon", "Ġthe", "Ġloose", "ĠLuce", "Ġlight"):
        for end in range(2, len(word) + 1):
            if word[:end] not in vocabulary:
                merges.append((word[: end - 1], word[end - 1]))
                vocabulary[word[:end]] = len(vocabulary)
    vocabulary[""] = len(vocabulary)  # only models of many languages have it
    special = ["endoftext", "startoftranscript", "en", "de", "translate", "transcribe", "startoflm", "startofprev"]
    special += ["nospeech", "notimestamps"]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    return {text.replace("Ġ", " "): at for text, at in tokenizer.get_vocab(with_added_tokens=True).items()}


def _fill(part: Any, name: str, value: Any) -> None:
    """Weights of nought, and norms that change nothing, where nothing is set."""
    if value is None:
        shape = next(shape for pattern, shape in _WHISPER_SHAPES.items() if re.search(pattern, name))
        make = np.ones if name.endswith("gamma") else np.zeros
        setattr(part, name.rpartition("/")[2], make(shape, np.float32))


def _zero(output: str, *, trips: int) -> Sequence[Any]:
    """A nought that takes a number of steps to make."""
    from onnx import TensorProto, helper, numpy_helper

    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_in"], ["go_out"]),
            helper.make_node("Mul", ["nought_in", "nought_in"], ["nought_out"]),
        ],
        "step",
        [value("i", TensorProto.INT64, []), value("go_in", TensorProto.BOOL, []), value("nought_in", 1, [])],
        [value("go_out", TensorProto.BOOL, []), value("nought_out", 1, [])],
    )
    constants = {"trips": np.array(trips, np.int64), "go": np.array(True), "nought": np.array(0.0, np.float32)}
    return [
        *(
            helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))
            for name, array in constants.items()
        ),
        helper.make_node("Loop", ["trips", "go", "nought"], [output], body=body),
    ]


def _write_onnx(
    path: Path,
    nodes: Sequence[Any],
    inputs: Mapping[str, tuple[int, list[Any]]],
    outputs: Mapping[str, tuple[int, list[Any]]],
    weights: Mapping[str, np.ndarray],
) -> None:
    import onnx
    from onnx import helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(name, *shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, *shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
