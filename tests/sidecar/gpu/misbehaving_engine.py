"""A child process of the tests: an engine that does whatever a broken one may do. Run as a script by its path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
import os
from pathlib import Path
import resource
import signal
import sys
import threading
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "sidecar"))

from barnabeenet_sidecar.errors import BadRequest, SidecarError
from barnabeenet_sidecar.gpu.child_host import run
from barnabeenet_sidecar.gpu.child_protocol import Answer
from barnabeenet_sidecar.telemetry.request_log import fields

made: list[int] = []
cancelled: list[bool] = []


async def echo(value: Mapping[str, Any], payload: bytes) -> Answer:
    return Answer(value, payload)


async def count(value: Mapping[str, Any], _: bytes) -> AsyncGenerator[Answer, None]:
    try:
        for number in range(value["to"]):
            made.append(number)
            yield Answer({"number": number}, bytes(value.get("bytes", 0)))
            await asyncio.sleep(value.get("every_s", 0))
    except (asyncio.CancelledError, GeneratorExit):
        cancelled.append(True)
        raise


async def tally(_: Mapping[str, Any], __: bytes) -> Answer:
    return Answer({"made": len(made), "cancelled": len(cancelled)})


async def sleep_for_ever(_: Mapping[str, Any], __: bytes) -> Answer:
    await asyncio.Event().wait()
    raise AssertionError


async def ignore_cancellation(_: Mapping[str, Any], __: bytes) -> Answer:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def hang_in_thread(_: Mapping[str, Any], __: bytes) -> Answer:
    await asyncio.to_thread(threading.Event().wait)
    raise AssertionError


async def hang(_: Mapping[str, Any], __: bytes) -> Answer:
    threading.Event().wait()
    raise AssertionError


async def block(value: Mapping[str, Any], _: bytes) -> Answer:
    threading.Event().wait(value["for_s"])
    return Answer()


async def leave(value: Mapping[str, Any], _: bytes) -> Answer:
    os._exit(value["status"])


async def crash(_: Mapping[str, Any], __: bytes) -> Answer:
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


async def run_out_of_memory(_: Mapping[str, Any], __: bytes) -> Answer:
    raise MemoryError("CUDA error 2")


async def allocate(_: Mapping[str, Any], __: bytes) -> Answer:
    limit = 512 * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return Answer({}, bytes(2 * limit))


async def refuse(value: Mapping[str, Any], _: bytes) -> Answer:
    raise BadRequest(value["text"])


async def fail_oddly(_: Mapping[str, Any], __: bytes) -> Answer:
    class Odd(SidecarError):
        pass

    raise Odd("never heard of")


async def break_down(_: Mapping[str, Any], __: bytes) -> Answer:
    raise ZeroDivisionError("over a cliff")


async def chatter(_: Mapping[str, Any], payload: bytes) -> Answer:
    print("loading model: 100 %", flush=True)
    os.write(1, b"a library speaks\n")
    return Answer({}, payload)


async def answer_too_much(_: Mapping[str, Any], __: bytes) -> Answer:
    return Answer({}, bytes(9 * 1024 * 1024))


async def about(_: Mapping[str, Any], __: bytes) -> Answer:
    return Answer(fields())


async def pid(_: Mapping[str, Any], __: bytes) -> Answer:
    return Answer({"pid": os.getpid()})


if __name__ == "__main__":
    methods = (
        *(echo, count, tally, sleep_for_ever, ignore_cancellation, hang_in_thread, hang, block, leave, crash, pid),
        *(run_out_of_memory, allocate, refuse, fail_oddly, break_down, chatter, answer_too_much, about),
    )
    run({method.__name__: method for method in methods})
