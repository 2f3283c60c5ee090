"""The memory budget's promises, one by one and together in a state machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
import pytest

from barnabeenet_sidecar.errors import EngineUnavailable
from barnabeenet_sidecar.gpu.vram import Model, OutOfMemory, Vram


class Engine:
    """Loads at once, or when `gate` is opened."""

    def __init__(self, *, broken: bool = False, gate: asyncio.Event | None = None) -> None:
        self.broken, self.gate = broken, gate
        self.is_loaded = False
        self.loads = 0

    async def load(self) -> None:
        assert not self.is_loaded, "loaded twice"
        if self.gate is not None:
            await self.gate.wait()
        if self.broken:
            raise EngineUnavailable("the weights are missing")
        self.is_loaded = True
        self.loads += 1

    async def unload(self) -> None:
        assert self.is_loaded, "unloaded twice"
        self.is_loaded = False


def model(name: str, vram_mb: int, priority: int = 1, engine: Engine | None = None) -> Model:
    return Model(name, vram_mb, priority, engine or Engine())


async def until(condition: Callable[[], bool]) -> None:
    """Lets the others go on until something is so."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def touch(vram: Vram, name: str) -> None:
    async with vram.use(name):
        pass


async def test_important_models_are_loaded_at_start_and_others_on_first_use() -> None:
    vram = Vram(16_000, [model("whisper", 5120, 3), model("kokoro", 3072, 2), model("parakeet", 4096, 1)])
    await vram.preload()
    assert sorted(vram.loaded) == ["kokoro", "parakeet"]
    await touch(vram, "whisper")
    assert vram.claimed_mb == 5120 + 3072 + 4096


async def test_the_least_recently_used_makes_room() -> None:
    vram = Vram(100, [model("a", 40), model("b", 40), model("c", 40)])
    for name in ("a", "b", "a", "c"):
        await touch(vram, name)
    assert vram.loaded == ["a", "c"]


async def test_a_model_in_use_is_never_evicted() -> None:
    vram = Vram(100, [model("a", 60), model("b", 60)])
    async with vram.use("a"):
        with pytest.raises(OutOfMemory, match="b needs 60 MB, 40 of 100 MB are free and the rest is in use"):
            await touch(vram, "b")
        assert vram.loaded == ["a"]
    await touch(vram, "b")
    assert vram.loaded == ["b"]


async def test_nothing_is_evicted_for_a_model_that_cannot_fit_anyway() -> None:
    vram = Vram(100, [model("a", 60), model("huge", 101)])
    await touch(vram, "a")
    with pytest.raises(OutOfMemory):
        await touch(vram, "huge")
    assert vram.loaded == ["a"]


async def test_two_first_uses_load_a_model_once() -> None:
    engine = Engine(gate=asyncio.Event())
    vram = Vram(100, [model("a", 60, engine=engine)])
    uses = [asyncio.create_task(touch(vram, "a")) for _ in range(2)]
    await asyncio.sleep(0)
    assert engine.gate is not None
    engine.gate.set()
    await asyncio.gather(*uses)
    assert engine.loads == 1


async def test_two_models_that_load_at_once_do_not_count_on_the_same_room() -> None:
    engine = Engine(gate=asyncio.Event())
    vram = Vram(100, [model("a", 60, engine=engine), model("b", 60)])
    loading = asyncio.create_task(touch(vram, "a"))
    await asyncio.sleep(0)
    with pytest.raises(OutOfMemory):
        await touch(vram, "b")
    assert engine.gate is not None
    engine.gate.set()
    await loading


async def test_a_load_that_fails_claims_nothing() -> None:
    engine = Engine(broken=True)
    vram = Vram(100, [model("a", 60, engine=engine)])
    with pytest.raises(EngineUnavailable, match="weights are missing"):
        await touch(vram, "a")
    assert vram.claimed_mb == 0
    engine.broken = False
    await touch(vram, "a")
    assert vram.loaded == ["a"]


async def test_a_load_goes_on_when_who_waits_for_it_is_cancelled() -> None:
    engine = Engine(gate=asyncio.Event())
    vram = Vram(100, [model("a", 60, engine=engine)])
    loading = asyncio.create_task(touch(vram, "a"))
    await until(lambda: vram.claimed_mb == 60)
    loading.cancel()
    await asyncio.wait([loading])
    assert engine.gate is not None
    engine.gate.set()
    await touch(vram, "a")
    assert (vram.claimed_mb, vram.loaded, engine.loads) == (60, ["a"], 1)


