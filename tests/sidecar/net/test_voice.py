"""The speaker's voice beside the words: with the real encoder, and with ones that are slow or break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
import pytest
from wyoming.event import Event

from barnabeenet_sidecar.audio.pcm import wav_read
from barnabeenet_sidecar.engines.base import EngineInfo
from barnabeenet_sidecar.engines.catalogue import Engines, Slot, choose
from barnabeenet_sidecar.errors import BadRequest, EngineFailed
from barnabeenet_sidecar.gpu.queue import WorkQueue
from barnabeenet_sidecar.net import voice as voice_module
from barnabeenet_sidecar.net.handler import Handler
from barnabeenet_sidecar.net.messages import VoiceHeard
from barnabeenet_sidecar.net.voice import engine_name
from barnabeenet_sidecar.telemetry.metrics import Metrics

FORMAT = {"rate": 16_000, "width": 2, "channels": 1}
WANTED = {"language": "en", "context": {"trace_id": "t1", "voice": True}}
LOCK = "s2p_en_human/lock_the_Front_Door.wav"
SILENCE_S = bytes(32_000)
POINT = np.full(16, 0.25, np.float32)


class Encoder:
    """Stands for an engine: gives a point, or what the test tells it to do."""

    info = EngineInfo("tiny", "a tiny encoder", "2", (), "nobody", "", "none")

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, bytes]] = []
        self.does: Callable[[], Awaitable[NDArray[np.float32]]] | None = None

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def embed(self, pcm: bytes, room: bytes = b"") -> NDArray[np.float32]:
        self.heard.append((pcm, room))
        return await self.does() if self.does else POINT


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Audio comes faster here than it is spoken, and the machine may be busy."""
    monkeypatch.setattr(voice_module, "WAIT_S", 30)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture
async def engines(tmp_path: Path, encoder: Encoder) -> AsyncIterator[Engines]:
    """Real ears; the encoder of the test in the place of the real one."""
    engines = choose(tts="espeak", vad="silero", wake="microwakeword", stt_workers=1, data_dir=tmp_path)
    engines.voice_print.swap(Slot("voice printing", encoder))
    await asyncio.gather(engines.stt.load(), engines.vad.load(), engines.voice_print.load())
    yield engines
    await engines.close()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def handler(engines: Engines, metrics: Metrics) -> Handler:
    return Handler(engines, metrics, queue=WorkQueue(2))


@pytest.fixture
async def home(serve: Any, dial: Any, handler: Handler, authenticator: Any) -> Any:
    peer = await dial(await serve(handler, authenticator=authenticator()))
    await peer.hello()
    return peer


def pcm(recording: Path) -> bytes:
    return wav_read(recording).data


async def transcribe(peer: Any, *audio: bytes, request: dict[str, Any] = WANTED, stop: bool = False) -> list[Event]:
    """All answers to an utterance, its transcript last."""
    await peer.send("transcribe", request)
    for part in audio:
        for start in range(0, len(part), 3_200):
            await peer.send("audio-chunk", FORMAT, part[start : start + 3_200])
    return await answers(peer, stop=stop)


async def answers(peer: Any, *, stop: bool = False) -> list[Event]:
    if stop:
        await peer.send("audio-stop")
    events: list[Event] = []
    while not events or events[-1].type not in {"transcript", "error"}:
        async with asyncio.timeout(30):
            events.append(await peer.read())
    return events


def voices(events: list[Event]) -> list[VoiceHeard]:
    return [VoiceHeard.from_event(event) for event in events if event.type == VoiceHeard.TYPE]


def outcomes(metrics: Metrics) -> dict[str, float]:
    return {
        sample.labels["outcome"]: sample.value
        for family in metrics.registry.collect()
        if family.name == "barnabeenet_voice_prints"
        for sample in family.samples
    }


