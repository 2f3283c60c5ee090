"""A real server on a real socket, peers that speak to it byte by byte, and a watch for what nobody handled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
import logging
import secrets
from typing import Any

import pytest
from wyoming.event import Event

from barnabeenet_sidecar.net.auth import Authenticator, proof
from barnabeenet_sidecar.net.messages import Challenge, Hello, Proof
from barnabeenet_sidecar.net.server import Connection, Server
from barnabeenet_sidecar.net.wire import HEADER_MAX_BYTES, encode, read_event

TOKEN = "correct-horse-battery-staple-and-a-lamp"


class Peer:
    """A client that may misbehave."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.sent = b""
        self.received: list[Event] = []

    async def send_raw(self, raw: bytes) -> None:
        self.sent += raw
        self.writer.write(raw)
        await self.writer.drain()

    async def send(self, event_type: str, data: dict[str, Any] | None = None, payload: bytes | None = None) -> None:
        await self.send_raw(encode(Event(event_type, data or {}, payload)))

    async def read(self) -> Event | None:
        """The next event; None when the server has closed."""
        async with asyncio.timeout(30):
            event = await read_event(self.reader)
        if event is not None:
            self.received.append(event)
        return event

    async def ask(self, event_type: str, data: dict[str, Any] | None = None, payload: bytes | None = None) -> Event:
        await self.send(event_type, data, payload)
        event = await self.read()
        assert event is not None
        return event

    async def start_hello(self, nonce: str | None = None) -> tuple[str, str]:
        """Says hello and returns both nonces."""
        nonce = nonce or secrets.token_hex(32)
        hello = Hello(1, nonce, "our home", "a test").event()
        return nonce, Challenge.from_event(await self.ask(hello.type, hello.data)).nonce

    async def hello(self, token: str = TOKEN, certificate: str = "") -> Event:
        """The whole hello, over the certificate of the connection if it has one; returns the welcome or the error."""
        ours, theirs = await self.start_hello()
        offer = Proof(proof(token, "integration", ours, theirs, certificate=certificate)).event()
        return await self.ask(offer.type, offer.data)

    async def is_closed(self) -> bool:
        """Reads to the end: whether the server closes without another event."""
        try:
            return await self.read() is None
        except ConnectionResetError:
            return True

    async def close(self) -> None:
        self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()


Dial = Callable[..., Awaitable[Peer]]


@pytest.fixture
def token() -> str:
    return TOKEN


@pytest.fixture
async def complaints(caplog: pytest.LogCaptureFixture) -> AsyncIterator[list[str]]:
    """What the loop caught and what was logged as an error; must be empty when the test ends."""
    caught: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: caught.append(repr(context)))
    caplog.set_level(logging.INFO, logger="barnabeenet_sidecar")
    yield caught
    caught += [record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING]
    assert caught == []


@pytest.fixture
async def serve(complaints: list[str]) -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """Starts servers; with none given, the handler answers every event with itself."""
    servers: list[Server] = []

    async def echo(connection: Connection) -> None:
        while (event := await connection.read()) is not None:
            await connection.write(event)

    async def start(
        handle: Callable[[Connection], Awaitable[None]] = echo, *, authenticator: Authenticator | None, **options: Any
    ) -> Server:
        server = Server(handle, authenticator=authenticator, **options)
        servers.append(server)
        await server.start("127.0.0.1", 0)
        return server

    yield start
    for server in servers:
        await server.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("connection of")]


@pytest.fixture
async def dial(complaints: list[str]) -> AsyncIterator[Dial]:
    """Connects peers; `source` is the address they come from, any of 127.0.0.0/8."""
    peers: list[Peer] = []

    async def connect(server: Server, *, source: str = "127.0.0.1") -> Peer:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, limit=HEADER_MAX_BYTES, local_addr=(source, 0)
        )
        # A test with thousands of peers must not keep those it is done with.
        peers[:] = [peer for peer in peers if not peer.writer.is_closing()]
        peers.append(Peer(reader, writer))
        return peers[-1]

    yield connect
    for peer in peers:
        await peer.close()


@pytest.fixture
def authenticator() -> Callable[..., Authenticator]:
    """Makes authenticators of the sidecar named Beast."""

    def make(**options: Any) -> Authenticator:
        known: dict[str, Any] = {
            "sidecar_id": "beast-1",
            "name": "Beast",
            "software": "BarnabeeNet 0.1.0",
            "revision_of": {"our home": "0123abcd"}.get,
        }
        return Authenticator(TOKEN, **(known | options))

    return make
