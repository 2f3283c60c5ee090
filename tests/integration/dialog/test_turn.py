"""The story of a turn, told with a home of the test's own; sessions, limits, money and the chain are the real ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
import logging
from pathlib import Path
from typing import Any

import pytest

from custom_components.barnabeenet.dialog.context import Sources
from custom_components.barnabeenet.dialog.follow_up import Kind, Option, Question
from custom_components.barnabeenet.dialog.local import Answer, Hold, Memory
from custom_components.barnabeenet.dialog.mind import LanguageModels, Mind
from custom_components.barnabeenet.dialog.policy import Policy
from custom_components.barnabeenet.dialog.sentences import Phrase, say
from custom_components.barnabeenet.dialog.things import Reading, Thing, Things
from custom_components.barnabeenet.dialog.turn import TEXT_MAX_CHARS, Reply, Said, take_turn
from custom_components.barnabeenet.providers.base import (
    Call,
    Delta,
    Done,
    Meter,
    Prompt,
    TextDelta,
    Tier,
    Tool,
    ToolCall,
    ToolCallDelta,
    Unreachable,
    Usage,
)
from custom_components.barnabeenet.providers.chain import Chain
from custom_components.barnabeenet.state.budget import Budget
from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.rate_limit import Limits, LimitTable, MemoryLimiter
from custom_components.barnabeenet.state.session_types import Declined
from custom_components.barnabeenet.state.sessions import Sessions
from custom_components.barnabeenet.telemetry.trace import VoiceContext

LIGHT = Thing("light.ceiling", ("ceiling light",), area="Kitchen")
LOCK = Thing("lock.front_door", ("front door",), area="Hall")
TURN_ON = Tool("HassTurnOn", "Turns on", {"type": "object", "properties": {"name": {"type": "string"}}})
DONE = Answer("Turned on the light", "strict", intent="HassTurnOn", response="what was done")


class Agent:
    """Answers what the test gives it and notes the order of the questions."""

    def __init__(self, home: Home, text: str) -> None:
        self.home, self.text = home, text

    async def strict(self) -> Answer[str] | None:
        return self._answer("strict")

    async def several(self) -> Answer[str] | None:
        return self._answer("several")

    async def rescue(self) -> Answer[str] | None:
        return self._answer("rescue")

    async def near_miss(self) -> Answer[str] | None:
        return self._answer("near_miss")

    def _answer(self, tier: str) -> Answer[str] | None:
        self.home.asked.append(tier)
        if self.home.failure is not None:
            raise self.home.failure
        return self.home.sentences.get(self.text) if tier == "strict" else self.home.answers.get(tier)


class Home:
    """A home that knows some sentences and has a few things."""

    def __init__(self) -> None:
        self.sentences: dict[str, Answer[str]] = {}
        self.answers: dict[str, Answer[str]] = {}
        self.asked: list[str] = []
        self.called: list[ToolCall] = []
        self.failure: Exception | None = None
        self.result: dict[str, Any] = {"success": True}
        self.things = Things([LIGHT, LOCK])
        self.tools_of_home: Sequence[Tool] = [TURN_ON]

    def reading(self, entity_id: str) -> Reading | None:
        return Reading("off" if entity_id.startswith("light") else "locked")

    def agent(self, text: str, memory: Memory, hold: Hold | None = None) -> Agent:
        return Agent(self, text)

    async def is_command(self, text: str) -> bool:
        return text in self.sentences

    async def tools(self) -> Home.Box:
        return Home.Box(self)

    def now(self) -> datetime:
        return datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    class Box:
        def __init__(self, home: Home) -> None:
            self.home, self.tools = home, home.tools_of_home

        async def call(self, call: ToolCall) -> Any:
            self.home.called.append(call)
            return self.home.result


class Model:
    """A language model that does what the test wrote down, answer by answer."""

    name, kind, model = "test", "openai_compatible", "tiny"

    def __init__(self, tier: Tier = "cloud_fast") -> None:
        self.tier: Tier = tier
        self.answers: list[Sequence[Delta | Exception]] = []
        self.prompts: list[Prompt] = []

    async def stream(self, prompt: Prompt, *, trace_id: str, meter: Meter | None = None) -> AsyncGenerator[Delta, None]:
        self.prompts.append(prompt)
        for delta in self.answers.pop(0):
            if isinstance(delta, Exception):
                raise delta
            yield delta
        yield Done("stop", Usage(100, 0, 10))

    async def check(self) -> None: ...


class World:
    """A home, its mind and its model, and what was paid."""

    def __init__(self, mind: Mind, home: Home, model: Model, paid: list[Call]) -> None:
        self.mind, self.home, self.model, self.paid = mind, home, model, paid
        self.context = VoiceContext()

    async def say(self, text: str, language: str = "en", **given: Any) -> Reply[str]:
        self.context = VoiceContext()
        device = given.pop("device_id", "kitchen")
        said = Said(text, language, device, area="Kitchen", conversation_id="talk", **given)
        return await take_turn(said, self.home, self.mind, self.context)

    async def talk(self, text: str, **given: Any) -> str:
        """What is said in answer, all of it."""
        reply = await self.say(text, **given)
        return reply.answer.speech if reply.words is None else "".join([piece async for piece in reply.words])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    database = await Database.open(tmp_path / "home.db")
    sessions = await Sessions.open(database)
    home, model, paid = Home(), Model(), list[Call]()
    mind = Mind(
        limiter=MemoryLimiter(LimitTable(Limits(per_minute=5))),
        sessions=sessions,
        budget=Budget(zone=lambda: UTC),
        policy=Policy(home.things),
        sources=Sources(house=home),
        models=LanguageModels(Chain([model], paid.append), ("cloud_fast",)),
    )
    yield World(mind, home, model, paid)
    await sessions.close()
    await database.close()


def words(*texts: str) -> list[Delta | Exception]:
    return [TextDelta(text) for text in texts]


def calls(name: str = "ceiling light", tool: str = "HassTurnOn", number: int = 1) -> list[Delta | Exception]:
    return [ToolCallDelta(ToolCall(f"call {number}", tool, {"name": name}))]


# Locally


async def test_what_is_understood_strictly_is_asked_nobody_else(world: World) -> None:
    world.home.sentences["turn on the light"] = DONE
    reply = await world.say("turn on the light")
    assert reply.answer is DONE
    assert world.home.asked == ["strict"]
    assert world.model.prompts == []
    context = world.context
    assert (context.text, context.language, context.reply) == ("turn on the light", "en", "Turned on the light")
    assert (context.intent, context.tier, context.error) == ("HassTurnOn", "strict", None)


async def test_what_is_not_understood_strictly_is_rescued(world: World) -> None:
    world.home.answers["rescue"] = Answer("Turned on the light", "rescue")
    assert await world.talk("turn the light onn") == "Turned on the light"
    assert world.home.asked == ["strict", "several", "near_miss", "rescue"]


async def test_what_is_not_of_the_home_is_not_rescued_when_a_model_can_be_asked(world: World) -> None:
    world.model.answers = [words("Ada."), words("Warm."), words("Yes.")]
    await world.talk("tell me about Ada Lovelace")
    await world.talk("why is the kitchen the heart of a home")
    assert world.home.asked == ["strict", "several", "near_miss"] * 2
    await world.talk("the kitchen lights should go off by now")
    assert world.home.asked[6:] == ["strict", "several", "near_miss", "rescue"]


async def test_an_answer_without_words_is_an_answer(world: World) -> None:
    world.home.sentences["never mind"] = Answer("", "strict", intent="HassNevermind")
    assert await world.talk("never mind") == ""
    assert world.context.reply == ""
    assert world.model.prompts == []


# Refusals


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "nl"])
async def test_without_a_model_it_says_honestly_that_it_cannot_help(world: World, language: str) -> None:
    world.mind.models = None
    reply = await world.say("banana", language)
    assert reply.answer.speech == say(Phrase.CANNOT_HELP, language)
    assert (reply.answer.tier, world.context.error) == ("none", "not understood")
    assert [stage.name for stage in world.context.stages] == [
        *("admit", "session", "strict", "several", "near_miss", "rescue"),
    ]


@pytest.mark.parametrize("text", ["", "   ", "\n"])
async def test_silence_is_refused_without_asking_anybody(world: World, text: str) -> None:
    assert await world.talk(text) == say(Phrase.HEARD_NOTHING, "en")
    assert world.home.asked == []


async def test_a_speech_is_refused_without_asking_anybody(world: World) -> None:
    assert await world.talk("a" * (TEXT_MAX_CHARS + 1)) == say(Phrase.TOO_LONG, "en")
    assert world.home.asked == []
    world.home.sentences["a" * TEXT_MAX_CHARS] = DONE
    assert await world.talk("a" * TEXT_MAX_CHARS) == DONE.speech


async def test_who_says_too_much_is_told_when_to_go_on(world: World) -> None:
    world.home.sentences["turn on the light"] = DONE
    for _ in range(5):
        assert await world.talk("turn on the light") == DONE.speech
    refused = await world.talk("turn on the light")
    assert refused.startswith("That was a lot at once, please give me ")
    assert world.home.asked == ["strict"] * 5
    assert await world.talk("turn on the light", device_id="bedroom") == DONE.speech


async def test_who_has_talked_away_the_hour_is_told_when_to_go_on_and_commands_go_on(world: World) -> None:
    limiter = world.mind.limiter = MemoryLimiter(LimitTable(Limits(tokens_per_hour=10_000)), clock=lambda: 0.0)
    world.model.answers = [words("Ada."), words("Hers."), words("Ours.")]
    await world.talk("who was Ada Lovelace")
    verdict = await limiter.admit("kitchen")
    assert verdict.remaining_tokens == 10_000 - 110  # what the answer took, not what was reserved for it
    held = await limiter.reserve("kitchen", 9_800)
    assert await world.talk("whose was the engine") == say(Phrase.TALKED_OUT, "en", minutes=60)
    assert world.context.error == "more than tokens"
    assert len(world.model.prompts) == 1
    world.home.sentences["turn on the light"] = DONE
    assert await world.talk("turn on the light") == DONE.speech
    assert await world.talk("whose was the engine", device_id="bedroom") == "Hers."
    assert held.ticket is not None
    await limiter.settle("kitchen", held.ticket, 0)
    assert await world.talk("and whose is it now") == "Ours."


async def test_a_question_that_nobody_answered_costs_no_tokens(world: World) -> None:
    limiter = world.mind.limiter = MemoryLimiter(LimitTable(Limits(tokens_per_hour=10_000)))
    world.model.answers = [[Unreachable("nobody there")]]
    await world.talk("who was Ada Lovelace")
    assert (await limiter.admit("kitchen")).remaining_tokens == 10_000


async def test_an_answer_that_is_left_stays_reserved(world: World) -> None:
    limiter = world.mind.limiter = MemoryLimiter(LimitTable(Limits(tokens_per_hour=10_000)))
    world.model.answers = [words("One. ", "Two. ", "Three.")]
    reply = await world.say("count")
    assert reply.words is not None
    async for _ in reply.words:
        break
    await reply.words.aclose()
    assert (await limiter.admit("kitchen")).remaining_tokens < 10_000 - 110


async def test_a_failure_is_logged_and_answered(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.home.failure = RuntimeError("the registry is on fire")
    with caplog.at_level(logging.ERROR):
        reply = await world.say("turn on the light", "de")
    assert reply.answer.speech == say(Phrase.FAILED, "de")
    assert world.context.error == "failed"
    assert "the registry is on fire" in caplog.text
    assert world.context.trace_id in caplog.text


# Language models


async def test_a_model_answers_what_nobody_understands_here_sentence_by_sentence(world: World) -> None:
    world.model.answers = [words("Ada wrote ", "the first program. She", " was a mathematician.")]
    reply = await world.say("who was Ada Lovelace")
    assert reply.words is not None
    pieces = [piece async for piece in reply.words]
    assert "".join(pieces) == "Ada wrote the first program. She was a mathematician."
    assert pieces[0].strip() == "Ada wrote the first program."
    context = world.context
    assert (context.tier, context.error) == ("cloud_fast", None)
    assert context.reply == "Ada wrote the first program. She was a mathematician."
    assert {"context", "model", "first words", "route"} <= {stage.name for stage in context.stages}
    assert [call.outcome for call in world.paid] == ["answered"]
    assert world.paid[0].caller.trace_id == context.trace_id


async def test_what_is_only_half_understood_here_is_for_the_model_if_there_is_one(world: World) -> None:
    world.home.answers["rescue"] = Answer("Which light?", "rescue", error="not understood")
    world.model.answers = [words("Three.")]
    assert await world.talk("some lights turn nice") == "Three."
    world.mind.models = None
    assert await world.talk("some lights turn nice") == "Which light?"


async def test_a_talk_goes_on_where_it_was(world: World) -> None:
    world.model.answers = [words("Ada Lovelace."), words("In 1815.")]
    await world.talk("who wrote the first program")
    await world.talk("when was she born")
    asked = world.model.prompts[1].messages
    assert [message.text for message in asked] == ["who wrote the first program", "Ada Lovelace.", "when was she born"]


async def test_another_device_knows_nothing_of_a_talk(world: World) -> None:
    world.model.answers = [words("Ada Lovelace."), words("Who?")]
    await world.talk("who wrote the first program")
    said = Said("when was she born", "en", "bedroom", conversation_id="another")
    reply = await take_turn(said, world.home, world.mind, VoiceContext())
    assert reply.words is not None
    async for _ in reply.words:
        pass
    assert [message.text for message in world.model.prompts[1].messages] == ["when was she born"]


async def test_what_was_asked_for_in_plain_words_is_done_with_a_tool(world: World) -> None:
    world.model.answers = [calls(), words("It is on now.")]
    assert "on now" in await world.talk("could you switch on the ceiling light for me")
    assert [call.arguments for call in world.home.called] == [{"name": "ceiling light"}]
    results = [message for message in world.model.prompts[1].messages if message.role == "tool"]
    assert len(results) == 1


async def test_a_false_claim_is_put_right_before_it_is_said(world: World) -> None:
    world.model.answers = [words("The front door is unlocked. ", "Good night.")]
    assert await world.talk("is all well") == "The front door is locked. Good night."
    assert world.mind.counts.findings["corrected"] == 1


async def test_what_nobody_asked_for_is_not_done(world: World) -> None:
    world.model.answers = [calls("front door", "HassTurnOff"), words("I may not do that.")]
    await world.talk("tell me a story")
    assert world.home.called == []


async def test_a_grave_thing_is_done_after_a_yes_of_the_same_person(world: World) -> None:
    world.model.answers = [calls("front door", "HassTurnOff")]
    reply = await world.say("please unlock the front door", speaker="ada")
    assert reply.words is not None
    question = "".join([piece async for piece in reply.words])
    assert "front door" in question
    assert world.home.called == []
    assert world.mind.follow_ups.waiting("kitchen", "ada") is not None
    assert await world.talk("yes", speaker="ada") == say(Phrase.DONE, "en")
    assert [call.name for call in world.home.called] == ["HassTurnOff"]


async def test_a_grave_thing_that_fails_is_said_and_no_model_is_asked_what_yes_means(world: World) -> None:
    world.model.answers = [calls("front door", "HassTurnOff")]
    await world.talk("please unlock the front door", speaker="ada")
    world.home.result = {"error": "HomeAssistantError", "error_text": "it is jammed"}
    assert await world.talk("yes", speaker="ada") == say(Phrase.FAILED, "en")
    assert len(world.model.prompts) == 1


async def test_a_no_ends_it(world: World) -> None:
    world.model.answers = [calls("front door", "HassTurnOff")]
    await world.talk("please unlock the front door", speaker="ada")
    assert await world.talk("no", speaker="ada") == say(Phrase.LEFT_ALONE, "en")
    assert world.home.called == []


async def test_a_yes_to_a_later_question_does_not_reach_back(world: World) -> None:
    world.model.answers = [calls("front door", "HassTurnOff"), words("It is noon.")]
    await world.talk("please unlock the front door", speaker="ada")
    await world.talk("what time is it in the story", speaker="ada")
    world.mind.follow_ups.ask("kitchen", "ada", Question(Kind.CONFIRM, "en"), conversation_id="talk")
    world.model.answers = [words("Fine.")]
    await world.talk("yes", speaker="ada")
    assert world.home.called == []


async def test_a_guest_cannot_have_a_door_unlocked(world: World) -> None:
    world.model.answers = [calls("front door", "HassTurnOff"), words("I may not do that.")]
    assert await world.talk("please unlock the front door") == "I may not do that."
    assert world.home.called == []


async def test_a_chosen_name_is_carried_out(world: World) -> None:
    options = (Option(("ceiling light",), "turn on the ceiling light"), Option(("bed light",), "turn on the bed light"))
    asked = Answer(
        "Did you mean ceiling light or bed light?", "near_miss", question=Question(Kind.CHOICE, "en", options)
    )
    world.home.answers["near_miss"] = asked
    world.home.sentences["turn on the bed light"] = DONE
    reply = await world.say("turn on the sealing light")
    assert reply.asks
    assert await world.talk("the second one") == DONE.speech


async def test_all_models_gone_is_said_honestly_and_commands_go_on(world: World) -> None:
    world.model.answers = [[Unreachable("nobody there")]]
    assert await world.talk("who was Ada Lovelace") == say(Phrase.MODELS_GONE, "en")
    assert "nobody there" in (world.context.error or "")
    world.home.sentences["turn on the light"] = DONE
    assert await world.talk("turn on the light") == DONE.speech


async def test_a_model_that_only_wants_tools_comes_to_an_end(world: World) -> None:
    world.model.answers = [calls(number=number) for number in range(9)]
    assert await world.talk("switch on the ceiling light") == say(Phrase.UNFINISHED, "en")
    assert world.context.error == "unfinished"
    assert len(world.home.called) == 1


async def test_when_nobody_listens_any_more_the_turn_is_kept_as_far_as_it_came(world: World) -> None:
    world.model.answers = [words("One. ", "Two. ", "Three.")]
    reply = await world.say("count")
    assert reply.words is not None
    async for _ in reply.words:
        break
    await reply.words.aclose()
    assert world.context.reply == "One."


# Money and sessions


@pytest.mark.parametrize(
    ("prepare", "phrase"),
    [
        (lambda budget: setattr(budget, "local_only", True), Phrase.LOCAL_ONLY),
        (lambda budget: budget.spend(datetime.now(UTC), "cloud_powerful", "a", 810_000), Phrase.BUDGET_USED_UP),
        (lambda budget: budget.spend(datetime.now(UTC), "cloud_powerful", "a", 600_000), Phrase.SAVING),
    ],
)
async def test_without_money_it_says_why_and_does_basic_commands(
    world: World, prepare: Callable[[Budget], None], phrase: Phrase
) -> None:
    prepare(world.mind.budget)
    assert await world.talk("who was Ada Lovelace") == say(phrase, "en")
    assert world.model.prompts == []
    world.home.sentences["turn on the light"] = DONE
    assert await world.talk("turn on the light") == DONE.speech


async def test_without_a_session_commands_go_on_and_talk_is_declined(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def declined(*_: object, **__: object) -> Declined:
        return Declined(world.mind.sessions.store_error or RuntimeError("disk full"))  # type: ignore[attr-defined,arg-type]

    monkeypatch.setattr(world.mind.sessions, "enter", declined)
    assert await world.talk("who was Ada Lovelace") == say(Phrase.TRY_LATER, "en")
    world.home.sentences["turn on the light"] = DONE
    assert await world.talk("turn on the light") == DONE.speech
