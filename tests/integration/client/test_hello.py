"""The mutual hello, against the sidecar's own and against everything else that may listen there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
import socket
from typing import TypeAlias
from unittest.mock import Mock

import pytest
from wyoming.error import Error
from wyoming.event import Event, async_read_event, async_write_event
from wyoming.server import AsyncEventHandler, AsyncServer

from barnabeenet_sidecar.net.server import Caps, Server
from custom_components.barnabeenet.client import connection as connection_module
from custom_components.barnabeenet.client.connection import Address, Connection
from custom_components.barnabeenet.client.errors import (
    BackingOff,
    Busy,
    CannotConnect,
    ContractMismatch,
    Impostor,
    NotASidecar,
    SidecarError,
    SidecarTimeout,
    Unauthorized,
)
from custom_components.barnabeenet.client.messages import Challenge, Welcome
from custom_components.barnabeenet.client.proof import proof

TOKEN = "a token of more than thirty-two characters"
NONCE = "ab" * 32

Talk: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Listen: TypeAlias = Callable[[Talk], Awaitable[Address]]


async def dial(address: Address, token: str = TOKEN) -> Connection:
    return await Connection.open(address, token, home="home-1", software="test")


async def refused(address: Address, token: str = TOKEN) -> SidecarError:
    with pytest.raises(SidecarError) as info:
        await dial(address, token)
    return info.value


def answering(*answers: Event) -> Talk:
    """A listener that answers whatever comes with these events, one each, and then waits for the end."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await async_read_event(reader)
            await async_write_event(answer, writer)
        await reader.read()

    return talk


async def test_the_sidecar_is_welcomed_when_both_know_the_token(script) -> None:
    connection = await dial(script.address)
    assert (connection.welcome.sidecar, connection.welcome.name) == ("sidecar-1", "Beast")
    assert script.peers[0].connection.home == "home-1"
    await connection.close()


async def test_the_revision_of_the_vocabulary_comes_with_the_welcome(script) -> None:
    script.revision = "0123abcd"
    connection = await dial(script.address)
    assert connection.welcome.vocabulary == "0123abcd"
    await connection.close()


async def test_a_wrong_token_is_unauthorized_and_reaches_no_handler(script) -> None:
    error = await refused(script.address, "another token of more than 32 characters")
    assert isinstance(error, Unauthorized)
    assert error.code == "unauthorized"
    assert script.peers == []


async def test_after_five_wrong_tokens_the_sidecar_backs_off(script) -> None:
    errors = [await refused(script.address, "another token of more than 32 characters") for _ in range(6)]
    assert [type(error) for error in errors] == [Unauthorized] * 5 + [BackingOff]


async def test_an_impostor_without_the_token_is_found_out(listen: Listen) -> None:
    fake_proof = proof("a guess", "sidecar", NONCE, NONCE)
    talk = answering(Challenge(1, NONCE, "fake").event(), Welcome(fake_proof, "sidecar-1", "Beast", "fake").event())
    assert isinstance(await refused(await listen(talk)), Impostor)


async def test_an_impostor_that_reflects_our_own_proof_is_found_out(listen: Listen) -> None:
    async def reflect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await async_read_event(reader)
        assert hello is not None
        await async_write_event(Challenge(1, hello.data["nonce"], "fake").event(), writer)
        ours = await async_read_event(reader)
        assert ours is not None
        await async_write_event(Welcome(ours.data["proof"], "sidecar-1", "Beast", "fake").event(), writer)
        await reader.read()

    assert isinstance(await refused(await listen(reflect)), Impostor)


async def test_nothing_is_said_to_an_impostor_after_its_wrong_proof(listen: Listen) -> None:
    left: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await async_read_event(reader)
        await async_write_event(Challenge(1, NONCE, "fake").event(), writer)
        await async_read_event(reader)
        await async_write_event(Welcome("00" * 32, "sidecar-1", "Beast", "fake").event(), writer)
        left.set_result(await reader.read())

    await refused(await listen(talk))
    assert await left == b""


async def test_the_token_and_its_proof_never_reach_a_sidecar_of_another_contract(listen: Listen) -> None:
    left: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await async_read_event(reader)
        await async_write_event(Challenge(2, NONCE, "newer").event(), writer)
        left.set_result(await reader.read())

    await refused(await listen(talk))
    assert await left == b""


