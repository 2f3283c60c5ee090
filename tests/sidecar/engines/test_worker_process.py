"""A worker as a real process: asked, late, stopped and killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
import json
import os
from pathlib import Path
import signal

import psutil
import pytest

from barnabeenet_sidecar.engines import worker_process
from barnabeenet_sidecar.engines.base import Vocabulary
from barnabeenet_sidecar.engines.builtin_vocabulary import BUILTIN
from barnabeenet_sidecar.engines.pronunciation import Lexicon
from barnabeenet_sidecar.engines.vocabulary_model import compile_vocabulary
from barnabeenet_sidecar.engines.worker_process import WorkerProcess
from barnabeenet_sidecar.engines.worker_protocol import BODY_MAX_BYTES, Kind, pack, unpack_header
from barnabeenet_sidecar.errors import BadRequest, EngineFailed

SOON_S = 30.0


@pytest.fixture
async def worker() -> AsyncIterator[WorkerProcess]:
    worker = await WorkerProcess.start()
    yield worker
    await worker.close()


@pytest.fixture(scope="session")
def folder(lexicon: Lexicon, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("builtin")
    compile_vocabulary(BUILTIN, lexicon, folder)
    return folder


def compile_request(vocabulary: Vocabulary, folder: Path) -> bytes:
    return json.dumps({"vocabulary": asdict(vocabulary), "folder": str(folder)}).encode()


async def test_it_decodes_what_it_was_sent(worker: WorkerProcess, folder: Path) -> None:
    assert await worker.request(Kind.BEGIN, str(folder).encode(), deadline_s=SOON_S) == b""
    worker.send(Kind.AUDIO, bytes(32_000))
    assert json.loads(await worker.request(Kind.DECODE, deadline_s=SOON_S))["text"] == ""


async def test_it_compiles_a_vocabulary(worker: WorkerProcess, tmp_path: Path) -> None:
    report = await worker.request(Kind.COMPILE, compile_request(BUILTIN, tmp_path), deadline_s=SOON_S)
    assert json.loads(report)["sentences"] == len(BUILTIN.sentences)


async def test_a_refusal_arrives_as_the_error_that_it_is(worker: WorkerProcess, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no sentence"):
        await worker.request(Kind.COMPILE, compile_request(Vocabulary("en", "0"), tmp_path), deadline_s=SOON_S)


async def test_after_a_failure_the_next_request_is_answered(worker: WorkerProcess, folder: Path) -> None:
    with pytest.raises(EngineFailed, match="before BEGIN"):
        await worker.request(Kind.DECODE, deadline_s=SOON_S)
    with pytest.raises(EngineFailed, match="FileNotFoundError"):
        await worker.request(Kind.BEGIN, b"/nowhere", deadline_s=SOON_S)
    await worker.request(Kind.BEGIN, str(folder).encode(), deadline_s=SOON_S)


async def test_answers_that_nobody_waits_for_any_more_are_dropped(worker: WorkerProcess, folder: Path) -> None:
    begun = asyncio.create_task(worker.request(Kind.BEGIN, str(folder).encode(), deadline_s=SOON_S))
    dropped = asyncio.create_task(worker.request(Kind.PARTIAL, deadline_s=SOON_S))
    wanted = asyncio.create_task(worker.request(Kind.END, deadline_s=SOON_S))
    await asyncio.sleep(0)
    dropped.cancel()
    assert [await begun, await wanted] == [b"", b""]


async def test_a_worker_that_is_killed_fails_what_waits_and_what_comes_after(worker: WorkerProcess) -> None:
    os.kill(worker.pid, signal.SIGSTOP)
    waiting = asyncio.create_task(worker.request(Kind.END, deadline_s=SOON_S))
    await asyncio.sleep(0)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(EngineFailed, match="died"):
        await waiting
    await worker.ended()
    assert not worker.alive
    assert not psutil.pid_exists(worker.pid)
    with pytest.raises(EngineFailed, match="died"):
        await worker.request(Kind.END, deadline_s=SOON_S)
    worker.send(Kind.AUDIO, bytes(2))


async def test_a_worker_that_hangs_is_killed_when_its_answer_is_late(worker: WorkerProcess) -> None:
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(EngineFailed, match=r"more than 0 s"):
        await worker.request(Kind.END, deadline_s=0.2)
    await worker.ended()
    assert not psutil.pid_exists(worker.pid)


async def test_closing_twice_leaves_nothing(worker: WorkerProcess) -> None:
    await worker.close()
    await worker.close()
    assert not psutil.pid_exists(worker.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_to_all_processes_does_not_kill_it_while_its_parent_drains(
    worker: WorkerProcess, folder: Path, number: int
) -> None:
    await worker.request(Kind.BEGIN, str(folder).encode(), deadline_s=SOON_S)
    os.kill(worker.pid, number)
    assert await worker.request(Kind.END, deadline_s=SOON_S) == b""


async def test_it_ends_by_itself_when_its_parent_is_gone(worker: WorkerProcess) -> None:
    stdin = worker._process.stdin
    assert stdin is not None
    stdin.close()
    async with asyncio.timeout(SOON_S):
        await worker.ended()


@pytest.mark.parametrize("module", ["this", "barnabeenet_sidecar.no_such_module"])
async def test_a_process_that_speaks_no_protocol_fails_its_requests(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setattr(worker_process, "_MODULE", module)
    stranger = await WorkerProcess.start()
    with pytest.raises(EngineFailed, match="died"):
        await stranger.request(Kind.END, deadline_s=SOON_S)
    await stranger.close()
    assert not psutil.pid_exists(stranger.pid)


def test_a_frame_beyond_the_bound_is_neither_written_nor_read() -> None:
    with pytest.raises(ValueError, match="AUDIO"):
        pack(Kind.AUDIO, bytes(BODY_MAX_BYTES + 1))
    with pytest.raises(ValueError, match="a frame tells of"):
        unpack_header(b"\x10\xff\xff\xff\xff")
    with pytest.raises(ValueError, match="99"):
        unpack_header(b"\x63\0\0\0\0")
    assert unpack_header(pack(Kind.ANSWER, b"12345")[:5]) == (Kind.ANSWER, 5)
