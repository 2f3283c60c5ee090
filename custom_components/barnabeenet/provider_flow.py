"""Subentry flow: adds a language model's provider to an entry, tests it before it is kept, and changes it later."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_API_KEY, CONF_MODEL, CONF_NAME
from homeassistant.util.ssl import get_default_context
import httpx
import probatio

from . import provider_forms as forms
from .const import SUBENTRY_PROVIDER
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
    KEY_OPTIONAL,
    KIND_NAMES,
    InvalidAddress,
    parse_base_url,
    read_settings,
)
from .providers.base import ProviderError, RateLimited, Refused, TimedOut, Truncated, Unreachable
from .providers.factory import open_provider
from .providers.http import open_http
from .providers.models import WrongKey, list_models
from .providers.prices import Price, table_price

_KEY_MAX_CHARS: Final = 500
_MODEL_MAX_CHARS: Final = 200
_NAME_MAX_CHARS: Final = 100
_PRICES: Final[tuple[str, ...]] = (CONF_PRICE_PROMPT, CONF_PRICE_COMPLETION, CONF_PRICE_CACHED)

# The first that fits; what may pass by itself can be saved all the same.
_FAILURES: Final[tuple[tuple[type[ProviderError], str, str, bool], ...]] = (
    (WrongKey, CONF_API_KEY, "invalid_auth", False),
    (Refused, "base", "refused", False),
    (Unreachable, "base", "cannot_connect", True),
    (Truncated, "base", "cannot_connect", True),
    (TimedOut, "base", "timeout", True),
    (RateLimited, "base", "rate_limited", True),
    (ProviderError, "base", "bad_answer", False),
)


class _Invalid(Exception):
    """What was entered does not work; `passes` when it may work at another time."""

    def __init__(self, field: str, error: str, detail: str = "", *, passes: bool = False) -> None:
        super().__init__(error)
        self.field = field
        self.error = error
        self.detail = detail
        self.passes = passes

    @classmethod
    def of(cls, error: ProviderError) -> _Invalid:
        """What a person is told of a provider's failure."""
        field, key, passes = next(rest for kind, *rest in _FAILURES if isinstance(error, kind))
        return cls(str(field), str(key), str(error), passes=bool(passes))


