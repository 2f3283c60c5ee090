"""What opens the home, asked for by people who may, who may not, and who have to say their code."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
import json
import logging
from pathlib import Path
import re
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.barnabeenet.dialog.actions import VERBS
from custom_components.barnabeenet.dialog.context import Sources
from custom_components.barnabeenet.dialog.follow_up import FollowUps
from custom_components.barnabeenet.dialog.local import Answer, Hold, Memory
from custom_components.barnabeenet.dialog.mind import LanguageModels, Mind
from custom_components.barnabeenet.dialog.policy import Held, Policy, Spoken
from custom_components.barnabeenet.dialog.second_factor import (
    HIDDEN,
    LOCKED_S,
    SECRET_S,
    TRIES_MAX,
    Codes,
    Permission,
    Verdict,
)
from custom_components.barnabeenet.dialog.sentences import Phrase, say
from custom_components.barnabeenet.dialog.things import Reading, Thing, Things
from custom_components.barnabeenet.dialog.turn import Reply, Said, take_turn
from custom_components.barnabeenet.providers.base import (
    Delta,
    Done,
    Meter,
    Prompt,
    TextDelta,
    Tier,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from custom_components.barnabeenet.providers.chain import Chain
from custom_components.barnabeenet.state.budget import Budget
from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.rate_limit import Limits, LimitTable, MemoryLimiter
from custom_components.barnabeenet.state.session_types import Session, Thread
from custom_components.barnabeenet.state.sessions import Sessions
from custom_components.barnabeenet.telemetry.trace import VoiceContext

ANNA, BEN, CLEO, DAN, EVE = "person anna", "person ben", "person cleo", "person dan", "person eve"
CODE = "4711"
UNLOCK = "unlock the front door"
QUESTION = "Shall I unlock Front door?"

# What the home's own sentences would do, by the sentence.
SENTENCES: Mapping[str, tuple[str, dict[str, Any]]] = {
    UNLOCK: ("HassTurnOff", {"name": "Front door", "domain": "lock"}),
    "lock the front door": ("HassTurnOn", {"name": "Front door", "domain": "lock"}),
    "open the garage": ("HassTurnOn", {"name": "Garage"}),
    "disarm the alarm": ("HassTurnOff", {"name": "Alarm"}),
    "turn on the ceiling light": ("HassTurnOn", {"name": "Ceiling light"}),
    "turn off everything in the hall": ("HassTurnOff", {"area": "Hall"}),
    "start the party": ("HassTurnOn", {"name": "Party"}),
    "what time is it": ("HassGetCurrentTime", {}),
    "turn on the thing nobody has listed": ("HassTurnOn", {"name": "thing nobody has listed"}),
    "my own sentence": ("MyOwnIntent", {}),
}
THINGS = (
    Thing("lock.front", ("Front door",), area="Hall"),
    Thing("cover.garage", ("Garage",), "garage"),
    Thing("alarm_control_panel.home", ("Alarm",)),
    Thing("light.ceiling", ("Ceiling light",), area="Kitchen"),
    Thing("script.party", ("Party",)),
)


class Family:
    """Anna says a code, Ben says yes, Cleo may not, Dan may when his voice is sure, Eve taps on her phone."""

    def __init__(self) -> None:
        self.is_home = True
        self.compared: list[str] = []
        self.asked_on_phone: list[tuple[str, str]] = []
        self.phone: bool | None = True
        self.may = {
            ANNA: Permission.CODE,
            BEN: Permission.YES,
            CLEO: Permission.NO,
            DAN: Permission.YES,
            EVE: Permission.PHONE,
        }

    def permission(self, speaker: str | None, *, is_sure: bool) -> Permission | None:
        if not self.is_home:
            return None
        if speaker == DAN and not is_sure:
            return Permission.UNSURE
        return self.may.get(speaker or "", Permission.NO)

    async def confirms(self, speaker: str, question: str, language: str) -> bool:
        self.asked_on_phone.append((speaker, question))
        if self.phone is None:
            raise RuntimeError("the phone exploded")
        return self.phone

    async def is_code(self, speaker: str, code: str) -> bool:
        self.compared.append(speaker)
        await asyncio.sleep(0)
        return (speaker, code) == (ANNA, CODE)


class Agent:
    """The home's own sentences, with what stands before them."""

    def __init__(self, home: Home, text: str, hold: Hold | None) -> None:
        self.home, self.text, self.hold = home, text, hold

    async def strict(self) -> Answer[str] | None:
        known = SENTENCES.get(self.text)
        if known is None:
            return None
        if self.hold is not None and (held := self.hold(self.text, *known)) is not None:
            return held
        self.home.done.append(self.text)
        return Answer("Done it", "strict", intent=known[0])

    async def several(self) -> Answer[str] | None:
        return None

    rescue = near_miss = several


