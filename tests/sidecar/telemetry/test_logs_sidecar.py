"""The log of a real sidecar at its loudest: every request is in it, and nothing of what was said."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
import json
import os
from pathlib import Path
import secrets
import signal
import sys
from typing import Any

from wyoming.event import Event

from barnabeenet_sidecar.net.auth import proof
from barnabeenet_sidecar.net.messages import Challenge, Hello, Proof
from barnabeenet_sidecar.net.wire import HEADER_MAX_BYTES, read_event, write_event

TOKEN = "a-token-that-nobody-may-find-in-a-log"
HOME = "Villa Kunterbunt"
NAME = "Grandmother's chandelier"
REPLY = "The burglar sleeps in the wardrobe."
VOICE = "Aunt Prusseliese"
FORMAT = {"rate": 16_000, "width": 2, "channels": 1}
VOCABULARY = {
    "language": "en",
    "revision": "0123456789abcdef",
    "names": [NAME],
    "terms": ["broom cupboard"],
    "sentences": ["turn on the {name}", "what time is it"],
    "lists": {"name": [NAME]},
}


@dataclass
class Peer:
    """A home that has proved the token."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, event_type: str, data: dict[str, Any], payload: bytes | None = None) -> None:
        await write_event(self.writer, Event(event_type, data, payload))

    async def ask(self, event_type: str, data: dict[str, Any], *ends: str) -> list[Event]:
        """All events up to the first of one of these types, or an error."""
        await self.send(event_type, data)
        return await self.until(*ends)

    async def until(self, *ends: str) -> list[Event]:
        events: list[Event] = []
        async with asyncio.timeout(60):
            while not events or events[-1].type not in (*ends, "error"):
                event = await read_event(self.reader)
                assert event is not None
                events.append(event)
        return events


@asynccontextmanager
async def paired(port: int) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=HEADER_MAX_BYTES)
    peer, nonce = Peer(reader, writer), secrets.token_hex(32)
    hello = Hello(1, nonce, HOME, "a test").event()
    challenge = Challenge.from_event((await peer.ask(hello.type, hello.data, "barnabeenet-challenge"))[-1])
    offer = Proof(proof(TOKEN, "integration", nonce, challenge.nonce)).event()
    assert (await peer.ask(offer.type, offer.data, "barnabeenet-welcome"))[-1].type == "barnabeenet-welcome"
    try:
        yield peer
    finally:
        writer.close()
        await writer.wait_closed()


async def conversation(peer: Peer) -> str:
    """One request of each kind, some of them wrong; gives the words that were recognised."""
    await peer.ask("barnabeenet-vocabulary", VOCABULARY, "barnabeenet-vocabulary-ready")
    context = {"trace_id": "trace-of-speech", "rate": 16_000}
    speech = await peer.ask("synthesize", {"text": "What time is it?", "context": context}, "barnabeenet-timings")
    await peer.ask("synthesize", {"text": REPLY, "context": context}, "barnabeenet-timings")
    await peer.ask("synthesize", {"text": REPLY, "voice": {"name": VOICE}, "context": context}, "error")
    await peer.send("synthesize-start", {"context": {"trace_id": "trace-of-stream"}})
    await peer.send("synthesize-chunk", {"text": REPLY})
    await peer.ask("synthesize-stop", {}, "synthesize-stopped")
    quick_words = {"language": "en", "voice": None, "rate": 16_000, "texts": [REPLY]}
    await peer.ask("barnabeenet-quick-words", quick_words, "barnabeenet-quick-words-ready")
    await peer.ask("detect", {"names": [VOICE], "context": {"trace_id": "trace-of-wake"}}, "error")
    await peer.ask("barnabeenet-models", {"action": "activate", "model": VOICE}, "error")
    await peer.send("detect", {"context": {"trace_id": "trace-of-wake"}})
    await peer.ask("audio-stop", {}, "not-detected")
    asked = {"context": {"trace_id": "trace-of-words"}, "transcript_names": [NAME], "transcript_terms": ["wardrobe"]}
    await peer.send("transcribe", asked)
    for event in speech:
        if event.type == "audio-chunk":
            await peer.send("audio-chunk", FORMAT, event.payload)
    transcript = (await peer.ask("audio-stop", {}, "transcript"))[-1]
    words: str = transcript.data["text"]
    await peer.send("transcribe", {"context": {"trace_id": "trace-of-cancel"}})
    await peer.ask("ping", {}, "pong")
    await peer.ask("barnabeenet-cancel", {}, "barnabeenet-cancelled")
    return words


