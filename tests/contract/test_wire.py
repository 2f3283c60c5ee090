"""The bounds of the framing: sizes before reading, deadlines while reading, and what may be written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import json
import socket
from typing import Any

import pytest
from wyoming.event import Event

Stream = Callable[..., asyncio.StreamReader]
LeastPeak = Callable[[Callable[[], Awaitable[None]]], Awaitable[int]]


@pytest.fixture
async def full_writer() -> AsyncIterator[asyncio.StreamWriter]:
    """A real stream that nobody reads at the other end."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    _, writer = await asyncio.open_connection(sock=ours)
    yield writer
    writer.transport.abort()
    theirs.close()


async def test_a_stream_that_ends_between_frames_gives_none(side: Any, stream: Stream) -> None:
    assert await side.wire.read_event(stream(b"")) is None


async def test_silence_between_frames_is_ended_by_the_idle_deadline(side: Any, stream: Stream) -> None:
    with pytest.raises(side.wire.WireError, match=r"did not arrive within 0\.01 s") as refused:
        await side.wire.read_event(stream(b"", ended=False), idle_s=0.01)
    assert refused.value.code == "timeout"


async def test_the_header_deadline_counts_from_its_first_byte(side: Any, stream: Stream) -> None:
    with pytest.raises(side.wire.WireError, match="the whole header") as refused:
        await side.wire.read_event(stream(b'{"type":', ended=False), idle_s=30, header_s=0.01)
    assert refused.value.code == "timeout"


async def test_the_idle_deadline_does_not_cut_a_slow_header_short(side: Any, stream: Stream) -> None:
    reader = stream(b'{"type":', ended=False)
    asyncio.get_running_loop().call_later(0.05, reader.feed_data, b'"describe"}\n')
    assert await side.wire.read_event(reader, idle_s=0.01, header_s=30) == Event("describe")


async def test_bytes_that_trickle_in_do_not_move_the_header_deadline(side: Any, stream: Stream) -> None:
    reader = stream(b"{", ended=False)
    loop = asyncio.get_running_loop()

    def trickle() -> None:
        nonlocal next_byte
        reader.feed_data(b" ")
        next_byte = loop.call_later(0.005, trickle)

    next_byte = loop.call_later(0, trickle)
    try:
        async with asyncio.timeout(30):
            with pytest.raises(side.wire.WireError, match="the whole header"):
                await side.wire.read_event(reader, header_s=0.1)
    finally:
        next_byte.cancel()


async def test_data_and_payload_share_one_body_deadline(side: Any, stream: Stream) -> None:
    reader = stream(b'{"type":"audio-chunk","data_length":2,"payload_length":2}\n{}\0', ended=False)
    with pytest.raises(side.wire.WireError, match="the whole body") as refused:
        await side.wire.read_event(reader, body_s=0.01)
    assert refused.value.code == "timeout"


@pytest.mark.parametrize("name", ["data_length", "payload_length"])
async def test_a_length_is_refused_before_a_byte_of_the_body_is_read(side: Any, stream: Stream, name: str) -> None:
    header = json.dumps({"type": "info", name: 1_048_577}).encode() + b"\n"
    reader = stream(header + b"body", ended=False)
    with pytest.raises(side.wire.WireError, match=f"{name} is more than the 1048576 bytes"):
        await side.wire.read_event(reader)
    assert await reader.readexactly(4) == b"body"


@pytest.mark.parametrize("name", ["data_length", "payload_length"])
async def test_the_body_may_be_bounded_further(side: Any, stream: Stream, name: str) -> None:
    header = json.dumps({"type": "info", name: 101}).encode() + b"\n"
    with pytest.raises(side.wire.WireError, match="more than the 100 bytes") as refused:
        await side.wire.read_event(stream(header), body_max_bytes=100)
    assert refused.value.code == "too-large"


