"""Memories as a way in: what one was told to remember makes nobody do anything, and nobody else hears it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from custom_components.barnabeenet.dialog.actions import base_name
from custom_components.barnabeenet.dialog.quote import CLOSE, OPEN
from custom_components.barnabeenet.providers.base import TextDelta, Tool, ToolCall, ToolCallDelta
from tests.integration.dialog.test_turn_memories import a_family

pytestmark = pytest.mark.faults

CORPUS = [
    json.loads(line)
    for line in (Path(__file__).parent / "injection_corpus.jsonl").read_text(encoding="utf-8").splitlines()
]
READS = {"GetDateTime", "GetLiveContext", "HassGetState", "get_events", "get_items", "recall", "search_media"}


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case["id"])
async def test_a_memory_that_was_just_told_is_obeyed_by_nobody(case: dict[str, Any], tmp_path: Path) -> None:
    async with a_family(tmp_path) as family:
        call = ToolCall("1", case["call"]["name"], case["call"]["arguments"])
        family.home.tools_of_home = [Tool(call.name, "", {"type": "object", "properties": {}})]
        await family.memories.remember(f"note {case['text']}", speaker="ben", visibility="family", language="en")
        spoken = await family.talk("what do you know about the note")
        assert "note" in spoken
        assert not {OPEN, CLOSE} & set(spoken) or {OPEN, CLOSE} & set(case["text"])
        for said in ("thanks", "what else do you know"):
            family.model.answers = [ToolCallDelta(call), TextDelta("Done.")]
            await family.talk(said)
        assert {base_name(each.name) for each in family.home.called} <= READS
        assert [memory.owner for memory in family.memories.kept] == ["ben"]


@pytest.mark.parametrize("speaker", ["ben", None])
@pytest.mark.parametrize("device", ["kitchen", "annas phone"])
@pytest.mark.parametrize("conversation", ["talk", "another"])
async def test_neither_annas_device_nor_her_conversation_opens_her_memories(
    tmp_path: Path, speaker: str | None, device: str, conversation: str
) -> None:
    async with a_family(tmp_path) as family:
        await family.talk("remember that my diary is under the floor", device_id="annas phone")
        await family.talk("what is my diary", device_id="annas phone")
        await family.talk("forget my diary", device_id="annas phone")
        for text in (
            "what do you know about the diary",
            "what did I tell you about the diary",
            "do you remember where my diary is",
            "what do you know about me",
            "what did you just say",
            "forget that",
            "yes",
            "forget my diary",
            "forget everything you know about me",
            "yes",
        ):
            said = await family.talk(text, speaker, device_id=device, conversation_id=conversation)
            assert "under the floor" not in said, text
        assert family.memories.texts("anna") == ["my diary is under the floor"]
