"""The engines a sidecar runs: chosen by name, loaded side by side, failing one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
import logging
from pathlib import Path

import pytest

from barnabeenet_sidecar.engines.catalogue import Engines, choose
from barnabeenet_sidecar.engines.silero import Silero
from barnabeenet_sidecar.errors import EngineUnavailable


@pytest.fixture
async def chosen(tmp_path: Path) -> AsyncIterator[Callable[..., Engines]]:
    made: list[Engines] = []

    def make(**names: str) -> Engines:
        usual = {"tts": "espeak", "vad": "silero", "wake": "microwakeword"}
        made.append(choose(**{**usual, **names}, stt_workers=1, data_dir=tmp_path))
        return made[-1]

    yield make
    await asyncio.gather(*(engines.close() for engines in made))


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing is installed beside the sidecar."""
    monkeypatch.setenv("PATH", "")


async def test_what_comes_along_loads_on_any_machine(chosen: Callable[..., Engines], no_programs: None) -> None:
    engines = chosen()
    assert not engines.can_serve
    await engines.load()
    assert engines.can_serve
    needed = [slot for slot in engines.slots if slot.is_needed]
    assert len(needed) == 4
    assert all(slot.ready and slot.problem is None and slot.load_s > 0 for slot in needed)


async def test_without_its_model_embedding_says_how_to_get_it(chosen: Callable[..., Engines]) -> None:
    engines = chosen()
    await engines.embedding.load()
    assert (engines.embedding.ready, engines.embedding.name) == (False, "none")
    with pytest.raises(EngineUnavailable, match="models pull minilm-l6-v2"):
        engines.embedding.get()


async def test_without_flite_the_automatic_voice_is_espeak(chosen: Callable[..., Engines], no_programs: None) -> None:
    engines = chosen(tts="auto")
    await engines.tts.load()
    assert engines.tts.name == engines.tts.get().info.name == "espeak"


async def test_flite_that_was_asked_for_by_name_is_not_replaced_in_silence(
    chosen: Callable[..., Engines], no_programs: None, caplog: pytest.LogCaptureFixture
) -> None:
    engines = chosen(tts="flite")
    await engines.tts.load()
    assert engines.tts.name == "espeak"
    assert "flite program is not installed" in engines.tts.left_out["flite"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith("flite is left out, espeak does its work: the flite program is not installed")


async def test_an_engine_that_breaks_while_it_loads_leaves_the_others_whole(
    chosen: Callable[..., Engines], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def burst(_self: Silero) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Silero, "load", burst)
    engines = chosen()
    await engines.load()
    assert engines.can_serve
    assert not engines.vad.ready
    assert "ZeroDivisionError('a bug')" in (engines.vad.problem or "")
    assert any(record.exc_info for record in caplog.records)


async def test_an_engine_that_is_not_loaded_says_so(chosen: Callable[..., Engines]) -> None:
    with pytest.raises(EngineUnavailable, match="no wake word detection here: it is still loading"):
        chosen().wake.get()


async def test_a_closed_engine_is_gone_and_may_be_closed_again(chosen: Callable[..., Engines]) -> None:
    engines = chosen()
    await engines.load()
    await engines.close()
    await engines.close()
    assert not engines.can_serve
    with pytest.raises(EngineUnavailable, match="it is closed"):
        engines.stt.get()


async def test_the_other_ear_for_wake_words_is_taken_by_its_name(chosen: Callable[..., Engines]) -> None:
    assert chosen(wake="openwakeword").wake.name == "openwakeword"
    assert chosen().wake.name == "microwakeword"
