"""Frames nobody thought of: whatever comes, a reader gives an event or one of the two errors, and keeps no memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
import gc
from itertools import islice
import json
import secrets
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
import psutil
import pytest

Mutated = Callable[[int], Iterator[bytes]]
Stream = Callable[[bytes], asyncio.StreamReader]

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["ping", "audio-chunk", "synthesize", "barnabeenet-hello", "x"]) | JSON_VALUES,
        "data": st.dictionaries(st.sampled_from(["text", "rate", "context", "nonce"]), JSON_VALUES) | JSON_VALUES,
        "data_length": st.integers(-1, 60) | JSON_VALUES,
        "payload_length": st.integers(-1, 60) | JSON_VALUES,
    },
)


async def read_all(side: Any, reader: asyncio.StreamReader) -> Iterator[str]:
    """Reads to the end or to the first broken frame; any other exception than the two goes through."""
    outcomes = []
    while True:
        try:
            event = await side.wire.read_event(reader)
            if event is None:
                return iter(outcomes)
            side.messages.check(event)
            side.wire.encode(event)
            outcomes.append("event")
        except side.messages.MessageError:
            outcomes.append("bad-request")
        except side.wire.WireError as error:
            outcomes.append(error.code)
            return iter(outcomes)


async def fuzz(side: Any, stream: Stream, frames: Iterator[bytes]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for frame in frames:
        outcomes.update(await read_all(side, stream(frame)))
    return outcomes


async def test_ten_thousand_broken_frames_end_in_an_event_or_an_error(
    side: Any, stream: Stream, mutated_frames: Mutated
) -> None:
    frames = mutated_frames(20_261_101)
    await fuzz(side, stream, islice(frames, 1_000))
    gc.collect()
    before_bytes = psutil.Process().memory_info().rss
    outcomes = await fuzz(side, stream, islice(frames, 10_000))
    gc.collect()
    assert psutil.Process().memory_info().rss - before_bytes < 5_000_000
    # Every way to end was taken often: the mutations reach all of the code.
    assert min(outcomes[code] for code in ("event", "bad-request", "bad-frame", "too-large")) > 100


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(header=HEADERS, body=st.binary(max_size=120) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
async def test_invented_headers_and_bodies_end_in_an_event_or_an_error(
    side: Any, stream: Stream, header: dict[str, Any], body: bytes
) -> None:
    await read_all(side, stream(json.dumps(header).encode() + b"\n" + body))


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=300))
async def test_noise_ends_in_an_error(side: Any, stream: Stream, noise: bytes) -> None:
    assert all(outcome != "event" for outcome in await read_all(side, stream(noise)))


@pytest.mark.fuzz
@pytest.mark.timeout(1200)
async def test_two_hundred_thousand_broken_frames(side: Any, stream: Stream, mutated_frames: Mutated) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    frames = mutated_frames(seed)
    await fuzz(side, stream, islice(frames, 1_000))
    before_bytes = psutil.Process().memory_info().rss
    await fuzz(side, stream, islice(frames, 200_000))
    gc.collect()
    assert psutil.Process().memory_info().rss - before_bytes < 5_000_000
