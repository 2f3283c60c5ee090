"""The actions remember, recall and forget: whose they are, what they answer and what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import async_get_translations
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.barnabeenet.const import DOMAIN
from custom_components.barnabeenet.state.errors import Unavailable
from tests.stored_memories import StoredMemories

pytestmark = pytest.mark.usefixtures("starting")


@pytest.fixture
def memories(home: HomeAssistant, loaded: MockConfigEntry) -> StoredMemories:
    return StoredMemories(home, loaded)


@pytest.fixture
def anna(home: HomeAssistant) -> MockUser:
    return MockUser(name="Anna").add_to_hass(home)


@pytest.fixture
def ben(home: HomeAssistant) -> MockUser:
    return MockUser(name="Ben").add_to_hass(home)


async def call(hass: HomeAssistant, name: str, who: MockUser | None, *, answer: bool = True, **data: Any) -> Any:
    context = Context(user_id=who.id if who else None)
    return await hass.services.async_call(DOMAIN, name, data, blocking=True, return_response=answer, context=context)


async def refused(hass: HomeAssistant, name: str, who: MockUser | None, **data: Any) -> str | None:
    """The key of the text that says why."""
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, name, who, **data)
    key = raised.value.translation_key
    texts = await async_get_translations(hass, "en", "exceptions", [DOMAIN])
    assert texts[f"component.{DOMAIN}.exceptions.{key}.message"]
    return key


async def texts(hass: HomeAssistant, who: MockUser | None, **data: Any) -> list[str]:
    answer = await call(hass, "recall", who, **data)
    return [each["text"] for each in answer["memories"]]


async def test_what_is_remembered_is_the_callers(home: HomeAssistant, memories: StoredMemories, anna: MockUser) -> None:
    answer = await call(home, "remember", anna, text="  my bike code is 4711 ")
    (kept,) = memories.kept
    assert (kept.owner, kept.text, kept.visibility, kept.language) == (
        f"user {anna.id}",
        "my bike code is 4711",
        "owner",
        "en",
    )
    assert answer == {
        "memory": {
            "id": 1,
            "text": "my bike code is 4711",
            "speaker": f"user {anna.id}",
            "visibility": "owner",
            "kind": "fact",
            "at": datetime.fromtimestamp(kept.at, UTC).isoformat(),
        }
    }


async def test_an_answer_is_given_only_to_who_wants_one(
    home: HomeAssistant, memories: StoredMemories, anna: MockUser
) -> None:
    assert await call(home, "remember", anna, answer=False, text="x") is None
    assert await call(home, "forget", anna, answer=False, memory_id=1) is None
    assert memories.kept == []


async def test_it_is_found_again_by_what_it_is_about(
    home: HomeAssistant, memories: StoredMemories, anna: MockUser
) -> None:
    for text in ("my bike code is 4711", "my cat is black"):
        await call(home, "remember", anna, text=text)
    answer = await call(home, "recall", anna, query="bike code")
    (found,) = answer["memories"]
    # Nobody reads texts here, so words alone tell.
    assert (found["text"], found["similarity"]) == ("my bike code is 4711", 0.0)


async def test_without_a_question_the_newest_are_listed_page_by_page(
    home: HomeAssistant, memories: StoredMemories, anna: MockUser
) -> None:
    for number in range(5):
        await call(home, "remember", anna, text=f"thing {number}")
    first = await call(home, "recall", anna, limit=2)
    assert [each["text"] for each in first["memories"]] == ["thing 4", "thing 3"]
    assert await texts(home, anna, limit=2, before=first["memories"][-1]["id"]) == ["thing 2", "thing 1"]


async def test_those_of_a_kind_are_listed_however_far_down_they_are(
    home: HomeAssistant, memories: StoredMemories, anna: MockUser
) -> None:
    await memories.remember("likes tea", speaker=f"user {anna.id}", kind="extracted")
    for number in range(250):
        await memories.remember(f"thing {number}", speaker=f"user {anna.id}")
    assert await texts(home, anna, kind="extracted") == ["likes tea"]
    assert await texts(home, anna, kind="extracted", query="tea thing") == ["likes tea"]
    assert await texts(home, anna, kind="nothing") == []


async def test_nobody_sees_or_forgets_what_is_somebody_elses(
    home: HomeAssistant, memories: StoredMemories, anna: MockUser, ben: MockUser
) -> None:
    await call(home, "remember", anna, text="my diary is under the bed")
    await call(home, "remember", anna, text="the wifi password is banana", visibility="family")
    assert await texts(home, ben) == ["the wifi password is banana"]
    assert await texts(home, ben, query="diary") == []
    for number in (1, 2):
        assert await refused(home, "forget", ben, memory_id=number) == "no_memory"
    assert await call(home, "forget", ben, everything=True) == {"forgotten": 0}
    assert len(memories.kept) == 2


async def test_what_is_forgotten_is_gone(home: HomeAssistant, memories: StoredMemories, anna: MockUser) -> None:
    for text in ("one", "two", "three"):
        await call(home, "remember", anna, text=text)
    assert await call(home, "forget", anna, memory_id="2") == {"forgotten": 1}
    assert await refused(home, "forget", anna, memory_id=2) == "no_memory"
    assert await call(home, "forget", anna, everything=True) == {"forgotten": 2}
    assert memories.kept == []


async def test_an_automation_names_the_speaker(home: HomeAssistant, memories: StoredMemories, anna: MockUser) -> None:
    home.states.async_set("person.anna", "home", {"user_id": anna.id})
    assert await refused(home, "remember", None, text="x") == "speaker_missing"
    await call(home, "remember", None, text="one", speaker="person.anna")
    await call(home, "remember", None, text="two", speaker=f"user {anna.id}")
    assert memories.texts(f"user {anna.id}") == ["one", "two"]
    assert await texts(home, anna) == ["two", "one"]


async def test_only_administrators_name_another_speaker(
    home: HomeAssistant, memories: StoredMemories, hass_read_only_user: MockUser, hass_admin_user: MockUser
) -> None:
    await call(home, "remember", hass_admin_user, text="x", speaker="person mia")
    assert memories.texts("person mia") == ["x"]
    for name, data in (("remember", {"text": "x"}), ("recall", {}), ("forget", {"everything": True})):
        assert await refused(home, name, hass_read_only_user, speaker="person mia", **data) == "speaker_for_admins"
    assert await texts(home, hass_read_only_user) == []


async def test_a_person_without_a_login_is_told(home: HomeAssistant, memories: StoredMemories) -> None:
    home.states.async_set("person.baby", "home", {})
    for person in ("person.baby", "person.nobody"):
        assert await refused(home, "recall", None, speaker=person) == "unknown_speaker"


async def test_a_user_who_is_gone_is_nobody(home: HomeAssistant, memories: StoredMemories) -> None:
    gone = MockUser(name="Gone", is_owner=False)
    assert await refused(home, "recall", gone) == "unknown_user"


async def test_what_cannot_be_meant_is_refused(home: HomeAssistant, memories: StoredMemories, anna: MockUser) -> None:
    assert await refused(home, "forget", anna) == "memory_or_everything"
    assert await refused(home, "forget", anna, memory_id=1, everything=True) == "memory_or_everything"
    assert await refused(home, "recall", anna, query="x", before=1) == "query_or_before"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("remember", {}),
        ("remember", {"text": " "}),
        ("remember", {"text": "x" * 10_001}),
        ("remember", {"text": "x", "visibility": "everybody"}),
        ("remember", {"text": "x", "speaker": ""}),
        ("recall", {"query": "x" * 1_001}),
        ("recall", {"limit": 0}),
        ("recall", {"limit": 51}),
        ("recall", {"kind": "x" * 33}),
        ("forget", {"memory_id": 0}),
        ("forget", {"memory_id": "first"}),
    ],
)
async def test_what_is_out_of_bounds_is_refused(
    home: HomeAssistant, memories: StoredMemories, anna: MockUser, name: str, data: dict[str, Any]
) -> None:
    with pytest.raises(probatio.Invalid):
        await call(home, name, anna, **data)
    assert memories.kept == []


@pytest.mark.parametrize("failure", [Unavailable("the disk is full"), ValueError("That is no text")])
async def test_what_went_wrong_is_told(
    home: HomeAssistant, memories: StoredMemories, anna: MockUser, failure: Exception
) -> None:
    memories.fail(failure)
    for name, data in (
        ("remember", {"text": "x"}),
        ("recall", {"query": "x"}),
        ("recall", {}),
        ("forget", {"memory_id": 1}),
    ):
        with pytest.raises(HomeAssistantError) as raised:
            await call(home, name, anna, **data)
        assert raised.value.translation_key == "action_failed"
        assert raised.value.translation_placeholders == {"error": str(failure)}


async def test_a_home_without_memories_says_so(
    home: HomeAssistant, loaded: MockConfigEntry, anna: MockUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(loaded.runtime_data, "brain", None)
        for name, data in (("remember", {"text": "x"}), ("recall", {}), ("forget", {"memory_id": 1})):
            assert await refused(home, name, anna, **data) == "not_ready"