class Home:
    def __init__(self) -> None:
        self.things = Things(THINGS)
        self.done: list[str] = []

    def reading(self, entity_id: str) -> Reading | None:
        return None

    def agent(self, text: str, memory: Memory, hold: Hold | None) -> Agent:
        return Agent(self, text, hold)

    async def is_command(self, text: str) -> bool:
        return text in SENTENCES

    async def tools(self) -> Home.Box:
        return Home.Box(self)

    def now(self) -> datetime:
        return datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    class Box:
        tools: Sequence[Tool] = [Tool("HassTurnOff", "Turns off", {"type": "object"})]

        def __init__(self, home: Home) -> None:
            self.home = home

        async def call(self, call: ToolCall) -> Any:
            self.home.done.append(call.name)
            return {"success": True}


class Model:
    """Wants to unlock the door whatever it is asked, and keeps all that it is told."""

    name, kind, model = "test", "openai_compatible", "tiny"
    tier: Tier = "cloud_fast"

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []
        self.call: ToolCall | None = ToolCall("1", "HassTurnOff", {"name": "Front door"})

    async def stream(self, prompt: Prompt, *, trace_id: str, meter: Meter | None = None) -> AsyncGenerator[Delta, None]:
        self.prompts.append(prompt)
        refused = any(message.role == "tool" for message in prompt.messages)
        yield ToolCallDelta(self.call) if self.call and not refused else TextDelta("No.")
        yield Done("stop", Usage(1, 0, 1))

    async def check(self) -> None: ...


class World:
    def __init__(self, mind: Mind, home: Home, family: Family, model: Model, database: Database) -> None:
        self.mind, self.home, self.family, self.model, self.database = mind, home, family, model, database
        self.now_s = 0.0
        self.contexts: list[VoiceContext] = []

    def clock(self) -> float:
        return self.now_s

    async def say(self, text: str, speaker: str | None = ANNA, *, language: str = "en", **more: Any) -> Reply[str]:
        self.contexts.append(VoiceContext(text=text))
        given = {"device_id": "hall", "conversation_id": "talk", **more}
        return await take_turn(Said(text, language, speaker=speaker, **given), self.home, self.mind, self.contexts[-1])

    async def talk(self, text: str, speaker: str | None = ANNA, **more: Any) -> str:
        reply = await self.say(text, speaker, **more)
        return reply.answer.speech if reply.words is None else "".join([piece async for piece in reply.words])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    database = await Database.open(tmp_path / "home.db")
    sessions = await Sessions.open(database)
    home, family, model = Home(), Family(), Model()
    mind = Mind(
        limiter=MemoryLimiter(LimitTable(Limits(per_minute=500, per_hour=5_000))),
        sessions=sessions,
        budget=Budget(zone=lambda: UTC),
        policy=Policy(home.things, household=family),
        sources=Sources(house=home),
    )
    world = World(mind, home, family, model, database)
    mind.codes, mind.follow_ups = Codes(family, world.clock), FollowUps(clock=world.clock)
    yield world
    await sessions.close()
    await database.close()


