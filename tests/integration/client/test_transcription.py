"""Speech to text over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import logging
import math
import struct

import pytest
from wyoming.asr import Transcript
from wyoming.event import Event

from custom_components.barnabeenet.client import transcription as transcription_module
from custom_components.barnabeenet.client.audio import PIECE_BYTES
from custom_components.barnabeenet.client.errors import ConnectionLost, ProtocolError, RequestFailed, SidecarTimeout
from custom_components.barnabeenet.client.messages import Partial, Timings, VoiceHeard
from custom_components.barnabeenet.client.sidecar import Sidecar, Transcription, Voice

SECOND = bytes(32_000)
WORDS = Transcript("turn on the light", language="en").event()


class Microphone:
    """A stream of audio that says how much of it was taken and whether it was closed."""

    def __init__(self, *chunks: bytes, then_wait: bool = False) -> None:
        self.taken = 0
        self.closed = False
        self._chunks = chunks
        self._then_wait = then_wait

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for chunk in self._chunks:
                self.taken += 1
                yield chunk
            if self._then_wait:
                await asyncio.Event().wait()
        finally:
            self.closed = True


async def transcribe(sidecar: Sidecar, microphone, **options) -> Transcription:
    return await sidecar.transcribe(aiter(microphone), language="en", trace_id="trace-1", **options)


async def after_all_audio(peer, event) -> None:
    await peer.until("audio-stop")
    await peer.send(Timings("trace-1", {"decode": 90.0}).event(), WORDS)


async def test_audio_goes_up_and_words_come_down(sidecar: Sidecar, script) -> None:
    script.on["transcribe"] = after_all_audio
    spoken = bytes(8 * PIECE_BYTES)
    microphone = Microphone(spoken, spoken)
    words = await transcribe(sidecar, microphone, bias=["Stehlampe", "Arbeitszimmer"])
    assert words == Transcription("turn on the light", "en", {"decode": 90.0})
    request = next(event for event in script.heard if event.type == "transcribe")
    assert request.data["context"] == {"trace_id": "trace-1"}
    assert request.data["transcript_names"] == ["Stehlampe", "Arbeitszimmer"]
    chunks = [event.payload for event in script.heard if event.type == "audio-chunk"]
    assert b"".join(chunks) == spoken * 2
    assert {len(chunk) for chunk in chunks} == {PIECE_BYTES}
    assert microphone.closed


@pytest.mark.parametrize("size", [1, 3, 999, PIECE_BYTES + 1, 3 * PIECE_BYTES])
async def test_chunks_of_any_size_arrive_whole(sidecar: Sidecar, script, size: int) -> None:
    script.on["transcribe"] = after_all_audio
    audio = bytes(range(256)) * 20
    await transcribe(sidecar, Microphone(*(audio[start : start + size] for start in range(0, len(audio), size))))
    chunks = [event.payload for event in script.heard if event.type == "audio-chunk"]
    assert b"".join(chunks) == audio
    assert all(len(chunk) <= PIECE_BYTES and len(chunk) % 2 == 0 for chunk in chunks)


async def test_words_that_come_before_the_audio_ends_end_it(sidecar: Sidecar, script) -> None:
    async def hear_enough(peer, event) -> None:
        for _ in range(3):
            await peer.until("audio-chunk")
        await peer.send(WORDS)

    script.on["transcribe"] = hear_enough
    microphone = Microphone(*[SECOND[:320]] * 5, then_wait=True)
    assert (await transcribe(sidecar, microphone)).text == "turn on the light"
    assert microphone.closed
    assert microphone.taken == 5
    # What was said to nobody does not disturb the next request on the same connection.
    script.on["transcribe"] = after_all_audio
    assert (await transcribe(sidecar, Microphone(SECOND))).text == "turn on the light"
    assert script.gone == 0


async def test_partial_words_are_passed_on(sidecar: Sidecar, script) -> None:
    partials = [Partial("turn", 0, stable=False), Partial("turn on", 240, stable=True)]
    heard: list[Partial] = []

    async def speak(peer, event) -> None:
        await peer.until("audio-stop")
        started, stopped = Event("voice-started", {}), Event("voice-stopped", {})
        await peer.send(started, *[partial.event() for partial in partials], stopped, WORDS)

    async def on_partial(partial: Partial) -> bool:
        heard.append(partial)
        return False

    script.on["transcribe"] = speak
    await transcribe(sidecar, Microphone(SECOND), on_partial=on_partial)
    assert heard == partials


async def test_a_whole_command_in_a_partial_ends_the_audio_at_once(sidecar: Sidecar, script) -> None:
    asked: list[str] = []

    async def speak(peer, event) -> None:
        await peer.until("audio-chunk")
        await peer.send(Partial("turn on the light", 240, stable=True).event())
        await peer.send(Partial("turn on the light please", 300, stable=True).event())
        await peer.until("audio-stop")
        await peer.send(WORDS)

    async def is_command(partial: Partial) -> bool:
        asked.append(partial.text)
        return True

    script.on["transcribe"] = speak
    microphone = Microphone(SECOND, then_wait=True)
    assert (await transcribe(sidecar, microphone, on_partial=is_command)).text == "turn on the light"
    assert microphone.closed
    assert asked == ["turn on the light"]


async def test_a_whole_command_after_the_audio_has_ended_changes_nothing(sidecar: Sidecar, script) -> None:
    async def speak(peer, event) -> None:
        await peer.until("audio-stop")
        await peer.send(Partial("turn on the light", 240, stable=True).event(), WORDS)

    async def is_command(partial: Partial) -> bool:
        return True

    script.on["transcribe"] = speak
    for _ in range(2):
        await transcribe(sidecar, Microphone(SECOND), on_partial=is_command)
    assert script.count("audio-stop") == 2


async def test_at_most_a_minute_is_heard(sidecar: Sidecar, script) -> None:
    script.on["transcribe"] = after_all_audio
    microphone = Microphone(*[SECOND] * 70)
    await transcribe(sidecar, microphone)
    assert sum(len(event.payload) for event in script.heard if event.type == "audio-chunk") == 60 * len(SECOND)
    assert microphone.taken == 60
    assert microphone.closed


async def test_a_microphone_that_falls_silent_does_not_hold_up_for_ever(sidecar, script, monkeypatch) -> None:
    monkeypatch.setattr(transcription_module, "UTTERANCE_MAX_S", 0.1)
    script.on["transcribe"] = after_all_audio
    microphone = Microphone(SECOND[:320], then_wait=True)
    assert (await transcribe(sidecar, microphone)).text == "turn on the light"
    assert microphone.closed


async def test_what_the_microphone_raises_comes_out(sidecar: Sidecar, script) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield SECOND
        raise LookupError("unplugged")

    with pytest.raises(LookupError, match="unplugged"):
        await transcribe(sidecar, broken())
    await script.until(lambda: script.count("barnabeenet-cancel") == 1)


async def test_what_the_callback_raises_comes_out(sidecar: Sidecar, script) -> None:
    async def speak(peer, event) -> None:
        await peer.send(Partial("turn", 0, stable=False).event())

    async def broken(partial: Partial) -> bool:
        raise LookupError("no such sentence")

    script.on["transcribe"] = speak
    microphone = Microphone(SECOND, then_wait=True)
    with pytest.raises(LookupError, match="no such sentence"):
        await transcribe(sidecar, microphone, on_partial=broken)
    assert microphone.closed


async def test_a_cancelled_transcription_closes_the_microphone_and_keeps_the_connection(sidecar, script) -> None:
    microphone = Microphone(SECOND, then_wait=True)
    task = asyncio.create_task(transcribe(sidecar, microphone))
    await script.until(lambda: script.count("audio-chunk") == -(-len(SECOND) // PIECE_BYTES))
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert microphone.closed
    await script.until(lambda: script.count("barnabeenet-cancel") == 1)
    assert script.gone == 0


async def test_a_connection_lost_in_mid_utterance_is_told_at_once(sidecar: Sidecar, script) -> None:
    async def crash(peer, event) -> None:
        await peer.until("audio-chunk")
        peer.hang_up()

    script.on["transcribe"] = crash
    microphone = Microphone(SECOND, then_wait=True)
    with pytest.raises(ConnectionLost):
        async with asyncio.timeout(20):  # far less than a sign of life is waited for here
            await transcribe(sidecar, microphone)
    assert microphone.closed


async def test_a_sidecar_that_never_answers_is_given_up(sidecar: Sidecar, script, monkeypatch) -> None:
    monkeypatch.setattr(transcription_module, "TRANSCRIPT_S", 0.1)
    with pytest.raises(SidecarTimeout):
        await transcribe(sidecar, Microphone(SECOND))
    await script.until(lambda: script.count("barnabeenet-cancel") == 1)


async def test_a_refused_language_is_a_failed_request(sidecar: Sidecar, script) -> None:
    async def refuse(peer, event) -> None:
        await peer.connection.error("unsupported", "English only")

    script.on["transcribe"] = refuse
    with pytest.raises(RequestFailed, match="English only"):
        await transcribe(sidecar, Microphone(SECOND, then_wait=True))


async def test_an_answer_that_does_not_belong_here_ends_the_connection(sidecar: Sidecar, script) -> None:
    async def babble(peer, event) -> None:
        await peer.send(Event("detection", {"name": "okay_nabu"}))

    script.on["transcribe"] = babble
    with pytest.raises(ProtocolError):
        await transcribe(sidecar, Microphone(SECOND, then_wait=True))
    await script.until(lambda: script.gone == 1)


# The speaker's voice

HEARD = VoiceHeard("trace-1", "resemblyzer-0.1.4", 2, 1_888, 31.5, struct.pack("<2f", 0.6, -0.8))


def tells(*events: Event):
    async def tell(peer, event) -> None:
        await peer.until("audio-stop")
        await peer.send(*events, WORDS)

    return tell


async def test_a_voice_comes_with_the_words_when_it_is_asked_for(sidecar: Sidecar, script) -> None:
    script.on["transcribe"] = tells(HEARD.event(), Timings("trace-1", {"voice": 12.0}).event())
    words = await transcribe(sidecar, Microphone(SECOND), voice=True)
    assert words.text == "turn on the light"
    assert words.timings_ms == {"voice": 12.0}
    assert words.voice == Voice("resemblyzer-0.1.4", pytest.approx((0.6, -0.8)), 1_888, 31.5)
    request = next(event for event in script.heard if event.type == "transcribe")
    assert request.data["context"] == {"trace_id": "trace-1", "voice": True}


async def test_a_sidecar_that_cannot_tell_voices_leaves_it_out(sidecar: Sidecar, script) -> None:
    script.on["transcribe"] = after_all_audio
    assert (await transcribe(sidecar, Microphone(SECOND), voice=True)).voice is None


async def test_too_little_of_a_voice_is_not_the_same_as_none(sidecar: Sidecar, script) -> None:
    script.on["transcribe"] = tells(VoiceHeard("trace-1", "resemblyzer-0.1.4", 0, 320, 12).event())
    words = await transcribe(sidecar, Microphone(SECOND), voice=True)
    assert words.voice == Voice("resemblyzer-0.1.4", (), 320, 12)


def test_a_voice_does_not_show_what_it_is_like() -> None:
    shown = repr(Transcription("on", "en", {}, Voice("e", (0.6, -0.8), 1_888, 31.5)))
    assert "1888" in shown
    assert "0.6" not in shown
    assert "vector" not in shown


async def test_a_client_learns_from_the_welcome_whether_voices_can_be_told(make_sidecar, script) -> None:
    for engine in (None, "resemblyzer-0.1.4"):
        script.voice_engine = engine
        client = make_sidecar()
        assert client.voice_engine is None
        await client.start()
        assert client.voice_engine == engine


@pytest.mark.faults
@pytest.mark.parametrize(
    ("dimensions", "coordinates", "said"),
    [
        (2, (math.nan, 1.0), "finite"),
        (2, (math.inf, 0.0), "finite"),
        (2, (5.0, 0.0), "length 1"),
        (3, (1.0, 0.0), "bytes"),
    ],
    ids=["no number", "infinite", "too long", "of another size"],
)
async def test_a_voice_that_cannot_be_costs_nobody_their_words(
    sidecar: Sidecar, script, caplog: pytest.LogCaptureFixture, dimensions: int, coordinates: tuple, said: str
) -> None:
    data = HEARD.event().data | {"dimensions": dimensions}
    script.on["transcribe"] = tells(Event(HEARD.TYPE, data, struct.pack("<2f", *coordinates)))
    with caplog.at_level(logging.WARNING):
        words = await transcribe(sidecar, Microphone(SECOND), voice=True)
    assert words == Transcription("turn on the light", "en", {})
    assert said in caplog.text
    assert sidecar.available


@pytest.mark.faults
async def test_a_voice_that_nobody_asked_for_ends_the_connection(sidecar: Sidecar, script) -> None:
    script.on["transcribe"] = tells(HEARD.event())
    with pytest.raises(ProtocolError, match="wrong place"):
        await transcribe(sidecar, Microphone(SECOND))


@pytest.mark.faults
async def test_voices_without_end_are_cut_off(sidecar: Sidecar, script) -> None:
    script.on["transcribe"] = tells(*[HEARD.event()] * 3_001)
    with pytest.raises(ProtocolError, match="without end"):
        await transcribe(sidecar, Microphone(SECOND), voice=True)


@pytest.mark.faults
async def test_a_voice_that_breaks_the_contract_ends_the_connection(sidecar: Sidecar, script) -> None:
    script.on["transcribe"] = tells(Event(HEARD.TYPE, HEARD.event().data | {"snr_db": "loud"}, HEARD.payload))
    with pytest.raises(ProtocolError, match="snr_db must be a number"):
        await transcribe(sidecar, Microphone(SECOND), voice=True)
