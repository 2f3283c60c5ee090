"""How a vendor's stream is read."""

from __future__ import annotations

import asyncio
import json

import httpx
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.barnabeenet.providers.base import BadAnswer, Meter, ProviderError, Refused, Truncated
from custom_components.barnabeenet.providers.events import events, sent


class Slices(httpx.AsyncByteStream):
    def __init__(self, slices: list[bytes]) -> None:
        self._slices = slices

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        for part in self._slices:
            await asyncio.sleep(0)
            yield part


async def read(*slices: bytes) -> list[dict[str, object]]:
    return [found async for found in events(httpx.Response(200, stream=Slices(list(slices))))]


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"a": 1}\n\ndata: [DONE]\n\n',
        b'data:{"a": 1}\n\n',
        b'event: x\nid: 7\ndata: {"a": 1}\r\n\r\n',
        b': comment\n\n\n\ndata: {"a":\ndata: 1}\n\n',
        b'data: {"a": 1}\n\ndata: [DONE]\n\ndata: {"b": 2}\n\n',
        b'data: {"a": 1}',
    ],
)
async def test_the_forms_of_a_stream_are_known(stream: bytes) -> None:
    assert await read(stream) == [{"a": 1}]


@settings(max_examples=50)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=20), max_size=8),
    cuts=st.lists(st.integers(1, 40), max_size=30),
)
def test_it_does_not_matter_where_a_stream_is_sliced(texts: list[str], cuts: list[int]) -> None:
    wanted = [{"text": text} for text in texts]
    raw = b"".join(b"data: " + json.dumps(found, ensure_ascii=False).encode() + b"\n\n" for found in wanted)
    slices, at = [], 0
    for cut in [*cuts, len(raw)]:
        slices.append(raw[at : at + cut])
        at += cut

    assert asyncio.run(read(*slices)) == wanted


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=60), max_size=10))
def test_whatever_comes_it_is_an_object_or_an_error_of_a_provider(slices: list[bytes]) -> None:
    try:
        found = asyncio.run(read(b"data: ", *slices))
    except ProviderError:
        return
    assert all(isinstance(one, dict) for one in found)


async def test_what_came_before_an_error_is_not_lost() -> None:
    found = []
    stream = httpx.Response(200, stream=Slices([b'data: {"a": 1}\n\ndata: [1]\n\n']))

    with pytest.raises(BadAnswer):
        found.extend([one async for one in events(stream)])
    source = events(httpx.Response(200, stream=Slices([b'data: {"a": 1}\n\ndata: [1]\n\n'])))
    assert await anext(source) == {"a": 1}
    await source.aclose()


async def test_a_connection_that_was_cut_before_an_answer_is_tried_once_more() -> None:
    tries = iter([Truncated("gone"), None])
    meter = Meter()

    async def ask() -> str:
        error = next(tries)
        if error is not None:
            raise error
        return "hi"

    assert await sent(ask, meter) == "hi"
    assert meter.sent


async def test_nothing_else_is_tried_again() -> None:
    asked = []

    async def ask() -> None:
        asked.append(1)
        raise Refused("no")

    with pytest.raises(Refused):
        await sent(ask, Meter())
    assert asked == [1]
