"""Options flow: limits, budgets, what is asked of language models, and where Redis is; taken up without a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
import probatio
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError
from yarl import URL

from .options import BOUNDS, REDIS_URL_MAX_CHARS, REPLY_STYLES, Options
from .state.errors import StateError
from .state.redis import REDIS_ERRORS, open_redis

# Shown in the place of a password that is kept.
MASK: Final = "********"

_EXAMPLE: Final = "redis://:password@192.168.1.20:6379/0"

_REDIS_CHECK_S: Final = 5.0
_CONF_REDIS: Final = "redis_url"
_SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "limits": ("per_minute", "per_hour", "sessions_max"),
    "money": ("daily_usd", "monthly_usd", "cloud_fast_daily_usd", "cloud_powerful_daily_usd"),
    "redis": (_CONF_REDIS,),
}


class _Invalid(Exception):
    """What was entered does not go together or does not work."""

    def __init__(self, error: str, detail: str = "") -> None:
        super().__init__(error)
        self.errors = {"base": error}
        self.detail = detail


class BarnabeeNetOptionsFlow(OptionsFlow):
    """One form; an entry's options are flat, its sections only order the form."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Shows what is set and takes what is entered, when it works."""
        invalid = None
        known = Options.from_entry(self.config_entry)
        if user_input is not None:
            try:
                options = await _async_checked(_flat(user_input), known)
                return self.async_create_entry(data={**_others(self.config_entry.options), **options})
            except _Invalid as error:
                invalid = error
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(_SCHEMA, user_input or _nested(known)),
            errors=invalid.errors if invalid else None,
            description_placeholders={
                "error": invalid.detail if invalid else "",
                "example": _EXAMPLE,
                "mask": MASK,
            },
        )


async def _async_checked(entered: dict[str, Any], known: Options) -> dict[str, Any]:
    """The options to keep; raises _Invalid."""
    if entered["per_hour"] < entered["per_minute"]:
        raise _Invalid("hour_below_minute")
    if entered["monthly_usd"] < entered["daily_usd"]:
        raise _Invalid("month_below_day")
    redis_url = entered.pop(_CONF_REDIS, "").strip()
    if not redis_url:
        return entered
    redis_url = _unmasked(redis_url, known.redis_url)
    if redis_url != known.redis_url:
        await _async_reach(redis_url)
    return {**entered, _CONF_REDIS: redis_url}


def _unmasked(typed: str, known: str | None) -> str:
    """What was typed, with the known password where its mask was left standing; raises _Invalid."""
    if len(typed) > REDIS_URL_MAX_CHARS:
        raise _Invalid("redis_address")
    try:
        url = URL(typed if "://" in typed else f"redis://{typed}")
        old = URL(known) if known else None
        if url.password == MASK:
            if old is None or (url.host, url.port, url.user) != (old.host, old.port, old.user):
                raise _Invalid("redis_password_again")
            url = url.with_password(old.password)
    except ValueError as error:
        raise _Invalid("redis_address") from error
    return str(url)


async def _async_reach(redis_url: str) -> None:
    """Raises _Invalid where no Redis answers, or none that can be written to."""
    try:
        redis = await asyncio.to_thread(open_redis, redis_url)
    except StateError as error:
        raise _Invalid("redis_address") from error
    try:
        async with asyncio.timeout(_REDIS_CHECK_S):
            # A replica answers a ping, too, but takes nothing.
            await redis.set("barnabeenet:check", "1", ex=1)
    except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
        raise _Invalid("redis_auth") from error
    except REDIS_ERRORS as error:
        raise _Invalid("redis_unreachable", _said(error)) from error
    finally:
        await redis.aclose()


def _said(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__


def _masked(redis_url: str | None) -> str:
    url = URL(redis_url or "")
    return str(url.with_password(MASK)) if url.password else str(url)


def _others(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Options that are not ours to change here."""
    ours = {field.name for field in fields(Options)}
    return {name: value for name, value in stored.items() if name not in ours}


def _flat(entered: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in entered.items() if name not in _SECTIONS}
    for name in _SECTIONS:
        flat |= entered.get(name, {})
    return flat


def _nested(options: Options) -> dict[str, Any]:
    shown: dict[str, Any] = {field.name: getattr(options, field.name) for field in fields(options)}
    shown[_CONF_REDIS] = _masked(options.redis_url)
    return shown | {name: {field: shown[field] for field in within} for name, within in _SECTIONS.items()}


def _number(name: str) -> Any:
    bounds = BOUNDS[name]
    money = name.endswith("_usd")
    config = NumberSelectorConfig(min=bounds.least, max=bounds.most, step=bounds.step, mode=NumberSelectorMode.BOX)
    if money:
        config["unit_of_measurement"] = "USD"
    return probatio.All(NumberSelector(config), probatio.Coerce(float if money else int))


def _section(name: str) -> section:
    defaults = Options()
    schema: dict[Any, Any] = {}
    for field in _SECTIONS[name]:
        if field == _CONF_REDIS:
            schema[probatio.Optional(field)] = TextSelector()
        else:
            schema[probatio.Required(field, default=getattr(defaults, field))] = _number(field)
    return section(probatio.Schema(schema), {"collapsed": name == "redis"})


_STYLES: Final = SelectSelector(
    SelectSelectorConfig(options=list(REPLY_STYLES), translation_key="reply_style", mode=SelectSelectorMode.DROPDOWN)
)
_SCHEMA: Final = probatio.Schema(
    {
        probatio.Required("ask_language_model", default=Options.ask_language_model): bool,
        probatio.Required("local_only", default=Options.local_only): bool,
        probatio.Required("confirm_sensitive", default=Options.confirm_sensitive): bool,
        probatio.Required("extract_memories", default=Options.extract_memories): bool,
        probatio.Required("reply_style", default=Options.reply_style): _STYLES,
        **{probatio.Required(name): _section(name) for name in _SECTIONS},
    }
)
