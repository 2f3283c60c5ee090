"""A sidecar's listener as a process of its own: the real server and hello, and a handler that counts instead of engines.

Prints its port. Options come as JSON in the first argument. It answers `describe` with a `pong` whose text is JSON:
the connections that reached the handler, those open, the tasks that live and the wrong proofs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys

from wyoming.event import Event

from barnabeenet_sidecar.net.auth import Authenticator
from barnabeenet_sidecar.net.server import Connection, Deadlines, Server


async def main() -> None:
    options = json.loads(sys.argv[1])
    authenticator = Authenticator(
        options["token"],
        sidecar_id="beast-1",
        name="Beast",
        software="a test",
        revision_of=lambda _: None,
        hello_s=options.get("hello_s", 5),
    )
    handled = 0

    async def handle(connection: Connection) -> None:
        nonlocal handled
        handled += 1
        while (event := await connection.read()) is not None:
            if event.type == "describe":
                state = {
                    "handled": handled,
                    "proved": server.connections,
                    "strangers": server.connections_without_hello,
                    "tasks": len(asyncio.all_tasks()),
                    "wrong_proofs": authenticator.wrong_proofs,
                }
                await connection.write(Event("pong", {"text": json.dumps(state)}))

    server = Server(handle, authenticator=authenticator, deadlines=Deadlines(**options.get("deadlines", {})))
    await server.start("127.0.0.1", 0)
    print(server.port, flush=True)
    await asyncio.Event().wait()


logging.basicConfig(level=logging.INFO)
asyncio.run(main())
