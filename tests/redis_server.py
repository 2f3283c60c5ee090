"""A real redis-server on a free port of 127.0.0.1, to be killed and started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
import shutil
import signal

import pytest

from script.home.process import free_port

PROGRAM = shutil.which("redis-server")
_START_S = 20.0


class RedisServer:
    """Keeps nothing on disk: after a kill it comes back empty, on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Returns when it takes connections."""
        assert PROGRAM is not None
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = await asyncio.create_subprocess_exec(
            PROGRAM, *options, "--dir", str(self._folder), stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(_START_S):
            while b"eady to accept connections" not in (line := await self._process.stdout.readline()):
                assert line, "redis-server ended while it started"

    async def kill(self) -> None:
        """SIGKILL: its clients learn of it from their connections alone."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        await process.communicate()

    def freeze(self) -> None:
        """It takes connections and never answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@pytest.fixture
async def redis_server(tmp_path: Path, socket_enabled: None) -> AsyncIterator[RedisServer]:
    """Running; skips where the program is not installed."""
    if PROGRAM is None:
        pytest.skip("redis-server is not installed")
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    await server.start()
    yield server
    await server.kill()
