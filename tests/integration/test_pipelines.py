"""The Assist pipeline of an entry: made once, repaired, left alone when people want it otherwise."""

from __future__ import annotations

from typing import Any

from homeassistant.components.assist_pipeline import async_get_pipelines, async_update_pipeline
from homeassistant.components.assist_pipeline.pipeline import (
    Pipeline,
    PipelineStorageCollection,
    async_setup_pipeline_store,
)
from homeassistant.components.conversation import HOME_ASSISTANT_AGENT
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.barnabeenet import pipelines
from custom_components.barnabeenet.client.errors import CannotConnect
from custom_components.barnabeenet.const import DOMAIN

pytestmark = pytest.mark.usefixtures("starting")


def named(hass: HomeAssistant, name: str = "Barnabee") -> list[Pipeline]:
    return [pipeline for pipeline in async_get_pipelines(hass) if pipeline.name == name]


async def store_of(hass: HomeAssistant) -> PipelineStorageCollection:
    return (await async_setup_pipeline_store(hass)).pipeline_store


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


async def rename(hass: HomeAssistant, entity_id: str, new_entity_id: str) -> None:
    er.async_get(hass).async_update_entity(entity_id, new_entity_id=new_entity_id)
    await hass.async_block_till_done()


async def test_a_pipeline_named_after_the_entry_is_made_of_its_entities(
    home: HomeAssistant, loaded: MockConfigEntry
) -> None:
    (pipeline,) = named(home)
    assert pipeline.stt_engine == "stt.barnabee_speech_to_text"
    assert pipeline.tts_engine == "tts.barnabee_text_to_speech"
    assert pipeline.conversation_engine == "conversation.barnabee"
    assert (pipeline.stt_language, pipeline.tts_language, pipeline.tts_voice) == ("en", "en", "slt")
    assert pipeline.prefer_local_intents is False
    # Satellites have their own wake words.
    assert pipeline.wake_word_entity is None
    assert loaded.data["pipeline"]["id"] == pipeline.id
    assert "preferred" not in loaded.data


async def test_it_becomes_the_preferred_one_only_when_that_was_wished(
    home: HomeAssistant, sidecar: Any, entry: MockConfigEntry
) -> None:
    await set_up(home, entry)
    assert (await store_of(home)).async_get_preferred_item() != named(home)[0].id


async def test_it_becomes_the_preferred_one_when_that_was_wished(
    home: HomeAssistant, sidecar: Any, entry: MockConfigEntry
) -> None:
    home.config_entries.async_update_entry(entry, data={**entry.data, "preferred": True})
    await set_up(home, entry)
    assert (await store_of(home)).async_get_preferred_item() == named(home)[0].id
    # A later choice of people's own is not overruled.
    (other,) = named(home, "Home Assistant")
    (await store_of(home)).async_set_preferred_item(other.id)
    assert await home.config_entries.async_reload(entry.entry_id)
    assert (await store_of(home)).async_get_preferred_item() == other.id


async def test_a_pipeline_that_people_delete_stays_deleted(home: HomeAssistant, loaded: MockConfigEntry) -> None:
    await (await store_of(home)).async_delete_item(named(home)[0].id)
    assert await home.config_entries.async_reload(loaded.entry_id)
    await home.async_block_till_done()
    assert named(home) == []


async def test_a_reload_makes_no_second_one(home: HomeAssistant, loaded: MockConfigEntry, sidecar: Any) -> None:
    assert await home.config_entries.async_reload(loaded.entry_id)
    sidecar.goes()
    sidecar.comes()
    await home.async_block_till_done()
    assert len(named(home)) == 1


async def test_it_is_made_when_the_sidecar_first_says_what_it_can_do(
    home: HomeAssistant, sidecar: Any, entry: MockConfigEntry, offers: Any
) -> None:
    home.config.language = "de"
    sidecar.offers, sidecar.first_attempt = offers(["de"]), CannotConnect("down")
    await set_up(home, entry)
    assert named(home) == []
    sidecar.comes()
    await home.async_block_till_done()
    (pipeline,) = named(home)
    assert (pipeline.stt_language, pipeline.tts_language, pipeline.language) == ("de", "de", "de")


