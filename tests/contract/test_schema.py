"""messages.schema.json is the contract for people and other programs; `check` is what runs. They must agree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import copy
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
from jsonschema import Draft202012Validator, validators
from wyoming.event import Event

Stream = Callable[[bytes], asyncio.StreamReader]

# JSON Schema takes 1.0 for a whole number; the contract wants whole numbers written without a fraction.
Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)

ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**12), max_value=10**12),
    st.sampled_from([0, 1, 2, 7_999, 8_000, 48_000, 48_001, 2**31, 2**31 + 1, 2**53, 2**53 + 1, 10**400]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300),
    st.sampled_from(
        ["", "\0", "a" * 256, "a" * 257, "ab" * 32, "ab" * 32 + "\n", "AB" * 32, "0123abc", "t 1", "x" * 16_385]
    ),
    st.lists(st.one_of(st.none(), st.text(max_size=3), st.integers()), max_size=40),
    st.dictionaries(st.text(max_size=3), st.one_of(st.none(), st.text(max_size=3), st.floats(0, 1), st.integers())),
    st.fixed_dictionaries({}, optional={"name": st.none(), "rate": st.integers(0, 50_000), "trace_id": st.text()}),
)


def validator(schema: dict[str, Any], event_type: str) -> Any:
    return Validator({"$ref": f"#/$defs/{event_type}", "$defs": schema["$defs"]})


def keeps_contract(side: Any, event: Event) -> bool:
    try:
        side.messages.check(event)
    except side.messages.MessageError:
        return False
    return True


def test_the_schema_is_a_schema(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


def test_every_event_has_a_definition_and_no_other_is_defined(side: Any, schema: dict[str, Any]) -> None:
    events = {name for name in schema["$defs"] if name[0].islower()}
    assert events == set(side.messages._FIELDS)


async def test_the_schema_takes_every_good_frame(
    side: Any, stream: Stream, schema: dict[str, Any], good_frame: Any
) -> None:
    event = await side.wire.read_event(stream(good_frame.raw))
    assert validator(schema, event.type).is_valid(event.data)


async def test_the_schema_refuses_the_data_that_check_refuses(
    side: Any, stream: Stream, schema: dict[str, Any], golden_frames: list[Any]
) -> None:
    refused = 0
    for frame in golden_frames:
        if frame.code != "bad-request":
            continue
        event = await side.wire.read_event(stream(frame.raw))
        # The schema knows the data alone, not the payload.
        if event.type in schema["$defs"] and not event.payload and event.type not in side.messages._PAYLOAD_UNITS:
            assert not validator(schema, event.type).is_valid(event.data), frame.name
            refused += 1
    assert refused > 40


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_schema_and_check_agree_on_twisted_data(
    side: Any, schema: dict[str, Any], golden_frames: list[Any], data: st.DataObject
) -> None:
    # Drawn by name: Hypothesis writes out what it draws from, and a golden frame can hold megabytes.
    small = {frame.name: frame for frame in golden_frames if frame.event and frame.data is not None}
    frame = small[data.draw(st.sampled_from(sorted(small)))]
    twisted = copy.deepcopy(frame.data)
    fields = sorted({*twisted, *side.messages._FIELDS[frame.event]})
    for field in data.draw(st.lists(st.sampled_from(fields or ["extra"]), max_size=2)):
        twisted[field] = data.draw(ODD_VALUES)
    if twisted and data.draw(st.booleans()):
        del twisted[data.draw(st.sampled_from(sorted(twisted)))]
    payload = bytes(4) if frame.event in side.messages._PAYLOAD_UNITS else None
    assert keeps_contract(side, Event(frame.event, dict(twisted), payload)) == validator(schema, frame.event).is_valid(
        twisted
    )
