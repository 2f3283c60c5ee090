"""A sidecar that follows a script, behind the sidecar's own listener and hello."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

import pytest
from wyoming.event import Event
from wyoming.info import Info
from wyoming.ping import Pong

from barnabeenet_sidecar.net.auth import Authenticator
from barnabeenet_sidecar.net.connection import Connection as SidecarConnection
from barnabeenet_sidecar.net.server import Server
from barnabeenet_sidecar.net.tls import Tls
from custom_components.barnabeenet.client import connection as connection_module, exchange, pool as pool_module
from custom_components.barnabeenet.client.connection import Address, Connection
from custom_components.barnabeenet.client.messages import CANCEL, CANCELLED, Vocabulary, VocabularyReady
from custom_components.barnabeenet.client.pool import Pool
from custom_components.barnabeenet.client.sidecar import Sidecar

TOKEN = "a token of more than thirty-two characters"
HOME = "home-1"
SOFTWARE = "Home Assistant 2026.10"

Answer: TypeAlias = Callable[["Peer", Event], Awaitable[None]]
Talk: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """The sidecar's end of a proved connection, in the hands of a test."""

    def __init__(self, connection: SidecarConnection, script: Script) -> None:
        self.connection = connection
        self.script = script

    async def send(self, *events: Event) -> None:
        for event in events:
            await self.connection.write(event)

    async def send_bytes(self, raw: bytes) -> None:
        self.connection.writer.write(raw)
        await self.connection.writer.drain()

    async def read(self) -> Event | None:
        """The next event; answers pings, as a sidecar does in the middle of anything."""
        while (event := await self.connection.read()) is not None:
            self.script.heard.append(event)
            await self.script.tell()
            if event.type != "ping" or not self.script.answers_pings:
                return event
            await self.send(Pong(event.data.get("text")).event())
        return None

    async def until(self, event_type: str) -> list[Event]:
        """All events up to one of this type."""
        events = []
        while (event := await self.read()) is not None:
            events.append(event)
            if event.type == event_type:
                return events
        raise ConnectionResetError(f"the client left before {event_type}")

    def hang_up(self) -> None:
        self.connection.abort()


class Script:
    """What the scripted sidecar does: as a real one would, but for what a test puts into `on`."""

    def __init__(self, tls: Tls | None = None) -> None:
        self.tls = tls
        self.on: dict[str, Answer] = {}
        self.heard: list[Event] = []
        self.peers: list[Peer] = []
        self.gone = 0
        self.revision: str | None = None
        self.voice_engine: str | None = None
        self.info = Info()
        self.answers_pings = True
        self.changed = asyncio.Condition()
        self.address = Address("127.0.0.1", 0)

    def _authenticator(self) -> Authenticator:
        return Authenticator(
            TOKEN,
            sidecar_id="sidecar-1",
            name="Beast",
            software="sidecar 0.1",
            revision_of=lambda home: self.revision,
            voice_engine=lambda: self.voice_engine,
            certificate=self.tls.fingerprint if self.tls else "",
        )

    async def start(self) -> None:
        """Listens; at the same address when it was stopped before."""
        context = self.tls.context if self.tls else None
        self.server = Server(self._talk, authenticator=self._authenticator(), tls=context)
        await self.server.start("127.0.0.1", self.address.port)
        self.address = Address("127.0.0.1", self.server.port, tls=self.tls is not None)

    async def stop(self) -> None:
        """Ends all connections and listens no more."""
        await self.server.close()

    def count(self, event_type: str) -> int:
        return sum(event.type == event_type for event in self.heard)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until something is so; looked at whenever a peer comes, goes or says something."""
        async with self.changed:
            await self.changed.wait_for(condition)

    async def tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _talk(self, connection: SidecarConnection) -> None:
        peer = Peer(connection, self)
        self.peers.append(peer)
        await self.tell()
        try:
            with suppress(ConnectionError):
                while (event := await peer.read()) is not None:
                    await self.on.get(event.type, self._answer)(peer, event)
        finally:
            self.gone += 1
            await self.tell()

    async def _answer(self, peer: Peer, event: Event) -> None:
        if event.type == "describe":
            await peer.send(self.info.event())
        elif event.type == Vocabulary.TYPE:
            self.revision = event.data["revision"]
            await peer.send(VocabularyReady(self.revision, 1, 1).event())
        elif event.type == CANCEL:
            await peer.send(Event(CANCELLED))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stall of a busy machine is taken for a sidecar that hangs; who tests a deadline sets it."""
    for name in ("CONNECT_S", "HELLO_S", "PONG_S"):
        monkeypatch.setattr(connection_module, name, 30.0)
    for name in ("PONG_S", "CANCEL_S"):
        monkeypatch.setattr(exchange, name, 30.0)
    monkeypatch.setattr(pool_module, "WAIT_S", 30.0)


@pytest.fixture
async def script(socket_enabled: None) -> AsyncIterator[Script]:
    """A scripted sidecar that listens."""
    script = Script()
    await script.start()
    yield script
    await script.stop()


@pytest.fixture
async def listen(socket_enabled: None) -> AsyncIterator[Callable[[Talk], Awaitable[Address]]]:
    """Starts a listener that is no sidecar: each connection is handed to the test's function."""
    servers: list[asyncio.Server] = []

    async def start(talk: Talk) -> Address:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await talk(reader, writer)
            writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        servers.append(server)
        return Address("127.0.0.1", server.sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()
        server.close_clients()
        await server.wait_closed()


@pytest.fixture
async def connection(script: Script) -> AsyncIterator[Connection]:
    """A proved connection to the scripted sidecar."""
    connection = await Connection.open(script.address, TOKEN, home=HOME, software=SOFTWARE)
    yield connection
    await connection.close()


@pytest.fixture
async def pool(script: Script) -> AsyncIterator[Pool]:
    """A started pool of connections to the scripted sidecar."""

    async def dial() -> Connection:
        return await Connection.open(script.address, TOKEN, home=HOME, software=SOFTWARE)

    pool = Pool(dial, lambda: None)
    await pool.start(5)
    yield pool
    await pool.close()


@pytest.fixture
async def make_sidecar(script: Script) -> AsyncIterator[Callable[..., Sidecar]]:
    """Makes clients that are closed after the test; of the scripted sidecar unless told otherwise."""
    made: list[Sidecar] = []

    def make(address: Address | None = None, **options: Any) -> Sidecar:
        arguments = {"token": TOKEN, "home": HOME, "software": SOFTWARE} | options
        made.append(Sidecar(address or script.address, **arguments))
        return made[-1]

    yield make
    for sidecar in made:
        await sidecar.close()


@pytest.fixture
async def sidecar(make_sidecar: Callable[..., Sidecar]) -> Sidecar:
    """A started client of the scripted sidecar."""
    sidecar = make_sidecar()
    await sidecar.start()
    return sidecar