@pytest.fixture
def with_model(world: World) -> World:
    world.mind.models = LanguageModels(Chain([world.model], lambda _: None), ("cloud_fast",))
    return world


# Who may


async def test_after_a_yes_and_the_code_the_door_opens(world: World) -> None:
    asked = await world.say(UNLOCK)
    assert (asked.answer.speech, asked.asks, asked.answer.tier) == (QUESTION, True, "held")
    said = await world.say("yes")
    assert (said.answer.speech, said.asks) == (say(Phrase.SAY_CODE, "en"), True)
    assert world.home.done == []
    assert await world.talk("four seven one one") == "Done it"
    assert world.home.done == [UNLOCK]


async def test_who_needs_no_code_says_yes_alone(world: World) -> None:
    assert await world.talk(UNLOCK, BEN) == QUESTION
    assert await world.talk("yes", BEN) == "Done it"
    assert world.family.compared == []


async def test_the_code_may_come_with_the_yes(world: World) -> None:
    await world.talk(UNLOCK)
    assert await world.talk("yes, 4711") == "Done it"
    assert world.contexts[-1].text == HIDDEN


@pytest.mark.parametrize(
    ("speaker", "phrase"), [(CLEO, Phrase.MAY_NOT), (None, Phrase.UNKNOWN_VOICE), (DAN, Phrase.UNSURE_VOICE)]
)
async def test_who_may_not_is_told_so_and_no_model_is_asked(
    with_model: World, speaker: str | None, phrase: Phrase
) -> None:
    assert await with_model.talk(UNLOCK, speaker) == say(phrase, "en")
    assert with_model.model.prompts == []
    assert await with_model.talk("yes", speaker) != "Done it"
    assert with_model.home.done == []


async def test_a_sure_voice_may_what_needs_one(world: World) -> None:
    assert await world.talk(UNLOCK, DAN, is_sure=True) == QUESTION
    assert await world.talk("yes", DAN, is_sure=True) == "Done it"


@pytest.mark.parametrize("text", ["open the garage", "disarm the alarm", "turn off everything in the hall"])
async def test_whatever_opens_the_home_is_held(world: World, text: str) -> None:
    assert await world.talk(text, CLEO) == say(Phrase.MAY_NOT, "en")
    assert await world.talk(text, None) == say(Phrase.UNKNOWN_VOICE, "en")


@pytest.mark.parametrize(
    "text",
    ["lock the front door", "turn on the ceiling light", "start the party", "what time is it", "my own sentence"],
)
async def test_everything_else_is_everybodys(world: World, text: str) -> None:
    assert await world.talk(text, None) == "Done it"
    assert await world.talk(text, CLEO) == "Done it"


async def test_what_is_not_known_yet_may_be_a_lock(world: World) -> None:
    assert await world.talk("turn on the thing nobody has listed", None) == say(Phrase.UNKNOWN_VOICE, "en")


async def test_a_home_without_people_is_as_ever(world: World) -> None:
    world.family.is_home = False
    assert await world.talk(UNLOCK, None) == "Done it"
    assert await world.talk(UNLOCK, "user 1") == "Done it"


@pytest.mark.parametrize("intent", sorted(VERBS))
def test_every_intent_that_changes_something_can_be_judged(intent: str) -> None:
    policy = Policy(Things(THINGS), household=Family())
    held = policy.hold(intent, {"name": "Front door", "domain": None, "device_class": None}, Spoken("", "en", None, ""))
    assert held in (None, Held(Permission.NO))


@pytest.mark.parametrize("speaker", [EVE, None])
async def test_a_tap_on_the_phone_opens_the_door(world: World, speaker: str | None) -> None:
    await world.talk(UNLOCK, EVE)
    assert await world.talk("yes", speaker) == f"{say(Phrase.LOOK_AT_PHONE, 'en')} Done it"
    assert world.home.done == [UNLOCK]
    ((who, question),) = world.family.asked_on_phone
    assert (who, QUESTION in question) == (EVE, True)
    assert world.contexts[-1].reply == f"{say(Phrase.LOOK_AT_PHONE, 'en')} Done it"


