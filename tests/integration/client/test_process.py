"""The client against a real sidecar process with its real engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import csv
from pathlib import Path
import wave

import pytest

from custom_components.barnabeenet.client.errors import RequestFailed, Unauthorized
from custom_components.barnabeenet.client.messages import Partial, Vocabulary
from custom_components.barnabeenet.client.sidecar import Address, Sidecar, probe

VOCABULARY = Vocabulary(
    "en",
    "0123abcd",
    names=["kitchen light", "bedroom lamp"],
    sentences=["turn on the {name}", "turn off the {name}", "what time is it"],
    lists={"name": ["kitchen light", "bedroom lamp"]},
)


@pytest.fixture
async def paired(sidecar_process) -> AsyncIterator[Sidecar]:
    """A started client of a real sidecar that knows some commands."""
    address = Address("127.0.0.1", sidecar_process.port)
    sidecar = Sidecar(address, await sidecar_process.token(), home="home-1", software="a test")
    await sidecar.set_vocabulary(VOCABULARY)
    await sidecar.start()
    await sidecar.set_vocabulary(VOCABULARY)
    yield sidecar
    await sidecar.close()


async def text(*parts: str) -> AsyncIterator[str]:
    for part in parts:
        yield part


async def spoken(sidecar: Sidecar, words: str) -> bytes:
    """16 kHz audio of these words, as the sidecar says them."""
    async with sidecar.speak(text(words), voice=None, language="en", rate_hz=16_000, trace_id="trace-1") as speech:
        assert speech.rate_hz == 16_000
        audio = b"".join([chunk async for chunk in speech])
        assert speech.timings_ms.keys() >= {"first_audio", "audio"}
    return audio


async def frames(audio: bytes, silence_s: float = 0) -> AsyncIterator[bytes]:
    """Audio in frames of 20 ms at the pace of a microphone, then silence."""
    audio += bytes(int(silence_s * 16_000) * 2)
    for start in range(0, len(audio), 640):
        yield audio[start : start + 640]
        await asyncio.sleep(0.02)


async def timed(audio: bytes) -> AsyncIterator[tuple[bytes, int]]:
    for start in range(0, len(audio), 320):
        yield audio[start : start + 320], start // 32
        await asyncio.sleep(0)


def pcm(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
        return file.readframes(file.getnframes())


def wake_word_recording(recordings: Path) -> bytes:
    """A person saying "alexa"."""
    with (recordings / "manifest.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["text"] == "alexa" and float(row["seconds"]) >= 2:
                return pcm(recordings / row["file"])
    pytest.skip("no recording of a wake word")


async def test_a_real_sidecar_is_probed(sidecar_process) -> None:
    address = Address("127.0.0.1", sidecar_process.port)
    token = await sidecar_process.token()
    identity, info = await probe(address, token, home="home-1", software="a test")
    assert identity.software.startswith("barnabeenet-sidecar")
    assert info.asr
    assert info.tts
    assert info.wake
    with pytest.raises(Unauthorized):
        await probe(address, "x" * 40, home="home-1", software="a test")


async def test_it_understands_what_it_says_request_after_request(paired: Sidecar) -> None:
    partials: list[Partial] = []

    async def on_partial(partial: Partial) -> bool:
        partials.append(partial)
        return False

    for words in ("turn on the kitchen light", "turn off the bedroom lamp"):
        audio = await spoken(paired, words)
        heard = await paired.transcribe(
            frames(audio, silence_s=2), language="en", trace_id="trace-1", bias=["kitchen light"], on_partial=on_partial
        )
        assert heard.text.lower().rstrip(".") == words
        assert "decode" in heard.timings_ms
    assert partials


async def test_a_whole_command_is_answered_without_waiting_for_the_end_of_the_pause(paired: Sidecar) -> None:
    stable: list[Partial] = []

    async def is_command(partial: Partial) -> bool:
        if partial.stable:
            stable.append(partial)
        return partial.stable

    audio = await spoken(paired, "Turn off the bedroom lamp.")
    heard = await paired.transcribe(
        frames(audio, silence_s=5), language="en", trace_id="trace-1", on_partial=is_command
    )
    assert len(stable) == 1
    assert heard.text == stable[0].text


async def test_what_is_given_up_leaves_the_sidecar_ready_for_the_next(paired: Sidecar) -> None:
    for _ in range(5):
        words = text("This is a long story that nobody wants to hear. " * 20)
        async with paired.speak(words, voice=None, language="en", rate_hz=None, trace_id="trace-1") as speech:
            await anext(aiter(speech))
        task = asyncio.create_task(paired.transcribe(frames(bytes(640_000)), language="en", trace_id="trace-1"))
        await asyncio.wait({task}, timeout=0.05)
        task.cancel()
        await asyncio.wait({task})
        with pytest.raises(RequestFailed):
            await paired.transcribe(frames(bytes(32_000)), language="tlh", trace_id="trace-1")
    audio = await spoken(paired, "Turn on the kitchen light.")
    heard = await paired.transcribe(frames(audio, silence_s=2), language="en", trace_id="trace-1")
    assert heard.text
    assert paired.available


async def test_the_wake_word_of_a_recording_is_heard_and_silence_holds_none(paired: Sidecar, recordings: Path) -> None:
    assert await paired.detect(timed(bytes(64_000)), names=["alexa"], trace_id="trace-1") is None
    audio = bytes(32_000) + wake_word_recording(recordings) + bytes(32_000)
    heard = await paired.detect(timed(audio), names=["alexa"], trace_id="trace-1")
    assert heard is not None
    assert heard.name == "alexa"


async def test_a_crashed_sidecar_gets_its_vocabulary_again(paired: Sidecar, sidecar_process) -> None:
    changed = asyncio.Event()
    paired.subscribe(changed.set)
    await sidecar_process.process.kill()
    await sidecar_process.process.start()
    await sidecar_process.ready()
    while not paired.available:
        changed.clear()
        await changed.wait()
    audio = await spoken(paired, "Turn on the kitchen light.")
    await paired.set_vocabulary(VOCABULARY)
    heard = await paired.transcribe(frames(audio, silence_s=2), language="en", trace_id="trace-1")
    assert heard.text.lower().rstrip(".") == "turn on the kitchen light"
