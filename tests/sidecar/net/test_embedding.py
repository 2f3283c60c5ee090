"""Texts become points over a real socket, by a tiny MiniLM."""

from __future__ import annotations

from array import array
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from barnabeenet_sidecar.engines.catalogue import Engines, choose
from barnabeenet_sidecar.engines.minilm import DIMENSIONS, MiniLm
from barnabeenet_sidecar.engines.model_folder import ModelFolder
from barnabeenet_sidecar.gpu.queue import Kind, Priority, WorkQueue
from barnabeenet_sidecar.net.handler import Handler
from barnabeenet_sidecar.telemetry.metrics import Metrics

Dial = Callable[..., Awaitable[Any]]
WORDS = ["[UNK]", "[CLS]", "lamp", "light", "bins"]


def write_tiny_minilm(folder: Path) -> Path:
    """A MiniLM whose point is the mean of its words' own."""
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    table = np.random.default_rng(1).normal(size=(len(WORDS), DIMENSIONS)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        "tiny",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "length", DIMENSIONS])],
        [numpy_helper.from_array(table, "table")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "model.onnx"
    )
    return folder


@pytest.fixture
async def engines(tmp_path: Path) -> AsyncIterator[Engines]:
    engines = choose(
        tts="espeak",
        vad="silero",
        wake="microwakeword",
        stt_workers=1,
        data_dir=tmp_path,
        embedding=MiniLm(ModelFolder("minilm-l6-v2", write_tiny_minilm(tmp_path))),
    )
    await engines.embedding.load()
    yield engines
    await engines.close()


@pytest.fixture
def queue() -> WorkQueue:
    return WorkQueue(1)


@pytest.fixture
def handler(engines: Engines, queue: WorkQueue) -> Handler:
    return Handler(engines, Metrics(), queue=queue)


@pytest.fixture
async def home(serve: Any, handler: Handler, authenticator: Any, dial: Dial) -> Any:
    peer = await dial(await serve(handler, authenticator=authenticator()))
    await peer.hello()
    return peer


async def points_of(peer: Any, *texts: str) -> list[array[float]]:
    answer = await peer.ask("barnabeenet-embed", {"texts": list(texts)})
    assert answer.type == "barnabeenet-embeddings", answer
    assert (answer.data["model"], answer.data["dimensions"], answer.data["count"]) == ("minilm", 384, len(texts))
    numbers = array("f", answer.payload)
    assert len(numbers) == 384 * len(texts)
    return [numbers[at : at + 384] for at in range(0, len(numbers), 384)]


async def test_each_text_has_its_point_in_the_order_asked(home: Any, engines: Engines) -> None:
    texts = ["lamp", "light lamp", "", "bins"] * 10
    expected = await engines.embedding.get().embed(texts)
    assert np.array(await points_of(home, *texts)) == pytest.approx(expected, abs=1e-6)


async def test_as_many_texts_as_the_contract_allows_fit_into_one_answer(home: Any) -> None:
    assert len(await points_of(home, *["lamp"] * 256)) == 256


@pytest.mark.parametrize("texts", [[], ["lamp"] * 257, ["a" * 16_385], [7], "lamp"])
async def test_what_breaks_the_contract_is_refused_and_the_connection_lives(home: Any, texts: Any) -> None:
    answer = await home.ask("barnabeenet-embed", {"texts": texts})
    assert (answer.type, answer.data["code"]) == ("error", "bad-request")
    assert len(await points_of(home, "lamp")) == 1


async def test_a_single_text_overtakes_many_which_give_way_between_their_turns(
    home: Any, queue: WorkQueue, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[int] = []
    engine = engines.embedding.get()
    embed = engine.embed
    busy, may_go_on = asyncio.Event(), asyncio.Event()

    async def watched(texts: list[str]) -> Any:
        order.append(len(texts))
        busy.set()
        await may_go_on.wait()
        return await embed(texts)

    monkeypatch.setattr(engine, "embed", watched)
    many = asyncio.create_task(points_of(home, *["lamp"] * 40))
    await busy.wait()
    single = asyncio.create_task(take_turn(queue, order))
    while not queue.depth(Priority.SHORT):
        await asyncio.sleep(0)
    may_go_on.set()
    await asyncio.gather(many, single)
    assert order == [16, -1, 16, 8]


async def take_turn(queue: WorkQueue, order: list[int]) -> None:
    async with queue.turn(Priority.SHORT, Kind.EMBEDDING):
        order.append(-1)


async def test_a_cancelled_request_leaves_the_queue(home: Any, queue: WorkQueue) -> None:
    async with queue.turn(Priority.SHORT, Kind.SYNTHESIS):
        await home.send("barnabeenet-embed", {"texts": ["lamp"]})
        assert (await home.ask("barnabeenet-cancel")).type == "barnabeenet-cancelled"
        assert queue.waiting == 0
    assert len(await points_of(home, "lamp")) == 1


async def test_without_the_model_the_answer_names_the_command_that_brings_it(
    serve: Any, authenticator: Any, dial: Dial, tmp_path: Path
) -> None:
    engines = choose(tts="espeak", vad="silero", wake="microwakeword", stt_workers=1, data_dir=tmp_path)
    server = await serve(Handler(engines, Metrics(), queue=WorkQueue(1)), authenticator=authenticator())
    home = await dial(server)
    await home.hello()
    answer = await home.ask("barnabeenet-embed", {"texts": ["lamp"]})
    assert answer.data["code"] == "unsupported"
    assert "models pull minilm-l6-v2" in answer.data["text"]


@pytest.mark.faults
@pytest.mark.parametrize("points", [np.full((1, 384), np.nan, np.float32), np.ones((1, 3), np.float32)])
async def test_an_engine_that_gives_nonsense_is_told_and_not_passed_on(
    home: Any, engines: Engines, monkeypatch: pytest.MonkeyPatch, points: Any
) -> None:
    async def nonsense(_texts: list[str]) -> Any:
        return points

    monkeypatch.setattr(engines.embedding.get(), "embed", nonsense)
    answer = await home.ask("barnabeenet-embed", {"texts": ["lamp"]})
    assert answer.data["code"] == "engine-failed"


async def test_the_plain_listener_embeds_nothing(serve: Any, handler: Handler, dial: Dial) -> None:
    peer = await dial(await serve(handler, authenticator=None))
    answer = await peer.ask("barnabeenet-embed", {"texts": ["lamp"]})
    assert answer.data["code"] == "bad-request"
    assert "plain listener" in answer.data["text"]
