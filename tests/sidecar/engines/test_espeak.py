"""espeak-ng, the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
import sys
import threading

from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

from barnabeenet_sidecar.audio.pcm import duration_ms, level_dbfs
from barnabeenet_sidecar.engines import espeak as espeak_engine, espeak_library
from barnabeenet_sidecar.engines.espeak import Espeak
from barnabeenet_sidecar.engines.espeak_library import EspeakError, EspeakLibrary, EspeakVoice
from barnabeenet_sidecar.engines.espeak_voices import EspeakVoices, bcp_47
from barnabeenet_sidecar.errors import BadRequest, EngineFailed, EngineUnavailable, Unsupported

LONG = "The washing machine in the basement has finished its work and wants to be emptied. " * 40


@pytest.fixture
async def espeak() -> AsyncIterator[Espeak]:
    engine = Espeak()
    await engine.load()
    yield engine
    await engine.close()


async def spoken(engine: Espeak, text: str, voice: str | None = None, language: str | None = None) -> bytes:
    async with aclosing(engine.synthesise(text, voice, language)) as chunks:
        return b"".join([chunk async for chunk in chunks])


def levels(pcm: bytes, rate_hz: int) -> np.ndarray:
    frame = rate_hz // 100
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return np.array(
        [level_dbfs(samples[at : at + frame].astype("<i2").tobytes()) for at in range(0, len(samples), frame)]
    )


# Speaking


async def test_a_sentence_is_spoken_at_a_natural_pace(espeak: Espeak) -> None:
    pcm = await spoken(espeak, "I turned on the lights in the kitchen.")
    assert 1500 < duration_ms(pcm, espeak.rate_hz) < 3500
    assert -30 < level_dbfs(pcm) < -10


async def test_audio_comes_in_small_chunks_in_order(espeak: Espeak) -> None:
    async with aclosing(espeak.synthesise("I turned on the lights in the kitchen.", None, None)) as chunks:
        sizes = [len(chunk) async for chunk in chunks]
    assert len(sizes) > 10
    assert max(duration_ms(bytes(size), espeak.rate_hz) for size in sizes) < 250
    assert all(size % 2 == 0 for size in sizes)


async def test_there_is_hardly_any_silence_before_and_after(espeak: Espeak) -> None:
    # Once: said again, it is not of quite the same length.
    found = levels(await spoken(espeak, "Good morning, the sun is shining."), espeak.rate_hz)
    audible = np.flatnonzero(found > -50)
    assert audible[0] <= 10
    assert len(found) - audible[-1] <= 10


async def test_numbers_and_signs_are_spoken_as_words(espeak: Espeak) -> None:
    digits = await spoken(espeak, "It is 21 degrees.")
    words = await spoken(espeak, "It is twenty one degrees.")
    assert len(digits) == pytest.approx(len(words), rel=0.1)
    assert len(await spoken(espeak, "50%")) > 1.5 * len(await spoken(espeak, "50"))


@pytest.mark.parametrize(
    ("markup", "plain"),
    [("[[h@l@U]]", "h l"), ("<break time='5s'/>", "break"), ("<emphasis>no</emphasis>", "no"), ("&lt;", "lt")],
)
async def test_markup_is_read_out_and_not_obeyed(espeak: Espeak, markup: str, plain: str) -> None:
    assert len(await spoken(espeak, markup)) > len(await spoken(espeak, plain))


async def test_phonemes_in_brackets_are_not_obeyed(espeak: Espeak) -> None:
    assert len(await spoken(espeak, "[[h@l@U]]")) > 1.5 * len(await spoken(espeak, "hello"))


@pytest.mark.parametrize("text", ["", "  ", "...", "\x00\x07"])
async def test_nothing_to_say_gives_no_audio(espeak: Espeak, text: str) -> None:
    assert await spoken(espeak, text) == b""


async def test_too_long_a_text_is_refused(espeak: Espeak) -> None:
    with pytest.raises(BadRequest):
        await spoken(espeak, "a" * 20_000)


async def test_any_text_in_any_language_ends_well(espeak: Espeak) -> None:
    loop = asyncio.get_running_loop()
    tags = [voice.name for voice in espeak.voices]

    @settings(max_examples=40)
    @given(text=st.text(max_size=150), tag=st.sampled_from(tags))
    def check(text: str, tag: str) -> None:
        pcm = asyncio.run_coroutine_threadsafe(spoken(espeak, text, tag), loop).result(20)
        assert len(pcm) % 2 == 0

    await asyncio.to_thread(check)


# Voices


async def test_the_default_voice_is_american_english(espeak: Espeak) -> None:
    assert (espeak.voices[0].name, espeak.voices[0].language) == ("en-US", "en-US")
    assert espeak._voices.choose(None, None) == espeak._voices.choose("en-US", None)


async def test_there_are_voices_for_the_languages_of_the_interface(espeak: Espeak) -> None:
    languages = {voice.language for voice in espeak.voices}
    assert {"en-US", "en-GB", "de", "fr-FR", "es", "nl", "it", "pt-BR"} <= languages
    assert set(espeak.info.languages) == languages
    assert len({voice.name for voice in espeak.voices}) == len(espeak.voices) > 100


@pytest.mark.parametrize(
    ("language", "voice"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("en", "en-US"),
        ("en-GB", "en-GB"),
        ("en_us", "en-US"),
        ("fr", "fr-FR"),
        ("fr-CA", "fr-FR"),
        ("es-MX", "es-419"),
        ("pt-PT", "pt"),
        ("zh-CN", "cmn"),
        ("no", "nb"),
    ],
)
async def test_a_language_finds_its_voice(espeak: Espeak, language: str, voice: str) -> None:
    assert espeak._voices.choose(None, language) == espeak._voices.choose(voice, None)
    assert await spoken(espeak, "radio 5", language=language)


async def test_every_voice_that_is_listed_speaks(espeak: Espeak) -> None:
    silent = [voice.name for voice in espeak.voices if len(await spoken(espeak, "radio 5", voice.name)) < 10_000]
    assert silent == []


async def test_a_voice_wins_over_a_language(espeak: Espeak) -> None:
    assert espeak._voices.choose("de", "en") == espeak._voices.choose("de", None)


async def test_languages_sound_different(espeak: Espeak) -> None:
    number = "It is 999999."
    lengths = {len(await spoken(espeak, number, tag)) // 4410 for tag in ("en-US", "de", "fr-FR")}
    assert len(lengths) == 3


@pytest.mark.parametrize(("voice", "language"), [("nobody", None), (None, "tlh-XX"), ("", None), (None, "")])
async def test_an_unknown_voice_or_language_is_unsupported(
    espeak: Espeak, voice: str | None, language: str | None
) -> None:
    with pytest.raises(Unsupported):
        await spoken(espeak, "hello", voice, language)


def test_language_tags_are_written_the_usual_way() -> None:
    assert bcp_47("en-us") == "en-US"
    assert bcp_47("en-gb-x-rp") == "en-GB-x-rp"
    assert bcp_47("CMN-LATN-PINYIN") == "cmn-Latn-pinyin"
    assert bcp_47("es-419") == "es-419"


def test_the_better_priority_wins_among_voices_of_a_language() -> None:
    voices = EspeakVoices([EspeakVoice("B", "x/b", [(8, "xx")]), EspeakVoice("A", "x/a", [(5, "xx-yy"), (5, "xx")])])
    assert voices.choose(None, "xx") == "x/a"


# Together, stopped, broken


async def test_several_speak_at_once_and_none_hears_the_other(espeak: Espeak) -> None:
    texts = ["One, two, three.", "Guten Morgen, liebe Leute.", LONG[:300]]
    alone = [len(await spoken(espeak, text)) for text in texts]
    together = [len(pcm) for pcm in await asyncio.gather(*(spoken(espeak, text) for text in texts))]
    assert together == pytest.approx(alone, rel=0.02)


async def test_a_long_text_does_not_keep_a_short_one_waiting(espeak: Espeak) -> None:
    async with aclosing(espeak.synthesise(LONG, None, None)) as long_chunks:
        await anext(long_chunks)
        assert await asyncio.wait_for(spoken(espeak, "Done."), 5)
        assert await anext(long_chunks)


async def test_a_listener_who_does_not_listen_does_not_fill_the_memory(espeak: Espeak) -> None:
    async with aclosing(espeak.synthesise(LONG, None, None)) as chunks:
        await anext(chunks)
        await spoken(espeak, "Done.")  # the thread is free again: the rest of the long text was not made ahead
        assert espeak._thread._work_queue.qsize() == 0


async def test_closing_the_iterator_stops_the_work_in_mid_sentence(espeak: Espeak) -> None:
    library = espeak_library.library()
    made, whole = 0, sys.maxsize
    closing = threading.Event()
    hear = library._hear

    def counted(samples: object, count: int, events: int | None) -> int:
        nonlocal made
        made += max(count, 0)
        if made > whole // 2:
            # A thread that is never kept waiting makes the rest before a slow loop comes to close the iterator.
            closing.wait(20)
        return hear(samples, count, events)  # type: ignore[arg-type]

    callback = espeak_library._SynthCallback(counted)
    library._lib.espeak_SetSynthCallback(callback)
    try:
        sentence = LONG.replace(".", ",")[:390]
        whole = len(await spoken(espeak, sentence)) // 2
        made = 0
        chunks = espeak.synthesise(sentence, None, None)
        await anext(chunks)
        closed = asyncio.create_task(chunks.aclose())
        await asyncio.sleep(0)
        closing.set()
        await closed
        assert 0 < made < whole
    finally:
        library._lib.espeak_SetSynthCallback(library._callback)


async def test_a_cancelled_task_leaves_the_engine_ready(espeak: Espeak) -> None:
    task = asyncio.create_task(spoken(espeak, LONG))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await spoken(espeak, "Done.")


async def test_one_waiting_for_its_turn_can_be_cancelled(espeak: Espeak) -> None:
    gate = threading.Event()
    blocker = espeak._thread.submit(gate.wait, 10)
    task = asyncio.create_task(spoken(espeak, "never spoken"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    gate.set()
    await asyncio.wrap_future(blocker)


async def test_closing_the_engine_ends_who_speaks_with_an_error() -> None:
    engine = Espeak()
    await engine.load()
    chunks = engine.synthesise(LONG, None, None)
    await anext(chunks)
    await engine.close()
    await engine.close()
    with pytest.raises(EngineFailed):
        async for _ in chunks:
            pass
    with pytest.raises(EngineFailed, match="not running"):
        await spoken(engine, "hello")
    assert not engine._thread._threads & set(threading.enumerate())


async def test_before_it_is_loaded_it_is_described_and_does_not_speak() -> None:
    engine = Espeak()
    assert engine.info.licence == "GPL-3.0-or-later"
    assert list(engine.voices) == []
    with pytest.raises(EngineFailed, match="not running"):
        await spoken(engine, "hello")
    await engine.close()


async def test_a_refusal_of_the_library_is_a_failure_of_the_request(
    espeak: Espeak, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(espeak._voices, "choose", lambda *_: "no/such-voice")
    with pytest.raises(EngineFailed, match="no/such-voice"):
        await spoken(espeak, "hello")
    monkeypatch.undo()
    assert await spoken(espeak, "hello")


async def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    # Not the one of this process: a second one beside it would change the voice that the first believes to be set.
    monkeypatch.setattr(espeak_engine, "library", EspeakLibrary)
    engine = Espeak()
    with pytest.raises(EngineUnavailable, match="pip install espeakng-loader"):
        await engine.load()
    await engine.close()


def test_the_library_refuses_a_voice_it_does_not_have() -> None:
    with pytest.raises(EspeakError, match="SetVoiceByName"):
        espeak_library.library().speak("hello", "no/such-voice", 160, lambda _pcm: True)
