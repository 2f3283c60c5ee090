"""Every way in which a pull finds nobody, the wrong one or half an answer: one clear line, and what serves goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import os
from pathlib import Path
import socket
import ssl
import subprocess
import sys
from typing import Any

from aiohttp import web
import pytest

from barnabeenet_sidecar.models import download, sources
from barnabeenet_sidecar.models.errors import PullFailed

Fixture = Any
FILES = {"model.onnx": b"weights" * 10_000}
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

pytestmark = pytest.mark.faults


@pytest.fixture
async def failure(home: Fixture, shelf: Fixture) -> Callable[[str], Awaitable[str]]:
    """Pulls version 2 from an address while 1 serves; gives the line that it fails with."""
    await home.has(shelf, "1", FILES)

    async def pull(url: str) -> str:
        store = home.offers("2", FILES, source=f'{{ type = "web", url = "{url}" }}')
        with pytest.raises(PullFailed) as raised:
            await store.pull("ears", "anna")
        assert store.open("ears").version == "1"
        said, _, rest = str(raised.value).rpartition("; ")
        assert rest == "ears 1 goes on serving"
        assert "\n" not in said
        return said

    return pull


@pytest.fixture
async def listen() -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """Starts listeners that are no web server of models; gives their ports."""
    servers = []

    async def start(answer: Answer, context: ssl.SSLContext | None = None) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await answer(reader, writer)
            writer.close()

        servers.append(await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
        port: int = servers[-1].sockets[0].getsockname()[1]
        return port

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.fixture(scope="session")
def unknown_certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Signed by itself alone."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_without_an_address_for_the_name(failure: Fixture) -> None:
    said = await failure("http://models.invalid/ears/")
    assert said.startswith("cannot reach models.invalid: its address cannot be found (")
    assert said.endswith("); is this machine online?")


async def test_when_nobody_listens(failure: Fixture) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        assert await failure(f"http://127.0.0.1:{port}/") == (
            f"cannot reach 127.0.0.1: it refuses connections to port {port}"
        )


async def test_when_a_firewall_swallows_all(failure: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_CONNECT_S", 0.2)
    # A full backlog drops what comes, as a firewall does.
    with socket.socket() as crowded, socket.socket() as first, socket.socket() as second:
        crowded.bind(("127.0.0.1", 0))
        crowded.listen(0)
        for taken in (first, second):
            taken.setblocking(False)
            taken.connect_ex(crowded.getsockname())
        said = await failure(f"http://127.0.0.1:{crowded.getsockname()[1]}/")
    assert said == "cannot reach 127.0.0.1: nobody answers; check this machine's network and any firewall"


async def test_when_the_other_side_cannot_prove_who_it_is(
    failure: Fixture, listen: Fixture, unknown_certificate: ssl.SSLContext
) -> None:
    async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        raise AssertionError("the handshake must fail")

    port = await listen(never, unknown_certificate)
    assert await failure(f"https://127.0.0.1:{port}/") == (
        "127.0.0.1 cannot prove who it is (self-signed certificate): check this machine's clock and any proxy"
    )


async def test_when_the_other_side_speaks_no_tls(failure: Fixture, shelf: Fixture) -> None:
    said = await failure(shelf.url.replace("http:", "https:") + "/")
    assert said.startswith("cannot reach 127.0.0.1: it does not speak TLS on port ")


async def test_when_it_is_no_web_server(failure: Fixture, listen: Fixture) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        await reader.read(1)

    port = await listen(greet)
    assert await failure(f"http://127.0.0.1:{port}/") == (
        f"127.0.0.1 port {port} does not answer like a web server: check the source in the manifest"
    )


async def test_when_it_hangs_up_without_a_word(failure: Fixture, listen: Fixture) -> None:
    async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    port = await listen(hang_up)
    said = await failure(f"http://127.0.0.1:{port}/")
    assert said == "127.0.0.1 closed the connection without an answer for model.onnx"


async def test_a_server_that_never_answers_is_asked_twice(
    failure: Fixture, listen: Fixture, pass_time: Callable[[float], None]
) -> None:
    asked = []

    async def stay_silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        pass_time(download._STALL_S)
        await reader.read()

    said = await failure(f"http://127.0.0.1:{await listen(stay_silent)}/")
    assert said == "127.0.0.1 sends nothing of model.onnx, or too slowly"
    assert len(asked) == 2


async def test_when_it_sends_from_here_to_there_without_end(failure: Fixture, shelf: Fixture, faults: Fixture) -> None:
    shelf.files["loop/model.onnx"] = b"never sent"
    shelf.faults["loop/model.onnx"] = [faults.redirect("/loop/model.onnx")] * 100
    assert await failure(f"{shelf.url}/loop/") == (
        "127.0.0.1 sends from one address to the next without end: check the source in the manifest"
    )
    assert len(shelf.faults["loop/model.onnx"]) > 80


async def test_when_a_network_wants_a_log_in_first(failure: Fixture, shelf: Fixture) -> None:
    async def log_in(_request: web.Request, _content: bytes) -> web.StreamResponse:
        return web.Response(text="<html>Welcome to our hotel</html>", content_type="text/html")

    shelf.files["hotel/model.onnx"] = b"never sent"
    shelf.faults["hotel/model.onnx"] = [log_in]
    said = await failure(f"{shelf.url}/hotel/")
    assert said.startswith("127.0.0.1 sends a web page instead of model.onnx: a network that wants a log-in")


async def test_a_redirect_to_nowhere_names_where_it_led(failure: Fixture, shelf: Fixture, faults: Fixture) -> None:
    shelf.files["moved/model.onnx"] = b"never sent"
    shelf.faults["moved/model.onnx"] = [faults.redirect("http://models.invalid/model.onnx")]
    assert (await failure(f"{shelf.url}/moved/")).startswith("cannot reach models.invalid: ")


async def test_the_command_prints_one_line_and_fails(home: Fixture, shelf: Fixture, root: Path) -> None:
    await home.has(shelf, "1", FILES)
    home.offers("2", FILES, source='{ type = "web", url = "http://models.invalid/ears/" }')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "barnabeenet_sidecar", "models", "--data-dir", home.data_dir, "pull", "ears"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(root / "sidecar")},
    )
    out, err = await process.communicate()
    assert process.returncode == 1
    assert out == b""
    (line,) = err.decode().splitlines()
    assert line.startswith("barnabeenet-sidecar: cannot reach models.invalid: its address cannot be found (")
    assert line.endswith("; ears 1 goes on serving")
