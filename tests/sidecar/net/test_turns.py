"""Turns on the engines: who goes first, through a real handler and real sockets, with engines as slow as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from wyoming.event import Event

from barnabeenet_sidecar.engines.base import (
    EngineInfo,
    Transcription,
    Vocabulary,
    VocabularyReport,
    Voice,
)
from barnabeenet_sidecar.engines.catalogue import Engines, Slot
from barnabeenet_sidecar.gpu.queue import AGEING_S, Kind, Priority, WorkQueue
from barnabeenet_sidecar.net.auth import Authenticator
from barnabeenet_sidecar.net.handler import Handler
from barnabeenet_sidecar.net.server import Caps, Server
from barnabeenet_sidecar.net.turns import (
    AHEAD_S,
    COMMAND_MS,
    SHORT_TEXT_CHARS,
    Turns,
    of_recognition,
    of_synthesis,
)
from barnabeenet_sidecar.net.words import Words
from barnabeenet_sidecar.telemetry.metrics import Metrics

SHORT, NORMAL, LONG = Priority.SHORT, Priority.NORMAL, Priority.LONG
FORMAT = {"rate": 16_000, "width": 2, "channels": 1}
RATE_HZ = 16_000
LONG_TEXT = "This is one of very many sentences. " * 20
INFO = EngineInfo("slow", "as slow as the test says", "1", ("en",), "us", "", "")


class Work:
    """What both engines do: a piece takes until the test lets one go; `done` names the pieces in their order."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.stopped: list[str] = []
        self._permits = asyncio.Semaphore(0)

    def permit(self, pieces: int) -> None:
        for _ in range(pieces):
            self._permits.release()

    async def piece(self, name: str) -> None:
        self.begun.append(name)
        await self._permits.acquire()


class SlowVoice:
    """Each sentence has `chunks` chunks of `chunk_s` seconds; the pieces are named by the sentence's first word."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.chunks, self.chunk_s = 1, 0.1
        self.info = INFO
        self.voices = [Voice("one", "the only one", "en")]
        self.rate_hz = RATE_HZ

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def synthesise(self, text: str, voice: str | None, language: str | None) -> AsyncGenerator[bytes, None]:
        name = text.split(maxsplit=1)[0].strip(".")
        try:
            for _ in range(self.chunks):
                await self.work.piece(name)
                yield bytes(2 * int(RATE_HZ * self.chunk_s))
        finally:
            self.work.stopped.append(name)


class SlowRecognition:
    def __init__(self, work: Work) -> None:
        self.work = work

    def feed(self, pcm: bytes) -> None: ...

    async def partial(self) -> Transcription:
        return await self._hear("partial")

    async def decode(self) -> Transcription:
        return await self._hear("decode")

    async def close(self) -> None: ...

    async def _hear(self, name: str) -> Transcription:
        try:
            await self.work.piece(name)
        finally:
            self.work.stopped.append(name)
        return Transcription(name)


class SlowEars:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.info = INFO

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def set_vocabulary(self, home: str, vocabulary: Vocabulary) -> VocabularyReport:
        return VocabularyReport(0, 0)

    def vocabulary_revision(self, home: str) -> str | None:
        return None

    async def recognise(self, language: str, home: str | None, bias: Sequence[str] = ()) -> SlowRecognition:
        return SlowRecognition(self.work)


class House:
    """A server with slow engines, and homes that ask it for something."""

    def __init__(
        self, work: Work, voice: SlowVoice, queue: WorkQueue, metrics: Metrics, dial: Callable[[], Any]
    ) -> None:
        self.work, self.voice, self.queue, self.metrics = work, voice, queue, metrics
        self._dial = dial

    async def home(self) -> Any:
        peer = await self._dial()
        await peer.hello()
        return peer

    async def speak(self, text: str) -> Any:
        """A home that waits for a text to be spoken."""
        home = await self.home()
        await home.send("synthesize", {"text": text})
        return home

    async def command(self) -> Any:
        """A home that waits for the words of a command."""
        home = await self.home()
        await home.send("transcribe")
        await home.send("audio-chunk", FORMAT, bytes(32_000))
        await home.send("audio-stop")
        return home

    async def reached(self, condition: Callable[[], bool]) -> None:
        """Waits for what the server does on its own time."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.001)

    async def queued(self, waiting: int) -> None:
        await self.reached(lambda: self.queue.waiting == waiting)


