"""What a person can set of an entry, with its defaults and bounds; everything else reads it here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntry, ConfigEntryChange
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect

ReplyStyle = Literal["brief", "friendly", "detailed"]
REPLY_STYLES: Final[tuple[str, ...]] = get_args(ReplyStyle)

REDIS_URL_MAX_CHARS: Final = 1000


@dataclass(frozen=True)
class Bounds:
    """The smallest and the largest value, and the step of the form's field."""

    least: float
    most: float
    step: float = 1


BOUNDS: Final[Mapping[str, Bounds]] = {
    "per_minute": Bounds(1, 600),
    "per_hour": Bounds(1, 10_000),
    "sessions_max": Bounds(1, 32),
    "daily_usd": Bounds(0, 1000, 0.01),
    "monthly_usd": Bounds(0, 10_000, 0.01),
    "cloud_fast_daily_usd": Bounds(0, 1000, 0.01),
    "cloud_powerful_daily_usd": Bounds(0, 1000, 0.01),
}


@dataclass(frozen=True)
class Options:
    """An entry's options. Budgets are in USD and for a day or month of the home's time zone; with 0 nothing is spent.

    `ask_language_model` off leaves the sentences that Home Assistant knows; `local_only` leaves the models at home, too.
    """

    ask_language_model: bool = True
    local_only: bool = False
    confirm_sensitive: bool = True
    extract_memories: bool = False
    reply_style: ReplyStyle = "friendly"
    per_minute: int = 30
    per_hour: int = 300
    sessions_max: int = 4
    daily_usd: float = 1.0
    monthly_usd: float = 25.0
    cloud_fast_daily_usd: float = 0.3
    cloud_powerful_daily_usd: float = 0.5
    redis_url: str | None = None

    @classmethod
    def from_entry(cls, entry: ConfigEntry) -> Options:
        """The entry's options; what is missing or out of bounds has its default."""
        return cls.from_mapping(entry.options)

    @classmethod
    def from_mapping(cls, stored: Mapping[str, Any]) -> Options:
        """As `from_entry`, of what the entry stores."""
        kept = {}
        for field in fields(cls):
            value = _read(field.name, field.default, stored.get(field.name))
            if value is not None:
                kept[field.name] = value
        return cls(**kept)


def _read(name: str, default: object, value: Any) -> Any:
    """The value in the type of its default; None for what cannot be meant."""
    if name == "redis_url":
        return value if isinstance(value, str) and 0 < len(value) <= REDIS_URL_MAX_CHARS else None
    if name == "reply_style":
        return value if value in REPLY_STYLES else None
    if isinstance(default, bool):
        return value if isinstance(value, bool) else None
    bounds = BOUNDS[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not bounds.least <= value <= bounds.most:
        return None
    return int(value) if isinstance(default, int) else float(value)


@callback
def async_change(hass: HomeAssistant, entry: ConfigEntry, **changes: bool | float | str | None) -> None:
    """Stores changed options, None for the default, as a switch does; whoever follows the entry hears of it."""
    kept = {name: value for name, value in {**entry.options, **changes}.items() if value is not None}
    hass.config_entries.async_update_entry(entry, options=kept)


@callback
def async_follow(hass: HomeAssistant, entry: ConfigEntry, changed: Callable[[], None]) -> Callable[[], None]:
    """Calls `changed` whenever the options or the providers of an entry become others; returns how to stop it.

    An update listener would do the same, but Home Assistant allows none beside flows that reload, and a changed
    address of the sidecar has to reload the entry.
    """
    known = _settings(entry)

    @callback
    def look(change: ConfigEntryChange, changed_entry: ConfigEntry) -> None:
        nonlocal known
        if changed_entry.entry_id != entry.entry_id or change is not ConfigEntryChange.UPDATED:
            return
        now = _settings(entry)
        if now != known:
            known = now
            changed()

    return async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, look)


def _settings(entry: ConfigEntry) -> tuple[dict[str, Any], dict[str, tuple[str, dict[str, Any]]]]:
    # A changed subentry stays the same object.
    subentries = {key: (subentry.title, dict(subentry.data)) for key, subentry in entry.subentries.items()}
    return dict(entry.options), subentries
