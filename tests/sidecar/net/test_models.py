"""A home looks at the model store and changes it, over a real socket, from a real web server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import hashlib
from pathlib import Path
import time
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
import pytest
from wyoming.event import Event

from barnabeenet_sidecar.engines.catalogue import choose
from barnabeenet_sidecar.errors import EngineUnavailable
from barnabeenet_sidecar.gpu.queue import WorkQueue
from barnabeenet_sidecar.models.keeper import Keeper
from barnabeenet_sidecar.models.store import Store
from barnabeenet_sidecar.net import models
from barnabeenet_sidecar.net.discovery import Announcement, service_info
from barnabeenet_sidecar.net.drain import Drain
from barnabeenet_sidecar.net.handler import Handler
from barnabeenet_sidecar.net.http_ready import Readiness
from barnabeenet_sidecar.net.messages import ModelProgress, ModelsReady
from barnabeenet_sidecar.net.models import deployer
from barnabeenet_sidecar.telemetry.metrics import Metrics

Ask = Callable[..., Awaitable[list[Event]]]
WEIGHTS = bytes(range(256)) * 2000
DEPLOYED_BY = "Home Assistant ourhome"


class Shelf:
    """A web server with one file for each version; it holds back what comes after `holds_after` bytes."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.holds_after: int | None = None
        self.asked: list[str | None] = []
        self.may_go_on = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        content = self.files.get(request.path)
        if content is None:
            raise web.HTTPNotFound
        self.asked.append(request.headers.get("Range"))
        start = request.http_range.start or 0
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        response = web.StreamResponse(status=206 if start else 200, headers=headers if start else {})
        response.content_length = len(content) - start
        await response.prepare(request)
        if self.holds_after is not None:
            await response.write(content[start : self.holds_after])
            start = max(start, self.holds_after)
            await self.may_go_on.wait()
        await response.write(content[start:])
        return response


@pytest.fixture
async def shelf(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shelf]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    shelf = Shelf()
    app = web.Application()
    app.router.add_get("/{path:.*}", shelf.answer)
    async with TestServer(app) as server:
        shelf.url = str(server.make_url("/")).rstrip("/")
        yield shelf
        shelf.may_go_on.set()


@pytest.fixture
def offer(tmp_path: Path, shelf: Shelf) -> Callable[[str], None]:
    """Has models.toml name a version, as an update of it does."""

    def write(version: str) -> None:
        content = shelf.files[f"/{version}/model.onnx"] = WEIGHTS + version.encode()
        (tmp_path / "models.toml").write_text(
            f'[[model]]\nname = "ears"\nversion = "{version}"\ncapability = "stt"\nlicence = "MIT"\n'
            f'vram_mb = 10\npriority = 1\nsource = {{ type = "web", url = "{shelf.url}/{version}/" }}\n'
            f'files = [{{ path = "model.onnx", size = {len(content)}, sha256 = "{hashlib.sha256(content).hexdigest()}" }}]'
        )

    write("1")
    return write


@pytest.fixture
def taken_over() -> list[str]:
    """What the engines were told to take over."""
    return []


@pytest.fixture
async def keeper(tmp_path: Path, offer: object, taken_over: list[str]) -> AsyncIterator[Keeper]:
    async def on_changed(model: str) -> None:
        taken_over.append(f"{model} {Store(tmp_path).open(model).version}")

    keeper = Keeper(lambda: Store(tmp_path), on_changed)
    yield keeper
    await keeper.close()


@pytest.fixture
def handler(tmp_path: Path, keeper: Keeper) -> Handler:
    engines = choose(tts="espeak", vad="silero", wake="microwakeword", stt_workers=1, data_dir=tmp_path)
    return Handler(engines, Metrics(), queue=WorkQueue(1), models=keeper)


@pytest.fixture
async def dial_home(serve: Any, handler: Handler, authenticator: Any, dial: Any) -> Callable[[], Awaitable[Any]]:
    server = await serve(handler, authenticator=authenticator())

    async def connect() -> Any:
        peer = await dial(server)
        await peer.hello()
        return peer

    return connect


@pytest.fixture
async def ask(dial_home: Callable[[], Awaitable[Any]]) -> Ask:
    """Asks on a connection of its own; gives all answers."""

    async def send(action: str, model: str | None = "ears", version: str | None = None) -> list[Event]:
        peer = await dial_home()
        events = [await peer.ask("barnabeenet-models", {"action": action, "model": model, "version": version})]
        while events[-1].type == "barnabeenet-model-progress":
            events.append(await peer.read())
        await peer.close()
        return events

    return send


def ready(events: list[Event]) -> ModelsReady:
    return ModelsReady.from_event(events[-1])


def statuses(events: list[Event]) -> dict[str, str]:
    return {entry["version"]: entry["status"] for entry in ready(events).models if entry["name"] == "ears"}


def refusal(events: list[Event]) -> tuple[str, str]:
    assert [event.type for event in events] == ["error"], events
    return events[0].data["code"], events[0].data["text"]


