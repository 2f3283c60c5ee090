"""Engines in a row: the next one takes over what one cannot do, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
import logging

import pytest

from barnabeenet_sidecar.engines.base import EngineInfo, Transcription, Vocabulary, VocabularyReport, Voice
from barnabeenet_sidecar.engines.chain import SpeechToTextChain, TextToSpeechChain
from barnabeenet_sidecar.errors import BadRequest, EngineFailed, EngineUnavailable, SidecarError, Unsupported

SECOND = bytes(32_000)


class Base:
    def __init__(self, name: str, languages: Sequence[str], load_error: Exception | None) -> None:
        self.name, self.languages, self.load_error = name, languages, load_error
        self.closed = 0

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(self.name, self.name, "1", self.languages, "nobody", "https://example.org", "none")

    async def load(self) -> None:
        if self.load_error is not None:
            raise self.load_error

    async def close(self) -> None:
        self.closed += 1


class Ear(Base):
    """Hears how many seconds there were; `failures` are raised by the decodes first."""

    def __init__(
        self,
        name: str,
        *,
        languages: Sequence[str] = ("en",),
        failures: Sequence[SidecarError] = (),
        refusal: SidecarError | None = None,
        load_error: Exception | None = None,
        sentences: int = 0,
    ) -> None:
        super().__init__(name, languages, load_error)
        self.failures, self.refusal, self.sentences = list(failures), refusal, sentences
        self.homes: dict[str, str] = {}
        self.open = 0

    async def set_vocabulary(self, home: str, vocabulary: Vocabulary) -> VocabularyReport:
        if vocabulary.language not in self.languages:
            raise Unsupported(f"{self.name} does not know {vocabulary.language}")
        self.homes[home] = vocabulary.revision
        return VocabularyReport(words=1, sentences=self.sentences)

    def vocabulary_revision(self, home: str) -> str | None:
        return self.homes.get(home)

    async def recognise(self, language: str, home: str | None, bias: Sequence[str] = ()) -> Hearing:
        if self.refusal is not None:
            raise self.refusal
        if language not in self.languages:
            raise Unsupported(f"{self.name} does not know {language}")
        self.open += 1
        return Hearing(self)


class Hearing:
    def __init__(self, ear: Ear) -> None:
        self.ear, self.audio, self.closed = ear, b"", False

    def feed(self, pcm: bytes) -> None:
        if len(pcm) % 2:
            raise BadRequest("half a sample")
        self.audio += pcm

    async def partial(self) -> Transcription:
        return await self.decode()

    async def decode(self) -> Transcription:
        await asyncio.sleep(0)
        if self.ear.failures:
            raise self.ear.failures.pop(0)
        return Transcription(f"{self.ear.name} {len(self.audio) / 32_000:g} s")

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.ear.open -= 1


class Mouth(Base):
    """Says each sentence as its letters; a sentence with "?" fails before, with "!" after its first audio."""

    def __init__(
        self,
        name: str,
        voices: Sequence[Voice],
        *,
        rate_hz: int = 16_000,
        fails: bool = False,
        load_error: Exception | None = None,
    ) -> None:
        super().__init__(name, [voice.language for voice in voices], load_error)
        self.voices, self.rate_hz, self.fails = voices, rate_hz, fails
        self.said: list[tuple[str, str | None, str | None]] = []

    async def synthesise(self, text: str, voice: str | None, language: str | None) -> AsyncGenerator[bytes, None]:
        if voice is not None and all(each.name != voice for each in self.voices):
            raise Unsupported(f"{self.name} has no voice {voice}")
        if voice is None and language is not None and language not in self.languages:
            raise Unsupported(f"{self.name} does not speak {language}")
        if self.fails and "?" in text:
            raise EngineFailed(f"{self.name} broke")
        self.said.append((text, voice, language))
        yield self.name[:2].encode() * 800
        if self.fails and "!" in text:
            raise EngineFailed(f"{self.name} broke in the middle")


ADA, BOB, EVA = Voice("ada", "", "en"), Voice("bob", "", "en"), Voice("eva", "", "de")


async def loaded_ears(*ears: Ear) -> SpeechToTextChain:
    chain = SpeechToTextChain(ears)
    await chain.load()
    return chain


async def loaded_mouths(*mouths: Mouth) -> TextToSpeechChain:
    chain = TextToSpeechChain(mouths)
    await chain.load()
    return chain


async def speech(chain: TextToSpeechChain, text: str, voice: str | None = None, language: str | None = None) -> bytes:
    return b"".join([pcm async for pcm in chain.synthesise(text, voice, language)])


# Loading


async def test_an_engine_that_cannot_load_is_left_out_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    broken, good = Ear("parakeet", load_error=EngineUnavailable("no model")), Ear("sphinx")
    chain = await loaded_ears(broken, good)
    assert chain.engines == [good]
    assert chain.problems == {"parakeet": "no model"}
    assert chain.info.name == "sphinx"
    assert broken.closed == 1
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ["parakeet is left out, sphinx does its work: no model"]


async def test_an_engine_with_a_bug_is_left_out_too() -> None:
    chain = await loaded_ears(Ear("parakeet", load_error=ZeroDivisionError("a bug")), Ear("sphinx"))
    assert "ZeroDivisionError('a bug')" in chain.problems["parakeet"]


async def test_an_engine_that_is_not_even_here_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    chain = SpeechToTextChain([Ear("sphinx")], {"parakeet": "pull it"})
    await chain.load()
    assert chain.problems == {"parakeet": "pull it"}
    assert "parakeet is left out, sphinx does its work: pull it" in caplog.text


async def test_when_none_loads_the_reason_of_each_is_told() -> None:
    with pytest.raises(EngineUnavailable, match=r"^a: no model; b: no library$"):
        await loaded_ears(
            Ear("a", load_error=EngineUnavailable("no model")), Ear("b", load_error=EngineUnavailable("no library"))
        )


async def test_the_languages_are_those_of_all() -> None:
    chain = await loaded_ears(Ear("a", languages=("en", "de")), Ear("b", languages=("en", "fr")))
    assert chain.info.languages == ["en", "de", "fr"]


# Recognition


async def test_the_first_engine_hears() -> None:
    first, second = Ear("a"), Ear("b")
    chain = await loaded_ears(first, second)
    recognition = await chain.recognise("en", None)
    recognition.feed(SECOND)
    assert (await recognition.decode()).text == "a 1 s"
    await recognition.close()
    await recognition.close()
    assert (first.open, second.open) == (0, 0)


async def test_an_utterance_moves_on_with_all_its_audio(caplog: pytest.LogCaptureFixture) -> None:
    moves: list[tuple[str, str]] = []
    first, second = Ear("a", failures=[EngineFailed("it died")]), Ear("b")
    chain = SpeechToTextChain([first, second], None, lambda failed, following: moves.append((failed, following)))
    await chain.load()
    recognition = await chain.recognise("en", None)
    recognition.feed(SECOND)
    recognition.feed(SECOND)
    assert (await recognition.decode()).text == "b 2 s"
    recognition.feed(SECOND)
    assert (await recognition.decode()).text == "b 3 s"
    assert moves == [("a", "b")]
    assert "a could not do it (EngineFailed (7 characters)): b takes over" in caplog.text
    await recognition.close()
    assert (first.open, second.open) == (0, 0)


async def test_a_lost_provisional_decode_says_nothing_and_moves_on() -> None:
    chain = await loaded_ears(Ear("a", failures=[EngineFailed("it died")]), Ear("b"))
    recognition = await chain.recognise("en", None)
    recognition.feed(SECOND)
    assert (await recognition.partial()).text == ""
    assert (await recognition.partial()).text == "b 1 s"
    await recognition.close()


async def test_when_all_fail_the_last_error_comes_out() -> None:
    first, second = Ear("a", failures=[EngineFailed("a died")]), Ear("b", failures=[EngineFailed("b died")])
    chain = await loaded_ears(first, second)
    recognition = await chain.recognise("en", None)
    with pytest.raises(EngineFailed, match="b died"):
        await recognition.decode()
    with pytest.raises(EngineFailed):
        await recognition.decode()
    await recognition.close()
    assert (first.open, second.open) == (0, 0)


async def test_an_engine_that_cannot_begin_is_passed_over() -> None:
    chain = await loaded_ears(Ear("a", refusal=EngineFailed("it restarts")), Ear("b"))
    recognition = await chain.recognise("en", None)
    assert (await recognition.decode()).text == "b 0 s"
    await recognition.close()


async def test_a_language_is_heard_by_who_knows_it_and_that_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    chain = await loaded_ears(Ear("a"), Ear("b", languages=("en", "de")))
    recognition = await chain.recognise("de", None)
    assert (await recognition.decode()).text == "b 0 s"
    await recognition.close()
    assert "takes over" not in caplog.text
    with pytest.raises(Unsupported, match="b does not know xx"):
        await chain.recognise("xx", None)


async def test_bad_audio_is_nobodys_failure() -> None:
    first, second = Ear("a"), Ear("b")
    chain = await loaded_ears(first, second)
    recognition = await chain.recognise("en", None)
    with pytest.raises(BadRequest):
        recognition.feed(b"\0")
    await recognition.close()
    assert second.open == 0


async def test_one_engine_alone_keeps_no_second_copy_of_the_audio() -> None:
    chain = await loaded_ears(Ear("a"))
    assert isinstance(await chain.recognise("en", None), Hearing)


# Vocabularies


async def test_a_vocabulary_goes_to_all_that_take_it() -> None:
    first, second = Ear("a", languages=("en", "de")), Ear("b", sentences=7)
    chain = await loaded_ears(first, second)
    report = await chain.set_vocabulary("home", Vocabulary("en", "0123abcd"))
    assert report.sentences == 7
    assert first.homes == second.homes == {"home": "0123abcd"}
    await chain.set_vocabulary("home", Vocabulary("de", "4567abcd"))
    assert chain.vocabulary_revision("home") == "4567abcd"
    assert second.homes == {"home": "0123abcd"}
    with pytest.raises(Unsupported):
        await chain.set_vocabulary("home", Vocabulary("xx", "89ababcd"))
    assert chain.vocabulary_revision("home") == "4567abcd"
    assert chain.vocabulary_revision("elsewhere") is None


async def test_only_the_homes_that_were_set_last_are_kept() -> None:
    chain = await loaded_ears(Ear("a"))
    for number in range(17):
        await chain.set_vocabulary(f"home {number}", Vocabulary("en", "0123abcd"))
    assert chain.vocabulary_revision("home 0") is None
    assert chain.vocabulary_revision("home 1") == "0123abcd"


# Speech


async def test_a_sentence_without_audio_moves_on_and_the_rest_stays_there() -> None:
    first, second = Mouth("aa", [ADA], fails=True), Mouth("bb", [BOB])
    chain = await loaded_mouths(first, second)
    assert await speech(chain, "Well. Is it? Yes.") == b"aa" * 800 + b"bb" * 1600
    assert [text for text, _, _ in second.said] == ["Is it?", "Yes."]


async def test_a_sentence_that_breaks_in_the_middle_is_not_said_twice() -> None:
    second = Mouth("bb", [BOB])
    chain = await loaded_mouths(Mouth("aa", [ADA], fails=True), second)
    with pytest.raises(EngineFailed, match="in the middle"):
        await speech(chain, "Stop! Go on.")
    assert second.said == []


async def test_who_has_the_voice_speaks() -> None:
    first, second = Mouth("aa", [ADA]), Mouth("bb", [BOB, EVA])
    chain = await loaded_mouths(first, second)
    assert [voice.name for voice in chain.voices] == ["ada", "bob", "eva"]
    assert await speech(chain, "Yes.", voice="bob") == b"bb" * 800
    assert await speech(chain, "Yes.", language="de") == b"bb" * 800
    assert await speech(chain, "Yes.") == b"aa" * 800
    with pytest.raises(Unsupported):
        await speech(chain, "Yes.", voice="zoe")
    with pytest.raises(Unsupported):
        await speech(chain, "Yes.", language="xx")


async def test_in_the_stead_of_a_voice_speaks_one_of_its_language() -> None:
    first, second = Mouth("aa", [ADA], fails=True), Mouth("bb", [BOB])
    chain = await loaded_mouths(first, second)
    assert await speech(chain, "Is it?", voice="ada") == b"bb" * 800
    assert second.said == [("Is it?", None, "en")]


async def test_what_another_engine_says_comes_at_the_rate_of_the_first() -> None:
    chain = await loaded_mouths(Mouth("aa", [ADA]), Mouth("bb", [BOB], rate_hz=8_000))
    assert chain.rate_hz == 16_000
    assert len(await speech(chain, "Yes.", voice="bob")) == pytest.approx(3200, abs=4)


async def test_a_closed_chain_speaks_no_more() -> None:
    mouths = [Mouth("aa", [ADA]), Mouth("bb", [BOB])]
    chain = await loaded_mouths(*mouths)
    await chain.close()
    assert [mouth.closed for mouth in mouths] == [1, 1]
    with pytest.raises(EngineFailed, match="no synthesiser is loaded"):
        await speech(chain, "Yes.")
