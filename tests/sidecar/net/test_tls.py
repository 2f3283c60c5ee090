"""A listener that encrypts: its certificate, what strangers meet there, and who sits in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
import hashlib
from pathlib import Path
import secrets
import ssl
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
import pytest
from wyoming.audio import AudioChunk

from barnabeenet_sidecar.errors import ConfigError
from barnabeenet_sidecar.net import server as server_module
from barnabeenet_sidecar.net.auth import Authenticator, proof
from barnabeenet_sidecar.net.messages import Proof
from barnabeenet_sidecar.net.server import Caps, Connection, Server
from barnabeenet_sidecar.net.tls import Tls, load_or_create

Make = Callable[..., Authenticator]
Serve = Callable[..., Awaitable[Server]]
Dial = Callable[..., Awaitable[Any]]

SOUND = {"rate": 16_000, "width": 2, "channels": 1}


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return load_or_create(tmp_path / "tls.pem")


@pytest.fixture
def encrypting(serve: Serve, authenticator: Make, tls: Tls) -> Serve:
    """Starts servers that speak TLS."""
    return partial(serve, authenticator=authenticator(certificate=tls.fingerprint), tls=tls.context)


@pytest.fixture
async def server(encrypting: Serve) -> Server:
    return await encrypting()


async def encrypt(peer: Any) -> str:
    """Goes on in TLS as a client; the fingerprint of the other side's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    await peer.writer.start_tls(context)
    return hashlib.sha256(peer.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)).hexdigest()


# The certificate


def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tls.pem"
    made = load_or_create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create(path).fingerprint == made.fingerprint
    assert [each.name for each in path.parent.iterdir()] == ["tls.pem"]
    assert load_or_create(tmp_path / "another.pem").fingerprint != made.fingerprint


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff\xfe\x00", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_one_that_is_broken_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tls.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"tls\.pem cannot be used .* or remove the file"):
        load_or_create(path)
    assert path.read_bytes() == content


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        load_or_create(tmp_path / name)
    one, two = ((tmp_path / name).read_text().partition("-----BEGIN CERTIFICATE") for name in ("one", "two"))
    (tmp_path / "mixed").write_text(one[0] + two[1] + two[2])
    with pytest.raises(ConfigError, match="cannot be used"):
        load_or_create(tmp_path / "mixed")