@pytest.mark.parametrize(("version", "behind"), [(0, "sidecar"), (2, "integration")])
async def test_another_contract_names_the_side_to_update(listen: Listen, version: int, behind: str) -> None:
    error = await refused(await listen(answering(Challenge(version, NONCE, "other").event())))
    assert isinstance(error, ContractMismatch)
    assert str(version) in str(error)
    assert str(error).endswith(f"update the {behind}")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("unauthorized", Unauthorized),
        ("contract-mismatch", ContractMismatch),
        ("back-off", BackingOff),
        ("busy", Busy),
        ("draining", Busy),
        ("timeout", SidecarTimeout),
        ("bad-request", NotASidecar),
        (None, NotASidecar),
    ],
)
async def test_a_refusal_is_told_apart_by_its_code(listen: Listen, code: str | None, expected: type) -> None:
    error = await refused(await listen(answering(Error("do this and that", code).event())))
    assert type(error) is expected
    assert "do this and that" in str(error)


async def test_a_full_sidecar_is_busy(script) -> None:
    script.server._caps = Caps(per_peer=1)
    connection = await dial(script.address)
    assert isinstance(await refused(script.address), Busy)
    await connection.close()


async def test_the_plain_listener_is_not_taken_for_the_paired_one(socket_enabled: None) -> None:
    async def handle(connection) -> None:
        while await connection.read() is not None:
            pass

    server = Server(handle, authenticator=None)
    await server.start("127.0.0.1", 0)
    error = await refused(Address("127.0.0.1", server.port))
    await server.close()
    assert isinstance(error, NotASidecar)
    assert "plain listener" in str(error)


async def test_a_web_server_is_not_a_sidecar(listen: Listen) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    assert isinstance(await refused(await listen(talk)), NotASidecar)


@pytest.mark.parametrize(
    "answer",
    [
        Event("info", {}),
        Event("barnabeenet-challenge", {"contract": "1", "nonce": NONCE, "software": "x"}),
        Event("barnabeenet-challenge", {"contract": 1, "nonce": "short", "software": "x"}),
        Welcome("00" * 32, "sidecar-1", "Beast", "fake").event(),
    ],
    ids=["another event", "a version in text", "a short nonce", "a welcome too early"],
)
async def test_an_answer_out_of_the_contract_is_not_a_sidecar(listen: Listen, answer: Event) -> None:
    assert isinstance(await refused(await listen(answering(answer))), NotASidecar)


async def test_a_stock_wyoming_server_never_answers_and_that_is_told(socket_enabled: None, monkeypatch) -> None:
    monkeypatch.setattr(connection_module, "HELLO_S", 0.2)

    class Handler(AsyncEventHandler):
        async def handle_event(self, event: Event) -> bool:
            return True

    server = AsyncServer.from_uri("tcp://127.0.0.1:0")
    await server.start(Handler)
    port = server._server.sockets[0].getsockname()[1]
    error = await refused(Address("127.0.0.1", port))
    await server.stop()
    assert isinstance(error, SidecarTimeout)
    assert "not a BarnabeeNet sidecar" in str(error)


async def test_a_listener_that_hangs_up_cannot_be_connected_to(listen: Listen) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()

    assert isinstance(await refused(await listen(talk)), CannotConnect)


async def test_nobody_at_the_address_cannot_be_connected_to(script) -> None:
    address = script.address
    await script.stop()
    error = await refused(address)
    assert isinstance(error, CannotConnect)
    assert str(address) in str(error)


@pytest.mark.parametrize(
    "failure",
    [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")],
    ids=["unknown", "bad"],
)
async def test_a_host_that_is_no_name_cannot_be_connected_to(
    socket_enabled: None, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=failure))
    error = await refused(Address("no.such.host", 1))
    assert isinstance(error, CannotConnect)
    assert str(failure) in str(error)


@pytest.mark.parametrize("port", [-1, 65536])
async def test_a_port_out_of_range_cannot_be_connected_to(socket_enabled: None, port: int) -> None:
    assert isinstance(await refused(Address("127.0.0.1", port)), CannotConnect)
