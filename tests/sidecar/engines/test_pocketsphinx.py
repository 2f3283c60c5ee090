"""PocketSphinx on real speech: people's, a neural voice's and espeak-ng's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from barnabeenet_sidecar.audio.pcm import resample, wav_read
from barnabeenet_sidecar.engines.base import SAMPLE_RATE_HZ, Transcription, Vocabulary
from barnabeenet_sidecar.engines.espeak_library import library
from barnabeenet_sidecar.engines.pocketsphinx import PocketSphinx, PocketSphinxRecognition
from barnabeenet_sidecar.errors import BadRequest, EngineFailed, EngineUnavailable, Unsupported

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOME = "home"
LIVE_CHUNK_BYTES = 9_600


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(home_vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PocketSphinx]:
    engine = PocketSphinx(2, tmp_path_factory.mktemp("pocketsphinx"))
    await engine.load()
    await engine.set_vocabulary(HOME, home_vocabulary)
    yield engine
    await engine.close()


async def recognise(engine: PocketSphinx, pcm: bytes, home: str | None = HOME, chunk: int = 2_048) -> str:
    recognition = await engine.recognise("en", home)
    try:
        feed(recognition, pcm, chunk)
        return (await recognition.decode()).text
    finally:
        await recognition.close()


def feed(recognition: PocketSphinxRecognition, pcm: bytes, chunk: int = 2_048) -> None:
    for start in range(0, len(pcm), chunk):
        recognition.feed(pcm[start : start + chunk])


async def recognise_live(engine: PocketSphinx, pcm: bytes) -> str:
    """The final words of somebody whose provisional words were shown meanwhile, as the server does."""
    recognition = await engine.recognise("en", HOME)
    try:
        for start in range(0, len(pcm), LIVE_CHUNK_BYTES):
            recognition.feed(pcm[start : start + LIVE_CHUNK_BYTES])
            await recognition.partial()
        return (await recognition.decode()).text
    finally:
        await recognition.close()


def spoken(text: str) -> bytes:
    """espeak-ng's speech between two half seconds of digital silence."""
    buffers: list[bytes] = []
    library().speak(text, "gmw/en-US", 160, lambda pcm: buffers.append(pcm) is None)
    silence = bytes(SAMPLE_RATE_HZ)
    return silence + resample(b"".join(buffers), library().rate_hz, SAMPLE_RATE_HZ) + silence


def clip(recordings: Path, name: str) -> bytes:
    return wav_read(recordings / name).data


# What espeak-ng says: understood on any machine, recordings or not.


@pytest.mark.parametrize(
    "command",
    [
        "turn on the Bed Light",
        "turn off the Bed Light",
        "turn on the lights in the Kitchen",
        "turn off the lights in the Office",
        "set Bed Light brightness to 50 percent",
        "set the Kitchen lights to blue",
        "open the Garage Door",
        "lock the Front Door",
        "is the Front Door locked",
        "what time is it",
        "what's the weather",
        "what's the temperature in the Kitchen",
        "set a timer for 5 minutes",
        "cancel all timers",
        "activate Mood Lighting",
        "add milk to my shopping list",
    ],
)
async def test_commands_are_understood_with_names_and_numbers_as_they_are_written(
    engine: PocketSphinx, command: str
) -> None:
    assert await recognise(engine, spoken(command)) == command


@pytest.mark.parametrize(
    "remark",
    [
        "I told you that nobody would believe this story",
        "the quick brown fox jumps over the lazy dog",
        "we are going to have dinner with my parents on Saturday",
        "please remember what happened to the other passengers",
    ],
)
async def test_other_talk_is_rejected(engine: PocketSphinx, remark: str) -> None:
    assert await recognise(engine, spoken(remark)) == ""


@pytest.mark.parametrize("pcm", [b"", bytes(2), bytes(32_000), bytes(range(256)) * 500], ids=len)
async def test_no_speech_is_no_words(engine: PocketSphinx, pcm: bytes) -> None:
    assert await recognise(engine, pcm) == ""


@pytest.mark.parametrize("chunk", [2, 1_022, 200_000])
async def test_the_size_of_chunks_makes_no_difference(engine: PocketSphinx, chunk: int) -> None:
    pcm = spoken("turn on the Bed Light")[: 64_000 if chunk == 2 else None]
    assert await recognise(engine, pcm, chunk=chunk) == await recognise(engine, pcm)


async def test_words_appear_while_they_are_spoken(engine: PocketSphinx) -> None:
    recognition = await engine.recognise("en", HOME)
    pcm = spoken("set Bed Light brightness to 50 percent")
    partials = []
    for start in range(0, len(pcm), 6_400):
        recognition.feed(pcm[start : start + 6_400])
        partials.append((await recognition.partial()).text)
    await recognition.close()
    assert partials[0] == ""
    lengths = [len(text.split()) for text in partials]
    assert max(lengths) >= 4
    assert any(0 < length < max(lengths) for length in lengths)


