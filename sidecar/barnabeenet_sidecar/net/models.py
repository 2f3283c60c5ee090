"""The `barnabeenet-models` request: a home looks at the model store of this sidecar and changes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
import logging
import re
import time
from typing import Any, Final

from wyoming.event import Event

from ..errors import BadRequest, Unsupported
from ..models.keeper import Keeper
from ..models.manifest import Model
from ..models.pull import Progress
from ..models.registry import Deployment
from ..models.store import Store, Verdict
from ..models.threads import to_thread_whole
from .messages import MODELS_MAX, NAME_MAX_CHARS, TEXT_MAX_CHARS, ModelProgress, Models, ModelsReady
from .request import PeerGoneError, Request, Write

_LOGGER = logging.getLogger(__name__)

_PROGRESS_EVERY_S: Final = 0.3
_HOME_SHOWN_CHARS: Final = 8
# 256 models with all their damage must fit into a frame.
_DAMAGE_MAX_CHARS: Final = 512
_NEEDS: Final = {
    "pull": ("model",),
    "activate": ("model", "version"),
    "rollback": ("model",),
    "remove": ("model", "version"),
}


class ModelsRequest(Request):
    """Answers with every version that is here or can be pulled, after doing what was asked."""

    kind = "models"

    def __init__(self, event: Event, keeper: Keeper | None, home: str, write: Write) -> None:
        """Raises BadRequest when the action lacks a name, Unsupported where there is no store."""
        super().__init__()
        if keeper is None:
            raise Unsupported("this sidecar has no model store")
        asked = Models.from_event(event)
        if missing := [name for name in _NEEDS.get(asked.action, ()) if getattr(asked, name) is None]:
            raise BadRequest(f"{asked.action} needs a {' and a '.join(missing)}")
        self._keeper = keeper
        self._asked = asked
        self._model, self._version = asked.model or "", asked.version or ""
        self._by = deployer(home)
        self._progress = _ProgressWriter(write)

    async def run(self) -> Sequence[Event]:
        """Does it; raises SidecarError, and what served before goes on serving then."""
        action = self._asked.action
        if action == "list":
            text = ""
        else:
            doing, change = self._changes[action]
            telling = asyncio.create_task(self._progress.run())
            try:
                text = await self._keeper.change(f"{doing} for {self._by}", change)
            finally:
                telling.cancel()
                await asyncio.wait([telling])
        store = await self._keeper.store()
        entries = await asyncio.to_thread(_entries, store)
        text = text or f"{sum(entry['status'] != 'to_pull' for entry in entries)} versions are here"
        if action == "list" and store.problem is not None:
            text += f"; the home's own models cannot be pulled: {store.problem}"
        return [ModelsReady(text[:TEXT_MAX_CHARS], entries[:MODELS_MAX]).event()]

    @property
    def _changes(self) -> dict[str, tuple[str, Callable[[Store], Coroutine[Any, Any, str]]]]:
        model = self._asked.model or "every model"
        return {
            "pull": (f"pulling {model}", self._pull),
            "verify": (f"verifying {model}", self._verify),
            "activate": (f"activating {model}", self._activate),
            "rollback": (f"rolling back {model}", self._rollback),
            "remove": (f"removing {model}", self._remove),
        }

    async def _pull(self, store: Store) -> str:
        entry = store.manifest.get(self._model)
        if entry is not None and self._version not in {"", entry.version}:
            raise BadRequest(f"the manifest has {self._model} {entry.version}: only that version can be pulled")
        files = await store.pull(self._model, self._by, self._progress.report)
        return files.notice or f"{self._model} {files.version} serves"

    async def _verify(self, store: Store) -> str:
        # One version at a time, so that it can be stopped in between.
        verdicts = store.verify(self._asked.model)
        found: list[Verdict] = []
        while (verdict := await to_thread_whole(next, verdicts, None)) is not None:
            found.append(verdict)
        if damaged := [f"{item.model} {item.version} is damaged ({item.damage})" for item in found if item.damage]:
            return "; ".join(damaged)
        return f"every byte is right of {', '.join(f'{item.model} {item.version}' for item in found) or 'no model'}"

    async def _activate(self, store: Store) -> str:
        await to_thread_whole(store.activate, self._model, self._version, self._by)
        return f"{self._model} {self._version} serves"

    async def _rollback(self, store: Store) -> str:
        return f"{self._model} {await to_thread_whole(store.rollback, self._model, self._by)} serves"

    async def _remove(self, store: Store) -> str:
        served = await asyncio.to_thread(store.serving)
        removed = await to_thread_whole(store.remove, self._model, self._version)
        text = f"{self._model} {', '.join(removed)} is removed"
        if self._model in served and served[self._model].version in removed:
            text += "; what is loaded of it goes on until the sidecar is restarted"
        return text


def deployer(home: str) -> str:
    """Who the registry says changed a model; a home's name may hold anything, and terminals show this."""
    return f"Home Assistant {re.sub(r'[^0-9A-Za-z._-]', '', home)[:_HOME_SHOWN_CHARS]}".rstrip()


class _ProgressWriter:
    """Sends the latest progress, a few times a second at most, however fast it comes and however slowly it is read."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._latest: Progress | None = None
        self._is_due = asyncio.Event()
        self._told_at = float("-inf")

    def report(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._told_at >= _PROGRESS_EVERY_S or progress.done == progress.total:
            self._told_at, self._latest = now, progress
            self._is_due.set()

    async def run(self) -> None:
        """Writes until it is cancelled or nobody is there any more, of which the connection tells by itself."""
        try:
            while True:
                await self._is_due.wait()
                self._is_due.clear()
                if (progress := self._latest) is not None:
                    await self._write(
                        ModelProgress(progress.model, progress.file, progress.done, progress.total).event()
                    )
        except PeerGoneError as err:
            _LOGGER.debug("nobody reads how far the pull is: %s", err)


def _entries(store: Store) -> list[dict[str, Any]]:
    """What is here, what serves first, and what can be pulled, as the contract has it; MODELS_MAX are shown."""
    deployments = sorted(store.deployments(), key=lambda item: item.status)
    here = {(item.model, item.version) for item in deployments}
    entries = [_here(item, store.manifest.get(item.model)) for item in deployments]
    entries += [_to_pull(model) for model in store.manifest.values() if (model.name, model.version) not in here]
    return entries


def _here(item: Deployment, model: Model | None) -> dict[str, Any]:
    return {
        "name": item.model,
        "version": item.version,
        "status": str(item.status),
        "bytes": item.size,
        "damage": item.damage and item.damage[:_DAMAGE_MAX_CHARS],
        "deployed_at": round(item.deployed_at.timestamp() * 1000),
        "deployed_by": item.deployed_by[:NAME_MAX_CHARS],
        **_traits(model),
    }


def _to_pull(model: Model) -> dict[str, Any]:
    return {"name": model.name, "version": model.version, "status": "to_pull", "bytes": model.size, **_traits(model)}


def _traits(model: Model | None) -> dict[str, Any]:
    if model is None:
        return {}
    return {"capability": model.capability, "licence": model.licence, "vram_mb": model.vram_mb}
