"""What is known when a model is asked: the home, memories, the calendar, the weather and who speaks.

All sources are asked at the same time and each has its own small limit. One that fails or is late leaves a gap and a
note in the trace; a turn never waits for it and never fails because of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
import logging
from typing import Final, Protocol, TypeVar

from ..telemetry.trace import VoiceContext
from .cues import kinds_in, tokens
from .things import RELEVANT_MAX, Reading, Thing, Things

_LOGGER = logging.getLogger(__name__)

MEMORIES_MAX: Final = 5
MEMORY_MIN_SIMILARITY: Final = 0.7
EVENTS_MAX: Final = 5
EVENTS_WITHIN: Final = timedelta(hours=24)

HOUSE_LIMIT_S: Final = 0.05
MEMORIES_LIMIT_S: Final = 0.15
EVENTS_LIMIT_S: Final = 0.2
WEATHER_LIMIT_S: Final = 0.2
PROFILE_LIMIT_S: Final = 0.1

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Heard:
    """A sentence with what the sources need to know: who said it (None: a guest), where, and in which session."""

    text: str
    language: str
    speaker: str | None
    session: str
    area: str | None
    now: datetime
    """The house's own time, with its zone."""
    is_sure: bool = False
    """Whether the speaker can be hardly anybody else; nobody's own memories are given to a voice that may be another's."""


@dataclass(frozen=True)
class Seen:
    """A thing and its state."""

    thing: Thing
    reading: Reading


@dataclass(frozen=True)
class Memory:
    """Something that Barnabee was told, and how near it is to the question (1: the same)."""

    text: str
    similarity: float


@dataclass(frozen=True)
class Event:
    """An entry of a calendar; an all-day one starts at midnight of the house's time."""

    start: datetime
    end: datetime
    summary: str
    location: str | None = None
    calendar: str | None = None
    all_day: bool = False


@dataclass(frozen=True)
class Weather:
    """The weather now and what is said of the hours to come, for one place."""

    place: str
    text: str


@dataclass(frozen=True)
class Profile:
    """Who speaks, as far as it helps an answer."""

    name: str
    notes: str = ""


class House(Protocol):
    """The home as it is now; neither method may wait for anything."""

    @property
    def things(self) -> Things:
        """Everything that is exposed, kept up to date."""

    def reading(self, entity_id: str) -> Reading | None:
        """The state of a thing; None when it has none."""


class Memories(Protocol):
    """What a family has told Barnabee. It gives out what belongs to the speaker or to all, and nothing else."""

    async def recall(self, text: str, *, speaker: str | None, limit: int, min_similarity: float) -> Sequence[Memory]:
        """The nearest first; for a guest (None) only what everybody may hear."""


class Calendars(Protocol):
    """The calendars that are exposed."""

    async def events(self, start: datetime, end: datetime, *, speaker: str | None, limit: int) -> Sequence[Event]:
        """What takes place between two moments, the earliest first."""


class WeatherSource(Protocol):
    """The weather of the home."""

    async def weather(self, language: str) -> Weather | None:
        """The weather now; None in a home that has none."""


class Profiles(Protocol):
    """The people of the home."""

    async def profile(self, speaker: str) -> Profile | None:
        """What is known of somebody; None for a stranger."""


@dataclass(frozen=True)
class Sources:
    """Who is asked; a home may lack any of them but itself."""

    house: House
    memories: Memories | None = None
    calendars: Calendars | None = None
    weather: WeatherSource | None = None
    profiles: Profiles | None = None


@dataclass(frozen=True)
class Gap:
    """A source that gave nothing, and why: `slow` or `failed`."""

    source: str
    why: str


@dataclass(frozen=True)
class Context:
    """What was gathered; a gap is an empty part whose source is named in `gaps`."""

    entities: tuple[Seen, ...] = ()
    memories: tuple[Memory, ...] = ()
    events: tuple[Event, ...] = ()
    weather: Weather | None = None
    profile: Profile | None = None
    gaps: tuple[Gap, ...] = ()


@dataclass
class _Gathering:
    """One gathering under way: asks a source within its limit and keeps note of what went wrong."""

    trace: VoiceContext
    gaps: list[Gap] = field(default_factory=list)

    async def ask(self, source: str, limit_s: float, asking: Callable[[], Awaitable[ValueT]]) -> ValueT | None:
        with self.trace.stage(f"context {source}"):
            try:
                async with asyncio.timeout(limit_s):
                    return await asking()
            except TimeoutError:
                self._note(source, "slow")
            except Exception:  # a source is somebody else's code, and a turn goes on without it
                _LOGGER.exception("The context of turn %s has no %s", self.trace.trace_id, source)
                self._note(source, "failed")
        return None

    def _note(self, source: str, why: str) -> None:
        self.gaps.append(Gap(source, why))
        self.trace.mark(f"context without {source}: {why}")


async def gather(sources: Sources, heard: Heard, trace: VoiceContext) -> Context:
    """All that the sources know about a question within their limits; raises nothing but cancellation."""
    gathering = _Gathering(trace)
    with trace.stage("context"):
        entities, memories, events, weather, profile = await asyncio.gather(
            gathering.ask("home", HOUSE_LIMIT_S, lambda: _entities(sources.house, heard)),
            gathering.ask("memories", MEMORIES_LIMIT_S, lambda: _memories(sources.memories, heard)),
            gathering.ask("calendar", EVENTS_LIMIT_S, lambda: _events(sources.calendars, heard)),
            gathering.ask("weather", WEATHER_LIMIT_S, lambda: _weather(sources.weather, heard)),
            gathering.ask("profile", PROFILE_LIMIT_S, lambda: _profile(sources.profiles, heard)),
        )
    return Context(entities or (), memories or (), events or (), weather, profile, tuple(gathering.gaps))


async def _entities(house: House, heard: Heard) -> tuple[Seen, ...]:
    relevant = house.things.relevant(heard.text, heard.language, area=heard.area, limit=RELEVANT_MAX)
    read = ((thing, house.reading(thing.entity_id)) for thing in relevant)
    return tuple(Seen(thing, reading) for thing, reading in read if reading is not None)


async def _memories(memories: Memories | None, heard: Heard) -> tuple[Memory, ...]:
    if memories is None:
        return ()
    speaker = heard.speaker if heard.is_sure else None
    found = await memories.recall(heard.text, speaker=speaker, limit=MEMORIES_MAX, min_similarity=MEMORY_MIN_SIMILARITY)
    near = (memory for memory in found if memory.similarity >= MEMORY_MIN_SIMILARITY)
    return tuple(sorted(near, key=lambda memory: -memory.similarity)[:MEMORIES_MAX])


async def _events(calendars: Calendars | None, heard: Heard) -> tuple[Event, ...]:
    if calendars is None:
        return ()
    until = heard.now + EVENTS_WITHIN
    found = await calendars.events(heard.now, until, speaker=heard.speaker, limit=EVENTS_MAX)
    soon = (event for event in found if event.end > heard.now and event.start < until)
    return tuple(sorted(soon, key=lambda event: event.start)[:EVENTS_MAX])


async def _weather(weather: WeatherSource | None, heard: Heard) -> Weather | None:
    """Only for who asks about it: it is the one part that nobody's question is about by chance."""
    if weather is None or "weather" not in kinds_in(tokens(heard.text), heard.language):
        return None
    return await weather.weather(heard.language)


async def _profile(profiles: Profiles | None, heard: Heard) -> Profile | None:
    if profiles is None or heard.speaker is None:
        return None
    return await profiles.profile(heard.speaker)