async def test_a_load_that_fails_when_nobody_waits_any_more_claims_nothing() -> None:
    engine = Engine(gate=asyncio.Event(), broken=True)
    vram = Vram(100, [model("a", 60, engine=engine)])
    loading = asyncio.create_task(touch(vram, "a"))
    await until(lambda: vram.claimed_mb == 60)
    loading.cancel()
    await asyncio.wait([loading])
    assert engine.gate is not None
    engine.gate.set()
    await until(lambda: vram.claimed_mb == 0)


async def test_closing_gives_up_the_loads() -> None:
    vram = Vram(100, [model("a", 60, engine=Engine(gate=asyncio.Event()))])
    loading = asyncio.create_task(touch(vram, "a"))
    await until(lambda: vram.claimed_mb == 60)
    loading.cancel()
    await asyncio.wait([loading])
    await vram.close()
    assert (vram.claimed_mb, vram.loaded) == (0, [])
    assert asyncio.all_tasks() == {asyncio.current_task()}


# Other files, other sizes


async def test_another_model_takes_the_place_of_an_unused_one_and_is_loaded() -> None:
    old, new = Engine(), Engine()
    vram = Vram(100, [model("a", 60, engine=old)])
    await touch(vram, "a")
    await vram.replace(model("a", 80, engine=new), wait_s=0)
    assert (old.is_loaded, new.is_loaded, vram.claimed_mb) == (False, True, 80)