@pytest.mark.parametrize(("phone", "phrase"), [(False, Phrase.LEFT_ALONE), (None, Phrase.FAILED)])
async def test_without_the_tap_it_stays_shut(world: World, phone: bool | None, phrase: Phrase) -> None:
    world.family.phone = phone
    await world.talk(UNLOCK, EVE)
    assert (await world.talk("yes", EVE)).endswith(say(phrase, "en"))
    assert world.home.done == []


# The same for what a language model wants to do


async def test_a_model_does_it_after_a_yes_and_the_code(with_model: World) -> None:
    text = "would you unlock the front door for the postman"
    assert await with_model.talk(text) == QUESTION
    assert await with_model.talk("yes") == say(Phrase.SAY_CODE, "en")
    assert await with_model.talk("4711") == say(Phrase.DONE, "en")
    assert with_model.home.done == ["HassTurnOff"]


@pytest.mark.parametrize("speaker", [CLEO, DAN, None])
async def test_a_model_does_it_for_nobody_who_may_not(with_model: World, speaker: str | None) -> None:
    assert await with_model.talk("would you unlock the front door for the postman", speaker) == "No."
    assert with_model.home.done == []


# Wrong codes


async def test_three_wrong_codes_lock_the_person_and_the_device_for_minutes(world: World) -> None:
    await world.talk(UNLOCK)
    await world.talk("yes")
    for _ in range(TRIES_MAX - 1):
        assert await world.talk("1 2 3 4") == say(Phrase.WRONG_CODE, "en")
    locked = say(Phrase.CODE_LOCKED, "en", minutes=5)
    assert await world.talk("1 2 3 4") == locked
    assert await world.talk(CODE) == say(Phrase.CODE_TOO_LATE, "en"), "the question is over"
    for device in ("hall", "bedroom", "spoofed"):
        await world.talk(UNLOCK, device_id=device)
        assert await world.talk("yes", device_id=device) == locked
    assert world.home.done == []
    world.now_s += LOCKED_S
    await world.talk(UNLOCK)
    await world.talk("yes")
    assert await world.talk(CODE) == "Done it"


async def test_a_device_where_others_failed_takes_no_code_either() -> None:
    family = Family()
    codes = Codes(family, lambda: 0.0)
    assert await codes.verify(BEN, "hall", "1111") is Verdict.WRONG
    assert await codes.verify(CLEO, "hall", "1111") is Verdict.WRONG
    assert await codes.verify(DAN, "hall", "1111") is Verdict.LOCKED
    assert await codes.verify(ANNA, "hall", CODE) is Verdict.LOCKED
    assert await codes.verify(ANNA, "kitchen", CODE) is Verdict.RIGHT


async def test_codes_that_are_tried_at_once_are_counted_one_by_one() -> None:
    family = Family()
    codes = Codes(family, lambda: 0.0)
    verdicts = await asyncio.gather(*(codes.verify(ANNA, f"device {n}", "1111") for n in range(50)))
    assert len(family.compared) == TRIES_MAX
    assert verdicts.count(Verdict.LOCKED) >= 50 - TRIES_MAX


async def test_devices_without_end_unlock_nobody_and_fill_no_memory() -> None:
    family = Family()
    codes = Codes(family, lambda: 0.0)
    for number in range(2_000):
        await codes.verify(ANNA, f"spoofed {number}", "0000")
        codes.ask(f"spoofed {number}")
    assert len(family.compared) == TRIES_MAX
    assert len(codes._tries["device"]) <= 256
    assert len(codes._asked) <= 256


async def test_a_right_code_forgets_the_wrong_ones() -> None:
    codes = Codes(Family(), lambda: 0.0)
    for _ in range(5):
        assert await codes.verify(ANNA, "hall", "1111") is Verdict.WRONG
        assert await codes.verify(ANNA, "hall", CODE) is Verdict.RIGHT


