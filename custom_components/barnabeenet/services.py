"""The actions that automations and people can call: what was spent, whom to ask, and conversations to end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, Protocol

from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_register_admin_service
from homeassistant.util import dt as dt_util
import probatio

from . import services_memory, services_upkeep, services_voice
from .const import DOMAIN
from .dialog.benchmark import PROVIDERS_MAX
from .provider_entries import providers_of
from .services_common import brain_of, entry_of, invalid, translated
from .state.report import DAYS_MAX

ATTR_ENABLED: Final = "enabled"
ATTR_END: Final = "end"
ATTR_FORMAT: Final = "format"
ATTR_PERIOD: Final = "period"
ATTR_PROVIDERS: Final = "providers"
ATTR_SPEAKER: Final = "speaker"
ATTR_START: Final = "start"

PERIODS: Final = ("day", "month", "range")
FORMATS: Final = ("data", "text", "csv")

_NAME: Final = probatio.All(cv.string, probatio.Length(min=1, max=255))
_ENTRY: Final[dict[Any, Any]] = {probatio.Optional(ATTR_CONFIG_ENTRY_ID): cv.string}
_COST_REPORT: Final = probatio.Schema(
    {
        **_ENTRY,
        probatio.Optional(ATTR_PERIOD, default="day"): probatio.In(PERIODS),
        probatio.Optional(ATTR_START): cv.date,
        probatio.Optional(ATTR_END): cv.date,
        probatio.Optional(ATTR_FORMAT, default="data"): probatio.In(FORMATS),
    }
)
_END_SESSION: Final = probatio.Schema(
    {**_ENTRY, probatio.Optional(ATTR_DEVICE_ID): _NAME, probatio.Optional(ATTR_SPEAKER): _NAME}
)
_SET_LOCAL_ONLY: Final = probatio.Schema({**_ENTRY, probatio.Required(ATTR_ENABLED): cv.boolean})
_BENCHMARK: Final = probatio.Schema(
    {
        **_ENTRY,
        probatio.Optional(ATTR_PROVIDERS): probatio.All(cv.ensure_list, [_NAME], probatio.Length(max=PROVIDERS_MAX)),
    }
)


class Report(Protocol):
    """What was spent in some days."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""

    def as_text(self) -> str:
        """For people."""

    def as_csv(self) -> str:
        """For spreadsheets."""


class Comparison(Protocol):
    """How some language models did."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""


class Brain(Protocol):
    """What the actions need of an entry; any of it may raise StateError, ProviderError or ValueError."""

    async def cost_report(self, first: date, last: date) -> Report:
        """What was spent from the first day to the last, both of them at home and included."""

    async def reset_cost_counter(self) -> None:
        """Begins the budgets of today and of this month anew."""

    async def end_session(self, *, device_id: str | None = None, speaker: str | None = None) -> int:
        """Ends the sessions of one of the two; returns how many there were."""

    async def set_local_only(self, local_only: bool) -> None:
        """Keeps everything in the house, or no longer; for good."""

    async def benchmark(self, names: Sequence[str]) -> Comparison:
        """Asks each of these providers the standard questions."""


@callback
def async_register(hass: HomeAssistant) -> None:
    """Registers the actions; those that cost or forget money are for administrators."""
    register = hass.services.async_register
    only = SupportsResponse.ONLY
    register(DOMAIN, "cost_report", _cost_report, _COST_REPORT, supports_response=only)
    register(DOMAIN, "end_session", _end_session, _END_SESSION)
    register(DOMAIN, "set_local_only", _set_local_only, _SET_LOCAL_ONLY)
    async_register_admin_service(hass, DOMAIN, "reset_cost_counter", _reset_cost_counter, probatio.Schema(_ENTRY))
    async_register_admin_service(hass, DOMAIN, "benchmark", _benchmark, _BENCHMARK, supports_response=only)
    services_upkeep.async_register(hass)
    services_voice.async_register(hass)
    services_memory.async_register(hass)


async def _cost_report(call: ServiceCall) -> ServiceResponse:
    first, last = _days(call)
    brain = brain_of(call)
    with translated():
        report = await brain.cost_report(first, last)
    match call.data[ATTR_FORMAT]:
        case "text":
            told: dict[str, Any] = {"text": report.as_text()}
        case "csv":
            told = {"csv": report.as_csv()}
        case _:
            told = report.as_dict()
    return {"start": first.isoformat(), "end": last.isoformat(), **told}


async def _reset_cost_counter(call: ServiceCall) -> None:
    brain = brain_of(call)
    with translated():
        await brain.reset_cost_counter()


async def _end_session(call: ServiceCall) -> None:
    device_id, speaker = call.data.get(ATTR_DEVICE_ID), call.data.get(ATTR_SPEAKER)
    if (device_id is None) == (speaker is None):
        raise invalid("device_or_speaker")
    brain = brain_of(call)
    with translated():
        ended = await brain.end_session(device_id=device_id, speaker=speaker)
    if not ended:
        raise invalid("no_session")


async def _set_local_only(call: ServiceCall) -> None:
    brain = brain_of(call)
    with translated():
        await brain.set_local_only(call.data[ATTR_ENABLED])


async def _benchmark(call: ServiceCall) -> ServiceResponse:
    entry, brain = entry_of(call), brain_of(call)
    known = [provider.settings.name for provider in providers_of(entry)]
    if not known:
        raise invalid("no_providers", name=entry.title)
    wanted = list(dict.fromkeys(call.data.get(ATTR_PROVIDERS) or known))
    for name in wanted:
        if name not in known:
            raise invalid("unknown_provider", provider=name, known=", ".join(known))
    with translated():
        return (await brain.benchmark(wanted)).as_dict()


def _days(call: ServiceCall) -> tuple[date, date]:
    """The first and the last day of a report; raises ServiceValidationError."""
    today = dt_util.now().date()
    period = call.data[ATTR_PERIOD]
    if period == "day":
        return today, today
    if period == "month":
        return today.replace(day=1), today
    first, last = call.data.get(ATTR_START), call.data.get(ATTR_END) or today
    if first is None:
        raise invalid("range_missing")
    if last < first:
        raise invalid("range_wrong")
    if (last - first).days >= DAYS_MAX:
        raise invalid("range_too_long", days=str(DAYS_MAX))
    return first, last
