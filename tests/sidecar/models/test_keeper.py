"""Changes of a store that is in use: one at a time, taken over by the engines, seen through whatever the asker does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
import os
from pathlib import Path
import sys
import threading
from typing import Any

import pytest

from barnabeenet_sidecar.errors import Busy, Draining, EngineFailed, EngineUnavailable
from barnabeenet_sidecar.models import keeper as keeper_module
from barnabeenet_sidecar.models.bell import ring
from barnabeenet_sidecar.models.errors import ChangeRefused, Damaged, PullFailed, RegistryError, UnknownModel
from barnabeenet_sidecar.models.keeper import Keeper
from barnabeenet_sidecar.models.store import Store
from barnabeenet_sidecar.models.threads import to_thread_whole

FILES = {"model.onnx": b"weights" * 1000}
Fixture = Any


class Engine:
    """What app does with a model: opens what serves; refuses the versions in `cannot_load`."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.loaded: list[str] = []
        self.cannot_load: set[str] = set()

    async def changed(self, model: str) -> None:
        version = Store(self.data_dir).open(model).version
        if version in self.cannot_load:
            raise EngineUnavailable(f"version {version} is not for this machine")
        self.loaded.append(version)


@pytest.fixture
def engine(home: Fixture) -> Engine:
    return Engine(home.data_dir)


@pytest.fixture
async def keeper(home: Fixture, shelf: Fixture, engine: Engine) -> AsyncIterator[Keeper]:
    """Of a store with version 2 serving and 1 to go back to; version 3 can be pulled."""
    await home.has(shelf, "1", FILES)
    await home.has(shelf, "2", {"model.onnx": b"newer" * 1000})
    shelf.files["3/model.onnx"] = FILES["model.onnx"]
    home.offers("3", FILES)
    keeper = Keeper(lambda: Store(home.data_dir), engine.changed)
    await keeper.start()
    yield keeper
    await keeper.close()


async def pull(store: Store) -> str:
    return (await store.pull("ears", "a home")).version


async def activate(store: Store) -> str:
    await asyncio.to_thread(store.activate, "ears", "2", "a home")
    return ""


async def rollback(store: Store) -> str:
    return await asyncio.to_thread(store.rollback, "ears", "a home")


async def test_what_was_pulled_is_taken_over(keeper: Keeper, engine: Engine) -> None:
    assert await keeper.change("pulling", pull) == "3"
    assert engine.loaded == ["3"]


async def test_a_rollback_is_taken_over(keeper: Keeper, engine: Engine) -> None:
    await keeper.change("rolling back", rollback)
    await keeper.change("rolling back", rollback)
    assert engine.loaded == ["1", "2"]


async def test_what_changes_nothing_disturbs_no_engine(keeper: Keeper, engine: Engine) -> None:
    await keeper.change("activating", activate)
    assert engine.loaded == []


async def test_a_mended_version_is_taken_over_though_its_name_is_the_same(
    keeper: Keeper, engine: Engine, home: Fixture, flip: Callable[[Path], None]
) -> None:
    await keeper.change("pulling", pull)
    flip(Store(home.data_dir).open("ears").paths["model.onnx"])
    await keeper.change("pulling", pull)
    assert engine.loaded == ["3", "3"]


async def test_an_edited_manifest_counts_at_once(keeper: Keeper, home: Fixture, shelf: Fixture) -> None:
    shelf.files["4/model.onnx"] = FILES["model.onnx"]
    home.offers("4", FILES)
    assert await keeper.change("pulling", pull) == "4"


async def test_a_change_that_fails_leaves_all_as_it_was(keeper: Keeper, engine: Engine, shelf: Fixture) -> None:
    del shelf.files["3/model.onnx"]
    with pytest.raises(PullFailed, match=r"404 .*; ears 2 goes on serving"):
        await keeper.change("pulling", pull)
    assert engine.loaded == []


