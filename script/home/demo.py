"""The user's whole path: start both processes, pair them, say commands, see what happened."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
import json
from pathlib import Path
import signal
import sys
import time

import aiohttp

from . import report
from .api import ApiError
from .audio import BadRecording, decode, write_wav
from .commands import WAKE_WORD, Command, recorded, spoken
from .hass import OWNER
from .judge import expectation
from .player import Turn, play
from .process import ProcessFailed
from .stage import Stage, stage, workplace

REPLY_RATE_HZ = 22050


async def say(on: Stage, command: Command, *, number: int, folder: Path, as_json: bool) -> bool:
    """Says one command, shows what came of it, keeps the reply's audio; returns whether it was done."""
    wanted = expectation(command.said)
    await on.judge.prepare(wanted)
    start, began_at = "wake_word" if command.wake else "stt", time.time()
    turn = await play(on.home, on.pipeline.ident, command.clip, device_id=on.device_id, start_stage=start)
    verdict = await on.judge.verdict(turn, wanted)
    stages_ms = on.turns.stages_ms(since=began_at)
    await asyncio.to_thread(_keep_reply, turn, folder / f"{number:02} {command.said}.wav")
    said = f"{WAKE_WORD}, {command.said}" if command.wake else command.said
    if as_json:
        print(json.dumps(report.as_dict(said, turn, verdict, stages_ms)), flush=True)
    else:
        print(report.as_text(number, said, turn, verdict, stages_ms), flush=True)
    return verdict.done


def _keep_reply(turn: Turn, path: Path) -> None:
    if turn.audio:
        write_wav(path, decode(turn.audio, rate_hz=REPLY_RATE_HZ), rate_hz=REPLY_RATE_HZ)


async def demo(recordings: Sequence[Path], *, serve: bool, as_json: bool) -> bool:
    """Runs the whole demo; returns whether every command was done."""
    given = await recorded(recordings)
    report.note("Starting Home Assistant and the sidecar")
    with workplace("demo") as folder:
        replies = folder / "replies"
        replies.mkdir()
        async with stage(folder) as on:
            report.note(f"Home Assistant is at {on.home.url} (user {OWNER['username']}, password {OWNER['password']})")
            commands = given or await spoken(on.home, on.pipeline.voice)
            done = [
                await say(on, command, number=number, folder=replies, as_json=as_json)
                for number, command in enumerate(commands, start=1)
            ]
            report.note(f"{sum(done)} of {len(done)} commands done; the replies lie in {replies}")
            if serve:
                report.note("Still serving; Ctrl-C ends it")
                await asyncio.Event().wait()
    return all(done)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("recordings", nargs="*", type=Path, metavar="recording.wav", help="say these instead")
    parser.add_argument("--serve", action="store_true", help="stay up afterwards")
    parser.add_argument("--json", action="store_true", help="print one JSON object per command")
    return parser.parse_args(given)


async def _until_signal(asked: argparse.Namespace) -> bool:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await demo(asked.recordings, serve=asked.serve, as_json=asked.json)


def main() -> int:
    """Returns 0 when every command was done, 1 when not, 2 when the demo could not be held, 130 when interrupted."""
    try:
        return 0 if asyncio.run(_until_signal(arguments())) else 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    except (ApiError, BadRecording, ProcessFailed, TimeoutError, OSError, aiohttp.ClientError) as error:
        report.note(f"error: {error or type(error).__name__}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
