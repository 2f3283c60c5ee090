"""What stands between two sides of the network when it is bad: a proxy that delays, slices, resets and swallows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import contextlib
import socket
import struct

import pytest

_READ_BYTES = 65_536


class FaultProxy:
    """Passes bytes between clients and a server on 127.0.0.1, as badly as its fields say; they may change at any time.

    `delay_s` is waited before each piece is passed on, pieces have at most `slice_bytes`, and when `reset_after_bytes`
    of the server's have passed on a connection it is reset.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.delay_s = 0.0
        self.slice_bytes = _READ_BYTES
        self.reset_after_bytes: int | None = None
        self.accepted = 0
        self._passing = asyncio.Event()
        self._passing.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        """Where clients are to connect."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def open(self) -> int:
        """How many connections it holds, on both sides."""
        return len(self._writers)

    def blackhole(self) -> None:
        """From now on connections stay open, new ones are taken, and nothing passes: not even the news of an end."""
        self._passing.clear()

    def heal(self) -> None:
        """Passes again what it has held back."""
        self._passing.set()

    def reset(self) -> None:
        """Resets all connections on both sides, as a router does that has forgotten them."""
        for writer in tuple(self._writers):
            _reset(writer)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        to_server = None
        try:
            await self._passing.wait()
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target_port)
            self._writers.add(to_server)
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._pass(reader, to_server, None))
                directions.create_task(self._pass(from_server, writer, self.reset_after_bytes))
        except* OSError:
            pass
        finally:
            for end in filter(None, (writer, to_server)):
                self._writers.discard(end)
                end.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reset_after_bytes: int | None
    ) -> None:
        passed_bytes = 0
        while data := await reader.read(_READ_BYTES):
            for start in range(0, len(data), self.slice_bytes):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._passing.wait()
                piece = data[start : start + self.slice_bytes]
                if reset_after_bytes is not None and passed_bytes + len(piece) > reset_after_bytes:
                    writer.write(piece[: reset_after_bytes - passed_bytes])
                    await writer.drain()
                    _reset(writer)
                    raise ConnectionResetError
                writer.write(piece)
                await writer.drain()
                passed_bytes += len(piece)
        await self._passing.wait()
        with contextlib.suppress(OSError):
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes with a RST instead of a FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.fixture
async def fault_proxy(socket_enabled: None) -> AsyncIterator[Callable[[int], Awaitable[FaultProxy]]]:
    """Starts proxies in front of ports of 127.0.0.1."""
    proxies: list[FaultProxy] = []

    async def start(target_port: int) -> FaultProxy:
        proxies.append(FaultProxy(target_port))
        await proxies[-1].start()
        return proxies[-1]

    yield start
    for proxy in proxies:
        await proxy.close()
