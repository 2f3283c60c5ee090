"""The listener: who is let in, who makes room for whom, and how everything ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
import logging
import socket
from typing import Any

import pytest

from barnabeenet_sidecar.net.auth import Authenticator
from barnabeenet_sidecar.net.messages import MessageError
from barnabeenet_sidecar.net.server import Caps, Connection, Deadlines, Server

Make = Callable[..., Authenticator]
Serve = Callable[..., Awaitable[Server]]
Dial = Callable[..., Awaitable[Any]]

PING = ("ping", {"text": "a"})


async def ended(condition: Callable[[], bool]) -> None:
    """Waits for what the server does on its own time."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_proved_peer_is_handed_to_the_handler_once(serve: Serve, dial: Dial, authenticator: Make) -> None:
    seen: list[tuple[str, str | None, bool]] = []

    async def handle(connection: Connection) -> None:
        seen.append((connection.peer, connection.home, connection.plain))
        while (event := await connection.read()) is not None:
            await connection.write(event)

    server = await serve(handle, authenticator=authenticator())
    peer = await dial(server, source="127.0.0.7")
    await peer.hello()
    assert (await peer.ask(*PING)).data == {"text": "a"}
    assert (await peer.ask(*PING)).data == {"text": "a"}
    assert seen == [("127.0.0.7", "our home", False)]


async def test_the_plain_listener_wants_no_hello(serve: Serve, dial: Dial) -> None:
    seen: list[tuple[str | None, bool]] = []

    async def handle(connection: Connection) -> None:
        seen.append((connection.home, connection.plain))
        await connection.error("busy", "said enough")

    peer = await dial(await serve(handle, authenticator=None))
    assert (await peer.read()).data == {"text": "said enough", "code": "busy"}
    assert await peer.is_closed()
    assert seen == [(None, True)]


async def test_when_the_handler_returns_the_connection_is_closed(serve: Serve, dial: Dial) -> None:
    async def handle(connection: Connection) -> None:
        await connection.read()

    server = await serve(handle, authenticator=None)
    peer = await dial(server)
    await peer.send(*PING)
    assert await peer.is_closed()
    await peer.close()
    await ended(lambda: server.connections == 0)


async def test_a_handler_that_fails_is_logged_and_the_others_go_on(
    serve: Serve, dial: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(connection: Connection) -> None:
        while (event := await connection.read()) is not None:
            if event.type == "describe":
                raise RuntimeError("broken on purpose")
            await connection.write(event)

    server = await serve(handle, authenticator=None)
    bystander, peer = await dial(server), await dial(server)
    assert (await peer.ask("describe")).data["code"] == "engine-failed"
    assert await peer.is_closed()
    assert (await bystander.ask(*PING)).type == "ping"
    failures = [record for record in caplog.records if record.exc_info]
    assert [record.getMessage() for record in failures] == ["the handler of a connection of 127.0.0.1 failed"]
    caplog.clear()


async def test_a_peer_that_resets_the_connection_is_no_failure(serve: Serve, dial: Dial, authenticator: Make) -> None:
    server = await serve(authenticator=authenticator())
    peer = await dial(server)
    await peer.hello()
    linger_none = b"\1\0\0\0\0\0\0\0"
    peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_none)
    await peer.close()
    await ended(lambda: server.connections == 0)


async def test_the_refusal_reaches_a_peer_that_is_still_sending(serve: Serve, dial: Dial, authenticator: Make) -> None:
    peer = await dial(await serve(authenticator=authenticator()))
    sending = asyncio.create_task(peer.send_raw(b'{"type":"info","payload_length":1048577}\n' + bytes(1_048_577)))
    assert (await peer.read()).data["code"] == "too-large"
    # A clean end: a reset may take the error away before it is read.
    assert await peer.read() is None
    await sending


async def test_a_connection_over_the_cap_is_told_busy(serve: Serve, dial: Dial, authenticator: Make) -> None:
    server = await serve(authenticator=authenticator(), caps=Caps(connections=2))
    first, second = await dial(server), await dial(server, source="127.0.0.2")
    await first.hello()
    await second.hello()
    third = await dial(server, source="127.0.0.3")
    answer = await third.read()
    assert answer.data["code"] == "busy"
    assert "all 2 connections of this sidecar are taken" in answer.data["text"]
    await first.close()
    await ended(lambda: server.connections == 1)
    assert (await (await dial(server)).hello()).type == "barnabeenet-welcome"


async def test_an_address_over_its_cap_is_told_busy_and_another_is_served(
    serve: Serve, dial: Dial, authenticator: Make
) -> None:
    server = await serve(authenticator=authenticator(), caps=Caps(per_peer=2))
    for _ in range(2):
        await (await dial(server)).hello()
    assert (await (await dial(server)).read()).data["code"] == "busy"
    assert (await (await dial(server, source="127.0.0.2")).hello()).type == "barnabeenet-welcome"


async def test_connections_that_prove_the_token_at_the_same_time_keep_to_the_cap(
    serve: Serve, dial: Dial, authenticator: Make
) -> None:
    server = await serve(authenticator=authenticator(), caps=Caps(connections=3))
    peers = [await dial(server) for _ in range(8)]

    async def served(peer: Any) -> bool:
        # Refused at whatever point of the hello the cap was reached.
        with suppress(AssertionError, MessageError, OSError):
            await peer.hello()
            return (await peer.ask(*PING)).type == "ping"
        return False

    assert sum(await asyncio.gather(*(served(peer) for peer in peers))) == 3
    assert server.connections == 3


