"""Conversations over a real socket with real engines and real recordings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
import wave

import psutil
import pytest
from wyoming.event import Event
from wyoming.info import Info

from barnabeenet_sidecar.audio.endpoint import PAUSE_MS
from barnabeenet_sidecar.engines.catalogue import Engines, choose
from barnabeenet_sidecar.gpu.queue import WorkQueue
from barnabeenet_sidecar.net import transcription
from barnabeenet_sidecar.net.auth import Authenticator
from barnabeenet_sidecar.net.handler import Handler
from barnabeenet_sidecar.net.server import Server
from barnabeenet_sidecar.net.wire import read_event
from barnabeenet_sidecar.telemetry.metrics import Metrics

Serve = Callable[..., Awaitable[Server]]
Dial = Callable[..., Awaitable[Any]]
Make = Callable[..., Authenticator]

FORMAT = {"rate": 16_000, "width": 2, "channels": 1}
VOCABULARY = {
    "language": "en",
    "revision": "0123456789abcdef",
    "names": ["Bed Light", "Front Door"],
    "terms": [],
    "sentences": [
        "turn on the lights in the {area}",
        "turn off lights in the {area}",
        "lock the {name}",
        "what time is it",
        "what's the weather",
        "cancel all timers",
    ],
    "lists": {"area": ["office", "kitchen"], "name": ["front door", "bed light"]},
}
LOCK = "s2p_en_human/lock_the_Front_Door.wav"
# Where in it the person is in the middle of speaking.
MID_SPEECH_BYTES = 32 * 1500
STORY = "The quick brown fox jumps over the lazy dog. " * 60


@pytest.fixture
async def engines(tmp_path: Path) -> AsyncIterator[Engines]:
    """None of them loaded: a test loads those that it needs."""
    engines = choose(tts="espeak", vad="silero", wake="microwakeword", stt_workers=1, data_dir=tmp_path)
    yield engines
    await engines.close()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def handler(engines: Engines, metrics: Metrics) -> Handler:
    return Handler(engines, metrics, queue=WorkQueue(1))


@pytest.fixture
async def server(serve: Serve, handler: Handler, authenticator: Make) -> Server:
    return await serve(handler, authenticator=authenticator())


@pytest.fixture
async def home(server: Server, dial: Dial) -> Any:
    """An integration that has proved the token."""
    peer = await dial(server)
    await peer.hello()
    return peer


@pytest.fixture
async def plain(serve: Serve, handler: Handler, dial: Dial) -> Any:
    """Any Wyoming client, on the plain listener."""
    return await dial(await serve(handler, authenticator=None))


@pytest.fixture
async def ears(engines: Engines) -> None:
    """Recognition with the vocabulary of a home, and voice activity."""
    await asyncio.gather(engines.stt.load(), engines.vad.load())


@pytest.fixture
async def voice(engines: Engines) -> None:
    await engines.tts.load()


def pcm(recording: Path) -> bytes:
    with wave.open(str(recording)) as reader:
        assert (reader.getframerate(), reader.getsampwidth(), reader.getnchannels()) == (16_000, 2, 1)
        return reader.readframes(reader.getnframes())


def silence(milliseconds: int) -> bytes:
    return bytes(32 * milliseconds)


async def say(peer: Any, audio: bytes, *, chunk_ms: int = 100) -> None:
    step = 32 * chunk_ms
    for start in range(0, len(audio), step):
        await peer.send("audio-chunk", FORMAT, audio[start : start + step])


async def receive(peer: Any) -> Event:
    """The next event; a machine that is busy with other things may take its time."""
    async with asyncio.timeout(30):
        event = await read_event(peer.reader)
    assert event is not None, "the connection ended"
    return event


async def ask(peer: Any, event_type: str, data: dict[str, Any] | None = None, payload: bytes | None = None) -> Event:
    await peer.send(event_type, data, payload)
    return await receive(peer)


async def until(peer: Any, *types: str) -> list[Event]:
    """All events up to the first of one of these types."""
    events = [await receive(peer)]
    while events[-1].type not in types:
        events.append(await receive(peer))
    return events


async def teach(peer: Any) -> Event:
    return await ask(peer, "barnabeenet-vocabulary", VOCABULARY)


async def stable_words(peer: Any) -> Event:
    while not (event := (await until(peer, "barnabeenet-partial"))[-1]).data["stable"]:
        pass
    return event


async def is_idle(peer: Any) -> bool:
    """Whether nothing more comes before the answer to a ping."""
    return (await ask(peer, "ping", {"text": "still there"})).type == "pong"


def types_of(events: Sequence[Event]) -> list[str]:
    return [event.type for event in events]


def text_of(event: Event) -> str:
    return "".join(letter for letter in event.data["text"].casefold() if letter.isalnum() or letter == " ")


def audio_of(events: Sequence[Event]) -> bytes:
    return b"".join(event.payload or b"" for event in events if event.type == "audio-chunk")


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


async def reached(condition: Callable[[], bool]) -> None:
    """Waits for what the server does on its own time."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


