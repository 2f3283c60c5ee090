"""Language models that fail, lie and babble: two of them in every way, and the third answers in time, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
import socket
import ssl
import time
from typing import Any

import httpx
import pytest

from custom_components.barnabeenet.providers.base import (
    Call,
    Caller,
    Done,
    Message,
    Prompt,
    TextDelta,
    Tool,
    ToolCallDelta,
)
from custom_components.barnabeenet.providers.chain import AllProvidersFailed, Chain
from custom_components.barnabeenet.providers.factory import open_provider
from custom_components.barnabeenet.providers.http import open_http
from custom_components.barnabeenet.providers.settings import Limits, Settings
from tests.llm_server import PATIENT, Answer, LlmServer, called, chunk, llm_server, refused, said, tool_chunks

pytestmark = pytest.mark.faults

KEY = "sk-test-0123456789abcdef0123456789abcdef"
TURN_S = 20.0
HASTY = Limits(first_token_s=0.4, silence_s=0.4)
CALLER = Caller("t1", "interaction")
PROMPT = Prompt(
    "You are Barnabee.",
    "Lights: lamp",
    "It is Friday.",
    [Message("user", "How is the weather?")],
    [Tool("light_on", "Turns a light on", {"type": "object", "properties": {"name": {"type": "string"}}})],
    200,
)

FAULTS = {
    "429": refused(429),
    "429 with Retry-After": refused(429, Retry_After="60"),
    "500": refused(500),
    "401": refused(401),
    "403": refused(403),
    "404": refused(404, "model_not_found"),
    "400": refused(400),
    "content filter": said("I", finish="content_filter"),
    "silence before the first word": Answer(then="stall"),
    "silence in the middle": said("It is sunny. And", finish=None, then="stall"),
    "drip": Answer([chunk({"content": "It is sunny. "})], endless=chunk({"content": "."}), each_s=0.1),
    "cut off": said("It is sunny. And", finish=None, then="cut"),
    "cut off before the first word": Answer(then="cut"),
    "silent truncation": said("It is sunny. And", finish=None),
    "truncation in a tool call": Answer([chunk({"content": "It is sunny. "}), *tool_chunks("light_on", '{"na')]),
    "broken chunk": Answer([chunk({"content": "It is sunny. An"}), b"data: {oops\n\n"]),
    "not utf-8": Answer([chunk({"content": "It is sunny. An"}), b"data: \xff\n\n"]),
    "broken tool JSON": called(tool_chunks("light_on", '{"name": }')),
    "unknown tool": called(tool_chunks("unlock_the_front_door", "{}")),
    "too many tools": called(*(tool_chunks("light_on", "{}", index=index) for index in range(60))),
    "endless arguments": Answer(endless=tool_chunks("light_on", "x" * 3000)[1]),
    "endless babble": Answer([chunk({"content": "It is sunny. "})], endless=chunk({"content": "bla " * 50})),
    "endless letters": Answer(
        [chunk({"content": "It is sunny. "})], endless=chunk({"content": "0123456789abcdef" * 9})
    ),
    "endless nothing": Answer(endless=chunk({"content": ""}) * 500),
    "endless line": Answer([b"data: "], endless=b"x" * 60_000),
    "empty": said(),
    "HTML": Answer([b"<html>Welcome to the captive portal</html>"]),
    "gzip": Answer([b"x"], headers={"Content-Encoding": "gzip"}),
}
# What is known by the time alone; where words come first they may take their time.
TIMED = {
    "silence before the first word": HASTY,
    "silence in the middle": replace(PATIENT, silence_s=0.4),
    "drip": replace(PATIENT, silence_s=0.4),
    "endless nothing": HASTY,
}
WITH_WORDS = {name for name, answer in FAULTS.items() if any(b"sunny" in event for event in answer.events)}


@pytest.fixture
async def http(socket_enabled: None) -> AsyncIterator[httpx.AsyncClient]:
    client = await open_http()
    yield client
    await client.aclose()


@pytest.fixture
async def servers(socket_enabled: None) -> AsyncIterator[list[LlmServer]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(llm_server()) for _ in range(3)]


ChainOf = Callable[..., Awaitable[tuple[Chain, list[Call]]]]


@pytest.fixture
def chain_of(http: httpx.AsyncClient) -> ChainOf:
    """A chain over addresses, and the calls that it tells; the last one has all the time of the turn."""

    async def make(urls: Sequence[str], limits: Limits = PATIENT) -> tuple[Chain, list[Call]]:
        limits_of = [limits] * (len(urls) - 1) + [PATIENT if len(urls) > 1 else limits]
        settings = [
            Settings(str(number), "openai_compatible", "gpt-4o-mini", "cloud_fast", KEY, url, limits=given)
            for number, (url, given) in enumerate(zip(urls, limits_of, strict=True), 1)
        ]
        providers = [await open_provider(each, http) for each in settings]
        calls: list[Call] = []
        return Chain(providers, calls.append, turn_s=TURN_S), calls

    return make


async def ask(chain: Chain) -> str:
    """The words of one turn; the tools are not called."""
    words = []
    async with asyncio.timeout(TURN_S + 1):
        async for delta in chain.stream(PROMPT, tiers=("cloud_fast",), caller=CALLER):
            assert not isinstance(delta, ToolCallDelta)
            if isinstance(delta, TextDelta):
                words.append(delta.text)
    return "".join(words)


@pytest.mark.parametrize("name", FAULTS)
async def test_the_third_answers_when_two_fail_in_any_way(
    name: str, servers: list[LlmServer], chain_of: ChainOf
) -> None:
    servers[0].will(FAULTS[name])
    servers[1].will(FAULTS[name])
    servers[2].will(said("It is sunny. ", "Take a hat."))
    chain, calls = await chain_of([server.url for server in servers], TIMED.get(name, PATIENT))

    assert " ".join((await ask(chain)).split()) == "It is sunny. Take a hat."

    assert [call.provider for call in calls] == ["1", "2", "3"]
    assert [call.outcome == "answered" for call in calls] == [False, False, True]
    assert [len(server.requests) for server in servers] == [1, 1, 1]
    # What was received was also paid.
    for call in calls[:2]:
        assert (call.usage.completion_tokens > 0) >= (name in WITH_WORDS)
    assert calls[2].usage.prompt_tokens == 120


@pytest.mark.parametrize("name", ["500", "silence in the middle", "broken chunk"])
async def test_a_provider_that_goes_on_failing_is_left_alone_after_five_times(
    name: str, servers: list[LlmServer], chain_of: ChainOf
) -> None:
    servers[0].will(FAULTS[name])
    chain, calls = await chain_of([servers[0].url], TIMED.get(name, PATIENT))
    for _ in range(8):
        with pytest.raises(AllProvidersFailed):
            await ask(chain)

    assert len(servers[0].requests) == len(calls) == 5


async def test_nobody_at_any_address_is_known_at_once(
    servers: list[LlmServer], chain_of: ChainOf, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def without_network(host: Any, *arguments: Any, **options: Any) -> Any:
        # How long a real look-up takes is up to the network that the tests run in.
        if "no-such-host" in str(host):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", without_network)
    refusing, nameless = f"http://127.0.0.1:{unused_tcp_port}", "http://no-such-host.invalid"
    chain, calls = await chain_of([refusing, nameless, servers[0].url])

    assert await ask(chain) == "Hello."
    assert [call.outcome for call in calls] == ["unreachable", "unreachable", "answered"]
    assert calls[0].usage.prompt_tokens == calls[1].usage.prompt_tokens == 0


async def test_a_server_without_a_trusted_certificate_is_not_spoken_to(
    servers: list[LlmServer], chain_of: ChainOf
) -> None:
    seen = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(await reader.read(64_000))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        chain, calls = await chain_of([f"https://127.0.0.1:{port}", servers[0].url])
        assert await ask(chain) == "Hello."

    assert calls[0].outcome == "unreachable"
    assert KEY.encode() not in seen


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-A: ", id="header that stops"),
        pytest.param(b"\x00\xff garbage \r\n\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-A: " + b"x" * 300_000, id="header without an end"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\ndata: {}\n\n", id="fewer bytes than promised"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="broken chunks"),
    ],
)
@pytest.mark.parametrize("closes", [True, False])
async def test_what_is_hardly_http_is_a_failure(
    reply: bytes, closes: bool, servers: list[LlmServer], chain_of: ChainOf
) -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(reply)
        if not closes:
            await reader.read(-1)
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        chain, calls = await chain_of([f"http://127.0.0.1:{port}", servers[0].url], HASTY)
        assert await ask(chain) == "Hello."

    assert calls[0].outcome != "answered"


async def test_one_byte_at_a_time_is_silence(servers: list[LlmServer], chain_of: ChainOf) -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        try:
            while not reader.at_eof():
                writer.write(b":")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        chain, calls = await chain_of([f"http://127.0.0.1:{port}", servers[0].url], HASTY)
        assert await ask(chain) == "Hello."

    assert calls[0].outcome == "timed_out"
    assert calls[0].total_ms < TURN_S * 1000


async def test_a_connection_that_was_given_up_in_silence_is_replaced(chain_of: ChainOf) -> None:
    served = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        served.append(writer.get_extra_info("peername"))
        body = b"".join(said("Hello.").events)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        # The next request finds nobody, as behind a router that has forgotten the connection.
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n{")
        writer.transport.abort()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        chain, calls = await chain_of([f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"])
        assert await ask(chain) == "Hello."
        assert await ask(chain) == "Hello."
        server.close_clients()

    assert [call.outcome for call in calls] == ["answered", "answered"]
    assert len(set(served)) == 2


async def test_a_key_is_not_carried_to_where_a_redirect_points(servers: list[LlmServer], chain_of: ChainOf) -> None:
    servers[0].will(refused(307, Location=f"{servers[1].url}/chat/completions"))
    chain, calls = await chain_of([servers[0].url, servers[2].url])

    assert await ask(chain) == "Hello."
    assert servers[1].requests == []
    assert calls[0].outcome == "unreachable"


async def test_nothing_holds_up_the_event_loop(servers: list[LlmServer], chain_of: ChainOf) -> None:
    servers[0].will(FAULTS["endless babble"])
    servers[1].will(FAULTS["endless line"])
    chain, _ = await chain_of([server.url for server in servers])
    gaps, stop = [], asyncio.Event()

    async def watch() -> None:
        # The time that this thread has worked: what else the machine does meanwhile is not the provider's.
        last = time.thread_time()
        while not stop.is_set():
            await asyncio.sleep(0.001)
            gaps.append(time.thread_time() - last)
            last = time.thread_time()

    watcher = asyncio.create_task(watch())
    await ask(chain)
    stop.set()
    await watcher

    assert max(gaps) < 0.5


async def test_the_certificates_are_not_read_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    loop_of_call: list[bool] = []
    make = ssl.create_default_context

    def watched() -> ssl.SSLContext:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            loop_of_call.append(False)
        else:
            loop_of_call.append(True)
        return make()

    monkeypatch.setattr(ssl, "create_default_context", watched)
    await (await open_http()).aclose()

    assert loop_of_call == [False]


async def test_the_last_word_is_known_before_everything_is_read(servers: list[LlmServer], chain_of: ChainOf) -> None:
    servers[0].will(said("It is sunny. ", "Take a hat.", then="stall"))
    chain, calls = await chain_of([servers[0].url], replace(PATIENT, trailer_s=0.1))
    ended = False

    async for delta in chain.stream(PROMPT, tiers=("cloud_fast",), caller=CALLER):
        ended = isinstance(delta, Done)
    assert ended
    assert calls[0].outcome == "answered"
    assert calls[0].total_ms < TURN_S * 1000
