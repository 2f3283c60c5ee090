"""From an entry's subentries to the settings of its providers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast, get_args
from urllib.parse import urlsplit, urlunsplit

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_API_KEY, CONF_MODEL

from .const import SUBENTRY_PROVIDER
from .providers.base import Tier
from .providers.prices import Price
from .providers.settings import Kind, Limits, Settings

CONF_KIND: Final = "kind"
CONF_BASE_URL: Final = "base_url"
CONF_API_VERSION: Final = "api_version"
CONF_TIER: Final = "tier"
CONF_ORDER: Final = "order"
CONF_TIME_LIMIT_S: Final = "time_limit_s"
CONF_DAILY_USD: Final = "daily_usd"
CONF_PRICE_PROMPT: Final = "price_prompt"
CONF_PRICE_CACHED: Final = "price_cached"
CONF_PRICE_COMPLETION: Final = "price_completion"

KINDS: Final[tuple[str, ...]] = get_args(Kind)
TIERS: Final[tuple[str, ...]] = get_args(Tier)
# Those of which only the person knows where they are.
NEED_ADDRESS: Final = frozenset({"azure_openai", "ollama", "openai_compatible"})
# What runs at home is often spoken to without one.
KEY_OPTIONAL: Final = frozenset({"ollama", "openai_compatible"})
KIND_NAMES: Final[Mapping[str, str]] = {
    "openai": "OpenAI",
    "azure_openai": "Azure OpenAI",
    "openrouter": "OpenRouter",
    "groq": "Groq",
    "anthropic": "Anthropic",
    "ollama": "Ollama",
    "openai_compatible": "OpenAI-compatible",
}

TIME_LIMIT_S: Final = 10.0
# A form's patience with a provider.
CHECK_S: Final = 8.0
_ADDRESS_MAX_CHARS: Final = 500


@dataclass(frozen=True)
class ProviderEntry:
    """One provider as it is configured: the smaller `order` is asked first; `daily_usd` None has no budget of its own."""

    subentry_id: str
    settings: Settings
    order: int
    daily_usd: float | None


class InvalidAddress(ValueError):
    """What was typed is no address of an HTTP server."""


def providers_of(entry: ConfigEntry) -> list[ProviderEntry]:
    """The providers of an entry in the order in which they are asked; their names are unique."""
    found: list[ProviderEntry] = []
    names: set[str] = set()
    for subentry in entry.subentries.values():
        if subentry.subentry_type != SUBENTRY_PROVIDER:
            continue
        name, count = subentry.title, 1
        while name in names:
            count += 1
            name = f"{subentry.title} ({count})"
        names.add(name)
        settings = read_settings(name, subentry.data)
        order = int(subentry.data.get(CONF_ORDER, 0))
        found.append(ProviderEntry(subentry.subentry_id, settings, order, subentry.data.get(CONF_DAILY_USD)))
    return sorted(found, key=lambda provider: provider.order)


def read_settings(name: str, data: Mapping[str, Any]) -> Settings:
    """A subentry's data as its provider takes it."""
    return Settings(
        name=name,
        kind=cast(Kind, data[CONF_KIND]),
        model=data.get(CONF_MODEL, ""),
        tier=cast(Tier, data.get(CONF_TIER, "cloud_fast")),
        api_key=data.get(CONF_API_KEY),
        base_url=data.get(CONF_BASE_URL),
        api_version=data.get(CONF_API_VERSION),
        price=_price(data),
        limits=Limits(first_token_s=float(data.get(CONF_TIME_LIMIT_S, TIME_LIMIT_S)), check_s=CHECK_S),
    )


def _price(data: Mapping[str, Any]) -> Price | None:
    if CONF_PRICE_PROMPT not in data or CONF_PRICE_COMPLETION not in data:
        return None
    return Price(data[CONF_PRICE_PROMPT], data[CONF_PRICE_COMPLETION], data.get(CONF_PRICE_CACHED))


def parse_base_url(typed: str, kind: str) -> str:
    """The base address in what people type or paste; raises InvalidAddress."""
    typed = typed.strip()
    if len(typed) > _ADDRESS_MAX_CHARS or any(char.isspace() or not char.isprintable() for char in typed):
        raise InvalidAddress("blanks or control characters, or too long")
    if "://" not in typed:
        typed = f"{'https' if kind == 'azure_openai' else 'http'}://{typed}"
    try:
        url = urlsplit(typed)
        # Reading the port checks it.
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError as error:
        raise InvalidAddress(str(error)) from error
    if not usable or url.username is not None or url.query or url.fragment:
        raise InvalidAddress("no plain http:// or https:// address")
    path = url.path.rstrip("/").removesuffix("/chat/completions")
    if not path and kind != "azure_openai":
        # Where servers of this kind have their OpenAI interface, and what their manuals leave out.
        path = "/v1"
    return urlunsplit((url.scheme, url.netloc, path, "", ""))
