"""A program that has long texts spoken by a sidecar until it is ended, and reads the audio as fast as it can.

The token comes in BARNABEENET_TOKEN. A process of its own, so that it does not slow down those who measure.
"""

from __future__ import annotations

import argparse
import asyncio
import os

from .client import Client
from .engines import HOME
from .process import source_of
from .speech import tale

_SENTENCES = 40
# The addresses of those who measure come first.
_FIRST = 64


async def _tell(client: Client) -> None:
    while True:
        await client.speak(tale(_SENTENCES))


async def run(port: int, texts: int) -> None:
    """Speaks for ever; raises ClientError when the sidecar gives up."""
    token = os.environ["BARNABEENET_TOKEN"]
    clients = [await Client.open(port, token, home=HOME, source=source_of(_FIRST + number)) for number in range(texts)]
    await asyncio.gather(*map(_tell, clients))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("texts", type=int)
    asked = parser.parse_args()
    asyncio.run(run(asked.port, asked.texts))