Build = Callable[[WorkQueue], Awaitable[House]]


@pytest.fixture
async def build(
    serve: Callable[..., Awaitable[Server]], dial: Callable[..., Any], authenticator: Callable[..., Authenticator]
) -> Build:
    async def build(queue: WorkQueue) -> House:
        work, metrics = Work(), Metrics()
        voice = SlowVoice(work)
        absent: dict[str, Any] = {
            kind: Slot(kind, None, missing="not in this house") for kind in ("vad", "wake", "embedding", "voice_print")
        }
        engines = Engines(stt=Slot("ears", SlowEars(work)), tts=Slot("voice", voice), **absent)
        await engines.load()
        server = await serve(
            Handler(engines, metrics, queue=queue), authenticator=authenticator(), caps=Caps(per_peer=128)
        )
        return House(work, voice, queue, metrics, lambda: dial(server))

    return build


async def until(peer: Any, *types: str) -> list[Event]:
    events = []
    while not events or events[-1].type not in types:
        event = await peer.read()
        assert event is not None
        events.append(event)
    return events


# The rule


@pytest.mark.parametrize(
    ("heard_ms", "provisional", "priority"),
    [
        (1_000, False, SHORT),
        (COMMAND_MS, False, SHORT),
        (1_000, True, NORMAL),
        (COMMAND_MS + 1, False, LONG),
        (COMMAND_MS + 1, True, LONG),
    ],
)
def test_a_command_goes_before_provisional_words_and_these_before_dictation(
    heard_ms: float, provisional: bool, priority: Priority
) -> None:
    assert of_recognition(heard_ms, provisional=provisional) is priority


@pytest.mark.parametrize(
    ("reply_chars", "sentence_chars", "ahead_s", "priority"),
    [
        # Nothing has been heard yet.
        (20, 20, None, SHORT),
        (5_000, SHORT_TEXT_CHARS, None, SHORT),
        (5_000, SHORT_TEXT_CHARS + 1, None, NORMAL),
        # A short reply is wanted whole.
        (SHORT_TEXT_CHARS, 20, 60.0, SHORT),
        # A long one only has to stay ahead.
        (5_000, 20, 0.0, NORMAL),
        (5_000, 20, -3.0, NORMAL),
        (5_000, 20, AHEAD_S - 0.1, NORMAL),
        (5_000, 20, AHEAD_S, LONG),
    ],
)
def test_who_waits_in_silence_goes_before_who_has_something_to_listen_to(
    reply_chars: int, sentence_chars: int, ahead_s: float | None, priority: Priority
) -> None:
    assert of_synthesis(reply_chars=reply_chars, sentence_chars=sentence_chars, ahead_s=ahead_s) is priority


# The order, through a server


async def test_recognition_and_synthesis_take_turns(build: Build) -> None:
    house = await build(WorkQueue(1))
    homes = [await house.speak("First.")]
    await house.reached(lambda: house.work.begun == ["First"])
    homes += [await house.speak(f"{name}.") for name in ("Second", "Third", "Fourth")]
    await house.queued(3)
    homes += [await house.command() for _ in range(3)]
    await house.queued(6)
    house.work.permit(10)
    for home in homes:
        await until(home, "transcript", "barnabeenet-timings")
    assert house.work.begun == ["First", "decode", "Second", "decode", "Third", "decode", "Fourth"]


async def test_a_command_and_its_reply_pass_a_backlog_of_fifty_long_texts(build: Build) -> None:
    house = await build(WorkQueue(2))
    house.voice.chunks, house.voice.chunk_s = 1000, 1.0
    backlog = [await house.speak(LONG_TEXT) for _ in range(50)]
    await house.queued(48)
    # The beginnings of all of them wait too; a command passes those as well.
    command = await house.command()
    await house.queued(49)
    house.work.permit(2)
    await house.reached(lambda: "decode" in house.work.begun)
    assert house.work.begun.index("decode") <= 3

    house.work.permit(60)  # everybody hears something
    await until(command, "transcript")
    await house.reached(lambda: len(house.work.begun) == 64)
    reply = await house.speak("Done.")
    await house.queued(49)
    house.work.permit(2)
    await house.reached(lambda: "Done" in house.work.begun)
    assert house.work.begun.index("Done") <= 65
    await asyncio.gather(*(home.close() for home in [*backlog, reply]))
    await house.queued(0)


