"""Who speaks in a real Home Assistant, what they may open there, and what is left of people who are removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import EVENT_CALL_SERVICE
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.chat_session import async_get_chat_session
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser, async_capture_events

from custom_components.barnabeenet.database_keeper import DATABASE
from custom_components.barnabeenet.diagnostics import async_get_config_entry_diagnostics
from custom_components.barnabeenet.dialog.second_factor import HIDDEN
from custom_components.barnabeenet.dialog.sentences import Phrase, say
from custom_components.barnabeenet.identity import AWAY_WEIGHT, GUEST, Household, Identity
from custom_components.barnabeenet.people import people_of
from custom_components.barnabeenet.state.spoken_code import hash_code
from custom_components.barnabeenet.state.voices import Sample

pytestmark = pytest.mark.usefixtures("starting")


@dataclass(frozen=True)
class Voice:
    vector: Sequence[float] = field(repr=False)
    engine: str = "test"
    speech_ms: float = 2_000.0
    snr_db: float = 30.0


@dataclass(frozen=True)
class Match:
    speaker: str | None
    confidence: float
    margin: float = 0.3
    why: str = "near"


class Matcher:
    """Knows those whose first vector is the very one that is heard, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Mapping[str, Sequence[Sequence[float]]], Mapping[str, float]]] = []
        self.confidence = 0.95

    def __call__(
        self, voice: Any, people: Mapping[str, Sequence[Sequence[float]]], presence: Mapping[str, float]
    ) -> Match:
        self.asked.append((people, presence))
        heard = tuple(voice.vector)
        return Match(next((who for who, vectors in people.items() if vectors[0] == heard), None), self.confidence)


ANNA_VOICE, BEN_VOICE = (1.0, 0.0), (0.0, 1.0)


def add_person(hass: HomeAssistant, entry: MockConfigEntry, name: str, **data: Any) -> str:
    """The speaker's key of somebody new."""
    given = {"may": "no", "only_when_sure": False, **data}
    subentry = ConfigSubentry(data=MappingProxyType(given), subentry_type="person", title=name, unique_id=None)
    hass.config_entries.async_add_subentry(entry, subentry)
    return f"person {subentry.subentry_id}"


def sample(speaker: str, vector: tuple[float, ...], engine: str = "test") -> Sample:
    return Sample(speaker, engine, vector, 2_000.0, 30.0, 0)


@pytest.fixture
def household(loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch) -> Household:
    """The people of the entry, whose voices are known by the matcher."""
    household: Household = loaded.runtime_data.brain.household
    monkeypatch.setattr(household, "_match", Matcher())
    return household


# Who speaks


async def test_a_login_is_a_person_or_itself(
    home: HomeAssistant, loaded: MockConfigEntry, household: Household
) -> None:
    home.states.async_set("person.anna", "home", {"user_id": "user-of-anna"})
    anna = add_person(home, loaded, "Anna", person_entity_id="person.anna")
    ben = add_person(home, loaded, "Ben", user_id="user-of-ben")
    assert household.who(None, "user-of-anna", None) == Identity(anna, "Anna", 1.0, "login")
    assert household.who(None, "user-of-ben", None) == Identity(ben, "Ben", 1.0, "login")
    assert household.who(None, "somebody", None) == Identity("user somebody", None, 1.0, "login")
    assert household.who(None, "somebody", None).is_sure
    assert household.who(None, None, None) == GUEST


async def test_a_device_is_nobody_whoever_sends_its_id(
    home: HomeAssistant, loaded: MockConfigEntry, household: Household
) -> None:
    """Anybody who is logged in may send any device's id: then they are not taken for themselves either."""
    add_person(home, loaded, "Ben", user_id="user-of-ben")
    assert household.who(None, "user-of-ben", "kitchen") == GUEST
    assert household.who(None, None, "kitchen") == GUEST
    assert not GUEST.is_sure


async def test_a_voice_is_known_by_what_was_learnt(
    home: HomeAssistant, loaded: MockConfigEntry, household: Household
) -> None:
    anna = add_person(home, loaded, "Anna")
    await household.voices.add(sample(anna, ANNA_VOICE))
    known = household.who(Voice(ANNA_VOICE), None, "kitchen")
    assert (known, known.is_sure) == (Identity(anna, "Anna", 0.95, "voice"), True)
    assert household.who(Voice(BEN_VOICE), None, "kitchen") == GUEST
    assert household.who(Voice(ANNA_VOICE, engine="another"), None, "kitchen") == GUEST
    # A phone lends its login to a voice that nobody knows, and not to one that is another's.
    assert household.who(Voice(BEN_VOICE), "somebody", None).speaker == "user somebody"
    assert household.who(Voice(ANNA_VOICE), "somebody", None).speaker == anna


