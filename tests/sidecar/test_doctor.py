"""What the doctor finds, on this machine and on worse ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
import socket

import pytest

from barnabeenet_sidecar import app, doctor, system
from barnabeenet_sidecar.config import Settings, load
from barnabeenet_sidecar.doctor import Finding, can_serve, examine, render
from barnabeenet_sidecar.engines.espeak import Espeak
from barnabeenet_sidecar.errors import EngineUnavailable
from barnabeenet_sidecar.net.auth import load_or_create_token


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def make(**given: object) -> Settings:
        quiet = {"host": "127.0.0.1", "port": 0, "http_port": 0, "data_dir": tmp_path / "data", "stt_workers": 1}
        return load({**quiet, **given})

    return make


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


async def test_a_machine_that_can_serve_is_told_so_and_every_engine_is_named(settings: Callable[..., Settings]) -> None:
    findings = await examine(settings())
    assert can_serve(findings)
    found = by_subject(findings)
    assert found["speech recognition"].detail.startswith("pocketsphinx")
    assert found["voice activity detection"].detail.startswith("silero")
    assert found["processor"].state == "ok"
    assert {"memory", "GPU", "clock", "data folder", "token", "port", "http_port"} <= found.keys()
    assert "plain_port" not in found


async def test_the_doctor_changes_nothing(settings: Callable[..., Settings], tmp_path: Path) -> None:
    await examine(settings())
    assert list(tmp_path.iterdir()) == []


async def test_a_missing_voice_keeps_the_sidecar_from_serving(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_there(_self: Espeak) -> None:
        raise EngineUnavailable("espeak-ng cannot be loaded")

    monkeypatch.setattr(Espeak, "load", nothing_there)
    findings = await examine(settings(tts="espeak"))
    voice = by_subject(findings)["speech synthesis"]
    assert voice.state == "missing"
    assert "espeak-ng cannot be loaded" in voice.detail
    assert voice.advice
    assert not can_serve(findings)


async def test_a_voice_that_is_left_out_is_a_warning(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    findings = await examine(settings(tts="flite"))
    left_out = next(finding for finding in findings if finding.subject == "flite")
    assert left_out.state == "warning"
    assert "apt-get install flite" in left_out.detail
    assert can_serve(findings)


async def test_a_missing_ear_for_wake_words_is_only_a_warning(settings: Callable[..., Settings]) -> None:
    if find_spec("openwakeword"):
        pytest.skip("openWakeWord is installed here")
    findings = await examine(settings(wake="openwakeword"))
    assert by_subject(findings)["wake word detection"].state == "warning"
    assert can_serve(findings)


async def test_a_port_that_is_taken_is_told_with_its_holder_and_the_way_out(
    settings: Callable[..., Settings], taken_port: int
) -> None:
    findings = await examine(settings(plain_port=taken_port))
    port = by_subject(findings)["plain_port"]
    assert port.state == "missing"
    assert "process" in port.detail
    assert "--plain-port" in port.advice
    assert not can_serve(findings)


def test_a_sidecar_that_already_runs_is_nothing_to_worry_about(
    monkeypatch: pytest.MonkeyPatch, taken_port: int
) -> None:
    monkeypatch.setattr(system, "listener_of", lambda _port: "python barnabeenet-sidecar serve (process 7)")
    finding = doctor._port("127.0.0.1", "port", taken_port)
    assert finding.state == "ok"
    assert "process 7" in finding.detail


def test_a_token_that_others_may_read_is_a_warning_with_the_command_that_mends_it(
    settings: Callable[..., Settings],
) -> None:
    path = app.token_path(settings())
    token = load_or_create_token(path)
    assert by_subject(doctor._storage(settings()))["token"].state == "ok"
    path.chmod(0o644)
    finding = by_subject(doctor._storage(settings()))["token"]
    assert finding.state == "warning"
    assert f"chmod 600 {path}" in finding.advice
    assert token not in finding.detail


def test_a_data_folder_that_cannot_be_is_missing(settings: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    findings = doctor._storage(settings(data_dir=tmp_path / "file" / "data"))
    assert [(finding.subject, finding.state) for finding in findings] == [("data folder", "missing")]


def test_little_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "memory_bytes", lambda: (2 * 10**9, 3 * 10**8))
    memory = by_subject(doctor._machine())["memory"]
    assert (memory.state, memory.detail) == ("warning", "0.3 of 2.0 GB free")


def test_unknown_memory_is_not_guessed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "memory_bytes", lambda: None)
    assert "memory" not in by_subject(doctor._machine())


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [(["NVIDIA RTX 4080, 16376 MiB, 570.1"], "RTX 4080"), ([], "none found"), (None, "none found")],
)
def test_a_gpu_is_named_and_none_is_no_fault(gpus: list[str] | None, expected: str) -> None:
    finding = doctor._gpu(gpus)
    assert finding.state == "ok"
    assert expected in finding.detail


@pytest.mark.parametrize(
    ("year", "synchronised", "state"),
    [(2026, True, "ok"), (2026, None, "ok"), (2027, False, "warning"), (1970, True, "warning")],
)
def test_a_clock_is_doubted_when_it_is_wrong_or_follows_nobody(
    year: int, synchronised: bool | None, state: str
) -> None:
    assert doctor._clock(datetime(year, 12, 1, tzinfo=UTC), synchronised).state == state


def test_the_table_has_the_advice_below_what_needs_it_and_the_verdict_at_its_end() -> None:
    table = render(
        [
            Finding("memory", "ok", "4.0 of 8.0 GB free"),
            Finding("speech synthesis", "missing", "flite: there is no flite here", "install flite"),
        ]
    )
    assert table.splitlines() == [
        "memory            ok       4.0 of 8.0 GB free",
        "speech synthesis  missing  flite: there is no flite here",
        "                           -> install flite",
        "",
        "It cannot serve yet: see what is missing above.",
    ]


def test_a_long_reason_is_wrapped_under_its_column() -> None:
    lines = render([Finding("GPU", "ok", "word " * 60)]).splitlines()
    assert len(lines) > 3
    assert all(len(line) <= 100 for line in lines)
    assert all(line.startswith(" " * 14) for line in lines[1:-2])


def test_warnings_do_not_keep_it_from_serving() -> None:
    assert can_serve([Finding("clock", "warning", "x"), Finding("GPU", "ok", "y")])
    assert not can_serve([Finding("port", "missing", "x")])
