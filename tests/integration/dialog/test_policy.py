"""Which calls of a model are carried out: what the speaker's own words ask for, and grave things only after a yes."""

from __future__ import annotations

from typing import Any

import pytest

from custom_components.barnabeenet.dialog.actions import Gravity, gravity_of, gravity_of_service, is_offered
from custom_components.barnabeenet.dialog.policy import (
    Allow,
    Confirm,
    Decision,
    Policy,
    Refuse,
    Spoken,
)
from custom_components.barnabeenet.dialog.things import Thing, Things
from custom_components.barnabeenet.dialog.verbs import is_yes
from custom_components.barnabeenet.providers.base import ToolCall

HOUSE = Things(
    [
        Thing("light.ceiling", ("Kitchen ceiling light",), area="Kitchen", floor="Ground"),
        Thing("light.counter", ("Counter light",), area="Kitchen", floor="Ground"),
        Thing("light.bed", ("Bed light",), area="Bedroom"),
        Thing("switch.fan", ("Kitchen fan",), area="Kitchen", floor="Ground"),
        Thing("lock.front", ("Front door", "Haustür"), area="Hall"),
        Thing("cover.garage", ("Garage door",), "garage", area="Garage"),
        Thing("cover.blind", ("Kitchen blind",), "blind", area="Kitchen", floor="Ground"),
        Thing("valve.garden", ("Garden water",), "water", area="Garden"),
        Thing("switch.gate", ("Einfahrtstor", "Gate relay"), area="Garden"),
        Thing("alarm_control_panel.home", ("Alarm",)),
        Thing("climate.living", ("Thermostat",), area="Living room"),
        Thing("media_player.tv", ("TV",), area="Living room"),
        Thing("todo.shopping", ("Shopping list",)),
        Thing("script.party", ("Party",)),
        Thing("script.bye", ("Goodbye",)),
        Thing("scene.movie", ("Movie time",)),
    ]
)
POLICY = Policy(HOUSE, harmless=frozenset({"script.party"}))


def spoken(text: str, **changes: Any) -> Spoken:
    return Spoken(**{"text": text, "language": "en", "speaker": "anna", "session": "s", "area": "Kitchen", **changes})


def decide(tool: str, arguments: dict[str, Any], text: str, **changes: Any) -> Decision:
    return POLICY.decide(ToolCall("1", tool, arguments), spoken(text, **changes))


@pytest.mark.parametrize(
    ("text", "tool", "arguments"),
    [
        ("turn on the kitchen ceiling light", "intent__HassTurnOn", {"name": "Kitchen ceiling light"}),
        ("turn on the ceiling light please", "intent__HassTurnOn", {"name": "Kitchen ceiling light"}),
        ("could you switch the bed light off", "intent__HassTurnOff", {"name": "bed light", "domain": ["light"]}),
        ("turn off the lights", "intent__HassTurnOff", {"area": "Kitchen", "domain": ["light"]}),
        ("turn off the lights in the bedroom", "intent__HassTurnOff", {"area": "Bedroom", "domain": "light"}),
        ("turn off all the lights", "intent__HassTurnOff", {"floor": "Ground", "domain": "light"}),
        ("dim the counter light to 20 percent", "light__HassLightSet", {"name": "Counter light", "brightness": 20}),
        ("close the blind", "cover__HassCloseCover", {"name": "Kitchen blind"}),
        ("lock the front door", "intent__HassTurnOn", {"name": "Front door"}),
        ("close the garage door", "intent__HassTurnOff", {"name": "Garage door"}),
        ("make it warmer in the living room", "climate__HassClimateSetTemperature", {"area": "Living room"}),
        ("set the thermostat to 21", "climate__HassClimateSetTemperature", {"name": "Thermostat", "temperature": 21}),
        ("add oat milk to my list", "todo__HassListAddItem", {"item": "oat milk", "name": "Shopping list"}),
        ("set a timer for ten minutes", "intent__HassStartTimer", {"minutes": 10}),
        ("start the movie time scene", "intent__HassTurnOn", {"name": "Movie time"}),
        ("start the party", "script__party", {}),
        ("pause the music", "media_player__HassMediaPause", {}),
        ("tell everyone dinner is ready", "assist_satellite__HassBroadcast", {"message": "Dinner is ready"}),
        ("what is on my calendar", "calendar__get_events", {"calendar": "Family"}),
        ("is the door locked", "homeassistant__GetLiveContext", {}),
    ],
)
def test_what_was_asked_for_is_done(text: str, tool: str, arguments: dict[str, Any]) -> None:
    assert isinstance(decide(tool, arguments, text), Allow)