async def test_a_sidecar_that_does_not_speak_the_homes_language_is_a_repair_until_it_does(
    home: HomeAssistant, sidecar: Any, entry: MockConfigEntry, offers: Any
) -> None:
    home.config.language = "nl"
    await set_up(home, entry)
    assert named(home) == []
    issue = ir.async_get(home).async_get_issue(DOMAIN, f"no_pipeline_{entry.entry_id}")
    assert issue is not None
    assert issue.translation_placeholders == {"name": "Barnabee", "language": "nl"}

    sidecar.offers = offers(["en", "nl"])
    sidecar.comes()
    await home.async_block_till_done()
    assert len(named(home)) == 1
    assert ir.async_get(home).async_get_issue(DOMAIN, issue.issue_id) is None


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [
        ("stt_engine", "stt.barnabee_speech_to_text", "stt.ears"),
        ("tts_engine", "tts.barnabee_text_to_speech", "tts.mouth"),
        ("conversation_engine", "conversation.barnabee", "conversation.butler"),
    ],
)
async def test_an_entity_that_is_renamed_stays_in_its_pipelines(
    home: HomeAssistant, loaded: MockConfigEntry, field: str, old: str, new: str
) -> None:
    store = await store_of(home)
    data = {name: value for name, value in named(home)[0].to_json().items() if name != "id"}
    own = await store.async_create_item(data | {"name": "My own"})
    await rename(home, old, new)
    assert getattr(named(home)[0], field) == new
    assert getattr(store.data[own.id], field) == new
    await rename(home, new, f"{new}_again")
    assert getattr(named(home)[0], field) == f"{new}_again"


async def test_a_wake_word_entity_that_is_renamed_stays_where_people_chose_it(
    home: HomeAssistant, loaded: MockConfigEntry
) -> None:
    await async_update_pipeline(home, named(home)[0], wake_word_entity="wake_word.barnabee_wake_word")
    await rename(home, "wake_word.barnabee_wake_word", "wake_word.butler")
    assert named(home)[0].wake_word_entity == "wake_word.butler"


async def test_an_entity_that_was_renamed_while_nobody_looked_is_repaired_at_the_next_start(
    home: HomeAssistant, loaded: MockConfigEntry
) -> None:
    assert await home.config_entries.async_unload(loaded.entry_id)
    await rename(home, "stt.barnabee_speech_to_text", "stt.ears")
    assert named(home)[0].stt_engine == "stt.barnabee_speech_to_text"
    await set_up(home, loaded)
    assert named(home)[0].stt_engine == "stt.ears"


async def test_an_engine_that_people_chose_instead_is_not_changed_back(
    home: HomeAssistant, loaded: MockConfigEntry
) -> None:
    await async_update_pipeline(home, named(home)[0], conversation_engine=HOME_ASSISTANT_AGENT, name="Ours")
    await rename(home, "conversation.barnabee", "conversation.butler")
    assert await home.config_entries.async_reload(loaded.entry_id)
    await home.async_block_till_done()
    (pipeline,) = named(home, "Ours")
    assert pipeline.conversation_engine == HOME_ASSISTANT_AGENT


async def test_without_one_of_its_entities_no_pipeline_is_made(
    home: HomeAssistant, loaded: MockConfigEntry, sidecar: Any
) -> None:
    registry = er.async_get(home)
    registry.async_update_entity("tts.barnabee_text_to_speech", disabled_by=er.RegistryEntryDisabler.USER)
    await (await store_of(home)).async_delete_item(named(home)[0].id)
    data = {name: value for name, value in loaded.data.items() if name != "pipeline"}
    home.config_entries.async_update_entry(loaded, data=data)
    assert await home.config_entries.async_reload(loaded.entry_id)
    assert named(home) == []
    assert not [issue for domain, issue in ir.async_get(home).issues if domain == DOMAIN]


async def test_removing_the_entry_removes_its_pipeline(home: HomeAssistant, loaded: MockConfigEntry) -> None:
    await home.config_entries.async_remove(loaded.entry_id)
    assert named(home) == []


async def test_removing_the_entry_hands_the_preference_to_another_pipeline(
    home: HomeAssistant, loaded: MockConfigEntry
) -> None:
    store = await store_of(home)
    store.async_set_preferred_item(named(home)[0].id)
    await home.config_entries.async_remove(loaded.entry_id)
    assert named(home) == []
    assert store.async_get_preferred_item() == named(home, "Home Assistant")[0].id


async def test_removing_the_entry_leaves_a_home_its_last_pipeline(home: HomeAssistant, loaded: MockConfigEntry) -> None:
    store = await store_of(home)
    store.async_set_preferred_item(named(home)[0].id)
    await store.async_delete_item(named(home, "Home Assistant")[0].id)
    await home.config_entries.async_remove(loaded.entry_id)
    assert len(named(home)) == 1


async def test_the_first_assistant_of_a_home_is_known_as_such(home: HomeAssistant, loaded: MockConfigEntry) -> None:
    assert not pipelines.is_first(home)
    await (await store_of(home)).async_delete_item(named(home)[0].id)
    assert pipelines.is_first(home)
