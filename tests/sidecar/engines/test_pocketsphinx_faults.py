"""Recognisers that are killed, that hang, and what they leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import os
from pathlib import Path
import signal

import psutil
import pytest

from barnabeenet_sidecar.engines import pocketsphinx
from barnabeenet_sidecar.engines.base import Vocabulary
from barnabeenet_sidecar.engines.pocketsphinx import HOMES_MAX, PocketSphinx
from barnabeenet_sidecar.errors import EngineFailed, EngineUnavailable

pytestmark = pytest.mark.faults

SOON_S = 30.0
PET = Vocabulary("en", "00000001", sentences=("feed the {pet}",), lists={"pet": ("dragon", "tiger")})


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def engine(data_dir: Path) -> AsyncIterator[PocketSphinx]:
    engine = PocketSphinx(1, data_dir)
    await engine.load()
    yield engine
    await engine.close()


def children() -> list[psutil.Process]:
    return psutil.Process().children()


async def until_there_is_a_worker_besides(known: list[psutil.Process]) -> psutil.Process:
    async with asyncio.timeout(SOON_S):
        while not (new := [child for child in children() if child not in known]):
            await asyncio.sleep(0)
    return new[0]


async def still_works(engine: PocketSphinx) -> bool:
    async with asyncio.timeout(SOON_S):
        recognition = await engine.recognise("en", None)
        recognition.feed(bytes(3_200))
        text = (await recognition.decode()).text
        await recognition.close()
    return text == ""


async def test_a_worker_killed_while_it_decodes_fails_that_utterance_alone(engine: PocketSphinx) -> None:
    recognition = await engine.recognise("en", None)
    (worker,) = children()
    worker.suspend()
    recognition.feed(bytes(320_000))
    decoding = asyncio.create_task(recognition.decode())
    await asyncio.sleep(0)
    worker.kill()
    with pytest.raises(EngineFailed, match="died"):
        await decoding
    with pytest.raises(EngineFailed, match="died"):
        await recognition.partial()
    await recognition.close()
    assert await still_works(engine)
    assert not psutil.pid_exists(worker.pid)


async def test_a_worker_that_hangs_fails_in_time_and_is_replaced(
    engine: PocketSphinx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pocketsphinx, "_DECODE_S", 0.2)
    recognition = await engine.recognise("en", None)
    (worker,) = children()
    worker.suspend()
    with pytest.raises(EngineFailed, match="took more than"):
        await recognition.decode()
    await recognition.close()
    monkeypatch.undo()
    assert await still_works(engine)
    assert not psutil.pid_exists(worker.pid)


async def test_an_idle_worker_that_is_killed_is_replaced(engine: PocketSphinx) -> None:
    for _ in range(3):
        known = children()
        os.kill(known[0].pid, signal.SIGKILL)
        await until_there_is_a_worker_besides(known)
        assert await still_works(engine)


async def test_who_stops_waiting_for_a_worker_leaks_none(engine: PocketSphinx) -> None:
    recognition = await engine.recognise("en", None)
    impatient = [asyncio.create_task(engine.recognise("en", None)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in impatient:
        task.cancel()
    await asyncio.gather(*impatient, return_exceptions=True)
    await recognition.close()
    assert await still_works(engine)


async def test_an_utterance_given_up_while_it_is_decoded_frees_its_worker(engine: PocketSphinx) -> None:
    recognition = await engine.recognise("en", None)
    recognition.feed(bytes(32_000 * 30))
    decoding = asyncio.create_task(recognition.decode())
    await asyncio.sleep(0)
    decoding.cancel()
    await asyncio.gather(decoding, return_exceptions=True)
    await recognition.close()
    assert await still_works(engine)


async def test_recognition_goes_on_while_a_vocabulary_is_compiled(engine: PocketSphinx) -> None:
    known = children()
    compiling = asyncio.create_task(engine.set_vocabulary("home", PET))
    compiler = await until_there_is_a_worker_besides(known)
    compiler.suspend()
    assert await still_works(engine)
    assert not compiling.done()
    assert engine.vocabulary_revision("home") is None
    compiler.resume()
    assert (await compiling).sentences == 1
    assert engine.vocabulary_revision("home") == PET.revision


async def test_a_compiler_that_is_killed_or_hangs_leaves_the_old_vocabulary_and_no_file(
    engine: PocketSphinx, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.set_vocabulary("home", PET)
    files = sorted(data_dir.rglob("*"))
    known = children()
    killed = asyncio.create_task(engine.set_vocabulary("home", PET))
    (await until_there_is_a_worker_besides(known)).kill()
    with pytest.raises(EngineFailed, match="died"):
        await killed
    monkeypatch.setattr(pocketsphinx, "_COMPILE_S", 0.01)
    with pytest.raises(EngineFailed, match="COMPILE"):
        await engine.set_vocabulary("home", PET)
    assert engine.vocabulary_revision("home") == PET.revision
    assert sorted(data_dir.rglob("*")) == files
    assert children() == known


async def test_a_cancelled_compilation_leaves_no_process_and_no_file(engine: PocketSphinx, data_dir: Path) -> None:
    files, known = sorted(data_dir.rglob("*")), children()
    compiling = asyncio.create_task(engine.set_vocabulary("home", PET))
    await until_there_is_a_worker_besides(known)
    compiling.cancel()
    await asyncio.gather(compiling, return_exceptions=True)
    assert sorted(data_dir.rglob("*")) == files
    assert children() == known


async def test_vocabularies_that_are_replaced_do_not_pile_up(engine: PocketSphinx, data_dir: Path) -> None:
    for _ in range(5):
        await engine.set_vocabulary("home", PET)
    built_in, current, previous = 1, 1, 1
    assert len(list((data_dir / "vocabularies").iterdir())) == built_in + current + previous


async def test_the_home_that_was_set_longest_ago_is_forgotten(engine: PocketSphinx, data_dir: Path) -> None:
    for number in range(HOMES_MAX + 1):
        await engine.set_vocabulary(f"home {number}", PET)
    assert engine.vocabulary_revision("home 0") is None
    assert engine.vocabulary_revision("home 1") == PET.revision
    assert len(list((data_dir / "vocabularies").iterdir())) == HOMES_MAX + 1


async def test_closing_leaves_no_process_and_no_name_of_the_home(data_dir: Path) -> None:
    before = children()
    engine = PocketSphinx(2, data_dir)
    await engine.load()
    await engine.set_vocabulary("home", PET)
    decoding = await engine.recognise("en", "home")
    assert len(children()) == len(before) + 2
    await engine.close()
    await engine.close()
    assert children() == before
    assert list(data_dir.iterdir()) == []
    with pytest.raises(EngineFailed):
        await decoding.decode()
    await decoding.close()


async def test_what_a_crash_left_behind_is_removed_by_the_next_start(data_dir: Path) -> None:
    left = data_dir / "vocabularies" / "old" / "text.json"
    left.parent.mkdir(parents=True)
    left.write_text("{}")
    engine = PocketSphinx(1, data_dir)
    await engine.load()
    assert not left.exists()
    assert (data_dir / "vocabularies").stat().st_mode & 0o077 == 0
    await engine.close()


async def test_workers_that_cannot_start_are_told_with_what_to_do(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = children()
    monkeypatch.setattr("barnabeenet_sidecar.engines.worker_process._MODULE", "barnabeenet_sidecar.no_such_module")
    engine = PocketSphinx(1, data_dir)
    with pytest.raises(EngineUnavailable, match="see the log"):
        await engine.load()
    await engine.close()
    assert children() == before


async def test_a_missing_package_is_told_with_what_to_do(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pocketsphinx, "_PACKAGE", "no-such-package")
    with pytest.raises(EngineUnavailable, match="pip install"):
        await PocketSphinx(1, data_dir).load()
