"""The engine process killed, hung and out of memory, the GPU lost: told clearly, serving again soon, nothing left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
import logging
import os
from pathlib import Path
import signal
import sys
import threading
import time

import psutil
import pytest

from barnabeenet_sidecar.engines.model_folder import ModelFolder
from barnabeenet_sidecar.errors import EngineFailed, EngineUnavailable, SidecarError
from barnabeenet_sidecar.gpu import watchdog
from barnabeenet_sidecar.gpu.child import RestartDelay
from barnabeenet_sidecar.gpu.engine_host import EngineHost
from barnabeenet_sidecar.gpu.hosted import EngineName, Hosted
from barnabeenet_sidecar.gpu.nvml import GpuLost, Reading
from barnabeenet_sidecar.gpu.vram import OutOfMemory
from barnabeenet_sidecar.gpu.watchdog import Action

pytestmark = pytest.mark.faults

SCRIPT = Path(__file__).resolve().parent / "fragile_engine.py"
AT_ONCE = RestartDelay(first_s=0)
SECOND = bytes(32_000)


class PlayedGpu:
    """Says what it is told to say; hangs while `gate` is closed."""

    def __init__(self) -> None:
        self.used_mb = 4000
        self.lost = False
        self.gate = threading.Event()
        self.gate.set()

    def read(self) -> Reading:
        self.gate.wait()
        if self.lost:
            raise GpuLost("the GPU's driver says: GPU is lost")
        return Reading(self.used_mb, 10_000)


def fragile(device: str) -> Sequence[str]:
    return (sys.executable, "-I", "-S", str(SCRIPT), "--device", device)


def hosted(engine: EngineName, priority: int = 1, *, vram_mb: int = 4000, path: Path = Path("/nowhere")) -> Hosted:
    return Hosted(engine, ModelFolder(f"{engine}-gpu", path), vram_mb, priority, ModelFolder(f"{engine}-cpu", path))


@asynccontextmanager
async def serving(*engines: Hosted, **options: object) -> AsyncIterator[EngineHost]:
    options = {"gpu": PlayedGpu(), "command": fragile, "delay": AT_ONCE, "beat_s": 0.5} | options
    host = EngineHost(engines or [hosted("parakeet"), hosted("kokoro")], **options)  # type: ignore[arg-type]
    await host.start()
    try:
        yield host
    finally:
        await host.close()


async def hear(host: EngineHost, said: str, engine: EngineName = "parakeet") -> str:
    recognition = await host.speech_to_text(engine).recognise("en", None, [said])
    recognition.feed(SECOND)
    try:
        return (await recognition.decode()).text
    finally:
        await recognition.close()


async def speak(host: EngineHost, text: str) -> list[bytes]:
    async with aclosing(host.text_to_speech("kokoro").synthesise(text, None, None)) as spoken:
        return [chunk async for chunk in spoken]


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


# Killed and hung


@pytest.mark.parametrize(
    ("fault", "said"), [("kill", r"died \(SIGKILL\): try again"), ("hang", "gave no sign of life for 2 s")]
)
async def test_a_process_that_dies_or_hangs_is_told_of_and_another_serves_within_five_seconds(
    fault: str, said: str
) -> None:
    async with serving(delay=RestartDelay(), beat_s=0.5) as host:
        before = host.pid
        began = time.monotonic()
        with pytest.raises(EngineFailed, match=said):
            await hear(host, fault)
        await host.until_ready()
        assert await hear(host, "hello") == f"hello {len(SECOND)} {host.pid}"
        assert time.monotonic() - began < 5
        assert host.pid != before
        assert host.status.restarts == 1
        assert host.status.loaded == ["parakeet-gpu", "kokoro-gpu"]
        assert host.status.claimed_mb == 8000


async def test_a_thread_that_hangs_is_ended_with_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("barnabeenet_sidecar.gpu.remote._Deadline.of", lambda *_: 0.2)
    async with serving() as host:
        with pytest.raises(EngineFailed, match=r"took more than 0\.2 s for transcribe"):
            await hear(host, "hang in a thread")
        await host.until_ready()
        assert await hear(host, "hello")


async def test_speech_that_was_made_before_the_process_died_is_heard() -> None:
    async with serving() as host, aclosing(host.text_to_speech("kokoro").synthesise("one kill", None, None)) as spoken:
        assert await anext(spoken) == b"one"
        with pytest.raises(EngineFailed, match="SIGKILL"):
            await anext(spoken)


async def test_who_asks_while_there_is_no_process_is_told_at_once() -> None:
    async with serving(delay=RestartDelay(first_s=3600)) as host:
        with pytest.raises(EngineFailed):
            await hear(host, "kill")
        while host.status.ready:
            await asyncio.sleep(0)
        with pytest.raises(EngineFailed, match="not there: try again in a moment"):
            await hear(host, "hello")


async def test_closing_a_recognition_stops_the_work_in_the_process() -> None:
    async with serving() as host:
        before = host.pid
        recognition = await host.speech_to_text("parakeet").recognise("en", None, ["wait"])
        recognition.feed(SECOND)
        work = asyncio.create_task(recognition.decode())
        # The first may overtake the work on its way to the process; when the second is answered, the work has begun.
        for _ in range(2):
            await hear(host, "hello")
        await recognition.close()
        with pytest.raises(EngineFailed, match="closed"):
            await work
        assert await hear(host, "stopped") == "wait"
        assert host.pid == before


# Out of memory


async def test_unused_models_make_room_and_it_is_tried_once_more() -> None:
    events: list[tuple[str, str]] = []
    async with serving(on_event=lambda *event: events.append(event)) as host:
        events.clear()
        assert await hear(host, "out of memory beside others")
        assert events == [("out_of_memory", "parakeet"), ("unloaded", "kokoro")]
        assert host.status.loaded == ["parakeet-gpu"]
        assert await speak(host, "back again") == [b"back", b"again"]
        assert host.status.claimed_mb == 8000


async def test_a_request_that_needs_too_much_goes_to_the_next_engine_and_the_process_lives() -> None:
    async with serving() as host:
        before = host.pid
        with pytest.raises(OutOfMemory, match="transcribe needs more memory"):
            await hear(host, "out of memory")
        assert host.status.out_of_memory == 2
        assert await hear(host, "hello")
        assert (host.pid, host.status.restarts) == (before, 0)


async def test_speech_that_has_begun_is_not_begun_again_for_want_of_memory() -> None:
    async with serving() as host, aclosing(host.text_to_speech("kokoro").synthesise("one full", None, None)) as spoken:
        assert await anext(spoken) == b"one"
        with pytest.raises(OutOfMemory):
            await anext(spoken)


async def test_a_load_that_finds_no_memory_evicts_what_is_unused(tmp_path: Path) -> None:
    (tmp_path / "whisper").write_text("alone")
    async with serving(hosted("parakeet"), hosted("whisper", 3, path=tmp_path / "whisper")) as host:
        assert await hear(host, "hello", "whisper")
        assert host.status.loaded == ["whisper-gpu"]
        assert host.status.claimed_mb == 4000


async def test_a_load_that_never_finds_memory_is_not_tried_all_the_time(tmp_path: Path) -> None:
    (tmp_path / "whisper").write_text("huge")
    async with serving(hosted("parakeet"), hosted("whisper", 3, path=tmp_path / "whisper")) as host:
        with pytest.raises(OutOfMemory):
            await hear(host, "hello", "whisper")
        with pytest.raises(EngineUnavailable, match="tried again in 60 s"):
            await hear(host, "hello", "whisper")
        assert host.status.out_of_memory == 1
        assert await hear(host, "hello")


# No crash loop


async def test_a_model_that_kills_the_process_is_left_out_after_the_second_time(tmp_path: Path) -> None:
    (tmp_path / "parakeet").write_text("crash")
    async with serving(hosted("parakeet", path=tmp_path / "parakeet"), hosted("kokoro", 2)) as host:
        assert host.status.restarts == 2
        assert await speak(host, "I am here") == [b"I", b"am", b"here"]
        with pytest.raises(EngineUnavailable, match="SIGSEGV"):
            await host.speech_to_text("parakeet").load()
        with pytest.raises(EngineUnavailable, match=r"SIGSEGV.*tried again in"):
            await hear(host, "hello")
        assert host.status.restarts == 2
        await host.text_to_speech("kokoro").load()


async def test_a_model_that_cannot_be_loaded_leaves_the_others_serving(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "parakeet").write_text("missing")
    async with serving(hosted("parakeet", path=tmp_path / "parakeet"), hosted("kokoro", 2)) as host:
        with pytest.raises(EngineUnavailable, match="weights are missing: barnabeenet-sidecar models pull it"):
            await host.speech_to_text("parakeet").load()
        assert await speak(host, "I am here")
        assert host.status.ready
    assert "parakeet is not loaded: the weights are missing" in caplog.text


async def test_new_files_that_kill_the_process_are_given_up_and_the_old_ones_serve_again(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("crash")
    async with serving() as host:
        with pytest.raises(EngineUnavailable, match=r"parakeet-gpu cannot be loaded .*SIGSEGV"):
            await host.replace(hosted("parakeet", path=tmp_path / "new"))
        await host.until_ready()
        assert await hear(host, "hello")
        assert host.status.restarts == 1
        assert host.status.claimed_mb == 8000


# The GPU


async def check(host: EngineHost) -> None:
    assert host._watchdog is not None
    await host._watchdog.check()


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_lost_gpu_is_not_used_any_more_and_the_processor_takes_over(
    hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "CHECK_S", 3600)
    monkeypatch.setattr(watchdog, "COOLDOWN_S", 0)
    gpu = PlayedGpu()
    async with serving(gpu=gpu) as host:
        assert host._watchdog is not None
        host._watchdog._read_s = 0.2 if hangs else 30
        assert (host.status.device, host.status.on_cpu, host.status.budget_mb) == ("cuda", False, 9500)
        gpu.lost = not hangs
        if hangs:
            gpu.gate.clear()
        await check(host)
        assert not host.status.ready
        await host.until_ready()
        assert await hear(host, "hello")
        status = host.status
        assert (status.device, status.on_cpu, status.claimed_mb, status.budget_mb) == ("cpu", True, 0, 0)
        assert status.loaded == ["parakeet-cpu", "kokoro-cpu"]
        assert status.actions[Action.TO_CPU] == 1
        gpu.lost = False
        gpu.gate.set()
        host._watchdog._read_s = 30
        await check(host)
        await host.until_ready()
        assert host.status.loaded == ["parakeet-gpu", "kokoro-gpu"]
        assert (host.status.on_cpu, host.status.claimed_mb) == (False, 8000)


async def test_full_memory_unloads_the_less_important_then_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "CHECK_S", 3600)
    gpu = PlayedGpu()
    async with serving(hosted("parakeet", 1), hosted("kokoro", 2), gpu=gpu) as host:
        before, gpu.used_mb = host.pid, 9900
        await check(host)
        assert host.status.loaded == ["parakeet-gpu"]
        await check(host)
        await host.until_ready()
        assert host.pid != before
        assert host.status.actions == {Action.UNLOAD: 1, Action.RESTART: 1}


@pytest.mark.parametrize("gpu", [None, "lost"])
async def test_without_a_gpu_all_runs_on_the_processor_unwatched(gpu: str | None) -> None:
    played = PlayedGpu()
    played.lost = True
    async with serving(gpu=played if gpu else None) as host:
        assert host.status.on_cpu
        assert host.status.loaded == ["parakeet-cpu", "kokoro-cpu"]
        assert host.status.claimed_mb == 0
        assert host._watchdog is None


# Two hundred rounds


async def _lane(rounds: int, faults: Sequence[str]) -> None:
    # A child that is well may be silent for more than a second: many of them start at a time here.
    async with serving(hosted("parakeet"), hosted("kokoro"), gpu=None, device="cuda", beat_s=0.3) as host:
        for round_ in range(rounds):
            with pytest.raises(SidecarError):
                await hear(host, faults[round_ % len(faults)])
            await host.until_ready()
            assert await hear(host, "hello")
            assert host.status.claimed_mb <= 8000
        await speak(host, "end")
        assert host.status.claimed_mb == 8000


@pytest.mark.timeout(600)
async def test_two_hundred_rounds_leave_nothing_behind(
    caplog: pytest.LogCaptureFixture, own_threads: Callable[[], set[threading.Thread]]
) -> None:
    caplog.set_level(logging.CRITICAL, "barnabeenet_sidecar")
    await _lane(3, ["kill"])  # what is made once is made
    fds, threads = psutil.Process().num_fds(), own_threads()
    async with asyncio.timeout(500):
        await asyncio.gather(*(_lane(50, ["kill", "out of memory", "hang", "kill"]) for _ in range(4)))
    assert not children()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert psutil.Process().num_fds() <= fds
    assert own_threads() <= threads


@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGSTOP])
async def test_real_engines_are_back_within_five_seconds(host: EngineHost, signal_: signal.Signals) -> None:
    for _ in range(2):
        recognition = await host.speech_to_text("parakeet").recognise("en", None)
        recognition.feed(os.urandom(640_000))
        assert host.pid is not None
        began = time.monotonic()
        os.kill(host.pid, signal_)
        with pytest.raises(EngineFailed, match="the engine process"):
            await recognition.decode()
        await recognition.close()
        await host.until_ready()
        recognition = await host.speech_to_text("parakeet").recognise("en", None)
        recognition.feed(os.urandom(32_000))
        assert (await recognition.decode()).text
        await recognition.close()
        assert time.monotonic() - began < 5
