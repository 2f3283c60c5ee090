"""What texts mean, as a home asks for it."""

from __future__ import annotations

from array import array
import math
from typing import Any

import pytest
from wyoming.event import Event

from custom_components.barnabeenet.client.errors import ProtocolError, RequestFailed
from custom_components.barnabeenet.client.messages import Embed, Embeddings
from custom_components.barnabeenet.client.sidecar import Points, Sidecar


def answer(*rows: list[float], model: str = "minilm") -> Event:
    payload = array("f", [number for row in rows for number in row]).tobytes()
    return Embeddings(model, len(rows[0]), len(rows), payload).event()


async def lengths(peer: Any, event: Event) -> None:
    """A point for each text: how long it is, and how many were asked for with it."""
    texts = Embed.from_event(event).texts
    await peer.send(answer(*([float(len(text)), float(len(texts))] for text in texts)))


async def test_each_text_has_its_point_in_order(sidecar: Sidecar, script: Any) -> None:
    script.on[Embed.TYPE] = lengths
    points = await sidecar.embed(["lamp", "light"])
    assert points == Points("minilm", (array("f", [4, 2]), array("f", [5, 2])))


async def test_no_texts_are_not_asked_for(sidecar: Sidecar, script: Any) -> None:
    assert await sidecar.embed([]) == Points("", ())
    assert script.count(Embed.TYPE) == 0


async def test_many_texts_are_asked_for_in_parts(sidecar: Sidecar, script: Any) -> None:
    script.on[Embed.TYPE] = lengths
    texts = [f"{number:0{number % 7 + 3}}" for number in range(600)]
    points = await sidecar.embed(texts)
    assert [vector[0] for vector in points.vectors] == [len(text) for text in texts]
    assert [vector[1] for vector in points.vectors] == [256] * 512 + [88] * 88


@pytest.mark.parametrize("letter", ["a", "☃", "\x01", "😀", '"'])
async def test_texts_of_any_letters_fit_into_frames(sidecar: Sidecar, script: Any, letter: str) -> None:
    script.on[Embed.TYPE] = lengths
    points = await sidecar.embed([letter * 16_384] * 20)
    assert len(points.vectors) == 20
    assert script.count(Embed.TYPE) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [("a" * 16_385, "0 to 16384 characters"), ("a\0", "must not contain NUL"), ("\ud800", "cannot be sent as JSON")],
)
async def test_a_text_that_the_contract_does_not_allow_is_refused_here(sidecar: Sidecar, text: str, said: str) -> None:
    with pytest.raises(RequestFailed, match=said):
        await sidecar.embed([text])
    assert sidecar.available


async def test_a_model_that_changes_in_between_is_told(sidecar: Sidecar, script: Any) -> None:
    names = iter(["minilm", "another"])

    async def change(peer: Any, event: Event) -> None:
        await peer.send(answer(*([0.5] for _ in event.data["texts"]), model=next(names)))

    script.on[Embed.TYPE] = change
    with pytest.raises(RequestFailed, match="ask again"):
        await sidecar.embed(["lamp"] * 257)


async def test_without_an_engine_the_sidecars_words_are_told(sidecar: Sidecar, script: Any) -> None:
    async def refuse(peer: Any, _event: Event) -> None:
        await peer.connection.error("unsupported", "no text embedding here: run models pull minilm-l6-v2")

    script.on[Embed.TYPE] = refuse
    with pytest.raises(RequestFailed, match="models pull") as raised:
        await sidecar.embed(["lamp"])
    assert raised.value.code == "unsupported"


@pytest.mark.faults
@pytest.mark.parametrize(
    "nonsense",
    [
        answer([1.0, 0.0], [1.0, 0.0]),
        answer([math.nan, 0.0]),
        answer([math.inf, -math.inf]),
        Event("barnabeenet-embeddings", {"model": "minilm", "dimensions": 3, "count": 1}, b"\0" * 8),
        Event("barnabeenet-embeddings", {"model": "minilm", "dimensions": 2, "count": 1}, b"\0" * 7),
        Event("barnabeenet-embeddings", {"model": "minilm", "dimensions": 2_000, "count": 1}, b"\0" * 8_000),
        Event("pong"),
    ],
    ids=["one too many", "no number", "infinite", "another length", "half a number", "too long", "another answer"],
)
async def test_nonsense_ends_the_connection(sidecar: Sidecar, script: Any, nonsense: Event) -> None:
    async def send(peer: Any, _event: Event) -> None:
        await peer.send(nonsense)

    script.on[Embed.TYPE] = send
    with pytest.raises(ProtocolError):
        await sidecar.embed(["lamp"])
