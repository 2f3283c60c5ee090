"""Config flow: pairs this home with a sidecar, by hand or as found on the network, and mends the pairing later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from homeassistant.config_entries import (
    SOURCE_IGNORE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
)
from homeassistant.const import CONF_HOST, CONF_PORT, CONF_TOKEN
from homeassistant.core import callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
import probatio

from . import pipelines
from .address import InvalidHost, address_of, as_data, parse_address
from .client.errors import (
    BackingOff,
    Busy,
    CannotConnect,
    ConnectionLost,
    ContractMismatch,
    Impostor,
    NotASidecar,
    ProtocolError,
    RequestFailed,
    SidecarError,
    SidecarTimeout,
    TlsMismatch,
    Unauthorized,
)
from .client.messages import TOKEN_MAX_CHARS, TOKEN_MIN_CHARS
from .client.sidecar import Address, Identity, probe
from .const import CONF_PREFERRED, CONF_TLS, DEFAULT_PORT, DEFAULT_TITLE, DOMAIN, SUBENTRY_PERSON, SUBENTRY_PROVIDER
from .coordinator import async_introduction
from .options_flow import BarnabeeNetOptionsFlow
from .person_flow import PersonFlow
from .provider_flow import ProviderFlow

_ERRORS: Final[Mapping[type[SidecarError], str]] = {
    BackingOff: "backing_off",
    Busy: "busy",
    CannotConnect: "cannot_connect",
    ConnectionLost: "connection_lost",
    ContractMismatch: "contract_mismatch",
    Impostor: "impostor",
    NotASidecar: "not_a_sidecar",
    ProtocolError: "protocol_error",
    RequestFailed: "request_failed",
    SidecarTimeout: "timeout",
    TlsMismatch: "tls_mismatch",
    Unauthorized: "invalid_auth",
}

_PASSWORD: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
_TOKEN_FIELD: Final[dict[probatio.Marker, Any]] = {probatio.Required(CONF_TOKEN): _PASSWORD}
_ADDRESS: Final[dict[probatio.Marker, Any]] = {
    probatio.Required(CONF_HOST): str,
    probatio.Required(CONF_PORT, default=DEFAULT_PORT): cv.port,
    probatio.Required(CONF_TLS, default=False): bool,
}


class _Refused(Exception):
    """What was entered does not lead to a sidecar; `errors` is for the form, `detail` for its texts."""

    def __init__(self, errors: dict[str, str], detail: str = "") -> None:
        super().__init__(errors)
        self.errors = errors
        self.detail = detail


class BarnabeeNetConfigFlow(ConfigFlow, domain=DOMAIN):
    """An entry's data: host, port and token, proven to work; its unique id is the sidecar's."""

    VERSION = 1

    _found: Address
    _name: str

    @staticmethod
    @callback
    def async_get_options_flow(config_entry: ConfigEntry) -> BarnabeeNetOptionsFlow:  # noqa: ARG004
        """What can be changed without setting the entry up again."""
        return BarnabeeNetOptionsFlow()

    @classmethod
    @callback
    def async_get_supported_subentry_types(
        cls,
        config_entry: ConfigEntry,  # noqa: ARG003
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """What can be added to an entry."""
        return {SUBENTRY_PROVIDER: ProviderFlow, SUBENTRY_PERSON: PersonFlow}

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Asks for address and token."""
        refused = None
        if user_input is not None:
            try:
                return await self._async_pair(_typed_address(user_input), user_input)
            except _Refused as error:
                refused = error
        return self._form("user", {**_ADDRESS, **_TOKEN_FIELD, **self._preferred_field()}, user_input, refused)

    async def async_step_zeroconf(self, discovery_info: ZeroconfServiceInfo) -> ConfigFlowResult:
        """Takes up a sidecar that announces itself; a known one at another address has to prove itself there."""
        sidecar_id = discovery_info.properties.get("id")
        if not sidecar_id or discovery_info.port is None:
            return self.async_abort(reason="invalid_discovery")
        encrypts = discovery_info.properties.get("tls") == "1"
        self._found = Address(discovery_info.host, discovery_info.port, tls=encrypts)
        entry = await self.async_set_unique_id(sidecar_id)
        if entry is not None:
            return await self._async_follow(entry)
        self._name = discovery_info.properties.get("name") or discovery_info.name.partition(".")[0]
        self.context["title_placeholders"] = {"name": self._name}
        return await self.async_step_zeroconf_confirm()

    async def async_step_zeroconf_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Asks for the token of a discovered sidecar."""
        refused = None
        if user_input is not None:
            try:
                return await self._async_pair(self._found, user_input)
            except _Refused as error:
                refused = error
        placeholders = {"name": self._name, "host": self._found.host}
        fields = {**_TOKEN_FIELD, **self._preferred_field()}
        return self._form("zeroconf_confirm", fields, user_input, refused, placeholders)

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:  # noqa: ARG002
        """Begins when sidecar and home no longer agree on the token."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Asks for the new token."""
        entry = self._get_reauth_entry()
        address = address_of(entry)
        refused = None
        if user_input is not None:
            try:
                return await self._async_mend(entry, address, _token(user_input))
            except _Refused as error:
                refused = error
        placeholders = {"name": entry.title, "host": address.host}
        return self._form("reauth_confirm", _TOKEN_FIELD, user_input, refused, placeholders)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Asks for another address of the same sidecar, and for a token when that is new, too."""
        entry = self._get_reconfigure_entry()
        refused = None
        if user_input is not None:
            try:
                token = _token(user_input) if user_input.get(CONF_TOKEN) else entry.data[CONF_TOKEN]
                return await self._async_mend(entry, _typed_address(user_input), token)
            except _Refused as error:
                refused = error
        shown = user_input or as_data(address_of(entry))
        return self._form("reconfigure", {**_ADDRESS, probatio.Optional(CONF_TOKEN): _PASSWORD}, shown, refused)

    async def _async_pair(self, address: Address, user_input: dict[str, Any]) -> ConfigFlowResult:
        """Creates the entry; raises _Refused."""
        token = _token(user_input)
        identity = await self._async_probe(address, token)
        data = {**as_data(address), CONF_TOKEN: token}
        await self.async_set_unique_id(identity.sidecar_id, raise_on_progress=False)
        self._abort_if_unique_id_configured(updates=data)
        taken = {entry.title for entry in self._async_current_entries()}
        title = f"{DEFAULT_TITLE} ({identity.name})" if DEFAULT_TITLE in taken else DEFAULT_TITLE
        return self.async_create_entry(title=title, data=data | {CONF_PREFERRED: user_input[CONF_PREFERRED]})

    async def _async_mend(self, entry: ConfigEntry, address: Address, token: str) -> ConfigFlowResult:
        """Changes how the entry's sidecar is reached; raises _Refused."""
        identity = await self._async_probe(address, token)
        await self.async_set_unique_id(identity.sidecar_id, raise_on_progress=False)
        self._abort_if_unique_id_mismatch(reason="another_sidecar", description_placeholders={"name": identity.name})
        updates = {**as_data(address), CONF_TOKEN: token}
        return self.async_update_reload_and_abort(entry, data_updates=updates)

    async def _async_follow(self, entry: ConfigEntry) -> ConfigFlowResult:
        """Moves an entry to where its sidecar was found: anybody on the network can announce its id."""
        if entry.source == SOURCE_IGNORE:
            return self.async_abort(reason="already_configured")
        works = entry.state is ConfigEntryState.LOADED and entry.runtime_data.sidecar.available
        known = address_of(entry)
        # Encryption that somebody wanted is not given up for an announcement.
        found = replace(self._found, tls=self._found.tls or known.tls)
        if not works and found != known:
            try:
                identity = await self._async_probe(found, entry.data[CONF_TOKEN])
            except _Refused:
                return self.async_abort(reason="already_configured")
            if identity.sidecar_id == entry.unique_id:
                self._abort_if_unique_id_configured(as_data(found))
        return self.async_abort(reason="already_configured")

    async def _async_probe(self, address: Address, token: str) -> Identity:
        home, software = await async_introduction(self.hass)
        try:
            identity, _ = await probe(address, token, home=home, software=software)
        except SidecarError as error:
            raise _Refused({"base": _ERRORS.get(type(error), "unknown")}, str(error)) from error
        return identity

    def _preferred_field(self) -> dict[probatio.Marker, Any]:
        return {probatio.Required(CONF_PREFERRED, default=pipelines.is_first(self.hass)): bool}

    def _form(
        self,
        step_id: str,
        fields: Mapping[probatio.Marker, Any],
        shown: Mapping[str, Any] | None,
        refused: _Refused | None,
        placeholders: Mapping[str, str] | None = None,
    ) -> ConfigFlowResult:
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(probatio.Schema(dict(fields)), shown),
            errors=refused.errors if refused else None,
            description_placeholders={**(placeholders or {}), "error": refused.detail if refused else ""},
        )


def _typed_address(user_input: Mapping[str, Any]) -> Address:
    try:
        host, port = parse_address(user_input[CONF_HOST], user_input[CONF_PORT])
    except InvalidHost as error:
        raise _Refused({CONF_HOST: "invalid_host"}) from error
    return Address(host, port, tls=user_input[CONF_TLS])


def _token(user_input: Mapping[str, Any]) -> str:
    """The token without the line breaks and blanks that copying adds."""
    token = "".join(user_input[CONF_TOKEN].split())
    if not TOKEN_MIN_CHARS <= len(token) <= TOKEN_MAX_CHARS:
        raise _Refused({CONF_TOKEN: "invalid_token"})
    return token