async def test_a_voice_comes_before_the_transcript_when_it_is_asked_for(
    home: Any, recordings: Path, metrics: Metrics, encoder: Encoder
) -> None:
    events = await transcribe(home, pcm(recordings / LOCK), SILENCE_S)
    assert [event.type for event in events][-4:] == [
        "voice-stopped",
        "barnabeenet-voice",
        "barnabeenet-timings",
        "transcript",
    ]
    (voice,) = voices(events)
    assert (voice.trace_id, voice.engine, voice.dimensions) == ("t1", "tiny-2", 16)
    assert voice.vector() == tuple(POINT)
    assert voice.snr_db > 10
    speech, room = encoder.heard[-1]
    assert len(speech) == 32 * voice.speech_ms
    assert 800 < voice.speech_ms < 1_700
    assert len(room) > 3_200
    timings = events[-2].data["stages"]
    assert 0 < timings["voice"] < 5_000
    assert outcomes(metrics) == {"printed": 1}


@pytest.mark.parametrize("context", [{"trace_id": "t1"}, {"voice": False}, None], ids=repr)
async def test_who_does_not_ask_for_it_is_not_told(
    home: Any, recordings: Path, metrics: Metrics, encoder: Encoder, context: dict[str, Any] | None
) -> None:
    events = await transcribe(home, pcm(recordings / LOCK), SILENCE_S, request={"context": context})
    assert voices(events) == []
    assert "voice" not in events[-2].data["stages"]
    assert encoder.heard == []
    assert outcomes(metrics) == {}


async def test_a_plain_client_is_never_told(
    serve: Any, dial: Any, handler: Handler, recordings: Path, encoder: Encoder
) -> None:
    plain = await dial(await serve(handler, authenticator=None))
    events = await transcribe(plain, pcm(recordings / LOCK), request=WANTED, stop=True)
    assert [event.type for event in events] == ["transcript"]
    assert encoder.heard == []


async def test_without_an_encoder_the_words_come_alone(home: Any, engines: Engines, recordings: Path) -> None:
    await engines.voice_print.close()
    events = await transcribe(home, pcm(recordings / LOCK), SILENCE_S)
    assert voices(events) == []
    assert events[-1].type == "transcript"


async def test_without_an_ear_for_speech_nobody_knows_what_the_voice_is(
    home: Any, engines: Engines, recordings: Path, encoder: Encoder
) -> None:
    await engines.vad.close()
    events = await transcribe(home, pcm(recordings / LOCK), stop=True)
    assert voices(events) == []
    assert encoder.heard == []


async def test_where_nobody_speaks_there_is_no_voice(home: Any, encoder: Encoder) -> None:
    for events in (await transcribe(home, stop=True), await transcribe(home, SILENCE_S * 9)):
        assert voices(events) == []
    assert encoder.heard == []


async def test_an_audio_stop_in_mid_speech_still_gives_the_voice(home: Any, recordings: Path, encoder: Encoder) -> None:
    (voice,) = voices(await transcribe(home, pcm(recordings / LOCK)[: 32 * 1_500], stop=True))
    assert voice.dimensions == 16
    assert len(encoder.heard) == 1


