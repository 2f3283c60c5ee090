"""Facts about the machine, read from the operating system; what cannot be learnt is None."""

from __future__ import annotations

import asyncio
from contextlib import suppress
import os
from pathlib import Path
import platform
import socket

_COMMAND_S = 5.0
_LISTENING = "0A"


def cpu() -> tuple[str, int]:
    """The processor's name and how many of its cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip(), cores
    return platform.processor() or platform.machine(), cores


def memory_bytes() -> tuple[int, int] | None:
    """Memory in all, and what is free for use now."""
    with suppress(OSError, ValueError, KeyError):
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        kibibytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return kibibytes["MemTotal"] * 1024, kibibytes["MemAvailable"] * 1024
    return None


async def gpus() -> list[str] | None:
    """Name, memory and driver of each NVIDIA GPU; None without NVIDIA's driver."""
    output = await _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    return None if output is None else output.splitlines()


async def clock_is_synchronised() -> bool | None:
    """Whether the system says that its clock follows a time server; None when nobody knows."""
    output = await _output("timedatectl", "show", "--property=NTPSynchronized", "--value")
    return {"yes": True, "no": False}.get(output or "")


def bind_error(host: str, port: int) -> OSError | None:
    """Why nobody could listen there now; None when somebody could."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As servers do, or connections that ended a moment ago would look like a listener.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen()
    except OSError as err:
        return err
    return None


def listener_of(port: int) -> str | None:
    """The process that listens on a port, as "name (pid)"; None when it is hidden from this user."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    words = (process / "cmdline").read_text(encoding="utf-8").split("\0")
                    names = [Path(word).name for word in words[:3] if word]
                    return f"{' '.join(names)} (process {process.name})"
    return None


def _listening_inodes(port: int) -> set[str]:
    """The socket inodes of /proc/net/tcp and tcp6 (proc_pid_net(5)): local address, state and inode by column."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                    inodes.add(columns[9])
    return inodes


async def _output(*command: str) -> str | None:
    """What a command says, None when it is not there, fails or takes too long."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(_COMMAND_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return output.decode(errors="replace").strip() if process.returncode == 0 else None