@asynccontextmanager
async def serving(tmp_path: Path, *, log_content: bool) -> AsyncIterator[tuple[int, list[str]]]:
    """A sidecar; its port and the lines of its log, which are complete after the block."""
    settings = {"HOST": "127.0.0.1", "PORT": "0", "HTTP_PORT": "0", "STT_WORKERS": "1", "TOKEN": TOKEN}
    settings |= {"LOG_LEVEL": "debug", "LOG_CONTENT": str(log_content), "DATA_DIR": str(tmp_path / "data")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "barnabeenet_sidecar", "serve"),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
        env={
            **os.environ,
            "XDG_CONFIG_HOME": str(tmp_path),
            **{f"BARNABEENET_{name}": value for name, value in settings.items()},
        },
    )
    lines: list[str] = []
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    reading = asyncio.create_task(_read(process, lines, port))
    try:
        async with asyncio.timeout(60):
            yield await port, lines
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            await reading
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await asyncio.wait([reading])


async def _read(process: asyncio.subprocess.Process, lines: list[str], port: asyncio.Future[int]) -> None:
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode():
        lines.append(line)
        if "(port)" in line:
            port.set_result(int(line.split(" port ")[1].split()[0]))
    if not port.done():
        port.set_exception(AssertionError(f"it does not listen: {lines}"))


async def test_every_line_is_an_object_and_none_tells_what_was_said(tmp_path: Path) -> None:
    async with serving(tmp_path, log_content=False) as (port, lines), paired(port) as peer:
        words = await conversation(peer)
    assert words.casefold() == "what time is it"
    log = "".join(lines).casefold()
    for secret in ("kunterbunt", "grandmother", "chandelier", "burglar", "wardrobe", "cupboard", "prusseliese", words):
        assert secret.casefold() not in log
    assert TOKEN not in log
    objects = [json.loads(line) for line in lines]
    for line in objects:
        assert {"timestamp", "level", "component", "message"} <= set(line)
    ends = [line for line in objects if line["component"] == "request"]
    assert {line["kind"]: line["outcome"] for line in ends if line["outcome"] == "ok"}.keys() >= {
        *("vocabulary", "synthesize", "quick-words", "detect", "transcribe")
    }
    [heard] = [line for line in ends if line.get("trace_id") == "trace-of-words"]
    assert (heard["kind"], heard["outcome"]) == ("transcribe", "ok")
    assert heard["latency_ms"] > 0
    assert heard["stages"]["decode"] >= 0
    assert len(heard["session"]) == 8
    [stopped] = [line for line in ends if line.get("trace_id") == "trace-of-cancel"]
    assert stopped["outcome"] == "stopped"
    assert "failed" in {line["outcome"] for line in ends if line.get("trace_id") == "trace-of-speech"}
    during = [line for line in objects if line.get("trace_id") == "trace-of-words" and line["component"] != "request"]
    assert any("is told" in line["message"] for line in during)


async def test_whoever_asks_for_it_is_told_what_was_said(tmp_path: Path) -> None:
    async with serving(tmp_path, log_content=True) as (port, lines), paired(port) as peer:
        words = await conversation(peer)
    log = "".join(lines).casefold()
    for content in ("chandelier", "burglar", "wardrobe", "cupboard", "prusseliese", words):
        assert content.casefold() in log
    assert TOKEN not in log
    assert any(line["level"] == "warning" and "log_content is on" in line["message"] for line in map(json.loads, lines))