async def test_damage_that_is_found_is_taken_over_too(
    keeper: Keeper, engine: Engine, home: Fixture, flip: Callable[[Path], None]
) -> None:
    flip(Store(home.data_dir).open("ears").paths["model.onnx"])
    with pytest.raises(Damaged):
        await keeper.change("activating", activate)
    assert engine.loaded == ["1"]


@pytest.mark.faults
async def test_a_version_that_the_engine_cannot_load_makes_room_for_the_one_before(
    keeper: Keeper, engine: Engine, home: Fixture
) -> None:
    engine.cannot_load = {"3"}
    with pytest.raises(EngineFailed) as raised:
        await keeper.change("pulling", pull)
    assert str(raised.value) == ("ears 3 cannot be used and 2 serves again: version 3 is not for this machine")
    assert engine.loaded == ["2"]
    store = Store(home.data_dir)
    assert store.open("ears").version == "2"
    assert {item.version: item.damage for item in store.deployments("ears") if item.damage} == {
        "3": "it cannot be used: version 3 is not for this machine"
    }
    # Nobody goes back to it by mistake; pulled again, it gets another try.
    with pytest.raises(ChangeRefused):
        store.rollback("ears", "anna")
    engine.cannot_load = set()
    assert await keeper.change("pulling", pull) == "3"
    assert engine.loaded == ["2", "3"]


async def test_when_the_one_before_cannot_be_loaded_either_both_reasons_are_said(
    keeper: Keeper, engine: Engine
) -> None:
    engine.cannot_load = {"2", "3"}
    with pytest.raises(EngineFailed, match=r"ears 3 cannot be used, nor can 2: version 3 is not .*; version 2 is not"):
        await keeper.change("pulling", pull)


async def test_a_second_change_is_refused_and_told_what_is_going_on(
    keeper: Keeper, shelf: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who gives up a change waits for its end: on a slow machine, too, the next one finds none under way.
    monkeypatch.setattr(keeper_module, "_GIVEN_UP_S", 30)
    shelf.faults["3/model.onnx"] = [shelf.stall_after(1)]
    first = asyncio.create_task(keeper.change("pulling ears for Ann's home", pull))
    while not shelf.asked or shelf.asked[-1][0] != "3/model.onnx":
        await asyncio.sleep(0)
    with pytest.raises(Busy, match="pulling ears for Ann's home"):
        await keeper.change("rolling back", rollback)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await keeper.change("rolling back", rollback) == "1"


async def test_a_manifest_that_is_wrong_does_not_block_the_next_change(keeper: Keeper, home: Fixture) -> None:
    (home.data_dir / "models.toml").write_text("[[model]")
    with pytest.raises(Exception, match="not valid TOML"):
        await keeper.change("pulling", pull)
    home.offers("3", FILES)
    assert await keeper.change("pulling", pull) == "3"


@pytest.mark.faults
async def test_what_became_of_a_change_that_was_given_up_is_taken_over(keeper: Keeper, engine: Engine) -> None:
    begun, may_end, taken_over = threading.Event(), threading.Event(), asyncio.Event()
    changed = engine.changed

    async def change_over(model: str) -> None:
        await changed(model)
        taken_over.set()

    keeper._on_changed = change_over

    async def slowly(store: Store) -> str:
        def work() -> None:
            begun.set()
            may_end.wait()
            store.rollback("ears", "a home")

        await to_thread_whole(work)
        return ""

    asking = asyncio.create_task(keeper.change("rolling back", slowly))
    await asyncio.to_thread(begun.wait)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    with pytest.raises(Busy):
        await keeper.change("rolling back", rollback)
    may_end.set()
    await taken_over.wait()
    assert engine.loaded == ["1"]


async def test_what_the_command_line_changed_is_taken_over_when_told(
    keeper: Keeper, engine: Engine, home: Fixture
) -> None:
    await keeper.refresh()
    assert engine.loaded == []
    Store(home.data_dir).rollback("ears", "anna")
    await keeper.refresh()
    assert engine.loaded == ["1"]


async def serving(engine: Engine, count: int) -> list[str]:
    """What the engines have loaded, once it is so many."""
    async with asyncio.timeout(10):
        while len(engine.loaded) < count:
            await asyncio.sleep(0)
    return engine.loaded


async def test_a_sidecar_that_serves_hears_of_what_a_command_changed(
    keeper: Keeper, engine: Engine, home: Fixture
) -> None:
    for expected in (["1"], ["1", "2"]):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "barnabeenet_sidecar", "models", "--data-dir", home.data_dir, "rollback", "ears"),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        out, _ = await process.communicate()
        assert out.decode().splitlines() == [
            f"ears {expected[-1]} serves",
            "the sidecar that serves takes it over now: its log says how that went",
        ]
        assert await serving(engine, len(expected)) == expected


