"""Sessions: one for each device, four at most, and each sees its own alone; the same with Redis and without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import sqlite3
import statistics
import time as real_time

import pytest

from custom_components.barnabeenet.state import session_courier
from custom_components.barnabeenet.state.database import BUSY_S, Database
from custom_components.barnabeenet.state.errors import Unavailable
from custom_components.barnabeenet.state.session_types import (
    Change,
    Declined,
    EndReason,
    Mode,
    Options,
    Session,
    SessionEvent,
    Turn,
)
from custom_components.barnabeenet.state.sessions import ASIDE_MAX, Sessions

from .conftest import Time

OpenSessions = Callable[..., Awaitable[Sessions]]


async def entered(
    sessions: Sessions, device_id: str, speaker: str | None = None, conversation_id: str | None = None
) -> Session:
    session = await sessions.enter(device_id, speaker=speaker, conversation_id=conversation_id)
    assert isinstance(session, Session)
    return session


async def said(
    sessions: Sessions, words: str, device_id: str, speaker: str | None = None, conversation_id: str | None = None
) -> Session:
    """A whole turn."""
    session = await entered(sessions, device_id, speaker, conversation_id)
    await sessions.add_turn(session, Turn(words, f"re: {words}"))
    return session


def seen(session: Session) -> list[str]:
    return [turn.said for turn in session.turns]


def devices(sessions: Sessions) -> list[str]:
    return [session.device_id for session in sessions.live]


def ends(sessions: Sessions) -> list[tuple[str, EndReason | None]]:
    """Fills as sessions end."""
    ended: list[tuple[str, EndReason | None]] = []

    def note(event: SessionEvent) -> None:
        if event.change is Change.ENDED:
            ended.append((event.session.device_id, event.session.end_reason))

    sessions.subscribe(note)
    return ended


# One for each device, four at most


async def test_the_second_turn_at_a_device_sees_the_first(sessions: Sessions) -> None:
    first = await said(sessions, "hello", "kitchen", "anna")
    second = await entered(sessions, "kitchen", "anna")
    assert second is first
    assert second.turns[0].said == "hello"
    assert second.turns[0].replied == "re: hello"


async def test_devices_are_apart(sessions: Sessions) -> None:
    await said(sessions, "hello", "kitchen", "anna")
    assert seen(await entered(sessions, "bedroom", "anna")) == []
    assert devices(sessions) == ["kitchen", "bedroom"]


async def test_a_fifth_takes_the_place_of_the_least_recently_active(sessions: Sessions, time: Time) -> None:
    ended = ends(sessions)
    for device in ("kitchen", "bedroom", "office", "hall"):
        await said(sessions, "hello", device, "anna")
        time.passes(1)
    await entered(sessions, "kitchen", "anna")
    time.passes(1)
    await entered(sessions, "garage", "anna")
    assert devices(sessions) == ["office", "hall", "kitchen", "garage"]
    assert ended == [("bedroom", EndReason.EVICTED)]
    assert seen(await entered(sessions, "kitchen", "anna")) == ["hello"]


async def test_how_many_there_may_be_is_an_option(open_sessions: OpenSessions) -> None:
    sessions = await open_sessions(sessions_max=1)
    await entered(sessions, "kitchen")
    await entered(sessions, "bedroom")
    assert devices(sessions) == ["bedroom"]


@pytest.mark.parametrize("wrong", [{"sessions_max": 0}, {"idle_s": 0}, {"window_turns": 0}])
def test_options_that_leave_no_room_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="room for at least one"):
        Options(**wrong)


async def test_an_evicted_session_is_ended_properly_within_100_ms(
    sessions: Sessions, database: Database, time: Time
) -> None:
    took_ms = []
    for number in range(14):
        time.passes(1)
        ended = ends(sessions)
        started = real_time.perf_counter()
        await said(sessions, "hello", f"device {number}", "anna")
        await sessions.settled()
        took_ms.append((real_time.perf_counter() - started) * 1000)
        assert ended == ([(f"device {number - 4}", EndReason.EVICTED)] if number >= 4 else [])
    rows = await database.read("SELECT device_id, ended_at, end_reason FROM sessions WHERE ended_at IS NOT NULL")
    assert {row["device_id"] for row in rows} == {f"device {number}" for number in range(10)}
    assert {row["end_reason"] for row in rows} == {"evicted"}
    assert statistics.median(took_ms[4:]) < 100
    assert sessions.mirror_error is None


# How long it lives


async def test_after_300_idle_seconds_it_is_over(sessions: Sessions, time: Time) -> None:
    ended = ends(sessions)
    first = await said(sessions, "hello", "kitchen", "anna")
    time.passes(299.9)
    assert await entered(sessions, "kitchen", "anna") is first
    time.passes(300)
    second = await entered(sessions, "kitchen", "anna")
    assert second.id != first.id
    assert seen(second) == []
    assert ended == [("kitchen", EndReason.EXPIRED)]


async def test_a_turn_is_a_sign_of_life(sessions: Sessions, time: Time) -> None:
    session = await entered(sessions, "kitchen", "anna")
    time.passes(200)
    await sessions.add_turn(session, Turn("hello", "hi"))
    time.passes(200)
    assert await entered(sessions, "kitchen", "anna") is session


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, -2_000_000_000.0])
async def test_a_jump_of_the_wall_clock_changes_nothing(sessions: Sessions, time: Time, jump_s: float) -> None:
    session = await said(sessions, "hello", "kitchen", "anna")
    time.wall_s += jump_s
    time.passes(299)
    sessions.sweep()
    assert await entered(sessions, "kitchen", "anna") is session
    time.wall_s += jump_s
    time.passes(300)
    assert (await entered(sessions, "kitchen", "anna")) is not session


async def test_the_sweep_closes_what_expired_and_says_so(sessions: Sessions, database: Database, time: Time) -> None:
    ended = ends(sessions)
    await said(sessions, "hello", "kitchen", "anna")
    await said(sessions, "hello", "kitchen", "ben")
    time.passes(200)
    await said(sessions, "hello", "bedroom", "ben")
    sessions.sweep()
    assert ended == []
    time.passes(100)
    sessions.sweep()
    assert ended == [("kitchen", EndReason.EXPIRED)] * 2
    assert devices(sessions) == ["bedroom"]
    await sessions.settled()
    rows = await database.read("SELECT device_id FROM sessions WHERE end_reason = 'expired'")
    assert len(rows) == 2


async def test_the_context_window_is_the_last_ten_turns(sessions: Sessions, database: Database) -> None:
    for number in range(12):
        session = await said(sessions, str(number), "kitchen", "anna")
    assert seen(session) == [str(number) for number in range(2, 12)]
    await sessions.settled()
    assert len(await database.read("SELECT id FROM turns")) == 12


async def test_a_session_is_ended_when_asked(sessions: Sessions) -> None:
    ended = ends(sessions)
    session = await said(sessions, "hello", "kitchen", "anna")
    assert await sessions.end(session.id)
    assert ended == [("kitchen", EndReason.ASKED)]
    assert not await sessions.end(session.id)
    assert seen(await entered(sessions, "kitchen", "anna")) == []


async def test_the_answer_to_a_session_that_was_ended_meanwhile_is_kept_and_revives_nothing(
    sessions: Sessions, database: Database
) -> None:
    session = await entered(sessions, "kitchen", "anna")
    await sessions.end(session.id)
    told: list[SessionEvent] = []
    sessions.subscribe(told.append)
    await sessions.add_turn(session, Turn("too late", "but kept"))
    sessions.set_mode(session, Mode.NOTES)
    assert sessions.live == ()
    assert told == []
    await sessions.settled()
    assert [row["said"] for row in await database.read("SELECT said FROM turns")] == ["too late"]
    assert (await database.read("SELECT end_reason FROM sessions"))[0][0] == "asked"


# Whose it is


async def test_another_speaker_at_the_device_sees_nothing_of_the_first(sessions: Sessions) -> None:
    await said(sessions, "anna's secret", "kitchen", "anna")
    assert seen(await said(sessions, "ben's secret", "kitchen", "ben")) == ["ben's secret"]
    assert seen(await entered(sessions, "kitchen", None)) == []
    assert devices(sessions) == ["kitchen"]


async def test_one_who_comes_back_goes_on_where_she_was(sessions: Sessions) -> None:
    """So a voice that was once taken for another's costs nobody the thread, nor the mode."""
    changes = []
    sessions.subscribe(lambda event: changes.append((event.change, event.session.speaker)))
    anna = await said(sessions, "dear diary", "kitchen", "anna")
    sessions.set_mode(anna, Mode.JOURNAL)
    await said(sessions, "what time is it", "kitchen", None)
    again = await entered(sessions, "kitchen", "anna")
    assert again is anna
    assert (again.mode, seen(again)) == (Mode.JOURNAL, ["dear diary"])
    assert (Change.ASIDE, "anna") in changes
    assert [session.speaker for session in sessions.live] == ["anna"]


