"""One proved connection: its states, its reading and its end."""

from __future__ import annotations

import asyncio
import json

import pytest
from wyoming.audio import AudioChunk
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.ping import Ping, Pong

from custom_components.barnabeenet.client import connection as connection_module
from custom_components.barnabeenet.client.connection import Connection, State
from custom_components.barnabeenet.client.errors import Busy, ConnectionLost, ProtocolError, RequestFailed, SidecarError
from custom_components.barnabeenet.client.messages import DrainingNotice

FAREWELL = DrainingNotice("the sidecar is stopping or restarting: try again in a moment").event()


async def ended(connection: Connection) -> SidecarError:
    """Waits for the end of a connection and gives its reason."""
    if connection.error is None:
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection.ended = lambda _: told.set_result(None)
        await told
    assert connection.error is not None
    return connection.error


async def test_a_connection_is_idle_busy_and_idle_again(connection: Connection) -> None:
    assert connection.state is State.IDLE
    await connection.begin(Describe().event())
    assert connection.state is State.BUSY
    event = await connection.receive(5)
    assert event is not None
    assert event.type == "info"
    connection.rest()
    assert connection.state is State.IDLE


async def test_an_idle_connection_notices_its_end_by_itself(connection: Connection, script) -> None:
    script.peers[0].hang_up()
    assert isinstance(await ended(connection), ConnectionLost)
    assert connection.state is State.CLOSED


@pytest.mark.parametrize("event", [Event("info", {}), Pong().event(), Event("gibberish", {})], ids=lambda e: e.type)
async def test_an_idle_connection_ends_over_what_nobody_asked_for(connection: Connection, script, event) -> None:
    await script.peers[0].send(event)
    error = await ended(connection)
    assert isinstance(error, ProtocolError)
    assert event.type in str(error)


async def test_a_farewell_on_an_idle_connection_is_its_reason_to_end(connection: Connection, script) -> None:
    await script.peers[0].send(Error("shutting down", "draining").event())
    error = await ended(connection)
    assert isinstance(error, Busy)
    assert error.code == "draining"


async def test_garbage_on_an_idle_connection_ends_it(connection: Connection, script) -> None:
    await script.peers[0].send_bytes(b"\x00\xff\x00\xff\n")
    assert isinstance(await ended(connection), ProtocolError)


async def test_a_frame_that_announces_too_much_is_refused(connection: Connection, script) -> None:
    await script.peers[0].send_bytes(b'{"type": "info", "payload_length": 4294967296}\n')
    error = await ended(connection)
    assert isinstance(error, ProtocolError)
    assert error.code == "too-large"


async def test_an_end_in_the_middle_of_a_frame_is_a_lost_connection(connection: Connection, script) -> None:
    await connection.begin(Event("detect", {}))
    await script.until(lambda: script.count("detect") == 1)
    await script.peers[0].send_bytes(b'{"type": "info", "data_length": 100}\n{')
    script.peers[0].connection.writer.close()
    with pytest.raises(ConnectionLost):
        await connection.receive(5)


async def test_a_read_that_gives_up_in_the_middle_of_a_frame_loses_nothing(connection: Connection, script) -> None:
    await connection.begin(Event("detect", {}))
    await script.until(lambda: script.count("detect") == 1)
    data = json.dumps({"name": "okay_nabu"}).encode()
    await script.peers[0].send_bytes(b'{"type": "detection", "data_length": %d}\n%b' % (len(data), data[:5]))
    assert await connection.receive(0.02) is None
    cancelled = asyncio.create_task(connection.receive(5))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait({cancelled})
    await script.peers[0].send_bytes(data[5:])
    event = await connection.receive(5)
    assert event is not None
    assert event.data == {"name": "okay_nabu"}


async def test_a_read_stops_when_what_it_runs_beside_ends(connection: Connection) -> None:
    await connection.begin(Event("detect", {}))
    beside = asyncio.create_task(asyncio.sleep(0))
    assert await connection.receive(60, beside=beside) is None


async def test_a_ping_is_answered_and_the_connection_rests_again(connection: Connection, script) -> None:
    before = connection.heard_at
    await connection.ping()
    assert connection.state is State.IDLE
    assert connection.heard_at > before
    assert script.count("ping") == 1


async def test_a_ping_without_an_answer_ends_the_connection(connection: Connection, script, monkeypatch) -> None:
    monkeypatch.setattr(connection_module, "PONG_S", 0.05)
    script.answers_pings = False
    script.on["ping"] = _say_nothing
    with pytest.raises(ConnectionLost, match="ping"):
        await connection.ping()
    assert connection.state is State.CLOSED


