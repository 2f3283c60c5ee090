"""The real `flite` program where it is installed, and stand-ins for one that misbehaves."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
import shutil

from hypothesis import given, settings, strategies as st
import numpy as np
from pocketsphinx import Decoder
import psutil
import pytest

from barnabeenet_sidecar.audio.pcm import Pcm, duration_ms, level_dbfs, wav_write
from barnabeenet_sidecar.engines import flite as flite_module
from barnabeenet_sidecar.engines.flite import Flite
from barnabeenet_sidecar.engines.plain_english import plain_english
from barnabeenet_sidecar.errors import BadRequest, EngineFailed, EngineUnavailable, Unsupported

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed: apt-get install flite")


@pytest.fixture
async def flite() -> AsyncIterator[Flite]:
    engine = Flite()
    await engine.load()
    yield engine
    await engine.close()
    assert not engine._running
    assert psutil.Process().children() == []


async def spoken(engine: Flite, text: str, voice: str | None = None, language: str | None = None) -> bytes:
    async with aclosing(engine.synthesise(text, voice, language)) as chunks:
        return b"".join([chunk async for chunk in chunks])


# Speaking


@needs_flite
async def test_a_recogniser_understands_what_is_said(flite: Flite) -> None:
    said = "Tomorrow will be cloudy with light rain."
    decoder = Decoder(samprate=16_000, loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(bytes(8000) + await spoken(flite, said) + bytes(8000), full_utt=True)
    decoder.end_utt()
    assert decoder.hyp().hypstr == "tomorrow will be cloudy with light rain"


@needs_flite
async def test_each_sentence_comes_as_its_own_chunk(flite: Flite) -> None:
    async with aclosing(flite.synthesise("Good morning. The sun is shining. It is warm.", None, None)) as chunks:
        lengths = [duration_ms(chunk, flite.rate_hz) async for chunk in chunks]
    assert len(lengths) == 3
    assert all(400 < length < 2500 for length in lengths)


@needs_flite
async def test_there_is_hardly_any_silence_before_and_after(flite: Flite) -> None:
    pcm = await spoken(flite, "Good morning.")
    frames = [pcm[at : at + 320] for at in range(0, len(pcm), 320)]
    audible = np.flatnonzero([level_dbfs(frame) > -50 for frame in frames])
    assert audible[0] <= 10
    assert len(frames) - audible[-1] <= 10


@needs_flite
@pytest.mark.parametrize("text", ["", "...", "\x00", "温度", "🙂"])
async def test_nothing_to_say_in_english_gives_no_audio(flite: Flite, text: str) -> None:
    assert await spoken(flite, text) == b""


@needs_flite
@pytest.mark.parametrize("text", ["-voice kal", "-o /tmp/flite-was-here", "/etc/passwd", "--help", "$(id) `id`; id"])
async def test_text_is_never_an_option_a_file_or_a_command(flite: Flite, text: str) -> None:
    assert duration_ms(await spoken(flite, text), flite.rate_hz) < 6000
    assert not Path("/tmp/flite-was-here").exists()


@needs_flite
async def test_markup_is_read_out_and_not_obeyed(flite: Flite) -> None:
    obeyed = duration_ms(await spoken(flite, "break"), flite.rate_hz)
    assert obeyed + 500 < duration_ms(await spoken(flite, "<break time='9s'/>"), flite.rate_hz) < 5000


@needs_flite
async def test_too_long_a_text_is_refused(flite: Flite) -> None:
    with pytest.raises(BadRequest):
        await spoken(flite, "a" * 20_000)


@needs_flite
async def test_any_text_ends_well(flite: Flite) -> None:
    loop = asyncio.get_running_loop()

    @settings(max_examples=15)
    @given(st.text(st.characters(max_codepoint=0x24F), max_size=60))
    def check(text: str) -> None:
        assert len(asyncio.run_coroutine_threadsafe(spoken(flite, text), loop).result(20)) % 2 == 0

    await asyncio.to_thread(check)


# Plain English


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("21°C", "21 degrees Celsius"),
        ("Café Müller, straße", "Cafe Muller, strasse"),
        ("50% & more", "50 percent and more"),
        ("€5.50", "5.50 euros"),
        ("3 < 4", "3 less than 4"),
        ("It\u2019s \u201con\u201d", 'It\'s "on"'),
        ("living_room", "living room"),
        ("温度", ""),
    ],
)
def test_signs_and_letters_become_plain_english(text: str, plain: str) -> None:
    assert " ".join(plain_english(text).split()) == plain


@given(st.text())
def test_plain_english_is_ascii(text: str) -> None:
    assert plain_english(text).isascii()


# Voices


@needs_flite
async def test_slt_is_the_default_voice_and_others_sound_different(flite: Flite) -> None:
    assert flite.voices[0].name == "slt"
    assert {voice.name for voice in flite.voices} >= {"slt", "rms", "awb"}
    assert await spoken(flite, "hello") == await spoken(flite, "hello", "slt")
    assert await spoken(flite, "hello") != await spoken(flite, "hello", "rms")


@needs_flite
async def test_british_english_takes_the_british_voice_and_any_english_the_default(flite: Flite) -> None:
    assert await spoken(flite, "hello", None, "en-GB") == await spoken(flite, "hello", "awb")
    assert await spoken(flite, "hello", None, "en_AU") == await spoken(flite, "hello", "slt")


@needs_flite
@pytest.mark.parametrize(("voice", "language"), [("nobody", None), ("kal", None), ("/etc/passwd", None), (None, "de")])
async def test_an_unknown_voice_or_language_is_unsupported(
    flite: Flite, voice: str | None, language: str | None
) -> None:
    with pytest.raises(Unsupported):
        await spoken(flite, "hello", voice, language)


@needs_flite
async def test_its_version_is_known_after_loading(flite: Flite) -> None:
    assert flite.info.version[0].isdigit()
    assert set(flite.info.languages) == {"en-US", "en-GB"}


# Together, stopped, broken


@needs_flite
async def test_several_speak_at_once(flite: Flite) -> None:
    texts = [f"This is number {number}." for number in range(6)]
    assert await asyncio.gather(*(spoken(flite, text) for text in texts)) == [
        await spoken(flite, text) for text in texts
    ]


async def test_without_the_program_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EngineUnavailable, match="apt-get install flite"):
        await Flite().load()


StandIn = Callable[[str], None]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Puts a shell script in the program's place; it lists one voice and speaks as told."""

    def install(speaking: str) -> None:
        script = tmp_path / "flite"
        script.write_text(
            "#!/bin/sh\n"
            'case "$1" in -lv) echo "Voices available: slt";; --version) echo "version: flite-9.9";;\n'
            f"*) {speaking};; esac\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return install


@pytest.mark.parametrize("speaking", ["true", "exit 3", "echo not a wav file", "kill -SEGV $$"])
async def test_a_program_that_does_not_speak_is_unavailable(stand_in: StandIn, speaking: str) -> None:
    stand_in(speaking)
    with pytest.raises(EngineUnavailable, match="does not work"):
        await Flite().load()


async def test_a_program_without_a_known_voice_is_unavailable(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in("true")
    (tmp_path / "flite").write_text("#!/bin/sh\necho Voices available: cmu_indic_hin\n")
    with pytest.raises(EngineUnavailable, match="no voices"):
        await Flite().load()


@pytest.fixture
async def hanging(stand_in: StandIn, tmp_path: Path) -> AsyncIterator[Flite]:
    """Loads with a program that answers at first and hangs from then on."""
    header = tmp_path / "ready.wav"
    wav_write(header, Pcm(bytes(3200), 16_000))
    stand_in(f'if [ "$4" = ready ]; then cat {header}; else exec sleep 600; fi')
    engine = Flite()
    await engine.load()
    yield engine
    await engine.close()
    assert psutil.Process().children() == []


class Watched(set[Process]):
    """The running processes, and a count of those that were ever started to wait on."""

    def __init__(self) -> None:
        super().__init__()
        self.started = asyncio.Semaphore(0)

    def add(self, process: Process) -> None:
        super().add(process)
        self.started.release()


async def hung(engine: Flite, requests: int = 1, processes: int = 1) -> list[asyncio.Task[bytes]]:
    """Requests of which so many have their process."""
    engine._running = watched = Watched()
    tasks = [asyncio.create_task(spoken(engine, "hello")) for _ in range(requests)]
    for _ in range(processes):
        await asyncio.wait_for(watched.started.acquire(), 10)
    return tasks


async def test_a_program_that_hangs_is_killed_at_its_deadline(hanging: Flite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flite_module, "_SENTENCE_S", 0.1)
    with pytest.raises(EngineFailed, match=r"within 0\.1 s"):
        await spoken(hanging, "hello")
    assert psutil.Process().children() == []


async def test_a_cancelled_listener_kills_the_process(hanging: Flite) -> None:
    (task,) = await hung(hanging)
    assert len(psutil.Process().children()) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert psutil.Process().children() == []


async def test_closing_the_engine_ends_who_speaks_with_an_error(hanging: Flite) -> None:
    (task,) = await hung(hanging)
    await hanging.close()
    await hanging.close()
    with pytest.raises(EngineFailed, match="killed"):
        await task
    with pytest.raises(EngineFailed, match="not running"):
        await spoken(hanging, "hello")


async def test_no_more_processes_run_than_there_are_slots(hanging: Flite) -> None:
    hanging._slots = asyncio.Semaphore(2)
    tasks = await hung(hanging, requests=5, processes=2)
    assert len(psutil.Process().children()) == 2
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
