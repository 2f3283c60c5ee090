"""Whatever is started is taken down again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
import sys

import psutil
import pytest

from script.home.process import Process, ProcessFailed, child_environment, free_port

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


async def test_a_process_is_gone_when_its_block_is_left(tmp_path: Path) -> None:
    async with Process(SLEEPER, log=tmp_path / "log") as process:
        pid = process.pid
        assert process.running
    assert not psutil.pid_exists(pid)


async def test_a_process_is_gone_when_its_block_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="on purpose"):
        async with Process(SLEEPER, log=tmp_path / "log") as process:
            raise RuntimeError("on purpose")
    assert not process.running


async def test_a_process_that_will_not_end_is_made_to(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('ready', 'w'); time.sleep(600)"
    process = Process(["/bin/sh", "-c", f'cd {tmp_path}; exec {sys.executable} -c "{stubborn}"'], log=tmp_path / "log")
    await process.start()
    async with asyncio.timeout(20):
        while not (tmp_path / "ready").exists():
            await asyncio.sleep(0.01)
    assert await process.stop(grace_s=0.1) == -9


async def test_the_children_of_a_process_go_with_it(tmp_path: Path) -> None:
    async with Process(["/bin/sh", "-c", "sleep 600 & wait"], log=tmp_path / "log") as process:
        async with asyncio.timeout(20):
            while not (found := psutil.Process(process.pid).children()):
                await asyncio.sleep(0.01)
    assert psutil.wait_procs(found, timeout=5)[1] == []


async def test_a_process_that_ended_says_its_last_words(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", "raise SystemExit('no such port')"], log=tmp_path / "log")
    await process.start()
    assert process._child is not None
    await process._child.wait()
    with pytest.raises(ProcessFailed, match="no such port"):
        process.check()
    assert await process.stop() == 1


async def test_a_process_that_never_answers_is_given_up_with_its_last_words(
    tmp_path: Path, socket_enabled: None
) -> None:
    async with Process(SLEEPER, log=tmp_path / "log") as process:
        with pytest.raises(ProcessFailed, match=r"did not answer within 0\.3 s"):
            await process.until_answered(f"http://127.0.0.1:{free_port()}/", within_s=0.3)


async def test_a_process_that_answers_is_waited_for(tmp_path: Path, socket_enabled: None) -> None:
    port = free_port()
    server = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(tmp_path), str(port)]
    async with Process(server, log=tmp_path / "log") as process:
        await process.until_answered(f"http://127.0.0.1:{port}/", within_s=30)
        with pytest.raises(ProcessFailed, match="did not answer"):
            await process.until_answered(f"http://127.0.0.1:{port}/absent", within_s=0.3)


async def test_a_process_does_not_share_our_group_so_that_a_ctrl_c_is_ours_alone(tmp_path: Path) -> None:
    async with Process(SLEEPER, log=tmp_path / "log") as process:
        assert os.getpgid(process.pid) != os.getpgid(0)


def test_a_child_gets_our_environment_but_not_our_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("LANG", "C.UTF-8")
    environment = child_environment({"BARNABEENET_PORT": "1"})
    assert "PYTHONPATH" not in environment
    assert environment["LANG"] == "C.UTF-8"
    assert environment["BARNABEENET_PORT"] == "1"


def test_no_port_is_given_twice(socket_enabled: None) -> None:
    given = [free_port() for _ in range(2_000)]
    assert len(set(given)) == len(given)


def test_a_free_port_can_be_bound(socket_enabled: None) -> None:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", free_port()))