async def test_a_voice_that_is_likely_is_not_sure(
    home: HomeAssistant, loaded: MockConfigEntry, household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = add_person(home, loaded, "Anna")
    await household.voices.add(sample(anna, ANNA_VOICE))
    household._match.confidence = 0.7  # type: ignore[union-attr]
    known = household.who(Voice(ANNA_VOICE), None, "kitchen")
    assert (known.speaker, known.is_sure) == (anna, False)


async def test_presence_weighs_in_as_it_is_now(
    home: HomeAssistant, loaded: MockConfigEntry, household: Household
) -> None:
    people = {name: add_person(home, loaded, name, person_entity_id=f"person.{name}") for name in ("anna", "ben")}
    people["cleo"] = add_person(home, loaded, "cleo")
    await household.voices.add(*(sample(speaker, BEN_VOICE) for speaker in people.values()))
    for state, weight in (("home", 1.0), ("not_home", AWAY_WEIGHT), ("work", 1.0), ("unknown", 1.0)):
        home.states.async_set("person.anna", state)
        household.who(Voice(ANNA_VOICE), None, None)
        asked, presence = household._match.asked[-1]  # type: ignore[union-attr]
        assert asked.keys() == set(people.values())
        assert presence == {people["anna"]: weight, people["ben"]: 1.0, people["cleo"]: 1.0}


async def test_somebody_elses_voice_of_old_is_nobodys(
    home: HomeAssistant, loaded: MockConfigEntry, household: Household
) -> None:
    add_person(home, loaded, "Anna")
    await household.voices.add(sample("person who was removed", ANNA_VOICE))
    assert household.who(Voice(ANNA_VOICE), None, None) == GUEST


async def test_the_name_comes_with_the_key(home: HomeAssistant, loaded: MockConfigEntry, household: Household) -> None:
    anna = add_person(home, loaded, "Anna")
    profiles = loaded.runtime_data.brain.mind.sources.profiles
    assert (await profiles.profile(anna)).name == "Anna"
    assert await profiles.profile("person gone") is None


# What they may open


@pytest.fixture
async def door(home: HomeAssistant, loaded: MockConfigEntry) -> list[str]:
    """A front door that is locked and can be opened by a sentence; the services that were called for it."""
    assert await async_setup_component(home, "lock", {})
    home.states.async_set("lock.front_door", "locked", {"friendly_name": "Front door"})
    home.states.async_set("light.hall", "off", {"friendly_name": "Hall light"})
    called: list[str] = []
    for domain, service in (("lock", "unlock"), ("lock", "lock"), ("light", "turn_on")):

        async def note(call: Any) -> None:
            called.append(f"{call.domain}.{call.service}")

        home.services.async_register(domain, service, note)
    for entity_id in ("lock.front_door", "light.hall"):
        async_expose_entity(home, "conversation", entity_id, should_expose=True)
    loaded.runtime_data.brain.house.refresh()
    async_capture_events(home, EVENT_CALL_SERVICE)
    return called


async def says(
    hass: HomeAssistant, text: str, user: str | None = None, device: str | None = None, talk: str = "t"
) -> str:
    result = await conversation.async_converse(
        hass, text, talk, Context(user_id=user), language="en", agent_id="conversation.barnabee", device_id=device
    )
    await hass.async_block_till_done()
    return str(result.response.speech["plain"]["speech"])


async def test_without_people_a_sentence_unlocks_as_ever(home: HomeAssistant, door: list[str]) -> None:
    await says(home, "unlock the front door", device="satellite")
    assert door == ["lock.unlock"]


async def test_a_person_unlocks_with_yes_and_code_and_nothing_keeps_it(
    home: HomeAssistant, loaded: MockConfigEntry, door: list[str]
) -> None:
    user = MockUser(id="user-of-anna").add_to_hass(home)
    code_hash = await home.async_add_executor_job(hash_code, "4711")
    add_person(home, loaded, "Anna", user_id=user.id, may="code", code_hash=code_hash)
    with async_get_chat_session(home) as session:
        talk = session.conversation_id
    assert await says(home, "unlock the front door", user.id, talk=talk) == "Shall I unlock Front door?"
    assert await says(home, "yes", user.id, talk=talk) == say(Phrase.SAY_CODE, "en")
    assert await says(home, "one two three four", user.id, talk=talk) == say(Phrase.WRONG_CODE, "en")
    assert door == []
    await says(home, "four seven one one", user.id, talk=talk)
    assert door == ["lock.unlock"]
    turns = [turn.text for turn in loaded.runtime_data.turns]
    assert turns == ["unlock the front door", "yes", HIDDEN, HIDDEN]
    with async_get_chat_session(home, talk) as session, conversation.async_get_chat_log(home, session) as log:
        said = [content.content for content in log.content if content.role == "user"]
    assert said == ["unlock the front door", "yes", HIDDEN, HIDDEN]


@pytest.mark.parametrize(
    "text",
    [
        "unlock the front door",
        "unlock front door in five minutes",
        "turn on the hall light and unlock the front door",
        "unlock the frond door",
    ],
)
async def test_a_guest_or_a_spoofed_device_opens_nothing(
    home: HomeAssistant, loaded: MockConfigEntry, door: list[str], text: str
) -> None:
    user = MockUser(id="user-of-anna").add_to_hass(home)
    add_person(home, loaded, "Anna", user_id=user.id, may="yes")
    device = dr.async_get(home).async_get_or_create(
        config_entry_id=loaded.entry_id, identifiers={("test", "satellite")}
    )
    for given in ({"device": device.id}, {"device": device.id, "user": user.id}, {"device": "made up"}, {}):
        await says(home, text, talk=f"talk {given}", **given)
        await says(home, "yes", talk=f"talk {given}", **given)
    assert "lock.unlock" not in door


class Phone:
    """Home Assistant's app on somebody's phone; taps what it is told to as soon as it is asked."""

    def __init__(self, hass: HomeAssistant, user_id: str, name: str) -> None:
        self.hass, self.user_id = hass, user_id
        self.shown: list[dict[str, Any]] = []
        self.taps: Sequence[tuple[str, str | None]] = ()
        """The endings of the actions that are tapped, and by whom."""
        MockConfigEntry(domain="mobile_app", data={"user_id": user_id, "device_name": name}).add_to_hass(hass)
        hass.services.async_register("notify", f"mobile_app_{name.lower()}", self.notify)

    async def notify(self, call: Any) -> None:
        self.shown.append(dict(call.data))
        for action in call.data["data"].get("actions", ()):
            for ending, user_id in self.taps:
                if action["action"].endswith(ending):
                    self.hass.bus.async_fire(
                        "mobile_app_notification_action", {"action": action["action"]}, context=Context(user_id=user_id)
                    )


async def test_a_tap_on_the_own_phone_unlocks(home: HomeAssistant, loaded: MockConfigEntry, door: list[str]) -> None:
    user = MockUser(id="user-of-eve").add_to_hass(home)
    phone = Phone(home, user.id, "Pixel")
    phone.taps = [("_YES", user.id)]
    add_person(home, loaded, "Eve", user_id=user.id, may="phone")
    await says(home, "unlock the front door", user.id)
    assert "confirm it on your phone" in await says(home, "yes", user.id)
    assert door == ["lock.unlock"]
    asked, cleared = phone.shown
    assert (asked["message"], cleared["message"]) == ("Shall I unlock Front door?", "clear_notification")
    assert asked["data"]["tag"] == cleared["data"]["tag"]
    assert loaded.runtime_data.turns is not None
    assert [turn.reply for turn in loaded.runtime_data.turns][-1].startswith("Please confirm it on your phone.")


async def test_nobody_elses_tap_and_no_old_one_unlocks(
    home: HomeAssistant, loaded: MockConfigEntry, door: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = MockUser(id="user-of-eve").add_to_hass(home)
    phone = Phone(home, user.id, "Pixel")
    add_person(home, loaded, "Eve", user_id=user.id, may="phone")
    monkeypatch.setattr("custom_components.barnabeenet.phones.ANSWER_S", 0.05)
    for taps in ([("_YES", "user-of-ben"), ("_YES", None)], [("_NO", user.id)], []):
        phone.taps = taps
        await says(home, "unlock the front door", user.id)
        assert say(Phrase.LEFT_ALONE, "en") in await says(home, "yes", user.id)
        # What was asked before is answered too late.
        for shown in phone.shown:
            for action in shown["data"].get("actions", ()):
                home.bus.async_fire(
                    "mobile_app_notification_action", {"action": action["action"]}, context=Context(user_id=user.id)
                )
        await home.async_block_till_done()
    assert door == []


async def test_who_has_no_phone_may_not(home: HomeAssistant, loaded: MockConfigEntry, door: list[str]) -> None:
    user = MockUser(id="user-of-eve").add_to_hass(home)
    add_person(home, loaded, "Eve", user_id=user.id, may="phone")
    Phone(home, "user-of-ben", "Fairphone")
    assert await says(home, "unlock the front door", user.id) == say(Phrase.MAY_NOT, "en")


async def test_everybody_may_lock_the_door_and_switch_the_light(
    home: HomeAssistant, loaded: MockConfigEntry, door: list[str]
) -> None:
    add_person(home, loaded, "Anna")
    await says(home, "lock the front door", device="satellite")
    await says(home, "turn on the hall light", device="satellite")
    assert door == ["lock.lock", "light.turn_on"]


async def test_permissions_change_at_once(home: HomeAssistant, loaded: MockConfigEntry, household: Household) -> None:
    anna = add_person(home, loaded, "Anna", may="yes", only_when_sure=True)
    assert household.permission(anna, is_sure=True) == "yes"
    assert household.permission(anna, is_sure=False) == "unsure"
    (person,) = people_of(loaded)
    home.config_entries.async_update_subentry(loaded, loaded.subentries[person.key], data={"may": "code"})
    assert household.permission(anna, is_sure=True) == "no", "there is no code"
    assert household.permission(None, is_sure=False) == "no"
    assert household.permission("person gone", is_sure=True) == "no"
    assert household.permission("user 1", is_sure=True) == "yes"
    home.config_entries.async_remove_subentry(loaded, person.key)
    assert household.permission(None, is_sure=False) is None


# Who is gone


async def test_who_is_removed_leaves_no_trace_and_others_are_told(
    home: HomeAssistant, loaded: MockConfigEntry, household: Household
) -> None:
    anna, ben = add_person(home, loaded, "Anna"), add_person(home, loaded, "Ben")
    await home.async_block_till_done(wait_background_tasks=True)
    vectors = {anna: tuple(float(n) for n in range(1, 200)), ben: tuple(float(n) for n in range(300, 500))}
    await household.voices.add(*(sample(speaker, vector) for speaker, vector in vectors.items()))
    told: list[frozenset[str]] = []

    async def fails(_: frozenset[str]) -> None:
        raise RuntimeError("no memory of it")

    async def forget(gone: frozenset[str]) -> None:
        assert household.voices.speakers == {ben}
        told.append(gone)

    household.on_forgotten(fails)
    stop = household.on_forgotten(forget)
    home.config_entries.async_remove_subentry(loaded, anna.removeprefix("person "))
    await home.async_block_till_done(wait_background_tasks=True)
    assert told == [frozenset({anna})]
    assert household.voices.speakers == {ben}
    assert anna.encode() not in _files(home)
    assert ben.encode() in _files(home)
    stop()


async def test_who_was_removed_meanwhile_is_forgotten_at_the_start(
    home: HomeAssistant, loaded: MockConfigEntry, household: Household
) -> None:
    await household.voices.add(sample("person who was removed", ANNA_VOICE))
    await home.config_entries.async_reload(loaded.entry_id)
    assert loaded.runtime_data.brain.household.voices.speakers == frozenset()


async def test_an_entry_that_is_removed_takes_the_voices_of_its_people_along(
    home: HomeAssistant, loaded: MockConfigEntry, household: Household
) -> None:
    anna = add_person(home, loaded, "Anna")
    await household.voices.add(sample(anna, ANNA_VOICE))
    await home.config_entries.async_remove(loaded.entry_id)
    assert anna.encode() not in _files(home)


def _files(hass: HomeAssistant) -> bytes:
    path = Path(hass.config.path(str(DATABASE)))
    return b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))


# Bug reports


async def test_a_bug_report_has_nobodys_name_code_or_voice(
    home: HomeAssistant, loaded: MockConfigEntry, household: Household
) -> None:
    code_hash = "scrypt$16384$8$1$aabb$ccdd"
    anna = add_person(
        home, loaded, "Annabella", may="code", code_hash=code_hash, user_id="u-77", person_entity_id="person.annabella"
    )
    await household.voices.add(sample(anna, (0.123456, 0.654321)))
    report = await async_get_config_entry_diagnostics(home, loaded)
    text = json.dumps(report)
    for secret in ("Annabella", "annabella", code_hash, "u-77", "0.1234", "0.654"):
        assert secret not in text
    assert report["people"] == [
        {
            "may": "code",
            "only_when_sure": False,
            "code_hash": "**REDACTED**",
            "user_id": "**REDACTED**",
            "person_entity_id": "**REDACTED**",
            "samples": 1,
        }
    ]
