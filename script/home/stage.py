"""Everything up at once: a satellite, a sidecar, Home Assistant, the two paired, and a judge who watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
import fcntl
from pathlib import Path
import shutil
from typing import Any

from .api import ApiError, HomeAssistant
from .furnish import place_device
from .hass import home_assistant
from .judge import Judge
from .process import ProcessFailed
from .satellite import Timers, satellite
from .sidecar import ROOT, Sidecar, sidecar
from .turns import TurnLog, turn_log

ROOM = "Kitchen"
LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class Pipeline:
    """An Assist pipeline: its id and the entities that hear and speak in it."""

    ident: str
    ears: str
    voice: str


@dataclass(frozen=True)
class Stage:
    """A demo home that listens; `pipeline` is BarnabeeNet's."""

    home: HomeAssistant
    sidecar: Sidecar
    judge: Judge
    timers: Timers
    turns: TurnLog
    device_id: str
    pipeline: Pipeline


async def pair(home: HomeAssistant, ears: Sidecar, token: str) -> Pipeline:
    """Adds the integration with the sidecar's address and token, as in the UI; returns its pipeline."""
    form = {"host": LOCAL, "port": ears.port, "token": token}
    entry = await home.configure("barnabeenet", form)
    return await pipeline_named(home, entry["title"])


async def pipeline_named(home: HomeAssistant, name: str) -> Pipeline:
    """The Assist pipeline of that name; raises ApiError."""
    pipelines = (await home.call("assist_pipeline/pipeline/list"))["pipelines"]
    for found in pipelines:
        if found["name"] == name:
            return Pipeline(found["id"], found["stt_engine"], found["tts_engine"])
    raise ApiError(f"there is no pipeline named {name}, only {', '.join(found['name'] for found in pipelines)}")


@contextmanager
def workplace(name: str) -> Iterator[Path]:
    """An empty folder for one run at a time; it is left as it is afterwards. Raises ProcessFailed when one runs there."""
    folder = ROOT / ".demo" / name
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProcessFailed(f"another one is running in {folder}: end that first") from None
        shutil.rmtree(folder)
        folder.mkdir()
        yield folder


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, str]) -> AsyncIterator[asyncio.Task[str]]:
    """Work in the background of the block, which may await it and cancels it when left."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _token_when_ready(ears: Sidecar) -> str:
    await ears.ready()
    return await ears.token()


@asynccontextmanager
async def stage(folder: Path, *, plain: bool = False) -> AsyncIterator[Stage]:
    """The whole demo below `folder`, started anew; all of it is stopped when the block is left.

    With `plain` the sidecar serves any Wyoming client as well.
    """
    async with (
        sidecar(folder / "sidecar", plain=plain) as ears,
        meanwhile(_token_when_ready(ears)) as token,
        satellite() as (satellite_port, timers),
        home_assistant(folder / "home") as home,
    ):
        entry = await home.configure("wyoming", {"host": LOCAL, "port": satellite_port})
        device_id = await place_device(home, entry["entry_id"], ROOM)
        pipeline = await pair(home, ears, await token)
        judge = Judge(home, timers, device_id=device_id)
        async with turn_log(home) as turns:
            yield Stage(home, ears, judge, timers, turns, device_id, pipeline)
