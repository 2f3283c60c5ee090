"""Quick words over a real socket: made once, kept, and honest about who spoke them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from barnabeenet_sidecar.audio.speech_cache import SpeechCache
from barnabeenet_sidecar.engines.base import EngineInfo, TextToSpeech, Voice
from barnabeenet_sidecar.engines.catalogue import Engines, choose
from barnabeenet_sidecar.engines.chain import TextToSpeechChain
from barnabeenet_sidecar.errors import BadRequest, EngineFailed, Unsupported
from barnabeenet_sidecar.gpu.queue import Kind, Priority, Ticket, WorkQueue
from barnabeenet_sidecar.net.handler import Handler
from barnabeenet_sidecar.net.messages import QuickWords, QuickWordsReady
from barnabeenet_sidecar.net.quick_words import QuickWordSpeech
from barnabeenet_sidecar.net.server import Server
from barnabeenet_sidecar.net.wire import PAYLOAD_MAX_BYTES, read_event
from barnabeenet_sidecar.telemetry.metrics import Metrics

TEXTS = ["Done.", "Okay.", "Turned on the lights"]


class Mouth:
    """An engine that says a text as so many samples of the same value; fails when it is told to."""

    def __init__(self, name: str, rate_hz: int = 16_000, voices: Sequence[Voice] = ()) -> None:
        self.info = EngineInfo(name, "", "1", [], "", "", "")
        self.voices = voices or [Voice(f"{name}-en", "", "en-US"), Voice(f"{name}-de", "", "de-DE")]
        self.rate_hz = rate_hz
        self.samples: int | None = None
        self.fails_at: set[str] = set()
        self.asked: list[tuple[str, str | None]] = []
        self.closed = 0

    async def load(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def synthesise(self, text: str, voice: str | None, language: str | None) -> AsyncGenerator[bytes, None]:
        self.asked.append((text, voice))
        try:
            if text in self.fails_at:
                raise EngineFailed("it broke")
            yield b"\x00\x40" * (self.rate_hz // 10 * len(text) // 10 if self.samples is None else self.samples)
        finally:
            self.closed += 1


class Made:
    """Runs requests and keeps what they answer."""

    def __init__(self, engine: TextToSpeech, cache: SpeechCache) -> None:
        self.engine, self.cache = engine, cache
        self.turn = asyncio.Semaphore(1)
        self.answers: list[QuickWordsReady] = []
        self.answered = asyncio.Event()

    async def ask(
        self, *texts: str, language: str = "en-US", voice: str | None = None, rate: int | None = None
    ) -> list[QuickWordsReady]:
        self.answers = []
        request = QuickWords(language, voice, rate, list(texts)).event()
        speech = QuickWordSpeech(request, self.engine, self.cache, lambda: self.turn, self._write)
        for event in await speech.run():
            await self._write(event)
        assert [answer.last for answer in self.answers] == [False] * (len(self.answers) - 1) + [True]
        return self.answers

    async def _write(self, event: Any) -> None:
        self.answers.append(QuickWordsReady.from_event(event))
        self.answered.set()
        assert sum(word["bytes"] for word in self.answers[-1].words) == len(self.answers[-1].payload)


def said(answers: Sequence[QuickWordsReady]) -> list[list[str]]:
    return [[word["text"] for word in answer.words] for answer in answers]


@pytest.fixture
def cache(tmp_path: Path) -> SpeechCache:
    return SpeechCache(tmp_path / "speech")


@pytest.fixture
def mouth() -> Mouth:
    return Mouth("first")


@pytest.fixture
def made(mouth: Mouth, cache: SpeechCache) -> Made:
    return Made(mouth, cache)


async def test_each_is_sent_as_it_is_made_and_all_at_once_the_second_time(made: Made, mouth: Mouth) -> None:
    assert said(await made.ask(*TEXTS)) == [[text] for text in TEXTS]
    audio = b"".join(answer.payload for answer in made.answers)
    mouth.asked.clear()
    (answer,) = await made.ask(*TEXTS)
    assert said([answer]) == [TEXTS]
    assert answer.payload == audio
    assert mouth.asked == []


async def test_what_is_kept_does_not_wait_for_what_must_be_made(made: Made) -> None:
    await made.ask("Okay.")
    made.answered.clear()
    async with made.turn:
        asking = asyncio.create_task(made.ask(*TEXTS))
        await made.answered.wait()
        assert said(made.answers) == [["Okay."]]
        assert not asking.done()
    assert said(await asking) == [["Okay."], ["Done."], ["Turned on the lights"]]


async def test_a_damaged_file_is_made_anew(made: Made, mouth: Mouth, tmp_path: Path) -> None:
    (answer,) = await made.ask("Done.")
    (path,) = (tmp_path / "speech").iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert (await made.ask("Done."))[0].payload == answer.payload
    assert [text for text, _ in mouth.asked] == ["Done.", "Done."]


async def test_another_version_of_the_engine_speaks_anew(made: Made, mouth: Mouth) -> None:
    (old,) = await made.ask("Done.")
    mouth.info = EngineInfo("first", "", "2", [], "", "", "")
    (new,) = await made.ask("Done.")
    assert (old.version, new.version) == ("first 1", "first 2")
    assert len(mouth.asked) == 2


@pytest.mark.parametrize(("rate", "given"), [(None, 16_000), (8_000, 8_000), (48_000, 48_000)])
async def test_the_audio_has_the_rate_that_was_asked_for(made: Made, rate: int | None, given: int) -> None:
    (answer,) = await made.ask("Done.", rate=rate)
    assert answer.rate == given
    assert len(answer.payload) == given // 10 * 5 // 10 * 2


async def test_silence_around_the_speech_is_taken_away(made: Made, mouth: Mouth) -> None:
    async def slowly(text: str, voice: str | None, language: str | None) -> AsyncGenerator[bytes, None]:
        yield bytes(32_000) + b"\x00\x40" * 1_600 + bytes(32_000)

    mouth.synthesise = slowly  # type: ignore[method-assign]
    (answer,) = await made.ask("Done.")
    assert len(answer.payload) == 3_200 + 2 * 60 * 32


async def test_what_has_no_sound_is_a_moment_of_silence(made: Made, mouth: Mouth) -> None:
    mouth.samples = 0
    (answer,) = await made.ask("...")
    assert answer.words == [{"text": "...", "bytes": 320}]
    assert answer.payload == bytes(320)


async def test_no_answer_is_larger_than_a_frame(made: Made, mouth: Mouth) -> None:
    mouth.samples = 200_000
    texts = [f"text {number}" for number in range(6)]
    await made.ask(*texts)
    answers = await made.ask(*texts)
    assert said(answers) == [["text 0", "text 1"], ["text 2", "text 3"], ["text 4", "text 5"]]
    assert all(len(answer.payload) <= PAYLOAD_MAX_BYTES for answer in answers)


async def test_what_is_too_long_for_a_frame_is_refused(made: Made, mouth: Mouth) -> None:
    mouth.samples = PAYLOAD_MAX_BYTES // 2 + 1
    with pytest.raises(BadRequest, match="a quick word may have"):
        await made.ask("War and Peace")


async def test_a_text_asked_for_twice_is_answered_once(made: Made) -> None:
    assert said(await made.ask("Done.", "Done.")) == [["Done."]]


@pytest.mark.parametrize(
    ("asked", "voice"),
    [
        ({"language": "en-US"}, "first-en"),
        ({"language": "en_us"}, "first-en"),
        ({"language": "en-AU"}, "first-en"),
        ({"language": "de"}, "first-de"),
        ({"language": "en", "voice": "first-de"}, "first-de"),
    ],
)
async def test_the_answer_names_the_voice(made: Made, mouth: Mouth, asked: dict[str, str], voice: str) -> None:
    (answer,) = await made.ask("Done.", **asked)
    assert answer.voice == voice
    assert mouth.asked == [("Done.", voice)]


async def test_a_language_is_spoken_as_where_it_comes_from(cache: SpeechCache) -> None:
    voices = [Voice("brussels", "", "fr-BE"), Voice("paris", "", "fr-FR"), Voice("lyon", "", "fr-FR")]
    made = Made(Mouth("french", voices=voices), cache)
    assert [(await made.ask("Fait.", language=tag))[0].voice for tag in ("fr", "fr-BE", "fr-CA")] == [
        "paris",
        "brussels",
        "paris",
    ]


@pytest.mark.parametrize("asked", [{"language": "tlh"}, {"voice": "nobody"}])
async def test_a_language_or_voice_that_is_not_here_is_unsupported(made: Made, asked: dict[str, str]) -> None:
    with pytest.raises(Unsupported):
        await made.ask("Done.", **asked)


@pytest.fixture
async def chain(mouth: Mouth) -> tuple[TextToSpeechChain, Mouth]:
    """The first engine with another behind it, which speaks at another rate."""
    second = Mouth("second", rate_hz=8_000)
    chain = TextToSpeechChain([mouth, second])
    await chain.load()
    return chain, second


async def test_a_word_that_another_engine_spoke_is_not_said_to_be_the_firsts(
    mouth: Mouth, chain: tuple[TextToSpeechChain, Mouth], cache: SpeechCache
) -> None:
    mouth.fails_at = {"Okay."}
    made = Made(chain[0], cache)
    answers = await made.ask(*TEXTS, voice="first-en")
    assert said(answers) == [[text] for text in TEXTS]
    assert [(answer.voice, answer.version) for answer in answers] == [
        ("first-en", "first 1"),
        ("second-en", "second 1"),
        ("first-en", "first 1"),
    ]
    assert {answer.rate for answer in answers} == {16_000}
    assert len(answers[1].payload) == 16_000 // 10 * 5 // 10 * 2

    mouth.fails_at.clear()
    assert [answer.voice for answer in await made.ask(*TEXTS, voice="first-en")] == ["first-en", "first-en"]


async def test_the_engine_that_has_the_voice_speaks_first(
    mouth: Mouth, chain: tuple[TextToSpeechChain, Mouth], cache: SpeechCache
) -> None:
    (answer,) = await Made(chain[0], cache).ask("Fertig.", voice="second-de", language="en")
    assert (answer.voice, answer.version) == ("second-de", "second 1")
    assert mouth.asked == []


async def test_when_no_engine_can_the_last_ones_reason_is_told(
    mouth: Mouth, chain: tuple[TextToSpeechChain, Mouth], cache: SpeechCache
) -> None:
    mouth.fails_at = chain[1].fails_at = {"Done."}
    with pytest.raises(EngineFailed, match="it broke"):
        await Made(chain[0], cache).ask("Done.")


async def test_a_request_that_is_called_off_stops_speaking_and_gives_its_turn_back(made: Made, mouth: Mouth) -> None:
    begun = asyncio.Event()

    async def endless(text: str, voice: str | None, language: str | None) -> AsyncGenerator[bytes, None]:
        try:
            begun.set()
            await asyncio.Event().wait()
            yield b""
        finally:
            mouth.closed += 1

    mouth.synthesise = endless  # type: ignore[method-assign]
    asking = asyncio.create_task(made.ask("Done."))
    await begun.wait()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert mouth.closed == 1
    assert not made.turn.locked()


# With a real engine and a real server


@pytest.fixture
async def engines(tmp_path: Path) -> AsyncIterator[Engines]:
    engines = choose(tts="espeak", vad="silero", wake="microwakeword", stt_workers=1, data_dir=tmp_path)
    await engines.tts.load()
    yield engines
    await engines.close()


@pytest.fixture
def turns() -> list[Ticket]:
    """The turns that the server's queue has given."""
    return []


