"""Facts about the machine, checked against what the machine itself does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
import os
from pathlib import Path
import socket
import stat

import pytest

from barnabeenet_sidecar import system


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs stand for the system's: no test machine has a GPU and every clock at once."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.defpath}")
    return tmp_path


def test_the_processor_has_a_name_and_the_cores_this_process_may_use() -> None:
    name, cores = system.cpu()
    assert name
    assert cores == len(os.sched_getaffinity(0))


def test_some_of_the_memory_is_free() -> None:
    memory = system.memory_bytes()
    assert memory is not None
    total, free = memory
    assert 0 < free < total
    assert total == pytest.approx(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), rel=0.05)


async def test_each_gpu_is_a_line_of_the_drivers_own_tool(commands: Path) -> None:
    command(commands, "nvidia-smi", 'echo "NVIDIA RTX 4080, 16376 MiB, 570.1"; echo "NVIDIA T4, 15360 MiB, 570.1"')
    assert await system.gpus() == ["NVIDIA RTX 4080, 16376 MiB, 570.1", "NVIDIA T4, 15360 MiB, 570.1"]


async def test_a_driver_that_fails_is_no_gpu(commands: Path) -> None:
    command(commands, "nvidia-smi", 'echo "NVIDIA-SMI has failed"; exit 9')
    assert await system.gpus() is None


async def test_without_the_drivers_tool_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await system.gpus() is None


async def test_a_tool_that_hangs_is_ended(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Asked here rather than of the tool, which may be ended before it has said a word.
    pids: list[int] = []
    start = asyncio.create_subprocess_exec

    async def watched(*command: str, **options: int) -> asyncio.subprocess.Process:
        process = await start(*command, **options)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    monkeypatch.setattr(system, "_COMMAND_S", 0.1)
    command(commands, "nvidia-smi", "exec sleep 60")
    assert await asyncio.wait_for(system.gpus(), 20) is None
    [pid] = pids
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(("says", "expected"), [("yes", True), ("no", False), ("", None)])
async def test_the_clock_is_as_synchronised_as_the_system_says(
    commands: Path, says: str, expected: bool | None
) -> None:
    command(commands, "timedatectl", f"echo {says}")
    assert await system.clock_is_synchronised() is expected


def test_a_port_where_somebody_listens_is_not_free(listener: socket.socket) -> None:
    assert system.bind_error("127.0.0.1", port_of(listener)) is not None


def test_a_port_is_free_again_when_its_listener_is_gone(listener: socket.socket) -> None:
    port = port_of(listener)
    listener.close()
    assert system.bind_error("127.0.0.1", port) is None


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    err = system.bind_error("192.0.2.77", 0)
    assert err is not None
    assert "assign" in str(err)


def test_a_name_that_is_no_address_cannot_be_listened_on() -> None:
    assert system.bind_error("no-such-host.invalid", 0) is not None


def test_the_listener_of_a_port_is_named_with_its_process(listener: socket.socket) -> None:
    by = system.listener_of(port_of(listener))
    assert by is not None
    assert by.endswith(f"(process {os.getpid()})")


def test_nobody_listens_on_a_free_port(listener: socket.socket) -> None:
    port = port_of(listener)
    listener.close()
    assert system.listener_of(port) is None


def test_a_connection_through_a_port_is_not_its_listener(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()) as client:
        assert system.listener_of(client.getsockname()[1]) is None
