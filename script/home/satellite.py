"""A voice satellite as people own: Home Assistant's own Wyoming integration talks to it and it keeps the timers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from wyoming.event import Event, async_read_event, async_write_event
from wyoming.info import Attribution, Describe, Info, Satellite
from wyoming.ping import Ping, Pong
from wyoming.timer import TimerCancelled, TimerFinished, TimerStarted, TimerUpdated

NAME = "Kitchen satellite"
INFO = Info(
    satellite=Satellite(
        name=NAME,
        attribution=Attribution(name="BarnabeeNet", url="https://github.com/BarnabeeNet"),
        installed=True,
        description="The demo home's microphone and speaker",
        version="1",
    )
)


class Timers:
    """The voice timers that the satellite was told of: their total seconds and whether they run."""

    def __init__(self) -> None:
        self._timers: dict[str, tuple[int, bool]] = {}

    def take(self, event: Event) -> None:
        """Follows one timer event."""
        if TimerStarted.is_type(event.type):
            started = TimerStarted.from_event(event)
            self._timers[started.id] = (started.total_seconds, True)
        elif TimerUpdated.is_type(event.type):
            updated = TimerUpdated.from_event(event)
            total_s, _ = self._timers[updated.id]
            self._timers[updated.id] = (total_s, updated.is_active)
        elif TimerCancelled.is_type(event.type):
            self._timers.pop(TimerCancelled.from_event(event).id, None)
        elif TimerFinished.is_type(event.type):
            self._timers.pop(TimerFinished.from_event(event).id, None)

    def describe(self) -> list[str]:
        """One text per timer, such as `300 s` or `300 s paused`, shortest first."""
        return [
            f"{total_s} s" if active else f"{total_s} s paused" for total_s, active in sorted(self._timers.values())
        ]


async def _converse(timers: Timers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while (event := await async_read_event(reader)) is not None:
            if Describe.is_type(event.type):
                await async_write_event(INFO.event(), writer)
            elif Ping.is_type(event.type):
                await async_write_event(Pong(text=Ping.from_event(event).text).event(), writer)
            else:
                timers.take(event)
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def satellite() -> AsyncIterator[tuple[int, Timers]]:
    """A satellite on 127.0.0.1: its port, and the timers it knows."""
    timers = Timers()
    server = await asyncio.start_server(partial(_converse, timers), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], timers
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()
