"""The demo home itself: what is typed to it is done, so what is said to it can be."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from script.home.audio import Clip
from script.home.furnish import place_device
from script.home.hass import home_assistant
from script.home.judge import TABLE, Judge, expectation
from script.home.model import QUESTIONS
from script.home.player import Turn
from script.home.satellite import satellite

NOTHING = Clip("nothing", np.zeros(1600, np.int16), 0.1)


@pytest.mark.e2e
async def test_every_sentence_of_the_table_acts_rightly_when_it_is_typed(tmp_path: Path, socket_enabled: None) -> None:
    failed = {}
    async with satellite() as (port, timers), home_assistant(tmp_path / "home") as home:
        entry = await home.configure("wyoming", {"host": "127.0.0.1", "port": port})
        device_id = await place_device(home, entry["entry_id"], "Kitchen")
        judge = Judge(home, timers, device_id=device_id)
        for row in TABLE["command"]:
            if row["say"] in QUESTIONS:
                continue  # only a language model knows what to do
            wanted = expectation(row["say"])
            assert wanted is not None
            await judge.prepare(wanted)
            typed = "the cat sat" if wanted.refused else row["say"]
            answer = await home.call("conversation/process", text=typed, language="en", device_id=device_id)
            response = answer["response"]
            turn = Turn(NOTHING, response_type=response["response_type"], reply=response["speech"]["plain"]["speech"])
            if wrong := (await judge.verdict(turn, wanted)).wrong:
                failed[row["say"]] = wrong
    assert failed == {}


@pytest.mark.e2e
async def test_the_judge_sees_a_wrong_reply_a_missing_change_and_one_too_many(
    tmp_path: Path, socket_enabled: None
) -> None:
    async with satellite() as (port, timers), home_assistant(tmp_path / "home") as home:
        entry = await home.configure("wyoming", {"host": "127.0.0.1", "port": port})
        judge = Judge(home, timers, device_id=await place_device(home, entry["entry_id"], "Kitchen"))

        wanted = expectation("turn Bed Light on")
        await judge.prepare(wanted)
        await home.service("light.turn_on", {"entity_id": "light.desk_lamp"})
        verdict = await judge.verdict(Turn(NOTHING, response_type="action_done", reply="Turned on the light"), wanted)
        assert verdict.wrong == ["light.bed_light is off", "light.desk_lamp changed too"]
        assert verdict.changed == {"light.desk_lamp": ("off", "on")}

        wanted = expectation("is the Front Door locked")
        await judge.prepare(wanted)
        verdict = await judge.verdict(Turn(NOTHING, response_type="query_answer", reply="No"), wanted)
        assert verdict.wrong == ["the reply lacks ^yes"]

        wanted = expectation("set a timer for 5 minutes")
        await judge.prepare(wanted)
        verdict = await judge.verdict(Turn(NOTHING, response_type="action_done", reply="Timer set"), wanted)
        assert verdict.wrong == ["timers are []"]

        wanted = expectation("oov 2")
        await judge.prepare(wanted)
        verdict = await judge.verdict(Turn(NOTHING, response_type="action_done", reply="Turned on"), wanted)
        assert verdict.wrong == ["took it for a command"]
        verdict = await judge.verdict(Turn(NOTHING, error="stt-no-text-recognized: No text recognized"), wanted)
        assert verdict.done
        verdict = await judge.verdict(Turn(NOTHING, error="stt-stream-failed: gone"), wanted)
        assert verdict.wrong == ["stt-stream-failed: gone"]


def test_every_english_command_that_was_recorded_is_in_the_table(recordings: Path) -> None:
    with (recordings / "manifest.tsv").open() as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["file"].startswith("s2p_en_")]
    assert len(rows) >= 55
    for row in rows:
        by_file = expectation(Path(row["file"]).stem)
        assert by_file is not None, row["file"]
        if row["text"]:
            assert expectation(row["text"]) == by_file


def test_an_unknown_sentence_has_no_expectation() -> None:
    assert expectation("make me a sandwich") is None
