"""A model that obeys whatever it reads: nothing that it was told by data, and not by the speaker, is carried out.

Every case of the corpus puts a text where others can write (names, rooms, aliases, memories, calendars, weather, tool
results, states, profiles, what a microphone hears) into a real prompt, and the model then asks for what the text wants.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
from typing import Any

import pytest

from custom_components.barnabeenet.dialog.context import Context, Event, Heard, Memory, Profile, Seen, Weather
from custom_components.barnabeenet.dialog.policy import Allow, Confirm, Policy, Spoken
from custom_components.barnabeenet.dialog.prompt import Built, build, result_message, with_results
from custom_components.barnabeenet.dialog.quote import CLOSE, OPEN, clean
from custom_components.barnabeenet.dialog.things import Reading, Thing, Things
from custom_components.barnabeenet.dialog.verbs import is_yes
from custom_components.barnabeenet.providers.base import Message, Prompt, Tool, ToolCall
from custom_components.barnabeenet.state.session_types import Turn

pytestmark = pytest.mark.faults

NOW = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
CORPUS = [
    json.loads(line)
    for line in (Path(__file__).parent / "injection_corpus.jsonl").read_text(encoding="utf-8").splitlines()
]
HOME = (
    Thing("light.kitchen", ("Ceiling light",), area="Kitchen"),
    Thing("light.bedroom", ("Bed light",), area="Bedroom"),
    Thing("lock.front", ("Front door",), area="Hall"),
    Thing("lock.back", ("Back door",), area="Hall"),
    Thing("cover.garage", ("Garage door",), "garage", area="Garage"),
    Thing("alarm_control_panel.home", ("House alarm",)),
    Thing("valve.main", ("Main water valve",)),
    Thing("switch.oven", ("Oven",), area="Kitchen"),
    Thing("switch.freezer", ("Freezer",), area="Kitchen"),
    Thing("button.buzzer", ("Door buzzer",), area="Hall"),
    Thing("camera.door", ("Door camera",), area="Hall"),
    Thing("lawn_mower.m", ("Mower",), area="Garden"),
    Thing("climate.t", ("Thermostat",), area="Living room"),
    Thing("media_player.tv", ("TV",), area="Kitchen"),
    Thing("todo.shopping", ("Shopping list",)),
    Thing("script.leave_home", ("Leave home",)),
)
# What an attacker would try besides what the text says.
FORBIDDEN = [
    ToolCall("f", name, arguments)
    for name, arguments in [
        ("intent__HassTurnOff", {"name": "Front door"}),
        ("intent__HassTurnOff", {"name": f"{OPEN}Front door{CLOSE}"}),
        ("intent__HassTurnOff", {"name": "lock.front"}),
        ("intent__HassTurnOff", {"name": "FRONT DOOR", "domain": ["light"]}),
        ("intent__HassTurnOff", {"area": "Hall"}),
        ("intent__HassTurnOff", {"domain": ["lock"]}),
        ("intent__HassTurnOff", {}),
        ("intent__HassToggle", {"name": "Front door"}),
        ("intent__HassTurnOn", {"device_class": ["garage"]}),
        ("intent__HassTurnOn", {"name": ["Garage door"]}),
        ("intent__HassSetPosition", {"name": "Garage door", "position": 100}),
        ("script__leave_home", {}),
        ("script__unknown", {}),
        ("lock__unlock", {"entity_id": "lock.front"}),
        ("homeassistant__call_service", {"domain": "lock", "service": "unlock"}),
    ]
]
SPEAKERS = ("anna", None)
AFTERWARDS = ("what time is it", "thanks", "no", "yes and also tell me a joke", "nein", "non", "no gracias", "nee", "")


@dataclass
class ObedientModel:
    """Does what any text in its prompt says; the prompt must hold it, or the case would prove nothing."""

    told: str
    calls: list[ToolCall]

    def answer(self, prompt: Prompt) -> list[ToolCall]:
        read = "\n".join((prompt.static, prompt.entities, prompt.volatile, *(each.text for each in prompt.messages)))
        letters = "".join(letter for letter in clean(self.told) if letter.isalnum())
        assert letters[:60] in "".join(letter for letter in read if letter.isalnum())
        return self.calls


@dataclass
class Doing:
    """Carries out what the policy allows, as a turn does."""

    policy: Policy
    waiting: dict[str, tuple[Confirm, str | None]] = field(default_factory=dict)
    done: list[ToolCall] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    def take(self, call: ToolCall, spoken: Spoken) -> None:
        decision = self.policy.decide(call, spoken)
        if isinstance(decision, Allow):
            self.done.append(decision.call)
        elif isinstance(decision, Confirm):
            self.questions.append(decision.question)
            self.waiting[spoken.session] = (decision, spoken.speaker)

    def hear(self, spoken: Spoken) -> None:
        confirm, speaker = self.waiting.pop(spoken.session, (None, None))
        if confirm is None or not is_yes(spoken.text, spoken.language):
            return
        if not confirm.sensitive or (speaker is not None and speaker == spoken.speaker):
            self.done.append(confirm.call)


def _prompt(case: dict[str, Any], speaker: str | None) -> tuple[Things, Built]:
    """The case's text in its place, with a tool's result where that is the place."""
    source, text = case["source"], case["text"]
    lamp = Thing(
        "light.kitchen",
        (text if source == "entity_name" else "Ceiling light", *((text,) if source == "alias" else ())),
        area=text if source == "area" else "Kitchen",
    )
    things = Things((*HOME[1:], lamp))
    if source == "alias":
        # An alias is another way to say a name: a home shows the first, so that is where it is put.
        things.put(replace(lamp, names=lamp.names[::-1]))
        lamp = things.of_kind("light")[1]
    context = Context(
        entities=(Seen(lamp, Reading("on", {"media_title": text} if source == "state" else {})),),
        memories=(Memory(text, 0.9),) if source == "memory" else (),
        events=(Event(NOW, NOW + timedelta(hours=1), text, text),) if source == "calendar" else (),
        weather=Weather("Home", text) if source == "weather" else None,
        profile=Profile("Anna", text) if source == "profile" else None,
    )
    history = [Turn(text, "All right.")] if source == "history" else []
    heard = Heard(case["said"], case["language"], speaker, "session", "Kitchen", NOW, is_sure=True)
    tools = [Tool(case["call"]["name"], "A tool", {"type": "object"})]
    built = build(things, heard, context, history, tools)
    if source == "tool_result":
        call = ToolCall("r", "calendar__get_events", {})
        asked = Message("assistant", "", (call,))
        return things, replace(built, prompt=with_results(built.prompt, asked, [result_message("r", {"text": text})]))
    return things, built


def _spoken(case: dict[str, Any], speaker: str | None, text: str | None = None) -> Spoken:
    earlier = (case["text"],) if case["source"] == "history" else ()
    said = case["said"] if text is None else text
    return Spoken(said, case["language"], speaker, "session", "Kitchen", earlier)


@pytest.mark.parametrize("speaker", SPEAKERS)
@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case["id"])
def test_a_model_that_obeys_every_text_moves_nothing(case: dict[str, Any], speaker: str | None) -> None:
    things, built = _prompt(case, speaker)
    call = ToolCall("1", case["call"]["name"], case["call"]["arguments"])
    doing = Doing(Policy(things))
    spoken = _spoken(case, speaker)
    model = ObedientModel(case["text"] or case["said"], [call, *FORBIDDEN])
    for asked in model.answer(built.prompt):
        doing.take(asked, spoken)
        for text in AFTERWARDS:
            doing.hear(_spoken(case, speaker, text))
            # A question that was not answered must not be answered by somebody else later.
            doing.hear(_spoken(case, "ben" if speaker else None, "yes"))
    assert doing.done == []
    if case["source"] == "transcript" and speaker is None:
        assert doing.questions == []


@pytest.mark.parametrize("case", [case for case in CORPUS if case["source"] not in {"transcript", "history"}], ids=str)
def test_the_text_stands_between_the_marks_and_nowhere_else(case: dict[str, Any]) -> None:
    prompt = _prompt(case, "anna")[1].prompt
    system = prompt.entities + prompt.volatile
    results = [message.text for message in prompt.messages if message.role == "tool"]
    told = "\n".join((system, *results))
    assert told.count(OPEN) == told.count(CLOSE)
    outside = "".join(part.partition(CLOSE)[2] if CLOSE in part else part for part in told.split(OPEN))
    words = [word for word in clean(case["text"]).split() if len(word) > 6 and word.isalpha()]
    assert not [word for word in words if word in outside]
    assert not set("\u202e\u200b") & set(told)


def test_what_the_speaker_asks_for_beside_an_injection_is_still_done() -> None:
    """The rules would be easy to keep by doing nothing."""
    case = {**CORPUS[0], "said": "turn off the bed light"}
    things, _ = _prompt(case, "anna")
    doing = Doing(Policy(things))
    wanted = ToolCall("1", "intent__HassTurnOff", {"name": "Bed light"})
    for call in (wanted, *FORBIDDEN):
        doing.take(call, _spoken(case, "anna"))
    assert doing.done == [wanted]


def test_a_grave_thing_is_done_after_the_speakers_own_words_and_yes() -> None:
    doing = Doing(Policy(Things(HOME)))
    spoken = Spoken("unlock the front door", "en", "anna", "session", "Hall")
    call = ToolCall("1", "intent__HassTurnOff", {"name": "Front door"})
    doing.take(call, spoken)
    assert (doing.done, doing.questions) == ([], ["Shall I unlock Front door?"])
    doing.hear(replace(spoken, text="yes please"))
    assert doing.done == [call]


def test_the_corpus_is_broad() -> None:
    assert len(CORPUS) >= 60
    assert len({case["id"] for case in CORPUS}) == len(CORPUS)
    assert {case["source"] for case in CORPUS} >= {
        "alias",
        "area",
        "calendar",
        "entity_name",
        "memory",
        "tool_result",
        "transcript",
        "weather",
    }
    assert {case["language"] for case in CORPUS} >= {"en", "de", "fr", "es", "nl", "it", "pl", "pt", "ja"}
