"""The watchdog over a GPU that the test plays, and NVML's own words about a GPU that is not there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import logging
import threading
from types import SimpleNamespace

import pynvml
import pytest

from barnabeenet_sidecar.gpu.nvml import GpuLost, GpuProcess, Nvml, Reading
from barnabeenet_sidecar.gpu.vram import Model, Vram
from barnabeenet_sidecar.gpu.watchdog import COOLDOWN_S, Action, Remedies, Watchdog

TOTAL_MB = 16_000


class PlayedGpu:
    """Says what it is told to say; hangs while `gate` is closed."""

    def __init__(self) -> None:
        self.share = 0.5
        self.temperature_c = 60
        self.lost: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.reads = 0

    def read(self) -> Reading:
        self.reads += 1
        self.gate.wait()
        if self.lost:
            raise self.lost
        return Reading(round(self.share * TOTAL_MB), TOTAL_MB, self.temperature_c, 0.3, [GpuProcess(4711, 9000)])


class Scene:
    """A watchdog, its GPU, its clock and what it did."""

    def __init__(self) -> None:
        self.gpu = PlayedGpu()
        self.now_s = 1000.0
        self.done: list[str] = []
        self.broken: set[str] = set()
        self.readings: list[Reading] = []
        self.watchdog = Watchdog(
            self.gpu,
            Remedies(*(self.remedy(name) for name in ("unload", "restart", "to_cpu", "to_gpu"))),
            on_reading=self.readings.append,
            clock=lambda: self.now_s,
            # A thread answers, and may wait long for its turn on a busy machine.
            read_s=30,
        )

    def remedy(self, name: str) -> Callable[[], asyncio.Future[None]]:
        async def act() -> None:
            self.done.append(name)
            if name in self.broken:
                raise RuntimeError("no luck")

        return lambda: asyncio.ensure_future(act())

    async def check(self, *shares: float, after_s: float = 5) -> list[str]:
        """What is done in some checks, 5 s from each other, with the memory that full."""
        self.done.clear()
        for share in shares:
            self.now_s += after_s
            self.gpu.share = share
            await self.watchdog.check()
        return list(self.done)


@pytest.fixture
def scene() -> Scene:
    return Scene()


# Memory


async def test_a_gpu_that_is_well_is_left_alone(scene: Scene) -> None:
    assert await scene.check(0.1, 0.5, 0.95) == []
    assert [round(reading.memory_share, 2) for reading in scene.readings] == [0.1, 0.5, 0.95]


async def test_full_memory_is_eased_by_unloading(scene: Scene) -> None:
    assert await scene.check(0.96, 0.7) == ["unload"]


async def test_the_engines_are_restarted_when_unloading_was_not_enough(scene: Scene) -> None:
    assert await scene.check(0.96, 0.97, 0.5) == ["unload", "restart"]


async def test_the_cpu_takes_over_when_the_memory_stays_full_after_a_restart(scene: Scene) -> None:
    assert await scene.check(0.96, 0.97) == ["unload", "restart"]
    assert await scene.check(*[0.97] * 11) == []
    assert await scene.check(0.97) == ["to_cpu"]
    assert scene.watchdog.on_cpu
    assert await scene.check(*[0.99] * 40) == []


async def test_memory_that_fills_again_soon_waits_for_the_cooldown(scene: Scene) -> None:
    assert await scene.check(0.96, 0.5) == ["unload"]
    assert await scene.check(0.96, 0.96, after_s=20) == []
    assert await scene.check(0.96, after_s=20) == ["unload"]


async def test_no_more_than_one_restart_a_minute_whatever_the_memory_does(scene: Scene) -> None:
    done = await scene.check(*[0.96, 0.96, 0.5] * 80)  # 20 minutes
    assert done.count("restart") <= 20
    assert "to_cpu" not in done


async def test_the_gpu_is_used_again_when_there_is_room_and_a_minute_has_passed(scene: Scene) -> None:
    await scene.check(0.96, 0.97)
    assert await scene.check(0.97, after_s=COOLDOWN_S) == ["to_cpu"]
    assert await scene.check(*[0.2] * 11) == []
    assert await scene.check(0.2) == ["to_gpu"]
    assert not scene.watchdog.on_cpu
    assert await scene.check(0.2) == []


async def test_actions_are_counted(scene: Scene) -> None:
    await scene.check(0.96, 0.97)
    await scene.check(0.97, 0.2, after_s=COOLDOWN_S)
    assert scene.watchdog.actions == dict.fromkeys(Action, 1)
    assert scene.watchdog.failures == 0


async def test_who_fills_the_memory_is_in_the_log(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    await scene.check(0.96)
    assert "unload: 15360 of 16000 MB of the GPU's memory are in use (process 4711: 9000 MB)" in caplog.text


async def test_unloading_frees_what_is_unimportant_and_unused() -> None:
    class Loadable:
        async def load(self) -> None: ...

        async def unload(self) -> None: ...

    models = [Model(f"of priority {priority}", 1000, priority, Loadable()) for priority in (1, 2, 3, 4)]
    vram = Vram(TOTAL_MB, models)
    for model in models:
        async with vram.use(model.name):
            pass
    gpu = PlayedGpu()
    gpu.share = 0.99
    scene = Scene()
    remedies = Remedies(lambda: vram.evict(above_priority=2), *[scene.remedy("other")] * 3)
    await Watchdog(gpu, remedies).check()
    assert vram.loaded == ["of priority 1", "of priority 2"]


# Loss


@pytest.mark.parametrize("after", [[], [0.96], [0.96, 0.96]])
async def test_a_lost_gpu_goes_to_the_cpu_at_once_whatever_was_done_before(scene: Scene, after: list[float]) -> None:
    await scene.check(*after)
    scene.gpu.lost = GpuLost("GPU is lost")
    assert await scene.check(0, 0, 0) == ["to_cpu"]
    assert scene.watchdog.failures == 3


async def test_a_gpu_that_is_back_is_used_again_after_a_minute(scene: Scene) -> None:
    scene.gpu.lost = GpuLost("GPU is lost")
    await scene.check(0)
    scene.gpu.lost = None
    assert await scene.check(*[0.1] * 11) == []
    assert await scene.check(0.1) == ["to_gpu"]


async def test_a_driver_that_hangs_is_a_lost_gpu_and_is_asked_only_once(
    scene: Scene, own_threads: Callable[[], set[threading.Thread]]
) -> None:
    scene.gpu.gate.clear()
    scene.watchdog._read_s = 0.2
    threads = own_threads()
    assert await scene.check(0.5, 0.5, 0.5) == ["to_cpu"]
    assert scene.gpu.reads == 1
    assert [thread.name for thread in own_threads() - threads] == ["gpu-watchdog"]
    scene.gpu.gate.set()
    scene.watchdog._read_s = 30
    assert await scene.check(0.5, after_s=COOLDOWN_S) == ["to_gpu"]
    assert await scene.check(0.5) == []
    assert scene.gpu.reads == 2


async def test_a_fallback_that_fails_is_tried_again(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.gpu.lost = GpuLost("GPU is lost")
    scene.broken = {"to_cpu"}
    assert await scene.check(0, 0) == ["to_cpu", "to_cpu"]
    assert not scene.watchdog.on_cpu
    assert "to_cpu failed" in caplog.text
    scene.broken.clear()
    assert await scene.check(0, 0) == ["to_cpu"]
    assert scene.watchdog.on_cpu


async def test_a_fallback_from_full_memory_that_fails_is_tried_again_a_minute_later(scene: Scene) -> None:
    scene.broken = {"to_cpu"}
    await scene.check(0.96, 0.96)
    assert await scene.check(0.96, 0.96, after_s=COOLDOWN_S) == ["to_cpu", "to_cpu"]
    scene.broken.clear()
    assert await scene.check(0.96, 0.96, after_s=COOLDOWN_S) == ["to_cpu"]


async def test_an_unloading_that_fails_is_followed_by_a_restart(scene: Scene) -> None:
    scene.broken = {"unload"}
    assert await scene.check(0.96, 0.96) == ["unload", "restart"]
    assert scene.watchdog.failures == 1


async def test_an_action_that_hangs_is_given_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("barnabeenet_sidecar.gpu.watchdog.ACTION_S", 0.01)
    stuck = Remedies(*[asyncio.Event().wait] * 4)
    watchdog = Watchdog(scene.gpu, stuck)
    scene.gpu.share = 0.99
    await watchdog.check()
    assert watchdog.failures == 1


# Time and temperature


async def test_it_checks_again_and_again_and_survives_a_check_that_breaks(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("barnabeenet_sidecar.gpu.watchdog.CHECK_S", 0.001)
    scene.gpu.lost = ZeroDivisionError("a bug")
    run = asyncio.create_task(scene.watchdog.run())
    async with asyncio.timeout(20):
        while scene.gpu.reads < 3:
            await asyncio.sleep(0.001)
        assert "a check of the GPU broke" in caplog.text
        scene.gpu.lost = None
        while not scene.readings:
            await asyncio.sleep(0.001)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert scene.done == []


async def test_heat_is_told_once_until_it_has_cooled(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for temperature_c in (85, 86, 90, 84, 87):
        scene.gpu.temperature_c = temperature_c
        await scene.check(0.5)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["the GPU has 86 C", "the GPU has 87 C"]


# NVML


class Driver:
    """Stands in for the functions of pynvml; `broken` names the ones that raise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken: dict[str, Exception] = {}
        self.called: list[str] = []
        process = SimpleNamespace(pid=7, usedGpuMemory=512 * 1024**2)
        secretive = SimpleNamespace(pid=8, usedGpuMemory=None)
        answers = {
            "nvmlInit": None,
            "nvmlShutdown": None,
            "nvmlDeviceGetHandleByIndex": "handle",
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=4 * 1024**3, total=16 * 1024**3),
            "nvmlDeviceGetTemperature": 66,
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=40),
            "nvmlDeviceGetComputeRunningProcesses": [process, secretive],
        }
        for name, answer in answers.items():
            assert hasattr(pynvml, name)
            monkeypatch.setattr(pynvml, name, self.function(name, answer))

    def function(self, name: str, answer: object) -> Callable[..., object]:
        def call(*_: object) -> object:
            self.called.append(name)
            if name in self.broken:
                raise self.broken[name]
            return answer

        return call


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(monkeypatch)


