"""Which request a line of the log is about, and the one line that says how a request ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
import hashlib
import logging
import time
from typing import Any, Protocol

_LOGGER = logging.getLogger("barnabeenet_sidecar.request")
_SESSION_BYTES = 4
_OUTCOMES = ("ok", "stopped")


class Meter(Protocol):
    """What became of a request; `metrics.RequestMeter` is one."""

    outcome: str
    stages: dict[str, float]


@dataclass(frozen=True)
class RequestContext:
    """What each line that is logged during a request carries; `session` names nobody, see `session_of`."""

    kind: str
    session: str
    trace_id: str | None = None


_CONTEXT: ContextVar[RequestContext | None] = ContextVar("request", default=None)


def session_of(home: str | None) -> str:
    """A short hash by which a home is told from others in the log; "plain" for a connection without one."""
    return "plain" if home is None else hashlib.blake2s(home.encode(), digest_size=_SESSION_BYTES).hexdigest()


def fields() -> dict[str, str]:
    """What lines carry now, for the log and to be handed to another process; empty outside requests."""
    context = _CONTEXT.get()
    return {} if context is None else {name: value for name, value in asdict(context).items() if value is not None}


@contextmanager
def carried(handed: Mapping[str, str]) -> Iterator[None]:
    """In a child process: lines of the block carry what `fields` gave in the parent."""
    known = {name: handed[name] for name in ("kind", "session", "trace_id") if name in handed}
    if "kind" not in known or "session" not in known:
        yield
        return
    token = _CONTEXT.set(RequestContext(**known))
    try:
        yield
    finally:
        _CONTEXT.reset(token)


@contextmanager
def request_log(kind: str, meter: Meter, *, session: str, trace_id: str | None) -> Iterator[None]:
    """Lines of the block, and of tasks and threads (`asyncio.to_thread`) started in it, carry these; one more tells its end.

    Reads the outcome and the stages (milliseconds) from the meter when the block ends.
    """
    started = time.perf_counter()
    token = _CONTEXT.set(RequestContext(kind, session, trace_id))
    try:
        yield
    finally:
        _log_end(kind, meter, (time.perf_counter() - started) * 1000)
        _CONTEXT.reset(token)


def _log_end(kind: str, meter: Meter, latency_ms: float) -> None:
    end: dict[str, Any] = {"outcome": meter.outcome, "latency_ms": round(latency_ms, 1)}
    if meter.outcome not in _OUTCOMES:
        end |= {"outcome": "failed", "error": meter.outcome}
    if meter.stages:
        end["stages"] = {stage: round(milliseconds, 1) for stage, milliseconds in meter.stages.items()}
    stages = "".join(f", {stage} {milliseconds:.0f} ms" for stage, milliseconds in meter.stages.items())
    _LOGGER.info("%s: %s after %.0f ms%s", kind, meter.outcome, latency_ms, stages, extra=end)
