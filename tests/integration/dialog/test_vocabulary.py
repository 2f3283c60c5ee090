"""The vocabulary of a home, built from Home Assistant's own sentences."""

from __future__ import annotations

from dataclasses import replace
import json
import logging
import random
import re

from hassil.intents import Intents, TextSlotList
from hassil.recognize import recognize_best
from home_assistant_intents import get_intents, get_speech_to_phrase_intents
import pytest

from custom_components.barnabeenet.client.messages import Vocabulary, check
from custom_components.barnabeenet.dialog.shopping import ITEMS
from custom_components.barnabeenet.dialog.slots import Entity, Home
from custom_components.barnabeenet.dialog.vocabulary import Templates, build

HOME = Home(
    language="en",
    entities=(
        Entity(("Bed Light", "reading lamp"), "light"),
        Entity(("Kitchen lights",), "light"),
        Entity(("Front Door",), "lock"),
        Entity(("office blinds",), "cover", "blind"),
        Entity(("TV",), "media_player"),
        Entity(("EcoBee",), "climate"),
        Entity(("New York",), "weather"),
        Entity(("Party Time",), "script"),
        Entity(("Mood Lighting",), "scene"),
        Entity(("Groceries",), "todo"),
    ),
    areas=("Kitchen", "Living Room"),
    wildcards={"shopping_list_item": ITEMS["en"], "todo_list_item": ITEMS["en"]},
)


@pytest.fixture(scope="session")
def english() -> Templates:
    return Templates(
        lean=Intents.from_dict(get_speech_to_phrase_intents("en")), full=Intents.from_dict(get_intents("en"))
    )


@pytest.fixture(scope="session")
def vocabulary(english: Templates) -> Vocabulary:
    return build(HOME, english)


def _slots(text: str) -> list[str]:
    return re.findall(r"\{([^}]+)\}", text)


def _fours(text: str) -> set[tuple[str, ...]]:
    words = ("", "", "", *text.split(), "")
    return set(zip(words, words[1:], words[2:], words[3:], strict=False))


def _own(*sentences: str, **extra: object) -> Intents:
    return Intents.from_dict({"language": "en", "intents": {"Own": {"data": [{"sentences": [*sentences], **extra}]}}})


def test_it_keeps_the_contract(vocabulary: Vocabulary) -> None:
    check(vocabulary.event())


def test_every_slot_has_a_list_and_every_list_is_used(vocabulary: Vocabulary) -> None:
    used = {slot for text in vocabulary.sentences for slot in _slots(text)}
    assert used == set(vocabulary.lists)
    assert all(vocabulary.lists.values())


def test_names_and_aliases_and_areas_are_bias_words(vocabulary: Vocabulary) -> None:
    assert {"Bed Light", "reading lamp", "Front Door", "Groceries"} <= set(vocabulary.names)
    assert vocabulary.terms == ["Kitchen", "Living Room"]


def test_only_locks_are_locked(vocabulary: Vocabulary) -> None:
    (slot,) = {slot for text in vocabulary.sentences if text.startswith("lock ") for slot in _slots(text)} - {"area"}
    assert vocabulary.lists[slot] == ["Front Door"]


def test_only_scripts_are_run(vocabulary: Vocabulary) -> None:
    (slot,) = {slot for text in vocabulary.sentences if text.startswith("run ") for slot in _slots(text)}
    assert vocabulary.lists[slot] == ["Party Time"]


@pytest.mark.parametrize(
    ("domain", "pattern"),
    [
        ("lock", r"\b(un)?lock(s|ed)?\b"),
        ("cover", r"\b(open|close|blinds?)\b"),
        ("media_player", r"\b(volume|mute|song|track)\b"),
        ("climate", r"\b(degrees?|fan mode)\b"),
        ("weather", r"\bweather\b"),
        ("todo", r"\blist\b"),
        ("script", r"\bscript\b"),
        ("scene", r"\bscene\b"),
    ],
)
def test_what_the_home_does_not_have_is_not_said(
    english: Templates, vocabulary: Vocabulary, domain: str, pattern: str
) -> None:
    assert any(re.search(pattern, text) for text in vocabulary.sentences)
    without = build(replace(HOME, entities=tuple(e for e in HOME.entities if e.domain != domain)), english)
    assert [text for text in without.sentences if re.search(pattern, text)] == []


