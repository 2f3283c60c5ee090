"""Quick words on the wire: what comes is taken as it comes, and nothing that was not asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from wyoming.error import Error

from custom_components.barnabeenet.client.errors import ConnectionLost, ProtocolError, RequestFailed
from custom_components.barnabeenet.client.messages import QuickWords, QuickWordsReady
from custom_components.barnabeenet.client.sidecar import Sidecar, SpokenWords

DONE, OKAY = b"\x01\x00" * 3, b"\x02\x00" * 5


def ready(*words: tuple[str, bytes], last: bool = True, **other: Any) -> QuickWordsReady:
    fields: dict[str, Any] = {
        "voice": "slt",
        "version": "flite 2.2",
        "rate": 16_000,
        "words": [{"text": text, "bytes": len(pcm)} for text, pcm in words],
        "last": last,
        "payload": b"".join(pcm for _, pcm in words),
    }
    return QuickWordsReady(**(fields | other))


@pytest.fixture
def answers(script) -> Callable[..., None]:
    """Has the scripted sidecar answer quick words with these messages."""

    def answer(*messages: QuickWordsReady) -> None:
        async def reply(peer, event) -> None:
            await peer.send(*(message.event() for message in messages))

        script.on[QuickWords.TYPE] = reply

    return answer


async def asked(sidecar: Sidecar, texts: Sequence[str] = ("Done.", "Okay."), **options: Any) -> list[SpokenWords]:
    heard: list[SpokenWords] = []
    wanted: dict[str, Any] = {"language": "en-US", "voice": "slt", "rate_hz": 16_000}
    await sidecar.quick_words(texts, on_words=heard.append, **(wanted | options))
    return heard


async def test_the_audio_of_each_text_is_given_as_it_comes(sidecar: Sidecar, script, answers) -> None:
    answers(ready(("Okay.", OKAY), last=False), ready(("Done.", DONE)))
    assert await asked(sidecar, ["Done.", "Okay.", "Done."]) == [
        SpokenWords("slt", "flite 2.2", 16_000, {"Okay.": OKAY}),
        SpokenWords("slt", "flite 2.2", 16_000, {"Done.": DONE}),
    ]
    (request,) = [event for event in script.heard if event.type == QuickWords.TYPE]
    assert request.data == {"language": "en-US", "voice": "slt", "rate": 16_000, "texts": ["Done.", "Okay."]}


async def test_several_texts_share_a_message_in_their_order(sidecar: Sidecar, answers) -> None:
    answers(ready(("Okay.", OKAY), ("Done.", DONE)))
    (spoken,) = await asked(sidecar)
    assert spoken.audio == {"Okay.": OKAY, "Done.": DONE}


async def test_the_voices_own_rate_is_taken_as_it_is(sidecar: Sidecar, answers) -> None:
    answers(ready(("Okay.", OKAY), rate=22_050))
    (spoken,) = await asked(sidecar, rate_hz=None, voice=None)
    assert spoken.rate_hz == 22_050


async def test_the_connection_carries_the_next_request(sidecar: Sidecar, script, answers) -> None:
    answers(ready(("Okay.", OKAY)))
    for _ in range(2):
        await asked(sidecar)
    assert script.count("barnabeenet-cancel") == 0


@pytest.mark.parametrize(
    "message",
    [
        ready(("Unlock the door.", DONE)),
        ready(("Done.", DONE), ("Done.", OKAY)),
        ready(("Done.", DONE), payload=DONE + OKAY),
        ready(("Done.", DONE), payload=DONE[:2]),
        ready(("Done.", DONE[:3]), ("Okay.", DONE[3:])),
        ready(("Done.", b""), ("Okay.", OKAY)),
        ready(payload=DONE),
        ready(("Done.", DONE), rate=22_050),
    ],
    ids=["not asked for", "twice", "too much", "too little", "half a sample", "nothing", "no words", "another rate"],
)
async def test_an_answer_that_does_not_fit_ends_the_connection(
    sidecar: Sidecar, answers, message: QuickWordsReady
) -> None:
    answers(message)
    with pytest.raises(ProtocolError):
        await asked(sidecar)


async def test_answers_do_not_go_on_without_end(sidecar: Sidecar, answers) -> None:
    answers(*[ready(("Done.", DONE), last=False)] * 2)
    with pytest.raises(ProtocolError):
        await asked(sidecar)


async def test_what_has_come_before_a_failure_is_kept(sidecar: Sidecar, script) -> None:
    async def fail(peer, event) -> None:
        await peer.send(ready(("Okay.", OKAY), last=False).event(), Error("it broke", "engine-failed").event())

    script.on[QuickWords.TYPE] = fail
    heard: list[SpokenWords] = []
    with pytest.raises(RequestFailed, match="it broke"):
        await sidecar.quick_words(["Done.", "Okay."], language="en", voice=None, rate_hz=None, on_words=heard.append)
    assert [spoken.audio for spoken in heard] == [{"Okay.": OKAY}]


async def test_a_sidecar_that_goes_is_a_lost_connection(sidecar: Sidecar, script) -> None:
    async def leave(peer, event) -> None:
        peer.hang_up()

    script.on[QuickWords.TYPE] = leave
    with pytest.raises(ConnectionLost):
        await asked(sidecar)


async def test_too_many_texts_are_refused_before_they_are_sent(sidecar: Sidecar, script) -> None:
    with pytest.raises(RequestFailed):
        await asked(sidecar, [f"text {number}" for number in range(65)])
    assert script.count(QuickWords.TYPE) == 0
