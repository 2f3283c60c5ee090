"""Answers that are kept: for how long, for whom, and what happens to those who ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
import itertools
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.barnabeenet.dialog.cache import Answers, Cache, Key

NOON = datetime(2026, 11, 20, 12, 0, 5, tzinfo=UTC)


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Maker:
    """Counts how often it was asked; may be held up or fail."""

    def __init__(self) -> None:
        self.made = 0
        self.cancelled = 0
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.failure: Exception | None = None

    async def __call__(self) -> int:
        self.made += 1
        number = self.made
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        return number


async def _until_asked(maker: Maker, times: int = 1) -> None:
    while maker.made < times:
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_value_is_given_again_until_its_time_is_over() -> None:
    clock, maker = Clock(), Maker()
    cache: Cache[int] = Cache(clock)
    assert await cache.get(Key.shared("x"), maker, ttl_s=10) == 1
    clock.now_s += 9.9
    assert await cache.get(Key.shared("x"), maker, ttl_s=10) == 1
    clock.now_s += 0.1
    assert await cache.get(Key.shared("x"), maker, ttl_s=10) == 2


async def test_the_time_is_the_same_for_half_a_minute_of_one_minute() -> None:
    clock, maker = Clock(), Maker()
    answers = Answers(clock)
    assert await answers.time(NOON, "en", maker) == 1
    assert await answers.time(NOON.replace(second=30), "en", maker) == 1
    assert await answers.time(NOON.replace(minute=1, second=0), "en", maker) == 2
    assert await answers.time(NOON.replace(minute=1, second=0), "de", maker) == 3
    clock.now_s += 30
    assert await answers.time(NOON.replace(minute=1, second=30), "en", maker) == 4


async def test_the_weather_is_kept_by_place_for_five_minutes() -> None:
    clock, maker = Clock(), Maker()
    answers = Answers(clock)
    assert await answers.weather("home", "en", maker) == 1
    assert await answers.weather("Paris", "en", maker) == 2
    clock.now_s += 299
    assert await answers.weather("home", "en", maker) == 1
    clock.now_s += 1
    assert await answers.weather("home", "en", maker) == 3


async def test_a_state_is_kept_for_ten_seconds_or_until_it_changes() -> None:
    clock, maker = Clock(), Maker()
    answers = Answers(clock)
    lamp = frozenset({"light.lamp"})

    async def ask(session: str = "s", speaker: str | None = "anna") -> int:
        return await answers.states(lamp, "is it on", maker, speaker=speaker, session=session)

    assert await ask() == 1
    answers.state_changed("light.other")
    assert await ask() == 1
    answers.state_changed("light.lamp")
    assert await ask() == 2
    clock.now_s += 10
    assert await ask() == 3
    assert await ask(session="other") == 4
    assert await ask(speaker=None) == 5


async def test_a_change_of_any_of_several_entities_ends_the_answer() -> None:
    maker = Maker()
    answers = Answers(Clock())
    both = frozenset({"light.a", "light.b"})
    for changed in (None, "light.a", "light.b"):
        if changed:
            answers.state_changed(changed)
        await answers.states(both, "any on", maker, speaker=None, session="s")
    assert maker.made == 3


async def test_a_private_key_needs_a_session() -> None:
    with pytest.raises(ValueError, match="needs the session"):
        Key.private("x", speaker=None, session="")


async def test_a_second_asker_waits_for_the_first() -> None:
    maker = Maker()
    maker.go_on.clear()
    cache: Cache[int] = Cache(Clock())
    asking = [asyncio.create_task(cache.get(Key.shared("x"), maker, ttl_s=10)) for _ in range(3)]
    await _until_asked(maker)
    maker.go_on.set()
    assert await asyncio.gather(*asking) == [1, 1, 1]
    assert (cache.counts.made, cache.counts.joined) == (1, 2)


async def test_the_first_may_give_up_without_taking_the_answer_from_the_second() -> None:
    maker = Maker()
    maker.go_on.clear()
    cache: Cache[int] = Cache(Clock())
    first, second = (asyncio.create_task(cache.get(Key.shared("x"), maker, ttl_s=10)) for _ in range(2))
    await _until_asked(maker)
    first.cancel()
    await asyncio.wait([first])
    maker.go_on.set()
    assert await second == 1
    assert not maker.cancelled


async def test_what_nobody_waits_for_any_more_is_stopped_and_not_joined() -> None:
    maker = Maker()
    maker.go_on.clear()
    cache: Cache[int] = Cache(Clock())
    only = asyncio.create_task(cache.get(Key.shared("x"), maker, ttl_s=10))
    await _until_asked(maker)
    only.cancel()
    await asyncio.wait([only])
    maker.go_on.set()
    assert await cache.get(Key.shared("x"), maker, ttl_s=10) == 2
    assert maker.cancelled == 1


async def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    maker = Maker()
    maker.go_on.clear()
    maker.failure = OSError("no weather")
    cache: Cache[int] = Cache(Clock())
    asking = [asyncio.create_task(cache.get(Key.shared("x"), maker, ttl_s=10)) for _ in range(2)]
    await _until_asked(maker)
    maker.go_on.set()
    assert [str(error) for error in await asyncio.gather(*asking, return_exceptions=True)] == ["no weather"] * 2
    maker.failure = None
    assert await cache.get(Key.shared("x"), maker, ttl_s=10) == 2


async def test_a_change_while_it_is_made_is_not_missed() -> None:
    maker = Maker()
    maker.go_on.clear()
    answers = Answers(Clock())
    lamp = frozenset({"light.lamp"})
    before = asyncio.create_task(answers.states(lamp, "on?", maker, speaker=None, session="s"))
    await _until_asked(maker)
    answers.state_changed("light.lamp")
    after = asyncio.create_task(answers.states(lamp, "on?", maker, speaker=None, session="s"))
    await _until_asked(maker, 2)
    maker.go_on.set()
    assert await before == 1
    assert await after == 2
    assert await answers.states(lamp, "on?", maker, speaker=None, session="s") == 2


async def test_the_least_recently_used_goes_first() -> None:
    maker = Maker()
    cache: Cache[int] = Cache(Clock(), entries_max=2)
    for name in ("a", "b", "a", "c"):
        await cache.get(Key.shared(name), maker, ttl_s=10)
    assert len(cache) == 2
    assert await cache.get(Key.shared("a"), maker, ttl_s=10) == 1
    assert await cache.get(Key.shared("b"), maker, ttl_s=10) == 4
    assert cache.counts.evicted == 2


async def test_clear_forgets_everything() -> None:
    maker = Maker()
    cache: Cache[int] = Cache(Clock())
    await cache.get(Key.shared("a"), maker, ttl_s=10, tags=frozenset({"t"}))
    cache.clear()
    cache.invalidate("t")
    assert len(cache) == 0
    assert await cache.get(Key.shared("a"), maker, ttl_s=10) == 2


_PEOPLE = st.sampled_from([None, "anna", "ben", "anna\0ben"])
_SESSIONS = st.sampled_from(["s1", "s2", "anna", "None"])
_LAMPS = st.frozensets(st.sampled_from(["light.a", "light.b", "light.c"]), min_size=1)
_ASK = st.tuples(st.just("ask"), _LAMPS, st.sampled_from(["on?", "which?"]), _PEOPLE, _SESSIONS)
_TOGETHER = st.tuples(st.just("together"), st.lists(_ASK, min_size=2, max_size=5))
_CHANGE = st.tuples(st.just("change"), st.sampled_from(["light.a", "light.b", "light.c"]))
_WAIT = st.tuples(st.just("wait"), st.floats(0, 15))


@settings(max_examples=150)
@given(st.lists(st.one_of(_ASK, _TOGETHER, _CHANGE, _WAIT), max_size=40), st.integers(1, 8))
def test_no_value_reaches_anybody_whose_key_differs(steps: list[tuple[Any, ...]], entries_max: int) -> None:
    """Whatever is asked, changed and waited for: an answer was made for this speaker, session and question."""

    async def run() -> None:
        clock, serial = Clock(), itertools.count()
        answers = Answers(clock, entries_max)
        changed_at: dict[str, int] = {}

        async def ask(_: str, lamps: frozenset[str], question: str, speaker: str | None, session: str) -> None:
            mine = (lamps, question, speaker, session)

            async def make() -> tuple[Any, int, float]:
                born = (next(serial), clock())
                await asyncio.sleep(0)
                return (mine, *born)

            making: Coroutine[Any, Any, Any] = answers.states(lamps, question, make, speaker=speaker, session=session)
            made_for, number, made_s = await making
            assert made_for == mine
            assert clock() - made_s < 10
            assert all(changed_at.get(lamp, -1) < number for lamp in lamps)

        for step in steps:
            match step:
                case ("together", asked):
                    await asyncio.gather(*(ask(*each) for each in asked))
                case ("change", lamp):
                    changed_at[lamp] = next(serial)
                    answers.state_changed(lamp)
                case ("wait", seconds):
                    clock.now_s += seconds
                case _:
                    await ask(*step)
            assert answers.entries <= entries_max

    asyncio.run(run())