def test_a_reading_is_in_our_units(driver: Driver) -> None:
    assert Nvml().read() == Reading(4096, 16384, 66, 0.4, (GpuProcess(7, 512), GpuProcess(8, None)))


def test_the_driver_is_begun_with_once(driver: Driver) -> None:
    nvml = Nvml()
    nvml.read()
    nvml.read()
    nvml.close()
    nvml.close()
    assert (driver.called.count("nvmlInit"), driver.called.count("nvmlShutdown")) == (1, 1)


def test_figures_that_a_gpu_does_not_have_are_left_out(driver: Driver) -> None:
    for name in ("Temperature", "UtilizationRates", "ComputeRunningProcesses"):
        driver.broken[f"nvmlDeviceGet{name}"] = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    assert Nvml().read() == Reading(4096, 16384)


@pytest.mark.parametrize("where", ["nvmlDeviceGetMemoryInfo", "nvmlDeviceGetTemperature"])
def test_a_gpu_that_falls_off_the_bus_is_lost_until_the_driver_answers_anew(driver: Driver, where: str) -> None:
    nvml = Nvml()
    nvml.read()
    driver.broken[where] = pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
    driver.broken["nvmlShutdown"] = pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)
    for _ in range(2):
        with pytest.raises(GpuLost, match="GPU is lost"):
            nvml.read()
    driver.broken.clear()
    assert nvml.read().memory_used_mb == 4096
    assert driver.called.count("nvmlInit") == 3


def test_a_machine_without_a_driver_says_so() -> None:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        pass
    else:
        pynvml.nvmlShutdown()
        pytest.skip("this machine has an NVIDIA driver")
    with pytest.raises(GpuLost, match="the GPU's driver says: NVML Shared Library Not Found"):
        Nvml().read()


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    with pytest.raises(GpuLost, match="pip install nvidia-ml-py"):
        Nvml().read()
