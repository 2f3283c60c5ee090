"""What a sidecar says about itself is read with distrust."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from typing import Any

from hypothesis import given, strategies as st
import pytest
from wyoming.event import Event
from wyoming.info import Info

from custom_components.barnabeenet.client.errors import ProtocolError
from custom_components.barnabeenet.client.info import ENTRIES_MAX, describe, read_info

ARTIFACT = {
    "name": "engine",
    "attribution": {"name": "Somebody", "url": "https://example.org"},
    "installed": True,
    "description": None,
    "version": "1.0",
}
DATA: dict[str, Any] = {
    "asr": [{**ARTIFACT, "models": [{**ARTIFACT, "languages": ["en"]}]}],
    "tts": [{**ARTIFACT, "voices": [{**ARTIFACT, "languages": ["en"]}]}],
    "wake": [{**ARTIFACT, "models": [{**ARTIFACT, "languages": ["en"], "phrase": "okay nabu"}]}],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def changed(path: str, value: object) -> Event:
    """The description with one thing in it changed."""
    data = deepcopy(DATA)
    *parents, last = path.split(".")
    place: Any = data
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    place[int(last) if last.isdigit() else last] = value
    return Event("info", data)


def test_an_honest_description_is_read() -> None:
    info = read_info(Event("info", DATA))
    assert [info.asr[0].name, info.tts[0].voices[0].languages, info.wake[0].models[0].phrase] == [
        "engine",
        ["en"],
        "okay nabu",
    ]


def test_a_sidecar_without_engines_is_read() -> None:
    assert read_info(Event("info", {})) == Info()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("asr", 5),
        ("asr", "text"),
        ("asr.0", None),
        ("asr.0.models", "text"),
        ("asr.0.models", {"a": 1}),
        ("asr.0.name", ["list"]),
        ("asr.0.name", "n" * 257),
        ("asr.0.installed", "yes"),
        ("asr.0.version", 5),
        ("asr.0.models.0.languages", [1]),
        ("asr.0.models.0.languages", {"en": "x"}),
        ("asr.0.models.0.languages", None),
        ("asr.0.models.0.languages", ["en"] * (ENTRIES_MAX + 1)),
        ("tts.0.voices", None),
        ("tts.0.voices.0.name", None),
        ("tts.0.description", {}),
        ("wake.0.models.0.phrase", 5),
        ("satellite", 5),
    ],
)
def test_a_description_with_anything_else_in_it_is_refused(path: str, value: object) -> None:
    with pytest.raises(ProtocolError, match="description of itself"):
        read_info(changed(path, value))


@given(st.dictionaries(st.sampled_from(["asr", "tts", "wake", "mic", "snd", "handle", "intent", "satellite"]), JSON))
def test_no_description_at_all_breaks_the_reading(data: dict[str, Any]) -> None:
    with suppress(ProtocolError):
        read_info(Event("info", data))


async def test_describing_leaves_the_connection_idle(connection, script) -> None:
    assert await describe(connection) == Info()
    await connection.ping()