@pytest.mark.parametrize(("waited_s", "place"), [(0.0, 6), (AGEING_S, 3)])
async def test_a_text_with_much_to_listen_to_waits_but_does_not_starve(
    build: Build, waited_s: float, place: int
) -> None:
    now_s = 0.0
    house = await build(WorkQueue(1, aged_every=4, clock=lambda: now_s))
    house.voice.chunks, house.voice.chunk_s = 1000, 2 * AHEAD_S
    long = await house.speak(LONG_TEXT)
    house.work.permit(1)
    await house.reached(lambda: house.work.begun == ["This", "This"])
    house.voice.chunks, house.voice.chunk_s = 1, 0.3
    await house.speak("Before.")
    await house.queued(1)
    house.work.permit(1)
    await house.reached(lambda: house.queue.depth(LONG) == 1)
    now_s = waited_s
    shorts = [await house.speak("Short.") for _ in range(6)]
    await house.queued(7)
    house.work.permit(200)
    for home in shorts:
        await until(home, "barnabeenet-timings")
    await house.reached(lambda: house.work.begun.count("This") > 2)
    assert house.work.begun[3:].index("This") == place
    await long.close()


async def test_the_wait_is_told_and_counted(build: Build) -> None:
    now_s = 0.0
    house = await build(WorkQueue(1, clock=lambda: now_s))
    first = await house.speak("First.")
    await house.reached(lambda: house.work.begun == ["First"])
    second, third = await house.speak("Second."), await house.command()
    await house.queued(2)
    # Less than any work takes that the wait is a part of.
    now_s = 0.000_001

    def sample(name: str, **labels: str) -> float | None:
        return house.metrics.registry.get_sample_value(f"barnabeenet_queue_{name}", labels)

    assert sample("depth", priority="short") == 2
    house.work.permit(6)
    stages = [(await until(home, "barnabeenet-timings"))[-1].data["stages"] for home in (first, second, third)]
    assert stages[0]["queue"] == 0
    assert 0 < stages[1]["queue"] <= stages[1]["first_audio"] + stages[1]["audio"]
    assert 0 < stages[2]["queue"] <= stages[2]["decode"]
    assert sample("depth", priority="short") == 0
    # Its end is asked for in a turn too.
    assert sample("wait_seconds_count", priority="short", kind="synthesis") == 4
    assert sample("wait_seconds_count", priority="short", kind="recognition") == 1


# Leaving


async def test_a_cancel_stops_the_engine_and_the_next_one_has_its_turn(build: Build) -> None:
    house = await build(WorkQueue(1))
    first, second = await house.speak("First."), await house.speak("Second.")
    await house.queued(1)
    running = house.work.begun[0]
    owner = first if running == "First" else second
    await owner.send("barnabeenet-cancel")
    await until(owner, "barnabeenet-cancelled")
    assert house.work.stopped == [running]
    await house.reached(lambda: len(house.work.begun) == 2)
    assert house.queue.waiting == 0


@pytest.mark.parametrize("way", ["barnabeenet-cancel", "hang up"])
async def test_who_waits_and_is_not_wanted_any_more_leaves_the_queue(build: Build, way: str) -> None:
    house = await build(WorkQueue(1))
    await house.speak("First.")
    await house.reached(lambda: house.work.begun == ["First"])
    for leave in (lambda: house.speak("Second."), house.command):
        leaver = await leave()
        await house.queued(1)
        if way == "hang up":
            await leaver.close()
        else:
            await leaver.send(way)
            await until(leaver, "barnabeenet-cancelled")
        await house.queued(0)
    assert house.work.begun == ["First"]


async def test_a_cancelled_decode_is_stopped_and_its_turn_passed_on(build: Build) -> None:
    house = await build(WorkQueue(1))
    command = await house.command()
    await house.reached(lambda: house.work.begun == ["decode"])
    await house.speak("Next.")
    await house.queued(1)
    await command.send("barnabeenet-cancel")
    await until(command, "barnabeenet-cancelled")
    assert house.work.stopped == ["decode"]
    await house.reached(lambda: house.work.begun == ["decode", "Next"])


