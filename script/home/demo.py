"""The user's whole path: start both processes, pair them, say commands, see what happened."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
import json
import os
from pathlib import Path
import signal
import sys
import time

import aiohttp

from . import report
from .api import ApiError
from .audio import BadRecording, decode, write_wav
from .commands import WAKE_WORD, Command, recorded, spoken, synthesised
from .family import LINES, PEOPLE, Line, move_in
from .hass import DATABASE, MEDIA, OWNER
from .judge import Verdict, expectation, same_words
from .model import MOCK, QUESTIONS, Provider, actions, add_provider, at, calls_of
from .player import Turn, play, write
from .process import ProcessFailed
from .stage import Stage, stage, workplace

REPLY_RATE_HZ = 22050
KEY_VARIABLE = "BARNABEENET_PROVIDER_KEY"


async def say(on: Stage, command: Command, *, number: int, folder: Path, as_json: bool) -> bool:
    """Says one command, shows what came of it, keeps the reply's audio; returns whether it was done."""
    wanted = expectation(command.said)
    await on.judge.prepare(wanted)
    start, began_at = "wake_word" if command.wake else "stt", time.time()
    turn = await play(on.home, on.pipeline.ident, command.clip, device_id=on.device_id, start_stage=start)
    verdict = await on.judge.verdict(turn, wanted)
    stages_ms = on.turns.stages_ms(since=began_at)
    await asyncio.to_thread(_keep_reply, turn, folder / "replies" / f"{number:02} {command.said}.wav")
    said = f"{WAKE_WORD}, {command.said}" if command.wake else command.said
    _tell(number, said, turn, verdict, stages_ms, as_json=as_json)
    return verdict.done


async def ask(on: Stage, question: str, *, number: int, folder: Path, as_json: bool) -> bool:
    """Asks what no sentence of the home's answers; returns whether a language model did, and did what was asked.

    Spoken where the ears know such words: the embedded ones only know the home's own sentences.
    """
    wanted = expectation(question)
    await on.judge.prepare(wanted)
    clip = await synthesised(on.home, on.pipeline.voice, question)
    ears = await play(on.home, on.pipeline.ident, clip, device_id=on.device_id, end_stage="stt")
    was_heard = same_words(ears.heard, question)
    began_at = time.time()
    async with actions(on.home) as acted:
        if was_heard:
            turn = await play(on.home, on.pipeline.ident, clip, device_id=on.device_id)
        else:
            turn = await write(on.home, on.pipeline.ident, question, device_id=on.device_id)
        verdict = await on.judge.verdict(turn, wanted)
    await asyncio.to_thread(_keep_reply, turn, folder / "replies" / f"{number:02} {question}.wav")
    told = on.turns.latest(since=began_at) or {}
    # The ledger is written in the background; a report waits until it is.
    await on.home.action("barnabeenet.cost_report", {})
    calls = await asyncio.to_thread(calls_of, folder / "home" / DATABASE, told.get("trace_id", ""))
    first_words_ms = on.turns.first_words_ms(since=began_at)
    answer = report.Asked(question, ears.heard, not was_heard, acted.done, calls, first_words_ms)
    if as_json:
        print(json.dumps(report.asked_as_dict(answer, turn, verdict)), flush=True)
    else:
        print(report.asked_as_text(number, answer, turn, verdict), flush=True)
    return verdict.done and calls.requests > 0