async def test_guests_see_guests_only_until_somebody_known_speaks(sessions: Sessions) -> None:
    ended = ends(sessions)
    await said(sessions, "a guest's", "kitchen")
    assert seen(await said(sessions, "another guest's", "kitchen")) == ["a guest's", "another guest's"]
    assert seen(await entered(sessions, "kitchen", "anna")) == []
    assert ended == [("kitchen", EndReason.TAKEN_OVER)]
    assert seen(await entered(sessions, "kitchen")) == []


async def test_guests_of_another_conversation_start_anew(sessions: Sessions) -> None:
    ended = ends(sessions)
    await said(sessions, "one", "kitchen", None, "c1")
    assert seen(await said(sessions, "two", "kitchen", None, "c1")) == ["one", "two"]
    assert seen(await entered(sessions, "kitchen", None, None)) == ["one", "two"]
    assert seen(await said(sessions, "three", "kitchen", None, "c2")) == ["three"]
    assert ended == [("kitchen", EndReason.NEW_CONVERSATION)]
    assert seen(await entered(sessions, "kitchen", None, "c1")) == []


async def test_what_waits_aside_is_bounded_and_leaves_with_its_device(sessions: Sessions, time: Time) -> None:
    ended = ends(sessions)
    for number in range(ASIDE_MAX + 3):
        await said(sessions, "hello", "kitchen", f"person {number}")
        time.passes(1)
    assert ended == [("kitchen", EndReason.EVICTED)] * 2
    for device in ("a", "b", "c", "d"):
        await entered(sessions, device, "anna")
    assert len(ended) == ASIDE_MAX + 3


