"""The sidecar's model store, as a home sees it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from wyoming.event import Event
from wyoming.ping import Pong

from custom_components.barnabeenet.client import exchange as exchange_module, models as models_module
from custom_components.barnabeenet.client.errors import Busy, ProtocolError, RequestFailed, SidecarTimeout
from custom_components.barnabeenet.client.messages import ModelProgress, Models, ModelsReady
from custom_components.barnabeenet.client.sidecar import Model, Sidecar, Stock

EARS: dict[str, Any] = {
    "name": "ears",
    "version": "2",
    "status": "active",
    "capability": "stt",
    "licence": "MIT",
    "bytes": 7000,
    "vram_mb": 10,
    "deployed_at": 1_790_000_000_500,
    "deployed_by": "Home Assistant 01234567",
}


def ready(text: str = "ears 2 serves", *entries: dict[str, Any]) -> Event:
    return ModelsReady(text, list(entries)).event()


def answering(*events: Event) -> Any:
    async def answer(peer: Any, _event: Event) -> None:
        await peer.send(*events)

    return answer


def asked(script: Any) -> list[Models]:
    return [Models.from_event(event) for event in script.heard if event.type == Models.TYPE]


async def test_what_is_there_and_what_could_be_is_listed(sidecar: Sidecar, script: Any) -> None:
    to_pull = {"name": "mouth", "version": "1", "status": "to_pull"}
    script.on[Models.TYPE] = answering(ready("1 versions are here", EARS, to_pull))
    assert await sidecar.models() == Stock(
        "1 versions are here",
        (
            Model(
                "ears",
                "2",
                "active",
                "stt",
                "MIT",
                7000,
                10,
                None,
                datetime(2026, 9, 21, 14, 13, 20, 500_000, tzinfo=UTC),
                "Home Assistant 01234567",
            ),
            Model("mouth", "1", "to_pull", None, None, None, None, None, None, None),
        ),
    )
    assert asked(script) == [Models("list")]


async def test_a_time_beyond_all_calendars_is_no_time(sidecar: Sidecar, script: Any) -> None:
    script.on[Models.TYPE] = answering(ready("", EARS | {"deployed_at": 2**53}))
    assert (await sidecar.models()).models[0].deployed_at is None


async def test_a_pull_tells_how_far_it_is(sidecar: Sidecar, script: Any) -> None:
    steps = [ModelProgress("ears", "model.onnx", done, 7000) for done in (100, 3000, 7000)]
    script.on[Models.TYPE] = answering(*(step.event() for step in steps), ready())
    heard: list[ModelProgress] = []
    assert (await sidecar.models("pull", "ears", on_progress=heard.append)).text == "ears 2 serves"
    assert heard == steps
    assert asked(script) == [Models("pull", "ears")]


async def test_nobody_has_to_listen_to_the_progress(sidecar: Sidecar, script: Any) -> None:
    script.on[Models.TYPE] = answering(ModelProgress("ears", "model.onnx", 1).event(), ready())
    assert (await sidecar.models("pull", "ears")).models == ()


async def test_an_activation_names_its_version(sidecar: Sidecar, script: Any) -> None:
    script.on[Models.TYPE] = answering(ready())
    await sidecar.models("activate", "ears", "2")
    assert asked(script) == [Models("activate", "ears", "2")]


async def test_a_pull_that_is_given_up_is_called_off_and_the_connection_goes_on(sidecar: Sidecar, script: Any) -> None:
    script.on[Models.TYPE] = answering(ModelProgress("ears", "model.onnx", 1, 7000).event())
    arrived = asyncio.Event()
    pull = asyncio.create_task(sidecar.models("pull", "ears", on_progress=lambda _: arrived.set()))
    await arrived.wait()
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    await script.until(lambda: script.count("barnabeenet-cancel") == 1)
    script.on[Models.TYPE] = answering(ready())
    await sidecar.models()
    assert sidecar.available


@pytest.mark.parametrize(
    ("code", "expected"), [("bad-request", RequestFailed), ("engine-failed", RequestFailed), ("busy", Busy)]
)
async def test_a_refusal_is_told_in_the_sidecars_words(
    sidecar: Sidecar, script: Any, code: str, expected: type[Exception]
) -> None:
    async def refuse(peer: Any, _event: Event) -> None:
        await peer.connection.error(code, "cannot reach example.org; ears 1 goes on serving")

    script.on[Models.TYPE] = refuse
    with pytest.raises(expected, match="ears 1 goes on serving"):
        await sidecar.models("pull", "ears")


async def test_a_pull_without_progress_is_not_waited_for_for_ever(
    sidecar: Sidecar, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(models_module._ANSWER_S, "pull", 60)  # type: ignore[index]
    monkeypatch.setattr(exchange_module, "QUIET_S", 0.05)
    now, ahead_s = exchange_module._now, 0.0
    monkeypatch.setattr(exchange_module, "_now", lambda: now() + ahead_s)
    heard: list[int] = []

    async def hesitate(peer: Any, _event: Event) -> None:
        nonlocal ahead_s
        for done in range(4):
            await peer.send(ModelProgress("ears", "model.onnx", done).event())
            # It waits by now: it asks whether we live.
            assert (await peer.read()).type == "ping"
            await peer.send(Pong().event())
        ahead_s += 60

    def hear(progress: ModelProgress) -> None:
        nonlocal ahead_s
        heard.append(progress.done_bytes)
        # Each well before the deadline, all together beyond it.
        ahead_s += 40

    script.answers_pings = False
    script.on[Models.TYPE] = hesitate
    with pytest.raises(SidecarTimeout, match=r"did not get on with its answer for 60 s"):
        await sidecar.models("pull", "ears", on_progress=hear)
    assert heard == [0, 1, 2, 3]


async def test_an_action_that_does_not_exist_is_not_sent(sidecar: Sidecar, script: Any) -> None:
    with pytest.raises(RequestFailed, match="no action 'eat'"):
        await sidecar.models("eat", "ears")  # type: ignore[arg-type]
    with pytest.raises(RequestFailed, match="model must have 1 to 256 characters"):
        await sidecar.models("pull", "")
    assert asked(script) == []


@pytest.mark.faults
@pytest.mark.parametrize(
    "answer",
    [
        Event("pong"),
        Event("barnabeenet-models-ready", {"text": "", "models": [EARS | {"status": "eaten"}]}),
        Event("barnabeenet-models-ready", {"text": "", "models": [EARS | {"bytes": -1}]}),
        Event("barnabeenet-models-ready", {"text": "", "models": [EARS] * 257}),
        Event("barnabeenet-model-progress", {"model": "ears", "file": "model.onnx", "done_bytes": "all"}),
        Event("transcript", {"text": "no model"}),
    ],
)
async def test_nonsense_ends_the_connection(sidecar: Sidecar, script: Any, answer: Event) -> None:
    script.on[Models.TYPE] = answering(answer)
    with pytest.raises(ProtocolError):
        await sidecar.models()
