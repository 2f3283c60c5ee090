"""A real Home Assistant without a browser: its configuration folder, its process, its owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import json
from pathlib import Path
import shutil
import sys

import imageio_ffmpeg  # type: ignore[import-untyped]

from .api import HomeAssistant, onboard
from .furnish import furnish
from .process import Process, free_port

HERE = Path(__file__).parent
COMPONENTS = HERE.parent.parent / "custom_components"
OWNER = {"name": "Demo", "username": "demo", "password": "demo"}
START_S = 120
LOG = "home-assistant.log"
# What the integration keeps, below the configuration folder.
DATABASE = Path("barnabeenet") / "barnabeenet.db"
# What it may read of the user's, likewise.
MEDIA = Path("media")


def write_config(folder: Path, *, port: int) -> None:
    """Writes a fresh configuration folder, the integration linked into it."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / ".storage").mkdir(parents=True)
    (folder / MEDIA).mkdir()
    shutil.copy(HERE / "configuration.yaml", folder)
    secrets = {"port": port, "ffmpeg": imageio_ffmpeg.get_ffmpeg_exe(), "media": str(folder / MEDIA)}
    (folder / "secrets.yaml").write_text(json.dumps(secrets))
    (folder / "custom_components").symlink_to(COMPONENTS)
    # These steps of the first run would set up services in the cloud; the owner's own step is gone through for real.
    skipped = {"done": ["core_config", "analytics", "integration"]}
    storage = {"version": 4, "minor_version": 1, "key": "onboarding", "data": skipped}
    (folder / ".storage" / "onboarding").write_text(json.dumps(storage))


async def _until_started(home: HomeAssistant) -> None:
    """Waits until every integration of the configuration is set up."""
    async with home.subscribe("subscribe_events", event_type="homeassistant_started") as started:
        if (await home.call("get_config"))["state"] == "RUNNING":
            return
        async with asyncio.timeout(START_S):
            await anext(aiter(started))


@asynccontextmanager
async def home_assistant(folder: Path) -> AsyncIterator[HomeAssistant]:
    """A running, onboarded, furnished demo home; stopped when the block is left."""
    port = free_port()
    write_config(folder, port=port)
    url = f"http://127.0.0.1:{port}"
    hass = Path(sys.executable).parent / "hass"
    command = [str(hass), "--config", str(folder), "--skip-pip", "--log-no-color"]
    async with Process(command, log=folder / "home-assistant.out") as process:
        await process.until_answered(url + "/api/onboarding", within_s=START_S)
        token = await onboard(url, **OWNER)
        async with HomeAssistant(url, token) as home:
            await _until_started(home)
            await furnish(home)
            yield home
