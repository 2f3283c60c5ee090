"""Each line of the log says which request it is about; one line says how it ended."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

import pytest

from barnabeenet_sidecar.telemetry import logs
from barnabeenet_sidecar.telemetry.metrics import RequestMeter
from barnabeenet_sidecar.telemetry.request_log import carried, fields, request_log, session_of

pytestmark = pytest.mark.usefixtures("restored_log")

LOGGER = logging.getLogger("barnabeenet_sidecar.engines")


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


async def test_every_line_of_a_request_carries_it_wherever_it_is_worked_on(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")

    async def one(trace_id: str) -> None:
        with request_log("synthesize", RequestMeter(), session="5e55", trace_id=trace_id):
            await asyncio.sleep(0)
            LOGGER.info("here %s", trace_id)
            await asyncio.to_thread(LOGGER.info, "thread %s", trace_id)
            await asyncio.create_task(tell(trace_id))

    async def tell(trace_id: str) -> None:
        LOGGER.info("task %s", trace_id)

    await asyncio.gather(one("first"), one("second"))
    LOGGER.info("outside")
    *inside, outside = logged(capsys)
    assert len(inside) == 8
    for line in inside:
        assert (line["kind"], line["session"]) == ("synthesize", "5e55")
        assert line["component"] == "request" or line["message"].endswith(line["trace_id"])
    assert not {"kind", "session", "trace_id"} & set(outside)


def test_the_end_of_a_request_has_its_outcome_its_latency_and_its_stages(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    meter = RequestMeter()
    began_s = time.perf_counter()
    with request_log("transcribe", meter, session="5e55", trace_id="abc"):
        meter.stages = {"speech": 700.04, "decode": 12.26}
    took_ms = (time.perf_counter() - began_s) * 1000
    [line] = logged(capsys)
    assert line["component"] == "request"
    assert (line["kind"], line["outcome"], line["trace_id"]) == ("transcribe", "ok", "abc")
    assert line["stages"] == {"speech": 700.0, "decode": 12.3}
    assert 0 <= line["latency_ms"] <= took_ms + 0.1
    assert "error" not in line


def test_a_failed_request_has_the_code_of_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    meter = RequestMeter()
    with request_log("transcribe", meter, session="5e55", trace_id=None):
        meter.outcome = "engine-failed"
    [line] = logged(capsys)
    assert (line["outcome"], line["error"]) == ("failed", "engine-failed")
    assert "trace_id" not in line


async def test_a_request_that_is_stopped_ends_with_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text")

    async def work() -> None:
        meter = RequestMeter()
        with request_log("synthesize", meter, session="5e55", trace_id="abc"):
            meter.outcome = "stopped"
            started.set()
            await asyncio.Event().wait()

    started = asyncio.Event()
    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    err = capsys.readouterr().err
    assert "request: synthesize: stopped after " in err
    assert err.endswith("[kind=synthesize session=5e55 trace_id=abc]\n")


def test_what_a_parent_hands_over_is_carried_in_another_process(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    with request_log("transcribe", RequestMeter(), session="5e55", trace_id="abc"):
        handed = fields()
    assert handed == {"kind": "transcribe", "session": "5e55", "trace_id": "abc"}
    capsys.readouterr()
    with carried(handed):
        LOGGER.info("inside")
    with carried(fields()):
        LOGGER.info("nothing was handed over")
    inside, outside = logged(capsys)
    assert inside["trace_id"] == "abc"
    assert "kind" not in outside


def test_a_session_names_no_home() -> None:
    assert session_of("Villa Kunterbunt") == session_of("Villa Kunterbunt") != session_of("Villa")
    assert len(session_of("Villa Kunterbunt")) == 8
    assert session_of(None) == "plain"
