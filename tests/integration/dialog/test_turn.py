"""The story of a turn, told with an agent of the test's own."""

from __future__ import annotations

import logging

import pytest

from custom_components.barnabeenet.dialog.local import Answer
from custom_components.barnabeenet.dialog.sentences import Phrase, say
from custom_components.barnabeenet.dialog.turn import TEXT_MAX_CHARS, take_turn
from custom_components.barnabeenet.telemetry.trace import VoiceContext


class Agent:
    """Answers what the test gives it and notes the order of the questions."""

    def __init__(self, **answers: Answer[str]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.failure: Exception | None = None

    async def strict(self) -> Answer[str] | None:
        return self._answer("strict")

    async def several(self) -> Answer[str] | None:
        return self._answer("several")

    async def rescue(self) -> Answer[str] | None:
        return self._answer("rescue")

    async def near_miss(self) -> Answer[str] | None:
        return self._answer("near_miss")

    def _answer(self, tier: str) -> Answer[str] | None:
        self.asked.append(tier)
        if self.failure is not None:
            raise self.failure
        return self.answers.get(tier)


DONE = Answer("Turned on the light", "strict", intent="HassTurnOn", response="what was done")


async def test_what_is_understood_strictly_is_not_rescued() -> None:
    agent = Agent(strict=DONE, rescue=Answer("something else", "rescue"))
    assert await take_turn("turn on the light", "en", agent, VoiceContext()) is DONE
    assert agent.asked == ["strict"]


async def test_what_is_not_understood_strictly_is_rescued() -> None:
    rescued = Answer("Turned on the light", "rescue")
    agent = Agent(rescue=rescued)
    assert await take_turn("turn the light onn", "en", agent, VoiceContext()) is rescued
    assert agent.asked == ["strict", "several", "rescue"]


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "nl"])
async def test_what_nobody_understands_is_refused_honestly_in_the_speakers_language(language: str) -> None:
    context = VoiceContext()
    answer = await take_turn("banana", language, Agent(), context)
    assert answer.speech == say(Phrase.CANNOT_HELP, language)
    assert (answer.tier, context.error) == ("none", "not understood")


@pytest.mark.parametrize("text", ["", "   ", "\n"])
async def test_silence_is_refused_without_asking_anybody(text: str) -> None:
    agent = Agent(strict=DONE)
    answer = await take_turn(text, "en", agent, VoiceContext())
    assert answer.speech == say(Phrase.HEARD_NOTHING, "en")
    assert agent.asked == []


async def test_a_speech_is_refused_without_asking_anybody() -> None:
    agent = Agent(strict=DONE)
    answer = await take_turn("a" * (TEXT_MAX_CHARS + 1), "en", agent, VoiceContext())
    assert answer.speech == say(Phrase.TOO_LONG, "en")
    assert agent.asked == []


async def test_the_longest_sentence_that_is_allowed_is_asked() -> None:
    assert await take_turn("a" * TEXT_MAX_CHARS, "en", Agent(strict=DONE), VoiceContext()) is DONE


async def test_a_failure_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    agent, context = Agent(), VoiceContext()
    agent.failure = RuntimeError("the registry is on fire")
    with caplog.at_level(logging.ERROR):
        answer = await take_turn("turn on the light", "de", agent, context)
    assert answer.speech == say(Phrase.FAILED, "de")
    assert context.error == "failed"
    assert "the registry is on fire" in caplog.text
    assert context.trace_id in caplog.text


async def test_the_turn_is_written_down() -> None:
    context = VoiceContext()
    await take_turn("turn on the light", "en", Agent(strict=DONE), context)
    assert (context.text, context.language) == ("turn on the light", "en")
    assert (context.reply, context.intent, context.tier) == ("Turned on the light", "HassTurnOn", "strict")
    assert context.error is None
    assert [stage.name for stage in context.stages] == ["strict"]


async def test_all_tries_are_timed() -> None:
    context = VoiceContext()
    await take_turn("banana", "en", Agent(), context)
    assert [stage.name for stage in context.stages] == ["strict", "several", "rescue", "near_miss"]


async def test_an_answer_without_words_is_an_answer() -> None:
    quiet: Answer[str] = Answer("", "strict", intent="HassNevermind")
    context = VoiceContext()
    assert await take_turn("never mind", "en", Agent(strict=quiet), context) is quiet
    assert context.reply == ""