def test_only_the_covers_that_exist_are_named_by_their_kind(vocabulary: Vocabulary) -> None:
    assert vocabulary.lists["cover_classes"] == ["blind", "blinds"]


def test_an_empty_home_still_has_timers_and_the_time(english: Templates) -> None:
    empty = build(Home("en"), english)
    assert "what time is it" in empty.sentences
    assert any("timer for" in text for text in empty.sentences)
    assert not any("{area}" in text or "{name" in text or "{floor}" in text for text in empty.sentences)


def test_floors_are_said_where_there_are_floors(english: Templates, vocabulary: Vocabulary) -> None:
    assert not any("floor" in text for text in vocabulary.sentences)
    two_storeys = build(replace(HOME, floors=("upstairs",)), english)
    assert two_storeys.lists["floor"] == ["upstairs"]


def test_a_name_alone_is_no_sentence(vocabulary: Vocabulary) -> None:
    assert all(re.sub(r"\{[^}]+\}", "", text).strip() for text in vocabulary.sentences)


def test_sentences_are_words_and_slots_alone(vocabulary: Vocabulary) -> None:
    assert all(re.fullmatch(r"(\{\w+\}|[a-zA-Z']+)( (\{\w+\}|[a-zA-Z']+))*", text) for text in vocabulary.sentences)


def test_numbers_are_digits_and_temperatures_those_of_a_home(vocabulary: Vocabulary) -> None:
    assert vocabulary.lists["brightness"] == [str(number) for number in range(101)]
    assert vocabulary.lists["temperature"] == [str(number) for number in range(5, 36)]
    assert vocabulary.lists["timer_minutes"] == [str(number) for number in range(1, 101)]


def test_no_sentence_repeats_what_those_before_it_taught(vocabulary: Vocabulary) -> None:
    known: set[tuple[str, ...]] = set()
    for text in vocabulary.sentences:
        assert not _fours(text) <= known, text
        known |= _fours(text)


@pytest.mark.parametrize(
    "said",
    [
        "turn on the {name_light_media_player}",
        "turn the {name_climate_light_media_player} off",
        "turn off the lights in the {area}",
        "turn off all the lights",
        "turn on the {area} lights",
        "set the {name_light} to {brightness} percent",
        "set the {name_light} brightness to {brightness} percent",
        "make the {name_light} {color}",
        "set the temperature to {temperature} degrees",
        "what's the temperature in the {area}",
        "open the {name_cover}",
        "close the {cover_classes} in the {area}",
        "is the {name_lock} {lock_states}",
        "set a timer for {timer_minutes} minutes",
        "set a {timer_minutes} minute timer",
        "set a timer for {timer_hours} hour and {timer_minutes} minutes",
        "cancel the timer",
        "add {shopping_list_item} to my shopping list",
        "pause the music",
        "turn {volume_step} the volume",
        "set the volume to {volume} percent",
        "run {name_script}",
        "activate {name_scene}",
        "what's the weather in {name_weather}",
        "what time is it",
        "which lights are {on_off_states}",
        "never mind",
    ],
)
def test_what_people_say_every_day_is_taught(vocabulary: Vocabulary, said: str) -> None:
    taught = {four for text in vocabulary.sentences for four in _fours(text)}
    assert _fours(said) <= taught, _fours(said) - taught


