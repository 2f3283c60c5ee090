"""The actions that care for the home's database at once."""

from __future__ import annotations

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.helpers.service import async_register_admin_service
import probatio

from .const import DOMAIN
from .database_keeper import async_keeper
from .services_common import failed
from .state.errors import StateError


@callback
def async_register(hass: HomeAssistant) -> None:
    """Registers the actions; both take a while and a lot of the disk, so they are for administrators."""
    for name, action in (("backup_now", _backup_now), ("maintenance_now", _maintenance_now)):
        async_register_admin_service(
            hass, DOMAIN, name, action, probatio.Schema({}), supports_response=SupportsResponse.OPTIONAL
        )


async def _backup_now(call: ServiceCall) -> ServiceResponse:
    try:
        return (await async_keeper(call.hass).copy()).as_dict()
    except StateError as error:
        raise failed(error) from error


async def _maintenance_now(call: ServiceCall) -> ServiceResponse:
    try:
        result = await async_keeper(call.hass).maintain()
    except StateError as error:
        raise failed(error) from error
    if not call.return_response and not result["ok"]:
        raise failed(result["error"])
    return result
