"""The command line of the model store: models list, pull, verify, activate, rollback and rm."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import closing
from itertools import accumulate
import os
import shutil
import sys

from .bell import ring
from .errors import ManifestError
from .manifest import Model
from .progress import display, size
from .registry import Deployment
from .store import Store

Command = Callable[[Store, argparse.Namespace], Awaitable[int]]


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Adds the commands to the parser of `models`; the chosen one is `options.models_command`."""
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Command, summary: str) -> argparse.ArgumentParser:
        subparser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
        subparser.set_defaults(models_command=run)
        return subparser

    command("list", list_models, "Show what can be pulled and what is here.")
    pull_parser = command("pull", pull, "Bring models here, or go on with it, and make them serve.")
    pull_parser.add_argument("models", metavar="MODEL", nargs="+")
    verify_parser = command("verify", verify, "Read every file and compare its checksum.")
    verify_parser.add_argument("model", metavar="MODEL", nargs="?", help="(default: all)")
    activate_parser = command("activate", activate, "Make a version that is here serve.")
    activate_parser.add_argument("model", metavar="MODEL")
    activate_parser.add_argument("version", metavar="VERSION")
    rollback_parser = command("rollback", rollback, "Go back to the version that served before.")
    rollback_parser.add_argument("model", metavar="MODEL")
    rm_parser = command("rm", rm, "Remove a version, or the whole model.")
    rm_parser.add_argument("model", metavar="MODEL")
    rm_parser.add_argument("version", metavar="VERSION", nargs="?", help="(default: all versions)")


async def list_models(store: Store, _options: argparse.Namespace) -> int:
    """Prints a table of every version that is here or can be pulled."""
    deployments = await asyncio.to_thread(store.deployments)
    here = {(item.model, item.version) for item in deployments}
    rows = [_here(item, store.manifest.get(item.model)) for item in deployments]
    rows += [_to_pull(model) for model in store.manifest.values() if (model.name, model.version) not in here]
    _table(("MODEL", "VERSION", "STATUS", "DOES", "SIZE", "VRAM", "LICENCE", "DEPLOYED"), sorted(rows))
    for item in deployments:
        if item.damage:
            _say(f"{item.model} {item.version} is damaged: {item.damage}")
    if store.problem is not None:
        raise ManifestError(store.problem)
    return 0


async def pull(store: Store, options: argparse.Namespace) -> int:
    """Pulls one after the other; the first failure ends it."""
    for model in options.models:
        with closing(display(sys.stderr)) as progress:
            files = await store.pull(model, _user(), progress)
        _say(files.notice or f"{model} {files.version} serves")
        _ring(store)
    return 0


async def verify(store: Store, options: argparse.Namespace) -> int:
    """Prints a line for each version; 1 when one is damaged."""
    verdicts = await asyncio.to_thread(lambda: list(store.verify(options.model)))
    for verdict in verdicts:
        _say(f"{verdict.model} {verdict.version}: {verdict.damage or 'every byte is right'}")
    if not any(verdict.damage for verdict in verdicts):
        return 0
    _ring(store)
    return 1


async def activate(store: Store, options: argparse.Namespace) -> int:
    """Makes a version serve."""
    await asyncio.to_thread(store.activate, options.model, options.version, _user())
    _say(f"{options.model} {options.version} serves")
    _ring(store)
    return 0


async def rollback(store: Store, options: argparse.Namespace) -> int:
    """Goes back to the version before."""
    version = await asyncio.to_thread(store.rollback, options.model, _user())
    _say(f"{options.model} {version} serves")
    _ring(store)
    return 0


async def rm(store: Store, options: argparse.Namespace) -> int:
    """Removes versions."""
    for version in await asyncio.to_thread(store.remove, options.model, options.version):
        _say(f"{options.model} {version} is removed")
    return 0


def _here(item: Deployment, model: Model | None) -> tuple[str, ...]:
    status = "damaged" if item.damage else str(item.status)
    deployed = f"{item.deployed_at:%Y-%m-%d %H:%M} UTC by {item.deployed_by}"
    return (item.model, item.version, status, *_traits(model, item.size), deployed)


def _to_pull(model: Model) -> tuple[str, ...]:
    return (model.name, model.version, "to pull", *_traits(model, model.size), "")


def _traits(model: Model | None, bytes_: int | None) -> tuple[str, ...]:
    """Capability, size, VRAM and licence; a model that left the manifest has only a size."""
    shown = "?" if bytes_ is None else size(bytes_)
    if model is None:
        return ("", shown, "", "")
    return (model.capability, shown, f"{model.vram_mb} MB" if model.vram_mb else "-", model.licence)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Leaves out the last columns where a terminal has no room for them."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    shown = sum(room is None or ends <= room for ends in accumulate(widths, lambda ends, width: ends + 2 + width))
    for line in lines:
        _say("  ".join(cell.ljust(width) for cell, width in zip(line[:shown], widths, strict=False)).rstrip())
    if shown < len(head):
        _say(f"(a wider terminal shows {', '.join(head[shown:])})")


def _ring(store: Store) -> None:
    if ring(store.bell):
        _say("the sidecar that serves takes it over now: its log says how that went")


def _user() -> str:
    return os.environ.get("USER") or f"uid {os.getuid()}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
