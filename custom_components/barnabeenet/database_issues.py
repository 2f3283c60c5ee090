"""Repair issues about the home's database: what was lost, where it lies, and what does not work now."""

from __future__ import annotations

from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .state.recovery import Recovery

RESTORED: Final = "database_restored"
EMPTY: Final = "database_empty"
UNAVAILABLE: Final = "database_unavailable"
DAMAGED: Final = "database_damaged"
WRITES_FAIL: Final = "database_writes_fail"
MAINTENANCE_FAILED: Final = "maintenance_failed"


@callback
def async_recovered(hass: HomeAssistant, recovery: Recovery) -> None:
    """Tells what was set aside and what took its place, until somebody has read it."""
    told = {"reason": recovery.reason, "set_aside": str(recovery.set_aside or "-")}
    if recovery.restored is None:
        _create(hass, EMPTY, ir.IssueSeverity.ERROR, told, persistent=True)
        return
    made_at = dt_util.as_local(recovery.restored.made_at).strftime("%Y-%m-%d %H:%M")
    told |= {"made_at": made_at, "copy": str(recovery.restored.path)}
    _create(hass, RESTORED, ir.IssueSeverity.WARNING, told, persistent=True)


@callback
def async_unavailable(hass: HomeAssistant, error: str) -> None:
    """Tells that nothing is remembered for good: the file cannot be opened, yet nothing says that it is damaged."""
    _create(hass, UNAVAILABLE, ir.IssueSeverity.ERROR, {"error": error})


@callback
def async_damaged(hass: HomeAssistant, error: str) -> None:
    """Tells that damage was met in a file that is in use."""
    _create(hass, DAMAGED, ir.IssueSeverity.ERROR, {"error": error})


@callback
def async_writes_fail(hass: HomeAssistant, error: str) -> None:
    """Tells that what is to be kept waits in memory."""
    _create(hass, WRITES_FAIL, ir.IssueSeverity.ERROR, {"error": error}, fixable=False)


@callback
def async_writes_go_on(hass: HomeAssistant) -> None:
    """Takes it back."""
    ir.async_delete_issue(hass, DOMAIN, WRITES_FAIL)


@callback
def async_opened(hass: HomeAssistant) -> None:
    """Takes back what is no longer so once the home's own database is open."""
    for issue in (UNAVAILABLE, DAMAGED, WRITES_FAIL):
        ir.async_delete_issue(hass, DOMAIN, issue)


@callback
def async_maintenance_failed(hass: HomeAssistant, step: str, error: str) -> None:
    """Tells that a nightly maintenance did not do all of its work."""
    _create(hass, MAINTENANCE_FAILED, ir.IssueSeverity.WARNING, {"step": step, "error": error}, fixable=False)


@callback
def async_maintenance_fine(hass: HomeAssistant) -> None:
    """Takes it back: a later one did."""
    ir.async_delete_issue(hass, DOMAIN, MAINTENANCE_FAILED)


@callback
def async_closed(hass: HomeAssistant) -> None:
    """Takes back what would outlive the last entry; what somebody has to read stays."""
    async_opened(hass)
    async_maintenance_fine(hass)


def _create(
    hass: HomeAssistant,
    key: str,
    severity: ir.IssueSeverity,
    placeholders: dict[str, str],
    *,
    fixable: bool = True,
    persistent: bool = False,
) -> None:
    ir.async_create_issue(
        hass,
        DOMAIN,
        key,
        is_fixable=fixable,
        is_persistent=persistent,
        severity=severity,
        translation_key=key,
        translation_placeholders=placeholders,
    )