async def test_a_code_that_was_cut_short_is_asked_for_again_and_is_no_try(world: World) -> None:
    await world.talk(UNLOCK)
    await world.talk("yes")
    assert "digit by digit" in await world.talk("four seven")
    assert world.contexts[-1].text == HIDDEN
    assert world.family.compared == []
    assert await world.talk("four seven one one") == "Done it"


async def test_a_no_or_another_command_ends_it(world: World) -> None:
    for text, answer in (("never mind", say(Phrase.LEFT_ALONE, "en")), ("turn on the ceiling light", "Done it")):
        await world.talk(UNLOCK)
        await world.talk("yes")
        assert await world.talk(text) == answer
        assert await world.talk(CODE) == say(Phrase.CODE_TOO_LATE, "en")
    assert UNLOCK not in world.home.done


# Whose answer counts


async def test_a_code_that_was_said_before_opens_nothing_a_second_time(world: World) -> None:
    for text in (UNLOCK, "yes", CODE):
        await world.talk(text)
    assert await world.talk(CODE) == say(Phrase.CODE_TOO_LATE, "en")
    assert await world.talk("yes") != "Done it"
    assert world.home.done == [UNLOCK]


async def test_nobody_says_yes_or_a_code_for_somebody_else(world: World) -> None:
    await world.talk(UNLOCK)
    assert await world.talk("yes", BEN) != say(Phrase.SAY_CODE, "en")
    await world.talk("yes")
    await world.talk(CODE, BEN)
    await world.talk(CODE, device_id="kitchen")
    await world.talk(CODE, None, conversation_id="another")
    assert world.home.done == []


async def test_a_voice_that_is_too_short_to_be_known_may_say_what_a_code_proves(world: World) -> None:
    """Nobody is known by the voice of a "yes"; where a code follows, the code tells."""
    await world.talk(UNLOCK)
    assert await world.talk("yes", None) == say(Phrase.SAY_CODE, "en")
    assert await world.talk("1234", None) == say(Phrase.WRONG_CODE, "en")
    assert await world.talk(CODE, None) == "Done it"
    assert set(world.family.compared) == {ANNA}


async def test_where_only_a_yes_is_asked_it_is_the_very_voices(world: World) -> None:
    await world.talk(UNLOCK, BEN)
    reply = await world.say("yes", None)
    assert (reply.answer.speech, reply.asks) == (say(Phrase.SAY_IT_ALL, "en"), True)
    assert await world.talk("yes, unlock the front door", None) != "Done it"
    assert world.home.done == []


@pytest.mark.parametrize("text", ["yes, unlock the front door", "yes unlock it", "ok unlock the front door please"])
async def test_a_yes_may_say_what_is_agreed_to_so_that_the_voice_is_heard(world: World, text: str) -> None:
    await world.talk(UNLOCK, BEN)
    await world.talk("yes", None)
    assert await world.talk(text, BEN) == "Done it"
    assert world.home.done == [UNLOCK]


@pytest.mark.parametrize(
    "text", ["yes, but not the front door", "yes and open the garage", "no, do not unlock the front door", "yes and no"]
)
async def test_a_yes_with_anything_else_is_none(world: World, text: str) -> None:
    await world.talk(UNLOCK, BEN)
    assert await world.talk(text, BEN) != "Done it"
    assert world.home.done == []


async def test_a_yes_of_nobody_to_nothing_is_left_alone(world: World) -> None:
    assert await world.talk("yes", None) == say(Phrase.CANNOT_HELP, "en")
    await world.talk(UNLOCK, BEN)
    assert await world.talk("yes", None, conversation_id="another") != say(Phrase.SAY_IT_ALL, "en")
    assert await world.talk("yes", None, device_id="kitchen") != say(Phrase.SAY_IT_ALL, "en")