async def meet(on: Stage, line: Line, names: Mapping[str, str], *, number: int, folder: Path, as_json: bool) -> bool:
    """Has somebody of the family say something; returns whether they were known and got what is theirs, and no more."""
    wanted = expectation(line.said)
    await on.judge.prepare(wanted)
    clip = await synthesised(on.home, on.pipeline.voice, line.said, pitch=line.who.pitch)
    began_at = time.time()
    turn = await play(on.home, on.pipeline.ident, clip, device_id=on.device_id)
    told = on.turns.latest(since=began_at) or {}
    speaker = names.get(told.get("speaker") or "")
    verdict = (
        Verdict({}, [turn.error] if turn.error else []) if wanted is None else await on.judge.verdict(turn, wanted)
    )
    verdict = replace(verdict, wrong=[*verdict.wrong, *line.wrong(turn.reply, speaker)])
    await asyncio.to_thread(_keep_reply, turn, folder / "replies" / f"{number:02} {line.who.name} {line.said}.wav")
    voice = report.Recognised(line.who.name, speaker, told.get("confidence"))
    _tell(number, line.said, turn, verdict, on.turns.stages_ms(since=began_at), voice=voice, as_json=as_json)
    return verdict.done


def _tell(
    number: int,
    said: str,
    turn: Turn,
    verdict: Verdict,
    stages_ms: dict[str, float],
    *,
    voice: report.Recognised | None = None,
    as_json: bool,
) -> None:
    if as_json:
        print(json.dumps(report.as_dict(said, turn, verdict, stages_ms, voice=voice)), flush=True)
    else:
        print(report.as_text(number, said, turn, verdict, stages_ms, voice=voice), flush=True)


def _keep_reply(turn: Turn, path: Path) -> None:
    if turn.audio:
        write_wav(path, decode(turn.audio, rate_hz=REPLY_RATE_HZ), rate_hz=REPLY_RATE_HZ)


async def demo(recordings: Sequence[Path], *, provider: Provider | None, serve: bool, as_json: bool) -> bool:
    """Runs the whole demo; returns whether every command was done and every question answered."""
    given = await recorded(recordings)
    report.note("Starting Home Assistant and the sidecar")
    with workplace("demo") as folder:
        (folder / "replies").mkdir()
        async with AsyncExitStack() as stack:
            on = await stack.enter_async_context(stage(folder))
            report.note(f"Home Assistant is at {on.home.url} (user {OWNER['username']}, password {OWNER['password']})")
            if provider is not None:
                name = await add_provider(on.home, await stack.enter_async_context(at(provider)))
                report.note(f"The home may ask a language model: {name}")
            commands = given or await spoken(on.home, on.pipeline.voice)
            await on.sidecar.knows_home()
            done = [
                await say(on, command, number=number, folder=folder, as_json=as_json)
                for number, command in enumerate(commands, start=1)
            ]
            if not given:
                names = await move_in(on.home, PEOPLE, on.pipeline.voice, folder / "home" / MEDIA)
                report.note(f"{' and '.join(names.values())} live here; their voices were learnt from recordings")
                for line in LINES:
                    number = len(done) + 1
                    done.append(await meet(on, line, names, number=number, folder=folder, as_json=as_json))
            for question in QUESTIONS if provider is not None else ():
                done.append(await ask(on, question, number=len(done) + 1, folder=folder, as_json=as_json))
            report.note(f"{sum(done)} of {len(done)} commands done; the replies lie in {folder / 'replies'}")
            if serve:
                report.note("Still serving; Ctrl-C ends it")
                await asyncio.Event().wait()
    return all(done)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("recordings", nargs="*", type=Path, metavar="recording.wav", help="say these instead")
    parser.add_argument(
        "--provider",
        metavar="ADDRESS",
        help="ask a language model, too: the address of a server with OpenAI's interface, whose key is read from"
        f" {KEY_VARIABLE}, or `{MOCK}` for a small one of the demo's own",
    )
    parser.add_argument("--model", help="which of the server's models; otherwise the first one that it lists")
    parser.add_argument("--serve", action="store_true", help="stay up afterwards")
    parser.add_argument("--json", action="store_true", help="print one JSON object per command")
    return parser.parse_args(given)


async def _until_signal(asked: argparse.Namespace) -> bool:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    key = os.environ.get(KEY_VARIABLE)
    provider = Provider(asked.provider, asked.model, key) if asked.provider else None
    return await demo(asked.recordings, provider=provider, serve=asked.serve, as_json=asked.json)


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
