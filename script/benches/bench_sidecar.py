"""What our path costs beyond the engines, and what is left of a sidecar when many talk to it at once.

Overhead. Each pair is the same work twice, one right after the other and the order changing each time: the bare engine
called in this process, and a whole request to a real sidecar over the authenticated socket, with the integration's own
client code. The engine is of the same kind on both sides (espeak-ng, PocketSphinx with the same vocabulary,
microWakeWord); the overhead of a pair is the request's time less the engine's. Per kind:

  synthesize      from the text to its last audio; first_audio: to its first; synthesize_16k: resampled for a satellite
  transcribe      from the end of the audio to the words. Both get the audio at the pace it was spoken. Directly, that
                  is decode(); by request, audio-stop to transcript, with speech detection, endpointing and provisional
                  words running beside. The audio stops where the speech does: with silence after it the sidecar would
                  have decoded beforehand, and would look faster than its engine.
  detect          from the last 32 ms of a stream to the answer that no wake word was in it
  ping, describe  whole round trips: there is no engine to compare with

overhead_ms_median is over all pairs of synthesize, transcribe and detect. `differing` counts pairs whose words or length
of audio were not the same.

Load. So many clients, each with its own connection, speak commands at natural speed and have replies spoken, without a
pause in between. share_ok_N: requests that were answered, with the words that the bare engine finds; p50_ms_N and
p95_ms_N: from the end of a command to its words, and from a reply's text to its first audio, together and by kind.

Limits: bench and sidecar share the machine, so at 64 clients it measures the clients as well; embedded engines are not
those of a GPU; below a millisecond the figures are the scheduler's.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
from tempfile import TemporaryDirectory

from . import load, overhead
from .engines import bare_engines
from .figures import Figures, main, note
from .process import serving
from .speech import commands

CLIENTS = (1, 4, 16, 64)
ROUNDS = 12
LOAD_S = 5.0


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="pairs of each kind (%(default)s)")
    parser.add_argument("--pace", type=float, default=1.0, help="of spoken audio in pairs, 1 being natural speed")
    parser.add_argument(
        "--clients", type=int, nargs="*", default=CLIENTS, metavar="N", help="how many at once (1 4 16 64)"
    )
    parser.add_argument("--seconds", type=float, default=LOAD_S, help="of load, for each of these (%(default)s)")


async def bench(asked: argparse.Namespace) -> Figures:
    """Holds the whole bench."""
    clips = await commands()
    with TemporaryDirectory(prefix="barnabeenet-bench-") as name:
        folder = Path(name)
        async with serving(folder / "sidecar") as served:
            async with bare_engines(folder / "bare") as bare:
                client = await served.client()
                pairs = await overhead.measure(bare, client, clips, rounds=max(1, asked.rounds), pace=asked.pace)
                await client.close()
                expected = {clip.said: (await bare.transcribe(clip.pcm, pace=100)).text for clip in clips}
            found = pairs.figures()
            for count in asked.clients:
                note(f"{count} clients ...")
                answers = await load.measure(served, clips, expected, clients=count, seconds=asked.seconds)
                found |= answers.figures(count)
    return found


if __name__ == "__main__":
    sys.exit(main("sidecar", __doc__, _options, bench))
