"""The sensor of memories that are still to be read, on the home's real database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from homeassistant.core import HomeAssistant, State
import numpy as np
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.barnabeenet.database_keeper import async_keeper
from custom_components.barnabeenet.state.memories import Memories
from custom_components.barnabeenet.state.vectors import Vector

pytestmark = pytest.mark.usefixtures("starting", "loaded")

SENSOR = "sensor.barnabee_memories_to_read"
TEXTS = ("my bike code is 4711", "the bins go out on tuesday", "my locker is number 12")


class SlowModel:
    """Reads when it is let, or fails."""

    def __init__(self) -> None:
        self.name, self.dimensions = "slow", 4
        self.may_read = asyncio.Event()
        self.is_asked = asyncio.Event()
        self.error: OSError | None = None

    async def embed(self, texts: Sequence[str]) -> Vector:
        self.is_asked.set()
        await self.may_read.wait()
        if self.error is not None:
            raise self.error
        return np.ones((len(texts), 4), np.float32)


@pytest.fixture
async def memories(home: HomeAssistant) -> Memories:
    memories = async_keeper(home).memories
    for text in TEXTS:
        await memories.remember(text, speaker="anna", visibility="owner", source=None, language="en")
    return memories


def shown(home: HomeAssistant) -> State:
    state = home.states.get(SENSOR)
    assert state is not None
    return state


async def test_what_the_model_has_still_to_read_is_counted_down(home: HomeAssistant, memories: Memories) -> None:
    model = SlowModel()
    memories.use(model)
    await model.is_asked.wait()
    assert shown(home).state == "3"
    assert shown(home).attributes["percent"] == 0
    model.may_read.set()
    await memories.settled()
    assert shown(home).state == "0"
    assert {key: shown(home).attributes[key] for key in ("model", "percent", "error")} == {
        "model": "slow",
        "percent": 100,
        "error": None,
    }


async def test_why_it_does_not_go_on_is_told(home: HomeAssistant, memories: Memories) -> None:
    model = SlowModel()
    model.error = OSError("the sidecar is gone")
    model.may_read.set()
    memories.use(model)
    await memories.settled()
    assert shown(home).state == "3"
    assert shown(home).attributes["error"] == "the sidecar is gone"


async def test_a_home_without_memories_has_none_to_read(home: HomeAssistant, loaded: MockConfigEntry) -> None:
    assert shown(home).state == "0"
    assert shown(home).attributes["percent"] == 100