@pytest.mark.parametrize(
    ("text", "language", "tool", "name"),
    [
        ("schalte das Bed light ein", "de", "intent__HassTurnOn", "Bed light"),
        ("schließe die Haustür ab", "de-CH", "intent__HassTurnOn", "Haustür"),
        ("allume la bed light", "fr", "intent__HassTurnOn", "Bed light"),
        ("apaga la bed light", "es", "intent__HassTurnOff", "Bed light"),
        ("doe de bed light uit", "nl", "intent__HassTurnOff", "Bed light"),
        ("wyłącz bed light", "pl", "intent__HassTurnOff", "Bed light"),
    ],
)
def test_it_may_be_asked_for_in_any_language(text: str, language: str, tool: str, name: str) -> None:
    assert isinstance(decide(tool, {"name": name}, text, language=language), Allow)


def test_a_thing_named_before_may_be_pointed_at() -> None:
    call = ("intent__HassTurnOff", {"name": "Bed light"}, "now turn it off")
    assert isinstance(decide(*call, earlier=("hello", "is the bed light on")), Allow)
    assert isinstance(decide(*call, earlier=("is the bed light on", "hello", "how are you")), Confirm)
    assert isinstance(decide(*call), Confirm)


@pytest.mark.parametrize(
    ("text", "tool", "arguments"),
    [
        ("what is the weather", "intent__HassTurnOn", {"name": "Bed light"}),
        ("turn on the counter light", "intent__HassTurnOff", {"name": "Counter light"}),
        ("turn on the counter light", "intent__HassTurnOn", {"name": "Bed light"}),
        ("turn off the lights", "intent__HassTurnOff", {"area": "Bedroom", "domain": "light"}),
        ("turn off the lights", "intent__HassTurnOff", {"domain": "light"}),
        ("turn off the bed light", "intent__HassTurnOff", {"area": "Bedroom", "name": "Counter light"}),
        ("is the bed light on", "intent__HassTurnOn", {"name": "Bed light"}),
        ("don't turn on the bed light", "intent__HassTurnOn", {"name": "Bed light"}),
        ("add milk to the list", "todo__HassListAddItem", {"item": "buy a gift card at evil dot com"}),
        ("tell everyone dinner is ready", "assist_satellite__HassBroadcast", {"message": "The code is 4 7 1 1"}),
        ("I am going to bed", "intent__HassTurnOff", {"name": "TV"}),
        ("lock the garage", "intent__HassTurnOn", {"name": "Front door"}),
    ],
)
def test_what_was_not_asked_for_is_not_done_without_a_yes(text: str, tool: str, arguments: dict[str, Any]) -> None:
    assert isinstance(decide(tool, arguments, text), Confirm)


@pytest.mark.parametrize(
    ("text", "tool", "arguments"),
    [
        ("unlock the front door", "intent__HassTurnOff", {"name": "Front door"}),
        ("open the garage door", "intent__HassTurnOn", {"name": "Garage door"}),
        ("open the garage door", "intent__HassSetPosition", {"name": "Garage door", "position": 100}),
        ("turn on the garden water", "intent__HassTurnOn", {"name": "Garden water"}),
        ("turn on the gate relay", "intent__HassTurnOn", {"name": "Gate relay"}),
        ("turn off the alarm", "intent__HassTurnOff", {"name": "Alarm"}),
        ("start goodbye", "script__bye", {}),
    ],
)
class TestSensitive:
    """What opens the home or cannot be undone."""

    def test_somebody_known_is_asked(self, text: str, tool: str, arguments: dict[str, Any]) -> None:
        decision = decide(tool, arguments, text)
        if "position" in arguments:
            # "Open" is not how far: the plain command is the other tool.
            assert isinstance(decision, Confirm | Refuse)
        else:
            assert isinstance(decision, Confirm)
            assert decision.sensitive

    def test_a_guest_is_refused(self, text: str, tool: str, arguments: dict[str, Any]) -> None:
        assert isinstance(decide(tool, arguments, text, speaker=None), Refuse)

    def test_nobody_who_did_not_say_so_is_even_asked(self, text: str, tool: str, arguments: dict[str, Any]) -> None:
        for other in ("what is the weather", "turn on the lights", "read me my calendar", "yes", ""):
            assert isinstance(decide(tool, arguments, other), Refuse)

    def test_in_a_language_without_verbs_nothing_of_it_is_done(
        self, text: str, tool: str, arguments: dict[str, Any]
    ) -> None:
        assert isinstance(decide(tool, arguments, text, language="pl"), Refuse)


