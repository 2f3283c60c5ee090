"""Adding people to an entry and changing them, in a real Home Assistant."""

from __future__ import annotations

import json
from typing import Any

from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.barnabeenet.dialog.second_factor import Permission
from custom_components.barnabeenet.people import people_of, people_of_home, speaker_of
from custom_components.barnabeenet.state.spoken_code import matches

pytestmark = pytest.mark.usefixtures("starting")

NEEDED: dict[str, Any] = {"name": "Anna", "may": "no", "only_when_sure": False}


async def add(hass: HomeAssistant, entry: MockConfigEntry, **typed: Any) -> Any:
    flow = hass.config_entries.subentries
    result = await flow.async_init((entry.entry_id, "person"), context={"source": SOURCE_USER})
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    return await flow.async_configure(result["flow_id"], {**NEEDED, **typed})


async def change(hass: HomeAssistant, entry: MockConfigEntry, **typed: Any) -> Any:
    (person,) = people_of(entry)
    result = await entry.start_subentry_reconfigure_flow(hass, person.key)
    assert result["step_id"] == "reconfigure"
    return await hass.config_entries.subentries.async_configure(result["flow_id"], {**NEEDED, **typed})


def suggested(result: Any) -> dict[str, Any]:
    fields = result["data_schema"].schema
    return {field.schema: (field.description or {}).get("suggested_value") for field in fields}


async def test_a_name_is_enough_and_allows_nothing(home: HomeAssistant, entry: MockConfigEntry) -> None:
    result = await add(home, entry, name="  Anna   Weber ")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (person,) = people_of(entry)
    assert (person.name, person.may, person.code_hash) == ("Anna Weber", Permission.NO, None)
    assert person.speaker == speaker_of(person.key) == f"person {person.key}"
    assert people_of_home(home) == (person,)
    (subentry,) = entry.subentries.values()
    assert subentry.data == {"may": "no", "only_when_sure": False}


async def test_a_code_is_kept_as_a_hash_and_never_shown(home: HomeAssistant, entry: MockConfigEntry) -> None:
    await add(home, entry, may="code", code=" 47 11 ", only_when_sure=True)
    (person,) = people_of(entry)
    assert (person.may, person.only_when_sure) == (Permission.CODE, True)
    assert person.code_hash is not None
    assert await home.async_add_executor_job(matches, "4711", person.code_hash)
    assert "4711" not in json.dumps({key: value for key, value in entry.as_dict().items() if key != "subentries"})
    assert person.code_hash not in repr(person)
    result = await entry.start_subentry_reconfigure_flow(home, person.key)
    shown = suggested(result)
    assert shown["name"] == "Anna"
    assert shown["code"] is None
    assert person.code_hash not in str(shown)
    assert result["description_placeholders"] == {"name": "Anna"}


async def test_a_code_stays_until_another_one_or_none_is_wanted(home: HomeAssistant, entry: MockConfigEntry) -> None:
    await add(home, entry, may="code", code="4711")
    (before,) = people_of(entry)
    result = await change(home, entry, may="code", remove_code=False, name="Anna B")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    (kept,) = people_of(entry)
    assert (kept.key, kept.name, kept.code_hash) == (before.key, "Anna B", before.code_hash)

    await change(home, entry, may="code", code="081508", remove_code=False)
    (changed,) = people_of(entry)
    assert await home.async_add_executor_job(matches, "081508", changed.code_hash or "")

    result = await change(home, entry, may="code", remove_code=True)
    assert result["errors"] == {"code": "code_missing"}
    await change(home, entry, may="yes", remove_code=True)
    (without,) = people_of(entry)
    assert (without.may, without.code_hash) == (Permission.YES, None)


@pytest.mark.parametrize(
    ("typed", "errors"),
    [
        ({"name": " "}, {"name": "invalid_name"}),
        ({"name": "1234"}, {"name": "invalid_name"}),
        ({"name": "a" * 101}, {"name": "invalid_name"}),
        ({"name": "An\x07na"}, {"name": "invalid_name"}),
        ({"may": "code"}, {"code": "code_missing"}),
        ({"may": "phone"}, {"may": "phone_missing"}),
        ({"code": "471"}, {"code": "invalid_code"}),
        ({"code": "123456789"}, {"code": "invalid_code"}),
        ({"code": "47a1"}, {"code": "invalid_code"}),
    ],
)
async def test_what_cannot_be_meant_is_said_and_nothing_is_lost(
    home: HomeAssistant, entry: MockConfigEntry, typed: dict[str, Any], errors: dict[str, str]
) -> None:
    result = await add(home, entry, **typed)
    assert result["errors"] == errors
    assert suggested(result)["name"] == typed.get("name", "Anna")
    assert suggested(result)["code"] is None, "a code is typed again"
    assert entry.subentries == {}
    result = await home.config_entries.subentries.async_configure(result["flow_id"], NEEDED)
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("typed", [{"may": "everything"}, {"may": "unsure"}, {"person_entity_id": "light.lamp"}])
async def test_what_the_form_does_not_offer_is_refused(
    home: HomeAssistant, entry: MockConfigEntry, typed: dict[str, Any]
) -> None:
    with pytest.raises(InvalidData):
        await add(home, entry, **typed)


async def test_nobody_is_there_twice(home: HomeAssistant, entry: MockConfigEntry) -> None:
    user = MockUser(id="anna-user", name="Anna").add_to_hass(home)
    home.states.async_set("person.anna", "home", {"user_id": user.id})
    home.states.async_set("person.ben", "home", {})
    await add(home, entry, person_entity_id="person.anna")
    assert (await add(home, entry, name="ANNA"))["errors"] == {"name": "name_taken"}
    again = await add(home, entry, name="Ben", person_entity_id="person.anna")
    assert again["errors"] == {"person_entity_id": "already_linked"}
    # Anna's person entity has this user already.
    by_user = await add(home, entry, name="Ben", person_entity_id="person.ben", user_id=user.id)
    assert by_user["errors"] == {"user_id": "already_linked"}
    assert len(entry.subentries) == 1
    await change(home, entry, person_entity_id="person.anna", user_id=user.id)
    (person,) = people_of(entry)
    assert (person.person_entity_id, person.user_id, person.login(home)) == ("person.anna", user.id, user.id)


async def test_only_users_who_can_log_in_are_offered(home: HomeAssistant, entry: MockConfigEntry) -> None:
    MockUser(id="anna", name="Anna").add_to_hass(home)
    MockUser(id="gone", name="Gone", is_active=False).add_to_hass(home)
    MockUser(id="system", name="System", system_generated=True).add_to_hass(home)
    flow = home.config_entries.subentries
    result = await flow.async_init((entry.entry_id, "person"), context={"source": SOURCE_USER})
    assert [option["value"] for option in result["data_schema"].schema["user_id"].config["options"]] == ["anna"]


async def test_what_is_stored_and_cannot_be_read_allows_nothing(home: HomeAssistant, entry: MockConfigEntry) -> None:
    await add(home, entry)
    (subentry,) = entry.subentries.values()
    for may in ("everything", None, 7, "unsure"):
        home.config_entries.async_update_subentry(entry, subentry, data={"may": may, "only_when_sure": "yes"})
        (person,) = people_of(entry)
        assert (person.may, person.only_when_sure) == (Permission.NO, False)
