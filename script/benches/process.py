"""A sidecar as a process of its own, started as a user starts it, with the engines that the benches call directly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from home.sidecar import sidecar

from .client import Client
from .engines import HOME
from .speech import VOCABULARY

SCRIPT = Path(__file__).parent.parent
_SETTINGS = 'stt = "pocketsphinx"\ntts = "espeak"\n'
# The sidecar takes 32 connections from one address; a home has one address, and this is room for some more.
_PER_SOURCE = 24


@dataclass(frozen=True)
class Served:
    """A ready sidecar."""

    port: int
    http_port: int
    token: str

    async def client(self, number: int = 0) -> Client:
        """The connection of one of many clients, which live at several addresses of this machine (Linux)."""
        return await Client.open(self.port, self.token, home=HOME, source=source_of(number))


def source_of(number: int) -> str:
    """The address of one of many clients."""
    return f"127.0.0.{number // _PER_SOURCE + 1}"


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Served]:
    """A sidecar for the length of the block, with the bench's vocabulary; raises ProcessFailed and ClientError."""
    settings = folder / "config" / "barnabeenet" / "sidecar.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(_SETTINGS)
    async with sidecar(folder, plain=False) as started:
        await started.ready()
        served = Served(started.port, started.http_port, await started.token())
        client = await served.client()
        await client.set_vocabulary(VOCABULARY.revision, VOCABULARY.sentences, VOCABULARY.lists)
        await client.close()
        yield served