class ProviderFlow(ConfigSubentryFlow):
    """A provider's data: how it is reached, its model, and what it may cost; its title is its name."""

    def __init__(self) -> None:
        self._data: dict[str, Any] = {}
        # None as long as nobody has asked.
        self._models: list[str] | None = None
        self._unchecked = False

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Asks which vendor or server it is."""
        if user_input is not None:
            self._data = dict(user_input)
            return await self.async_step_connection()
        return self.async_show_form(step_id="user", data_schema=forms.KIND)

    async def async_step_reconfigure(
        self,
        user_input: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> SubentryFlowResult:
        """Asks what is to be changed."""
        self._data = dict(self._get_reconfigure_subentry().data)
        return self.async_show_menu(step_id="reconfigure", menu_options=["connection", "model", "details"])

    async def async_step_connection(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Asks for address and key, and fetches the list of models with them."""
        invalid = None
        if user_input is not None:
            try:
                await self._async_connect(user_input)
                return await self.async_step_model()
            except _Invalid as error:
                invalid = error
        # A key is never shown again.
        shown = {key: value for key, value in {**self._data, **(user_input or {})}.items() if key != CONF_API_KEY}
        fields = forms.connection(self._data[CONF_KIND], has_key=CONF_API_KEY in self._data)
        return self._form("connection", fields, shown, invalid)

    async def async_step_model(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Asks for model and tier, and tests whether the provider would answer."""
        invalid = None
        if user_input is not None:
            try:
                await self._async_choose(user_input)
                return await self.async_step_details()
            except _Invalid as error:
                invalid = error
        if self._models is None:
            self._models = await self._async_models_or_none()
        fields = forms.model(self._data[CONF_KIND], self._models)
        return self._form("model", fields, {**self._data, **(user_input or {})}, invalid)

    async def async_step_details(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Asks for name, order, limits and prices, and saves."""
        invalid = None
        if user_input is not None:
            try:
                return self._save(user_input)
            except _Invalid as error:
                invalid = error
        shown = user_input or {CONF_NAME: self._name(), **self._data, forms.SECTION_PRICES: self._prices()}
        return self._form("details", forms.details(self._data, self._orders()), shown, invalid)

    # What was entered

    async def _async_connect(self, user_input: dict[str, Any]) -> None:
        """Takes over address and key; raises _Invalid."""
        data = dict(self._data)
        moved = self._take_address(data, user_input)
        key = "".join(user_input.get(CONF_API_KEY, "").split())
        if len(key) > _KEY_MAX_CHARS or not key.isascii() or not key.isprintable():
            raise _Invalid(CONF_API_KEY, "invalid_key")
        if key:
            data[CONF_API_KEY] = key
        elif moved and CONF_API_KEY in data:
            # Who may change the address has not thereby seen the key, and does not get it sent to him.
            raise _Invalid(CONF_API_KEY, "key_again")
        elif CONF_API_KEY not in data and data[CONF_KIND] not in KEY_OPTIONAL:
            raise _Invalid(CONF_API_KEY, "key_missing")
        self._unchecked = user_input.get(forms.CONF_SAVE_ANYWAY, False)
        self._models = [] if self._unchecked else await self._async_models(data)
        self._data = data

    def _take_address(self, data: dict[str, Any], user_input: dict[str, Any]) -> bool:
        """Whether it is another address than before."""
        if CONF_BASE_URL not in user_input:
            return False
        try:
            address = parse_base_url(user_input[CONF_BASE_URL], data[CONF_KIND])
        except InvalidAddress as error:
            raise _Invalid(CONF_BASE_URL, "invalid_address") from error
        moved = address != data.get(CONF_BASE_URL)
        data[CONF_BASE_URL] = address
        data.pop(CONF_API_VERSION, None)
        if version := user_input.get(CONF_API_VERSION, "").strip():
            data[CONF_API_VERSION] = version
        return moved

    async def _async_choose(self, user_input: dict[str, Any]) -> None:
        """Takes over model and tier; raises _Invalid."""
        model = user_input[CONF_MODEL].strip()
        if not 0 < len(model) <= _MODEL_MAX_CHARS or not model.isprintable():
            raise _Invalid(CONF_MODEL, "invalid_model")
        data = {**self._data, CONF_MODEL: model, CONF_TIER: user_input[CONF_TIER]}
        if model != self._data.get(CONF_MODEL):
            # They were another model's.
            data = {key: value for key, value in data.items() if key not in _PRICES}
        if not (self._unchecked or user_input.get(forms.CONF_SAVE_ANYWAY, False)):
            await self._async_check(data)
        self._data = data

    def _save(self, user_input: dict[str, Any]) -> SubentryFlowResult:
        """Ends the flow; raises _Invalid."""
        typed = dict(user_input)
        name = typed.pop(CONF_NAME).strip()
        if not 0 < len(name) <= _NAME_MAX_CHARS:
            raise _Invalid(CONF_NAME, "invalid_name")
        if name in self._other_names():
            raise _Invalid(CONF_NAME, "name_taken")
        prices = typed.pop(forms.SECTION_PRICES, {})
        if (CONF_PRICE_PROMPT in prices) != (CONF_PRICE_COMPLETION in prices) or set(prices) == {CONF_PRICE_CACHED}:
            raise _Invalid("base", "price_incomplete")
        if prices == self._table_prices():
            # Only what differs is kept, so that a new version's table counts.
            prices = {}
        ours = {key: value for key, value in self._data.items() if key not in {*_PRICES, CONF_DAILY_USD}}
        data = {**ours, **typed, **prices}
        if self.source == SOURCE_RECONFIGURE:
            subentry = self._get_reconfigure_subentry()
            return self.async_update_and_abort(self._get_entry(), subentry, title=name, data=data)
        return self.async_create_entry(title=name, data=data)

    # Asking the provider

    async def _async_models(self, data: Mapping[str, Any]) -> list[str]:
        async with _client() as http:
            try:
                return await list_models(read_settings("", data), http)
            except ProviderError as error:
                raise _Invalid.of(error) from error

    async def _async_models_or_none(self) -> list[str]:
        try:
            return await self._async_models(self._data)
        except _Invalid:
            # The check at the end tells why.
            return []

    async def _async_check(self, data: Mapping[str, Any]) -> None:
        settings = read_settings("", data)
        async with _client() as http:
            try:
                provider = await open_provider(settings, http)
                await provider.check()
            except Refused as error:
                # The key may have been withdrawn since the list was fetched; else it is the model.
                await self._async_models(data)
                raise _Invalid(CONF_MODEL, "model_refused", str(error)) from error
            except ProviderError as error:
                raise _Invalid.of(error) from error

    # What is shown

    def _name(self) -> str:
        """The name as it is, else a new one that tells the vendor and the model."""
        if self.source == SOURCE_RECONFIGURE:
            return self._get_reconfigure_subentry().title
        return f"{KIND_NAMES[self._data[CONF_KIND]]} {self._data[CONF_MODEL]}"[:_NAME_MAX_CHARS]

    def _other_names(self) -> set[str]:
        mine = self._reconfigure_subentry_id if self.source == SOURCE_RECONFIGURE else None
        subentries = self._get_entry().subentries.values()
        others = (each for each in subentries if each.subentry_type == SUBENTRY_PROVIDER and each.subentry_id != mine)
        return {each.title for each in others}

    def _orders(self) -> list[int]:
        subentries = self._get_entry().subentries.values()
        return [int(each.data.get(CONF_ORDER, 0)) for each in subentries if each.subentry_type == SUBENTRY_PROVIDER]

    def _prices(self) -> dict[str, float]:
        """The person's own, else the table's."""
        own = {key: self._data[key] for key in _PRICES if key in self._data}
        return own or self._table_prices()

    def _table_prices(self) -> dict[str, float]:
        price: Price | None = table_price(self._data[CONF_KIND], self._data[CONF_MODEL])
        if price is None:
            return {}
        prices: dict[str, float] = {CONF_PRICE_PROMPT: price.prompt, CONF_PRICE_COMPLETION: price.completion}
        return prices if price.cached is None else {**prices, CONF_PRICE_CACHED: price.cached}

    def _form(
        self, step_id: str, fields: forms.Fields, shown: Mapping[str, Any], invalid: _Invalid | None
    ) -> SubentryFlowResult:
        errors = None
        if invalid is not None:
            errors = {invalid.field if invalid.field in fields else "base": invalid.error}
        if invalid is not None and invalid.passes:
            fields = {**fields, **forms.SAVE_ANYWAY}
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(probatio.Schema(fields), shown),
            errors=errors,
            description_placeholders={
                "error": invalid.detail if invalid else "",
                "kind": KIND_NAMES[self._data[CONF_KIND]],
                "model": self._data.get(CONF_MODEL, ""),
            },
            last_step=step_id == "details",
        )


@asynccontextmanager
async def _client() -> AsyncIterator[httpx.AsyncClient]:
    http = await open_http(get_default_context())
    try:
        yield http
    finally:
        await http.aclose()