async def test_a_ping_answered_with_something_else_ends_the_connection(connection: Connection, script) -> None:
    async def answer_oddly(peer, event) -> None:
        await peer.send(Event("info", {}))

    script.answers_pings = False
    script.on["ping"] = answer_oddly
    with pytest.raises(ProtocolError):
        await connection.ping()


async def test_a_pong_that_comes_late_disturbs_nobody(connection: Connection, script) -> None:
    script.answers_pings = False
    script.on["ping"] = _say_nothing
    connection.send_ping()
    await script.until(lambda: script.count("ping") == 1)
    await script.peers[0].send(Pong().event())
    script.on["ping"] = _answer_ping
    await connection.ping()
    assert connection.state is State.IDLE


async def test_a_closed_connection_says_why_to_all_who_use_it(connection: Connection, script) -> None:
    script.peers[0].hang_up()
    await ended(connection)
    with pytest.raises(ConnectionLost):
        await connection.write(Ping().event())
    with pytest.raises(ConnectionLost):
        await connection.receive(1)
    connection.send_ping()
    connection.rest()
    assert connection.state is State.CLOSED


async def test_the_first_reason_to_end_stays(connection: Connection) -> None:
    first, second = ConnectionLost("first"), ConnectionLost("second")
    calls: list[Connection] = []
    connection.ended = calls.append
    assert connection.end(first) is first
    assert connection.end(second) is second
    assert connection.error is first
    assert calls == [connection]


async def test_closing_twice_is_closing_once_and_frees_the_sidecar(connection: Connection, script) -> None:
    await connection.close()
    await connection.close()
    await script.until(lambda: script.gone == 1)
    assert connection.state is State.CLOSED


@pytest.mark.parametrize(
    "event",
    [
        Event("detect", {"names": "all of them"}),
        AudioChunk(16_000, 2, 1, b"\x00").event(),
        AudioChunk(16_000, 2, 1, bytes(2**20 + 2)).event(),
    ],
    ids=["text for a list", "half a sample", "too much audio"],
)
async def test_what_the_contract_does_not_allow_is_not_sent(connection: Connection, script, event: Event) -> None:
    with pytest.raises(RequestFailed):
        await connection.begin(event)
    connection.rest()
    await connection.ping()
    assert [heard.type for heard in script.heard] == ["ping"]


async def _say_nothing(peer, event) -> None:
    pass


async def _answer_ping(peer, event) -> None:
    await peer.send(Pong().event())


# A sidecar that is about to stop


async def test_a_farewell_ends_an_idle_connection_and_is_no_mistake(connection: Connection, script) -> None:
    await script.peers[0].send(FAREWELL)
    error = await ended(connection)
    assert isinstance(error, Busy)
    assert error.code == "draining"
    assert "restarting" in str(error)


async def test_what_runs_ends_well_after_a_farewell_and_nothing_follows_it(connection: Connection, script) -> None:
    left: list[Connection] = []
    connection.leaving = left.append
    await connection.begin(Event("detect", {}))
    await script.until(lambda: script.count("detect") == 1)
    await script.peers[0].send(FAREWELL, Event("detection", {"name": "hey_jarvis"}))
    assert await connection.receive(5) is None
    assert left == [connection]
    assert connection.error is None
    event = await connection.receive(5)
    assert event is not None
    assert event.type == "detection"
    connection.rest()
    assert connection.state is State.CLOSED
    with pytest.raises(Busy):
        await connection.begin(Event("detect", {}))


async def test_the_end_after_a_farewell_tells_why(connection: Connection, script) -> None:
    await connection.begin(Event("detect", {}))
    await script.until(lambda: script.count("detect") == 1)
    await script.peers[0].send(FAREWELL)
    assert await connection.receive(5) is None
    script.peers[0].hang_up()
    with pytest.raises(Busy, match="restarting"):
        await connection.receive(5)


async def test_a_farewell_in_place_of_a_pong_ends_the_connection(connection: Connection, script) -> None:
    async def say_farewell(peer, event) -> None:
        await peer.send(FAREWELL)

    script.answers_pings = False
    script.on["ping"] = say_farewell
    with pytest.raises(Busy):
        await connection.ping()


async def test_a_farewell_out_of_the_contract_is_a_mistake(connection: Connection, script) -> None:
    await connection.begin(Event("detect", {}))
    await script.peers[0].send(Event("barnabeenet-draining", {}))
    with pytest.raises(ProtocolError, match="text"):
        await connection.receive(5)