@pytest.fixture
async def home(
    serve: Callable[..., Awaitable[Server]],
    dial: Callable[..., Awaitable[Any]],
    authenticator: Callable[..., Any],
    engines: Engines,
    cache: SpeechCache,
    turns: list[Ticket],
) -> Any:
    """An integration that has proved the token."""
    handler = Handler(engines, Metrics(), queue=WorkQueue(1, on_turn=turns.append), speech=cache)
    peer = await dial(await serve(handler, authenticator=authenticator()))
    await peer.hello()
    return peer


async def ready(peer: Any) -> QuickWordsReady:
    async with asyncio.timeout(30):
        event = await read_event(peer.reader)
    assert event is not None
    return QuickWordsReady.from_event(event)


async def test_a_home_gets_quick_words_and_may_ask_on(home: Any, engines: Engines, tmp_path: Path) -> None:
    await home.send("barnabeenet-quick-words", {"language": "en-US", "rate": 16_000, "texts": TEXTS})
    answers = [await ready(home) for _ in TEXTS]
    assert said(answers) == [[text] for text in TEXTS]
    assert {(answer.voice, answer.rate) for answer in answers} == {("en-US", 16_000)}
    assert answers[0].version == f"espeak {engines.tts.get().info.version}"
    assert all(3_200 < len(answer.payload) < 96_000 for answer in answers)
    assert answers[-1].last
    assert (await home.ask("ping", {"text": "still there"})).data == {"text": "still there"}

    await home.send("barnabeenet-quick-words", {"language": "en-US", "rate": 16_000, "texts": TEXTS})
    again = await ready(home)
    assert said([again]) == [TEXTS]
    assert again.payload == b"".join(answer.payload for answer in answers)
    assert len(list((tmp_path / "speech").iterdir())) == len(TEXTS)


async def test_quick_words_in_a_voice_that_is_not_here_are_an_error_and_the_connection_goes_on(home: Any) -> None:
    error = await home.ask("barnabeenet-quick-words", {"language": "en-US", "voice": "nobody", "texts": TEXTS})
    assert (error.type, error.data["code"]) == ("error", "unsupported")
    assert "nobody" in error.data["text"]
    assert (await home.ask("ping", {"text": "still there"})).type == "pong"


async def test_quick_words_stand_behind_all_other_work(home: Any, turns: list[Ticket]) -> None:
    await home.send("barnabeenet-quick-words", {"language": "en-US", "texts": TEXTS})
    for _ in TEXTS:
        await ready(home)
    assert [(turn.priority, turn.kind) for turn in turns] == [(Priority.LONG, Kind.SYNTHESIS)] * len(TEXTS)