# describe, ping and what is not a request


async def test_only_what_is_loaded_is_described(home: Any, engines: Engines) -> None:
    info = Info.from_event(await ask(home, "describe"))
    assert (info.asr, info.tts, info.wake) == ([], [], [])
    await engines.tts.load()
    info = Info.from_event(await ask(home, "describe"))
    assert [program.name for program in info.tts] == [engines.tts.name]
    assert info.asr == []


async def test_a_home_is_told_that_the_sidecar_hears_the_end_of_speech(home: Any, ears: None) -> None:
    info = Info.from_event(await ask(home, "describe"))
    assert info.asr[0].requires_external_vad is False
    assert info.asr[0].supports_transcript_streaming is False


async def test_a_plain_client_keeps_its_own_ear_for_the_end_of_speech(plain: Any, ears: None) -> None:
    assert Info.from_event(await ask(plain, "describe")).asr[0].requires_external_vad is True


async def test_without_voice_activity_detection_a_home_needs_its_own_too(home: Any, engines: Engines) -> None:
    await engines.stt.load()
    assert Info.from_event(await ask(home, "describe")).asr[0].requires_external_vad is True


async def test_every_voice_and_wake_word_is_described_with_its_language(home: Any, engines: Engines) -> None:
    await asyncio.gather(engines.tts.load(), engines.wake.load())
    info = Info.from_event(await ask(home, "describe"))
    assert info.tts[0].supports_synthesize_streaming is True
    assert [voice.name for voice in info.tts[0].voices] == [voice.name for voice in engines.tts.get().voices]
    assert all(voice.installed and len(voice.languages) == 1 for voice in info.tts[0].voices)
    assert {"okay_nabu", "hey_jarvis"} <= {model.name for model in info.wake[0].models}


async def test_a_ping_is_answered_with_its_text(home: Any) -> None:
    assert (await ask(home, "ping", {"text": "42"})).data == {"text": "42"}


async def test_an_answer_is_not_taken_for_a_request(home: Any) -> None:
    error = await ask(home, "transcript", {"text": "turn on the light"})
    assert error.data["code"] == "bad-request"
    assert await is_idle(home)


async def test_audio_and_text_that_nobody_asked_for_are_passed_over(home: Any) -> None:
    await home.send("audio-start", FORMAT)
    await say(home, silence(100))
    await home.send("audio-stop")
    await home.send("synthesize-chunk", {"text": "hello"})
    await home.send("synthesize-stop")
    assert await is_idle(home)


@pytest.mark.parametrize(
    ("request_type", "data"),
    [("transcribe", {}), ("synthesize", {"text": "hello"}), ("synthesize-start", {}), ("detect", {})],
)
async def test_what_no_engine_here_does_is_refused_with_the_reason(
    home: Any, request_type: str, data: dict[str, Any]
) -> None:
    error = await ask(home, request_type, data)
    assert (error.type, error.data["code"]) == ("error", "unsupported")
    assert "still loading" in error.data["text"]
    assert await is_idle(home)


# transcribe


async def test_a_spoken_command_becomes_words_without_an_audio_stop(home: Any, ears: None, recordings: Path) -> None:
    assert (await teach(home)).data["unknown"] == []
    await home.send("transcribe", {"language": "en", "context": {"trace_id": "t1"}})
    await home.send("audio-start", FORMAT)
    await say(home, pcm(recordings / LOCK) + silence(1000))
    events = await until(home, "transcript")
    assert text_of(events[-1]) == "lock the front door"
    kinds = types_of(events)
    assert kinds[0] == "voice-started"
    assert kinds[-3:] == ["voice-stopped", "barnabeenet-timings", "transcript"]
    timings = events[-2].data
    assert timings["trace_id"] == "t1"
    assert 500 < timings["stages"]["speech"] < 3000
    assert 700 <= timings["stages"]["endpoint"] < 1000
    assert events[0].data["timestamp"] < events[-3].data["timestamp"]


