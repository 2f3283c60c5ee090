"""What may be sent along with a bug report."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.barnabeenet.client.errors import CannotConnect
from custom_components.barnabeenet.diagnostics import async_get_config_entry_diagnostics
from custom_components.barnabeenet.telemetry.trace import VoiceContext

pytestmark = pytest.mark.usefixtures("starting")


async def test_it_says_how_things_stand_and_nothing_that_was_said(home: HomeAssistant, loaded: MockConfigEntry) -> None:
    turn = VoiceContext(text="unlock the front door", reply="Who are you?", device_id="kitchen-satellite")
    turn.record("stt", 120.0)
    loaded.runtime_data.turns.finish(turn)
    report = await async_get_config_entry_diagnostics(home, loaded)
    text = json.dumps(report)
    for secret in (loaded.data["token"], "beast:", '"beast"', "front door", "Who are you", "kitchen-satellite"):
        assert secret not in text
    assert report["sidecar"] == {
        "available": True,
        "error": None,
        "software": "barnabeenet-sidecar 0.1.0",
        "engines": {"stt": ["ears 1.0"], "tts": ["mouth 1.0"], "wake_word": ["micro 1.0"]},
        "quick_words": {"voices": 0, "words": 0, "bytes": 0},
    }
    assert report["turns"][0]["stages"][0]["duration_ms"] == 120.0


async def test_options_and_providers_are_told_without_keys_and_addresses(
    home: HomeAssistant, loaded: MockConfigEntry
) -> None:
    data = {
        "kind": "openai_compatible",
        "base_url": "http://llm.example/v1",
        "api_key": "sk-secret",
        "model": "llama",
        "tier": "local",
        "order": 2,
    }
    subentry = ConfigSubentry(data=MappingProxyType(data), subentry_type="provider", title="Mine", unique_id=None)
    home.config_entries.async_add_subentry(loaded, subentry)
    home.config_entries.async_update_entry(
        loaded, options={"redis_url": "redis://:pw@127.0.0.1:1/cellar", "per_minute": 5}
    )
    # Another Redis means another set-up of the entry.
    await home.async_block_till_done(wait_background_tasks=True)
    report = await async_get_config_entry_diagnostics(home, loaded)
    text = json.dumps(report)
    for secret in ("sk-secret", "llm.example", "cellar", "Mine"):
        assert secret not in text
    assert report["options"] == {"redis_url": "**REDACTED**", "per_minute": 5}
    assert report["providers"] == [data | {"base_url": "**REDACTED**", "api_key": "**REDACTED**"}]


async def test_a_sidecar_that_never_answered_is_reported_as_such(
    home: HomeAssistant, sidecar: Any, entry: MockConfigEntry
) -> None:
    sidecar.first_attempt = CannotConnect("nobody answers at beast:10800")
    assert await home.config_entries.async_setup(entry.entry_id)
    report = await async_get_config_entry_diagnostics(home, entry)
    assert report["sidecar"] == {
        "available": False,
        "error": "CannotConnect",
        "software": None,
        "engines": {},
        "quick_words": {"voices": 0, "words": 0, "bytes": 0},
    }
    assert report["turns"] == []
