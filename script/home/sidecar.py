"""A real sidecar in its own environment, and what a user does with its command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .process import Process, ProcessFailed, child_environment, free_port

ROOT = Path(__file__).parent.parent.parent
PROGRAM = ROOT / ".venv-sidecar" / "bin" / "barnabeenet-sidecar"
READY_S = 60
COMMAND_S = 60


class Sidecar:
    """A sidecar on this machine with its own data folder; it keeps its ports and its token over restarts."""

    def __init__(self, folder: Path, *, plain: bool) -> None:
        self.port, self.http_port = free_port(), free_port()
        self.plain_port = free_port() if plain else None
        self._env = {
            "BARNABEENET_HOST": "127.0.0.1",
            "BARNABEENET_PORT": str(self.port),
            "BARNABEENET_PLAIN_PORT": str(self.plain_port or ""),
            "BARNABEENET_HTTP_PORT": str(self.http_port),
            "BARNABEENET_DATA_DIR": str(folder / "data"),
            # A configuration of this machine's own user is none of the demo's business.
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        folder.mkdir(parents=True, exist_ok=True)
        self.process = Process([str(PROGRAM), "serve"], log=folder / "sidecar.out", env=self._env)

    async def ready(self) -> None:
        """Waits until it says that it is; raises ProcessFailed when it ends first or takes too long."""
        await self.process.until_answered(f"http://127.0.0.1:{self.http_port}/ready", within_s=READY_S)

    async def knows_home(self) -> None:
        """Waits until it has learnt the home's names: before, it hears plain English; raises ProcessFailed."""
        await self.process.until_printed('"kind": "vocabulary"', within_s=READY_S)

    async def token(self) -> str:
        """The pairing token, as a user asks for it."""
        return (await self._run("token")).strip()

    async def _run(self, *arguments: str) -> str:
        child = await asyncio.create_subprocess_exec(
            PROGRAM,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=child_environment(self._env),
        )
        try:
            async with asyncio.timeout(COMMAND_S):
                output, errors = await child.communicate()
        except BaseException:
            child.kill()
            await child.wait()
            raise
        if child.returncode:
            raise ProcessFailed(f"barnabeenet-sidecar {arguments[0]}: {errors.decode(errors='replace').strip()}")
        return output.decode()


@asynccontextmanager
async def sidecar(folder: Path, *, plain: bool) -> AsyncIterator[Sidecar]:
    """A starting sidecar, with or without the plain listener, stopped when the block is left; await its `ready`."""
    started = Sidecar(folder, plain=plain)
    async with started.process:
        yield started
