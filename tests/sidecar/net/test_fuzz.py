"""Broken frames against a live server: nothing unhandled, nothing kept, and the family is served throughout."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
import gc
from itertools import islice
import secrets
from typing import Any

import psutil
import pytest
from wyoming.event import Event

from barnabeenet_sidecar.net.auth import Authenticator
from barnabeenet_sidecar.net.server import Caps, Connection, Server

Mutated = Callable[[int], Iterator[bytes]]
Make = Callable[..., Authenticator]
Serve = Callable[..., Awaitable[Server]]
Dial = Callable[..., Awaitable[Any]]


async def answer_all(connection: Connection) -> None:
    while (event := await connection.read()) is not None:
        await connection.write(Event("pong", {"text": event.type}))


async def talk(peer: Any, frame: bytes) -> list[str]:
    """Sends the frame and the end, and reads all the answers."""
    outcomes: list[str] = []
    try:
        await peer.send_raw(frame)
        peer.writer.write_eof()
        while (event := await peer.read()) is not None:
            outcomes.append(event.data["code"] if event.type == "error" else event.type)
    except ConnectionError:
        outcomes.append("reset")
    await peer.close()
    return outcomes


async def fuzz(dial: Dial, server: Server, frames: Iterator[bytes], *, is_proved: bool) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for frame in frames:
        peer = await dial(server)
        if is_proved:
            await peer.hello()
        outcomes.update(await talk(peer, frame))
    return outcomes


async def test_ten_thousand_broken_frames_leave_the_server_as_it_was(
    serve: Serve, dial: Dial, authenticator: Make, mutated_frames: Mutated, complaints: list[str]
) -> None:
    guarded, plain = await serve(answer_all, authenticator=authenticator()), await serve(answer_all, authenticator=None)
    family = await dial(guarded)
    await family.hello()
    frames = mutated_frames(20_261_102)
    await fuzz(dial, guarded, islice(frames, 500), is_proved=True)
    gc.collect()
    before_bytes = psutil.Process().memory_info().rss
    proved = await fuzz(dial, guarded, islice(frames, 3_000), is_proved=True)
    strangers = await fuzz(dial, guarded, islice(frames, 3_000), is_proved=False)
    others = await fuzz(dial, plain, islice(frames, 4_000), is_proved=False)
    gc.collect()
    assert psutil.Process().memory_info().rss - before_bytes < 5_000_000
    assert proved["pong"] > 100
    assert others["pong"] > 100
    assert min(proved[code] + others[code] for code in ("bad-request", "bad-frame", "too-large")) > 100
    assert strangers["pong"] == 0
    assert (proved + strangers + others)["reset"] == 0
    assert strangers["unauthorized"] > 100
    assert (await family.ask("describe")).type == "pong"
    assert complaints == []


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
async def test_forty_thousand_broken_frames_from_many_peers_at_once(
    serve: Serve, dial: Dial, authenticator: Make, mutated_frames: Mutated, complaints: list[str]
) -> None:
    server = await serve(answer_all, authenticator=authenticator(), caps=Caps(connections=64, per_peer=64))
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    await asyncio.gather(
        *(fuzz(dial, server, islice(mutated_frames(seed + peer), 5_000), is_proved=True) for peer in range(8))
    )
    assert (await (await dial(server)).hello()).type == "barnabeenet-welcome"
    assert complaints == []
