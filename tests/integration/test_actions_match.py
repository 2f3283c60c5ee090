"""Our reading of a call against Home Assistant's own: whatever it would reach, the policy has judged."""

from __future__ import annotations

from itertools import product

from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar, entity_registry as er, floor_registry as fr, intent
from homeassistant.setup import async_setup_component
import pytest

from custom_components.barnabeenet.dialog.actions import Gravity, understand
from custom_components.barnabeenet.dialog.policy import Allow, Policy, Spoken
from custom_components.barnabeenet.dialog.things import Thing, Things
from custom_components.barnabeenet.providers.base import ToolCall

NAMES = (None, "Front door", "front DOOR ", "lock.front", "Haustür", "Ceiling", "Tür!", "nobody", "")
AREAS = (None, "Hall", "hall", "HALL ", "Flur", "Kitchen", "kitchen_2", "nowhere")
FLOORS = (None, "Ground", "ground", "Erdgeschoss", "nowhere")
DOMAINS = (None, ["lock"], ["light"], ["light", "lock"], ["cover"])
CLASSES = (None, ["garage"])


@pytest.fixture
async def house(home: HomeAssistant) -> Things:
    """Two locks, two lights and a garage, with aliases, as Home Assistant and as our index has them."""
    assert await async_setup_component(home, "conversation", {})
    floor = fr.async_get(home).async_create("Ground", aliases={"Erdgeschoss"})
    areas, entities = ar.async_get(home), er.async_get(home)
    hall = areas.async_create("Hall", aliases={"Flur"}, floor_id=floor.floor_id)
    kitchen = areas.async_create("Kitchen", floor_id=floor.floor_id)
    made = [
        ("lock", "front", "Front door", ["Haustür", "Tür!"], hall, None),
        ("lock", "back", "Ceiling", [], kitchen, None),
        ("light", "ceiling", "Ceiling", [], hall, None),
        ("light", "other", "Other light", [], None, None),
        ("cover", "garage", "Garage", [], hall, "garage"),
    ]
    things = Things()
    for domain, object_id, name, aliases, area, device_class in made:
        entry = entities.async_get_or_create(
            domain, "test", object_id, suggested_object_id=object_id, original_name=name
        )
        entities.async_update_entity(
            entry.entity_id, aliases=[er.COMPUTED_NAME, *aliases], area_id=area.id if area else None
        )
        home.states.async_set(entry.entity_id, "on", {"friendly_name": name, "device_class": device_class})
        async_expose_entity(home, "conversation", entry.entity_id, True)
        things.put(
            Thing(
                entry.entity_id,
                (name, *aliases),
                device_class,
                area.name if area else None,
                tuple(area.aliases) if area else (),
                "Ground" if area else None,
            )
        )
    return things


async def test_home_assistant_never_reaches_what_was_not_judged(home: HomeAssistant, house: Things) -> None:
    policy = Policy(house)
    reached_something = 0
    for name, area, floor, domains, classes in product(NAMES, AREAS, FLOORS, DOMAINS, CLASSES):
        result = intent.async_match_targets(
            home,
            intent.MatchTargetsConstraints(
                name=name or None,
                area_name=area,
                floor_name=floor,
                domains=domains,
                device_classes=classes,
                assistant="conversation",
            ),
        )
        reached = {state.entity_id for state in result.states} if result.is_match else set()
        given = {"name": name, "area": area, "floor": floor, "domain": domains, "device_class": classes}
        arguments = {key: value for key, value in given.items() if value is not None}
        action = understand("intent__HassTurnOff", arguments, house, frozenset())
        judged = {thing.entity_id for thing in action.things}
        reached_something += bool(reached)
        assert not judged or reached <= judged, arguments
        if reached & {"lock.front", "lock.back", "cover.garage"} and judged:
            assert action.gravity >= Gravity.GUARDED, arguments
        call = ToolCall("1", "intent__HassTurnOff", arguments)
        for text in ("what is the weather", "turn off the ceiling", "turn everything off"):
            decision = policy.decide(call, Spoken(text, "en", "anna", "s", "Hall"))
            assert not isinstance(decision, Allow) or not any(each.startswith("lock.") for each in reached), arguments
    assert reached_something > 100
