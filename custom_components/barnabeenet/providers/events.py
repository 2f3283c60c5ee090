"""Reads a vendor's stream of events to its end, so that the connection can be used again; every event is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
import json
from typing import Any, Final, TypeVar

import httpx

from . import faults
from .base import BadAnswer, Meter, ProviderError, TimedOut, Truncated

_T = TypeVar("_T")

EVENT_MAX_BYTES: Final = 1024 * 1024
EVENTS_MAX_BYTES: Final = 4 * 1024 * 1024

_LAST: Final = b"[DONE]"
# The end of a response comes with its last event or right after it.
_DRAIN_S: Final = 0.1


async def sent(ask: Callable[[], Awaitable[_T]], meter: Meter) -> _T:
    """What asking gives, the beginning of an answer; raises ProviderError. The meter learns whether it may cost."""
    meter.sent = True
    try:
        try:
            return await ask()
        except Truncated:
            # The vendor had given up an idle connection, which nobody knows before it is used.
            return await ask()
    except TimedOut:
        raise
    except ProviderError:
        # No vendor takes money for an error.
        meter.sent = False
        raise


async def events(response: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
    """The JSON objects of the events; raises ProviderError, also for an event that tells of an error.

    It reads ahead: a vendor need not wait while somebody speaks.
    """
    read: asyncio.Queue[dict[str, Any] | ProviderError | None] = asyncio.Queue()
    reader = asyncio.create_task(_read(response, read), name="barnabeenet answer")
    reader.add_done_callback(lambda _: read.put_nowait(None))
    try:
        while (item := await read.get()) is not None:
            if isinstance(item, ProviderError):
                raise item
            yield item
        await reader
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def _read(response: httpx.Response, read: asyncio.Queue[dict[str, Any] | ProviderError | None]) -> None:
    """Puts down what comes. It leaves only at the end or when it is cancelled: what is left half read lingers."""
    decoder = _Decoder()
    parts = aiter(response.aiter_bytes())
    try:
        while not decoder.is_done and (part := await anext(parts, None)) is not None:
            for item in decoder.items(part):
                read.put_nowait(item)
        for item in decoder.items(b"\n\n"):
            read.put_nowait(item)
        async with asyncio.timeout(_DRAIN_S if decoder.is_well else None):
            while await anext(parts, None) is not None:
                pass
    except httpx.HTTPError as error:
        read.put_nowait(faults.of_network(error))
    except TimeoutError:
        # The connection cannot be used again, and that is all.
        return


class _Decoder:
    """From bytes to objects; after `[DONE]` and after an error there is nothing more."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._bytes = 0
        self.is_done = False
        self.is_well = True

    def items(self, part: bytes) -> list[dict[str, Any] | ProviderError]:
        """What is whole now; an error comes last."""
        found: list[dict[str, Any] | ProviderError] = []
        if self.is_done:
            return found
        self._bytes += len(part)
        *lines, self._rest = (self._rest + part).split(b"\n")
        try:
            self._check_size()
            for line in lines:
                found.extend(self._take(line.rstrip(b"\r")))
        except ProviderError as error:
            found.append(error)
            self.is_done, self.is_well = True, False
        return found

    def _check_size(self) -> None:
        if len(self._rest) > EVENT_MAX_BYTES:
            raise BadAnswer(f"It sent an event of more than {EVENT_MAX_BYTES // 1024} KiB")
        if self._bytes > EVENTS_MAX_BYTES:
            raise BadAnswer(f"The answer is larger than {EVENTS_MAX_BYTES // 1024 // 1024} MiB")

    def _take(self, line: bytes) -> list[dict[str, Any]]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].strip())
            return []
        if line or not self._data or self.is_done:
            return []
        data = b"\n".join(self._data)
        self._data.clear()
        if data == _LAST:
            self.is_done = True
            return []
        return [_object(data)]


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
