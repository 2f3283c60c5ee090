"""Reads a vendor's stream of events to its end, so that the connection can be used again; every event is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
import json
from typing import Any, Final, cast

import httpx

from . import faults
from .base import BadAnswer

EVENT_MAX_BYTES: Final = 1024 * 1024

_LAST: Final = b"[DONE]"
# The end of a response comes with its last event or right after it.
_DRAIN_S: Final = 0.1


async def events(response: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
    """The JSON objects of the events; raises ProviderError, also for an event that tells of an error."""
    lines: list[bytes] = []
    async with aclosing(_lines(response)) as incoming:
        async for line in incoming:
            if line.startswith(b"data:"):
                lines.append(line[5:].strip())
            elif not line and lines:
                data = b"\n".join(lines)
                lines.clear()
                if data == _LAST:
                    await _drain(incoming)
                    return
                yield _object(data)
    # The last event of some servers has no empty line after it.
    if lines and lines != [_LAST]:
        yield _object(b"\n".join(lines))


async def _lines(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    rest = b""
    async with aclosing(cast(AsyncGenerator[bytes, None], response.aiter_bytes())) as parts:
        while True:
            try:
                part = await anext(parts, None)
            except httpx.HTTPError as error:
                raise faults.of_network(error) from None
            if part is None:
                break
            *lines, rest = (rest + part).split(b"\n")
            if len(rest) > EVENT_MAX_BYTES:
                raise BadAnswer(f"It sent an event of more than {EVENT_MAX_BYTES // 1024} KiB")
            for line in lines:
                yield line.rstrip(b"\r")
    if rest:
        yield rest.rstrip(b"\r")


async def _drain(incoming: AsyncGenerator[bytes, None]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            async for _ in incoming:
                pass


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise faults.not_understood(error) from None
    if not isinstance(found, dict):
        raise BadAnswer("It sent what is no answer (not a JSON object)")
    if found.get("error"):
        raise faults.of_event(found)
    return found
