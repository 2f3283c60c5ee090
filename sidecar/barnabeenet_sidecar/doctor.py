"""`barnabeenet-sidecar doctor`: what is here, what is missing and what to do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
import os
import textwrap
from typing import Any

from . import app, large_engines, pairing_token, system
from .config import Settings
from .engines.catalogue import Slot
from .finding import Finding
from .roster import ALL

_GIGABYTE = 10**9
_MEMORY_NEEDED_BYTES = _GIGABYTE
# This version was not written before then.
_EARLIEST_YEAR = 2026
_DETAIL_CHARS = 90
_ENGINES = "see sidecar/README.md, Engines"
# Nobody can be heard and answered without these.
_NEEDED = ("speech recognition", "speech synthesis")


def can_serve(findings: Iterable[Finding]) -> bool:
    """Whether `serve` would hear and answer."""
    return all(finding.state != "missing" for finding in findings)


def render(findings: Sequence[Finding]) -> str:
    """A table in plain text, with the advice under what needs it."""
    width = max(len(finding.subject) for finding in findings)
    lines = []
    for finding in findings:
        indent = " " * (width + 11)
        first = f"{finding.subject:<{width}}  {finding.state:<7}  "
        lines.append(
            textwrap.fill(finding.detail, _DETAIL_CHARS + width, initial_indent=first, subsequent_indent=indent)
        )
        if finding.advice:
            advice = f"-> {finding.advice}"
            lines.append(textwrap.fill(advice, _DETAIL_CHARS + width, initial_indent=indent, subsequent_indent=indent))
        lines += [f"    {command}" for command in finding.commands]
    lines.append("")
    lines.append("It can serve." if can_serve(findings) else "It cannot serve yet: see what is missing above.")
    return "\n".join(lines)


async def examine(settings: Settings) -> list[Finding]:
    """Looks at everything; loads each engine once, which takes a few seconds."""
    gpus = await system.gpus()
    return [
        *_machine(),
        _gpu(gpus),
        *await asyncio.to_thread(large_engines.examine, settings, has_gpu=bool(gpus)),
        _clock(datetime.now(UTC), await system.clock_is_synchronised()),
        *_storage(settings),
        *_ports(settings),
        *await _engines(settings),
    ]


def _machine() -> list[Finding]:
    name, cores = system.cpu()
    findings = [Finding("processor", "ok", f"{name}, {cores} cores")]
    if memory := system.memory_bytes():
        total, free = memory
        detail = f"{free / _GIGABYTE:.1f} of {total / _GIGABYTE:.1f} GB free"
        if free < _MEMORY_NEEDED_BYTES:
            findings.append(Finding("memory", "warning", detail, "about 1 GB is needed: stop something else"))
        else:
            findings.append(Finding("memory", "ok", detail))
    return findings


def _gpu(gpus: list[str] | None) -> Finding:
    if gpus:
        return Finding("GPU", "ok", "; ".join(gpus))
    return Finding("GPU", "ok", "none found; what comes along needs none")


def _clock(now: datetime, synchronised: bool | None) -> Finding:
    detail = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if now.year < _EARLIEST_YEAR:
        return Finding("clock", "warning", detail, "set the clock: logs and metrics will carry wrong times")
    if synchronised is False:
        return Finding("clock", "warning", f"{detail}, not synchronised", "run `timedatectl set-ntp true`")
    return Finding("clock", "ok", f"{detail}, synchronised" if synchronised else detail)


def _storage(settings: Settings) -> list[Finding]:
    folder = settings.data_dir
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return [Finding("data folder", "missing", f"{folder} cannot be written", "change its owner or set data_dir")]
    return [Finding("data folder", "ok", str(folder)), _token(settings)]


def _token(settings: Settings) -> Finding:
    token = pairing_token.examine(settings)
    return Finding("token", token.state, token.detail, token.advice)


def _ports(settings: Settings) -> list[Finding]:
    wanted = {"port": settings.port, "plain_port": settings.plain_port, "http_port": settings.http_port}
    return [_port(settings.host, setting, port) for setting, port in wanted.items() if port is not None]


def _port(host: str, setting: str, port: int) -> Finding:
    err = system.bind_error(host, port)
    if err is None:
        return Finding(setting, "ok", f"{host} port {port} is free")
    by = system.listener_of(port)
    if by and "barnabeenet" in by:
        return Finding(setting, "ok", f"{host} port {port} is served by {by}")
    option = f"--{setting.replace('_', '-')}"
    detail = f"{host} port {port} is not free: {err.strerror}{f', taken by {by}' if by else ''}"
    return Finding(setting, "missing", detail, f"stop what listens there, or choose another with {option} or --host")


async def _engines(settings: Settings) -> list[Finding]:
    # A second copy of the large ones could take the memory from under a sidecar that serves.
    is_served = "barnabeenet" in (system.listener_of(settings.port) or "")
    async with app.engines_of_a_command(settings, among=() if is_served else ALL) as roster:
        await roster.load()
        findings = [finding for slot in roster.engines.slots for finding in _slot(slot)]
    if is_served:
        findings.append(Finding("running sidecar", "ok", f"its large engines: http port {settings.http_port}, /ready"))
    return findings


def _slot(slot: Slot[Any]) -> list[Finding]:
    left_out = [Finding(name, "warning", f"left out: {problem}") for name, problem in slot.left_out.items()]
    return [_engine(slot), *left_out]


def _engine(slot: Slot[Any]) -> Finding:
    if slot.problem is not None:
        needed = slot.kind in _NEEDED
        return Finding(slot.kind, "missing" if needed else "warning", slot.problem, _ENGINES if slot.is_needed else "")
    info = slot.get().info
    languages = ", ".join(info.languages[:8]) + (" ..." if len(info.languages) > 8 else "")
    return Finding(slot.kind, "ok", f"{info.name} {info.version} ({languages or 'any language'}), {slot.load_s:.1f} s")
