"""The reader of whole streams gives what `read_event` gives, however the bytes arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
import gc
from itertools import islice
import random
from typing import Any
import weakref

import pytest
from wyoming.event import Event

Mutated = Callable[[int], Iterator[bytes]]
Stream = Callable[..., asyncio.StreamReader]
LeastPeak = Callable[[Callable[[], Awaitable[None]]], Awaitable[int]]
Read = Callable[[], Any]


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Tells Home Assistant's plugin that a reader's one timer is left to run out: most readers here are never closed."""
    return True


async def outcomes(side: Any, read: Read) -> list[Any]:
    """What is read to the end of the stream or to the first broken frame, with the text of the refusal."""
    found: list[Any] = []
    while True:
        try:
            event = await read()
        except side.wire.WireError as error:
            return [*found, error.code, str(error)]
        if event is None:
            return found
        found.append(event)


async def by_read_event(side: Any, stream: Stream, raw: bytes) -> list[Any]:
    reader = stream(raw)
    return await outcomes(side, lambda: side.wire.read_event(reader))


def dribble(side: Any, raw: bytes, sizes: Iterator[int]) -> asyncio.StreamReader:
    """A stream in which the bytes arrive in pieces, each in a turn of the loop of its own."""
    reader = asyncio.StreamReader(limit=side.wire.HEADER_MAX_BYTES)
    loop = asyncio.get_running_loop()

    def arrive(at: int) -> None:
        if at >= len(raw):
            reader.feed_eof()
            return
        size = next(sizes)
        reader.feed_data(raw[at : at + size])
        loop.call_soon(arrive, at + size)

    loop.call_soon(arrive, 0)
    return reader


async def test_golden_frames_are_read_alike(side: Any, stream: Stream, golden_frames: list[Any]) -> None:
    for frame in golden_frames:
        wanted = await by_read_event(side, stream, frame.raw)
        assert await outcomes(side, side.wire.FrameReader(stream(frame.raw)).read) == wanted, frame.name


async def test_golden_frames_are_read_alike_however_they_arrive(
    side: Any, stream: Stream, golden_frames: list[Any]
) -> None:
    dice = random.Random(0)
    for frame in (frame for frame in golden_frames if len(frame.raw) < 2_000):
        wanted = await by_read_event(side, stream, frame.raw)
        for longest in (1, 3, 40):
            sizes = iter(lambda longest=longest: dice.randint(1, longest), None)
            assert await outcomes(side, side.wire.FrameReader(dribble(side, frame.raw, sizes)).read) == wanted


async def test_frames_follow_one_another(side: Any, stream: Stream, golden_frames: list[Any]) -> None:
    good = [frame.raw for frame in golden_frames if frame.code is None]
    dice = random.Random(1)
    for _ in range(5):
        dice.shuffle(good)
        raw = b"".join(good)
        wanted = await by_read_event(side, stream, raw)
        assert len(wanted) == len(good)
        assert await outcomes(side, side.wire.FrameReader(stream(raw)).read) == wanted
        sizes = iter(lambda: dice.choice([1, 100, 70_000]), None)
        assert await outcomes(side, side.wire.FrameReader(dribble(side, raw, sizes)).read) == wanted


async def test_broken_frames_are_read_alike(side: Any, stream: Stream, mutated_frames: Mutated) -> None:
    frames = list(islice(mutated_frames(7), 3_000))
    for at, frame in enumerate(frames):
        # A second one behind it, so that what is left of the first is read as well.
        raw = frame + frames[at - 1]
        wanted = await by_read_event(side, stream, raw)
        assert await outcomes(side, side.wire.FrameReader(stream(raw)).read) == wanted


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 70_000])
async def test_the_largest_header_is_the_same(side: Any, stream: Stream, size: int) -> None:
    raw = b'{"type":"x","data":{"a":"' + b"x" * (size - 29) + b'"}}\n'
    assert len(raw) == size
    wanted = await by_read_event(side, stream, raw)
    assert wanted[-2:-1] == ([] if size <= 65_536 else ["too-large"])
    assert await outcomes(side, side.wire.FrameReader(stream(raw)).read) == wanted
    for piece in (1_000, 65_536):
        read = side.wire.FrameReader(dribble(side, raw, iter(lambda piece=piece: piece, None))).read
        assert await outcomes(side, read) == wanted


async def test_a_usual_header_is_parsed_once_and_its_data_shared_with_nobody(side: Any, stream: Stream) -> None:
    reader = side.wire.FrameReader(stream(b'{"type":"audio-stop"}\n' * 2))
    first = await reader.read()
    first.data["timestamp"] = 5
    assert await reader.read() == Event("audio-stop")


async def test_the_bound_of_the_body_is_each_readers_own(side: Any, stream: Stream) -> None:
    raw = b'{"type":"info","payload_length":101}\n' + bytes(101)
    assert await side.wire.FrameReader(stream(raw)).read() is not None
    with pytest.raises(side.wire.WireError, match="more than the 100 bytes"):
        await side.wire.FrameReader(stream(raw), body_max_bytes=100).read()