async def test_an_utterance_may_be_decoded_and_then_go_on(engine: PocketSphinx) -> None:
    recognition = await engine.recognise("en", HOME)
    silence = bytes(16_000)
    first, second = spoken("turn on the Bed Light"), spoken("in the Office")
    feed(recognition, first)
    assert (await recognition.decode()).text == "turn on the Bed Light"
    feed(recognition, silence)
    assert (await recognition.partial()).text.startswith("turn")
    assert (await recognition.decode()).text == "turn on the Bed Light"
    feed(recognition, second)
    assert (await recognition.decode()).text == "turn on the Bed Light in the Office"
    await recognition.close()


@pytest.mark.parametrize(
    "said",
    [
        "remember that my bike code is 4 7 1 1",
        "what is my bike code",
        "remember that my keys are in the Kitchen",
        "where are my keys",
        "my code is 3 9 2 6",
        "my name is Ben",
        "learn my voice",
    ],
)
async def test_what_is_said_to_barnabee_itself_is_understood(engine: PocketSphinx, said: str) -> None:
    assert await recognise(engine, spoken(said)) == said


async def test_two_people_are_heard_at_once_and_a_third_waits(engine: PocketSphinx) -> None:
    first, second = await engine.recognise("en", HOME), await engine.recognise("en", HOME)
    waiting = asyncio.create_task(engine.recognise("en", HOME))
    feed(first, spoken("what time is it"))
    feed(second, spoken("cancel all timers"))
    texts = await asyncio.gather(first.decode(), second.decode())
    assert [each.text for each in texts] == ["what time is it", "cancel all timers"]
    assert not waiting.done()
    await first.close()
    third = await waiting
    assert await third.decode() == Transcription("")
    await second.close()
    await third.close()


async def test_a_utterance_hears_nothing_of_the_one_before_it(engine: PocketSphinx) -> None:
    for _ in range(3):
        assert await recognise(engine, spoken("what time is it")) == "what time is it"
        assert await recognise(engine, bytes(32_000)) == ""


# Vocabularies


async def test_the_report_tells_what_became_of_a_vocabulary(engine: PocketSphinx, home_vocabulary: Vocabulary) -> None:
    lists = {**home_vocabulary.lists, "name": ("TV", "кухня")}
    report = await engine.set_vocabulary("another", replace(home_vocabulary, lists=lists))
    assert report.sentences == len(home_vocabulary.sentences)
    assert report.words > 250
    assert report.unknown == ("кухня",)


async def test_a_home_is_known_by_its_revision(engine: PocketSphinx, home_vocabulary: Vocabulary) -> None:
    assert engine.vocabulary_revision("nobody's") is None
    await engine.set_vocabulary("third", replace(home_vocabulary, revision="abcdef01"))
    assert engine.vocabulary_revision("third") == "abcdef01"
    assert engine.vocabulary_revision(HOME) == home_vocabulary.revision


async def test_each_home_has_its_own_names(engine: PocketSphinx) -> None:
    for name in ("Aquarium", "Jukebox"):
        vocabulary = Vocabulary("en", "00000002", sentences=("turn on the {name}",), lists={"name": (name,)})
        await engine.set_vocabulary(f"home of the {name}", vocabulary)
    aquarium = spoken("turn on the aquarium")
    assert await recognise(engine, aquarium, "home of the Aquarium") == "turn on the Aquarium"
    assert "Aquarium" not in await recognise(engine, aquarium, "home of the Jukebox")
    assert "Aquarium" not in await recognise(engine, aquarium, HOME)


async def test_who_has_no_home_gets_the_vocabulary_that_was_set_last(engine: PocketSphinx) -> None:
    await engine.set_vocabulary("last", Vocabulary("en", "00000003", sentences=("feed the dragon",)))
    assert await recognise(engine, spoken("feed the dragon"), home=None) == "feed the dragon"


async def test_a_home_without_a_vocabulary_is_understood_in_general(engine: PocketSphinx) -> None:
    assert await recognise(engine, spoken("turn on the kitchen lights"), "a new home") == "turn on the kitchen lights"