async def test_in_long_speech_without_a_pause_the_voice_is_printed_before_its_end(
    home: Any, recordings: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_FIRST_FRAMES", 8), ("_GROWTH", 100), ("_COVERAGE", 0.2)):
        monkeypatch.setattr(voice_module, name, value)
    begun = asyncio.Event()

    async def give() -> NDArray[np.float32]:
        begun.set()
        return POINT

    encoder.does = give
    speech = pcm(recordings / LOCK)[32 * 500 :]
    await home.send("transcribe", WANTED)
    for start in range(0, 32 * 900, 3_200):
        await home.send("audio-chunk", FORMAT, speech[start : start + 3_200])
    async with asyncio.timeout(30):
        await begun.wait()
    # What still comes makes no new print of it.
    for start in range(32 * 900, 32 * 1_000, 3_200):
        await home.send("audio-chunk", FORMAT, speech[start : start + 3_200])
    (voice,) = voices(await answers(home, stop=True))
    assert len(encoder.heard) == 1
    assert len(encoder.heard[0][0]) == 32 * voice.speech_ms


async def test_a_print_of_less_than_most_of_the_speech_is_made_anew(
    home: Any, recordings: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_module, "_FIRST_FRAMES", 3)
    monkeypatch.setattr(voice_module, "_GROWTH", 100)
    (voice,) = voices(await transcribe(home, pcm(recordings / LOCK)[: 32 * 1_600], stop=True))
    assert len(encoder.heard[-1][0]) == 32 * voice.speech_ms
    assert voice.speech_ms > 700


async def test_a_print_that_failed_in_mid_speech_is_tried_again(
    home: Any, recordings: Path, encoder: Encoder, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_module, "_FIRST_FRAMES", 8)

    failed = asyncio.Event()

    async def fail_once() -> NDArray[np.float32]:
        encoder.does = None
        failed.set()
        raise EngineFailed("broke")

    encoder.does = fail_once
    speech = pcm(recordings / LOCK)
    await home.send("transcribe", WANTED)
    await home.send("audio-chunk", FORMAT, speech[: 32 * 1_500])
    async with asyncio.timeout(30):
        await failed.wait()
    await home.send("audio-chunk", FORMAT, speech[32 * 1_500 :] + SILENCE_S[: 32 * 900])
    (voice,) = voices(await answers(home))
    assert voice.dimensions == 16
    assert outcomes(metrics) == {"printed": 1}


async def test_speech_after_a_pause_is_part_of_the_voice(home: Any, recordings: Path, encoder: Encoder) -> None:
    speech = pcm(recordings / LOCK)[32 * 500 : 32 * 1_700]
    (voice,) = voices(await transcribe(home, speech, SILENCE_S[:9_600], speech, SILENCE_S))
    whole = max(len(heard) for heard, _ in encoder.heard)
    assert 32 * voice.speech_ms == whole
    assert voice.speech_ms > 2 * 800


async def test_too_little_speech_is_told_without_a_voice(
    home: Any, recordings: Path, metrics: Metrics, encoder: Encoder
) -> None:
    async def refuse() -> NDArray[np.float32]:
        raise BadRequest("a voice print takes 0.5 to 60 s of speech")

    encoder.does = refuse
    (voice,) = voices(await transcribe(home, pcm(recordings / LOCK), SILENCE_S))
    assert (voice.dimensions, voice.payload, voice.vector()) == (0, None, ())
    assert voice.speech_ms > 0
    assert outcomes(metrics) == {"too_little": 1}


async def test_the_words_do_not_wait_for_a_voice_that_takes_its_time(
    home: Any, recordings: Path, metrics: Metrics, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[asyncio.Task[Any] | None] = []

    async def never() -> NDArray[np.float32]:
        begun.append(asyncio.current_task())
        await asyncio.Event().wait()
        raise AssertionError

    encoder.does = never
    monkeypatch.setattr(voice_module, "WAIT_S", 0.03)
    events = await transcribe(home, pcm(recordings / LOCK), SILENCE_S)
    assert voices(events) == []
    assert events[-1].type == "transcript"
    assert "voice" not in events[-2].data["stages"]
    assert outcomes(metrics) == {"late": 1}
    assert all(task is not None and task.done() for task in begun)


@pytest.mark.parametrize(
    "problem",
    [EngineFailed("broke at [0.25, 0.25]"), RuntimeError("broke at [0.25, 0.25]")],
    ids=["engine failed", "a surprise"],
)
async def test_an_encoder_that_breaks_costs_nobody_their_words(
    serve: Any,
    dial: Any,
    handler: Handler,
    authenticator: Any,
    recordings: Path,
    metrics: Metrics,
    encoder: Encoder,
    complaints: list[str],
    caplog: pytest.LogCaptureFixture,
    problem: Exception,
) -> None:
    async def fail() -> NDArray[np.float32]:
        raise problem

    encoder.does = fail
    peer = await dial(await serve(handler, authenticator=authenticator()))
    await peer.hello()
    events = await transcribe(peer, pcm(recordings / LOCK), SILENCE_S)
    assert voices(events) == []
    assert events[-1].type == "transcript"
    assert outcomes(metrics) == {"failed": 1}
    assert f"a voice was not printed: {type(problem).__name__}" in caplog.messages
    assert "0.25" not in caplog.text
    caplog.clear()


@pytest.mark.parametrize("odd", [np.full(16, np.nan, np.float32), np.ones(16, np.float32), np.zeros(4_096, np.float32)])
async def test_a_point_that_cannot_be_is_not_passed_on(
    home: Any,
    recordings: Path,
    metrics: Metrics,
    encoder: Encoder,
    caplog: pytest.LogCaptureFixture,
    odd: NDArray[np.float32],
) -> None:
    async def give() -> NDArray[np.float32]:
        return odd

    encoder.does = give
    assert voices(await transcribe(home, pcm(recordings / LOCK), SILENCE_S)) == []
    assert outcomes(metrics) == {"failed": 1}
    caplog.clear()


async def test_a_cancelled_utterance_leaves_no_voice_behind(
    home: Any, recordings: Path, encoder: Encoder, metrics: Metrics
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def never() -> NDArray[np.float32]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    encoder.does = never
    await home.send("transcribe", WANTED)
    await home.send("audio-chunk", FORMAT, pcm(recordings / LOCK) + SILENCE_S[:12_800])
    async with asyncio.timeout(30):
        await begun.wait()
        await home.send("barnabeenet-cancel")
        await ended.wait()
    assert outcomes(metrics) == {}


async def test_nothing_of_a_voice_is_logged(home: Any, recordings: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="barnabeenet_sidecar")
    (voice,) = voices(await transcribe(home, pcm(recordings / LOCK), SILENCE_S))
    assert "barnabeenet-voice" in caplog.text
    for shown in (*caplog.messages, repr(voice)):
        assert "0.25" not in shown
        assert repr(voice.payload) not in shown


async def test_the_real_encoder_tells_two_people_apart_and_one_person_again(
    serve: Any, dial: Any, tmp_path: Path, authenticator: Any, recordings: Path
) -> None:
    engines = choose(tts="espeak", vad="silero", wake="microwakeword", stt_workers=1, data_dir=tmp_path)
    await asyncio.gather(engines.stt.load(), engines.vad.load(), engines.voice_print.load())
    peer = await dial(await serve(Handler(engines, Metrics(), queue=WorkQueue(2)), authenticator=authenticator()))
    await peer.hello()
    points = {}
    for name in ("1688-142285-0004", "1688-142285-0005", "2414-128291-0006"):
        audio = pcm(recordings / "ls_test-other" / f"{name}.wav")
        (voice,) = voices(await transcribe(peer, audio, SILENCE_S, request=WANTED | {"vad_sensitivity": "relaxed"}))
        assert voice.engine == engine_name(engines.voice_print.get().info) == "resemblyzer-0.1.4"
        assert voice.speech_ms > 1_600
        points[name] = np.array(voice.vector())
    first, again, other = points.values()
    assert first @ again > 0.8
    assert first @ other < 0.65
    await engines.close()


async def test_a_real_word_of_a_third_of_a_second_is_too_little(
    serve: Any, dial: Any, tmp_path: Path, authenticator: Any, recordings: Path
) -> None:
    engines = choose(tts="espeak", vad="silero", wake="microwakeword", stt_workers=1, data_dir=tmp_path)
    await asyncio.gather(engines.stt.load(), engines.vad.load(), engines.voice_print.load())
    peer = await dial(await serve(Handler(engines, Metrics(), queue=WorkQueue(2)), authenticator=authenticator()))
    await peer.hello()
    speech = pcm(recordings / LOCK)
    (voice,) = voices(await transcribe(peer, SILENCE_S, speech[32 * 620 : 32 * 900], SILENCE_S))
    assert voice.dimensions == 0
    assert 0 < voice.speech_ms < 500
    await engines.close()
