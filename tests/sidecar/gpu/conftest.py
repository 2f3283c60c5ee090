"""Shared by the tests of the engine process: the tiny models and a host of the real engines on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
import json
from pathlib import Path
import threading

import numpy as np
import pytest

from barnabeenet_sidecar.engines.model_folder import ModelFolder
from barnabeenet_sidecar.gpu.child import RestartDelay
from barnabeenet_sidecar.gpu.engine_host import EngineHost
from barnabeenet_sidecar.gpu.hosted import Hosted

MakeModel = Callable[..., Path]
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "light", "is", "on", "off", "door")


@pytest.fixture(scope="session")
def make_minilm() -> MakeModel:
    """Writes a MiniLM of ten words, each with a point of its own."""
    return _minilm


@pytest.fixture(scope="session")
def folders(
    make_parakeet: MakeModel,
    make_whisper: MakeModel,
    make_kokoro: MakeModel,
    make_minilm: MakeModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """Tiny models by their engines."""
    base = tmp_path_factory.mktemp("models")
    return {
        "parakeet": make_parakeet(base / "parakeet"),
        "whisper": make_whisper(base / "whisper"),
        "kokoro": make_kokoro(base / "kokoro", voices={"af_heart": 0.5, "am_adam": 0.2}),
        "minilm": make_minilm(base / "minilm"),
    }


@pytest.fixture(scope="session")
def hosted(folders: dict[str, Path]) -> list[Hosted]:
    """All engines, as the product has them: Whisper on first use."""
    return [
        Hosted("parakeet", ModelFolder("parakeet-tiny", folders["parakeet"]), 4096, 1),
        Hosted("kokoro", ModelFolder("kokoro-tiny", folders["kokoro"]), 3072, 1),
        Hosted("minilm", ModelFolder("minilm-tiny", folders["minilm"]), 1024, 2),
        Hosted("whisper", ModelFolder("whisper-tiny", folders["whisper"]), 5120, 3),
    ]


@pytest.fixture
async def host(hosted: list[Hosted]) -> AsyncIterator[EngineHost]:
    """The real engine process with all engines, on the processor."""
    host = EngineHost(hosted, device="cpu", delay=RestartDelay(first_s=0))
    await host.start()
    yield host
    await host.close()


def _minilm(folder: Path) -> Path:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.WordPiece({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    table = np.random.default_rng(3).normal(size=(len(WORDS), 384)).astype(np.float32)
    shape = ["batch", "length"]
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        "minilm",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, shape)],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*shape, 384])],
        [numpy_helper.from_array(table, "table")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "model.onnx"
    )
    assert json.loads((folder / "tokenizer.json").read_text())
    return folder


@pytest.fixture
def own_threads() -> Callable[[], set[threading.Thread]]:
    """All but asyncio's own: those of its pool live as long as the loop, those that wait for a child end by themselves."""

    def find() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if not thread.name.startswith(("asyncio_", "waitpid-"))}

    return find