async def test_who_has_the_old_model_may_end_with_it_and_who_comes_later_gets_the_new_one() -> None:
    old, new = Engine(), Engine()
    vram = Vram(100, [model("a", 60, engine=old)])
    async with vram.use("a"):
        replacing = asyncio.create_task(vram.replace(model("a", 80, engine=new), wait_s=3600))
        later = asyncio.create_task(touch(vram, "a"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert old.is_loaded
        assert not later.done()
    await replacing
    await later
    assert (old.is_loaded, new.is_loaded) == (False, True)


async def test_who_holds_on_to_the_old_model_for_too_long_loses_it() -> None:
    old = Engine()
    vram = Vram(100, [model("a", 60, engine=old)])
    async with vram.use("a"):
        await vram.replace(model("a", 80), wait_s=0.01)
        assert not old.is_loaded
    assert vram.claimed_mb == 80


@pytest.mark.parametrize("was_loaded", [True, False])
async def test_a_new_model_that_cannot_be_loaded_gives_its_place_back(was_loaded: bool) -> None:
    old = Engine()
    vram = Vram(100, [model("a", 60, engine=old)])
    if was_loaded:
        await touch(vram, "a")
    for new, error in ((model("a", 80, engine=Engine(broken=True)), "weights are missing"), (model("a", 200), "needs")):
        with pytest.raises(EngineUnavailable, match=error):
            await vram.replace(new, wait_s=0)
        assert (old.is_loaded, vram.claimed_mb) == (was_loaded, 60 if was_loaded else 0)
    await touch(vram, "a")
    assert old.is_loaded


async def test_a_model_that_took_the_processor_after_all_claims_nothing_any_more() -> None:
    class Modest(Engine):
        async def load(self) -> None:
            await super().load()
            vram.resize("a", 0)

    vram = Vram(100, [model("a", 60, engine=Modest()), model("b", 100)])
    await touch(vram, "a")
    assert vram.claimed_mb == 0
    await touch(vram, "b")
    await vram.evict()
    assert vram.claimed_mb == 0


async def test_the_claim_of_a_loaded_model_can_be_corrected() -> None:
    vram = Vram(100, [model("a", 60)])
    vram.resize("a", 50)
    assert vram.claimed_mb == 0
    await touch(vram, "a")
    vram.resize("a", 70)
    assert vram.claimed_mb == 70


async def test_preloading_goes_on_after_a_model_that_cannot_be_loaded(caplog: pytest.LogCaptureFixture) -> None:
    vram = Vram(100, [model("broken", 60, 1, Engine(broken=True)), model("large", 101, 1), model("small", 30, 2)])
    await vram.preload()
    assert vram.loaded == ["small"]
    assert "broken is not loaded: the weights are missing" in caplog.text
    assert "large waits for its first use" in caplog.text


async def test_under_pressure_only_the_unimportant_and_unused_go() -> None:
    vram = Vram(100, [model("a", 20, 1), model("b", 20, 3), model("c", 20, 3)])
    for name in "abc":
        await touch(vram, name)
    async with vram.use("c"):
        assert await vram.evict(above_priority=2) == ["b"]
    assert vram.loaded == ["a", "c"]


async def test_every_change_of_the_claim_is_told() -> None:
    told: list[int] = []
    vram = Vram(100, [model("a", 60)], on_change=told.append)
    await touch(vram, "a")
    await vram.evict()
    assert told == [60, 0]


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two models are called a"):
        Vram(100, [model("a", 1), model("a", 2)])


class VramMachine(RuleBasedStateMachine):
    """Random uses that overlap, loads that take their time or fail, evictions."""

    BUDGET_MB = 100

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.engines: dict[str, Engine] = {}
        self.sizes: dict[str, int] = {}
        self.held: dict[str, list[asyncio.Event]] = {}
        self.tasks: list[asyncio.Task[None]] = []

    @initialize(sizes=st.lists(st.integers(10, 110), min_size=3, max_size=5))
    def furnish(self, sizes: list[int]) -> None:
        self.sizes = {f"model {number}": size for number, size in enumerate(sizes)}
        self.engines = {name: Engine(gate=asyncio.Event()) for name in self.sizes}
        self.held = {name: [] for name in self.sizes}
        models = [Model(name, size, 1 + size % 3, self.engines[name]) for name, size in self.sizes.items()]
        self.vram = Vram(self.BUDGET_MB, models)

    def go(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        async def run() -> None:
            await call()
            for _ in range(8):
                await asyncio.sleep(0)

        self.loop.run_until_complete(run())

    def teardown(self) -> None:
        async def end() -> None:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            if self.sizes:
                await self.vram.close()

        self.go(end)
        self.loop.close()

    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.sizes)))
        release = asyncio.Event()

        async def work() -> None:
            try:
                async with self.vram.use(name):
                    assert self.engines[name].is_loaded, "used while not loaded"
                    self.held[name].append(release)
                    await release.wait()
                    assert self.engines[name].is_loaded, "evicted while in use"
                    self.held[name].remove(release)
            except EngineUnavailable:
                pass

        async def begin() -> None:
            self.tasks.append(asyncio.get_running_loop().create_task(work()))

        self.go(begin)

    @rule(data=st.data(), broken=st.booleans())
    def a_load_ends(self, data: st.DataObject, broken: bool) -> None:
        engine = self.engines[data.draw(st.sampled_from(sorted(self.sizes)))]

        async def open_gate() -> None:
            engine.broken = broken
            assert engine.gate is not None
            engine.gate.set()

        self.go(open_gate)

        async def close_gate() -> None:
            assert engine.gate is not None
            engine.gate.clear()

        self.go(close_gate)

    @precondition(lambda self: any(self.held.values()))
    @rule(data=st.data())
    def a_use_ends(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(name for name, held in self.held.items() if held)))

        async def release() -> None:
            self.held[name][0].set()

        self.go(release)

    @precondition(lambda self: any(not task.done() for task in self.tasks))
    @rule(data=st.data())
    def a_use_is_cancelled(self, data: st.DataObject) -> None:
        waiting = [
            task
            for task in self.tasks
            if not task.done() and not any(held for held in self.held.values())  # a held one would keep its place
        ]
        if waiting:
            task = data.draw(st.sampled_from(waiting))

            async def cancel() -> None:
                task.cancel()

            self.go(cancel)

    @rule(priority=st.integers(0, 3))
    def pressure(self, priority: int) -> None:
        self.go(lambda: self.vram.evict(above_priority=priority))

    @precondition(lambda self: all(task.done() for task in self.tasks))
    @rule(data=st.data(), broken=st.booleans())
    def other_files_come(self, data: st.DataObject, broken: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.sizes)))
        old, new = self.engines[name], Engine(broken=broken)

        async def replace() -> None:
            assert old.gate is not None
            old.gate.set()  # for one that still loads though nobody waits for it any more, and when it comes back
            old.broken, old.gate = False, None
            try:
                await self.vram.replace(Model(name, self.sizes[name], 1, new), wait_s=3600)
            except OutOfMemory:
                pass
            except EngineUnavailable:
                assert broken
            else:
                self.engines[name] = new
            self.engines[name].gate = asyncio.Event()

        self.go(replace)

    @invariant()
    def the_budget_holds(self) -> None:
        if not self.sizes:
            return
        loaded = {name for name, engine in self.engines.items() if engine.is_loaded}
        assert set(self.vram.loaded) == loaded
        assert sum(self.sizes[name] for name in loaded) <= self.vram.claimed_mb <= self.BUDGET_MB
        assert {name for name, held in self.held.items() if held} <= loaded
        for task in self.tasks:
            if task.done() and not task.cancelled():
                assert task.exception() is None


TestVramMachine = VramMachine.TestCase
TestVramMachine.settings = settings(max_examples=60, stateful_step_count=40)
