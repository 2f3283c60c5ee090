"""When the words so far are a whole command: the rules, on recognitions of the test's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from custom_components.barnabeenet.dialog.endpoint import Endpoint, Recognition

LIGHT_ON = Recognition(
    intent="HassTurnOn",
    response="default",
    template="<turn> on [<the>] {name}",
    targets=("bed light",),
    open_ended=False,
)


class Recogniser:
    """Understands everything, or only what it is given."""

    def __init__(self, found: Recognition | None, understood: frozenset[str] | None = None) -> None:
        self.found, self.understood = found, understood
        self.asked: list[tuple[str, str, str | None]] = []

    async def recognise(self, text: str, language: str, device_id: str | None) -> Recognition | None:
        self.asked.append((text, language, device_id))
        return self.found if self.understood is None or text in self.understood else None


async def _complete(text: str, found: Recognition | None, *names: str) -> bool:
    return await Endpoint(Recogniser(found), lambda: names).complete(text, "en", "device")


async def test_a_named_light_is_a_whole_command() -> None:
    assert await _complete("turn on the bed light", LIGHT_ON, "Bed Light", "Office")


async def test_what_is_not_understood_is_not_whole() -> None:
    assert not await _complete("turn on the bed", None)


async def test_the_recogniser_is_told_language_and_device() -> None:
    recogniser = Recogniser(LIGHT_ON)
    await Endpoint(recogniser, list).complete("turn on the bed light", "en", "device")
    assert recogniser.asked == [("turn on the bed light", "en", "device")]


@pytest.mark.parametrize("text", ["", "  ", "a " * 600])
async def test_nothing_and_a_speech_are_not_whole_and_nobody_is_asked(text: str) -> None:
    recogniser = Recogniser(LIGHT_ON)
    assert not await Endpoint(recogniser, list).complete(text, "en", None)
    assert recogniser.asked == []


async def test_a_name_that_may_go_on_is_not_whole() -> None:
    assert not await _complete("turn on the bed light", LIGHT_ON, "Bed Light", "Bed Light Strip")


async def test_a_longer_name_that_would_make_no_sense_there_does_not_matter() -> None:
    in_the_office = replace(LIGHT_ON, template="<turn> on [<the>] lights in [<the>] {area}", targets=("office",))
    text = "turn on the lights in the office"
    recogniser = Recogniser(in_the_office, frozenset({text}))
    assert await Endpoint(recogniser, lambda: ["Office blinds"]).complete(text, "en", None)
    assert ("turn on the lights in the Office blinds", "en", None) in recogniser.asked


async def test_many_longer_names_are_not_tried_one_by_one() -> None:
    names = [f"Bed Light {number}" for number in range(50)]
    recogniser = Recogniser(LIGHT_ON)
    assert not await Endpoint(recogniser, lambda: names).complete("turn on the bed light", "en", None)
    assert len(recogniser.asked) == 1


async def test_a_longer_name_does_not_matter_when_other_words_follow() -> None:
    assert await _complete("turn the bed light on", replace(LIGHT_ON, template="<turn> {name} on"), "Bed Light Strip")


async def test_a_name_alone_may_still_be_turned_off() -> None:
    assert not await _complete("the bed light", replace(LIGHT_ON, template="[<the>] {name}"))


async def test_optional_words_within_optional_words_do_not_hide_a_name_alone() -> None:
    assert not await _complete("bed light", replace(LIGHT_ON, template="[all [of]] {name} [scene]"))


async def test_a_number_at_the_end_may_go_on() -> None:
    dimmed = replace(LIGHT_ON, intent="HassLightSet", response="brightness")
    assert not await _complete("set bed light to 50", dimmed)
    assert not await _complete("set bed light to 50%", dimmed)
    assert await _complete("set bed light to 50 percent", dimmed)


async def test_the_room_of_the_satellite_is_no_target() -> None:
    assert not await _complete("turn on the lights", replace(LIGHT_ON, response="lights_area", targets=()))


async def test_a_spoken_room_is() -> None:
    assert await _complete("turn on the office lights", replace(LIGHT_ON, response="lights_area", targets=("office",)))


@pytest.mark.parametrize("intent", ["HassGetCurrentTime", "HassGetCurrentDate", "HassNevermind"])
async def test_some_commands_need_no_target(intent: str) -> None:
    assert await _complete("what time is it", replace(LIGHT_ON, intent=intent, targets=()))


@pytest.mark.parametrize("response", ["lock", "cover", "cover_device_class", "valve", "script", "scene", None, "new"])
@pytest.mark.parametrize("intent", ["HassTurnOn", "HassTurnOff"])
async def test_what_may_be_hard_to_undo_waits_for_the_real_end(intent: str, response: str | None) -> None:
    assert not await _complete("open the bed light", replace(LIGHT_ON, intent=intent, response=response))


@pytest.mark.parametrize("intent", ["HassStartTimer", "HassCancelTimer", "HassSetPosition", "HassVacuumStart", "MyOwn"])
async def test_timers_and_unknown_intents_wait_for_the_real_end(intent: str) -> None:
    assert not await _complete("set a timer for five minutes", replace(LIGHT_ON, intent=intent))


async def test_any_words_may_follow_any_words() -> None:
    assert not await _complete("add milk to my list", replace(LIGHT_ON, open_ended=True))