async def test_the_plain_listener_has_caps_too(serve: Serve, dial: Dial) -> None:
    server = await serve(authenticator=None, caps=Caps(connections=20, without_hello=4))
    peers = [await dial(server) for _ in range(20)]
    assert [(await peer.ask(*PING)).type for peer in peers] == ["ping"] * 20
    assert (await (await dial(server)).read()).data["code"] == "busy"


async def test_the_oldest_stranger_makes_room_for_the_next(serve: Serve, dial: Dial, authenticator: Make) -> None:
    server = await serve(authenticator=authenticator(), caps=Caps(without_hello=3))
    idlers = [await dial(server) for _ in range(3)]
    await ended(lambda: server.connections_without_hello == 3)
    honest = await dial(server)
    assert (await honest.hello()).type == "barnabeenet-welcome"
    assert await idlers[0].is_closed()
    assert (await idlers[1].hello()).type == "barnabeenet-welcome"
    assert (await idlers[2].hello()).type == "barnabeenet-welcome"


async def test_an_address_that_floods_displaces_itself(serve: Serve, dial: Dial, authenticator: Make) -> None:
    server = await serve(authenticator=authenticator(), caps=Caps(without_hello=3))
    honest = await dial(server, source="127.0.0.2")
    await honest.start_hello()
    for _ in range(20):
        await dial(server, source="127.0.0.66")
    await ended(lambda: server.connections_without_hello == 3)
    assert (await honest.ask("barnabeenet-proof", {"proof": "ab" * 32})).data["code"] == "unauthorized"


async def test_strangers_take_no_room_from_the_proved(serve: Serve, dial: Dial, authenticator: Make) -> None:
    server = await serve(authenticator=authenticator(), caps=Caps(connections=2, without_hello=2))
    for _ in range(10):
        await dial(server)
    proved = [await dial(server), await dial(server)]
    assert [(await peer.hello()).type for peer in proved] == ["barnabeenet-welcome"] * 2
    for _ in range(10):
        await dial(server)
    assert [(await peer.ask(*PING)).type for peer in proved] == ["ping"] * 2


async def test_refused_hellos_are_logged_with_their_address_but_not_without_end(
    serve: Serve, dial: Dial, authenticator: Make, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(authenticator=authenticator())
    for _ in range(30):
        await (await dial(server, source="127.0.0.66")).ask("describe")
    logged = [record for record in caplog.records if "refused a hello of 127.0.0.66" in record.getMessage()]
    assert len(logged) == 10
    assert {record.levelno for record in logged} == {logging.INFO}


async def test_close_ends_every_connection_whatever_it_is_doing(serve: Serve, dial: Dial, authenticator: Make) -> None:
    cancelled: list[str] = []

    async def handle(connection: Connection) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(connection.peer)
            raise

    server = await serve(handle, authenticator=authenticator())
    silent, halfway, busy = await dial(server), await dial(server), await dial(server, source="127.0.0.3")
    await halfway.start_hello()
    await busy.hello()
    await ended(lambda: server.connections == 1)
    await server.close()
    assert cancelled == ["127.0.0.3"]
    assert [await peer.is_closed() for peer in (silent, halfway, busy)] == [True] * 3
    assert (server.connections, server.connections_without_hello) == (0, 0)


async def test_close_does_not_wait_for_a_peer_that_does_not_read(serve: Serve, dial: Dial) -> None:
    writing = asyncio.Event()

    async def handle(connection: Connection) -> None:
        event = await connection.read()
        assert event is not None
        writing.set()
        while True:
            await connection.write(event)

    server = await serve(handle, authenticator=None)
    peer = await dial(server)
    await peer.send("audio-chunk", {"rate": 16_000, "width": 2, "channels": 1}, bytes(1_000_000))
    await writing.wait()
    # Less than the ten seconds that a peer has to read.
    async with asyncio.timeout(5):
        await server.close()


async def test_close_in_the_middle_of_a_farewell_ends_it(serve: Serve, dial: Dial) -> None:
    async def handle(connection: Connection) -> None:
        await connection.error("busy", "farewell")

    server = await serve(handle, authenticator=None)
    # They have been told and the server lingers for them to hang up, or is about to.
    peers = [await dial(server) for _ in range(20)]
    for number, peer in enumerate(peers):
        await peer.read()
        if number % 2:
            await peer.close()
    await server.close()
    assert server.connections == 0
    assert [await peer.is_closed() for peer in peers[::2]] == [True] * 10


async def test_after_close_nobody_listens_and_the_port_is_free(serve: Serve, dial: Dial) -> None:
    server = await serve(authenticator=None)
    port = server.port
    await dial(server)
    await server.close()
    await server.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    again = Server(lambda connection: connection.close(), authenticator=None)
    await again.start("127.0.0.1", port)
    await again.close()


async def test_a_server_that_is_not_started_has_no_port() -> None:
    server = Server(lambda connection: connection.close(), authenticator=None)
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.port


async def test_a_port_that_is_taken_is_an_error_at_the_start(serve: Serve) -> None:
    taken = await serve(authenticator=None)
    server = Server(lambda connection: connection.close(), authenticator=None)
    with pytest.raises(OSError, match="address already in use"):
        await server.start("127.0.0.1", taken.port)
    await server.close()


async def test_a_peer_too_slow_for_its_deadlines_is_let_go_and_others_are_served(
    serve: Serve, dial: Dial, authenticator: Make
) -> None:
    server = await serve(authenticator=authenticator(), deadlines=Deadlines(header_s=0.1))
    slow, quick = await dial(server), await dial(server)
    await slow.hello()
    await quick.hello()
    await slow.send_raw(b'{"type":')
    answer = await slow.read()
    assert answer.data["code"] == "timeout"
    assert await slow.is_closed()
    assert (await quick.ask(*PING)).type == "ping"
