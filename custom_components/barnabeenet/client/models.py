"""The sidecar's model store: what is there, what serves, and changes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
import math
from typing import Any, Final, Literal, TypeAlias

from wyoming.event import Event

from .errors import RequestFailed
from .messages import ModelProgress, Models, ModelsReady
from .pool import Pool

Action: TypeAlias = Literal["list", "pull", "verify", "activate", "rollback", "remove"]
OnProgress: TypeAlias = Callable[[ModelProgress], None]

# How long the sidecar may take to get on. Gigabytes are read to be verified, and an engine loads what it is given; a
# pull may take hours, but after some minutes without progress the sidecar itself has given it up.
_ANSWER_S: Final[Mapping[Action, float]] = {
    "list": 15.0,
    "remove": 60.0,
    "activate": 300.0,
    "rollback": 300.0,
    "pull": 300.0,
    "verify": 900.0,
}
# Beyond it, a time cannot be told.
_TIMESTAMP_MAX_MS: Final = 253_402_300_799_000


@dataclass(frozen=True)
class Model:
    """A version of a model that is at the sidecar, or (`to_pull`) could be; `damage` says why it may not serve."""

    name: str
    version: str
    status: Literal["active", "rollback_available", "archived", "to_pull"]
    capability: str | None
    licence: str | None
    size_bytes: int | None
    vram_mb: int | None
    damage: str | None
    deployed_at: datetime | None
    deployed_by: str | None


@dataclass(frozen=True)
class Stock:
    """What was done, in a sentence of the sidecar's, and every version that is there or can be pulled."""

    text: str
    models: tuple[Model, ...]


async def models(
    pool: Pool, action: Action, model: str | None, version: str | None, on_progress: OnProgress | None
) -> Stock:
    """See Sidecar.models."""
    request = _request(action, model, version)
    async with pool.request(request, answer_s=_ANSWER_S[action], events_max=math.inf) as exchange:
        while True:
            event = await exchange.read()
            if ModelProgress.is_type(event.type):
                if on_progress is not None:
                    on_progress(ModelProgress.from_event(event))
            elif ModelsReady.is_type(event.type):
                exchange.finish()
                return _stock(ModelsReady.from_event(event))
            else:
                raise exchange.unexpected(event)


def _request(action: Action, model: str | None, version: str | None) -> Event:
    if action not in _ANSWER_S:
        raise RequestFailed(f"There is no action {action!r} on models", code="bad-request")
    return Models(action, model, version).event()


def _stock(answer: ModelsReady) -> Stock:
    return Stock(answer.text, tuple(_model(entry) for entry in answer.models))


def _model(entry: Mapping[str, Any]) -> Model:
    return Model(
        name=entry["name"],
        version=entry["version"],
        status=entry["status"],
        capability=entry.get("capability"),
        licence=entry.get("licence"),
        size_bytes=entry.get("bytes"),
        vram_mb=entry.get("vram_mb"),
        damage=entry.get("damage"),
        deployed_at=_time(entry.get("deployed_at")),
        deployed_by=entry.get("deployed_by"),
    )


def _time(timestamp_ms: int | None) -> datetime | None:
    if timestamp_ms is None or timestamp_ms > _TIMESTAMP_MAX_MS:
        return None
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC)
