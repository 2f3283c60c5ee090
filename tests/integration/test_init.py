"""An entry's life: set up with or without its sidecar, told about once, gone without a trace."""

from __future__ import annotations

import logging
from typing import Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.barnabeenet.client import errors
from custom_components.barnabeenet.client.sidecar import Address
from custom_components.barnabeenet.const import DOMAIN

pytestmark = pytest.mark.usefixtures("starting")

ENTITIES = ("stt.barnabee_speech_to_text", "tts.barnabee_text_to_speech", "wake_word.barnabee_wake_word")


def states(hass: HomeAssistant) -> set[str]:
    return {state.state for name in ENTITIES if (state := hass.states.get(name)) is not None}


def told(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """What was logged about the sidecar."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("custom_components.barnabeenet") and record.levelno == level
    ]


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


async def test_the_entities_of_an_entry_belong_to_one_device(
    home: HomeAssistant, loaded: MockConfigEntry, sidecar: Any
) -> None:
    assert states(home) == {STATE_UNKNOWN}
    assert sidecar.address == Address("beast", 10800)
    (device,) = dr.async_entries_for_config_entry(dr.async_get(home), loaded.entry_id)
    assert (device.name, device.sw_version) == ("Barnabee", "barnabeenet-sidecar 0.1.0")
    entities = er.async_entries_for_config_entry(er.async_get(home), loaded.entry_id)
    assert {entity.device_id for entity in entities} == {device.id}
    assert set(ENTITIES) <= {entity.entity_id for entity in entities}


async def test_a_sidecar_that_is_down_at_the_start_comes_back_by_itself(
    home: HomeAssistant, sidecar: Any, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    sidecar.first_attempt = errors.CannotConnect("nobody answers at beast:10800")
    await set_up(home, entry)
    assert entry.state is ConfigEntryState.LOADED
    assert states(home) == {STATE_UNAVAILABLE}
    conversation = home.states.get("conversation.barnabee")
    assert conversation is not None
    assert conversation.state != STATE_UNAVAILABLE
    assert told(caplog, logging.WARNING) == ["The sidecar of Barnabee is not available: nobody answers at beast:10800"]

    sidecar.comes()
    await home.async_block_till_done()
    assert states(home) == {STATE_UNKNOWN}
    assert told(caplog, logging.INFO) == ["The sidecar of Barnabee is back"]


async def test_a_sidecar_that_goes_is_logged_once_however_often_it_is_looked_for(
    home: HomeAssistant, loaded: MockConfigEntry, sidecar: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for error in (errors.ConnectionLost("gone"), errors.CannotConnect("refused"), errors.SidecarTimeout("slow")):
        sidecar.goes(error)
    assert states(home) == {STATE_UNAVAILABLE}
    assert told(caplog, logging.WARNING) == ["The sidecar of Barnabee is not available: gone"]
    sidecar.comes()
    sidecar.comes()
    assert told(caplog, logging.INFO) == ["The sidecar of Barnabee is back"]
    sidecar.goes()
    assert len(told(caplog, logging.WARNING)) == 2


async def test_a_sidecar_without_an_engine_leaves_only_that_entity_unavailable(
    home: HomeAssistant, sidecar: Any, entry: MockConfigEntry
) -> None:
    sidecar.offers.wake = []
    await set_up(home, entry)
    unavailable = [name for name in ENTITIES if (s := home.states.get(name)) and s.state == STATE_UNAVAILABLE]
    assert unavailable == ["wake_word.barnabee_wake_word"]


@pytest.mark.parametrize("error", [errors.Unauthorized("the token is wrong"), errors.Impostor("no proof")])
async def test_a_token_that_no_longer_holds_asks_for_a_new_one_once(
    home: HomeAssistant, loaded: MockConfigEntry, sidecar: Any, error: errors.SidecarError
) -> None:
    sidecar.goes(error)
    await home.async_block_till_done()
    (flow,) = home.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert flow["context"].get("entry_id") == loaded.entry_id

    home.config_entries.flow.async_abort(flow["flow_id"])
    sidecar.goes(error)
    await home.async_block_till_done()
    assert home.config_entries.flow.async_progress() == []

    sidecar.comes()
    sidecar.goes(error)
    await home.async_block_till_done()
    assert len(home.config_entries.flow.async_progress()) == 1


async def test_two_versions_that_differ_are_a_repair_until_they_match(
    home: HomeAssistant, loaded: MockConfigEntry, sidecar: Any
) -> None:
    sidecar.goes(errors.ContractMismatch("The sidecar speaks 2, this integration 1: update the integration"))
    issue = ir.async_get(home).async_get_issue(DOMAIN, f"contract_mismatch_{loaded.entry_id}")
    assert issue is not None
    assert issue.translation_placeholders == {
        "name": "Barnabee",
        "error": "The sidecar speaks 2, this integration 1: update the integration",
    }
    assert home.config_entries.flow.async_progress() == []
    sidecar.comes()
    assert ir.async_get(home).async_get_issue(DOMAIN, issue.issue_id) is None


async def test_unloading_closes_the_connections_and_leaves_nobody_listening(
    home: HomeAssistant, loaded: MockConfigEntry, sidecar: Any
) -> None:
    sidecar.goes(errors.ContractMismatch("different"))
    assert await home.config_entries.async_unload(loaded.entry_id)
    assert sidecar.closed == 1
    assert sidecar.listeners == 0
    assert states(home) == {STATE_UNAVAILABLE}
    assert not [issue for domain, issue in ir.async_get(home).issues if domain == DOMAIN]


async def test_an_entry_can_be_reloaded(home: HomeAssistant, loaded: MockConfigEntry, sidecar: Any) -> None:
    assert await home.config_entries.async_reload(loaded.entry_id)
    await home.async_block_till_done()
    assert loaded.state is ConfigEntryState.LOADED
    assert sidecar.closed == 1
    assert states(home) == {STATE_UNKNOWN}


async def test_the_connections_close_when_home_assistant_stops(
    home: HomeAssistant, loaded: MockConfigEntry, sidecar: Any
) -> None:
    home.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await home.async_block_till_done()
    assert sidecar.closed == 1