async def test_stable_words_come_in_the_pause_and_an_audio_stop_makes_them_final(
    home: Any, ears: None, recordings: Path, metrics: Metrics
) -> None:
    def decodes() -> float:
        return sample(metrics, "barnabeenet_queue_wait_seconds_count", priority="short", kind="recognition")

    await teach(home)
    await home.send("transcribe", {"vad_sensitivity": "relaxed"})
    await say(home, pcm(recordings / LOCK) + silence(300))
    stable = await stable_words(home)
    decoded = decodes()
    assert text_of(stable) == "lock the front door"
    assert stable.data["silence_ms"] >= PAUSE_MS
    await home.send("audio-stop")
    events = await until(home, "transcript")
    assert types_of(events) == ["voice-stopped", "barnabeenet-timings", "transcript"]
    assert events[-1].data["text"] == stable.data["text"]
    assert events[1].data["stages"]["endpoint"] < 1200
    # They were not decoded again.
    assert decodes() == decoded > 0


async def test_provisional_words_come_while_the_person_still_speaks(home: Any, ears: None, recordings: Path) -> None:
    await teach(home)
    await home.send("transcribe")
    await say(home, pcm(recordings / LOCK)[:MID_SPEECH_BYTES])
    events = await until(home, "barnabeenet-partial")
    assert types_of(events) == ["voice-started", "barnabeenet-partial"]
    assert events[-1].data["stable"] is False


async def test_words_said_after_a_pause_are_not_lost(home: Any, ears: None, recordings: Path) -> None:
    await teach(home)
    await home.send("transcribe")
    speech, hesitation_at = pcm(recordings / LOCK), 32 * 1080
    await say(home, speech[:hesitation_at] + silence(350))
    assert text_of(await stable_words(home)) != "lock the front door"
    await say(home, speech[hesitation_at:] + silence(1000))
    assert text_of((await until(home, "transcript"))[-1]) == "lock the front door"


async def test_the_end_of_the_audio_ends_an_utterance_in_mid_speech(home: Any, ears: None, recordings: Path) -> None:
    await teach(home)
    await home.send("transcribe")
    await say(home, pcm(recordings / LOCK)[: 32 * 1696])
    await home.send("audio-stop")
    events = await until(home, "transcript")
    assert text_of(events[-1]) == "lock the front door"


async def test_eight_seconds_without_a_word_are_an_empty_transcript(home: Any, ears: None) -> None:
    await home.send("transcribe")
    await say(home, silence(8500), chunk_ms=1000)
    events = await until(home, "transcript")
    assert types_of(events) == ["barnabeenet-timings", "transcript"]
    assert events[-1].data["text"] == ""


async def test_an_utterance_without_audio_is_an_empty_transcript(home: Any, ears: None) -> None:
    await home.send("transcribe")
    await home.send("audio-stop")
    assert (await until(home, "transcript"))[-1].data["text"] == ""


async def test_audio_after_the_transcript_is_dropped_until_the_next_request(
    home: Any, ears: None, recordings: Path
) -> None:
    await teach(home)
    speech = pcm(recordings / LOCK) + silence(1000)
    for _ in range(2):
        await home.send("transcribe")
        await say(home, speech)
        assert text_of((await until(home, "transcript"))[-1]) == "lock the front door"
        await say(home, speech)
        await home.send("audio-stop")
        assert await is_idle(home)


async def test_a_minute_is_the_longest_utterance(plain: Any, engines: Engines, recordings: Path) -> None:
    await engines.stt.load()
    await plain.send("transcribe")
    await say(plain, pcm(recordings / LOCK) + silence(60_000), chunk_ms=1000)
    assert types_of(await until(plain, "transcript")) == ["transcript"]


async def test_a_recogniser_is_not_kept_waiting_for_audio_that_hardly_comes(
    home: Any, ears: None, monkeypatch: pytest.MonkeyPatch, recordings: Path
) -> None:
    monkeypatch.setattr(transcription, "_LISTEN_S", 0.2)
    await home.send("transcribe")
    await say(home, silence(100))
    error = await receive(home)
    assert error.data["code"] == "bad-request"
    assert "audio-stop" in error.data["text"]
    assert await is_idle(home)


