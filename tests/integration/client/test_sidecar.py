"""The paired sidecar as the platforms see it: availability, identity, vocabulary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import groupby

import pytest
from wyoming.event import Event
from wyoming.info import Attribution, Info, WakeModel, WakeProgram

from custom_components.barnabeenet.client.errors import (
    CannotConnect,
    NotASidecar,
    ProtocolError,
    RequestFailed,
    Unauthorized,
)
from custom_components.barnabeenet.client.messages import Vocabulary
from custom_components.barnabeenet.client.sidecar import Address, Identity, Sidecar, probe

TOKEN = "a token of more than thirty-two characters"
WRONG_TOKEN = "another token of more than 32 characters"
BEAST = Identity("sidecar-1", "Beast", "sidecar 0.1")
VOCABULARY = Vocabulary("en", "0123abcd", names=["Stehlampe"], sentences=["turn on the {name}"])


def info_with(name: str) -> Info:
    attribution = Attribution("Somebody", "https://example.org")
    model = WakeModel("okay_nabu", attribution, True, None, "1", ["en"], "okay nabu")
    return Info(wake=[WakeProgram(name, attribution, True, None, "1", [model])])


class Watcher:
    """Counts what a listener is told and waits for a state."""

    def __init__(self, sidecar: Sidecar) -> None:
        self.sidecar = sidecar
        self.seen: list[bool] = []
        self._told = asyncio.Event()
        self.stop = sidecar.subscribe(self._listen)

    def _listen(self) -> None:
        self.seen.append(self.sidecar.available)
        self._told.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._told.clear()
            await self._told.wait()


@pytest.fixture(autouse=True)
def without_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda least, most: least)


async def test_probing_tells_who_answers_and_what_it_can_do(script) -> None:
    script.info = info_with("micro")
    assert await probe(script.address, TOKEN, home="home-1", software="test") == (BEAST, info_with("micro"))
    await script.until(lambda: script.gone == 1)


async def test_probing_with_a_wrong_token_is_unauthorized(script) -> None:
    with pytest.raises(Unauthorized):
        await probe(script.address, WRONG_TOKEN, home="home-1", software="test")


async def test_probing_a_sidecar_that_cannot_describe_itself_leaves_nothing_open(script) -> None:
    async def babble(peer, event) -> None:
        await peer.send(Event("info", {"asr": "everything"}))

    script.on["describe"] = babble
    with pytest.raises(ProtocolError):
        await probe(script.address, TOKEN, home="home-1", software="test")
    await script.until(lambda: script.gone == 1)


async def test_before_the_start_nothing_is_dialled(make_sidecar, script) -> None:
    sidecar = make_sidecar()
    assert (sidecar.available, sidecar.identity, sidecar.info) == (False, None, None)
    assert isinstance(sidecar.error, CannotConnect)
    assert script.peers == []


async def test_after_the_start_the_sidecar_is_known(make_sidecar, script) -> None:
    script.info = info_with("micro")
    sidecar = make_sidecar()
    watcher = Watcher(sidecar)
    await sidecar.start()
    assert (sidecar.available, sidecar.error) == (True, None)
    assert (sidecar.identity, sidecar.info) == (BEAST, info_with("micro"))
    assert watcher.seen == [True]
    assert script.count("describe") == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"token": WRONG_TOKEN}, Unauthorized), ({"address": Address("127.0.0.1", 1)}, CannotConnect)],
    ids=["wrong token", "nobody there"],
)
async def test_a_start_that_fails_is_told_and_not_raised(make_sidecar, options, expected) -> None:
    sidecar = make_sidecar(**options)
    watcher = Watcher(sidecar)
    await sidecar.start()
    assert not sidecar.available
    assert isinstance(sidecar.error, expected)
    assert watcher.seen == [False]


async def test_a_sidecar_that_cannot_describe_itself_is_not_available(make_sidecar, script) -> None:
    async def babble(peer, event) -> None:
        await peer.send(Event("info", {"asr": "everything"}))

    script.on["describe"] = babble
    sidecar = make_sidecar()
    await sidecar.start()
    assert isinstance(sidecar.error, ProtocolError)
    await script.until(lambda: script.gone >= 1)


async def test_something_else_at_the_address_is_told(make_sidecar, listen) -> None:
    async def talk(reader, writer) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        await reader.read()

    sidecar = make_sidecar(await listen(talk))
    await sidecar.start()
    assert isinstance(sidecar.error, NotASidecar)


async def test_going_and_coming_back_are_told_once_each(sidecar: Sidecar, script) -> None:
    watcher = Watcher(sidecar)
    await script.stop()
    await watcher.until(lambda: not sidecar.available)
    script.info = info_with("newer")
    await script.start()
    await watcher.until(lambda: sidecar.available)
    # The reason may have changed meanwhile, which is told too.
    assert [available for available, _ in groupby(watcher.seen)] == [False, True]
    assert sidecar.info == info_with("newer")


async def test_one_lost_connection_of_two_is_nobodys_business(sidecar: Sidecar, script) -> None:
    watcher = Watcher(sidecar)
    script.peers[0].hang_up()
    await script.until(lambda: len(script.peers) == 3)
    assert watcher.seen == []
    assert script.count("describe") == 1


async def test_who_has_unsubscribed_is_told_nothing(sidecar: Sidecar, script) -> None:
    watcher, other = Watcher(sidecar), Watcher(sidecar)
    watcher.stop()
    await script.stop()
    await other.until(lambda: not sidecar.available)
    assert watcher.seen == []


async def test_a_listener_that_fails_does_not_keep_others_from_being_told(sidecar: Sidecar, script, caplog) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a mistake of the listener")

    sidecar.subscribe(fail)
    watcher = Watcher(sidecar)
    await script.stop()
    await watcher.until(lambda: not sidecar.available)
    assert "a mistake of the listener" in caplog.text


async def test_a_closed_client_is_unavailable_and_says_so(sidecar: Sidecar, script) -> None:
    await sidecar.close()
    await sidecar.close()
    assert not sidecar.available
    await script.until(lambda: script.gone == len(script.peers))


async def test_the_vocabulary_is_sent_now_when_the_sidecar_is_there(sidecar: Sidecar, script) -> None:
    await sidecar.set_vocabulary(VOCABULARY)
    received = [Vocabulary.from_event(event) for event in script.heard if event.type == Vocabulary.TYPE]
    assert received == [VOCABULARY]


async def test_a_vocabulary_that_the_sidecar_holds_is_not_sent(make_sidecar, script) -> None:
    script.revision = VOCABULARY.revision
    sidecar = make_sidecar()
    await sidecar.start()
    await sidecar.set_vocabulary(VOCABULARY)
    assert script.count(Vocabulary.TYPE) == 0


async def test_a_vocabulary_that_is_set_before_the_start_is_sent_after_it(make_sidecar, script) -> None:
    sidecar = make_sidecar()
    await sidecar.set_vocabulary(VOCABULARY)
    await sidecar.start()
    await script.until(lambda: script.revision == VOCABULARY.revision)
    assert script.count(Vocabulary.TYPE) == 1


async def test_a_sidecar_that_has_forgotten_the_vocabulary_gets_it_again(sidecar: Sidecar, script) -> None:
    await sidecar.set_vocabulary(VOCABULARY)
    await script.stop()
    script.revision = None
    await script.start()
    await script.until(lambda: script.revision == VOCABULARY.revision)
    assert script.count(Vocabulary.TYPE) == 2


async def test_a_newer_vocabulary_replaces_the_older(sidecar: Sidecar, script) -> None:
    newer = Vocabulary("en", "fedc9876", names=["Deckenlampe"])
    await asyncio.gather(sidecar.set_vocabulary(VOCABULARY), sidecar.set_vocabulary(newer))
    assert script.revision == newer.revision


async def test_a_vocabulary_the_sidecar_cannot_take_is_told(sidecar: Sidecar, script) -> None:
    async def refuse(peer, event) -> None:
        await peer.connection.error("unsupported", "English only")

    script.on[Vocabulary.TYPE] = refuse
    with pytest.raises(RequestFailed, match="English only"):
        await sidecar.set_vocabulary(VOCABULARY)
    assert sidecar.available


async def test_a_vocabulary_that_is_refused_in_the_background_does_no_harm(make_sidecar, script) -> None:
    async def refuse(peer, event) -> None:
        await peer.connection.error("unsupported", "English only")

    script.on[Vocabulary.TYPE] = refuse
    sidecar = make_sidecar()
    await sidecar.set_vocabulary(VOCABULARY)
    await sidecar.start()
    await script.until(lambda: script.count("barnabeenet-cancel") == 1)
    assert sidecar.available


async def test_a_vocabulary_too_large_for_a_frame_is_told(sidecar: Sidecar) -> None:
    sentences = [f"{number:05} " + "word " * 49 for number in range(5_000)]
    with pytest.raises(RequestFailed) as info:
        await sidecar.set_vocabulary(Vocabulary("en", "0123abcd", sentences=sentences))
    assert info.value.code == "too-large"