async def test_a_turn_that_ends_while_another_has_the_device_stays_its_speakers(sessions: Sessions) -> None:
    anna = await entered(sessions, "kitchen", "anna")
    await said(sessions, "ben's", "kitchen", "ben")
    await sessions.add_turn(anna, Turn("anna's", "slow"))
    assert seen(await entered(sessions, "kitchen", "ben")) == ["ben's"]
    assert seen(await entered(sessions, "kitchen", "anna")) == ["anna's"]


# Home Assistant's conversations


async def test_a_known_person_goes_on_at_another_device_in_the_same_conversation(sessions: Sessions) -> None:
    await said(sessions, "in the kitchen", "kitchen", "anna", "c1")
    app = await said(sessions, "on the phone", "phone", "anna", "c1")
    assert seen(app) == ["in the kitchen", "on the phone"]
    assert seen(await entered(sessions, "kitchen", "anna")) == ["in the kitchen", "on the phone"]
    assert set(devices(sessions)) == {"phone", "kitchen"}


async def test_the_name_of_a_conversation_is_no_key_to_anothers(sessions: Sessions) -> None:
    await said(sessions, "anna's", "kitchen", "anna", "c1")
    for device, speaker in (("phone", "ben"), ("phone", None), ("kitchen", None), ("kitchen", "ben")):
        assert seen(await entered(sessions, device, speaker, "c1")) == []
    assert seen(await entered(sessions, "phone", "anna", "c1")) == ["anna's"]


async def test_guests_do_not_go_on_at_another_device(sessions: Sessions) -> None:
    await said(sessions, "a guest's", "kitchen", None, "c1")
    assert seen(await entered(sessions, "bedroom", None, "c1")) == []


async def test_a_new_conversation_of_a_known_person_goes_on_at_the_same_device(sessions: Sessions) -> None:
    await said(sessions, "before", "kitchen", "anna", "c1")
    session = await said(sessions, "after", "kitchen", "anna", "c2")
    assert seen(session) == ["before", "after"]
    assert session.conversation_id == "c2"
    for name in ("c1", "c2"):
        assert seen(await entered(sessions, f"phone {name}", "anna", name)) == ["before", "after"]


async def test_a_conversation_is_over_when_its_last_session_is(sessions: Sessions, time: Time) -> None:
    await said(sessions, "before", "kitchen", "anna", "c1")
    time.passes(300)
    assert seen(await entered(sessions, "phone", "anna", "c1")) == []


