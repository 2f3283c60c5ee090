"""Sessions under faults 11 and 13, and under SIGKILL: a conversation goes on whatever happens to Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
import signal
import statistics
import sys
import time

import pytest

from custom_components.barnabeenet.state import session_courier
from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.redis import open_redis
from custom_components.barnabeenet.state.session_mirror import INDEX, KEY_PREFIX
from custom_components.barnabeenet.state.session_types import Change, EndReason, Session, SessionEvent, Turn
from custom_components.barnabeenet.state.sessions import Sessions
from tests.faults.conftest import FaultProxy
from tests.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("socket_enabled")]

ROOT = Path(__file__).resolve().parents[2]
# A turn waits for neither the database (5 s) nor Redis (2 s); the rest is a busy machine, which may stall for a second.
TURN_MAX_S = 1.9

# A Home Assistant that talks without end and says which turns it has promised to keep.
TALKER = """
import asyncio, pathlib, sys
from tests.faults import state_alone
from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.session_types import Turn
from custom_components.barnabeenet.state.sessions import Sessions
async def main():
    database = await Database.open(pathlib.Path(sys.argv[1]))
    sessions = await Sessions.open(database, redis_url=sys.argv[2], instance="home-1")
    for number in range(1_000_000):
        session = await sessions.enter("kitchen", speaker="anna", conversation_id="c1")
        await sessions.add_turn(session, Turn(str(number), "yes"))
        await sessions.settled()
        print(number, len(session.turns), session.id, flush=True)