async def test_what_can_be_pulled_is_listed_with_what_one_must_know(ask: Ask) -> None:
    answer = ready(await ask("list", None))
    assert answer.text == "0 versions are here"
    kokoro = next(entry for entry in answer.models if entry["name"] == "kokoro-82m-v1.0")
    assert kokoro == {
        "name": "kokoro-82m-v1.0",
        "version": "1.0",
        "status": "to_pull",
        "capability": "tts",
        "licence": "Apache-2.0",
        "bytes": 353_746_785,
        "vram_mb": 3072,
    }


async def test_a_pull_is_told_step_by_step_serves_and_is_taken_over(ask: Ask, taken_over: list[str]) -> None:
    events = await ask("pull")
    progress = [ModelProgress.from_event(event) for event in events[:-1]]
    assert (progress[-1].model, progress[-1].file) == ("ears", "model.onnx")
    assert progress[-1].done_bytes == progress[-1].total_bytes == len(WEIGHTS) + 1
    assert ready(events).text == "ears 1 serves"
    entry = ready(events).models[0]
    assert (entry["name"], entry["status"], entry["bytes"]) == ("ears", "active", len(WEIGHTS) + 1)
    assert entry["deployed_by"] == DEPLOYED_BY
    assert entry["deployed_at"] > 1_700_000_000_000
    assert taken_over == ["ears 1"]


async def test_an_update_can_be_rolled_back_and_activated_and_the_old_removed(
    ask: Ask, offer: Callable[[str], None], taken_over: list[str]
) -> None:
    await ask("pull")
    offer("2")
    assert statuses(await ask("list", None)) == {"1": "active", "2": "to_pull"}
    assert statuses(await ask("pull")) == {"2": "active", "1": "rollback_available"}
    assert statuses(await ask("rollback")) == {"1": "active", "2": "rollback_available"}
    assert ready(await ask("activate", "ears", "2")).text == "ears 2 serves"
    assert statuses(await ask("remove", "ears", "1")) == {"2": "active"}
    assert taken_over == ["ears 1", "ears 2", "ears 1", "ears 2"]
    last = ready(await ask("remove", "ears", "2"))
    assert last.text == "ears 2 is removed; what is loaded of it goes on until the sidecar is restarted"


async def test_verify_finds_damage_and_the_version_before_serves(
    ask: Ask, offer: Callable[[str], None], taken_over: list[str], tmp_path: Path
) -> None:
    await ask("pull")
    offer("2")
    await ask("pull")
    assert ready(await ask("verify", None)).text == "every byte is right of ears 2, ears 1"
    file = tmp_path / "models" / "versions" / "ears" / "2" / "model.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    answer = await ask("verify")
    assert ready(answer).text.startswith("ears 2 is damaged (model.onnx has 512000 bytes instead of 512001)")
    assert statuses(answer) == {"1": "active", "2": "archived"}
    assert ready(answer).models[1]["damage"] == "model.onnx has 512000 bytes instead of 512001"
    assert taken_over[-1] == "ears 1"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (("pull", None), "pull needs a model"),
        (("activate", None), "activate needs a model and a version"),
        (("activate", "ears"), "activate needs a version"),
        (("pull", "nose"), "there is no model nose"),
        (("pull", "ears", "9"), "only that version can be pulled"),
        (("verify", "nose"), "there is no model nose"),
        (("rollback", "ears"), "ears is not here"),
        (("activate", "ears", "9"), "ears 9 is not here"),
        (("remove", "ears"), "remove needs a version"),
        (("remove", "../ears", "1"), "there is no model ../ears"),
        (("remove", "kokoro-82m-v1.0", "1.0"), "kokoro-82m-v1.0 is not here"),
    ],
)
async def test_what_makes_no_sense_is_a_bad_request(ask: Ask, request_: tuple[str, ...], said: str) -> None:
    code, text = refusal(await ask(*request_))
    assert code == "bad-request"
    assert said in text


async def test_a_rollback_without_an_earlier_version_is_a_bad_request(ask: Ask) -> None:
    await ask("pull")
    assert refusal(await ask("rollback"))[0] == "bad-request"


@pytest.mark.faults
async def test_a_pull_that_fails_says_why_and_what_goes_on_serving(
    ask: Ask, offer: Callable[[str], None], shelf: Shelf, taken_over: list[str]
) -> None:
    await ask("pull")
    offer("2")
    shelf.files.clear()
    code, text = refusal(await ask("pull"))
    assert code == "engine-failed"
    assert "answers 404" in text
    assert text.endswith("; ears 1 goes on serving")
    assert taken_over == ["ears 1"]


async def test_an_engine_that_cannot_take_over_is_told(ask: Ask, keeper: Keeper) -> None:
    async def refuse(_model: str) -> None:
        raise EngineUnavailable("the GPU is too small")

    keeper._on_changed = refuse
    code, text = refusal((await ask("pull"))[-1:])
    assert (code, text) == ("engine-failed", "ears 1 cannot be used: the GPU is too small")


