"""The frames between the sidecar and its engine process."""

from __future__ import annotations

import asyncio
import json
import random
import struct

import pytest

from barnabeenet_sidecar.gpu.child_protocol import (
    HEADER_MAX_BYTES,
    PAYLOAD_MAX_BYTES,
    Frame,
    ProtocolError,
    pack,
    read_frame,
)


def stream(*chunks: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    for chunk in chunks:
        reader.feed_data(chunk)
    reader.feed_eof()
    return reader


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        ({}, b""),
        ({"id": 1, "value": {"text": "Grüße, 世界"}}, b"\0\xff" * 500),
        ({"id": 2**53}, bytes(PAYLOAD_MAX_BYTES)),
    ],
)
async def test_a_frame_comes_out_as_it_went_in(header: dict[str, object], payload: bytes) -> None:
    reader = stream(pack(header, payload) * 2)
    assert [await read_frame(reader) for _ in range(3)] == [Frame(header, payload)] * 2 + [None]


@pytest.mark.parametrize("length", range(0, 20, 3))
async def test_an_end_in_mid_frame_is_an_end(length: int) -> None:
    assert await read_frame(stream(pack({"id": 1}, b"audio" * 3)[:length])) is None


@pytest.mark.parametrize(
    ("header", "payload", "said"),
    [
        ({"text": "x" * HEADER_MAX_BYTES}, b"", "a header of"),
        ({}, bytes(PAYLOAD_MAX_BYTES + 1), "a payload of"),
        ({"level": float("nan")}, b"", "not JSON compliant"),
    ],
)
def test_what_is_too_large_or_no_json_is_not_sent(header: dict[str, object], payload: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pack(header, payload)


@pytest.mark.parametrize(
    "lengths", [(HEADER_MAX_BYTES + 1, 0), (2, PAYLOAD_MAX_BYTES + 1), (2**32 - 1, 0), (2, 2**32 - 1)]
)
async def test_a_length_beyond_the_bounds_is_refused_before_anything_is_read(lengths: tuple[int, int]) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(struct.pack(">II", *lengths))  # and no end: reading on would wait for ever
    async with asyncio.timeout(5):
        with pytest.raises(ProtocolError, match="is more than"):
            await read_frame(reader)


@pytest.mark.parametrize("header", [b"", b"[]", b"7", b'"id"', b"null", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":1}x'])
async def test_a_header_that_is_no_object_is_refused(header: bytes) -> None:
    with pytest.raises(ProtocolError):
        await read_frame(stream(struct.pack(">II", len(header), 0) + header))


async def test_whatever_comes_is_a_frame_an_end_or_a_protocol_error() -> None:
    chance = random.Random(20)
    whole = pack({"id": 1, "value": {"text": "hello"}}, b"audio")
    for _ in range(2_000):
        broken = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            frame = await read_frame(stream(bytes(broken)))
        except ProtocolError:
            continue
        assert frame is None or json.dumps(frame.header)
