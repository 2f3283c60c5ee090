"""The forms of a provider's flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from homeassistant.const import CONF_API_KEY, CONF_MODEL, CONF_NAME
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import probatio

from .provider_entries import (
    CONF_API_VERSION,
    CONF_BASE_URL,
    CONF_DAILY_USD,
    CONF_KIND,
    CONF_ORDER,
    CONF_PRICE_CACHED,
    CONF_PRICE_COMPLETION,
    CONF_PRICE_PROMPT,
    CONF_TIER,
    CONF_TIME_LIMIT_S,
    KEY_OPTIONAL,
    KINDS,
    NEED_ADDRESS,
    TIERS,
    TIME_LIMIT_S,
)
from .providers.chain import TURN_S

CONF_SAVE_ANYWAY: Final = "save_anyway"
SECTION_PRICES: Final = "prices"

ORDER_MAX: Final = 100

Fields: TypeAlias = dict[Any, Any]

_TEXT: Final = TextSelector()
_PASSWORD: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))


def _number(least: float, most: float, unit: str | None = None, step: float | None = None) -> NumberSelector:
    config = NumberSelectorConfig(min=least, max=most, mode=NumberSelectorMode.BOX)
    config["step"] = "any" if step is None else step
    if unit is not None:
        config["unit_of_measurement"] = unit
    return NumberSelector(config)


_PRICE: Final = _number(0, 10_000, "USD")
_ORDER: Final = probatio.All(_number(1, ORDER_MAX, step=1), probatio.Coerce(int))

SAVE_ANYWAY: Final[Fields] = {probatio.Optional(CONF_SAVE_ANYWAY, default=False): bool}

KIND: Final = probatio.Schema(
    {
        probatio.Required(CONF_KIND): SelectSelector(
            SelectSelectorConfig(options=list(KINDS), translation_key="provider_kind", mode=SelectSelectorMode.DROPDOWN)
        )
    }
)


def connection(kind: str, *, has_key: bool) -> Fields:
    """Where the provider is and what lets us in; a key that is there already need not be entered again."""
    fields: Fields = {}
    if kind in NEED_ADDRESS:
        fields[probatio.Required(CONF_BASE_URL)] = _TEXT
    optional = has_key or kind in KEY_OPTIONAL
    fields[(probatio.Optional if optional else probatio.Required)(CONF_API_KEY)] = _PASSWORD
    if kind == "azure_openai":
        fields[probatio.Optional(CONF_API_VERSION)] = _TEXT
    return fields


def model(kind: str, models: Sequence[str]) -> Fields:
    """A list to choose from where there is one; another name can be typed all the same."""
    choice = SelectSelector(
        SelectSelectorConfig(options=list(models), custom_value=True, mode=SelectSelectorMode.DROPDOWN)
    )
    tiers = SelectSelector(SelectSelectorConfig(options=tiers_of(kind), translation_key="tier"))
    default = "local" if kind == "ollama" else "cloud_fast"
    return {
        probatio.Required(CONF_MODEL): choice if models else _TEXT,
        probatio.Required(CONF_TIER, default=default): tiers,
    }


def tiers_of(kind: str) -> list[str]:
    """What a vendor in the cloud cannot be is local: such models cost nothing and go on when only local ones may."""
    return [tier for tier in TIERS if tier != "local" or kind in KEY_OPTIONAL]


def details(data: Mapping[str, Any], orders: Sequence[int]) -> Fields:
    """Name, place in the order, limits; prices where something may have to be paid."""
    last = min(max(orders, default=0) + 1, ORDER_MAX)
    fields: Fields = {
        probatio.Required(CONF_NAME): _TEXT,
        probatio.Required(CONF_ORDER, default=last): _ORDER,
        probatio.Required(CONF_TIME_LIMIT_S, default=TIME_LIMIT_S): _number(1, TURN_S, "s"),
    }
    if data[CONF_TIER] == "local":
        return fields
    prices = {probatio.Optional(name): _PRICE for name in (CONF_PRICE_PROMPT, CONF_PRICE_CACHED, CONF_PRICE_COMPLETION)}
    return fields | {
        probatio.Optional(CONF_DAILY_USD): _number(0, 1000, "USD"),
        probatio.Required(SECTION_PRICES): section(probatio.Schema(prices), {"collapsed": True}),
    }
