"""BarnabeeNet against Home Assistant's own Wyoming integration: same recordings, same engines, same process, in turns."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
from statistics import median
import sys

import aiohttp

from . import report
from .api import ApiError
from .audio import BadRecording
from .commands import Command, recorded, spoken
from .judge import expectation
from .player import play
from .process import ProcessFailed
from .sidecar import ROOT
from .stage import Stage, stage, workplace
from .stock import stock_pipeline

STOCK, OURS = "stock", "ours"
MARKS = {"reply_text": "intent-end", "first_audio": "first-audio"}
RECORDINGS = Path(os.environ.get("BARNABEENET_RECORDINGS", ROOT.parent / "shared" / "audio"))
SAMPLE = 16


@dataclass
class Tally:
    """One side's results."""

    right: int = 0
    times_ms: dict[str, list[float | None]] = field(default_factory=lambda: {name: [] for name in MARKS})


def sample(folder: Path, count: int) -> list[Path]:
    """Evenly spread over the recordings of commands that the demo home knows; none when the folder is not there."""
    known = [
        path
        for path in sorted(folder.glob("s2p_en_*/*.wav"))
        if (row := expectation(path.stem)) is not None and not row.refused
    ]
    return known[:: max(1, len(known) // count)][:count]


async def compare(on: Stage, commands: Sequence[Command]) -> dict[str, Tally]:
    """Says every command to both, the order changing each time; the first command is said once more to warm up."""
    pipelines = {STOCK: await stock_pipeline(on.home, on.sidecar), OURS: on.pipeline.ident}
    tallies = {side: Tally() for side in pipelines}
    for pipeline in pipelines.values():
        await _say(on, pipeline, commands[0], Tally())
    for number, command in enumerate(commands):
        for side in sorted(pipelines, reverse=number % 2 == 0):
            await _say(on, pipelines[side], command, tallies[side])
        report.note(f"{number + 1}/{len(commands)} {command.said}: " + _latest(tallies))
    return tallies


async def _say(on: Stage, pipeline: str, command: Command, tally: Tally) -> None:
    wanted = expectation(command.said)
    await on.judge.prepare(wanted)
    # A reply that was spoken before would come from Home Assistant's cache.
    await on.home.service("tts.clear_cache", {})
    turn = await play(on.home, pipeline, command.clip, device_id=on.device_id)
    tally.right += (await on.judge.verdict(turn, wanted)).done
    for name, mark in MARKS.items():
        tally.times_ms[name].append(turn.times_ms.get(mark))


def _latest(tallies: dict[str, Tally]) -> str:
    latest = {side: tally.times_ms["first_audio"][-1] for side, tally in tallies.items()}
    return ", ".join(f"{side} {'silent' if at is None else f'{at:.0f} ms'}" for side, at in latest.items())


def figures(tallies: dict[str, Tally]) -> dict[str, float]:
    """Medians over the commands that both answered, our time over theirs, and who acted rightly how often."""
    found: dict[str, float] = {}
    for name in MARKS:
        both = zip(tallies[STOCK].times_ms[name], tallies[OURS].times_ms[name], strict=True)
        answered = [(stock, ours) for stock, ours in both if stock is not None and ours is not None]
        if not answered:
            raise ProcessFailed(f"no command brought a {name.replace('_', ' ')} from both sides")
        stock_ms, ours_ms = (median(times) for times in zip(*answered, strict=True))
        found |= {f"ratio_{name}": round(ours_ms / stock_ms, 3)}
        found |= {f"stock_{name}_ms": round(stock_ms, 1), f"ours_{name}_ms": round(ours_ms, 1)}
    commands = len(tallies[OURS].times_ms["first_audio"])
    return found | {"stock_right": tallies[STOCK].right, "ours_right": tallies[OURS].right, "commands": commands}


def table(found: dict[str, float]) -> str:
    """The figures for a person."""
    lines = ["from the end of speech to     stock        ours   ours/stock"]
    for name in MARKS:
        stock, ours, ratio = (found[key] for key in (f"stock_{name}_ms", f"ours_{name}_ms", f"ratio_{name}"))
        lines.append(f"{name.replace('_', ' '):<24}{stock:>8.0f} ms {ours:>8.0f} ms {ratio:>12.2f}")
    lines.append(
        f"{'acted rightly':<24}{found['stock_right']:>8.0f}    {found['ours_right']:>8.0f}    of {found['commands']:.0f}"
    )
    return "\n".join(lines)


async def bench(recordings: Sequence[Path], *, count: int) -> dict[str, float]:
    """Runs the whole comparison; returns the figures."""
    paths = recordings or sample(RECORDINGS, count)
    given = await recorded(paths)
    with workplace("bench") as folder:
        async with stage(folder, plain=True) as on:
            commands = given or [one for one in await spoken(on.home, on.pipeline.voice) if not one.wake]
            return figures(await compare(on, commands))


def main() -> int:
    """Prints a table, or one JSON object as the last line; returns 0, or 2 when the bench could not be held."""
    parser = argparse.ArgumentParser(prog="script/bench voice", description=__doc__)
    parser.add_argument("recordings", nargs="*", type=Path, metavar="recording.wav", help="say these instead")
    parser.add_argument("--commands", type=int, default=SAMPLE, help="how many of the known recordings (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    try:
        found = asyncio.run(bench(asked.recordings, count=max(1, asked.commands)))
    except (ApiError, BadRecording, ProcessFailed, TimeoutError, OSError, aiohttp.ClientError) as error:
        report.note(f"error: {error or type(error).__name__}")
        return 2
    print(json.dumps({"bench": "voice", "figures": found}) if asked.json else table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
