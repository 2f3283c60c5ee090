"""What a handler may rely on: only checked events, answers to the rest, and a clear end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
import socket
from typing import Any

import pytest
from wyoming.event import Event

from barnabeenet_sidecar.net.server import Connection, Deadlines, Server
from barnabeenet_sidecar.net.wire import WireError

Serve = Callable[..., Awaitable[Server]]
Dial = Callable[..., Awaitable[Any]]

AUDIO = Event("audio-chunk", {"rate": 16_000, "width": 2, "channels": 1}, bytes(1_000_000))


class Recorder:
    """A handler that keeps what it read."""

    def __init__(self) -> None:
        self.read: list[Event | None] = []
        self.ended = asyncio.Event()

    async def __call__(self, connection: Connection) -> None:
        while (event := await connection.read()) is not None:
            self.read.append(event)
            await connection.write(Event("pong"))
        # Whoever asks again is told the same.
        self.read += [event, await connection.read()]
        self.ended.set()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


async def test_an_event_is_read_without_its_nulls(serve: Serve, dial: Dial, recorder: Recorder) -> None:
    peer = await dial(await serve(recorder, authenticator=None))
    await peer.ask("synthesize", {"text": "on", "voice": None})
    assert recorder.read == [Event("synthesize", {"text": "on"})]


async def test_an_event_that_breaks_the_contract_is_answered_and_the_next_is_read(
    serve: Serve, dial: Dial, recorder: Recorder
) -> None:
    peer = await dial(await serve(recorder, authenticator=None))
    answer = await peer.ask("synthesize", {"text": 5})
    assert answer == Event("error", {"text": "text must be text", "code": "bad-request"})
    assert (await peer.ask("describe")).type == "pong"
    assert recorder.read == [Event("describe")]


async def test_an_unknown_event_is_answered_and_the_next_is_read(serve: Serve, dial: Dial, recorder: Recorder) -> None:
    peer = await dial(await serve(recorder, authenticator=None))
    assert (await peer.ask("run-satellite")).data["text"] == "unknown event 'run-satellite'"
    assert (await peer.ask("describe")).type == "pong"


async def test_our_own_events_are_not_taken_on_the_plain_listener(serve: Serve, dial: Dial, recorder: Recorder) -> None:
    peer = await dial(await serve(recorder, authenticator=None))
    answer = await peer.ask("barnabeenet-cancel")
    assert answer.data["code"] == "bad-request"
    assert "use the listener with the hello" in answer.data["text"]
    assert (await peer.ask("describe")).type == "pong"
    assert recorder.read == [Event("describe")]


async def test_our_own_events_are_taken_after_the_hello(
    serve: Serve, dial: Dial, recorder: Recorder, authenticator: Callable[..., Any]
) -> None:
    peer = await dial(await serve(recorder, authenticator=authenticator()))
    await peer.hello()
    assert (await peer.ask("barnabeenet-cancel")).type == "pong"
    assert recorder.read == [Event("barnabeenet-cancel")]


async def test_every_bad_frame_is_answered_with_its_code(
    serve: Serve, dial: Dial, authenticator: Callable[..., Any], recorder: Recorder, bad_frame: Any
) -> None:
    peer = await dial(await serve(recorder, authenticator=authenticator()))
    await peer.hello()
    sending = asyncio.create_task(peer.send_raw(bad_frame.raw))
    if bad_frame.name.startswith("cut off"):
        await sending
        peer.writer.write_eof()
    answer = await peer.read()
    assert (answer.type, answer.data["code"]) == ("error", bad_frame.code)
    await asyncio.wait({sending})
    if bad_frame.code == "bad-request":
        assert (await peer.ask("describe")).type == "pong"
    else:
        assert await peer.is_closed()
        await recorder.ended.wait()
        assert recorder.read == [None, None]


async def test_every_good_frame_reaches_the_handler(
    serve: Serve, dial: Dial, authenticator: Callable[..., Any], recorder: Recorder, good_frame: Any
) -> None:
    peer = await dial(await serve(recorder, authenticator=authenticator()))
    await peer.hello()
    await peer.send_raw(good_frame.raw)
    assert (await peer.read()).type == "pong"
    [event] = recorder.read
    assert event is not None
    assert event.type == good_frame.event


@pytest.mark.parametrize(
    ("sent", "deadlines", "awaited"),
    [
        (b"", Deadlines(idle_s=0.05), "a frame did not arrive within 0.05 s"),
        (b'{"type":', Deadlines(header_s=0.06), "the whole header of a frame did not arrive within 0.06 s"),
        (
            b'{"type":"ping","data_length":9}\n{',
            Deadlines(body_s=0.07),
            "the whole body of a frame did not arrive within 0.07 s",
        ),
    ],
    ids=["idle", "header", "body"],
)
async def test_a_deadline_that_passes_is_answered_and_ends_the_connection(
    serve: Serve, dial: Dial, recorder: Recorder, sent: bytes, deadlines: Deadlines, awaited: str
) -> None:
    peer = await dial(await serve(recorder, authenticator=None, deadlines=deadlines))
    await peer.send_raw(sent)
    answer = await peer.read()
    assert answer.data["code"] == "timeout"
    assert answer.data["text"].startswith(awaited)
    assert await peer.is_closed()


async def test_a_peer_that_does_not_read_ends_the_handler_at_the_write_deadline(serve: Serve, dial: Dial) -> None:
    failures: asyncio.Queue[Exception] = asyncio.Queue()

    async def handle(connection: Connection) -> None:
        try:
            while True:
                await connection.write(AUDIO)
        except OSError as error:
            failures.put_nowait(error)
            raise

    server = await serve(handle, authenticator=None, deadlines=Deadlines(write_s=0.1))
    await dial(server)
    async with asyncio.timeout(5):
        failure = await failures.get()
    assert isinstance(failure, ConnectionAbortedError)
    assert str(failure) == "the other side did not read within 0.1 s"


async def test_a_flood_of_broken_events_from_a_peer_that_does_not_read_ends_at_the_write_deadline(
    serve: Serve, dial: Dial, recorder: Recorder
) -> None:
    peer = await dial(await serve(recorder, authenticator=None, deadlines=Deadlines(write_s=0.1)))
    peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    frame = b'{"type":"' + b"x" * 200 + b'"}\n'

    async def flood() -> None:
        while True:
            await peer.send_raw(frame * 1000)

    async with asyncio.timeout(20):
        with pytest.raises(OSError):
            await flood()
        await recorder.ended.wait()


async def test_an_event_too_big_to_send_is_the_handlers_mistake(serve: Serve, dial: Dial) -> None:
    mistakes: asyncio.Queue[WireError] = asyncio.Queue()

    async def handle(connection: Connection) -> None:
        try:
            await connection.write(Event("audio-chunk", {}, bytes(1_048_577)))
        except WireError as error:
            mistakes.put_nowait(error)
        await connection.write(Event("pong"))

    peer = await dial(await serve(handle, authenticator=None))
    assert (await peer.read()).type == "pong"
    assert mistakes.get_nowait().code == "too-large"


async def test_an_error_text_without_end_is_cut(serve: Serve, dial: Dial) -> None:
    async def handle(connection: Connection) -> None:
        await connection.error("engine-failed", "x" * 100_000)

    peer = await dial(await serve(handle, authenticator=None))
    assert len((await peer.read()).data["text"]) == 16_384


async def test_what_was_written_arrives_before_the_end(serve: Serve, dial: Dial) -> None:
    async def handle(connection: Connection) -> None:
        await connection.read()
        for _ in range(3):
            await connection.write(AUDIO)

    peer = await dial(await serve(handle, authenticator=None))
    await peer.send("describe")
    await peer.send("describe")
    assert [(await peer.read()).type for _ in range(3)] == ["audio-chunk"] * 3
    assert await peer.is_closed()