async def test_where_a_person_spoke_last_can_be_asked(sessions: Sessions, time: Time) -> None:
    assert sessions.latest_conversation("anna") is None
    await said(sessions, "hello", "kitchen", "anna", "c1")
    time.passes(1)
    await said(sessions, "hello", "phone", "anna", "c2")
    await said(sessions, "hello", "phone", "ben", "c3")
    assert sessions.latest_conversation("anna") == "c2"
    time.passes(300)
    assert sessions.latest_conversation("anna") is None


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ({"device_id": ""}, "device id has 1 to 255"),
        ({"device_id": "d" * 256}, "device id has 1 to 255"),
        ({"speaker": ""}, "speaker has 1 to 255"),
        ({"conversation_id": "\ud800"}, "conversation id contains characters"),
    ],
)
async def test_names_that_cannot_be_kept_are_refused(sessions: Sessions, names: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        await sessions.enter(**{"device_id": "kitchen", "speaker": None, "conversation_id": None} | names)
    assert sessions.live == ()


async def test_odd_and_endless_texts_are_kept_as_well_as_can_be(sessions: Sessions, database: Database) -> None:
    session = await entered(sessions, "kitchen", "anna")
    await sessions.add_turn(session, Turn("half \ud83d a face", "x" * 1_000_000))
    await sessions.settled()
    ((kept_said, kept_replied),) = await database.read("SELECT said, replied FROM turns")
    assert kept_said == "half ? a face"
    assert len(kept_replied) == len(session.turns[0].replied) == 10_000


async def test_a_failing_subscriber_harms_nobody(sessions: Sessions, caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: SessionEvent) -> None:
        raise RuntimeError("a bug")

    unsubscribe = sessions.subscribe(fail)
    ended = ends(sessions)
    session = await entered(sessions, "kitchen")
    await sessions.end(session.id)
    assert ended == [("kitchen", EndReason.ASKED)]
    assert "A subscriber failed on session" in caplog.text
    unsubscribe()
    unsubscribe()
    caplog.clear()
    await entered(sessions, "kitchen")
    assert "A subscriber failed" not in caplog.text


# What is kept


async def test_sessions_and_turns_are_written_down(sessions: Sessions, database: Database, time: Time) -> None:
    session = await entered(sessions, "kitchen", "anna", "c1")
    sessions.set_mode(session, Mode.NOTES)
    await sessions.add_turn(session, Turn("buy milk", "Noted.", "trace-1", at=12.5))
    time.passes(5)
    await sessions.end(session.id)
    await sessions.settled()
    (row,) = await database.read("SELECT * FROM sessions")
    assert dict(row) == {
        "id": session.id,
        "device_id": "kitchen",
        "speaker": "anna",
        "mode": "notes",
        "thread": session.thread.id,
        "conversation_id": "c1",
        "started_at": 1_800_000_000.0,
        "last_active": 1_800_000_000.0,
        "ended_at": 1_800_000_005.0,
        "end_reason": "asked",
    }
    (row,) = await database.read("SELECT session_id, said, replied, trace_id, at FROM turns")
    assert tuple(row) == (session.id, "buy milk", "Noted.", "trace-1", 12.5)


async def test_live_sessions_survive_a_restart(open_sessions: OpenSessions, time: Time) -> None:
    sessions = await open_sessions()
    for number in range(11):
        anna = await said(sessions, str(number), "kitchen", "anna", "c1")
    sessions.set_mode(anna, Mode.CONVERSATION)
    await said(sessions, "on the phone", "phone", "anna", "c1")
    await said(sessions, "ben's", "kitchen", "ben")
    await sessions.close()
    time.passes(200)
    time.monotonic_s = 5.0  # the computer, too, has started again

    again = await open_sessions()
    assert {(session.device_id, session.speaker) for session in again.live} == {("kitchen", "ben"), ("phone", "anna")}
    session = await entered(again, "kitchen", "anna")
    assert (session.id, session.mode) == (anna.id, Mode.CONVERSATION)
    assert seen(session) == [*map(str, range(2, 11)), "on the phone"]
    await said(again, "and more", "phone", "anna", "c1")
    assert seen(session)[-1] == "and more"
    time.passes(299)
    assert seen(await entered(again, "kitchen", "ben")) == []
    assert await entered(again, "phone", "anna") is not None


async def test_what_is_private_is_still_so_after_a_restart(open_sessions: OpenSessions) -> None:
    sessions = await open_sessions()
    anna = await said(sessions, "what is on television", "kitchen", "anna")
    await sessions.add_turn(anna, Turn("what is my bike code", "Your bike code is 4711.", is_private=True))
    await sessions.close()
    session = await entered(await open_sessions(), "kitchen", "anna")
    assert [turn.is_private for turn in session.turns] == [False, True]


async def test_what_was_idle_too_long_over_a_restart_is_ended(
    open_sessions: OpenSessions, database: Database, time: Time
) -> None:
    sessions = await open_sessions()
    await said(sessions, "old", "kitchen", "anna")
    time.passes(150)
    await said(sessions, "young", "bedroom", "anna")
    await sessions.close()
    time.passes(150)
    again = await open_sessions()
    assert devices(again) == ["bedroom"]
    await again.settled()
    (row,) = await database.read("SELECT end_reason FROM sessions WHERE device_id = 'kitchen'")
    assert row[0] == "expired"


async def test_the_last_sign_of_life_counts_over_a_restart(open_sessions: OpenSessions, time: Time) -> None:
    sessions = await open_sessions()
    session = await said(sessions, "first", "kitchen", "anna")
    await sessions.settled()
    time.passes(250)
    await sessions.add_turn(session, Turn("last", ""))
    await sessions.close()
    time.passes(250)
    again = await open_sessions()
    assert [session.id for session in again.live] == [session.id]


async def test_what_had_ended_does_not_come_back_with_a_restart(open_sessions: OpenSessions) -> None:
    sessions = await open_sessions()
    session = await said(sessions, "hello", "kitchen", "anna")
    await sessions.end(session.id)
    await sessions.close()
    again = await open_sessions()
    assert again.live == ()
    assert seen(await entered(again, "kitchen", "anna")) == []


async def test_a_session_from_the_future_does_not_outlive_a_restart(open_sessions: OpenSessions, time: Time) -> None:
    sessions = await open_sessions()
    await said(sessions, "old", "kitchen", "anna")
    await sessions.close()
    time.wall_s -= 86_400
    assert (await open_sessions()).live == ()


async def test_a_guest_goes_on_after_a_restart_in_a_conversation_of_another_name(open_sessions: OpenSessions) -> None:
    """Home Assistant forgets its conversations when it restarts."""
    sessions = await open_sessions()
    await said(sessions, "before", "kitchen", None, "c1")
    await sessions.close()
    again = await open_sessions()
    assert seen(await said(again, "after", "kitchen", None, "c2")) == ["before", "after"]
    assert seen(await entered(again, "kitchen", None, "c3")) == []


async def test_after_a_restart_with_less_room_the_most_recent_stay(open_sessions: OpenSessions, time: Time) -> None:
    sessions = await open_sessions()
    for device in ("kitchen", "bedroom", "office"):
        await said(sessions, "hello", device)
        time.passes(1)
    await sessions.close()
    again = await open_sessions(sessions_max=2)
    assert devices(again) == ["bedroom", "office"]


async def test_after_the_close_new_sessions_are_declined(sessions: Sessions) -> None:
    await sessions.close()
    declined = await sessions.enter("kitchen", speaker=None, conversation_id=None)
    assert isinstance(declined, Declined)
    assert "stopping" in str(declined.because)


# When the database fails


@pytest.fixture
async def full_disk(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[], None]]:
    """Makes room on the disk again."""
    monkeypatch.setattr(session_courier, "RETRY_S", 0.02)

    def limit(pages: int) -> None:
        database._connections[0].execute(f"PRAGMA max_page_count = {pages}")

    yield lambda: limit(1_000_000)
    limit(1_000_000)


