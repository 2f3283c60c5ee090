"""Repair issues about language models: what only a person can mend, and why little is answered today."""

from __future__ import annotations

from collections.abc import Collection

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN


@callback
def async_provider_refused(hass: HomeAssistant, entry: ConfigEntry, subentry_id: str, error: str) -> None:
    """Tells that a provider lets nobody in (key, model or account); `error` is the ProviderError's text."""
    subentry = entry.subentries.get(subentry_id)
    if subentry is None:
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        _refused_id(entry, subentry_id),
        is_fixable=False,
        severity=ir.IssueSeverity.ERROR,
        translation_key="provider_refused",
        translation_placeholders={"provider": subentry.title, "name": entry.title, "error": error},
    )


@callback
def async_provider_answers(hass: HomeAssistant, entry: ConfigEntry, subentry_id: str) -> None:
    """Takes it back: the provider answered, or was given another key."""
    ir.async_delete_issue(hass, DOMAIN, _refused_id(entry, subentry_id))


@callback
def async_keep_refused(hass: HomeAssistant, entry: ConfigEntry, subentry_ids: Collection[str]) -> None:
    """Takes back what was told of all other providers, which were taken away or changed."""
    kept = {_refused_id(entry, subentry_id) for subentry_id in subentry_ids}
    for domain, issue_id in list(ir.async_get(hass).issues):
        if domain == DOMAIN and issue_id.startswith(_refused_id(entry, "")) and issue_id not in kept:
            ir.async_delete_issue(hass, DOMAIN, issue_id)


@callback
def async_budget_red(hass: HomeAssistant, entry: ConfigEntry, spent_usd: float, limit_usd: float) -> None:
    """Tells that only basic commands run until midnight; the first figures stay."""
    if ir.async_get(hass).async_get_issue(DOMAIN, _budget_id(entry)) is not None:
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        _budget_id(entry),
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key="budget_red",
        translation_placeholders={"name": entry.title, "spent": f"{spent_usd:.2f}", "limit": f"{limit_usd:.2f}"},
    )


@callback
def async_budget_fine(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Takes it back: another day, a larger budget."""
    ir.async_delete_issue(hass, DOMAIN, _budget_id(entry))


@callback
def async_forget(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Takes everything back that would outlive the entry; to be called when it is unloaded."""
    async_keep_refused(hass, entry, ())
    async_budget_fine(hass, entry)


def _refused_id(entry: ConfigEntry, subentry_id: str) -> str:
    return f"provider_refused_{entry.entry_id}_{subentry_id}"


def _budget_id(entry: ConfigEntry) -> str:
    return f"budget_red_{entry.entry_id}"
