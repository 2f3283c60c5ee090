"""The integration's own client, and one authenticated connection of it that carries request after request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
import time
from types import ModuleType
from typing import Any

from .integration import part

SAMPLE_RATE_HZ, SAMPLE_BYTES = 16_000, 2
# What a satellite sends at a time.
CHUNK_MS = 32
CHUNK_BYTES = SAMPLE_RATE_HZ * SAMPLE_BYTES * CHUNK_MS // 1000
_TRACE_ID = "bench"
_SETTLE_S = 0.1


def _module(name: str) -> ModuleType:
    return part(f"client.{name}")


# What goes wrong between client and sidecar, whatever it is.
ClientError: type[Exception] = _module("errors").SidecarError


@dataclass(frozen=True)
class Spoken:
    """How long a text took to its first audio and to its last, and how much audio there was."""

    first_ms: float
    all_ms: float
    audio_bytes: int


@dataclass(frozen=True)
class Heard:
    """Recognised words, how long after the end of the speech they came, and whether the speaker's voice came along."""

    text: str
    after_ms: float
    has_voice: bool = False


class Client:
    """Talks to a sidecar as the integration does, on one connection; every method raises ClientError."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, port: int, token: str, *, home: str, source: str = "127.0.0.1") -> Client:
        """Dials from a source address and shakes hands; the sidecar counts connections by address."""
        connection, hello, wire = _module("connection"), _module("hello"), _module("wire")
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, limit=wire.HEADER_MAX_BYTES, local_addr=(source, 0)
        )
        welcome = await hello.shake_hands(reader, writer, token, home=home, software="bench")
        return cls(connection.Connection(reader, writer, welcome))

    async def close(self) -> None:
        """Closes the connection."""
        await self._connection.close()

    async def ping(self) -> None:
        """A round trip that asks for nothing."""
        await self._connection.ping()

    async def describe(self) -> None:
        """Asks what the sidecar can do, and checks the answer."""
        await _module("info").describe(self._connection)

    async def set_vocabulary(
        self, revision: str, sentences: Sequence[str], lists: dict[str, Sequence[str]], *, answer_s: float = 60
    ) -> None:
        """Has the sidecar know what is said in this home."""
        messages = _module("messages")
        values = {name: list(entries) for name, entries in lists.items()}
        vocabulary = messages.Vocabulary("en", revision, sentences=list(sentences), lists=values)
        async with self.request(vocabulary.event(), answer_s=answer_s) as exchange:
            await exchange.expect(messages.VocabularyReady.TYPE)

    async def speak(self, text: str, *, rate_hz: int | None = None) -> Spoken:
        """Has a text spoken and takes all of its audio."""

        async def pieces() -> AsyncIterator[str]:
            yield text

        started, first_ms, audio_bytes = time.perf_counter(), 0.0, 0
        async with _module("speech").speak(
            self, pieces(), voice=None, language="en", rate_hz=rate_hz, trace_id=_TRACE_ID
        ) as speech:
            async for pcm in speech:
                first_ms = first_ms or _ms_since(started)
                audio_bytes += len(pcm)
        return Spoken(first_ms, _ms_since(started), audio_bytes)

    async def transcribe(
        self, pcm: bytes, *, pace: float = 1.0, silence_s: float = 0.0, voice: bool = False, as_command: bool = False
    ) -> Heard:
        """Has audio recognised that is sent `pace` times as fast as it was spoken, with silence after it.

        `voice` asks for the speaker's voice; with `as_command` the first stable words are taken for the whole.
        """
        stopped = 0.0

        async def microphone() -> AsyncIterator[bytes]:
            nonlocal stopped
            async for chunk in paced(pcm, pace):
                yield chunk
            stopped = time.perf_counter()
            async for chunk in paced(bytes(int(silence_s * SAMPLE_RATE_HZ) * SAMPLE_BYTES), pace):
                yield chunk

        async def is_whole(partial: Any) -> bool:
            return as_command and bool(stopped) and bool(partial.stable)

        found = await _module("transcription").transcribe(
            self, microphone(), language="en", trace_id=_TRACE_ID, on_partial=is_whole, voice=voice
        )
        if not stopped:
            raise ClientError("the sidecar took a pause in this audio for its end: choose another recording")
        return Heard(found.text, _ms_since(stopped), found.voice is not None)

    async def watch(self, pcm: bytes) -> float:
        """Has audio without a wake word watched; milliseconds from its last chunk to the answer that none was heard."""
        last = 0.0

        async def microphone() -> AsyncIterator[tuple[bytes, int]]:
            nonlocal last
            yield pcm[:-CHUNK_BYTES], 0
            await asyncio.sleep(_SETTLE_S)
            last = time.perf_counter()
            yield pcm[-CHUNK_BYTES:], 0

        found = await _module("detection").detect(self, microphone(), names=None, trace_id=_TRACE_ID)
        if found is not None:
            raise ClientError("the sidecar heard a wake word in a command: choose another recording")
        return _ms_since(last)

    @asynccontextmanager
    async def request(self, event: Any, upload: Any = None, **limits: float) -> AsyncIterator[Any]:
        """What the client's requests ask of its pool: an exchange on a connection, here always the same one."""
        exchange_, connection = _module("exchange"), self._connection
        await connection.begin(event)
        exchange = exchange_.Exchange(connection, upload, **limits)
        try:
            yield exchange
        finally:
            await exchange.close()
            if exchange.finished:
                connection.rest()
            else:
                await exchange_.call_off(connection)


async def paced(pcm: bytes, pace: float) -> AsyncIterator[bytes]:
    """16 kHz audio in chunks, each when it would have been spoken."""
    started = time.perf_counter()
    for start in range(0, len(pcm), CHUNK_BYTES):
        chunk = pcm[start : start + CHUNK_BYTES]
        due_s = (start + len(chunk)) / (SAMPLE_RATE_HZ * SAMPLE_BYTES) / pace
        await asyncio.sleep(max(0.0, due_s - (time.perf_counter() - started)))
        yield chunk


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
