"""Which things a sentence is about: by name, room, floor and kind, quickly, and however the home has changed before."""

from __future__ import annotations

import statistics
import time

from hypothesis import given, strategies as st
import pytest

from custom_components.barnabeenet.dialog.cues import kinds_in, tokens
from custom_components.barnabeenet.dialog.things import RELEVANT_MAX, Thing, Things

HOUSE = (
    Thing("light.kitchen_ceiling", ("Ceiling light",), area="Kitchen", area_aliases=("Cook's den",), floor="Ground"),
    Thing("light.kitchen_counter", ("Counter light", "Worktop"), area="Kitchen", floor="Ground"),
    Thing("light.bedroom", ("Bed light",), area="Bedroom", floor="Upstairs"),
    Thing("lock.front", ("Front door",), area="Hall", floor="Ground"),
    Thing("cover.garage", ("Garage door",), "garage", area="Garage"),
    Thing("sensor.kitchen", ("Kitchen temperature",), "temperature", area="Kitchen", floor="Ground"),
    Thing("sensor.signal", ("Router signal",), area="Kitchen", floor="Ground"),
    Thing("climate.living", ("Thermostat",), area="Living room", floor="Ground"),
)


def _ids(text: str, area: str | None = None, language: str = "en", limit: int = RELEVANT_MAX) -> list[str]:
    return [thing.entity_id for thing in Things(HOUSE).relevant(text, language, area=area, limit=limit)]


def test_who_is_named_comes_first() -> None:
    assert _ids("is the bed light on", area="Kitchen")[0] == "light.bedroom"


def test_an_alias_is_a_name() -> None:
    assert _ids("turn on the worktop")[0] == "light.kitchen_counter"


def test_a_kind_in_a_room_comes_before_that_kind_elsewhere_and_others_in_the_room() -> None:
    found = _ids("which lights are on in the kitchen")
    assert found[:2] == ["light.kitchen_ceiling", "light.kitchen_counter"]
    assert set(found[2:]) == {"light.bedroom", "sensor.kitchen", "sensor.signal"}


def test_a_room_is_known_by_its_alias() -> None:
    assert _ids("lights in cook's den")[0] == "light.kitchen_ceiling"


def test_a_floor_holds_its_rooms() -> None:
    assert _ids("upstairs") == ["light.bedroom"]


def test_nothing_said_of_the_home_gives_the_room_that_it_was_said_in_controls_first() -> None:
    assert _ids("tell me something", area="Kitchen") == [
        "light.kitchen_ceiling",
        "light.kitchen_counter",
        "sensor.kitchen",
        "sensor.signal",
    ]
    assert _ids("tell me something") == []


def test_the_room_of_the_device_decides_between_equals_but_not_against_a_room_that_was_said() -> None:
    assert _ids("the lights", area="Bedroom")[0] == "light.bedroom"
    assert _ids("the lights in the kitchen", area="Bedroom")[0] == "light.kitchen_ceiling"


@pytest.mark.parametrize(
    ("text", "language", "kind"),
    [
        ("das Küchenlicht", "de", "light"),
        ("Wohnzimmerlampen aus", "de", "light"),
        ("die Terrassentür", "de", "binary_sensor.door"),
        ("de keukenlamp", "nl", "light"),
        ("les lumières", "fr", "light"),
        ("la calefacción", "es", "climate"),
        ("is it warm", "en-GB", "sensor.temperature"),
        ("make it a bit brighter", "en", "light"),
    ],
)
def test_kinds_are_heard_in_every_language_and_in_compounds(text: str, language: str, kind: str) -> None:
    assert kind in kinds_in(tokens(text), language)


def test_a_language_without_cues_still_finds_names_and_rooms() -> None:
    assert kinds_in(tokens("lampa w kuchni"), "pl") == frozenset()
    assert _ids("zgaś bed light", language="pl")[0] == "light.bedroom"
    assert _ids("hall", language="pl") == ["lock.front"]


def test_a_room_may_be_the_first_part_of_a_compound() -> None:
    things = Things([Thing("light.a", ("Decke",), area="Küche"), Thing("light.b", ("Decke",), area="Bad")])
    assert [each.entity_id for each in things.relevant("das Küchenlicht", "de")] == ["light.a", "light.b"]
    assert things.mentions("kitchenette", "en").areas == frozenset()


def test_at_most_so_many_are_given() -> None:
    many = Things(Thing(f"light.l{number:03}", (f"Lamp {number}",), area="Hall") for number in range(60))
    found = many.relevant("lamps in the hall", "en")
    assert [thing.entity_id for thing in found] == [f"light.l{number:03}" for number in range(RELEVANT_MAX)]


def test_named_and_areas_do_not_mind_case_and_accents() -> None:
    things = Things([Thing("light.k", ("Küchenlicht",), area="Küche")])
    assert [thing.entity_id for thing in things.named("kuchenlicht")] == ["light.k"]
    assert things.areas() == ["Küche"]
    assert [thing.entity_id for thing in things.in_area("KÜCHE")] == ["light.k"]
    assert things.named("kuchen") == []


_NAMES = st.sampled_from(["Lamp", "Bed light", "Light", "bed", "Küche", "Front door", "--"])
_THINGS = st.builds(
    Thing,
    st.sampled_from(["light.a", "light.b", "lock.c", "cover.d"]),
    st.lists(_NAMES, max_size=3).map(tuple),
    st.sampled_from([None, "garage"]),
    st.sampled_from([None, "Kitchen", "kitchen", "Hall"]),
    st.sampled_from([(), ("Den",), ("Hall",)]),
    st.sampled_from([None, "Ground"]),
)


@given(st.lists(st.one_of(_THINGS, st.sampled_from(["light.a", "light.b", "lock.c", "cover.d"]))))
def test_however_a_home_came_about_it_is_found_the_same(steps: list[Thing | str]) -> None:
    changed, wanted = Things(), dict[str, Thing]()
    for step in steps:
        if isinstance(step, Thing):
            changed.put(step)
            wanted[step.entity_id] = step
        else:
            changed.remove(step)
            wanted.pop(step, None)
    fresh = Things(wanted.values())
    assert len(changed) == len(fresh)
    assert changed.areas() == fresh.areas()
    for text in ("the bed light", "lights in the kitchen", "den", "front door in the hall", "ground"):
        assert changed.relevant(text, "en", area="Hall") == fresh.relevant(text, "en", area="Hall")
        assert changed.named(text) == fresh.named(text)


def test_a_home_of_2300_entities_costs_less_than_5_ms() -> None:
    """The median of many, so that a busy machine does not decide."""
    rooms = [f"Room {number}" for number in range(60)]
    domains = ["light"] * 8 + ["switch", "sensor", "sensor", "sensor", "binary_sensor", "cover", "climate", "lock"]
    things = Things(
        Thing(
            f"{(domain := domains[number % len(domains)])}.e{number}",
            (f"{rooms[number % 60]} {domain} {number}", f"Alias {number} light"),
            area=rooms[number % 60],
            floor=f"Floor {number % 3}",
        )
        for number in range(2_300)
    )
    took_s: list[float] = []
    for text in ("turn off the lights in room 7", "which lights and lights are on floor 2", "alias 1200 light") * 15:
        start_s = time.perf_counter()
        assert things.relevant(text, "en", area="Room 3")
        took_s.append(time.perf_counter() - start_s)
    assert statistics.median(took_s) < 0.005
