"""The warm connections: handed out, taken back, kept alive, replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from wyoming.event import Event
from wyoming.info import Describe, Info

from custom_components.barnabeenet.client import exchange as exchange_module, pool as pool_module
from custom_components.barnabeenet.client.connection import Connection
from custom_components.barnabeenet.client.errors import Busy, CannotConnect, ConnectionLost, RequestFailed, Unauthorized
from custom_components.barnabeenet.client.messages import DrainingNotice
from custom_components.barnabeenet.client.pool import CONNECTIONS_MAX, WARM, Pool

DESCRIBE = Describe().event()
DETECT = Event("detect", {})
FAREWELL = DrainingNotice("the sidecar is stopping or restarting: try again in a moment").event()
TOKEN = "a token of more than thirty-two characters"


async def describe(pool: Pool) -> None:
    async with pool.request(DESCRIBE) as exchange:
        await exchange.expect("info")


def dialling(address, token: str) -> Callable[[], object]:
    return lambda: Connection.open(address, token, home="home-1", software="test")


async def test_two_connections_are_warm_after_the_start(pool: Pool, script) -> None:
    assert len(script.peers) == WARM == 2
    assert pool.error is None


async def test_requests_one_after_the_other_use_the_same_connection(pool: Pool, script) -> None:
    asked: list[object] = []

    async def answer(peer, event) -> None:
        asked.append(peer)
        await peer.send(Info().event())

    script.on["describe"] = answer
    for _ in range(5):
        await describe(pool)
    assert len(asked) == 5
    assert len(set(asked)) == 1
    assert len(script.peers) == WARM


async def test_when_no_connection_is_idle_the_next_one_is_made_ready(pool: Pool, script) -> None:
    async with pool.request(DETECT), pool.request(DETECT):
        await script.until(lambda: len(script.peers) == WARM + 1)


async def test_more_requests_than_the_most_are_busy(pool: Pool, script, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS_MAX):
            await stack.enter_async_context(pool.request(DETECT))
        # Only this one is to wait in vain: before and after it, connections are dialled and called off.
        with monkeypatch.context() as hasty:
            hasty.setattr(pool_module, "WAIT_S", 0.05)
            with pytest.raises(Busy):
                await describe(pool)
        assert len(script.peers) == CONNECTIONS_MAX
    await describe(pool)


async def test_a_request_waits_a_moment_for_another_to_end(pool: Pool, script) -> None:
    async with AsyncExitStack() as others:
        for _ in range(CONNECTIONS_MAX - 1):
            await others.enter_async_context(pool.request(DETECT))
        async with pool.request(DETECT):
            waiting = asyncio.create_task(describe(pool))
            await asyncio.sleep(0)
            assert not waiting.done()
        await waiting


async def test_a_request_that_is_left_is_called_off_and_its_connection_kept(pool: Pool, script) -> None:
    for _ in range(4):
        async with pool.request(DETECT):
            pass
        await script.until(lambda: script.count("barnabeenet-cancel") == script.count("detect"))
    await describe(pool)
    assert script.gone == 0


async def test_a_cancelled_request_ends_at_once_and_its_connection_is_kept(pool: Pool, script) -> None:
    async def listen() -> None:
        async with pool.request(DETECT) as exchange:
            await exchange.read()

    may_answer = asyncio.Event()

    async def take_time(peer, event) -> None:
        await may_answer.wait()
        await peer.send(Event("barnabeenet-cancelled"))

    script.on["barnabeenet-cancel"] = take_time
    task = asyncio.create_task(listen())
    await script.until(lambda: script.count("detect") == 1)
    task.cancel()
    await asyncio.wait({task}, timeout=20)
    assert task.cancelled()
    may_answer.set()
    await script.until(lambda: script.count("barnabeenet-cancel") == 1)
    assert script.gone == 0


async def test_a_request_the_sidecar_refuses_leaves_the_connection_usable(pool: Pool, script) -> None:
    async def refuse(peer, event) -> None:
        await peer.connection.error("unsupported", "no such wake word")

    script.on["detect"] = refuse
    for _ in range(3):
        with pytest.raises(RequestFailed, match="no such wake word"):
            async with pool.request(DETECT) as exchange:
                await exchange.read()
    await describe(pool)
    assert script.gone == 0


async def test_a_request_out_of_the_contract_costs_nothing(pool: Pool, script) -> None:
    for _ in range(CONNECTIONS_MAX + 1):
        with pytest.raises(RequestFailed):
            async with pool.request(Event("detect", {"names": "all"})):
                pass
    await describe(pool)
    assert script.count("detect") == 0


async def test_a_lost_connection_is_replaced(pool: Pool, script) -> None:
    script.peers[0].hang_up()
    await script.until(lambda: len(script.peers) == WARM + 1)
    await describe(pool)


async def test_a_connection_that_has_just_gone_is_not_the_requests_problem(pool: Pool, script) -> None:
    for connection in tuple(pool._idle):
        connection._writer.transport.abort()
    await describe(pool)
    assert len(script.peers) > WARM


async def test_a_sidecar_that_hangs_up_after_every_welcome_is_not_dialled_without_end(script, monkeypatch) -> None:
    monkeypatch.setattr("random.uniform", lambda least, most: least)
    first_welcome = asyncio.Event()

    async def dial() -> Connection:
        connection = await Connection.open(script.address, TOKEN, home="h", software="s")
        script.peers[-1].hang_up()
        first_welcome.set()
        return connection

    changed = asyncio.Event()
    pool = Pool(dial, changed.set)
    await pool.start(5)
    await first_welcome.wait()
    await asyncio.sleep(0.6)
    # Two or three at the start and after 0.25 s, 0.75 s, 1.75 s and so on; without a pause it would be one in 5 ms.
    assert len(script.peers) <= 12
    while not isinstance(pool.error, ConnectionLost):
        changed.clear()
        await changed.wait()
    await pool.close()


async def test_a_request_that_was_sent_is_not_sent_again(pool: Pool, script) -> None:
    async def hang_up(peer, event) -> None:
        peer.hang_up()

    script.on["detect"] = hang_up
    with pytest.raises(ConnectionLost):
        async with pool.request(DETECT) as exchange:
            await exchange.read()
    assert script.count("detect") == 1


async def test_while_the_sidecar_is_away_requests_fail_at_once_and_then_work_again(
    pool: Pool, script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda least, most: least)
    changed = asyncio.Event()
    pool._changed = changed.set
    await script.stop()
    while not isinstance(pool.error, CannotConnect):
        changed.clear()
        await changed.wait()
    with pytest.raises(CannotConnect):
        describe(pool).send(None)  # fails at its first step, without giving the loop a turn
    await script.start()
    while pool.error is not None:
        changed.clear()
        await changed.wait()
    await describe(pool)


async def test_the_first_attempt_may_fail_and_is_told(script, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    pool = Pool(dialling(script.address, "another token of more than 32 characters"), lambda: calls.append(None))
    assert isinstance(pool.error, CannotConnect)
    await pool.start(5)
    assert isinstance(pool.error, Unauthorized)
    assert len(calls) == 1
    await pool.close()


async def test_a_sidecar_that_refuses_more_connections_still_serves_on_those_it_has(script) -> None:
    dials = 0

    async def dial() -> Connection:
        nonlocal dials
        dials += 1
        if dials > 1:
            raise Busy("no more")
        return await Connection.open(script.address, TOKEN, home="h", software="s")

    pool = Pool(dial, lambda: None)
    await pool.start(5)
    assert pool.error is None
    await describe(pool)
    await pool.close()


async def test_a_dial_on_demand_that_fails_fails_the_request_and_takes_no_room(pool: Pool, script) -> None:
    async def refuse() -> Connection:
        raise Busy("no more")

    dial, pool._open = pool._open, refuse
    async with pool.request(DETECT), pool.request(DETECT):
        for _ in range(CONNECTIONS_MAX):
            with pytest.raises(Busy, match="no more"):
                await describe(pool)
    pool._open = dial
    await describe(pool)


async def test_a_connection_that_came_and_went_is_a_failed_attempt(script) -> None:
    async def dial() -> Connection:
        connection = await Connection.open(script.address, TOKEN, home="h", software="s")
        connection.end(ConnectionLost("gone again"))
        return connection

    pool = Pool(dial, lambda: None)
    await pool.start(5)
    assert isinstance(pool.error, ConnectionLost)
    await pool.close()


async def test_a_connection_that_is_dialled_while_the_pool_closes_is_closed_too(pool: Pool, script) -> None:
    dialled, go_on = asyncio.Event(), asyncio.Event()
    dial = pool._open

    async def dial_slowly() -> Connection:
        dialled.set()
        await go_on.wait()
        return await dial()

    pool._open = dial_slowly
    async with pool.request(DETECT), pool.request(DETECT):
        late = asyncio.create_task(describe(pool))
        await dialled.wait()
        await pool.close()
        go_on.set()
        with pytest.raises(ConnectionLost):
            await late
    await script.until(lambda: script.gone == len(script.peers))


async def test_the_start_waits_no_longer_than_told(script) -> None:
    async def never() -> Connection:
        await asyncio.Event().wait()
        raise AssertionError

    pool = Pool(never, lambda: None)
    await pool.start(0.05)
    assert pool.error is not None
    await pool.close()


async def test_idle_connections_are_pinged(script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "KEEP_ALIVE_S", 0.05)
    pool = Pool(dialling(script.address, TOKEN), lambda: None)
    await pool.start(5)
    await script.until(lambda: script.count("ping") >= 6)
    assert script.gone == 0
    await pool.close()


async def test_when_one_connection_dies_the_others_are_asked_at_once(pool: Pool, script) -> None:
    script.peers[0].hang_up()
    await script.until(lambda: script.count("ping") == 1)


async def test_surplus_connections_are_closed_after_a_while(script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "KEEP_ALIVE_S", 0.05)
    monkeypatch.setattr(pool_module, "SURPLUS_S", 0.1)
    pool = Pool(dialling(script.address, TOKEN), lambda: None)
    await pool.start(5)
    async with pool.request(DETECT), pool.request(DETECT), pool.request(DETECT):
        await script.until(lambda: len(script.peers) == 4)
    await script.until(lambda: script.gone == 2)
    await script.until(lambda: script.count("ping") >= 10)
    assert len(script.peers) - script.gone == WARM
    await pool.close()


async def test_the_supervisor_survives_what_nobody_expected(script, monkeypatch, caplog) -> None:
    monkeypatch.setattr(pool_module, "LONGEST_S", 0.01)
    dials = 0

    async def dial() -> Connection:
        nonlocal dials
        dials += 1
        if dials == 1:
            raise ZeroDivisionError("a mistake of ours")
        return await Connection.open(script.address, TOKEN, home="h", software="s")

    told: list[str] = []
    pool = Pool(dial, lambda: told.append(str(pool.error)))
    await pool.start(5)
    await script.until(lambda: len(script.peers) == WARM)
    assert "a mistake of ours" in caplog.text
    assert told == ["A mistake of the client's own: a mistake of ours", "None"]
    await pool.close()


async def test_closing_ends_running_requests_and_all_connections(pool: Pool, script) -> None:
    async def listen() -> None:
        async with pool.request(DETECT) as exchange:
            await exchange.read()

    task = asyncio.create_task(listen())
    await script.until(lambda: script.count("detect") == 1)
    await pool.close()
    await pool.close()
    with pytest.raises(ConnectionLost):
        await task
    await script.until(lambda: script.gone == len(script.peers))
    with pytest.raises(CannotConnect, match="closed"):
        await describe(pool)


async def test_closing_does_not_wait_for_what_is_being_called_off(pool: Pool, script) -> None:
    async def say_nothing(peer, event) -> None:
        pass

    script.on["barnabeenet-cancel"] = say_nothing
    async with pool.request(DETECT):
        pass
    started = asyncio.get_running_loop().time()
    await pool.close()
    assert asyncio.get_running_loop().time() - started < exchange_module.CANCEL_S / 2


# A sidecar that is about to stop


async def test_a_draining_sidecar_ends_what_runs_gets_nothing_new_and_is_found_again(
    pool: Pool, script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda least, most: least)
    changed = asyncio.Event()
    pool._changed = changed.set
    answered = asyncio.Event()

    async def listen() -> Event:
        async with pool.request(DETECT) as exchange:
            return await exchange.expect("detection")

    async def detect(peer, event) -> None:
        await answered.wait()
        await peer.send(Event("detection", {"name": "hey_jarvis"}))

    script.on["detect"] = detect
    running = asyncio.create_task(listen())
    await script.until(lambda: script.count("detect") == 1)
    script.server.drain("the sidecar is stopping or restarting: try again in a moment")
    for peer in script.peers:
        await peer.send(FAREWELL)
    while pool.error is None:
        changed.clear()
        await changed.wait()
    assert isinstance(pool.error, Busy)
    assert pool.error.code == "draining"
    with pytest.raises(Busy, match="restarting"):
        await describe(pool)
    assert script.count("describe") == 0

    answered.set()
    assert (await running).data["name"] == "hey_jarvis"
    await script.until(lambda: script.gone == len(script.peers))
    await script.stop()
    await script.start()
    while pool.error is not None:
        changed.clear()
        await changed.wait()
    await describe(pool)


async def test_a_request_that_the_farewell_overtakes_is_not_sent_on_the_connection_that_ends(
    pool: Pool, script
) -> None:
    warm = next(reversed(pool._idle))
    reading = warm._reading
    assert reading is not None
    reading.remove_done_callback(warm._disturbed)  # the farewell has been read, and the loop has not got to it yet
    for peer in script.peers:
        await peer.send(FAREWELL)
    await asyncio.wait([reading])
    await describe(pool)
    assert isinstance(warm.error, Busy)


async def test_a_request_that_is_called_off_while_the_sidecar_drains_leaves_no_connection(pool: Pool, script) -> None:
    async def say_farewell(peer, event) -> None:
        await peer.send(FAREWELL, Event("barnabeenet-cancelled"))

    script.on["barnabeenet-cancel"] = say_farewell
    async with pool.request(DETECT):
        pass
    await script.until(lambda: script.gone == 1)
    assert all(connection.farewell is None for connection in pool._idle)
    await describe(pool)
