"""Sentences of several commands, divided with a small grammar, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
import re

import pytest

from custom_components.barnabeenet.dialog.carry_out import carry_out
from custom_components.barnabeenet.dialog.clauses import continuation, joints
from custom_components.barnabeenet.dialog.endpoint import Recognition
from custom_components.barnabeenet.dialog.local import Answer
from custom_components.barnabeenet.dialog.several import COMMANDS_MAX, Command, commands_of

NAMES = ("lamp", "fan", "heater", "salt and pepper lamp", "radio", "kettle", "toaster")
ROOMS = ("kitchen", "hall", "office")


class Grammar:
    """Turns on and off, and sets; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, text: str) -> Recognition | None:
        self.asked.append(text)
        said = text.casefold()
        if said.removeprefix("the ") in NAMES:
            return Recognition("HassTurnOn", None, "[<the>] {name}", (said.removeprefix("the "),), False, {})
        if match := re.fullmatch(rf"turn (on|off) (?:the )?({'|'.join(NAMES)})", said):
            return self._found(match[1], {"name": match[2]}, match[2])
        if match := re.fullmatch(rf"set (?:the )?({'|'.join(NAMES)}) to \d+", said):
            return self._found("set", {"name": match[1]}, match[1])
        if match := re.fullmatch(rf"turn (on|off) the lights in the ({'|'.join(ROOMS)})", said):
            return self._found(match[1], {"area": match[2], "domain": "light"}, match[2])
        if match := re.fullmatch(rf"turn (on|off) the ({'|'.join(ROOMS)}) lights", said):
            return self._found(match[1], {"area": match[2], "domain": "light"}, match[2])
        if match := re.fullmatch(r"turn (on|off) the lights", said):
            return self._found(match[1], {"area": "hall", "domain": "light"})
        return None

    @staticmethod
    def _found(verb: str, slots: dict[str, str], *targets: str) -> Recognition:
        return Recognition(f"Hass{verb}", None, f"turn {verb} ...", targets, False, slots)


async def divided(text: str, *, last: Sequence[str] = ()) -> list[str]:
    return [command.text for command in await commands_of(text, "en", Grammar(), last=last)]


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("turn on the lamp and turn off the fan", ["turn on the lamp", "turn off the fan"]),
        ("Turn on the lamp. Turn off the fan.", ["Turn on the lamp", "Turn off the fan"]),
        ("turn on the lamp, and then turn off the fan", ["turn on the lamp", "turn off the fan"]),
        ("turn off the fan and the lamp", ["turn off the fan", "turn off the lamp"]),
        ("turn off the fan and the lamp too", ["turn off the fan", "turn off the lamp"]),
        (
            "turn on the salt and pepper lamp and turn off the fan",
            ["turn on the salt and pepper lamp", "turn off the fan"],
        ),
        (
            "turn on the lamp, the fan and the heater",
            ["turn on the lamp", "turn on the fan", "turn on the heater"],
        ),
        ("turn on the kitchen and office lights", ["turn on the kitchen lights", "turn on the office lights"]),
        (
            "turn on the lamp and turn off the lights in the kitchen",
            ["turn on the lamp", "turn off the lights in the kitchen"],
        ),
        ("turn on the fan, then set it to 50", ["turn on the fan", "set fan to 50"]),
        (
            "turn off the kitchen and office lights and turn on the fan",
            ["turn off the kitchen lights", "turn off the office lights", "turn on the fan"],
        ),
    ],
)
async def test_a_sentence_is_divided_where_every_part_is_a_command(text: str, commands: list[str]) -> None:
    assert await divided(text) == commands


@pytest.mark.parametrize(
    "text",
    [
        "turn on the lamp",
        "turn on the lamp and dance",
        "turn on the lamp and don't turn on the fan",
        "turn on the lamp but not the fan",
        "turn on the lights in the attic and the hall",
        "the lamp and the fan",
        "set it to 50 and turn on the fan",
        "and",
        "and and and",
        ", ,",
        "",
    ],
)
async def test_what_has_a_part_that_is_no_command_is_left_whole(text: str) -> None:
    assert await divided(text) == []


async def test_a_room_said_once_is_meant_twice() -> None:
    assert await divided("turn off the lights and turn on the lights in the kitchen") == [
        "turn off the lights in the kitchen",
        "turn on the lights in the kitchen",
    ]


@pytest.mark.parametrize(
    ("last", "text", "commands"),
    [
        (["turn on the lamp"], "turn off that", ["turn off lamp"]),
        (["turn on the lamp"], "and the fan too", ["turn on the fan"]),
        (["turn on the lamp"], "also the fan", ["turn on the fan"]),
        (["turn on the lamp"], "and the attic", []),
        (["turn on the lamp"], "turn on the attic", []),
        (["turn on the lights"], "and in the kitchen", []),
        (["dance"], "turn off it", []),
        ([], "turn off it", []),
    ],
)
async def test_a_sentence_may_speak_of_the_last_command(last: list[str], text: str, commands: list[str]) -> None:
    assert await divided(text, last=last) == commands


async def test_it_is_what_was_spoken_of() -> None:
    assert await divided("turn off it", last=["turn on the lamp"]) == ["turn off lamp"]
    assert await divided("turn off them", last=["turn on the lamp", "turn on the fan"]) == [
        "turn off lamp",
        "turn off fan",
    ]
    assert await divided("turn off it and turn on the heater", last=["turn on the lamp"]) == [
        "turn off lamp",
        "turn on the heater",
    ]


