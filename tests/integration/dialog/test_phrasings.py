"""What of HA's sentence templates becomes a phrase that people say."""

from __future__ import annotations

from hassil.expression import Sentence
from hassil.parse_expression import parse_sentence
import pytest

from custom_components.barnabeenet.dialog.phrasings import phrasings, sayable


def _of(template: str, *, limit: int = 100, max_cost: float = float("inf"), **rules: str) -> list[str]:
    parsed = {name: parse_sentence(rule) for name, rule in rules.items()}
    return phrasings(parse_sentence(template), parsed, limit=limit, max_cost=max_cost)


def test_a_plain_sentence_is_its_only_phrasing() -> None:
    assert _of("never mind") == ["never mind"]


def test_an_optional_word_is_said_and_left_out_the_shorter_first() -> None:
    assert _of("turn on [the] lights") == ["turn on lights", "turn on the lights"]


def test_alternatives_come_in_the_order_they_are_listed() -> None:
    assert _of("(turn|switch|bring) on") == ["turn on", "switch on", "bring on"]


def test_a_rule_is_put_in_where_it_is_named() -> None:
    assert _of("<turn> off", turn="(turn|switch)") == ["turn off", "switch off"]


def test_a_slot_keeps_its_list_and_its_slot_name() -> None:
    assert _of("set {name} to {timer_hours:hours} hours") == ["set {name:name} to {timer_hours:hours} hours"]


def test_a_permutation_is_said_in_every_order() -> None:
    assert sorted(_of("(pause;{name})")) == ["pause {name:name}", "{name:name} pause"]


@pytest.mark.parametrize("template", ["set brightness to {brightness}[([ ]%)| percent]", "for {hours}( |-)hour[s]"])
def test_what_nobody_can_say_is_left_out(template: str) -> None:
    said = _of(template)
    assert said
    assert all("%" not in text and "-" not in text for text in said)


def test_the_sayable_choice_is_not_charged_for_the_unsayable_one_before_it() -> None:
    assert "to {brightness:brightness} percent" in _of("to {brightness}[([ ]%)| percent]", max_cost=0.5)


def test_a_slot_glued_to_a_word_is_left_out() -> None:
    assert _of("l'{area}") == []


def test_doubled_words_are_left_out() -> None:
    assert set(_of("all [of the] [the] {area}")) == {"all {area:area}", "all of the {area:area}", "all the {area:area}"}


def test_the_limit_keeps_the_likeliest() -> None:
    assert _of("(turn|switch|change|bring) on [the] {name}", limit=3) == [
        "turn on {name:name}",
        "turn on the {name:name}",
        "switch on {name:name}",
    ]


def test_the_cost_keeps_what_people_say() -> None:
    said = _of("(turn|switch|change|bring) on [the] {name}", max_cost=1.5)
    assert said == [
        "turn on {name:name}",
        "turn on the {name:name}",
        "switch on {name:name}",
        "switch on the {name:name}",
    ]


def test_a_template_with_millions_of_phrasings_is_cut_without_being_counted() -> None:
    template = " ".join(f"(a{letter}|b{letter}|c{letter}) [d{letter}]" for letter in "klmnopqrst")
    assert len(_of(template, limit=10)) == 10


def test_rules_that_call_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="nests deeper"):
        _of("<one>", one="[very] <two>", two="<one>")


def test_an_unknown_rule_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="<nowhere>"):
        _of("turn on <nowhere>")


def test_a_group_of_hundreds_of_parts_is_refused() -> None:
    template = " ".join("[a]" for _ in range(100))
    with pytest.raises(ValueError, match="cannot be expanded"):
        phrasings(Sentence(expression=parse_sentence(template).expression), {}, limit=5)


@pytest.mark.parametrize(("text", "expected"), [("", True), (" ", True), ("wie spät", True), ("what's", True)])
def test_words_and_gaps_are_sayable(text: str, expected: bool) -> None:
    assert sayable(text) is expected


@pytest.mark.parametrize("text", ["%", " %", "1/2", "5", "-", "°", "k_v"])
def test_signs_and_digits_are_not_sayable(text: str) -> None:
    assert not sayable(text)
