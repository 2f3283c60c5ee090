"""Settings that change while the sidecar serves: a bad file changes nothing, a good one what it can."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
import logging
import os
from pathlib import Path
import re
import signal
import sys

import pytest

from barnabeenet_sidecar.config import Settings, load
from barnabeenet_sidecar.config_changes import changes_of
from barnabeenet_sidecar.errors import EngineUnavailable
from barnabeenet_sidecar.reload import Reloader


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine that runs the tests reaches them."""
    for field in Settings.model_fields:
        monkeypatch.delenv(f"BARNABEENET_{field.upper()}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "sidecar.toml"
    path.write_text('log_level = "info"\n')
    return path


class Applied:
    """What was applied, in order; `refuses` says which names cannot be."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.refuses: dict[str, Exception] = {}

    async def __call__(self, settings: Settings) -> None:
        self.names.append(settings.name)
        if error := self.refuses.get(settings.name):
            raise error


@pytest.fixture
def reloader(config_file: Path) -> Reloader:
    config_file.write_text('name = "Beast"\n')
    return Reloader(load(config_file=config_file), lambda: load(config_file=config_file))


@pytest.fixture
def applied(reloader: Reloader) -> Applied:
    applied = Applied()
    reloader.on(("name",), applied)
    return applied


async def test_a_file_that_says_the_same_changes_nothing(reloader: Reloader, applied: Applied) -> None:
    before = reloader.settings
    assert reloader.reloaded_at is None
    assert await reloader.reload() == "unchanged"
    assert reloader.settings == before
    assert reloader.reloaded_at is not None
    assert applied.names == []


async def test_what_has_changed_is_applied(reloader: Reloader, applied: Applied, config_file: Path) -> None:
    config_file.write_text('name = "Cellar"\n')
    assert await reloader.reload() == "applied"
    assert applied.names == ["Cellar"]
    assert reloader.settings.name == "Cellar"
    assert (reloader.last_error, reloader.awaiting_restart) == (None, ())
    assert await reloader.reload() == "unchanged"


async def test_a_bad_file_is_refused_as_a_whole_with_its_errors(
    reloader: Reloader, applied: Applied, config_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config_file.write_text('name = "Cellar"\nlog_level = "loud"\nport = -1\n')
    assert await reloader.reload() == "refused"
    assert applied.names == []
    assert reloader.settings.name == "Beast"
    assert "log_level is 'loud'" in (reloader.last_error or "")
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [text.split(": ", 1)[1].split(" is")[0] for text in errors] == ["port", "log_level"]
    config_file.write_text('name = "Cellar"\n')
    assert await reloader.reload() == "applied"
    assert reloader.last_error is None


async def test_a_file_that_has_gone_is_refused(reloader: Reloader, applied: Applied, config_file: Path) -> None:
    config_file.unlink()
    assert await reloader.reload() == "refused"
    assert reloader.settings.name == "Beast"


async def test_what_needs_a_restart_is_named_and_stays(
    reloader: Reloader, applied: Applied, config_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config_file.write_text('name = "Cellar"\nport = 7000\nhost = "127.0.0.1"\n')
    assert await reloader.reload() == "applied"
    assert (reloader.settings.name, reloader.settings.port) == ("Cellar", 10800)
    assert reloader.awaiting_restart == ("host", "port")
    [warning] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning == "for these settings restart the sidecar: host, port"
    config_file.write_text('name = "Cellar"\n')
    await reloader.reload()
    assert reloader.awaiting_restart == ()


@pytest.mark.parametrize("error", [EngineUnavailable("no such engine"), RuntimeError("odd")])
async def test_what_cannot_be_applied_stays_and_the_rest_goes_on(
    reloader: Reloader, applied: Applied, config_file: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    levels = []

    async def set_level(settings: Settings) -> None:
        levels.append(settings.log_level)

    reloader.on(("log_level",), set_level)
    applied.refuses["Cellar"] = error
    config_file.write_text('name = "Cellar"\nlog_level = "debug"\n')
    assert await reloader.reload() == "rolled_back"
    assert applied.names == ["Cellar"]
    assert levels == ["debug"]
    assert (reloader.settings.name, reloader.settings.log_level) == ("Beast", "debug")
    assert (reloader.last_error or "").startswith("name = 'Cellar': ")
    lines = [record.getMessage() for record in caplog.records if "cannot set" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].endswith("; name = 'Beast' stays")


async def test_every_outcome_is_told_to_whoever_counts(reloader: Reloader, config_file: Path) -> None:
    outcomes: list[str] = []
    reloader.observe(outcomes.append)
    await reloader.reload()
    config_file.write_text("name = 5")
    await reloader.reload()
    assert outcomes == ["unchanged", "refused"]


async def test_readings_do_not_overtake_each_other(reloader: Reloader, config_file: Path) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()
    order: list[str] = []

    async def slowly(settings: Settings) -> None:
        order.append(settings.name)
        entered.set()
        await leave.wait()
        order.append(settings.name)

    reloader.on(("name",), slowly)
    config_file.write_text('name = "first"\n')
    first = asyncio.create_task(reloader.reload())
    await entered.wait()
    config_file.write_text('name = "second"\n')
    second = asyncio.create_task(reloader.reload())
    leave.set()
    await asyncio.gather(first, second)
    assert order == ["first", "first", "second", "second"]


# When it is read


@pytest.fixture
async def outcomes(reloader: Reloader) -> asyncio.Queue[str]:
    queue: asyncio.Queue[str] = asyncio.Queue()
    reloader.observe(queue.put_nowait)
    return queue


async def next_of(outcomes: asyncio.Queue[str]) -> str:
    async with asyncio.timeout(20):
        return await outcomes.get()


async def test_a_hangup_has_the_file_read_again_changed_or_not(
    reloader: Reloader, outcomes: asyncio.Queue[str], config_file: Path
) -> None:
    with changes_of(config_file) as changes:
        async with reloader.following(changes):
            os.kill(os.getpid(), signal.SIGHUP)
            assert await next_of(outcomes) == "unchanged"
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux tells of changes")
@pytest.mark.parametrize("how", ["written", "replaced"])
async def test_a_file_that_changes_is_read_again_by_itself(
    reloader: Reloader, applied: Applied, outcomes: asyncio.Queue[str], config_file: Path, how: str
) -> None:
    with changes_of(config_file) as changes:
        async with reloader.following(changes):
            # Neither is of any concern.
            (config_file.parent / "another.toml").write_text('name = "Attic"\n')
            config_file.write_text('name = "Beast"\n')
            if how == "written":
                config_file.write_text('name = "Cellar"\n')
            else:
                (config_file.parent / "new.toml").write_text('name = "Cellar"\n')
                (config_file.parent / "new.toml").replace(config_file)
            assert await next_of(outcomes) == "applied"
    assert applied.names == ["Cellar"]
    assert outcomes.empty()


async def test_a_folder_that_is_not_there_costs_the_watch_alone(
    reloader: Reloader, outcomes: asyncio.Queue[str], tmp_path: Path
) -> None:
    with changes_of(tmp_path / "nowhere" / "sidecar.toml") as changes:
        async with reloader.following(changes):
            changes.ask()
            assert await next_of(outcomes) == "unchanged"


async def test_a_reading_that_breaks_is_not_the_last(config_file: Path) -> None:
    readings = iter([ArithmeticError(), load(config_file=config_file)])
    broken = asyncio.Event()

    def read() -> Settings:
        if isinstance(reading := next(readings), Settings):
            return reading
        loop.call_soon_threadsafe(broken.set)
        raise reading

    loop = asyncio.get_running_loop()
    reloader = Reloader(load(config_file=config_file), read)
    outcomes: asyncio.Queue[str] = asyncio.Queue()
    reloader.observe(outcomes.put_nowait)
    with changes_of(config_file) as changes:
        async with reloader.following(changes):
            changes.ask()
            await broken.wait()
            changes.ask()
            assert await next_of(outcomes) == "unchanged"


# A real sidecar


class Serving:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, text: str) -> str:
        assert self.process.stderr is not None
        async with asyncio.timeout(60):
            while line := (await self.process.stderr.readline()).decode():
                self.lines.append(line)
                if text in line:
                    return line
        raise AssertionError(f"it ended before {text!r}: {self.lines}")

    async def metrics(self) -> str:
        import aiohttp

        line = next(line for line in self.lines if "(http_port)" in line)
        port = line.split("port ")[1].split()[0]
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as response:
            return await response.text()


@pytest.fixture
async def serving(config_file: Path, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[Serving]]]:
    started: list[Serving] = []

    async def start() -> Serving:
        settings = {"HOST": "127.0.0.1", "PORT": "0", "HTTP_PORT": "0", "STT_WORKERS": "1", "LOG_FORMAT": "text"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "barnabeenet_sidecar", "serve", "--config", str(config_file)),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            env={**os.environ, **{f"BARNABEENET_{name}": value for name, value in settings.items()}},
            cwd=tmp_path,
        )
        started.append(Serving(process))
        return started[-1]

    yield start
    for one in started:
        if one.process.returncode is None:
            one.process.kill()
        await one.process.communicate()


async def test_a_sidecar_serves_on_with_a_bad_file_and_takes_a_good_one(
    serving: Callable[[], Awaitable[Serving]], config_file: Path
) -> None:
    sidecar = await serving()
    await sidecar.until("pair with the token")
    config_file.write_text('log_level = "loud"\n')
    sidecar.process.send_signal(signal.SIGHUP)
    await sidecar.until(
        "ERROR   barnabeenet_sidecar.reload: the new settings are refused, those in force stay: log_level"
    )
    # Once for the signal, and perhaps once more for the file that was seen to change.
    assert re.search(r'barnabeenet_config_reloads_total\{outcome="refused"\} [12]\.0', await sidecar.metrics())
    config_file.write_text('log_level = "error"\nport = 1\n')
    sidecar.process.send_signal(signal.SIGHUP)
    config_file.write_text('log_level = "debug"\nlog_content = true\n')
    sidecar.process.send_signal(signal.SIGHUP)
    await sidecar.until("the log shows what is said")
    await sidecar.until("set log_level = 'debug', log_content = True")
    sidecar.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        await sidecar.process.communicate()
    assert sidecar.process.returncode == 0


async def test_a_sidecar_takes_another_name_other_engines_and_more_work_while_it_serves(
    serving: Callable[[], Awaitable[Serving]], config_file: Path
) -> None:
    sidecar = await serving()
    await sidecar.until("pair with the token")
    # Nobody tells it: it sees the file change.
    config_file.write_text('name = "Cellar"\nparallel = 4\ntts = "espeak"\ndata_dir = "/elsewhere"\n')
    await sidecar.until("for these settings restart the sidecar: data_dir")
    settled = [line.split(": ", 1)[1] for line in sidecar.lines if "reload: set " in line]
    assert sorted(settled) == ["set name = 'Cellar'\n", "set parallel = 4\n", "set tts = 'espeak'\n"]
    config_file.write_text('name = "Cellar"\nparallel = 4\ntts = "kokoro"\n')
    line = await sidecar.until("cannot set tts = 'kokoro'")
    assert line.endswith("; tts = 'espeak' stays\n")


async def test_a_hangup_while_it_still_starts_does_not_end_it(
    serving: Callable[[], Awaitable[Serving]], config_file: Path
) -> None:
    sidecar = await serving()
    await sidecar.until("(http_port)")
    sidecar.process.send_signal(signal.SIGHUP)
    await sidecar.until("pair with the token")
    await sidecar.until("nothing has changed")
