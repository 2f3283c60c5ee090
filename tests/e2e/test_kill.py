"""The sidecar dies in mid-sentence: the person is told at once, and it works again as soon as the sidecar is back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from script.home import player
from script.home.audio import CHUNK_S, Clip, microphone
from script.home.commands import synthesised
from script.home.judge import expectation
from script.home.player import play
from script.home.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SENTENCE = "set a timer for 5 minutes"
INTO_THE_SENTENCE_S = 0.6
TOLD_S = 2
BACK_S = 10


async def test_a_killed_sidecar_ends_the_turn_with_an_error_and_serves_again_after_its_restart(
    on_stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "home" / "home-assistant.out"
    logged_before = log.stat().st_size
    clip = await synthesised(on_stage.home, on_stage.pipeline.voice, SENTENCE)
    clock = asyncio.get_running_loop().time

    wanted = expectation(SENTENCE)
    await on_stage.judge.prepare(wanted)
    is_speaking = asyncio.Event()

    def noticed(clip: Clip) -> Iterator[bytes]:
        for number, chunk in enumerate(microphone(clip)):
            if number * CHUNK_S >= INTO_THE_SENTENCE_S:
                is_speaking.set()
            yield chunk

    with monkeypatch.context() as patch:
        # How long a run takes until it listens says how busy the machine is.
        patch.setattr(player, "microphone", noticed)
        turn_task = asyncio.create_task(
            play(on_stage.home, on_stage.pipeline.ident, clip, device_id=on_stage.device_id)
        )
        async with asyncio.timeout(30):
            await is_speaking.wait()
    killed_at = clock()
    await on_stage.sidecar.process.kill()
    turn = await turn_task
    assert turn.error is not None
    told_at = turn.speech_ended_at + turn.times_ms["error"] / 1000
    assert told_at - killed_at < TOLD_S
    assert on_stage.timers.describe() == []

    await on_stage.sidecar.process.start()
    await on_stage.sidecar.ready()
    async with asyncio.timeout(BACK_S):
        await until_available(on_stage)
    await on_stage.judge.prepare(wanted)
    turn = await play(on_stage.home, on_stage.pipeline.ident, clip, device_id=on_stage.device_id)
    assert (await on_stage.judge.verdict(turn, wanted)).wrong == []

    logged = log.read_bytes()[logged_before:].decode()
    assert "Traceback" not in logged


async def until_available(on: Stage) -> None:
    """Returns as soon as the entity that hears is there."""
    async with on.home.subscribe("subscribe_events", event_type="state_changed") as changes:
        while (await on.home.states())[on.pipeline.ears]["state"] == "unavailable":
            await anext(changes)