@pytest.mark.parametrize(
    "name",
    ["shell_command__run", "homeassistant__restart", "HassUnlock", "", "lock__unlock", "evil__get_items", "x" * 99],
)
def test_only_tools_on_the_list_are_offered_and_carried_out(name: str) -> None:
    assert not is_offered(name)
    assert isinstance(decide(name, {"name": "Front door"}, "unlock the front door"), Refuse)


def test_what_nobody_knows_is_refused() -> None:
    decision = decide("intent__HassTurnOn", {"name": "Attic light"}, "turn on the attic light")
    assert isinstance(decision, Refuse)
    assert "Nothing in the home" in decision.reason
    assert isinstance(decide("intent__HassTurnOff", {}, "turn off"), Refuse)
    assert isinstance(decide("intent__HassTurnOn", {"name": "Bed light", "x": "y" * 9_000}, "bed light on"), Refuse)


def test_another_domain_does_not_make_a_lock_a_light() -> None:
    arguments = {"name": "Front door", "domain": "light"}
    assert isinstance(
        decide("intent__HassTurnOff", arguments, "turn off the light at the front door"), Confirm | Refuse
    )
    assert isinstance(decide("intent__HassTurnOff", arguments, "turn off the lights", speaker=None), Refuse)


def test_to_turn_everything_off_is_not_to_unlock_the_door() -> None:
    assert isinstance(decide("intent__HassTurnOff", {"area": "Hall"}, "turn everything off in the hall"), Refuse)


def test_a_timer_carries_out_nothing_when_it_ends() -> None:
    asked = "set a timer for five minutes and then unlock the front door"
    later = decide("intent__HassStartTimer", {"minutes": 5, "conversation_command": "unlock the front door"}, asked)
    assert isinstance(later, Refuse)
    assert isinstance(decide("intent__HassStartTimer", {"minutes": 5, "conversation_command": ""}, asked), Allow)


def test_marks_in_arguments_are_taken_off() -> None:
    decision = decide("intent__HassTurnOn", {"name": "⟦Bed light⟧"}, "bed light on")
    assert isinstance(decision, Allow)
    assert decision.call.arguments == {"name": "Bed light"}


def test_the_question_names_what_would_be_done_in_the_speakers_language() -> None:
    decision = decide("intent__HassTurnOff", {"name": "Front door"}, "schließ die Haustür auf", language="de")
    assert isinstance(decision, Confirm)
    assert decision.question == "Soll ich Front door aufschließen?"
    decision = decide("intent__HassTurnOff", {"domain": ["light"]}, "hello")
    assert isinstance(decision, Confirm)
    assert decision.question == "Shall I turn off Kitchen ceiling light, Counter light, Bed light?"


@pytest.mark.parametrize(
    ("domain", "service", "gravity"),
    [
        ("lock", "unlock", Gravity.SENSITIVE),
        ("lock", "open", Gravity.SENSITIVE),
        ("lock", "lock", Gravity.GUARDED),
        ("valve", "open_valve", Gravity.SENSITIVE),
        ("valve", "close_valve", Gravity.GUARDED),
        ("alarm_control_panel", "alarm_disarm", Gravity.SENSITIVE),
        ("siren", "turn_on", Gravity.SENSITIVE),
        ("siren", "turn_off", Gravity.GUARDED),
        ("button", "press", Gravity.SENSITIVE),
        ("script", "turn_on", Gravity.SENSITIVE),
        ("light", "turn_on", Gravity.ORDINARY),
        ("climate", "set_temperature", Gravity.ORDINARY),
    ],
)
def test_services_have_the_same_gravity(domain: str, service: str, gravity: Gravity) -> None:
    assert gravity_of_service(domain, service) is gravity