async def test_a_manifest_that_is_wrong_is_told_by_its_line(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("[[model]]\nname = ears")
    code, text = refusal(await ask("pull", "kokoro-82m-v1.0"))
    assert code == "engine-failed"
    assert "models.toml is not valid TOML: Invalid value (at line 2" in text
    assert text in ready(await ask("list", None)).text


async def until_held(peer: Any, count: int) -> None:
    await peer.send("barnabeenet-models", {"action": "pull", "model": "ears"})
    while ModelProgress.from_event(await peer.read()).done_bytes < count:
        pass


async def test_a_cancelled_pull_keeps_what_has_arrived(
    dial_home: Callable[[], Awaitable[Any]], ask: Ask, shelf: Shelf, taken_over: list[str]
) -> None:
    shelf.holds_after = 1000
    peer = await dial_home()
    await until_held(peer, 1000)
    assert (await peer.ask("barnabeenet-cancel")).type == "barnabeenet-cancelled"
    assert (await peer.ask("ping", {"text": "nothing comes after"})).type == "pong"
    shelf.holds_after = None
    assert ready(await ask("pull")).text == "ears 1 serves"
    assert shelf.asked == [None, "bytes=1000-"]
    assert taken_over == ["ears 1"]


@pytest.mark.faults
async def test_who_hangs_up_in_a_pull_leaves_no_lock(
    dial_home: Callable[[], Awaitable[Any]], ask: Ask, shelf: Shelf, keeper: Keeper
) -> None:
    shelf.holds_after = 1000
    peer = await dial_home()
    await until_held(peer, 1000)
    await peer.close()
    while keeper.is_busy:
        await asyncio.sleep(0)
    shelf.holds_after = None
    assert ready(await ask("pull")).text == "ears 1 serves"


async def test_one_home_at_a_time_changes_models_and_all_may_look(
    dial_home: Callable[[], Awaitable[Any]], ask: Ask, shelf: Shelf
) -> None:
    shelf.holds_after = 1000
    peer = await dial_home()
    await until_held(peer, 1000)
    code, text = refusal(await ask("rollback"))
    assert code == "busy"
    assert f"pulling ears for {DEPLOYED_BY}" in text
    assert statuses(await ask("list", None)) == {"1": "to_pull"}
    shelf.may_go_on.set()
    while (event := await peer.read()).type == "barnabeenet-model-progress":
        pass
    assert ModelsReady.from_event(event).text == "ears 1 serves"


async def test_progress_is_told_a_few_times_a_second_at_most(ask: Ask, shelf: Shelf) -> None:
    began_s = time.monotonic()
    events = await ask("pull")
    # Half a megabyte comes in dozens of pieces, at once unless the machine is busy.
    assert 1 <= len(events[:-1]) <= 3 + (time.monotonic() - began_s) / models._PROGRESS_EVERY_S


async def test_a_pull_that_the_command_line_makes_is_told_as_busy(ask: Ask, tmp_path: Path, shelf: Shelf) -> None:
    shelf.holds_after = 1000
    arrived = asyncio.Event()
    pulling = asyncio.create_task(Store(tmp_path).pull("ears", "anna", lambda _: arrived.set()))
    await arrived.wait()
    code, text = refusal(await ask("pull"))
    assert (code, text) == ("busy", "ears is being pulled or removed right now: wait until that is done")
    shelf.may_go_on.set()
    await pulling


async def test_a_pull_does_not_hold_up_a_sidecar_that_stops(
    serve: Any, dial: Any, handler: Handler, authenticator: Any, shelf: Shelf, ask: Ask
) -> None:
    server = await serve(handler, authenticator=authenticator())
    peer = await dial(server)
    await peer.hello()
    shelf.holds_after = 1000
    await until_held(peer, 1000)
    announcement = Announcement(service_info(sidecar_id="1", name="Beast", host="127.0.0.1", port=server.port))
    drain = Drain(handler, [server], announcement, Readiness(handler.engines))
    draining = asyncio.create_task(drain(60, asyncio.Event()))
    events = [await peer.read()]
    while events[-1].type != "error":
        events.append(await peer.read())
    assert events[-1].data["code"] == "draining"
    assert "a pull goes on where it was" in events[-1].data["text"]
    await peer.close()
    await draining
    # Within the half minute of every read here, not the minute of the drain.
    assert not handler.working


async def test_the_plain_listener_shows_and_changes_nothing(serve: Any, handler: Handler, dial: Any) -> None:
    peer = await dial(await serve(handler, authenticator=None))
    for action in ("list", "pull", "remove"):
        answer = await peer.ask("barnabeenet-models", {"action": action, "model": "ears"})
        assert answer.data["code"] == "bad-request"
        assert "plain listener" in answer.data["text"]


async def test_a_sidecar_without_a_store_says_so(handler: Handler, ask: Ask) -> None:
    handler.models = None
    assert refusal(await ask("list", None)) == ("unsupported", "this sidecar has no model store")


@pytest.mark.parametrize(
    ("home", "shown"),
    [
        ("0123456789abcdef0123456789abcdef", "Home Assistant 01234567"),
        ("\x1b[2J\n our home", "Home Assistant 2Jourhom"),
        ("日本", "Home Assistant"),
    ],
)
def test_a_home_is_named_so_that_a_terminal_can_show_it(home: str, shown: str) -> None:
    assert deployer(home) == shown
