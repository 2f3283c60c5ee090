"""A family at one device: what one of them asks to remember, by voice and by hand, and nobody else gets to hear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import MappingProxyType
from typing import Any

from homeassistant.components import conversation, stt
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import Context, HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.barnabeenet.client.sidecar import Transcription, Voice
from custom_components.barnabeenet.database_keeper import async_keeper
from custom_components.barnabeenet.state.voices import Sample
from tests.stored_memories import StoredMemories

pytestmark = pytest.mark.usefixtures("starting")

ENGINE = "resemblyzer-0.1.4"
ANNA, BEN, STRANGER = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
AGENT = "conversation.barnabee"


class Kitchen:
    """Speaks to the entry as a pipeline run does: its ears and its agent, in one task of their own."""

    def __init__(self, hass: HomeAssistant, entry: MockConfigEntry, sidecar: Any, metadata: stt.SpeechMetadata) -> None:
        self.hass, self.entry, self.sidecar, self.metadata = hass, entry, sidecar, metadata
        self.household = entry.runtime_data.brain.household

    async def moves_in(self, name: str, voice: tuple[float, ...] | None = None, **data: Any) -> str:
        """Somebody new, with a voice that was learnt; their speaker's key."""
        given = {"may": "no", "only_when_sure": False, **data}
        subentry = ConfigSubentry(data=MappingProxyType(given), subentry_type="person", title=name, unique_id=None)
        self.hass.config_entries.async_add_subentry(self.entry, subentry)
        await self.hass.async_block_till_done(wait_background_tasks=True)
        speaker = f"person {subentry.subentry_id}"
        if voice is not None:
            await self.household.learn(
                speaker, [Sample(speaker, ENGINE, voice, 2_000, 25, phrase) for phrase in range(5)]
            )
        return speaker

    async def hears(self, text: str, voice: tuple[float, ...]) -> str:
        """What is answered to a voice."""
        self.sidecar.voice_engine = ENGINE
        self.sidecar.transcription = Transcription(text, "en", {}, Voice(ENGINE, voice, 2_000, 25))
        ears = stt.async_get_speech_to_text_entity(self.hass, "stt.barnabee_speech_to_text")
        assert ears is not None

        async def run() -> str:
            heard = await ears.async_process_audio_stream(self.metadata, silence())
            assert heard.text is not None
            return await self._asked(heard.text, Context(), device_id="kitchen")

        return await asyncio.create_task(run())

    async def reads(self, text: str, user: MockUser) -> str:
        """What is answered to somebody who writes."""
        return await self._asked(text, Context(user_id=user.id), device_id=None)

    async def _asked(self, text: str, context: Context, device_id: str | None) -> str:
        result = await conversation.async_converse(
            self.hass, text, None, context, language="en", agent_id=AGENT, device_id=device_id
        )
        return str(result.response.speech["plain"]["speech"])


async def silence() -> AsyncIterator[bytes]:
    yield bytes(3_200)


@pytest.fixture
def kitchen(home: HomeAssistant, loaded: MockConfigEntry, sidecar: Any, speech_metadata: stt.SpeechMetadata) -> Kitchen:
    return Kitchen(home, loaded, sidecar, speech_metadata)


async def test_what_one_voice_tells_no_other_gets(home: HomeAssistant, kitchen: Kitchen) -> None:
    anna, ben = await kitchen.moves_in("Anna", ANNA), await kitchen.moves_in("Ben", BEN)
    memories = StoredMemories(home, kitchen.entry)
    await kitchen.hears("remember that my bike code is 4711", ANNA)
    assert memories.texts(anna) == ["my bike code is 4711"]
    assert await kitchen.hears("what is my bike code", ANNA) == "Your bike code is 4711."
    for voice in (BEN, STRANGER):
        for question in (
            "what is my bike code",
            "what did I tell you about my bike",
            "what do you know about bike codes",
        ):
            assert "4711" not in await kitchen.hears(question, voice)
    await kitchen.hears("forget what I told you about the bike", BEN)
    await kitchen.hears("yes", BEN)
    assert memories.texts(anna) == ["my bike code is 4711"]
    assert memories.texts(ben) == []


async def test_every_turn_tells_who_spoke_and_how_sure_that_is(kitchen: Kitchen) -> None:
    anna = await kitchen.moves_in("Anna", ANNA)
    for voice in (ANNA, STRANGER):
        await kitchen.hears("what time is it", voice)
    known, stranger = (turn.as_dict() for turn in kitchen.entry.runtime_data.turns)
    assert known["speaker"] == anna
    assert known["confidence"] > 0.9
    assert (stranger["speaker"], stranger["confidence"]) == (None, 0.0)
    assert "vector" not in str(known)


async def test_a_stranger_keeps_nothing_and_hears_what_is_for_everybody(home: HomeAssistant, kitchen: Kitchen) -> None:
    await kitchen.moves_in("Anna", ANNA)
    await kitchen.hears("remember for the family that the bins go out on Monday", ANNA)
    await kitchen.hears("remember that the stranger was here", STRANGER)
    memories = StoredMemories(home, kitchen.entry)
    assert [each.text for each in memories.kept] == ["the bins go out on Monday"]
    assert "Monday" in await kitchen.hears("what do you know about the bins", STRANGER)


async def test_a_memory_is_the_same_by_voice_and_by_hand(home: HomeAssistant, kitchen: Kitchen) -> None:
    login = MockUser(name="Anna").add_to_hass(home)
    await kitchen.reads("remember that my locker is number 12", login)
    memories = StoredMemories(home, kitchen.entry)
    assert memories.texts(f"user {login.id}") == ["my locker is number 12"]
    # Who becomes a person of the home brings along what they told before.
    anna = await kitchen.moves_in("Anna", ANNA, user_id=login.id)
    assert memories.texts(anna) == ["my locker is number 12"]
    assert "12" in await kitchen.hears("what did I tell you about my locker", ANNA)
    await kitchen.hears("remember that my bike code is 4711", ANNA)
    assert await kitchen.reads("what is my bike code", login) == "Your bike code is 4711."


async def test_who_moves_out_takes_their_memories_along(home: HomeAssistant, kitchen: Kitchen) -> None:
    anna, ben = await kitchen.moves_in("Anna", ANNA), await kitchen.moves_in("Ben", BEN)
    await kitchen.hears("remember that my bike code is 4711", ANNA)
    await kitchen.hears("remember that my locker is number 12", BEN)
    home.config_entries.async_remove_subentry(kitchen.entry, anna.removeprefix("person "))
    await home.async_block_till_done(wait_background_tasks=True)
    assert [each.owner for each in StoredMemories(home, kitchen.entry).kept] == [ben]
    assert "4711" not in await kitchen.hears("what is my bike code", ANNA)


async def test_an_entry_that_is_removed_takes_its_people_along(home: HomeAssistant, kitchen: Kitchen) -> None:
    anna = await kitchen.moves_in("Anna", ANNA)
    await kitchen.hears("remember that my bike code is 4711", ANNA)
    memories = StoredMemories(home, kitchen.entry)
    assert memories.texts(anna) != []
    await home.config_entries.async_remove(kitchen.entry.entry_id)
    assert memories.kept == []
    keeper = async_keeper(home)
    await keeper.take("test")
    assert keeper.voices.speakers == frozenset()
    await keeper.release("test")