async def fill(sessions: Sessions, database: Database, session: Session) -> None:
    """The disk is full from now on, and the sessions know it."""
    await sessions.settled()
    ((pages,),) = await database.read("PRAGMA page_count")
    database._connections[0].execute(f"PRAGMA max_page_count = {pages}")
    while sessions.store_error is None:
        await sessions.add_turn(session, Turn("x" * 9000, "y" * 9000))
        await sessions.settled()


async def test_on_a_full_disk_the_sessions_go_on_and_new_ones_are_declined(
    sessions: Sessions, database: Database, full_disk: Callable[[], None]
) -> None:
    anna = await said(sessions, "before", "kitchen", "anna")
    office = await said(sessions, "before", "office", "cleo")
    told: list[object] = []
    sessions.subscribe_health(lambda: told.append(sessions.store_error))
    await fill(sessions, database, anna)

    declined = await sessions.enter("bedroom", speaker="ben", conversation_id=None)
    assert isinstance(declined, Declined)
    assert isinstance(declined.because, Unavailable)
    assert "the disk is full" in str(declined.because)
    assert isinstance(await sessions.enter("kitchen", speaker="ben", conversation_id=None), Declined)
    assert seen(await said(sessions, "meanwhile", "kitchen", "anna"))[-1] == "meanwhile"
    await sessions.end(office.id)
    # So that it has been tried, too, and what it could not write is not forgotten.
    await sessions.settled()
    assert sessions.store_error is not None
    assert devices(sessions) == ["kitchen"]

    full_disk()
    await recovered(sessions)
    assert isinstance(told[0], Unavailable)
    assert told[1:] == [None]
    await said(sessions, "afterwards", "bedroom", "ben")
    await sessions.settled()
    rows = await database.read("SELECT said FROM turns WHERE length(said) < 100 ORDER BY id")
    assert [row["said"] for row in rows] == ["before", "before", "meanwhile", "afterwards"]
    assert (await database.read("SELECT end_reason FROM sessions WHERE id = ?", (office.id,)))[0][0] == "asked"


