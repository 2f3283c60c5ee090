"""Log lines: readable, on stderr, no louder than asked for, and one object each where a program reads them."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import subprocess
import sys

import pytest

from barnabeenet_sidecar.telemetry import logs

LIBRARIES = ("asyncio", "aiohttp.access", "zeroconf")
pytestmark = pytest.mark.usefixtures("restored_log")


def test_a_line_has_time_level_component_and_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text")
    logging.getLogger("barnabeenet_sidecar.app").info("ready after %.1f s", 1.25)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO    barnabeenet_sidecar\.app: ready after 1\.2 s\n", captured.err
    )


@pytest.mark.parametrize(
    ("level", "shown"),
    [("debug", ["d", "i", "w", "e"]), ("info", ["i", "w", "e"]), ("warning", ["w", "e"]), ("error", ["e"])],
)
def test_nothing_below_the_level_is_shown(level: str, shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level, "text")
    logger = logging.getLogger("barnabeenet_sidecar.net")
    logger.debug("d")
    logger.info("i")
    logger.warning("w")
    logger.error("e")
    assert [line[-1] for line in capsys.readouterr().err.splitlines()] == shown


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_are_heard_from_warnings_on(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug")
    logging.getLogger(name).info("a detail")
    logging.getLogger(name).warning("a trouble")
    err = capsys.readouterr().err
    assert "a detail" not in err
    assert "a trouble" in err


def test_a_quiet_log_keeps_libraries_quiet_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("error")
    logging.getLogger("zeroconf").warning("a trouble")
    assert capsys.readouterr().err == ""


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_for_programs_each_line_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logging.getLogger("barnabeenet_sidecar.app").info("ready after %.1f s", 1.25)
    logging.getLogger("somebody.else").warning("two\nlines and an \u00e9")
    first, second = logged(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(first.pop("timestamp")))
    assert first == {"level": "info", "component": "app", "message": "ready after 1.2 s"}
    assert (second["component"], second["message"]) == ("somebody.else", "two\\nlines and an \u00e9")


def test_what_a_line_says_of_itself_stands_in_its_object(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logging.getLogger("barnabeenet_sidecar.net").info("decoded", extra={"stage": "decode", "latency_ms": 12.5})
    [line] = logged(capsys)
    assert (line["stage"], line["latency_ms"]) == ("decode", 12.5)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nobody_can_write_a_line_of_their_own_into_the_log(
    log_format: logs.Format, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("info", log_format)
    logging.getLogger("barnabeenet_sidecar").info(
        "it sent %s", "a\r\n2026-01-01 00:00:00 ERROR \x1b[2J\u2028" + "x" * 99_999
    )
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "\x1b" not in err
    assert len(err) < 10_000


def test_without_a_choice_a_terminal_gets_text_and_a_pipe_gets_objects() -> None:
    code = "import logging; from barnabeenet_sidecar.telemetry import logs; logs.configure('info'); logging.error('x')"
    piped = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=True).stderr
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 4096)
    os.close(ours)
    assert json.loads(piped)["message"] == "x"
    assert shown.endswith(b"ERROR   root: x\r\n")


def test_a_log_may_be_changed_at_any_time(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("error", "text")
    logger = logging.getLogger("barnabeenet_sidecar.app")
    logger.info("unheard")
    logs.configure("debug", "json")
    logger.debug("heard")
    assert [line["message"] for line in logged(capsys)] == ["heard"]
    assert len(logging.getLogger().handlers) == 1


@pytest.mark.parametrize("log_content", [True, False])
def test_a_child_process_logs_as_its_parent(log_content: bool) -> None:
    logs.configure("debug", "json", log_content=log_content)
    code = (
        "import logging; from barnabeenet_sidecar.telemetry import logs; from barnabeenet_sidecar.telemetry.content "
        "import Content; logs.configure_child(); "
        "logging.getLogger('barnabeenet_sidecar.engines').debug('heard %s', Content('the attic'))"
    )
    environment = logs.child_environment()
    err = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, env=environment, check=True).stderr
    line = json.loads(err)
    assert (line["level"], line["component"]) == ("debug", "engines")
    assert line["message"] == ("heard the attic" if log_content else "heard (9 characters)")


def test_a_child_of_nobody_logs_warnings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("BARNABEENET_CHILD_LOG", raising=False)
    logs.configure_child()
    logging.getLogger("barnabeenet_sidecar").info("unheard")
    logging.getLogger("barnabeenet_sidecar").warning("heard")
    assert capsys.readouterr().err.endswith("WARNING barnabeenet_sidecar: heard\n")
