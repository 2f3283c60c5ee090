"""Text to speech over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.tts import SynthesizeStopped

from custom_components.barnabeenet.client import speech as speech_module
from custom_components.barnabeenet.client.errors import ConnectionLost, ProtocolError, RequestFailed, SidecarTimeout
from custom_components.barnabeenet.client.messages import TEXT_MAX_CHARS, Timings
from custom_components.barnabeenet.client.sidecar import Sidecar

RATE_HZ = 22_050
TENTH = bytes(RATE_HZ * 2 // 10)
START = AudioStart(RATE_HZ, 2, 1).event()
CHUNK = AudioChunk(RATE_HZ, 2, 1, TENTH).event()
END = [AudioStop().event(), Timings("trace-1", {"first_audio": 80.0}).event(), SynthesizeStopped().event()]


class Text:
    """A text that is being written; says how much of it was taken and whether it was closed."""

    def __init__(self, *parts: str, then_wait: bool = False) -> None:
        self.taken = 0
        self.closed = False
        self._parts = parts
        self._then_wait = then_wait

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            for part in self._parts:
                self.taken += 1
                yield part
            if self._then_wait:
                await asyncio.Event().wait()
        finally:
            self.closed = True


def speak(sidecar: Sidecar, text, **options):
    arguments = {"voice": None, "language": "en", "rate_hz": None, "trace_id": "trace-1"} | options
    return sidecar.speak(aiter(text), **arguments)


async def listen_to(speaking) -> list[bytes]:
    async with speaking as speech:
        return [chunk async for chunk in speech]


async def say_it_all(peer, event) -> None:
    await peer.until("synthesize-stop")
    await peer.send(START, CHUNK, CHUNK, *END)


async def test_text_goes_up_and_audio_comes_down(sidecar: Sidecar, script) -> None:
    script.on["synthesize-start"] = say_it_all
    text = Text("The light ", "is on. ", "Good night.")
    async with speak(sidecar, text, voice="slt", rate_hz=RATE_HZ) as speech:
        assert speech.rate_hz == RATE_HZ
        assert [chunk async for chunk in speech] == [TENTH, TENTH]
        assert speech.timings_ms == {"first_audio": 80.0}
    request = next(event for event in script.heard if event.type == "synthesize-start")
    assert request.data == {"voice": {"name": "slt"}, "context": {"trace_id": "trace-1", "rate": RATE_HZ}}
    sent = [event.data["text"] for event in script.heard if event.type == "synthesize-chunk"]
    assert sent == ["The light ", "is on. ", "Good night."]
    assert text.closed


async def test_without_a_voice_the_language_decides_and_the_rate_is_the_voices_own(sidecar: Sidecar, script) -> None:
    script.on["synthesize-start"] = say_it_all
    async with speak(sidecar, Text("Hallo."), language="de") as speech:
        assert [chunk async for chunk in speech]
    request = next(event for event in script.heard if event.type == "synthesize-start")
    assert request.data == {"voice": {"language": "de"}, "context": {"trace_id": "trace-1"}}


async def test_audio_is_there_while_the_text_is_still_being_written(sidecar: Sidecar, script) -> None:
    written = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        yield "First sentence. "
        await written.wait()
        yield "Second sentence."

    async def speak_by_sentence(peer, event) -> None:
        await peer.until("synthesize-chunk")
        await peer.send(START, CHUNK)
        await peer.until("synthesize-stop")
        await peer.send(CHUNK, *END)

    script.on["synthesize-start"] = speak_by_sentence
    async with speak(sidecar, text()) as speech:
        chunks = aiter(speech)
        assert await anext(chunks) == TENTH
        written.set()
        assert [chunk async for chunk in chunks] == [TENTH]


async def test_a_very_long_piece_of_text_is_sent_in_parts(sidecar: Sidecar, script) -> None:
    script.on["synthesize-start"] = say_it_all
    async with speak(sidecar, Text("a" * (2 * TEXT_MAX_CHARS + 5))) as speech:
        assert [chunk async for chunk in speech]
    sent = [len(event.data["text"]) for event in script.heard if event.type == "synthesize-chunk"]
    assert sent == [TEXT_MAX_CHARS, TEXT_MAX_CHARS, 5]


async def test_a_text_without_anything_to_say_is_silent(sidecar: Sidecar, script) -> None:
    async def say_nothing(peer, event) -> None:
        await peer.until("synthesize-stop")
        await peer.send(START, *END)

    script.on["synthesize-start"] = say_nothing
    async with speak(sidecar, Text()) as speech:
        assert [chunk async for chunk in speech] == []
        assert [chunk async for chunk in speech] == []


async def test_leaving_early_calls_the_speech_off_and_closes_the_text(sidecar: Sidecar, script) -> None:
    async def begin(peer, event) -> None:
        await peer.send(START, CHUNK)

    script.on["synthesize-start"] = begin
    text = Text("And so on ", then_wait=True)
    async with speak(sidecar, text) as speech:
        async for _ in speech:
            break
    assert text.closed
    await script.until(lambda: script.count("barnabeenet-cancel") == 1)
    assert script.gone == 0


async def test_a_cancelled_listener_calls_the_speech_off(sidecar: Sidecar, script) -> None:
    async def begin(peer, event) -> None:
        await peer.send(START, CHUNK)

    heard = asyncio.Event()
    text = Text("And so on ", then_wait=True)

    async def listen() -> None:
        async with speak(sidecar, text) as speech:
            async for _ in speech:
                heard.set()

    script.on["synthesize-start"] = begin
    task = asyncio.create_task(listen())
    await heard.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert text.closed
    await script.until(lambda: script.count("barnabeenet-cancel") == 1)


async def test_what_the_text_raises_comes_out_where_the_audio_is_read(sidecar: Sidecar, script) -> None:
    async def text() -> AsyncIterator[str]:
        yield "First sentence. "
        raise LookupError("the provider gave up")

    async def begin(peer, event) -> None:
        await peer.until("synthesize-chunk")
        await peer.send(START, CHUNK)

    script.on["synthesize-start"] = begin
    with pytest.raises(LookupError, match="gave up"):
        await listen_to(speak(sidecar, text()))


async def test_a_text_that_does_not_come_is_given_up(sidecar: Sidecar, script, monkeypatch) -> None:
    monkeypatch.setattr(speech_module, "TEXT_PAUSE_S", 0.05)
    with pytest.raises(SidecarTimeout, match="text"):
        await listen_to(speak(sidecar, Text(then_wait=True)))


async def test_a_sidecar_that_does_not_begin_is_given_up(sidecar: Sidecar, script, monkeypatch) -> None:
    monkeypatch.setattr(speech_module, "AUDIO_S", 0.1)
    with pytest.raises(SidecarTimeout):
        await listen_to(speak(sidecar, Text("Good night.")))


async def test_a_connection_lost_in_mid_speech_ends_the_audio_with_an_error(sidecar: Sidecar, script) -> None:
    async def crash(peer, event) -> None:
        await peer.until("synthesize-stop")
        await peer.send(START, CHUNK)
        peer.connection.writer.close()

    script.on["synthesize-start"] = crash
    async with speak(sidecar, Text("Good night.")) as speech:
        chunks = aiter(speech)
        assert await anext(chunks) == TENTH
        with pytest.raises(ConnectionLost):
            await anext(chunks)


async def test_a_voice_that_is_not_there_is_a_failed_request(sidecar: Sidecar, script) -> None:
    async def refuse(peer, event) -> None:
        await peer.connection.error("unsupported", "no such voice")

    script.on["synthesize-start"] = refuse
    with pytest.raises(RequestFailed, match="no such voice"):
        await listen_to(speak(sidecar, Text("Good night.", then_wait=True), voice="nobody"))


@pytest.mark.parametrize(
    "answers",
    [
        [CHUNK],
        [START, START],
        [START, AudioChunk(8_000, 2, 1, TENTH).event()],
        [START, Event("transcript", {"text": "x"})],
    ],
    ids=["no beginning", "two beginnings", "another rate", "words"],
)
async def test_an_answer_that_does_not_belong_here_ends_the_connection(sidecar: Sidecar, script, answers) -> None:
    async def babble(peer, event) -> None:
        await peer.until("synthesize-stop")
        await peer.send(*answers)

    script.on["synthesize-start"] = babble
    with pytest.raises(ProtocolError):
        await listen_to(speak(sidecar, Text("Good night.")))
    await script.until(lambda: script.gone == 1)


@pytest.mark.parametrize(
    "event", [CHUNK, AudioChunk(RATE_HZ, 2, 1, b"12").event(), END[1]], ids=["audio", "crumbs of audio", "timings"]
)
async def test_an_answer_without_end_is_cut_off(sidecar: Sidecar, script, event: Event, monkeypatch) -> None:
    monkeypatch.setattr(speech_module, "_LEAST_S", 0)

    async def flood(peer, _) -> None:
        await peer.send(START)
        while True:
            await peer.send(event)
            await asyncio.sleep(0)

    script.on["synthesize-start"] = flood
    heard: list[bytes] = []

    async def listen() -> None:
        async with speak(sidecar, Text("Yes.")) as speech:
            async for chunk in speech:
                heard.append(chunk)  # noqa: PERF401 - what was heard before the error counts

    with pytest.raises(ProtocolError):
        await listen()
    assert sum(map(len, heard)) <= len("Yes.") * RATE_HZ * 2


async def test_a_listener_that_pauses_loses_nothing(sidecar: Sidecar, script) -> None:
    script.on["synthesize-start"] = say_it_all
    async with speak(sidecar, Text("Good night.")) as speech:
        chunks = aiter(speech)
        await anext(chunks)
        await asyncio.sleep(0.05)
        assert [chunk async for chunk in chunks] == [TENTH]