async def recovered(sessions: Sessions) -> None:
    """Waits until it has noticed by itself."""
    noticed = asyncio.Event()
    unsubscribe = sessions.subscribe_health(noticed.set)
    async with asyncio.timeout(10):
        while sessions.store_error is not None:
            await noticed.wait()
            noticed.clear()
    unsubscribe()
    await sessions.settled()


async def test_under_a_lock_turns_do_not_wait_and_all_is_written_when_it_is_gone(
    sessions: Sessions, database: Database
) -> None:
    session = await said(sessions, "before", "kitchen", "anna")
    await sessions.settled()
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = real_time.perf_counter()
    for number in range(100):
        await sessions.add_turn(session, Turn(str(number), ""))
    # One that waited would wait for the lock until the database gives up; the rest is a busy machine.
    assert real_time.perf_counter() - started < BUSY_S - 1
    other.execute("ROLLBACK")
    other.close()
    await sessions.settled()
    assert len(await database.read("SELECT id FROM turns")) == 101


async def test_what_waits_for_the_database_is_bounded_and_the_loss_is_said(
    sessions: Sessions,
    database: Database,
    full_disk: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("custom_components.barnabeenet.state.session_store.TURNS_WAITING_MAX", 5)
    session = await entered(sessions, "kitchen", "anna")
    await fill(sessions, database, session)
    for number in range(20):
        await sessions.add_turn(session, Turn(f"turn {number}", ""))
    full_disk()
    await recovered(sessions)
    rows = await database.read("SELECT said FROM turns WHERE said LIKE 'turn %' ORDER BY id")
    assert [row["said"] for row in rows] == [f"turn {number}" for number in range(15, 20)]
    assert "turns were not kept: the database failed for too long" in caplog.text


async def test_a_turn_whose_session_was_deleted_does_not_harm_the_others(
    sessions: Sessions, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    session = await entered(sessions, "kitchen", "anna")
    await sessions.settled()
    sessions._store._turns.append(
        ("INSERT INTO turns (session_id, thread, at, said, replied) VALUES (?, '', 1, '', '')", ("nobody",))
    )
    await sessions.add_turn(session, Turn("kept", ""))
    await sessions.settled()
    assert [row["said"] for row in await database.read("SELECT said FROM turns")] == ["kept"]
    assert "A row of a session was not kept" in caplog.text
    assert sessions.store_error is None


async def test_what_is_left_is_written_at_the_close(sessions: Sessions, database: Database) -> None:
    for number in range(50):
        session = await said(sessions, str(number), "kitchen", "anna")
    await sessions.close()
    assert len(await database.read("SELECT id FROM turns WHERE session_id = ?", (session.id,))) == 50
    assert (await database.read("SELECT ended_at FROM sessions"))[0][0] is None


# What it costs


async def test_a_turn_takes_no_time(sessions: Sessions) -> None:
    took_us = []
    for number in range(300):
        started = real_time.perf_counter()
        session = await sessions.enter(f"device {number % 4}", speaker="anna", conversation_id=f"c{number % 4}")
        await sessions.add_turn(session, Turn("turn on the light", "It is on.", "trace"))
        took_us.append((real_time.perf_counter() - started) * 1e6)
    print(f"enter and add_turn: {statistics.median(took_us):.0f} us")
    assert statistics.median(took_us) < 2_000
