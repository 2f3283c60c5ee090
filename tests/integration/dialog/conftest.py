"""What the dialogue's tests share."""

from __future__ import annotations

from hassil.intents import Intents
from home_assistant_intents import get_intents
import pytest


@pytest.fixture(scope="session")
def english_intents() -> Intents:
    """All of Home Assistant's English sentences."""
    data = get_intents("en")
    assert data is not None
    return Intents.from_dict(data)