async def test_a_client_that_does_not_read_holds_no_turn(build: Build) -> None:
    house = await build(WorkQueue(1))
    house.voice.chunks, house.voice.chunk_s = 1000, 10.0
    silent = await house.speak(LONG_TEXT)
    house.work.permit(1000)
    # It is made audio for until the sockets are full; then it neither has nor wants a turn.
    command = await house.command()
    await until(command, "transcript")
    made = house.work.begun.count("This")
    assert made < 1000
    assert house.queue.waiting == 0
    await silent.close()


async def test_a_queue_that_is_full_says_so_and_ends_the_connection(build: Build) -> None:
    house = await build(WorkQueue(1, waiting_max=1))
    await house.speak("First.")
    await house.reached(lambda: house.work.begun == ["First"])
    await house.speak("Second.")
    await house.queued(1)
    third = await house.speak("Third.")
    error = (await until(third, "error"))[-1]
    assert error.data["code"] == "busy"
    assert "waiting" in error.data["text"]
    assert await third.is_closed()
    assert house.work.begun == ["First"]


# The words of an utterance


class Utterance:
    """The words of one utterance, and somebody else who may have the only turn."""

    def __init__(self) -> None:
        self.queue, self.work = WorkQueue(1), Work()
        self.sent: list[Event] = []
        turns = Turns(self.queue, Metrics(), Kind.RECOGNITION)
        self.turns = turns
        self.words = Words(
            SlowRecognition(self.work), self._write, turns, heard_ms=lambda: 1000.0, silence_ms=lambda: 200.0
        )

    async def _write(self, event: Event) -> None:
        self.sent.append(event)

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def utterance() -> AsyncIterator[Utterance]:
    utterance = Utterance()
    yield utterance
    await utterance.words.close()


async def test_provisional_words_that_still_wait_for_their_turn_are_dropped_by_the_final_ones(
    utterance: Utterance,
) -> None:
    async with utterance.queue.turn(SHORT, Kind.SYNTHESIS):
        utterance.words.show()
        await utterance.settle()
        assert utterance.queue.depth(NORMAL) == 1
        final = asyncio.create_task(utterance.words.final())
        await utterance.settle()
        assert (utterance.queue.depth(NORMAL), utterance.queue.depth(SHORT)) == (0, 1)
    utterance.work.permit(1)
    assert (await final).text == "decode"
    assert utterance.work.begun == ["decode"]
    assert utterance.turns.waited_ms > 0


@pytest.mark.parametrize("overtaking", ["settle", "final"])
async def test_provisional_words_that_are_being_decoded_are_dropped_too(utterance: Utterance, overtaking: str) -> None:
    utterance.words.show()
    await utterance.settle()
    assert utterance.work.begun == ["partial"]
    final = None
    if overtaking == "settle":
        utterance.words.settle()
    else:
        final = asyncio.create_task(utterance.words.final())
    await utterance.settle()
    assert utterance.work.stopped == ["partial"]
    assert utterance.work.begun == ["partial", "decode"]
    utterance.work.permit(1)
    assert (await (final or utterance.words.final())).text == "decode"
    assert [event.data["stable"] for event in utterance.sent] == ([] if final else [True])


async def test_words_that_settled_too_early_make_room_when_speech_goes_on(utterance: Utterance) -> None:
    utterance.words.settle()
    await utterance.settle()
    utterance.words.unsettle()
    await utterance.settle()
    assert utterance.work.stopped == ["decode"]
    assert utterance.sent == []
    utterance.words.settle()
    utterance.work.permit(1)
    assert (await utterance.words.final()).text == "decode"


async def test_waiting_for_provisional_words_is_no_wait_of_the_answer(utterance: Utterance) -> None:
    async with utterance.queue.turn(SHORT, Kind.SYNTHESIS):
        utterance.words.show()
        await utterance.settle()
    utterance.work.permit(1)
    await utterance.settle()
    assert [event.data["text"] for event in utterance.sent] == ["partial"]
    assert utterance.turns.waited_ms == 0


async def test_closing_leaves_the_queue(utterance: Utterance) -> None:
    async with utterance.queue.turn(SHORT, Kind.SYNTHESIS):
        utterance.words.settle()
        await utterance.settle()
        await utterance.words.close()
        assert utterance.queue.waiting == 0