async def test_a_question_that_nobody_answered_is_over(world: World) -> None:
    await world.talk(UNLOCK)
    await world.talk("yes")
    world.now_s += 31
    assert await world.talk(CODE) == say(Phrase.CODE_TOO_LATE, "en")
    world.now_s += SECRET_S
    await world.talk("1234567")
    assert world.contexts[-1].text == "1234567", "by now it may be anything"


# Nobody reads it afterwards


@pytest.mark.parametrize(
    ("language", "yes", "code"),
    [
        ("en", "yes", "four seven one one"),
        ("de", "ja", "siebenundvierzig elf"),
        ("fr", "oui", "quatre sept un un"),
        ("es", "sí", "cuarenta y siete once"),
        ("nl", "ja", "47 11"),
    ],
)
async def test_a_code_is_in_no_trace_session_log_or_prompt(
    with_model: World, caplog: pytest.LogCaptureFixture, language: str, yes: str, code: str
) -> None:
    world = with_model
    with caplog.at_level(logging.DEBUG):
        await world.talk(UNLOCK, language=language)
        assert await world.talk(yes, language=language) == say(Phrase.SAY_CODE, language)
        assert await world.talk("1 2 3 4", language=language) == say(Phrase.WRONG_CODE, language)
        assert await world.talk(code, language=language) == "Done it"
        # And what a model is told of the talk afterwards.
        world.model.call = None
        await world.talk("tell me a story about a dog", language=language)
    await world.mind.sessions.settled()  # type: ignore[attr-defined]
    rows = [dict(row) for row in await world.database.read("SELECT said, replied FROM turns")]
    prompts = [message.text for prompt in world.model.prompts for message in prompt.messages]
    assert prompts
    kept = json.dumps([rows, prompts, [context.as_dict() for context in world.contexts], caplog.text])
    # Ids and times may hold any digits.
    kept = re.sub(r"[0-9a-f]{32}|\d+\.\d+", "", kept)
    for secret in (code, CODE, "1 2 3 4"):
        assert secret not in kept
    assert [row["said"] for row in rows][2:4] == [HIDDEN, HIDDEN]
    files = b"".join(path.read_bytes() for path in world.database.path.parent.iterdir())
    assert code.encode() not in files
    assert "1 2 3 4" not in repr(world.mind.follow_ups)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([ANNA, BEN, CLEO, DAN, None]),
            st.sampled_from(["hall", "spoofed"]),
            st.sampled_from([UNLOCK, "yes", "1234", "no", "turn on the ceiling light"]),
        ),
        max_size=25,
    )
)
def test_without_the_code_no_order_of_words_opens_the_door_for_anna_cleo_dan_or_a_guest(
    script: list[tuple[str | None, str, str]],
) -> None:
    """Only Ben, who needs no code, opens it: by his own yes right after he asked, at the same device."""

    async def play() -> None:
        home, family = Home(), Family()
        mind = Mind(
            limiter=MemoryLimiter(LimitTable(Limits(per_minute=500, per_hour=5_000))),
            sessions=MemorySessions(),
            budget=Budget(zone=lambda: UTC),
            policy=Policy(home.things, household=family),
            sources=Sources(house=home),
        )
        for speaker, device, text in script:
            before = home.done.count(UNLOCK)
            await take_turn(Said(text, "en", device, speaker, None, "talk"), home, mind, VoiceContext())
            if home.done.count(UNLOCK) > before:
                assert (speaker, text) == (BEN, "yes")
                assert (BEN, device, UNLOCK) in script

    asyncio.run(play())


class MemorySessions:
    """One session for each speaker and device, without a database: a thousand homes are played."""

    def __init__(self) -> None:
        self.sessions: dict[Any, Any] = {}

    async def enter(self, device_id: str, *, speaker: str | None, conversation_id: str | None = None) -> Any:
        key = (device_id, speaker)
        if key not in self.sessions:
            self.sessions[key] = Session(device_id, speaker, Thread(deque(maxlen=10)), 0.0, 0.0, 0.0)
        return self.sessions[key]

    async def add_turn(self, session: Any, turn: Any) -> None:
        session.thread.turns.append(turn)
