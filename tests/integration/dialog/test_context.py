"""What is gathered before a model is asked: at the same time, within limits, and without any part if need be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
import logging

import pytest

from custom_components.barnabeenet.dialog import context as room
from custom_components.barnabeenet.dialog.context import (
    Calendars,
    Event,
    Gap,
    Heard,
    Memory,
    Profile,
    Seen,
    Sources,
    Weather,
    gather,
)
from custom_components.barnabeenet.dialog.things import Reading, Thing, Things
from custom_components.barnabeenet.telemetry.trace import VoiceContext

NOW = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
LAMP = Thing("light.lamp", ("Lamp",), area="Kitchen")
GHOST = Thing("light.ghost", ("Ghost lamp",), area="Kitchen")


def question(text: str = "is the lamp on", speaker: str | None = "anna") -> Heard:
    return Heard(text, "en", speaker, "session", "Kitchen", NOW, is_sure=True)


class House:
    """A lamp with a state and one without."""

    def __init__(self) -> None:
        self.things = Things([LAMP, GHOST])
        self.failure: Exception | None = None

    def reading(self, entity_id: str) -> Reading | None:
        if self.failure is not None:
            raise self.failure
        return Reading("on") if entity_id == "light.lamp" else None


class Source:
    """All other sources in one; each may be held up by the barrier, for ever, or fail."""

    def __init__(self) -> None:
        self.together: asyncio.Barrier | None = None
        self.stuck: set[str] = set()
        self.failing: set[str] = set()
        self.cancelled: list[str] = []
        self.speakers: list[str | None] = []

    async def _come(self, name: str) -> None:
        if name in self.failing:
            raise RuntimeError(f"{name} broke")
        if name in self.stuck:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
        if self.together is not None:
            await self.together.wait()

    async def recall(self, text: str, *, speaker: str | None, limit: int, min_similarity: float) -> Sequence[Memory]:
        self.speakers.append(speaker)
        await self._come("memories")
        return [Memory(f"{text} {each}", 0.65 + each / 20) for each in range(8)]

    async def events(self, start: datetime, end: datetime, *, speaker: str | None, limit: int) -> Sequence[Event]:
        self.speakers.append(speaker)
        await self._come("calendar")
        hours = [30, 9, 1, 2, 3, 4, 5, -3, -1]
        return [Event(NOW + timedelta(hours=at), NOW + timedelta(hours=at + 2), f"in {at} hours") for at in hours]

    async def weather(self, language: str) -> Weather | None:
        await self._come("weather")
        return Weather("Home", "rain")

    async def profile(self, speaker: str) -> Profile | None:
        await self._come("profile")
        return Profile(speaker.title())


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def sources(house: House, source: Source) -> Sources:
    return Sources(house, source, source, source, source)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is late is late soon."""
    for name in ("MEMORIES", "EVENTS", "WEATHER", "PROFILE"):
        monkeypatch.setattr(room, f"{name}_LIMIT_S", 0.01)


async def test_everything_is_gathered(sources: Sources, source: Source) -> None:
    found = await gather(sources, question("is the lamp on in the rain"), VoiceContext())
    assert found.entities == (Seen(LAMP, Reading("on")),)
    assert [round(memory.similarity, 2) for memory in found.memories] == [1.0, 0.95, 0.9, 0.85, 0.8]
    assert [event.summary for event in found.events] == [f"in {at} hours" for at in (-1, 1, 2, 3, 4)]
    assert found.weather == Weather("Home", "rain")
    assert found.profile == Profile("Anna")
    assert found.gaps == ()
    assert source.speakers == ["anna", "anna"]


async def test_all_sources_are_asked_at_the_same_time(sources: Sources, source: Source) -> None:
    source.together = asyncio.Barrier(4)
    found = await gather(sources, question("is the lamp on in the rain"), VoiceContext())
    assert found.gaps == ()


async def test_what_is_barely_near_is_no_memory(sources: Sources) -> None:
    found = await gather(sources, question(), VoiceContext())
    assert min(memory.similarity for memory in found.memories) >= 0.7


async def test_the_weather_is_not_asked_for_without_need(sources: Sources, source: Source) -> None:
    source.failing = {"weather"}
    assert (await gather(sources, question(), VoiceContext())).gaps == ()


async def test_a_guest_has_no_profile_and_is_a_guest_to_all(sources: Sources, source: Source) -> None:
    found = await gather(sources, question(speaker=None), VoiceContext())
    assert found.profile is None
    assert source.speakers == [None, None]


@pytest.mark.parametrize("name", ["memories", "calendar", "weather", "profile"])
async def test_a_slow_source_leaves_a_gap_and_a_note(limits: None, sources: Sources, source: Source, name: str) -> None:
    source.stuck = {name}
    trace = VoiceContext()
    found = await gather(sources, question("the lamp in the rain"), trace)
    assert found.gaps == (Gap(name, "slow"),)
    assert found.entities
    assert source.cancelled == [name]
    assert f"context without {name}: slow" in [stage.name for stage in trace.stages]


@pytest.mark.parametrize("name", ["memories", "calendar", "weather", "profile"])
async def test_a_failed_source_leaves_a_gap_and_a_note(
    sources: Sources, source: Source, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    source.failing = {name}
    trace = VoiceContext()
    with caplog.at_level(logging.ERROR):
        found = await gather(sources, question("the lamp in the rain"), trace)
    assert found.gaps == (Gap(name, "failed"),)
    assert f"context without {name}: failed" in [stage.name for stage in trace.stages]
    assert f"The context of turn {trace.trace_id} has no {name}" in caplog.text
    caplog.clear()


async def test_even_the_home_may_fail(sources: Sources, house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.failure = KeyError("states")
    found = await gather(sources, question(), VoiceContext())
    assert found.gaps == (Gap("home", "failed"),)
    assert found.memories
    caplog.clear()


async def test_all_may_be_slow_and_it_takes_no_longer_than_one(limits: None, sources: Sources, source: Source) -> None:
    source.stuck = {"memories", "calendar", "weather", "profile"}
    trace = VoiceContext()
    found = await gather(sources, question("the lamp in the rain"), trace)
    assert {gap.source for gap in found.gaps} == source.stuck
    assert {"context home", "context memories", "context"} <= {stage.name for stage in trace.stages}


async def test_a_home_without_other_sources_has_no_gaps(house: House) -> None:
    found = await gather(Sources(house), question("the lamp in the rain"), VoiceContext())
    assert (found.memories, found.events, found.weather, found.profile, found.gaps) == ((), (), None, None, ())


async def test_who_stops_a_turn_stops_its_sources(sources: Sources, source: Source) -> None:
    source.stuck = {"memories", "calendar"}
    asking = asyncio.create_task(gather(sources, question(), VoiceContext()))
    while len(source.speakers) < 2:
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert sorted(source.cancelled) == ["calendar", "memories"]


def test_a_source_of_all_kinds_fits_the_protocols(source: Source) -> None:
    calendars: Calendars = source
    assert calendars is source
