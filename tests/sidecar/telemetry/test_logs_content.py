"""What is a home's own is not in the log, unless the operator asks for it."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from barnabeenet_sidecar.telemetry import logs
from barnabeenet_sidecar.telemetry.content import Content

pytestmark = pytest.mark.usefixtures("restored_log")

LOGGER = logging.getLogger("barnabeenet_sidecar.engines")
SECRET = "grandma's attic lamp"


class Missing(LookupError):
    """An error with words of its own."""


def err(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        (SECRET, "(20 characters)"),
        (SECRET.encode(), "(20 bytes)"),
        ([SECRET, SECRET], "(2 entries)"),
        ({"text": SECRET}, "(1 fields)"),
        (KeyError(SECRET), "KeyError (22 characters)"),
    ],
    ids=["text", "bytes", "list", "object", "error"],
)
def test_content_reads_as_its_size(value: object, redacted: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "text")
    LOGGER.debug("heard %s, or %r, or %s", Content(value), Content(value), f"{Content(value)}")
    assert err(capsys).endswith(f"heard {redacted}, or {redacted}, or {redacted}\n")


@pytest.mark.parametrize("value", [SECRET, [SECRET], {"text": SECRET}, KeyError(SECRET)])
def test_content_is_shown_to_whoever_asks_for_it(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "text", log_content=True)
    LOGGER.debug("heard %s", Content(value))
    assert SECRET in err(capsys)


def test_a_long_text_that_is_shown_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "text", log_content=True)
    LOGGER.debug("heard %s", Content("x" * 100_000))
    assert len(err(capsys)) < 3000


def test_content_is_hidden_again_when_the_log_is_changed(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "text", log_content=True)
    logs.configure("debug", "text", log_content=False)
    LOGGER.debug("heard %s", Content(SECRET))
    assert SECRET not in err(capsys)


def test_a_line_that_cannot_be_formatted_shows_no_content_either(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", True)
    logs.configure("debug", "text")
    LOGGER.debug("heard %d", Content(SECRET))
    text = err(capsys)
    assert "Logging error" in text
    assert SECRET not in text


def broken() -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        raise ExceptionGroup(SECRET, [Missing(SECRET), OSError(2, SECRET)]) from error


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_says_where_and_what_but_not_with_what(
    log_format: logs.Format, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("debug", log_format)
    try:
        broken()
    except ExceptionGroup:
        LOGGER.exception("it broke")
    text = err(capsys)
    assert "in broken" in text
    for name in ("KeyError", "ExceptionGroup", "Missing", "FileNotFoundError"):
        assert name in text
    assert SECRET not in text


def test_an_error_in_a_circle_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "text")
    first, second = KeyError(SECRET), Missing(SECRET)
    first.__context__, second.__context__ = second, first
    LOGGER.error("it broke", exc_info=first)
    assert err(capsys).count("Missing") == 1
    first.__context__ = None


@pytest.mark.parametrize("harmless", [True, False])
def test_an_error_has_its_words_when_content_is_asked_for_or_it_can_hold_none(
    harmless: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("debug", "text", log_content=not harmless)
    try:
        broken()
    except ExceptionGroup:
        LOGGER.exception("it broke", extra=logs.HARMLESS if harmless else None)
    assert SECRET in err(capsys)


def test_libraries_are_heard_from_warnings_on_as_they_may_quote_what_they_work_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("debug", "text")
    library = logging.getLogger("any_library")
    library.debug("speaks %s", SECRET)
    library.warning("is unwell")
    text = err(capsys)
    assert SECRET not in text
    assert "is unwell" in text
    logs.configure("debug", "text", log_content=True)
    library.debug("speaks %s", SECRET)
    assert SECRET in err(capsys)


async def fail() -> None:
    raise KeyError(SECRET)


async def test_what_asyncio_tells_of_a_lost_error_leaves_its_words_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text")
    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()
    asyncio.get_running_loop().call_soon(int, SECRET)
    await asyncio.sleep(0)
    text = err(capsys)
    assert "Task exception was never retrieved" in text
    assert "Exception in callback int" in text
    assert SECRET[:8] not in text
