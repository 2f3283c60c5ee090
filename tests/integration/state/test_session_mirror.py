"""The live sessions in a real Redis: complete, without words, and again after anything that happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import json
import time as real_time
from typing import Any

import pytest
from redis.asyncio import Redis

from custom_components.barnabeenet.state import session_courier
from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.errors import StateError
from custom_components.barnabeenet.state.redis import ANSWER_S, open_redis
from custom_components.barnabeenet.state.session_mirror import CHANGES, GRACE_S, INDEX, KEY_PREFIX
from custom_components.barnabeenet.state.session_types import Change, Mode, Session, SessionEvent, Turn
from custom_components.barnabeenet.state.sessions import Sessions
from tests.redis_server import RedisServer

from .conftest import Time

Open = Callable[..., Awaitable[Sessions]]


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """As somebody else sees it."""
    client = open_redis(redis_server.url)
    yield client
    await client.aclose()


@pytest.fixture
async def open_home(redis_server: RedisServer, tmp_path: Any, time: Time) -> AsyncIterator[Open]:
    """A Home Assistant of its own, with its own database, on the same Redis."""
    opened: list[tuple[Sessions, Database]] = []

    async def open_home(instance: str) -> Sessions:
        database = await Database.open(tmp_path / f"{instance}.db")
        sessions = await Sessions.open(database, redis_url=redis_server.url, instance=instance, clock=time.clock)
        opened.append((sessions, database))
        return sessions

    yield open_home
    for sessions, database in opened:
        await sessions.close()
        await database.close()


@pytest.fixture
async def home(open_home: Open) -> Sessions:
    return await open_home("home-1")


async def entered(sessions: Sessions, device_id: str, speaker: str | None = None) -> Session:
    session = await sessions.enter(device_id, speaker=speaker, conversation_id=None)
    assert isinstance(session, Session)
    return session


async def mirrored(redis: Redis) -> set[str]:
    """The ids of the sessions that Redis shows; the index and the hashes must agree."""
    keys = {key.removeprefix(KEY_PREFIX) async for key in redis.scan_iter(KEY_PREFIX + "*")}
    assert set(await redis.hkeys(INDEX)) == keys
    return keys


def live(*homes: Sessions) -> set[str]:
    return {session.id for home in homes for session in home.live}


async def test_a_session_is_a_hash_that_outlives_its_idle_time_by_a_little(
    home: Sessions, redis: Redis, time: Time
) -> None:
    session = await home.enter("kitchen", speaker="anna", conversation_id="c1")
    home.set_mode(session, Mode.NOTES)
    time.passes(5)
    await home.add_turn(session, Turn("a secret", "another"))
    await home.settled()
    assert await redis.hgetall(KEY_PREFIX + session.id) == {
        "device_id": "kitchen",
        "speaker": "anna",
        "mode": "notes",
        "conversation_id": "c1",
        "turns": "1",
        "started_at": "1800000000.0",
        "last_active": "1800000005.0",
        "heartbeat": "1800000005.0",
        "instance": "home-1",
    }
    assert 300 < await redis.ttl(KEY_PREFIX + session.id) <= 300 + GRACE_S
    assert json.loads(await redis.hget(INDEX, session.id)) == {"device_id": "kitchen", "instance": "home-1"}


async def test_changes_are_published_without_a_word_of_what_was_said(home: Sessions, redis: Redis) -> None:
    async with redis.pubsub() as listener:
        await listener.subscribe(CHANGES)
        await listener.get_message(timeout=5)
        session = await entered(home, "kitchen", "anna")
        await home.add_turn(session, Turn("a secret", "another"))
        await entered(home, "kitchen", "ben")
        await home.end(session.id)
        news = [await listener.get_message(timeout=5) for _ in range(5)]
    told = [json.loads(message["data"]) for message in news]
    assert [(item["change"], item["reason"]) for item in told] == [
        ("started", None),
        ("changed", None),
        ("aside", None),
        ("started", None),
        ("ended", "asked"),
    ]
    assert told[0] | {"reason": None} == {
        "id": session.id,
        "change": "started",
        "reason": None,
        "device_id": "kitchen",
        "instance": "home-1",
    }
    assert "secret" not in str(news)


async def test_what_ended_or_waits_aside_is_taken_away_and_comes_back(home: Sessions, redis: Redis) -> None:
    anna = await entered(home, "kitchen", "anna")
    await home.settled()
    assert await mirrored(redis) == {anna.id}
    ben = await entered(home, "kitchen", "ben")
    await home.settled()
    assert await mirrored(redis) == {ben.id}
    await entered(home, "kitchen", "anna")
    await home.settled()
    assert await mirrored(redis) == {anna.id}
    await home.end(anna.id)
    await home.settled()
    assert await mirrored(redis) == set()


async def test_the_heartbeat_renews_what_would_run_out(home: Sessions, redis: Redis, time: Time) -> None:
    session = await entered(home, "kitchen")
    await home.settled()
    time.passes(200)
    await redis.pexpire(KEY_PREFIX + session.id, 50)
    home.sweep()
    await home.settled()
    assert 100 < await redis.ttl(KEY_PREFIX + session.id) <= 100 + GRACE_S
    assert await redis.hget(KEY_PREFIX + session.id, "heartbeat") == "1800000200.0"


async def test_two_home_assistants_do_not_close_each_others_sessions(open_home: Open, redis: Redis, time: Time) -> None:
    first, second = await open_home("home-1"), await open_home("home-2")
    for number in range(4):
        await entered(first, f"a{number}")
        await entered(second, f"b{number}")
    for _ in range(3):
        time.passes(90)
        await entered(first, "a0")
        await entered(second, "b0")
        first.sweep()
        second.sweep()
    await asyncio.gather(first.settled(), second.settled())
    assert await mirrored(redis) == live(first, second)
    assert len(live(first)) == len(live(second)) == 4
    time.passes(50)
    first.sweep()
    await first.settled()
    assert len(live(first)) == 1
    assert len(await mirrored(redis)) == 5


async def test_what_a_dead_one_left_is_closed_when_its_time_is_over_and_said_once(
    open_home: Open, redis: Redis
) -> None:
    dead, first, second = [await open_home(f"home-{number}") for number in range(3)]
    orphan = await entered(dead, "attic")
    await dead.close()
    await entered(first, "kitchen")
    async with redis.pubsub() as listener:
        await listener.subscribe(CHANGES)
        await listener.get_message(timeout=5)
        for home in (first, second):
            home.sweep()
            await home.settled()
        # It may start again: its time is not over.
        assert orphan.id in await mirrored(redis)
        await redis.delete(KEY_PREFIX + orphan.id)
        for home in (first, second):
            home.sweep()
            await home.settled()
        assert await mirrored(redis) == live(first)
        await redis.publish(CHANGES, "the end")
        told = []
        while (message := await listener.get_message(timeout=5))["data"] != "the end":
            told.append(json.loads(message["data"]))
    assert [item for item in told if item["change"] == "ended"] == [
        {"id": orphan.id, "change": "ended", "reason": "expired", "device_id": "attic", "instance": "home-0"}
    ]


async def test_live_sessions_stay_mirrored_over_a_restart(open_home: Open, redis: Redis) -> None:
    home = await open_home("home-1")
    session = await entered(home, "kitchen", "anna")
    await home.close()
    assert await mirrored(redis) == {session.id}
    again = await open_home("home-1")
    await again.settled()
    assert await mirrored(redis) == live(again) == {session.id}


async def test_an_evicted_session_is_gone_from_redis_within_100_ms(home: Sessions, redis: Redis, time: Time) -> None:
    took_ms = []
    for number in range(12):
        time.passes(1)
        evicted = home.live[0].id if number >= 4 else ""
        started = real_time.perf_counter()
        await entered(home, f"device {number}")
        await home.settled()
        assert not await redis.exists(KEY_PREFIX + evicted)
        took_ms.append((real_time.perf_counter() - started) * 1000)
    assert sorted(took_ms[4:])[4] < 100
    assert await mirrored(redis) == live(home)


# Redis gone, back, or never there


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_courier, "RETRY_S", 0.02)


async def until_health(home: Sessions, *, well: bool) -> None:
    changed = asyncio.Event()
    unsubscribe = home.subscribe_health(changed.set)
    async with asyncio.timeout(20):
        while (home.mirror_error is None) != well:
            await changed.wait()
            changed.clear()
    unsubscribe()
    await home.settled()


async def test_after_its_return_everything_is_mirrored_again(
    home: Sessions, redis: Redis, redis_server: RedisServer, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    kept, ended = await entered(home, "kitchen", "anna"), await entered(home, "bedroom", "ben")
    await home.settled()
    await redis_server.kill()
    await home.add_turn(kept, Turn("still", "there"))
    await until_health(home, well=False)
    await home.end(ended.id)
    started = await entered(home, "office")
    assert caplog.text.count("Redis does not take what is to be kept") == 1
    await redis_server.start()
    await until_health(home, well=True)
    assert await mirrored(redis) == {kept.id, started.id}
    assert await redis.hget(KEY_PREFIX + kept.id, "turns") == "1"
    assert caplog.text.count("Redis takes what is to be kept again") == 1


async def test_a_restart_that_nobody_noticed_is_made_good_by_the_heartbeat(
    home: Sessions, redis: Redis, redis_server: RedisServer
) -> None:
    session = await entered(home, "kitchen")
    await home.settled()
    await redis_server.kill()
    await redis_server.start()
    assert await mirrored(redis) == set()
    home.sweep()
    await home.settled()
    assert home.mirror_error is None
    assert await mirrored(redis) == {session.id}


async def test_it_need_not_be_there_at_the_start(
    open_home: Open, redis: Redis, redis_server: RedisServer, impatient: None
) -> None:
    await redis_server.kill()
    home = await open_home("home-1")
    session = await entered(home, "kitchen")
    await until_health(home, well=False)
    assert home.store_error is None
    await redis_server.start()
    await until_health(home, well=True)
    assert await mirrored(redis) == {session.id}


async def test_one_that_does_not_answer_holds_up_neither_a_turn_nor_the_close(
    home: Sessions, redis_server: RedisServer
) -> None:
    session = await entered(home, "kitchen")
    await home.settled()
    redis_server.freeze()
    started = real_time.perf_counter()
    for _ in range(50):
        await home.add_turn(await entered(home, "kitchen"), Turn("hello", "hi"))
    # One that waited would wait for as long as this; the rest is a busy machine.
    assert real_time.perf_counter() - started < ANSWER_S
    await home.close()
    assert real_time.perf_counter() - started < 10
    assert len(session.turns) == 10
    await home.close()
    redis_server.thaw()


async def test_news_and_leave_takings_of_a_long_outage_are_bounded(
    home: Sessions, redis: Redis, redis_server: RedisServer, impatient: None
) -> None:
    await redis_server.kill()
    for number in range(600):
        await entered(home, f"device {number}")
    assert home._mirror is not None
    assert len(home._mirror._news) == 64
    assert len(home._mirror._gone) == 256
    await redis_server.start()
    home.sweep()
    await until_health(home, well=True)
    assert await mirrored(redis) == live(home)
    assert not home._mirror._news
    assert not home._mirror._gone


async def test_news_that_come_while_older_are_told_are_told_too(home: Sessions, redis: Redis, time: Time) -> None:
    async with redis.pubsub() as listener:
        await listener.subscribe(CHANGES)
        await listener.get_message(timeout=5)

        changes: list[SessionEvent] = []
        home.subscribe(changes.append)
        for number in range(30):
            time.passes(1)
            await entered(home, f"device {number}")
            await asyncio.sleep(0)
        await home.settled()
        await redis.publish(CHANGES, "the end")
        told = []
        while (message := await listener.get_message(timeout=5))["data"] != "the end":
            told.append(json.loads(message["data"])["change"])
    assert told == [event.change for event in changes]
    assert told.count(Change.STARTED) == 30


@pytest.mark.parametrize("url", ["", "nonsense", "http://localhost:6379", "redis://localhost:port"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(StateError, match="redis://host:6379/0"):
        open_redis(url)