async def test_a_home_is_told_when_every_recogniser_stays_busy(
    home: Any, server: Server, dial: Dial, ears: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await home.send("transcribe")
    await say(home, silence(100))
    assert await is_idle(home)
    other = await dial(server)
    await other.hello()
    # For this one alone: before and after it a recogniser that is free may be slow to come.
    with monkeypatch.context() as impatience:
        impatience.setattr(transcription, "_WORKER_WAIT_S", 0.2)
        error = await ask(other, "transcribe")
    assert error.data["code"] == "engine-failed"
    assert "stt_workers" in error.data["text"]
    await home.send("audio-stop")
    assert (await until(home, "transcript"))[-1].data["text"] == ""
    await other.send("transcribe")
    await other.send("audio-stop")
    assert (await until(other, "transcript"))[-1].data["text"] == ""


async def test_audio_of_another_rate_is_refused_and_the_connection_goes_on(home: Any, ears: None) -> None:
    await home.send("transcribe")
    error = await ask(home, "audio-chunk", {**FORMAT, "rate": 8000}, silence(100))
    assert error.data["code"] == "bad-request"
    assert "16000" in error.data["text"]
    await say(home, silence(500))
    assert await is_idle(home)


async def test_a_language_that_nobody_here_knows_is_refused(home: Any, ears: None) -> None:
    error = await ask(home, "transcribe", {"language": "tlh"})
    assert error.data["code"] == "unsupported"
    assert await is_idle(home)


async def test_an_unknown_sensitivity_is_refused_with_those_there_are(home: Any, ears: None) -> None:
    error = await ask(home, "transcribe", {"vad_sensitivity": "nervous"})
    assert error.data["code"] == "bad-request"
    assert "relaxed" in error.data["text"]


async def test_a_second_request_is_refused_and_the_first_goes_on(
    home: Any, ears: None, voice: None, recordings: Path
) -> None:
    await teach(home)
    await home.send("transcribe")
    error = await ask(home, "synthesize", {"text": "hello"})
    assert error.data["code"] == "bad-request"
    assert "transcribe is still being answered" in error.data["text"]
    await say(home, pcm(recordings / LOCK) + silence(1000))
    assert text_of((await until(home, "transcript"))[-1]) == "lock the front door"


async def test_a_cancelled_utterance_says_nothing_more(
    home: Any, ears: None, recordings: Path, metrics: Metrics
) -> None:
    await teach(home)
    await home.send("transcribe")
    await say(home, pcm(recordings / LOCK)[:MID_SPEECH_BYTES])
    await until(home, "voice-started")
    await home.send("barnabeenet-cancel")
    assert "transcript" not in types_of(await until(home, "barnabeenet-cancelled"))
    await say(home, silence(2000))
    assert await is_idle(home)
    assert sample(metrics, "barnabeenet_requests_total", kind="transcribe", outcome="stopped") == 1


async def test_a_cancel_with_nothing_to_cancel_is_answered_too(home: Any) -> None:
    assert (await ask(home, "barnabeenet-cancel")).type == "barnabeenet-cancelled"


async def test_a_home_that_hangs_up_frees_the_recogniser_for_the_next(
    server: Server, dial: Dial, ears: None, metrics: Metrics, recordings: Path
) -> None:
    for _ in range(3):
        gone = await dial(server)
        await gone.hello()
        await gone.send("transcribe")
        await say(gone, pcm(recordings / LOCK))
        await gone.close()
    await reached(lambda: sample(metrics, "barnabeenet_connections", listener="authenticated") == 0)
    assert sample(metrics, "barnabeenet_requests_active", kind="transcribe") == 0

    home = await dial(server)
    await home.hello()
    await teach(home)
    await home.send("transcribe")
    await say(home, pcm(recordings / LOCK) + silence(1000))
    assert text_of((await until(home, "transcript"))[-1]) == "lock the front door"


async def test_a_recogniser_that_dies_is_told_and_replaced(home: Any, ears: None, recordings: Path) -> None:
    await teach(home)
    await home.send("transcribe")
    await say(home, pcm(recordings / LOCK)[:MID_SPEECH_BYTES])
    await until(home, "voice-started")
    for worker in psutil.Process().children(recursive=True):
        worker.kill()
    await home.send("audio-stop")
    error = (await until(home, "error"))[-1]
    assert error.data["code"] == "engine-failed"
    await home.send("transcribe")
    await say(home, pcm(recordings / LOCK) + silence(1000))
    assert text_of((await until(home, "transcript"))[-1]) == "lock the front door"


# vocabulary


async def test_a_vocabulary_is_taken_and_reported(home: Any, engines: Engines) -> None:
    await engines.stt.load()
    ready = await teach(home)
    assert ready.type == "barnabeenet-vocabulary-ready"
    assert ready.data["revision"] == VOCABULARY["revision"]
    assert ready.data["words"] > 10
    assert ready.data["sentences"] >= len(VOCABULARY["sentences"])
    assert engines.stt.get().vocabulary_revision("our home") == VOCABULARY["revision"]


async def test_the_plain_listener_uses_the_vocabulary_set_last(
    home: Any, plain: Any, ears: None, recordings: Path
) -> None:
    await teach(home)
    await plain.send("transcribe", {"language": "en"})
    await plain.send("audio-start", FORMAT)
    await say(plain, pcm(recordings / LOCK))
    await plain.send("audio-stop")
    events = await until(plain, "transcript")
    assert text_of(events[-1]) == "lock the front door"
    assert types_of(events) == ["transcript"]


async def test_a_plain_client_may_pause_as_long_as_it_likes(
    home: Any, plain: Any, ears: None, recordings: Path
) -> None:
    await teach(home)
    await plain.send("transcribe")
    await say(plain, silence(9000) + pcm(recordings / LOCK) + silence(2000))
    await plain.send("audio-stop")
    assert text_of((await until(plain, "transcript"))[-1]) == "lock the front door"


async def test_no_stranger_may_set_a_vocabulary_or_cancel(plain: Any, ears: None) -> None:
    assert (await teach(plain)).data["code"] == "bad-request"
    assert (await ask(plain, "barnabeenet-cancel")).data["code"] == "bad-request"


# synthesize


async def test_a_text_is_spoken_in_one_stream_of_audio(home: Any, voice: None, engines: Engines) -> None:
    await home.send("synthesize", {"text": "It is ten past nine. The lamp is on.", "context": {"trace_id": "t2"}})
    events = await until(home, "barnabeenet-timings")
    kinds = types_of(events)
    assert kinds[0] == "audio-start"
    assert set(kinds[1:-2]) == {"audio-chunk"}
    assert kinds[-2:] == ["audio-stop", "barnabeenet-timings"]
    rate_hz = engines.tts.get().rate_hz
    assert events[0].data["rate"] == events[1].data["rate"] == rate_hz
    assert 1.5 < len(audio_of(events)) / 2 / rate_hz < 8
    assert all(len(event.payload or b"") <= rate_hz // 2 for event in events)
    stages = events[-1].data["stages"]
    assert events[-1].data["trace_id"] == "t2"
    assert 0 < stages["first_audio"] <= stages["audio"]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
async def test_speech_comes_at_the_rate_that_was_asked_for(
    home: Any, voice: None, engines: Engines, rate_hz: int
) -> None:
    own_rate_hz = engines.tts.get().rate_hz
    await home.send("synthesize", {"text": "The lamp is on."})
    own = audio_of(await until(home, "barnabeenet-timings"))
    await home.send("synthesize", {"text": "The lamp is on.", "context": {"rate": rate_hz}})
    events = await until(home, "barnabeenet-timings")
    assert {event.data["rate"] for event in events if event.type in ("audio-start", "audio-chunk")} == {rate_hz}
    # The same text is not always as long: it depends on what the library has said before.
    assert len(audio_of(events)) / rate_hz == pytest.approx(len(own) / own_rate_hz, rel=0.03)


async def test_a_streamed_reply_is_heard_from_its_first_whole_sentence(home: Any, voice: None) -> None:
    await home.send("synthesize-start", {"context": {"trace_id": "t3"}})
    for text in ("It is ten ", "past nine. T", "he lamp"):
        await home.send("synthesize-chunk", {"text": text})
    assert types_of(await until(home, "audio-chunk")) == ["audio-start", "audio-chunk"]
    await home.send("synthesize-chunk", {"text": " is on."})
    await home.send("synthesize", {"text": "It is ten past nine. The lamp is on."})
    await home.send("synthesize-stop")
    kinds = types_of(await until(home, "synthesize-stopped"))
    assert kinds[-3:] == ["audio-stop", "barnabeenet-timings", "synthesize-stopped"]
    assert set(kinds[:-3]) == {"audio-chunk"}
    assert await is_idle(home)


async def test_a_streamed_reply_is_as_long_as_the_whole_one(home: Any, voice: None) -> None:
    sentences = ["It is ten past nine. ", "The lamp is on."]
    await home.send("synthesize", {"text": "".join(sentences)})
    whole = audio_of(await until(home, "barnabeenet-timings"))
    await home.send("synthesize-start")
    for text in sentences:
        await home.send("synthesize-chunk", {"text": text})
    await home.send("synthesize-stop")
    streamed = audio_of(await until(home, "synthesize-stopped"))
    # espeak-ng trembles a little, so that no two renderings have the same bytes.
    assert len(streamed) == pytest.approx(len(whole), rel=0.02)


@pytest.mark.parametrize("text", ["", "   ", "\n"])
async def test_nothing_to_say_is_an_empty_stream_of_audio(home: Any, voice: None, text: str) -> None:
    await home.send("synthesize", {"text": text})
    kinds = types_of(await until(home, "barnabeenet-timings"))
    assert kinds == ["audio-start", "audio-stop", "barnabeenet-timings"]


async def test_an_unknown_voice_ends_a_streamed_reply_and_the_rest_of_it_is_not_spoken(home: Any, voice: None) -> None:
    await home.send("synthesize-start", {"voice": {"name": "no such voice"}})
    await home.send("synthesize-chunk", {"text": "Hello. It is me. "})
    events = await until(home, "error")
    assert events[-1].data["code"] == "unsupported"
    await home.send("synthesize-chunk", {"text": "Are you there?"})
    await home.send("synthesize", {"text": "Hello. It is me. Are you there?"})
    await home.send("synthesize-stop")
    assert await is_idle(home)
    await home.send("synthesize", {"text": "Hello."})
    assert audio_of(await until(home, "barnabeenet-timings"))


async def test_a_streamed_reply_without_end_is_refused(home: Any, voice: None) -> None:
    await home.send("synthesize-start")
    for _ in range(3):
        await home.send("synthesize-chunk", {"text": "and so on " * 800})
    events = await until(home, "error")
    assert events[-1].data["code"] == "bad-request"
    assert "16384" in events[-1].data["text"]
    await home.send("synthesize-stop")
    assert await is_idle(home)


async def test_a_cancel_stops_the_voice_in_mid_sentence(home: Any, voice: None, metrics: Metrics) -> None:
    await home.send("synthesize", {"text": STORY})
    await until(home, "audio-chunk")
    await home.send("barnabeenet-cancel")
    events = await until(home, "barnabeenet-cancelled")
    assert "audio-stop" not in types_of(events)
    assert await is_idle(home)
    assert sample(metrics, "barnabeenet_requests_total", kind="synthesize", outcome="stopped") == 1


async def test_a_cancelled_stream_leaves_the_next_text_alone(home: Any, voice: None) -> None:
    await home.send("synthesize-start")
    await home.send("synthesize-chunk", {"text": "It is ten past nine. The lamp "})
    await until(home, "audio-chunk")
    await home.send("barnabeenet-cancel")
    await until(home, "barnabeenet-cancelled")
    await home.send("synthesize", {"text": "Never mind."})
    assert types_of(await until(home, "barnabeenet-timings"))[0] == "audio-start"


async def test_a_reader_who_does_not_read_stops_the_voice_but_nobody_else(
    home: Any, server: Server, dial: Dial, voice: None, metrics: Metrics
) -> None:
    await home.send("synthesize", {"text": STORY[:16_000], "context": {"rate": 48_000}})
    other = await dial(server)
    await other.hello()
    await other.send("synthesize", {"text": "I am served all the same."})
    assert audio_of(await until(other, "barnabeenet-timings"))
    assert sample(metrics, "barnabeenet_requests_active", kind="synthesize") == 1

    await home.close()
    await reached(lambda: sample(metrics, "barnabeenet_requests_active", kind="synthesize") == 0)
    assert sample(metrics, "barnabeenet_requests_total", kind="synthesize", outcome="stopped") == 1


async def test_a_plain_client_hears_no_event_that_is_not_wyomings(plain: Any, voice: None) -> None:
    await plain.send("synthesize-start")
    await plain.send("synthesize-chunk", {"text": "Hello. It is me."})
    await plain.send("synthesize", {"text": "Hello. It is me."})
    await plain.send("synthesize-stop")
    kinds = types_of(await until(plain, "synthesize-stopped"))
    assert kinds[0] == "audio-start"
    assert kinds[-2:] == ["audio-stop", "synthesize-stopped"]
    assert set(kinds[1:-2]) == {"audio-chunk"}


# detect


async def test_a_wake_word_is_heard_and_counted_and_the_audio_after_it_dropped(
    home: Any, engines: Engines, metrics: Metrics, recordings: Path
) -> None:
    await engines.wake.load()
    await home.send("detect", {"names": ["hey_jarvis"]})
    await home.send("audio-start", FORMAT)
    audio = pcm(recordings / "wake/wow_hey_jarvis.wav") + silence(500)
    await say(home, audio, chunk_ms=30)
    detection = (await until(home, "detection"))[-1]
    assert detection.data["name"] == "hey_jarvis"
    assert 500 < detection.data["timestamp"] <= 2500
    await say(home, audio, chunk_ms=30)
    await home.send("audio-stop")
    assert await is_idle(home)
    assert sample(metrics, "barnabeenet_wake_detections_total", wake_word="hey_jarvis") == 1


async def test_a_client_that_dates_its_audio_hears_when_the_wake_word_came_in_its_own_time(
    home: Any, engines: Engines, recordings: Path
) -> None:
    await engines.wake.load()
    await home.send("detect", {"names": ["hey_jarvis"]})
    audio = pcm(recordings / "wake/wow_hey_jarvis.wav") + silence(500)
    for start in range(0, len(audio), 960):
        timestamp = 1_000_000 + start // 32
        await home.send("audio-chunk", {**FORMAT, "timestamp": timestamp}, audio[start : start + 960])
    detection = (await until(home, "detection"))[-1]
    assert 1_000_500 < detection.data["timestamp"] <= 1_002_500


async def test_without_a_wake_word_the_end_of_the_audio_is_not_detected(
    home: Any, engines: Engines, recordings: Path
) -> None:
    await engines.wake.load()
    await home.send("detect", {"names": ["hey_jarvis"]})
    await say(home, pcm(recordings / LOCK))
    await home.send("audio-stop")
    assert types_of(await until(home, "not-detected")) == ["not-detected"]


async def test_an_unknown_wake_word_is_refused(home: Any, engines: Engines) -> None:
    await engines.wake.load()
    error = await ask(home, "detect", {"names": ["open_sesame"]})
    assert error.data["code"] == "unsupported"
    assert await is_idle(home)


async def test_a_home_that_hangs_up_while_listening_leaves_nothing_behind(
    home: Any, engines: Engines, metrics: Metrics
) -> None:
    await engines.wake.load()
    await home.send("detect")
    await say(home, silence(200))
    assert await is_idle(home)
    await home.close()
    await reached(lambda: sample(metrics, "barnabeenet_requests_active", kind="detect") == 0)


# all of them


async def test_a_server_that_closes_stops_what_runs(
    serve: Serve, handler: Handler, dial: Dial, authenticator: Make, voice: None, metrics: Metrics
) -> None:
    server = await serve(handler, authenticator=authenticator())
    home = await dial(server)
    await home.hello()
    await home.send("synthesize-start")
    await home.send("synthesize-chunk", {"text": "It is ten past nine. The lamp "})
    await until(home, "audio-chunk")
    await server.close()
    assert sample(metrics, "barnabeenet_requests_active", kind="synthesize") == 0
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("synthesize of")] == []


async def test_stages_and_outcomes_are_counted_without_a_word_of_what_was_said(
    home: Any, voice: None, metrics: Metrics
) -> None:
    await home.send("synthesize", {"text": "The secret word is marmalade."})
    await until(home, "barnabeenet-timings")
    await reached(lambda: sample(metrics, "barnabeenet_requests_total", kind="synthesize", outcome="ok") == 1)
    assert sample(metrics, "barnabeenet_stage_seconds_count", kind="synthesize", stage="first_audio") == 1
    text = metrics.exposition().decode()
    assert "marmalade" not in text
    assert "our home" not in text
