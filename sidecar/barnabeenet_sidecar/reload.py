"""Settings that change while the sidecar serves: read again, validated as a whole, applied where it can be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
import logging
from typing import Literal, TypeAlias

from .config import Settings
from .config_changes import Changes
from .errors import ConfigError, SidecarError
from .telemetry import logs

_LOGGER = logging.getLogger(__name__)

Apply: TypeAlias = Callable[[Settings], Awaitable[None]]
Outcome: TypeAlias = Literal["unchanged", "applied", "refused", "rolled_back"]


class Reloader:
    """Holds the settings in force and changes those that can change live.

    `load` reads them anew and raises ConfigError. What `on` was told of is applied; what else has changed keeps its
    value until a restart, and one warning names it.
    """

    def __init__(self, settings: Settings, load: Callable[[], Settings]) -> None:
        self._settings, self._load = settings, load
        self._apply: dict[tuple[str, ...], Apply] = {}
        self._observers: list[Callable[[Outcome], None]] = []
        self._busy = asyncio.Lock()
        self._last_error: str | None = None
        self._reloaded_at: datetime | None = None
        self._awaiting_restart: tuple[str, ...] = ()

    @property
    def settings(self) -> Settings:
        """What is in force."""
        return self._settings

    @property
    def last_error(self) -> str | None:
        """Why the last reading was refused or something in it could not be set; None when all went well."""
        return self._last_error

    @property
    def reloaded_at(self) -> datetime | None:
        """When the settings were last read again, well or not."""
        return self._reloaded_at

    @property
    def awaiting_restart(self) -> tuple[str, ...]:
        """The settings whose new values need a restart."""
        return self._awaiting_restart

    def on(self, fields: Iterable[str], apply: Apply) -> None:
        """Has `apply` called with the new settings when any of these fields has changed.

        It raises SidecarError when that cannot be done, and then leaves everything as it was.
        """
        self._apply[tuple(fields)] = apply

    def observe(self, observer: Callable[[Outcome], None]) -> None:
        """Has every reading's outcome told, such as to a metric."""
        self._observers.append(observer)

    async def reload(self) -> Outcome:
        """Reads the settings once and does what they say; never raises for them."""
        async with self._busy:
            outcome = await self._reload()
            self._reloaded_at = datetime.now(UTC)
        for observer in self._observers:
            observer(outcome)
        return outcome

    @asynccontextmanager
    async def following(self, changes: Changes) -> AsyncIterator[None]:
        """Reloads at every change for the length of the block; one that is under way at its end is cancelled."""
        task = asyncio.create_task(self._follow(changes), name="settings")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _follow(self, changes: Changes) -> None:
        while True:
            await changes.wait()
            try:
                await self.reload()
            except Exception:
                _LOGGER.exception("reading the settings again broke", extra=logs.HARMLESS)

    async def _reload(self) -> Outcome:
        try:
            wanted = await asyncio.to_thread(self._load)
        except ConfigError as err:
            self._refuse(str(err))
            return "refused"
        changed = _difference(self._settings, wanted)
        failures = [failure for fields in self._apply if (failure := await self._change(fields, changed))]
        self._last_error = "; ".join(failures) or None
        self._awaiting_restart = tuple(name for name in changed if not any(name in fields for fields in self._apply))
        if self._awaiting_restart:
            _LOGGER.warning("for these settings restart the sidecar: %s", ", ".join(self._awaiting_restart))
        if not changed:
            _LOGGER.info("the settings were read again: nothing has changed")
            return "unchanged"
        return "rolled_back" if failures else "applied"

    def _refuse(self, why: str) -> None:
        self._last_error = why
        for line in why.splitlines():
            _LOGGER.error("the new settings are refused, those in force stay: %s", line)

    async def _change(self, fields: tuple[str, ...], changed: Mapping[str, object]) -> str | None:
        """Applies one group of fields; gives what went wrong when they stay as they were."""
        ours = {name: value for name, value in changed.items() if name in fields}
        if not ours:
            return None
        after = self._settings.model_copy(update=ours)
        values = ", ".join(f"{name} = {value!r}" for name, value in ours.items())
        failure = await _attempt(self._apply[fields], after)
        if failure is None:
            self._settings = after
            _LOGGER.info("set %s", values)
            return None
        kept = ", ".join(f"{name} = {getattr(self._settings, name)!r}" for name in ours)
        _LOGGER.error("cannot set %s: %s; %s stays", values, failure, kept)
        return f"{values}: {failure}"


async def _attempt(apply: Apply, settings: Settings) -> str | None:
    """What went wrong, in words."""
    try:
        await apply(settings)
    except SidecarError as err:
        return str(err)
    except Exception as err:
        _LOGGER.exception("the new settings broke something", extra=logs.HARMLESS)
        return f"{type(err).__name__}, see the log"
    return None


def _difference(old: Settings, new: Settings) -> dict[str, object]:
    return {name: getattr(new, name) for name in Settings.model_fields if getattr(new, name) != getattr(old, name)}