def test_home_assistant_understands_what_it_taught_us(english: Templates, vocabulary: Vocabulary) -> None:
    assert english.full is not None
    names = [
        (name, name, {"domain": e.domain, "device_class": e.device_class}) for e in HOME.entities for name in e.names
    ]
    slot_lists = {
        "name": TextSlotList.from_tuples(names, allow_template=False),
        "area": TextSlotList.from_strings(HOME.areas, allow_template=False),
        "floor": TextSlotList.from_strings((), allow_template=False),
    }
    for text in random.sample(vocabulary.sentences, 200):
        said = re.sub(r"\{([^}]+)\}", lambda slot: random.choice(vocabulary.lists[slot[1]]), text)
        context = {"area": {"value": "Kitchen", "text": "Kitchen"}}
        assert recognize_best(said, english.full, slot_lists=slot_lists, intent_context=context), (text, said)


def test_the_same_home_has_the_same_revision_and_another_name_another(
    english: Templates, vocabulary: Vocabulary
) -> None:
    assert build(HOME, english).revision == vocabulary.revision
    renamed = replace(HOME, areas=("Kitchen", "Parlour"))
    assert build(renamed, english).revision != vocabulary.revision


def test_a_language_without_a_short_list_is_built_from_the_whole_data() -> None:
    polish = Templates(lean=get_speech_to_phrase_intents("pl"), full=Intents.from_dict(get_intents("pl")))
    assert polish.lean is None
    home = Home("pl", (Entity(("Lampka",), "light"),), ("Kuchnia",))
    built = build(home, polish)
    assert len(built.sentences) > 100
    assert "Lampka" in built.names


def test_a_home_without_any_sentences_has_at_least_its_names() -> None:
    built = build(HOME, Templates(lean=None, full=None))
    assert built.sentences == []
    assert "Bed Light" in built.names
    check(built.event())


def test_the_users_own_sentences_are_taught() -> None:
    own = _own("movie night [please]", requires_context={})
    assert build(HOME, Templates(None, own)).sentences == ["movie night", "movie night please"]


def test_the_sentences_of_automations_are_taught_but_not_their_wildcards() -> None:
    built = build(HOME, Templates(None, None, ("[it is] party time", "play {album}", "broken (", "<unknown> rule")))
    assert built.sentences == ["party time", "it is party time"]


def test_a_broken_sentence_is_left_out_with_a_word_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        built = build(HOME, Templates(None, _own("<nowhere> on", "movie night")))
    assert built.sentences == ["movie night"]
    assert "<nowhere>" in caplog.text


def test_an_entity_that_a_sentence_excludes_is_not_in_its_list() -> None:
    own = _own("dim {name}", requires_context={"domain": ["light", "lock"]}, excludes_context={"domain": "lock"})
    built = build(HOME, Templates(None, own))
    (names,) = built.lists.values()
    assert names == ["Bed Light", "reading lamp", "Kitchen lights"]


def test_a_home_too_large_for_a_frame_is_cut_and_says_so(english: Templates, caplog: pytest.LogCaptureFixture) -> None:
    many = tuple(Entity((f"the very long name of the lamp number {index}" * 3,), "light") for index in range(8_000))
    with caplog.at_level(logging.WARNING):
        built = build(replace(HOME, entities=many), english)
    check(built.event())
    assert len(json.dumps(built.event().data)) < 2**20
    assert 0 < len(built.names) < 8_000
    assert "expose fewer entities" in caplog.text


def test_names_too_long_for_the_contract_are_left_out(english: Templates) -> None:
    built = build(replace(HOME, entities=(*HOME.entities, Entity(("lamp " * 80,), "light"))), english)
    check(built.event())
    assert max(map(len, built.names)) < 100
    assert "Bed Light" in built.names


def test_a_usual_home_is_cut_nowhere(english: Templates, caplog: pytest.LogCaptureFixture) -> None:
    home = replace(HOME, entities=tuple(Entity((f"Lamp {n}", f"light {n}"), "light") for n in range(2_300)))
    with caplog.at_level(logging.WARNING):
        built = build(home, english)
    assert caplog.text == ""
    assert len(built.names) == 4_600
