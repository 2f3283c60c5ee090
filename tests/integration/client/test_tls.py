"""An encrypted connection, against the sidecar's own listener and against who sits in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
import gc
import hmac
from pathlib import Path
import ssl
from types import SimpleNamespace
from typing import Any, TypeAlias

import pytest
from wyoming.audio import AudioChunk

from barnabeenet_sidecar.net.tls import load_or_create
from custom_components.barnabeenet.client import connection as connection_module
from custom_components.barnabeenet.client.connection import Address, Connection
from custom_components.barnabeenet.client.errors import (
    CannotConnect,
    Impostor,
    NotASidecar,
    SidecarError,
    SidecarTimeout,
    TlsMismatch,
    Unauthorized,
)
from custom_components.barnabeenet.client.messages import Vocabulary
from custom_components.barnabeenet.client.sidecar import Sidecar, probe
from tests.integration.client.conftest import HOME, SOFTWARE, TOKEN, Script

Talk: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Listen: TypeAlias = Callable[[Talk], Awaitable[Address]]


@pytest.fixture
async def encrypted(socket_enabled: None, tmp_path: Path) -> AsyncIterator[Script]:
    """A scripted sidecar that speaks TLS."""
    script = Script(load_or_create(tmp_path / "tls.pem"))
    await script.start()
    yield script
    await script.stop()


async def dial(address: Address, token: str = TOKEN) -> Connection:
    return await Connection.open(address, token, home=HOME, software=SOFTWARE)


async def refused(address: Address, token: str = TOKEN) -> SidecarError:
    with pytest.raises(SidecarError) as info:
        await dial(address, token)
    return info.value


async def test_both_sides_prove_the_token_over_the_certificate(encrypted: Script) -> None:
    connection = await dial(encrypted.address)
    assert connection.welcome.sidecar == "sidecar-1"
    await connection.close()
    assert isinstance(
        await refused(encrypted.address, "another token of more than thirty-two characters"), Unauthorized
    )


async def test_much_goes_both_ways(encrypted: Script) -> None:
    chunk = AudioChunk(16_000, 2, 1, bytes(range(256)) * 3_900).event()

    async def echo(peer: Any, event: Any) -> None:
        await peer.send(event)

    encrypted.on[chunk.type] = echo
    connection = await dial(encrypted.address)
    for _ in range(3):
        await connection.begin(chunk)
        answer = await connection.receive(20)
        assert answer is not None
        assert answer.payload == chunk.payload
        connection.rest()
    await connection.close()


async def test_a_client_works_with_it_and_comes_back_to_it(encrypted: Script) -> None:
    identity, _ = await probe(encrypted.address, TOKEN, home=HOME, software=SOFTWARE)
    assert identity.name == "Beast"
    client = Sidecar(encrypted.address, TOKEN, home=HOME, software=SOFTWARE)
    await client.start()
    await client.set_vocabulary(Vocabulary("en", "0123abcd", names=["lamp"]))
    assert encrypted.revision == "0123abcd"
    await encrypted.stop()
    assert not client.available
    back = asyncio.Event()
    client.subscribe(lambda: back.set() if client.available else None)
    await encrypted.start()
    async with asyncio.timeout(30):
        await back.wait()
    await client.close()


# One side encrypts and the other does not


async def test_a_sidecar_without_tls_is_told_from_one_that_is_not_there(script: Script) -> None:
    error = await refused(replace(script.address, tls=True))
    assert isinstance(error, TlsMismatch)
    assert "does not speak TLS" in str(error)
    assert "tls = true" in str(error)


async def test_a_sidecar_with_tls_is_told_from_one_that_is_not_there(encrypted: Script) -> None:
    error = await refused(replace(encrypted.address, tls=False))
    assert isinstance(error, TlsMismatch)
    assert "turn encryption on" in str(error)


async def test_who_never_answers_the_handshake_is_given_up(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "HELLO_S", 0.1)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    error = await refused(replace(await listen(say_nothing), tls=True))
    assert isinstance(error, SidecarTimeout)
    assert "turn encryption off" not in str(error)


async def test_who_hangs_up_in_the_handshake_cannot_be_connected_to(listen: Listen) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)

    error = await refused(replace(await listen(hang_up), tls=True))
    assert isinstance(error, CannotConnect)
    assert not isinstance(error, TlsMismatch)
    assert not str(error).endswith(": ")


async def test_another_server_with_tls_is_not_a_sidecar(socket_enabled: None, tmp_path: Path) -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(web, "127.0.0.1", 0, ssl=load_or_create(tmp_path / "web.pem").context)
    address = Address("127.0.0.1", server.sockets[0].getsockname()[1], tls=True)
    assert isinstance(await refused(address), NotASidecar)
    server.close()
    await server.wait_closed()


# Somebody in between

Between: TypeAlias = Callable[[bool], Awaitable[Address]]


@pytest.fixture
async def between(encrypted: Script, tmp_path: Path) -> AsyncIterator[Between]:
    """Starts one who reads and passes on all that is said, with a certificate of their own towards the home.

    Towards the sidecar they speak TLS, or not when told so.
    """
    servers: list[asyncio.Server] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65_536):
                writer.write(chunk)
        writer.transport.abort()

    async def start(encrypts: bool) -> Address:
        async def meddle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection(
                encrypted.address.host, encrypted.address.port, ssl=context if encrypts else None
            )
            await asyncio.gather(relay(reader, back), relay(there, writer))

        own = load_or_create(tmp_path / "meddler.pem").context
        servers.append(await asyncio.start_server(meddle, "127.0.0.1", 0, ssl=own))
        return Address("127.0.0.1", servers[-1].sockets[0].getsockname()[1], tls=True)

    yield start
    for server in servers:
        server.close()
        server.close_clients()
        await server.wait_closed()


async def test_who_sits_in_between_with_another_certificate_gets_nowhere(encrypted: Script, between: Between) -> None:
    assert isinstance(await refused(await between(True)), Unauthorized)
    assert encrypted.heard == []


async def test_who_has_the_sidecar_speak_without_encryption_gets_nowhere(encrypted: Script, between: Between) -> None:
    assert isinstance(await refused(await between(False)), CannotConnect)
    assert encrypted.heard == []


async def test_who_passes_the_sidecars_proof_on_does_not_pass_for_it(
    encrypted: Script, between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Had the sidecar not noticed, this side does."""
    careless = SimpleNamespace(new=hmac.new, compare_digest=lambda *_: True)
    monkeypatch.setattr("barnabeenet_sidecar.net.auth.hmac", careless)
    assert isinstance(await refused(await between(True)), Impostor)


async def test_nothing_is_left_open(encrypted: Script, script: Script, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        await refused(replace(script.address, tls=True))
        await refused(replace(encrypted.address, tls=False))
    gc.collect()
    assert "unclosed" not in caplog.text
