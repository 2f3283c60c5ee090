"""The hello over a real socket, by an honest integration and by liars."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
import hmac
import secrets
from typing import Any

import pytest

from barnabeenet_sidecar.net import auth
from barnabeenet_sidecar.net.auth import Authenticator, HelloRefused, proof
from barnabeenet_sidecar.net.backoff import Backoff
from barnabeenet_sidecar.net.messages import Welcome
from barnabeenet_sidecar.net.server import Connection, Server
from barnabeenet_sidecar.net.wire import encode

Make = Callable[..., Authenticator]
Serve = Callable[..., Awaitable[Server]]
Dial = Callable[..., Awaitable[Any]]


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def served() -> list[str | None]:
    """The homes whose connections reached the handler."""
    return []


@pytest.fixture
def handle(served: list[str | None]) -> Callable[[Connection], Awaitable[None]]:
    async def handle(connection: Connection) -> None:
        served.append(connection.home)
        await connection.read()

    return handle


def test_the_proof_is_the_hmac_that_the_contract_describes() -> None:
    # printf 'barnabeenet/1/integration/<00 x32><ff x32>' | openssl dgst -sha256 -hmac <32 times a>
    assert proof("a" * 32, "integration", "00" * 32, "ff" * 32) == (
        "617d106a2af152c5eadebf492ddd459b8424bc1645d601fb383b131b4bd9976e"
    )


def test_the_proof_depends_on_everything_it_covers() -> None:
    variants = {
        proof("a" * 32, "integration", "00" * 32, "ff" * 32),
        proof("b" * 32, "integration", "00" * 32, "ff" * 32),
        proof("a" * 32, "sidecar", "00" * 32, "ff" * 32),
        proof("a" * 32, "integration", "ff" * 32, "00" * 32),
        proof("a" * 32, "integration", "00" * 32, "fe" * 32),
    }
    assert len(variants) == 5


async def test_both_sides_prove_the_token_and_it_never_travels(
    serve: Serve, dial: Dial, authenticator: Make, token: str, served: list[str | None], handle: Any
) -> None:
    peer = await dial(await serve(handle, authenticator=authenticator()))
    ours, theirs = await peer.start_hello()
    welcome = Welcome.from_event(
        await peer.ask("barnabeenet-proof", {"proof": proof(token, "integration", ours, theirs)})
    )
    assert welcome.proof == proof(token, "sidecar", ours, theirs)
    assert (welcome.sidecar, welcome.name, welcome.software) == ("beast-1", "Beast", "BarnabeeNet 0.1.0")
    assert welcome.vocabulary == "0123abcd"
    assert served == ["our home"]
    assert token.encode() not in peer.sent + b"".join(encode(event) for event in peer.received)


async def test_a_home_without_a_vocabulary_is_told_so(serve: Serve, dial: Dial, authenticator: Make) -> None:
    peer = await dial(await serve(authenticator=authenticator(revision_of=lambda _: None)))
    assert (await peer.hello()).data["vocabulary"] is None


async def test_a_sidecar_may_be_renamed_while_it_serves(serve: Serve, dial: Dial, authenticator: Make) -> None:
    doorkeeper = authenticator()
    server = await serve(authenticator=doorkeeper)
    doorkeeper.rename("Cellar")
    assert Welcome.from_event(await (await dial(server)).hello()).name == "Cellar"


async def test_nonces_are_fresh_for_every_connection(serve: Serve, dial: Dial, authenticator: Make) -> None:
    server = await serve(authenticator=authenticator())
    nonces = {(await (await dial(server)).start_hello("ab" * 32))[1] for _ in range(8)}
    assert len(nonces) == 8


async def refused(peer: Any, offered: str, code: str = "unauthorized") -> None:
    answer = await peer.ask("barnabeenet-proof", {"proof": offered})
    assert (answer.type, answer.data["code"]) == ("error", code)
    assert await peer.is_closed()


async def test_a_proof_with_another_token_is_refused(
    serve: Serve, dial: Dial, authenticator: Make, served: list[str | None], handle: Any
) -> None:
    server = await serve(handle, authenticator=authenticator())
    answer = await (await dial(server)).hello("another-token-of-the-right-length-here")
    assert (answer.type, answer.data["code"]) == ("error", "unauthorized")
    assert served == []


async def test_a_proof_for_another_nonce_is_refused(
    serve: Serve, dial: Dial, authenticator: Make, token: str, served: list[str | None], handle: Any
) -> None:
    peer = await dial(await serve(handle, authenticator=authenticator()))
    ours, _ = await peer.start_hello()
    await refused(peer, proof(token, "integration", ours, secrets.token_hex(32)))
    assert served == []


async def test_a_replayed_proof_is_refused(
    serve: Serve, dial: Dial, authenticator: Make, token: str, served: list[str | None], handle: Any
) -> None:
    server = await serve(handle, authenticator=authenticator())
    honest = await dial(server)
    ours, theirs = await honest.start_hello()
    overheard = proof(token, "integration", ours, theirs)
    assert (await honest.ask("barnabeenet-proof", {"proof": overheard})).type == "barnabeenet-welcome"
    thief = await dial(server)
    await thief.start_hello(ours)
    await refused(thief, overheard)
    assert served == ["our home"]


async def test_the_sidecars_own_proof_reflected_is_refused(
    serve: Serve, dial: Dial, authenticator: Make, token: str
) -> None:
    peer = await dial(await serve(authenticator=authenticator()))
    ours, theirs = await peer.start_hello()
    await refused(peer, proof(token, "sidecar", ours, theirs))


async def test_a_peer_that_mirrors_the_challenge_is_refused(serve: Serve, dial: Dial, authenticator: Make) -> None:
    peer = await dial(await serve(authenticator=authenticator()))
    _, theirs = await peer.start_hello()
    await refused(peer, theirs)


async def test_the_proof_is_compared_in_constant_time(
    serve: Serve, dial: Dial, authenticator: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[str, str]] = []
    compare = hmac.compare_digest

    def spy(left: str, right: str) -> bool:
        compared.append((left, right))
        return compare(left, right)

    monkeypatch.setattr(auth.hmac, "compare_digest", spy)
    peer = await dial(await serve(authenticator=authenticator()))
    await peer.start_hello()
    await refused(peer, "ab" * 32)
    assert [left for left, _ in compared] == ["ab" * 32]


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("describe", {}),
        ("transcribe", {"language": "en"}),
        ("barnabeenet-proof", {"proof": "ab" * 32}),
        ("nonsense", {}),
    ],
)
async def test_whatever_comes_before_the_hello_is_refused(
    serve: Serve,
    dial: Dial,
    authenticator: Make,
    served: list[str | None],
    handle: Any,
    event: str,
    data: dict[str, Any],
) -> None:
    peer = await dial(await serve(handle, authenticator=authenticator()))
    answer = await peer.ask(event, data)
    assert answer.data["code"] == "unauthorized"
    assert "barnabeenet-hello first" in answer.data["text"]
    assert await peer.is_closed()
    assert served == []


@pytest.mark.parametrize(
    ("theirs", "advice"),
    [
        (2, "the integration speaks contract 2, the sidecar contract 1: update the sidecar"),
        (0, "the integration speaks contract 0, the sidecar contract 1: update the integration"),
    ],
)
async def test_another_contract_is_refused_with_both_numbers_and_the_side_to_update(
    serve: Serve, dial: Dial, authenticator: Make, theirs: int, advice: str
) -> None:
    peer = await dial(await serve(authenticator=authenticator()))
    # Another version may have other fields: the number alone decides.
    answer = await peer.ask("barnabeenet-hello", {"contract": theirs, "nonces": ["a"]})
    assert answer.data == {"code": "contract-mismatch", "text": advice}
    assert await peer.is_closed()


@pytest.mark.parametrize(
    "wrong",
    [{"nonce": "ab"}, {"home": ""}, {"software": None}, {"contract": True}, {"contract": -1}, {"contract": "1"}],
    ids=repr,
)
async def test_a_hello_that_breaks_the_contract_is_refused(
    serve: Serve, dial: Dial, authenticator: Make, wrong: dict[str, Any]
) -> None:
    hello = {"contract": 1, "nonce": "ab" * 32, "home": "our home", "software": "a test"}
    peer = await dial(await serve(authenticator=authenticator()))
    answer = await peer.ask("barnabeenet-hello", hello | wrong)
    assert answer.data["code"] == "bad-request"
    assert next(iter(wrong)) in answer.data["text"]
    assert await peer.is_closed()


async def test_a_second_hello_in_place_of_the_proof_is_refused(serve: Serve, dial: Dial, authenticator: Make) -> None:
    peer = await dial(await serve(authenticator=authenticator()))
    await peer.start_hello()
    answer = await peer.ask(
        "barnabeenet-hello", {"contract": 1, "nonce": "ab" * 32, "home": "our home", "software": "a test"}
    )
    assert answer.data["code"] == "bad-request"
    assert "expected barnabeenet-proof" in answer.data["text"]
    assert await peer.is_closed()


async def test_a_hello_with_a_body_of_more_than_16_kib_is_refused_unread(
    serve: Serve, dial: Dial, authenticator: Make
) -> None:
    peer = await dial(await serve(authenticator=authenticator()))
    await peer.send_raw(b'{"type":"barnabeenet-hello","data_length":16385}\n')
    assert (await peer.read()).data["code"] == "too-large"
    assert await peer.is_closed()


@pytest.mark.parametrize(
    "sent",
    [b"", b"{", b'{"type":"barnabeenet-hello","data_length":100}\n{'],
    ids=["nothing", "a header's start", "a body's start"],
)
async def test_a_hello_that_is_not_complete_in_time_is_refused(
    serve: Serve, dial: Dial, authenticator: Make, sent: bytes
) -> None:
    peer = await dial(await serve(authenticator=authenticator(hello_s=0.05)))
    await peer.send_raw(sent)
    assert (await peer.read()).data["code"] == "timeout"
    assert await peer.is_closed()


async def test_the_hello_deadline_covers_the_proof_too(
    serve: Serve, dial: Dial, authenticator: Make, pass_time: Callable[[float], None]
) -> None:
    peer = await dial(await serve(authenticator=authenticator(hello_s=60)))
    await peer.start_hello()
    pass_time(60)
    answer = await peer.read()
    assert answer.data == {"code": "timeout", "text": "the hello was not complete within 60 s"}


async def test_a_peer_that_leaves_during_the_hello_is_no_event(
    serve: Serve, dial: Dial, authenticator: Make, served: list[str | None], handle: Any
) -> None:
    server = await serve(handle, authenticator=authenticator())
    for _ in range(3):
        peer = await dial(server)
        await peer.start_hello()
        await peer.close()
    assert (await (await dial(server)).hello()).type == "barnabeenet-welcome"
    assert served == ["our home"]


async def guess(server: Server, dial: Dial, times: int, source: str = "127.0.0.1") -> None:
    for _ in range(times):
        answer = await (await dial(server, source=source)).hello("another-token-of-the-right-length-here")
        assert answer.data["code"] == "unauthorized"


async def test_five_wrong_proofs_make_the_address_wait_and_are_counted(
    serve: Serve, dial: Dial, authenticator: Make
) -> None:
    beast = authenticator(backoff=Backoff(Clock()))
    server = await serve(authenticator=beast)
    await guess(server, dial, 5)
    peer = await dial(server)
    # Told before it has said a word.
    answer = await peer.read()
    assert answer.data == {"code": "back-off", "text": "too many wrong tokens from 127.0.0.1: try again in 1 s"}
    assert await peer.is_closed()
    assert beast.wrong_proofs == 5


async def test_a_right_proof_after_the_wait_clears_the_address(serve: Serve, dial: Dial, authenticator: Make) -> None:
    clock = Clock()
    server = await serve(authenticator=authenticator(backoff=Backoff(clock)))
    await guess(server, dial, 5)
    clock.now_s += 1
    honest = await dial(server)
    assert (await honest.hello()).type == "barnabeenet-welcome"
    await honest.close()
    await guess(server, dial, 4)
    assert (await (await dial(server)).hello()).type == "barnabeenet-welcome"


async def test_another_address_does_not_wait_for_a_guesser(serve: Serve, dial: Dial, authenticator: Make) -> None:
    server = await serve(authenticator=authenticator(backoff=Backoff(Clock())))
    await guess(server, dial, 5, source="127.0.0.66")
    assert (await (await dial(server, source="127.0.0.66")).read()).data["code"] == "back-off"
    assert (await (await dial(server)).hello()).type == "barnabeenet-welcome"


async def test_an_address_with_a_proved_connection_does_not_wait_for_guessers_behind_it(
    serve: Serve, dial: Dial, authenticator: Make
) -> None:
    server = await serve(authenticator=authenticator(backoff=Backoff(Clock())))
    family = await dial(server)
    assert (await family.hello()).type == "barnabeenet-welcome"
    await guess(server, dial, 12)
    assert (await (await dial(server)).hello()).type == "barnabeenet-welcome"
    assert (await family.ask("ping", {"text": "still here"})).data == {"text": "still here"}


async def test_a_refusal_carries_its_code_and_text() -> None:
    refusal = HelloRefused("busy", "no room")
    assert (refusal.code, str(refusal)) == ("busy", "no room")