@pytest.mark.parametrize(
    ("arrived", "deadlines", "awaited"),
    [
        (b"", {"idle_s": 0.01}, "a frame"),
        (b'{"type":', {"idle_s": 30, "header_s": 0.01}, "the whole header"),
        (b'{"type":"audio-chunk","data_length":2,"payload_length":2}\n{}\0', {"body_s": 0.01}, "the whole body"),
    ],
)
async def test_the_deadlines_are_the_same(
    side: Any, stream: Stream, arrived: bytes, deadlines: dict[str, float], awaited: str
) -> None:
    with pytest.raises(side.wire.WireError, match=awaited) as refused:
        await side.wire.FrameReader(stream(arrived, ended=False), **deadlines).read()
    assert refused.value.code == "timeout"


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
                await side.wire.FrameReader(reader, header_s=0.1).read()
    finally:
        next_byte.cancel()


async def test_an_announced_body_takes_no_memory_before_it_comes(
    side: Any, stream: Stream, least_peak_bytes: LeastPeak
) -> None:
    async def wait_in_vain() -> None:
        reader = stream(b'{"type":"info","data_length":1048576,"payload_length":1048576}\n{', ended=False)
        with pytest.raises(side.wire.WireError, match="the whole body"):
            await side.wire.FrameReader(reader, body_s=0.01).read()

    assert await least_peak_bytes(wait_in_vain) < 100_000


async def test_a_flood_that_has_arrived_does_not_keep_the_loop_for_itself(side: Any, stream: Stream) -> None:
    frames = side.wire.FrameReader(stream(b'{"type":"describe"}\n' * 1_600))
    turns_of_others = 0

    async def other() -> None:
        nonlocal turns_of_others
        while True:
            turns_of_others += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(other())
    while await frames.read() is not None:
        pass
    others.cancel()
    assert turns_of_others >= 1_600 // side.wire.FRAMES_IN_A_ROW_MAX


async def test_a_read_that_is_cancelled_anywhere_loses_nothing(side: Any) -> None:
    raw = side.wire.encode(Event("audio-chunk", {"rate": 16_000}, b"\1\2\3\4"))
    for arrived in range(len(raw)):
        reader = asyncio.StreamReader(limit=side.wire.HEADER_MAX_BYTES)
        reader.feed_data(raw[:arrived])
        frames = side.wire.FrameReader(reader)
        reading = asyncio.create_task(frames.read())
        for _ in range(3):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})
        reader.feed_data(raw[arrived:])
        assert await frames.read() == Event("audio-chunk", {"rate": 16_000}, b"\1\2\3\4")


async def test_the_idle_deadline_counts_from_the_last_frame(
    side: Any, stream: Stream, pass_time: Callable[[float], None]
) -> None:
    reader = stream(b"", ended=False)
    frames = side.wire.FrameReader(reader, idle_s=1000)
    for _ in range(3):
        reading = asyncio.create_task(frames.read())
        await asyncio.sleep(0)
        pass_time(600)
        # A timer that runs out now is not the deadline.
        for _ in range(3):
            await asyncio.sleep(0)
        reader.feed_data(b'{"type":"describe"}\n')
        assert await reading == Event("describe")
    reading = asyncio.create_task(frames.read())
    await asyncio.sleep(0)
    pass_time(600)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not reading.done()
    pass_time(400)
    with pytest.raises(side.wire.WireError, match=r"a frame did not arrive within 1000 s"):
        await reading


async def test_a_short_deadline_after_a_long_one_is_kept(side: Any, stream: Stream) -> None:
    reader = stream(b"", ended=False)
    frames = side.wire.FrameReader(reader, idle_s=60, header_s=0.02)
    asyncio.get_running_loop().call_soon(reader.feed_data, b"{")
    with pytest.raises(side.wire.WireError, match="the whole header"):
        await frames.read()
    current = asyncio.current_task()
    assert current is not None
    assert not current.cancelling()


async def test_a_task_that_is_cancelled_is_not_told_of_a_deadline(side: Any, stream: Stream) -> None:
    frames = side.wire.FrameReader(stream(b"", ended=False), idle_s=0.01)
    loop = asyncio.get_running_loop()
    reading = asyncio.create_task(frames.read())
    await asyncio.sleep(0)
    # In the same turn of the loop as the deadline, or before it.
    loop.call_at(loop.time() + 0.01, reading.cancel)
    with pytest.raises((asyncio.CancelledError, side.wire.WireError)):
        await reading
    reading = asyncio.create_task(side.wire.FrameReader(stream(b"", ended=False), idle_s=30).read())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_reader_that_is_gone_is_not_kept_until_its_deadline(side: Any, stream: Stream) -> None:
    reader = stream(b'{"type":', ended=False)
    frames = side.wire.FrameReader(reader, idle_s=60)
    asyncio.get_running_loop().call_soon(reader.feed_data, b'"describe"}\n')
    await frames.read()
    gone = weakref.ref(frames)
    del frames
    gc.collect()
    assert gone() is None


async def test_a_reader_that_is_closed_leaves_no_timer_behind(side: Any, stream: Stream) -> None:
    reader = side.wire.FrameReader(stream(b'{"type":"audio-stop"}\n', ended=False))
    assert await reader.read() is not None
    timer = reader._alarm._timer
    assert timer is not None
    reader.close()
    reader.close()
    assert timer.cancelled()
