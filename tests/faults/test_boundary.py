"""Attacks on the boundary (faults 4 to 9): a real server process, raw sockets, and the integration's own hello.

After each of them the log has no traceback, the process has grown by less than 5 MB, and no socket or task is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import contextlib
from dataclasses import dataclass
import json
import os
from pathlib import Path
import sys
import time
from typing import Any

import psutil
import pytest
from wyoming.event import Event

from custom_components.barnabeenet.client.errors import BackingOff, Impostor, NotASidecar, Unauthorized
from custom_components.barnabeenet.client.hello import shake_hands
from custom_components.barnabeenet.client.messages import Challenge, Hello, Proof, Welcome
from custom_components.barnabeenet.client.proof import new_nonce, proof
from custom_components.barnabeenet.client.wire import HEADER_MAX_BYTES, encode, read_event, write_event

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("socket_enabled")]

TOKEN = "correct-horse-battery-staple-and-a-lamp"
WRONG_TOKEN = "another-token-of-the-right-length-here"
ATTACKER = "127.0.0.66"
GROWTH_MAX_BYTES = 5_000_000

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Target:
    """The process under attack."""

    port: int
    process: psutil.Process
    streams: list[asyncio.StreamWriter]

    async def dial(self, source: str = ATTACKER) -> Stream:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, limit=HEADER_MAX_BYTES, local_addr=(source, 0)
        )
        self.streams.append(writer)
        return reader, writer

    async def dial_proved(self, source: str = "127.0.0.1") -> Stream:
        reader, writer = await self.dial(source)
        await shake_hands(reader, writer, TOKEN, home="our home", software="a test")
        return reader, writer

    def hang_up(self, keep: Stream | None = None) -> None:
        """Closes all connections but one."""
        for writer in self.streams:
            if keep is None or writer is not keep[1]:
                writer.transport.abort()
        self.streams = [keep[1]] if keep else []

    def rss(self) -> int:
        return int(self.process.memory_info().rss)

    def sockets(self) -> int:
        """Connections that the process holds open."""
        return sum(connection.status == psutil.CONN_ESTABLISHED for connection in self.process.net_connections("tcp"))


Attack = Callable[..., Awaitable[Target]]


async def state_of(family: Stream) -> dict[str, int]:
    await write_event(family[1], Event("describe"))
    async with asyncio.timeout(5):
        event = await read_event(family[0])
    assert event is not None
    state: dict[str, int] = json.loads(event.data["text"])
    return state


async def answers(stream: Stream, within_s: float = 5) -> list[str]:
    """The error codes or types of all that comes until the server closes."""
    read = []
    async with asyncio.timeout(within_s):
        with contextlib.suppress(ConnectionError):
            while (event := await read_event(stream[0])) is not None:
                read.append(event.data["code"] if event.type == "error" else event.type)
    return read


@pytest.fixture
async def start(root: Path, tmp_path: Path) -> AsyncIterator[Attack]:
    """Starts a target; when the test ends, nothing of the attack may be left in it or in its log."""
    targets: list[tuple[Target, int]] = []
    log = tmp_path / "log"

    async def start(**options: Any) -> Target:
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(
                    sys.executable,
                    root / "tests" / "faults" / "boundary_server.py",
                    json.dumps({"token": TOKEN} | options),
                ),
                env=os.environ | {"PYTHONPATH": str(root / "sidecar")},
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )
        processes.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(20):
            port = int(await process.stdout.readline())
        target = Target(port, psutil.Process(process.pid), [])
        # What the first connections of any kind load and keep is not growth.
        for _ in range(3):
            await answers_to(target, b"{}\n")
            await state_of(await target.dial_proved())
        target.hang_up()
        targets.append((target, target.rss()))
        return target

    processes: list[asyncio.subprocess.Process] = []
    try:
        yield start
        for target, before_bytes in targets:
            target.hang_up()
            family = await target.dial_proved()
            async with asyncio.timeout(5):
                while (state := await state_of(family))["proved"] > 1 or state["strangers"]:
                    await asyncio.sleep(0.01)
            # The main task and the family's own.
            assert state["tasks"] == 2
            assert target.sockets() == 1
            assert target.rss() - before_bytes < GROWTH_MAX_BYTES
            target.hang_up()
    finally:
        for process in processes:
            process.kill()
            await process.wait()
    text = log.read_text()
    assert "Traceback" not in text
    assert "ERROR" not in text


async def answers_to(target: Target, raw: bytes) -> list[str]:
    stream = await target.dial()
    stream[1].write(raw)
    return await answers(stream)


async def send_all(stream: Stream, raw: bytes) -> None:
    """Sends for as long as the other side listens."""
    with contextlib.suppress(ConnectionError):
        stream[1].write(raw)
        await stream[1].drain()


# 4: frames that are no frames


async def test_every_bad_frame_is_answered_with_an_error_and_the_end(start: Attack, golden_frames: list[Any]) -> None:
    target = await start()
    broken = [frame for frame in golden_frames if frame.code in ("bad-frame", "too-large")]
    assert len(broken) > 60
    for frame in broken:
        stream = await target.dial_proved()
        await send_all(stream, frame.raw)
        if stream[1].can_write_eof():
            with contextlib.suppress(OSError):
                stream[1].write_eof()
        assert (frame.name, await answers(stream)) == (frame.name, [frame.code])


async def test_every_bad_frame_of_a_stranger_is_refused(start: Attack, golden_frames: list[Any]) -> None:
    target = await start()
    for frame in golden_frames:
        if frame.code is not None:
            stream = await target.dial()
            await send_all(stream, frame.raw)
            with contextlib.suppress(OSError):
                stream[1].write_eof()
            codes = await answers(stream)
            assert codes in (["bad-frame"], ["too-large"], ["unauthorized"], ["bad-request"], ["contract-mismatch"])
    family = await target.dial_proved()
    assert (await state_of(family))["handled"] == 3 + 1


# 5: lengths that lie


async def test_a_lying_length_is_refused_before_anything_is_set_aside(start: Attack, golden_frames: list[Any]) -> None:
    target = await start()
    lies = [frame for frame in golden_frames if "_length" in frame.name and frame.code in ("bad-frame", "too-large")]
    family = await target.dial_proved()
    before_bytes = target.rss()
    for frame in lies:
        streams = [await target.dial_proved() for _ in range(4)]
        await asyncio.gather(*(send_all(stream, frame.raw + bytes(500_000)) for stream in streams))
        assert [await answers(stream) for stream in streams] == [[frame.code]] * 4
        target.hang_up(keep=family)
    assert target.rss() - before_bytes < GROWTH_MAX_BYTES


async def test_bodies_that_are_announced_but_never_come_take_no_memory(start: Attack) -> None:
    target = await start()
    before_bytes = target.rss()
    streams = [await target.dial_proved() for _ in range(30)]
    for _, writer in streams:
        writer.write(b'{"type":"info","data_length":1048576,"payload_length":1048576}\n{')
    await state_of(await target.dial_proved("127.0.0.2"))
    assert target.rss() - before_bytes < GROWTH_MAX_BYTES


# 6: a byte now and then


async def drip(stream: Stream, raw: bytes, every_s: float) -> None:
    with contextlib.suppress(ConnectionError):
        for byte in raw:
            stream[1].write(bytes([byte]))
            await stream[1].drain()
            await asyncio.sleep(every_s)


@pytest.mark.parametrize(
    ("head", "drops"),
    [(b"", b'{"type":"describe"' + b" " * 1000), (b'{"type":"info","data_length":1000}\n', b'{"text":"' + b"x" * 900)],
    ids=["header", "body"],
)
async def test_a_byte_now_and_then_is_closed_at_the_deadline(start: Attack, head: bytes, drops: bytes) -> None:
    target = await start(deadlines={"header_s": 0.4, "body_s": 0.4})
    stream = await target.dial_proved()
    started_s = time.monotonic()
    stream[1].write(head)
    dripping = asyncio.create_task(drip(stream, drops, every_s=0.02))
    # All of the drops take 18 s.
    assert await answers(stream, within_s=10) == ["timeout"]
    assert time.monotonic() - started_s > 0.3
    dripping.cancel()
    await asyncio.wait({dripping})


async def test_a_stranger_who_drips_is_closed_when_the_hello_is_due(start: Attack) -> None:
    # Time enough for the honest hellos before and after it, and less than the whole hello drips for.
    target = await start(hello_s=2)
    started_s = time.monotonic()
    stream = await target.dial()
    hello = encode(Hello(1, new_nonce(), "home", "x").event())
    dripping = asyncio.create_task(drip(stream, hello, every_s=5 / len(hello)))
    assert await answers(stream, within_s=20) == ["timeout"]
    assert time.monotonic() - started_s > 1.9
    dripping.cancel()
    await asyncio.wait({dripping})


async def test_silence_is_closed_at_the_idle_deadline_but_not_a_peer_that_pings(start: Attack) -> None:
    # Long enough for one who pings and is held up for a second.
    target = await start(deadlines={"idle_s": 2.5})
    silent, pinging = await target.dial_proved(), await target.dial_proved()

    ended = asyncio.create_task(answers(silent))
    while not ended.done():
        await state_of(pinging)
        await asyncio.sleep(0.1)
    assert await ended == ["timeout"]
    assert (await state_of(pinging))["handled"] == 3 + 2


# 7: idlers


@pytest.mark.parametrize("sources", [1, 50], ids=["from one address", "from fifty addresses"])
async def test_five_hundred_idlers_are_capped_and_the_family_is_served(start: Attack, sources: int) -> None:
    target = await start()
    family = await target.dial_proved()
    before_bytes = target.rss()
    for number in range(500):
        await target.dial(f"127.0.1.{number % sources + 1}")
    started_s = time.monotonic()
    newcomer = await target.dial_proved()
    # Who had to wait for room would wait until the idlers' hellos are due, for 5 s.
    assert time.monotonic() - started_s < 3
    assert (await state_of(newcomer))["proved"] == 2
    assert (await state_of(family))["strangers"] <= 16
    assert target.sockets() <= 16 + 2
    assert target.rss() - before_bytes < GROWTH_MAX_BYTES


async def test_a_proved_address_keeps_to_its_share(start: Attack) -> None:
    target = await start()
    for _ in range(32):
        await target.dial_proved(ATTACKER)
    assert await answers(await target.dial(ATTACKER)) == ["busy"]
    assert (await state_of(await target.dial_proved()))["proved"] == 33


# 8: guessing


async def test_a_guesser_is_made_to_wait_and_the_family_is_not(start: Attack) -> None:
    target = await start()
    refused = []
    for _ in range(30):
        reader, writer = await target.dial(ATTACKER)
        with pytest.raises((Unauthorized, BackingOff)) as refusal:
            await shake_hands(reader, writer, WRONG_TOKEN, home="our home", software="a guesser")
        refused.append(refusal.type)
    assert refused[:5] == [Unauthorized] * 5
    assert refused[5:].count(BackingOff) > 20
    family = await target.dial_proved()
    assert (await state_of(family))["wrong_proofs"] == refused.count(Unauthorized)


async def test_guesses_from_the_familys_own_address_do_not_lock_it_out(start: Attack) -> None:
    target = await start()
    family = await target.dial_proved()
    for _ in range(10):
        reader, writer = await target.dial("127.0.0.1")
        with pytest.raises(Unauthorized):
            await shake_hands(reader, writer, WRONG_TOKEN, home="our home", software="a guesser")
    assert (await state_of(await target.dial_proved()))["proved"] == 2
    assert (await state_of(family))["wrong_proofs"] == 10


# 9: no hello, an old hello, and a false sidecar


@pytest.mark.parametrize("event", ["describe", "transcribe", "detect", "barnabeenet-cancel", "barnabeenet-welcome"])
async def test_without_a_hello_nothing_is_answered_and_no_engine_is_touched(start: Attack, event: str) -> None:
    target = await start()
    assert await answers_to(target, encode(Event(event)) * 3) == ["unauthorized"]
    assert (await state_of(await target.dial_proved()))["handled"] == 3 + 1


async def test_a_hello_recorded_on_the_wire_is_worth_nothing(start: Attack) -> None:
    target = await start()
    honest, nonce = await target.dial(), new_nonce()
    hello = encode(Hello(1, nonce, "our home", "a test").event())
    honest[1].write(hello)
    challenge = await read_event(honest[0])
    assert challenge is not None
    own = Proof(proof(TOKEN, "integration", nonce, Challenge.from_event(challenge).nonce))
    honest[1].write(encode(own.event()))
    welcome = await read_event(honest[0])
    assert welcome is not None
    assert welcome.type == Welcome.TYPE
    assert await answers_to(target, hello + encode(own.event())) == ["barnabeenet-challenge", "unauthorized"]
    assert (await state_of(await target.dial_proved()))["handled"] == 3 + 2


@contextlib.asynccontextmanager
async def false_sidecar(answer: Callable[[Event], Event]) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (event := await read_event(reader)) is not None:
            await write_event(writer, answer(event))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=HEADER_MAX_BYTES)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def shake_hands_with(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=HEADER_MAX_BYTES)
    try:
        await shake_hands(reader, writer, TOKEN, home="our home", software="a test")
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_sidecar_that_does_not_know_the_token_is_refused() -> None:
    def answer(event: Event) -> Event:
        if event.type == Hello.TYPE:
            return Challenge(1, new_nonce(), "false").event()
        return Welcome("ab" * 32, "beast-1", "Beast", "false").event()

    async with false_sidecar(answer) as port:
        with pytest.raises(Impostor):
            await shake_hands_with(port)


async def test_a_sidecar_that_reflects_our_own_proof_is_refused() -> None:
    def answer(event: Event) -> Event:
        if event.type == Hello.TYPE:
            # With our own nonce for its own, it would have nothing left to find out but the role.
            return Challenge(1, event.data["nonce"], "false").event()
        return Welcome(event.data["proof"], "beast-1", "Beast", "false").event()

    async with false_sidecar(answer) as port:
        with pytest.raises(Impostor):
            await shake_hands_with(port)


async def test_a_server_that_echoes_is_not_a_sidecar() -> None:
    async with false_sidecar(lambda event: event) as port:
        with pytest.raises(NotASidecar):
            await shake_hands_with(port)
