"""Log lines: readable, on stderr, and no louder than asked for."""

from __future__ import annotations

from collections.abc import Iterator
import logging
import re

import pytest

from barnabeenet_sidecar.telemetry import logs

LIBRARIES = ("asyncio", "aiohttp.access", "zeroconf")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_has_time_level_component_and_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
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
    logs.configure(level)
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