asyncio.run(main())
"""


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "barnabeenet.db")
    yield database
    await database.close()


@pytest.fixture
async def open_sessions(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[str], Awaitable[Sessions]]]:
    monkeypatch.setattr(session_courier, "RETRY_S", 0.05)
    opened: list[Sessions] = []

    async def open_sessions(url: str) -> Sessions:
        opened.append(await Sessions.open(database, redis_url=url, instance="home-1"))
        return opened[-1]

    yield open_sessions
    for sessions in opened:
        await sessions.close()


async def talk(sessions: Sessions, device_id: str, words: str) -> Session:
    """A turn, in time and in its own context."""
    started = time.perf_counter()
    session = await sessions.enter(device_id, speaker=f"who is in the {device_id}", conversation_id=None)
    assert isinstance(session, Session)
    assert all(turn.replied == device_id for turn in session.turns)
    await sessions.add_turn(session, Turn(words, device_id))
    assert time.perf_counter() - started < TURN_MAX_S
    return session


async def until_mirror(sessions: Sessions, *, well: bool) -> None:
    changed = asyncio.Event()
    unsubscribe = sessions.subscribe_health(changed.set)
    async with asyncio.timeout(20):
        while (sessions.mirror_error is None) != well:
            await changed.wait()
            changed.clear()
    unsubscribe()
    await sessions.settled()


async def assert_mirrored(sessions: Sessions, server: RedisServer) -> None:
    async with open_redis(server.url) as redis:
        assert set(await redis.hkeys(INDEX)) == {session.id for session in sessions.live}
        for session in sessions.live:
            assert await redis.hget(KEY_PREFIX + session.id, "turns") == str(len(session.turns))


async def test_a_conversation_goes_on_while_redis_is_killed_and_comes_back(
    open_sessions: Callable[[str], Awaitable[Sessions]], database: Database, redis_server: RedisServer
) -> None:
    sessions = await open_sessions(redis_server.url)
    turns = 0
    for _ in range(3):
        for device in ("kitchen", "bedroom", "office", "hall"):
            await talk(sessions, device, "before")
        await redis_server.kill()
        for device in ("kitchen", "bedroom", "office", "hall"):
            await talk(sessions, device, "without")
        await until_mirror(sessions, well=False)
        assert sessions.store_error is None
        await redis_server.start()
        session = await talk(sessions, "kitchen", "after")
        await until_mirror(sessions, well=True)
        await assert_mirrored(sessions, redis_server)
        turns += 9
    assert [turn.said for turn in session.turns][-3:] == ["before", "without", "after"]
    assert len(await database.read("SELECT id FROM turns")) == turns


async def test_redis_dying_at_any_moment_of_a_conversation_fails_no_turn(
    open_sessions: Callable[[str], Awaitable[Sessions]], database: Database, redis_server: RedisServer
) -> None:
    sessions = await open_sessions(redis_server.url)

    async def fall_and_rise() -> None:
        for _ in range(4):
            await redis_server.kill()
            await redis_server.start()

    falling = asyncio.create_task(fall_and_rise())
    turns = 0
    while not falling.done() or turns < 40:
        session = await talk(sessions, ("kitchen", "bedroom")[turns % 2], str(turns))
        turns += 1
        assert len(session.turns) == min(10, (turns + 1) // 2)
        # At the pace of the writers, so that they are always in the middle of something.
        await sessions.settled()
    await falling
    sessions.sweep()
    await until_mirror(sessions, well=True)
    await assert_mirrored(sessions, redis_server)
    assert len(await database.read("SELECT id FROM turns")) == turns


@pytest.mark.parametrize("fault", ["blackhole", "reset", "one byte at a time"])
async def test_a_bad_network_to_redis_fails_no_turn(
    open_sessions: Callable[[str], Awaitable[Sessions]],
    redis_server: RedisServer,
    fault_proxy: Callable[[int], Awaitable[FaultProxy]],
    fault: str,
) -> None:
    proxy = await fault_proxy(redis_server.port)
    sessions = await open_sessions(f"redis://127.0.0.1:{proxy.port}/0")
    await talk(sessions, "kitchen", "before")
    await sessions.settled()
    if fault == "blackhole":
        proxy.blackhole()
    elif fault == "reset":
        proxy.reset_after_bytes = 5
        proxy.reset()
    else:
        proxy.slice_bytes = 1
    for number in range(50):
        await talk(sessions, "bedroom", str(number))
    if fault != "one byte at a time":
        await until_mirror(sessions, well=False)
    proxy.heal()
    proxy.reset_after_bytes, proxy.slice_bytes = None, 65_536
    await until_mirror(sessions, well=True)
    sessions.sweep()
    await sessions.settled()
    await assert_mirrored(sessions, redis_server)


async def test_a_redis_that_refuses_writes_fails_no_turn(
    open_sessions: Callable[[str], Awaitable[Sessions]], redis_server: RedisServer
) -> None:
    """Out of memory, or a replica after a failover: it answers, but takes nothing."""
    sessions = await open_sessions(redis_server.url)
    async with open_redis(redis_server.url) as redis:
        await redis.config_set("maxmemory", "1")
        await talk(sessions, "kitchen", "without")
        await until_mirror(sessions, well=False)
        assert "maxmemory" in str(sessions.mirror_error) or "memory" in str(sessions.mirror_error)
        await redis.config_set("maxmemory", "0")
    await until_mirror(sessions, well=True)
    await assert_mirrored(sessions, redis_server)


async def test_a_fifth_session_ends_the_least_recent_and_disturbs_no_other(
    open_sessions: Callable[[str], Awaitable[Sessions]], database: Database, redis_server: RedisServer
) -> None:
    sessions = await open_sessions(redis_server.url)
    ended: list[tuple[str, EndReason | None]] = []
    sessions.subscribe(
        lambda event: ended.append((event.session.device_id, event.session.end_reason)) if is_end(event) else None
    )
    took_s = []
    for number in range(12):
        before = sessions.live
        started = time.perf_counter()
        newest = await talk(sessions, f"room {number}", "hello")
        assert len(ended) == max(0, number - 3)
        await sessions.settled()
        took_s.append(time.perf_counter() - started)
        if number < 4:
            continue
        assert ended[-1] == (before[0].device_id, EndReason.EVICTED)
        (row,) = await database.read("SELECT end_reason FROM sessions WHERE id = ?", (before[0].id,))
        assert row[0] == "evicted"
        await assert_mirrored(sessions, redis_server)
        assert sessions.live == (*before[1:], newest)
        assert [await talk(sessions, session.device_id, "again") for session in before[1:]] == list(before[1:])
        assert await talk(sessions, newest.device_id, "again") is newest
    assert statistics.median(took_s[4:]) < 0.1


def is_end(event: SessionEvent) -> bool:
    return event.change is Change.ENDED


async def test_sigkill_costs_no_turn_that_was_kept_and_no_live_session(
    tmp_path: Path, open_sessions: Callable[[str], Awaitable[Sessions]], database: Database, redis_server: RedisServer
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", TALKER, str(database.path), redis_server.url), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    lines = [await process.stdout.readline() for _ in range(25)]
    process.send_signal(signal.SIGKILL)
    lines += (await process.communicate())[0].splitlines(keepends=True)
    kept, window, session_id = [line for line in lines if line.endswith(b"\n")][-1].decode().split()

    sessions = await open_sessions(redis_server.url)
    (session,) = sessions.live
    assert session.id == session_id
    assert len(session.turns) == int(window) == 10
    # One more than was promised is no harm.
    assert int(session.turns[-1].said) - int(kept) in (0, 1)
    assert await sessions.enter("kitchen", speaker="anna", conversation_id="c1") is session
    await sessions.settled()
    await assert_mirrored(sessions, redis_server)