async def test_an_utterance_keeps_the_vocabulary_that_it_began_with(engine: PocketSphinx) -> None:
    def pet(name: str) -> Vocabulary:
        return Vocabulary("en", "00000004", sentences=(f"feed the {name}",))

    await engine.set_vocabulary("zoo", pet("dragon"))
    recognition = await engine.recognise("en", "zoo")
    await engine.set_vocabulary("zoo", pet("tiger"))
    await engine.set_vocabulary("zoo", pet("monkey"))
    feed(recognition, spoken("feed the dragon"))
    assert (await recognition.decode()).text == "feed the dragon"
    await recognition.close()
    assert await recognise(engine, spoken("feed the monkey"), "zoo") == "feed the monkey"


async def test_a_bad_vocabulary_is_refused_and_the_old_one_stays(
    engine: PocketSphinx, home_vocabulary: Vocabulary
) -> None:
    with pytest.raises(BadRequest, match="'floor'"):
        await engine.set_vocabulary(HOME, Vocabulary("en", "00000005", sentences=("dim the {floor} lights",)))
    with pytest.raises(Unsupported, match="'de-DE'"):
        await engine.set_vocabulary(HOME, replace(home_vocabulary, language="de-DE"))
    assert engine.vocabulary_revision(HOME) == home_vocabulary.revision
    assert await recognise(engine, spoken("what time is it")) == "what time is it"


@pytest.mark.parametrize("language", ["en", "en-GB", "en_US", "EN"])
async def test_english_is_understood_wherever_it_is_spoken(engine: PocketSphinx, language: str) -> None:
    await (await engine.recognise(language, HOME)).close()


@pytest.mark.parametrize("language", ["de", "fr-CA", "", "enm"])
async def test_another_language_is_refused(engine: PocketSphinx, language: str) -> None:
    with pytest.raises(Unsupported, match="English"):
        await engine.recognise(language, HOME)


# Bounds


async def test_half_a_sample_and_more_than_a_minute_are_refused(engine: PocketSphinx) -> None:
    recognition = await engine.recognise("en", HOME)
    with pytest.raises(BadRequest, match="whole 16-bit samples"):
        recognition.feed(b"\0")
    recognition.feed(bytes(60 * 32_000))
    with pytest.raises(BadRequest, match="60 s"):
        recognition.feed(bytes(2))
    await recognition.close()


async def test_a_closed_recognition_says_so_and_closes_again(engine: PocketSphinx) -> None:
    recognition = await engine.recognise("en", HOME)
    await recognition.close()
    await recognition.close()
    recognition.feed(bytes(2))
    with pytest.raises(EngineFailed, match="closed"):
        await recognition.decode()


async def test_it_is_described_before_it_is_loaded(tmp_path: Path) -> None:
    info = PocketSphinx(1, tmp_path).info
    assert (info.name, list(info.languages), info.licence) == ("pocketsphinx", ["en"], "BSD-2-Clause")
    assert info.version.count(".") == 2


async def test_nothing_is_recognised_before_it_is_loaded_where_it_cannot_be(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("")
    engine = PocketSphinx(1, occupied)
    with pytest.raises(EngineUnavailable, match="data folder"):
        await engine.load()
    await engine.close()


# What people and a neural voice say


async def heard(engine: PocketSphinx, recordings: Path, folder: str) -> list[tuple[str, str]]:
    """(said, heard) of each command in a folder of recordings."""
    lines = (recordings / "manifest.tsv").read_text(encoding="utf-8").splitlines()[1:]
    commands = [(name, said) for name, said, *_ in (line.split("\t") for line in lines) if name.startswith(folder)]
    return [(said, await recognise_live(engine, clip(recordings, name))) for name, said in commands if said]


async def test_people_are_mostly_understood(engine: PocketSphinx, recordings: Path) -> None:
    commands = await heard(engine, recordings, "s2p_en_human")
    right = [said for said, text in commands if text == said]
    assert len(commands) == 16
    assert len(right) >= 12
    wrong = [(said, text) for said, text in commands if text not in ("", said)]
    assert len(wrong) <= 3, wrong


async def test_a_clear_voice_is_nearly_always_understood(engine: PocketSphinx, recordings: Path) -> None:
    commands = await heard(engine, recordings, "s2p_en_gen")
    right = [said for said, text in commands if text == said]
    assert len(commands) == 37
    assert len(right) >= 34


async def test_reading_aloud_other_languages_and_noise_are_rejected(engine: PocketSphinx, recordings: Path) -> None:
    folders = ("ls_test-other/2033*", "ls_test-other/3005*", "lj/*", "noise/*", "s2p_de_gen/*", "s2p_fr_human/*")
    names = [path for folder in folders for path in sorted(recordings.glob(folder))]
    names += [recordings / "s2p_en_human" / "oov_2.wav", recordings / "s2p_en_human" / "oov_4.wav"]
    accepted = [(path.name, text) for path in names if (text := await recognise(engine, wav_read(path).data))]
    assert len(names) > 30
    assert len(accepted) <= 1, accepted