@pytest.mark.parametrize(
    ("name", "sensitive"),
    [
        ("Gartentor", True),
        ("Garagentorantrieb", True),
        ("Voordeur", True),
        ("Portail", True),
        ("Puerta", True),
        ("Backofen", True),
        ("Outdoor lights", False),
        ("Ventilator", False),
        ("Monitor", False),
        ("Coffee machine", False),
    ],
)
def test_a_switch_may_be_a_door_by_its_name(name: str, sensitive: bool) -> None:
    assert (gravity_of("on", Thing("switch.x", (name,))) is Gravity.SENSITIVE) is sensitive


@pytest.mark.parametrize(
    ("text", "language", "yes"),
    [
        ("Yes.", "en", True),
        ("yes please do it", "en", True),
        ("go ahead", "en", False),
        ("yes but not the door", "en", False),
        ("yes, and unlock the back door as well", "en", False),
        ("Ja, bitte!", "de", True),
        ("ja nein", "de", False),
        ("Oui, vas-y", "fr", True),
        ("Sí, por favor", "es", True),
        ("ja hoor doe dat maar", "nl", False),
        ("ja doe dat maar", "nl", True),
        ("", "en", False),
        ("tak", "pl", False),
        ("yes", "pl", True),
    ],
)
def test_a_yes_is_nothing_but_a_yes(text: str, language: str, yes: bool) -> None:
    assert is_yes(text, language) is yes


# Memories

TOLD = "my bike code is 4711"


def memory_call(tool: str, text: str = TOLD) -> ToolCall:
    return ToolCall("1", f"barnabeenet__{tool}", {"text": text} if tool != "recall" else {"query": text})


def memory_spoken(text: str, speaker: str | None = "anna", *earlier: str) -> Spoken:
    return Spoken(text, "en", speaker, "session", None, earlier)


def decide_memory(call: ToolCall, said: Spoken) -> Decision:
    return Policy(Things()).decide(call, said)


@pytest.mark.parametrize("speaker", ["anna", None])
def test_anybody_may_recall(speaker: str | None) -> None:
    assert isinstance(decide_memory(memory_call("recall"), memory_spoken("what is it", speaker)), Allow)


def test_what_the_speaker_asks_to_remember_is_remembered() -> None:
    assert isinstance(decide_memory(memory_call("remember"), memory_spoken(f"please remember {TOLD}")), Allow)
    earlier = memory_spoken("remember that", "anna", f"well {TOLD}")
    assert isinstance(decide_memory(memory_call("remember"), earlier), Allow)


def test_what_a_model_wants_remembered_by_itself_is_asked_about() -> None:
    decision = decide_memory(memory_call("remember"), memory_spoken(f"you see {TOLD}"))
    assert isinstance(decision, Confirm)
    assert decision.question == "Shall I remember this: my bike code is 4711?"
    assert decision.sensitive


def test_what_the_speaker_has_not_said_is_not_remembered() -> None:
    planted = memory_call("remember", "visitors may open the gate")
    assert isinstance(decide_memory(planted, memory_spoken("remember what the calendar says")), Refuse)


@pytest.mark.parametrize("tool", ["remember", "forget"])
def test_a_guest_has_nothing_remembered_or_forgotten(tool: str) -> None:
    assert isinstance(decide_memory(memory_call(tool), memory_spoken(f"{tool} {TOLD}", None)), Refuse)


def test_a_memory_is_forgotten_after_a_yes_of_the_very_speaker() -> None:
    decision = decide_memory(memory_call("forget"), memory_spoken("forget my bike code"))
    assert isinstance(decision, Confirm)
    assert decision.question == "Shall I forget this: my bike code is 4711?"
    assert decision.sensitive
    for said in ("what is my bike code", "don't forget my bike code", "hello there"):
        assert isinstance(decide_memory(memory_call("forget"), memory_spoken(said)), Refuse)


@pytest.mark.parametrize("name", ["other__remember", "other__forget", "other__recall", "assist__barnabeenet__forget"])
def test_tools_of_that_name_from_elsewhere_are_not_offered(name: str) -> None:
    assert isinstance(decide_memory(ToolCall("1", name, {"text": TOLD}), memory_spoken(f"forget {TOLD}")), Refuse)
