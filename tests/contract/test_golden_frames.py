"""Both sides read the golden frames alike: the good ones whole, the bad ones with the right error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from wyoming.event import Event

Stream = Callable[[bytes], asyncio.StreamReader]


async def test_a_good_frame_is_read_as_what_it_says(side: Any, stream: Stream, good_frame: Any) -> None:
    reader = stream(good_frame.raw)
    event = await side.wire.read_event(reader)
    assert event.type == good_frame.event
    if good_frame.data is not None:
        assert event.data == good_frame.data
    if good_frame.payload is not None:
        assert event.payload == good_frame.payload
    side.messages.check(event)
    assert await side.wire.read_event(reader) is None


async def test_a_good_frame_survives_being_written_again(side: Any, stream: Stream, good_frame: Any) -> None:
    event = await side.wire.read_event(stream(good_frame.raw))
    assert await side.wire.read_event(stream(side.wire.encode(event))) == event


async def test_good_frames_follow_one_another_on_a_stream(side: Any, stream: Stream, golden_frames: list[Any]) -> None:
    good = [frame for frame in golden_frames if frame.code is None]
    reader = stream(b"".join(frame.raw for frame in good))
    read = [await side.wire.read_event(reader) for _ in good]
    assert [event.type for event in read] == [frame.event for frame in good]
    assert await side.wire.read_event(reader) is None


async def test_a_bad_frame_is_refused_with_its_code(side: Any, stream: Stream, bad_frame: Any) -> None:
    reader = stream(bad_frame.raw)
    if bad_frame.code == "bad-request":
        event = await side.wire.read_event(reader)
        with pytest.raises(side.messages.MessageError):
            side.messages.check(event)
    else:
        with pytest.raises(side.wire.WireError) as refused:
            await side.wire.read_event(reader)
        assert refused.value.code == bad_frame.code


async def test_a_refusal_fits_into_an_error_event(side: Any, stream: Stream, bad_frame: Any) -> None:
    with pytest.raises((side.wire.WireError, side.messages.MessageError)) as refused:
        side.messages.check(await side.wire.read_event(stream(bad_frame.raw)))
    text = str(refused.value)
    assert 0 < len(text) < 1000
    assert text.isprintable()
    side.wire.encode(Event("error", {"text": text}))


def test_there_are_golden_frames_for_every_event(side: Any, golden_frames: list[Any]) -> None:
    good = {frame.event for frame in golden_frames if frame.code is None}
    assert good == set(side.messages._FIELDS)