async def test_a_ring_in_the_middle_of_a_change_is_answered_after_it(
    keeper: Keeper, engine: Engine, home: Fixture, shelf: Fixture
) -> None:
    shelf.faults["3/model.onnx"] = [shelf.stall_after(1)]
    asking = asyncio.create_task(keeper.change("pulling", pull))
    while not shelf.asked or shelf.asked[-1][0] != "3/model.onnx":
        await asyncio.sleep(0)
    store = Store(home.data_dir)
    store.rollback("ears", "anna")
    assert ring(store.bell)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await serving(engine, 1) == ["1"]


async def test_when_nobody_serves_nobody_hears(keeper: Keeper, home: Fixture) -> None:
    bell = Store(home.data_dir).bell
    assert ring(bell)
    await keeper.close()
    assert not ring(bell)
    bell.unlink()
    assert not ring(bell)


async def test_what_lies_in_the_place_of_the_bell_is_left_alone(home: Fixture, engine: Engine) -> None:
    store = home.offers("3", FILES)
    store.bell.write_bytes(b"somebody's")
    keeper = Keeper(lambda: Store(home.data_dir), engine.changed)
    await keeper.start()
    assert not ring(store.bell)
    await keeper.close()
    assert store.bell.read_bytes() == b"somebody's"


async def test_a_bell_that_rings_all_the_time_never_blocks_who_rings(keeper: Keeper, home: Fixture) -> None:
    bell = Store(home.data_dir).bell
    # More than a pipe holds, and the loop has no chance to read in between.
    assert all(ring(bell) for _ in range(70_000))


async def test_a_registry_that_cannot_be_used_is_told_and_the_sidecar_starts(
    home: Fixture, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    (home.data_dir / "models").mkdir()
    (home.data_dir / "models" / "registry.sqlite").write_bytes(b"no database" * 1000)
    keeper = Keeper(lambda: Store(home.data_dir), engine.changed)
    await keeper.start()
    assert "there are no models: the model registry" in caplog.text
    with pytest.raises(RegistryError):
        await keeper.change("rolling back", rollback)
    await keeper.close()


async def test_closing_ends_a_pull_that_another_time_goes_on(keeper: Keeper, shelf: Fixture, engine: Engine) -> None:
    shelf.faults["3/model.onnx"] = [shelf.stall_after(1000)]
    asking = asyncio.create_task(keeper.change("pulling", pull))
    while not shelf.asked or shelf.asked[-1][0] != "3/model.onnx":
        await asyncio.sleep(0)
    await keeper.close()
    with pytest.raises(Draining, match="goes on where it was"):
        await asking
    with pytest.raises(Draining):
        await keeper.change("pulling", pull)
    assert engine.loaded == []


async def test_a_model_that_nobody_knows_is_a_bad_request(keeper: Keeper) -> None:
    async def pull_nose(store: Store) -> str:
        return (await store.pull("nose", "a home")).version

    with pytest.raises(UnknownModel) as raised:
        await keeper.change("pulling", pull_nose)
    assert raised.value.code == "bad-request"