def test_a_key_with_a_pass_phrase_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    load_or_create(tmp_path / "tls.pem")
    content = (tmp_path / "tls.pem").read_bytes()
    locked = load_pem_private_key(content, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    (tmp_path / "tls.pem").write_bytes(locked + content[content.index(b"-----BEGIN CERTIFICATE") :])
    with pytest.raises(ConfigError, match="without a pass phrase"):
        load_or_create(tmp_path / "tls.pem")


def test_a_key_that_others_may_read_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_or_create(tmp_path / "tls.pem")
    (tmp_path / "tls.pem").chmod(0o644)
    load_or_create(tmp_path / "tls.pem")
    assert "chmod 600" in caplog.text


# The connection


async def test_the_token_is_proved_over_the_certificate(server: Server, dial: Dial, tls: Tls, token: str) -> None:
    peer = await dial(server)
    certificate = await encrypt(peer)
    assert certificate == tls.fingerprint
    assert peer.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    ours, theirs = await peer.start_hello()
    offer = Proof(proof(token, "integration", ours, theirs, certificate=certificate)).event()
    welcome = await peer.ask(offer.type, offer.data)
    assert welcome.data["proof"] == proof(token, "sidecar", ours, theirs, certificate=certificate)
    payload = secrets.token_bytes(1_000_000)
    assert (await peer.ask("audio-chunk", SOUND, payload)).payload == payload


@pytest.mark.parametrize("certificate", ["", "0" * 64])
async def test_a_proof_over_another_certificate_is_of_somebody_in_between(
    server: Server, dial: Dial, certificate: str
) -> None:
    peer = await dial(server)
    await encrypt(peer)
    assert (await peer.hello(certificate=certificate)).data["code"] == "unauthorized"
    assert await peer.is_closed()


async def test_who_speaks_no_tls_is_let_go_at_once(server: Server, dial: Dial) -> None:
    peer = await dial(server)
    await peer.send("barnabeenet-hello", {"contract": 1})
    assert await peer.is_closed()
    # The peer sees the end of it a moment before the server has put it away.
    async with asyncio.timeout(20):
        while server.connections_without_hello:
            await asyncio.sleep(0.001)
    assert server.connections == 0


async def test_who_says_nothing_is_cut_off(server: Server, dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HELLO_S", 0.05)
    assert await (await dial(server)).is_closed()


async def test_strangers_who_say_nothing_make_room_for_others(encrypting: Serve, dial: Dial) -> None:
    server = await encrypting(caps=Caps(without_hello=3))
    idle = [await dial(server) for _ in range(5)]
    peer = await dial(server, source="127.0.0.2")
    assert (await peer.hello(certificate=await encrypt(peer))).type == "barnabeenet-welcome"
    assert server.connections_without_hello == 2
    for each in idle[:3]:
        assert await each.is_closed()


async def test_who_comes_too_late_is_told_in_tls(server: Server, dial: Dial) -> None:
    server.drain("restarting")
    peer = await dial(server)
    await encrypt(peer)
    assert (await peer.read()).data == {"text": "restarting", "code": "draining"}
    assert await peer.is_closed()


async def test_an_error_arrives_although_more_was_sent(encrypting: Serve, dial: Dial) -> None:
    async def refuse(connection: Connection) -> None:
        await connection.read()
        await connection.error("busy", "no room")

    server = await encrypting(refuse)
    peer = await dial(server)
    await peer.hello(certificate=await encrypt(peer))
    for _ in range(20):
        await peer.send("audio-chunk", SOUND, bytes(10_000))
    assert (await peer.read()).data["code"] == "busy"
    assert await peer.is_closed()


async def test_what_was_sent_can_be_waited_for_and_is_when_the_peer_reads(encrypting: Serve, dial: Dial) -> None:
    flushed = asyncio.Event()

    async def flush(connection: Connection) -> None:
        async with asyncio.timeout(20):
            await connection.flush()
        for _ in range(8):
            connection.post(AudioChunk(16_000, 2, 1, bytes(1_000_000)).event())
        await connection.flush()
        flushed.set()
        await connection.read()

    server = await encrypting(flush)
    peer = await dial(server)
    await peer.hello(certificate=await encrypt(peer))
    for _ in range(8):
        assert not flushed.is_set()
        await peer.read()
    async with asyncio.timeout(20):
        await flushed.wait()


async def test_a_peer_that_is_gone_is_not_waited_for(encrypting: Serve, dial: Dial) -> None:
    ended = asyncio.get_running_loop().create_future()

    async def flush(connection: Connection) -> None:
        for _ in range(8):
            connection.post(AudioChunk(16_000, 2, 1, bytes(1_000_000)).event())
        try:
            await connection.flush()
        except OSError as error:
            ended.set_result(error)
            raise

    server = await encrypting(flush)
    peer = await dial(server)
    await peer.hello(certificate=await encrypt(peer))
    await peer.close()
    async with asyncio.timeout(20):
        assert isinstance(await ended, OSError)


async def test_who_says_goodbye_and_reads_no_more_holds_nothing_up(encrypting: Serve, dial: Dial) -> None:
    talking = asyncio.get_running_loop().create_future()

    async def talk_on(connection: Connection) -> None:
        # More than the kernel takes for a peer that does not read.
        for _ in range(16):
            connection.post(AudioChunk(16_000, 2, 1, bytes(1_000_000)).event())
        talking.set_result(connection.writer.get_extra_info("socket"))
        await connection.read()

    server = await encrypting(talk_on)
    peer = await dial(server)
    below = peer.writer.transport
    await peer.hello(certificate=await encrypt(peer))
    below.pause_reading()
    socket = await talking
    peer.writer.close()
    async with asyncio.timeout(20):
        while socket.fileno() != -1:
            await asyncio.sleep(0.01)
        await server.close()


async def test_nothing_of_what_is_said_can_be_read_on_the_way(server: Server, dial: Dial) -> None:
    passed = bytearray()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65_536):
                passed.extend(chunk)
                writer.write(chunk)
        finally:
            writer.close()

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(relay(reader, back), relay(there, writer))

    proxy = await asyncio.start_server(between, "127.0.0.1", 0)
    peer = await dial(SimpleNamespace(port=proxy.sockets[0].getsockname()[1]))
    await peer.hello(certificate=await encrypt(peer))
    assert (await peer.ask("ping", {"text": "open sesame"})).data == {"text": "open sesame"}
    await peer.close()
    proxy.close()
    await proxy.wait_closed()
    assert len(passed) > 1_000
    assert not any(word in passed for word in (b"sesame", b"our home", b"barnabeenet-"))
