"""How long short commands wait while long texts are being spoken: with the sidecar's queue, and without it.

In this process the queue gives out turns on real engines (espeak-ng in its thread, PocketSphinx in its processes), two
at a time as in the sidecar; then the same people come to a first-come-first-served line of the same width. The backlog
is 64 texts without end, each waiting for its next sentence (20 s of speech); so the line without our queue is a mild
one, for a whole text at a time would keep its place for minutes.

  engine_call_ms_median       one sentence of the backlog, spoken alone: what most turns are given for
  short_wait_ms_...           from asking for a turn to having it, 16 people having short replies spoken
  ..._fifo, ratio_p95_to_fifo the same without our queue, and our part of it
  short_answer_ms_...         wait and work together; espeak-ng knows one speaker, so the work may include a sentence that
                              has a turn too
  command_wait_ms_...         the same for whole commands, which are recognised before the reply is spoken
  recognition_call_ms_median  one such recognition, alone: the longest call there
  backlog_per_s               sentences of the backlog a second: what the people cost it

A real sidecar, with `process_` before the name: 16 people speak commands and have short replies spoken while 24 other
clients (in a process of their own) have long texts spoken and read as fast as they can; the idle figures are the same
people's before the others come.

  process_short_wait_ms_p95   the short turns' wait by /metrics, interpolated within a bucket as Prometheus does
  process_first_audio_ms_...  from a short reply's text to its first audio, seen by the client
  process_words_ms_...        from the end of a command to its words, seen by the client

Limits: espeak-ng is so fast that the real sidecar is busy with sending audio rather than with making it, on the same two
cores as those who read it; what its clients see is that, not the queue.
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median
import sys
from tempfile import TemporaryDirectory
import time

from barnabeenet_sidecar.gpu.queue import WorkQueue

from . import busy_sidecar
from .crowd import Crowd, Fifo
from .engines import Bare, bare_engines
from .figures import Figures, main, note, percentile, spread
from .process import serving
from .speech import Clip, commands, tale_sentence

PEOPLE = 16
BACKLOG = 64
TEXTS = 24
PARALLEL = 2
THINK_S = 0.5
# Whole commands are heavier, and people do not give one every moment.
COMMAND_THINK_S = 4.0
SECONDS = 10.0
CALLS = 15


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--people", type=int, default=PEOPLE, help="with short commands (%(default)s)")
    parser.add_argument("--backlog", type=int, default=BACKLOG, help="long texts in this process (%(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each figure (%(default)s)")


async def bench(asked: argparse.Namespace) -> Figures:
    """Holds the whole bench."""
    clips = await commands()
    with TemporaryDirectory(prefix="barnabeenet-bench-") as name:
        folder = Path(name)
        async with bare_engines(folder / "bare") as bare:
            found = await in_this_process(bare, clips, asked)
        async with serving(folder / "sidecar") as served:
            note("a real sidecar ...")
            return found | await busy_sidecar.measure(
                served, clips, folder, people=asked.people, texts=TEXTS, think_s=COMMAND_THINK_S, seconds=asked.seconds
            )


async def in_this_process(bare: Bare, clips: Sequence[Clip], asked: argparse.Namespace) -> Figures:
    """The queue and the line, on the engines of this process."""
    found = {
        "engine_call_ms_median": await _alone(lambda number: bare.speak(tale_sentence(number))),
        "recognition_call_ms_median": await _alone(lambda number: bare.recognise(clips[number % len(clips)].pcm)),
    }
    short = Crowd(bare, asked.people, asked.backlog, THINK_S)
    whole = Crowd(bare, asked.people, asked.backlog, COMMAND_THINK_S, clips)
    for name, crowd in (("short", short), ("command", whole)):
        note(f"{name}: with the queue ...")
        ours = await crowd.live(WorkQueue(PARALLEL), asked.seconds)
        note(f"{name}: first come, first served ...")
        fifo = await crowd.live(Fifo(PARALLEL), asked.seconds)
        found |= spread(f"{name}_wait_ms", ours.waits_ms) | spread(f"{name}_wait_ms", fifo.waits_ms, "_fifo")
        found |= spread(f"{name}_answer_ms", ours.answers_ms)
        ratio = percentile(ours.waits_ms, 95) / percentile(fifo.waits_ms, 95)
        found[f"{'' if name == 'short' else f'{name}_'}ratio_p95_to_fifo"] = round(ratio, 4)
        found[f"{name}_waits"], found[f"{name}_waits_fifo"] = len(ours.waits_ms), len(fifo.waits_ms)
        if name == "short":
            found["backlog_per_s"] = round(ours.sentences / asked.seconds, 1)
            found["backlog_per_s_fifo"] = round(fifo.sentences / asked.seconds, 1)
    return found


async def _alone(call: Callable[[int], Awaitable[object]]) -> float:
    times_ms = []
    for number in range(CALLS):
        started = time.perf_counter()
        await call(number)
        times_ms.append((time.perf_counter() - started) * 1000)
    return round(median(times_ms), 2)


if __name__ == "__main__":
    sys.exit(main("queue", __doc__, _options, bench))