async def test_an_announced_body_takes_no_memory_before_it_comes(
    side: Any, stream: Stream, least_peak_bytes: LeastPeak
) -> None:
    async def wait_in_vain() -> None:
        reader = stream(b'{"type":"info","data_length":1048576,"payload_length":1048576}\n{', ended=False)
        with pytest.raises(side.wire.WireError, match="the whole body"):
            await side.wire.read_event(reader, body_s=0.01)

    assert await least_peak_bytes(wait_in_vain) < 100_000


async def test_a_header_without_end_is_refused_without_collecting_it(side: Any, stream: Stream) -> None:
    reader = stream(b"{" + b"x" * 70_000, ended=False)
    with pytest.raises(side.wire.WireError, match="the header has more than 65536 bytes"):
        await side.wire.read_event(reader, header_s=30)


async def test_a_flood_that_has_arrived_does_not_keep_the_loop_for_itself(side: Any, stream: Stream) -> None:
    reader = stream(b'{"type":"describe"}\n' * 100)
    turns_of_others = 0

    async def other() -> None:
        nonlocal turns_of_others
        while True:
            turns_of_others += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(other())
    while await side.wire.read_event(reader) is not None:
        pass
    others.cancel()
    assert turns_of_others >= 100


async def test_a_cancelled_read_between_frames_loses_nothing(side: Any, stream: Stream) -> None:
    reader = stream(b"", ended=False)
    reading = asyncio.create_task(side.wire.read_event(reader))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait({reading})
    reader.feed_data(b'{"type":"describe"}\n')
    assert await side.wire.read_event(reader) == Event("describe")


def test_an_event_without_data_is_a_header_alone(side: Any) -> None:
    assert side.wire.encode(Event("describe")) == b'{"type":"describe"}\n'


def test_an_event_is_written_as_header_data_and_payload(side: Any) -> None:
    frame = side.wire.encode(Event("audio-chunk", {"rate": 16_000}, b"\1\2"))
    header, _, body = frame.partition(b"\n")
    assert json.loads(header) == {"type": "audio-chunk", "data_length": 14, "payload_length": 2}
    assert body == b'{"rate":16000}\1\2'


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (Event("info", {"a": "x" * 1_048_576}), "too-large"),
        (Event("audio-chunk", {}, bytes(1_048_577)), "too-large"),
        (Event("x" * 65_536), "too-large"),
        (Event("info", {"a": float("nan")}), "bad-frame"),
        (Event("info", {"a": float("inf")}), "bad-frame"),
        (Event("info", {"a": b"bytes"}), "bad-frame"),
        (Event("info", {"a": "\ud800"}), "bad-frame"),
        (Event("info", {"a": json.loads("[" * 32 + "]" * 32)}), "bad-frame"),
    ],
    ids=["data", "payload", "header", "NaN", "Infinity", "bytes", "half a surrogate pair", "depth"],
)
def test_what_the_other_side_would_refuse_is_not_written(side: Any, event: Event, code: str) -> None:
    with pytest.raises(side.wire.WireError) as refused:
        side.wire.encode(event)
    assert refused.value.code == code


def test_data_that_contains_itself_is_not_written(side: Any) -> None:
    data: dict[str, Any] = {}
    data["data"] = data
    with pytest.raises(side.wire.WireError, match="cannot be sent as JSON"):
        side.wire.encode(Event("info", data))


async def test_a_peer_that_does_not_read_is_given_up_at_the_write_deadline(
    side: Any, full_writer: asyncio.StreamWriter
) -> None:
    with pytest.raises(side.wire.WireError, match=r"did not read within 0\.05 s") as refused:
        await side.wire.write_event(full_writer, Event("audio-chunk", {}, bytes(1_000_000)), write_s=0.05)
    assert refused.value.code == "timeout"


async def test_a_broken_event_leaves_the_stream_clean(side: Any, full_writer: asyncio.StreamWriter) -> None:
    with pytest.raises(side.wire.WireError):
        await side.wire.write_event(full_writer, Event("audio-chunk", {"a": float("nan")}, bytes(1_000_000)))
    assert full_writer.transport.get_write_buffer_size() == 0
