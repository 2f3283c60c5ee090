"""A request and its answers: silence, deadlines, errors and uploads."""

from __future__ import annotations

import asyncio

import pytest
from wyoming.error import Error
from wyoming.event import Event
from wyoming.ping import Pong
from wyoming.wake import Detect, Detection

from custom_components.barnabeenet.client import exchange as exchange_module
from custom_components.barnabeenet.client.connection import Connection, State
from custom_components.barnabeenet.client.errors import (
    Busy,
    ConnectionLost,
    ProtocolError,
    RequestFailed,
    SidecarTimeout,
)
from custom_components.barnabeenet.client.exchange import Exchange, call_off
from custom_components.barnabeenet.client.messages import CANCELLED

DETECTION = Detection(name="okay_nabu").event()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence that a test can wait for; who answers no ping sets its deadline, too."""
    monkeypatch.setattr(exchange_module, "QUIET_S", 0.05)


async def begun(connection: Connection, script, *answers: Event, **options) -> Exchange:
    """An exchange that the scripted sidecar answers with these events."""

    async def answer(peer, event) -> None:
        await peer.send(*answers)

    script.on["detect"] = answer
    await connection.begin(Detect().event())
    return Exchange(connection, **options)


async def test_answers_are_read_in_their_order(connection: Connection, script) -> None:
    exchange = await begun(connection, script, Event("voice-started", {}), DETECTION)
    assert [(await exchange.read()).type, (await exchange.read()).type] == ["voice-started", "detection"]


async def test_a_quiet_sidecar_is_asked_for_a_sign_of_life_and_waited_for(connection, script, impatient) -> None:
    async def answer(peer, event) -> None:
        await peer.send(Pong().event())
        if script.count("ping") == 3:
            await peer.send(DETECTION)

    script.answers_pings = False
    script.on = {"detect": _say_nothing, "ping": answer}
    await connection.begin(Detect().event())
    assert (await Exchange(connection).read()).type == "detection"
    assert script.count("ping") == 3


async def test_a_sidecar_that_shows_no_sign_of_life_is_lost(
    connection: Connection, script, impatient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "PONG_S", 0.1)
    script.answers_pings = False
    script.on["ping"] = _say_nothing
    exchange = await begun(connection, script)
    with pytest.raises(ConnectionLost, match="silent"):
        await exchange.read()
    assert connection.state is State.CLOSED
    await script.until(lambda: script.gone == 1)
    assert script.count("ping") == 1


async def test_silence_is_counted_through_the_end_of_the_upload(
    connection: Connection, script, impatient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "PONG_S", 0.1)
    script.answers_pings = False
    script.on["ping"] = _say_nothing
    deadlines: set[float] = set()
    silent_by = Exchange._silent_by

    def noted(exchange: Exchange, started: float) -> float:
        deadlines.add(silent_by(exchange, started))
        return silent_by(exchange, started)

    monkeypatch.setattr(Exchange, "_silent_by", noted)
    exchange = await begun(connection, script, upload=lambda _: script.until(lambda: script.count("ping") == 1))
    with pytest.raises(ConnectionLost, match="silent"):
        await exchange.read()
    # One until the ping and one for its answer: the end of the upload, in between, begins neither anew.
    assert len(deadlines) == 2


async def test_a_sidecar_that_lives_but_does_not_answer_is_given_up(connection: Connection, script, impatient) -> None:
    exchange = await begun(connection, script, answer_s=30)
    reading = asyncio.create_task(exchange.read())
    await script.until(lambda: script.count("ping") >= 2)
    # That was over long ago, and no pong has put it off.
    exchange._answer_s = 2 * exchange_module.QUIET_S
    with pytest.raises(SidecarTimeout):
        await reading
    assert connection.state is State.BUSY


async def test_the_answer_is_owed_only_when_all_is_sent(connection: Connection, script) -> None:
    sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def upload(_: Connection) -> None:
        await asyncio.sleep(0.15)
        sent.set_result(None)

    exchange = await begun(connection, script, upload=upload, answer_s=0.05)
    with pytest.raises(SidecarTimeout):
        await exchange.read()
    assert sent.done()


@pytest.mark.parametrize("code", ["bad-request", "unsupported", "engine-failed"])
async def test_an_error_over_the_request_leaves_the_connection(connection: Connection, script, code: str) -> None:
    exchange = await begun(connection, script, Error("not like this", code).event())
    with pytest.raises(RequestFailed, match="not like this") as info:
        await exchange.read()
    assert info.value.code == code
    assert connection.state is State.BUSY


@pytest.mark.parametrize(
    ("code", "expected"),
    [("busy", Busy), ("draining", Busy), ("bad-frame", ProtocolError), ("timeout", SidecarTimeout)],
)
async def test_any_other_error_ends_the_connection(connection: Connection, script, code: str, expected: type) -> None:
    exchange = await begun(connection, script, Error("no more", code).event())
    with pytest.raises(expected):
        await exchange.read()
    assert connection.state is State.CLOSED


async def test_a_very_long_error_text_is_cut(connection: Connection, script) -> None:
    exchange = await begun(connection, script, Error("long " * 3000, "bad-request").event())
    with pytest.raises(RequestFailed) as info:
        await exchange.read()
    assert len(str(info.value)) == 300


@pytest.mark.parametrize(
    "answer",
    [Event("detection", {"name": 5}), Event("nonsense", {}), Event("transcript", {}), Event("detection", {}, b"12")],
    ids=["a field of another type", "an unknown event", "a missing field", "an uncalled-for payload"],
)
async def test_an_answer_that_breaks_the_contract_ends_the_connection(connection: Connection, script, answer) -> None:
    exchange = await begun(connection, script, answer)
    with pytest.raises(ProtocolError):
        await exchange.read()
    assert connection.state is State.CLOSED


async def test_a_pong_that_nobody_asked_for_is_no_sign_of_life(connection: Connection, script) -> None:
    exchange = await begun(connection, script, Pong().event())
    assert exchange.unexpected(await exchange.read()) is connection.error


async def test_answers_without_end_are_cut_off(connection: Connection, script) -> None:
    exchange = await begun(connection, script, *[Event("voice-started", {})] * 6, events_max=5)
    for _ in range(5):
        await exchange.read()
    with pytest.raises(ProtocolError, match="without end"):
        await exchange.read()


async def test_the_only_answer_finishes_the_exchange(connection: Connection, script) -> None:
    exchange = await begun(connection, script, DETECTION)
    assert (await exchange.expect("detection")).data["name"] == "okay_nabu"
    assert exchange.finished


async def test_another_answer_than_the_only_one_ends_the_connection(connection: Connection, script) -> None:
    exchange = await begun(connection, script, Event("not-detected", {}))
    with pytest.raises(ProtocolError, match="wrong place"):
        await exchange.expect("detection")
    assert not exchange.finished
    assert connection.state is State.CLOSED


async def test_what_goes_wrong_in_the_upload_comes_out_of_the_reading(connection: Connection, script) -> None:
    async def upload(_: Connection) -> None:
        raise LookupError("the microphone is gone")

    exchange = await begun(connection, script, upload=upload)
    with pytest.raises(LookupError, match="microphone"):
        await exchange.read()


async def test_a_timeout_in_the_upload_is_one_of_ours(connection: Connection, script) -> None:
    async def upload(_: Connection) -> None:
        raise TimeoutError

    exchange = await begun(connection, script, upload=upload)
    with pytest.raises(SidecarTimeout):
        await exchange.read()


async def test_an_upload_that_cancels_itself_is_told(connection: Connection, script) -> None:
    async def upload(_: Connection) -> None:
        raise asyncio.CancelledError

    exchange = await begun(connection, script, upload=upload)
    with pytest.raises(RequestFailed, match="cut off"):
        await exchange.read()


async def test_when_the_connection_breaks_the_sidecars_own_word_counts(connection: Connection, script) -> None:
    async def upload(to: Connection) -> None:
        raise ConnectionLost("broken pipe")

    exchange = await begun(connection, script, Error("shutting down", "draining").event(), upload=upload)
    with pytest.raises(Busy, match="shutting down"):
        await exchange.read()


async def test_closing_ends_the_upload_and_waits_for_it(connection: Connection, script) -> None:
    ended = False

    async def upload(_: Connection) -> None:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended = True

    exchange = await begun(connection, script, DETECTION, upload=upload)
    await exchange.read()
    await exchange.close()
    assert ended


async def test_a_last_word_takes_the_place_of_the_rest_of_the_upload(connection: Connection, script) -> None:
    exchange = await begun(connection, script, upload=lambda _: asyncio.Event().wait())
    await exchange.send_last(Event("audio-stop", {}))
    await script.until(lambda: script.count("audio-stop") == 1)
    await exchange.send_last(Event("audio-stop", {}))
    await connection.write(Event("describe", {}))
    await script.until(lambda: script.count("describe") == 1)
    assert script.count("audio-stop") == 1


async def test_calling_off_gives_the_connection_back(connection: Connection, script) -> None:
    async def cancel(peer, event) -> None:
        await peer.send(Event("voice-started", {}), DETECTION, Event(CANCELLED))

    await begun(connection, script)
    script.on["barnabeenet-cancel"] = cancel
    await call_off(connection)
    assert connection.state is State.IDLE
    await connection.ping()


async def test_a_sidecar_that_does_not_stop_is_hung_up_on(connection: Connection, script, monkeypatch) -> None:
    monkeypatch.setattr(exchange_module, "CANCEL_S", 0.05)
    script.on["barnabeenet-cancel"] = _say_nothing
    await begun(connection, script)
    await call_off(connection)
    assert isinstance(connection.error, ConnectionLost)


async def test_a_sidecar_that_floods_instead_of_stopping_is_hung_up_on(connection, script, monkeypatch) -> None:
    async def flood(peer, event) -> None:
        while True:
            await peer.send(Event("voice-started", {}))
            await asyncio.sleep(0)

    monkeypatch.setattr(exchange_module, "CANCEL_S", 0.05)
    script.on["barnabeenet-cancel"] = flood
    await begun(connection, script)
    await call_off(connection)
    assert connection.state is State.CLOSED


async def test_calling_off_on_a_broken_connection_does_no_harm(connection: Connection, script) -> None:
    await begun(connection, script)
    connection.end(ConnectionLost("gone"))
    await call_off(connection)
    assert connection.state is State.CLOSED


async def _say_nothing(peer, event) -> None:
    pass
