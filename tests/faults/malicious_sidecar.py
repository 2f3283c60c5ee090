"""A sidecar that knows the token and means harm, as a process of its own: `malicious_sidecar.py TOKEN MODE`.

Prints its port. Its hello and its description of itself are honest; what it answers to any request is its mode.
"""

from __future__ import annotations

import asyncio
import os
import sys

from wyoming.audio import AudioChunk, AudioStart
from wyoming.event import Event
from wyoming.info import Info

from barnabeenet_sidecar.net.auth import Authenticator
from barnabeenet_sidecar.net.server import Connection, Server
from barnabeenet_sidecar.net.wire import encode

RATE_HZ = 16_000
START = encode(AudioStart(RATE_HZ, 2, 1).event())
PARTIAL = Event("barnabeenet-partial", {"text": "turn on " * 1000, "silence_ms": 0, "stable": True})

# What is said once, and what is then said without end.
MODES: dict[str, tuple[bytes, bytes]] = {
    "garbage": (b"", os.urandom(65_536)),
    "endless header": (b'{"type": "', b"a" * 65_536),
    "nesting bomb": (b'{"type": "transcript", "data": ', b"[" * 60_000),
    "huge frame": (b'{"type": "transcript", "data_length": 4294967296}\n', b" " * 65_536),
    "endless partials": (b"", encode(PARTIAL)),
    "endless pongs": (b"", encode(Event("pong", {}))),
    "endless audio": (START, encode(AudioChunk(RATE_HZ, 2, 1, bytes(2**20)).event())),
    "crumbs of audio": (START, encode(AudioChunk(RATE_HZ, 2, 1, b"12").event()) * 100),
    "silence": (b"", b""),
    "half a frame": (b'{"type": "transcript", "data_length": 1000000}\n{', b""),
}


async def main(token: str, mode: str) -> None:
    once, forever = MODES[mode]

    async def harm(connection: Connection) -> None:
        while (event := await connection.read()) is not None:
            if event.type == "describe":
                await connection.write(Info().event())
            elif event.type != "ping":
                connection.writer.write(once)
                while forever:
                    connection.writer.write(forever)
                    await connection.writer.drain()

    authenticator = Authenticator(
        token, sidecar_id="sidecar-1", name="Beast", software="evil", revision_of=lambda home: None
    )
    server = Server(harm, authenticator=authenticator)
    await server.start("127.0.0.1", 0)
    print(server.port, flush=True)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
