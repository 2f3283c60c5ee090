"""A turn's context: what it measures, who sees it, and how long it is kept."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import time

import pytest

from custom_components.barnabeenet.client.transcription import Voice
from custom_components.barnabeenet.telemetry import trace


@pytest.fixture(autouse=True)
def no_turn_under_way() -> None:
    trace.current.set(None)


def test_every_turn_has_its_own_trace_id_that_the_contract_accepts() -> None:
    ids = {trace.begin().trace_id for _ in range(100)}
    assert len(ids) == 100
    assert all(1 <= len(each) <= 64 for each in ids)


def test_a_stage_is_timed_relative_to_the_start_of_the_turn() -> None:
    context = trace.begin()
    with context.stage("outer"), context.stage("inner"):
        spin_until = time.monotonic() + 0.005
        while time.monotonic() < spin_until:
            pass
    inner, outer = context.stages
    assert (inner.name, outer.name) == ("inner", "outer")
    assert inner.duration_ms >= 5
    assert outer.start_ms <= inner.start_ms
    assert outer.duration_ms >= inner.duration_ms
    assert outer.start_ms + outer.duration_ms <= context.elapsed_ms()


def test_a_stage_that_fails_is_timed_and_its_error_passes_through() -> None:
    context = trace.begin()
    with pytest.raises(ZeroDivisionError), context.stage("stt"):
        raise ZeroDivisionError
    assert [stage.name for stage in context.stages] == ["stt"]


def test_the_speakers_voice_is_never_shown() -> None:
    context = trace.begin()
    context.voice = Voice("resemblyzer-0.1.4", (0.28, 0.96), 1_800, 25)
    for shown in (json.dumps(context.as_dict()), repr(context)):
        assert "resemblyzer" not in shown
        assert "0.28" not in shown


def test_a_mark_has_no_length_and_a_recorded_stage_ends_now() -> None:
    context = trace.begin()
    context.mark("speech-ended")
    context.record("decode", 0.001)
    mark, decode = context.stages
    assert mark.duration_ms == 0
    assert decode.duration_ms == 0.001
    assert mark.start_ms <= decode.start_ms + decode.duration_ms <= context.elapsed_ms()


def test_a_recorded_stage_that_began_before_the_turn_is_shown_from_its_start() -> None:
    context = trace.begin()
    context.record("wake", 60_000)
    assert context.stages[0].start_ms == 0


def test_stages_are_bounded_however_often_audio_is_asked_for() -> None:
    context = trace.begin()
    for _ in range(trace.STAGES_MAX * 3):
        context.mark("tts")
    assert len(context.stages) == trace.STAGES_MAX


def test_the_dictionary_is_json_and_tells_the_whole_turn() -> None:
    context = trace.begin(language="en", device_id="device", satellite_id="satellite")
    context.text, context.reply, context.tier = "turn on the light", "Turned on the light", "instant"
    context.mark("done")
    told = json.loads(json.dumps(context.as_dict()))
    assert told["text"] == "turn on the light"
    assert told["reply"] == "Turned on the light"
    assert told["tier"] == "instant"
    assert (told["language"], told["device_id"], told["satellite_id"]) == ("en", "device", "satellite")
    assert [stage["name"] for stage in told["stages"]] == ["done"]
    assert abs(told["started_at"] - time.time()) < 60
    assert not any(key.startswith("_") for key in told)


async def test_what_the_hearing_coroutine_begins_is_seen_by_what_is_awaited_after_it_and_by_new_tasks() -> None:
    async def hear() -> trace.VoiceContext:
        return trace.begin()

    async def see() -> trace.VoiceContext | None:
        return trace.pending()

    context = await hear()
    assert await see() is context
    assert await asyncio.create_task(see()) is context


async def test_turns_of_two_runs_do_not_see_each_other() -> None:
    async def run() -> tuple[trace.VoiceContext, trace.VoiceContext | None]:
        mine = trace.begin()
        await asyncio.sleep(0)
        return mine, trace.pending()

    (first, seen_by_first), (second, seen_by_second) = await asyncio.gather(run(), run())
    assert first is seen_by_first
    assert second is seen_by_second
    assert first is not second


@pytest.mark.parametrize("field", ["reply", "error"])
def test_an_answered_turn_is_not_handed_to_what_it_set_off(field: str) -> None:
    context = trace.begin()
    setattr(context, field, "done")
    inherited = contextvars.copy_context()
    assert inherited.run(trace.pending) is None


def test_without_a_turn_nothing_is_pending() -> None:
    assert trace.pending() is None


def test_only_the_last_turns_are_kept() -> None:
    turns = trace.Turns(kept=3)
    contexts = [trace.VoiceContext() for _ in range(5)]
    for context in contexts:
        turns.finish(context)
    assert list(turns) == contexts[2:]
    assert len(trace.Turns()) == 0


def test_fifty_turns_are_kept_unless_told_otherwise() -> None:
    turns = trace.Turns()
    for _ in range(60):
        turns.finish(trace.VoiceContext())
    assert len(turns) == 50


def test_a_turn_finished_twice_is_kept_once_and_told_twice() -> None:
    turns = trace.Turns()
    told: list[trace.VoiceContext] = []
    turns.subscribe(told.append)
    context = trace.VoiceContext()
    turns.finish(context)
    turns.finish(context)
    assert list(turns) == [context]
    assert told == [context, context]


def test_an_unsubscribed_listener_hears_nothing_and_may_unsubscribe_again() -> None:
    turns = trace.Turns()
    told: list[trace.VoiceContext] = []
    unsubscribe = turns.subscribe(told.append)
    unsubscribe()
    unsubscribe()
    turns.finish(trace.VoiceContext())
    assert told == []


def test_a_broken_listener_is_logged_and_the_next_one_still_told(caplog: pytest.LogCaptureFixture) -> None:
    turns = trace.Turns()
    told: list[trace.VoiceContext] = []

    def broken(context: trace.VoiceContext) -> None:
        raise RuntimeError("the panel is gone")

    turns.subscribe(broken)
    turns.subscribe(told.append)
    context = trace.VoiceContext()
    with caplog.at_level(logging.ERROR):
        turns.finish(context)
    assert told == [context]
    assert context.trace_id in caplog.text
    assert "the panel is gone" in caplog.text