async def test_a_name_alone_is_no_command_of_its_own() -> None:
    assert await divided("turn off the fan and lamp") == ["turn off the fan", "turn off the lamp"]


async def test_a_sentence_that_has_no_joint_costs_nothing() -> None:
    grammar = Grammar()
    assert await commands_of("what is the meaning of life", "en", grammar) == ()
    assert grammar.asked == []


async def test_endless_talk_is_given_up_after_a_bounded_number_of_tries() -> None:
    grammar = Grammar()
    assert await commands_of("and turn on the lamp " * 40, "en", grammar) == ()
    assert grammar.asked == []
    assert await commands_of("so we went there, they said this and that, then home, and slept", "en", grammar) == ()
    assert len(grammar.asked) <= 150


@pytest.mark.parametrize(
    ("language", "text", "count"),
    [
        ("en", "a and b", 1),
        ("en", "a, b, and then c", 2),
        ("en", "sand and band", 1),
        ("en", "21.5 degrees", 0),
        ("de", "Licht aus und dann Tür zu", 1),
        ("fr", "allume la lampe puis ferme la porte", 1),
        ("es", "enciende la luz y luego cierra", 1),
        ("nl", "doe de lamp aan en daarna uit", 1),
        ("de-CH", "a und b", 1),
        ("tlh", "a and b", 0),
    ],
)
def test_sentences_are_joined_by_the_words_of_their_language(language: str, text: str, count: int) -> None:
    assert len(joints(text, language)) == count


@pytest.mark.parametrize(
    ("language", "text", "rest"),
    [
        ("en", "and the fan too", "the fan"),
        ("en", "The fan as well.", "The fan"),
        ("en", "the fan", None),
        ("de", "und den Ventilator auch", "den Ventilator"),
        ("fr", "et le ventilateur aussi", "le ventilateur"),
        ("es", "y también el ventilador", "el ventilador"),
        ("nl", "en de ventilator ook", "de ventilator"),
        ("tlh", "and the fan too", None),
    ],
)
def test_what_goes_on_from_the_last_sentence(language: str, text: str, rest: str | None) -> None:
    assert continuation(text, language) == rest


def told(*answers: Answer[str] | None) -> dict[str, Answer[str] | None]:
    return {f"command {number}": answer for number, answer in enumerate(answers)}


async def carried_out(
    answers: dict[str, Answer[str] | None], language: str = "en", *, needs: int | None = None
) -> tuple[Answer[str], list[str]]:
    asked: list[str] = []

    async def do(text: str) -> Answer[str] | None:
        asked.append(text)
        return answers[text]

    commands = [Command(text, text, needs if place else None) for place, text in enumerate(answers)]
    return await carry_out(commands, language, do, "+".join), asked


LIGHT = Answer("Turned on the light", "strict", intent="HassTurnOn", response="light")
LOCK = Answer("Locking", "strict", response="lock")


async def test_what_was_done_is_one_sentence() -> None:
    answer, asked = await carried_out(told(LIGHT, LOCK))
    assert answer.speech == "Turned on the light and locking."
    assert (answer.tier, answer.intent, answer.error) == ("several", "HassTurnOn", None)
    assert answer.response == "light+lock"
    assert answer.commands == tuple(asked) == ("command 0", "command 1")


@pytest.mark.parametrize(
    ("language", "speech"),
    [
        ("en", "Turned on the light, closed and TV off."),
        ("de", "Turned on the light, Closed und TV off."),
        ("nl", "Turned on the light, closed en TV off."),
    ],
)
async def test_the_parts_are_joined_in_the_speakers_language(language: str, speech: str) -> None:
    answer, _ = await carried_out(told(LIGHT, LIGHT, Answer("Closed", "strict"), Answer("TV off", "strict")), language)
    assert answer.speech == speech


async def test_what_fails_is_said_and_stops_nobody() -> None:
    answer, asked = await carried_out(told(LIGHT, None, LOCK))
    assert answer.speech == "Turned on the light and locking, but this did not work: command 1."
    assert asked == ["command 0", "command 1", "command 2"]
    assert answer.commands == ("command 0", "command 2")
    assert answer.error is None


async def test_what_depends_on_a_failure_is_not_begun() -> None:
    answer, asked = await carried_out(told(Answer("Broken", "strict", error="broken"), LIGHT), needs=0)
    assert asked == ["command 0"]
    assert answer.speech == "This did not work: command 0, command 1."
    assert answer.error is not None
    assert answer.response is None


async def test_silence_is_told_too() -> None:
    answer, _ = await carried_out(told(Answer("", "strict"), LIGHT))
    assert answer.speech == "Done and turned on the light."


async def test_more_than_five_are_not_even_begun() -> None:
    answer, asked = await carried_out(told(*[LIGHT] * (COMMANDS_MAX + 1)))
    assert asked == []
    assert answer.error == "too many commands"
    assert answer.speech == "Sorry, I can do at most 5 things at once."


async def test_six_commands_are_told_from_no_command() -> None:
    six = " and ".join(f"turn on the {name}" for name in ("lamp", "fan", "heater", "radio", "kettle", "toaster"))
    assert len(await divided(six)) == COMMANDS_MAX + 1
