"""Repair issues about language models: told once, and gone when their cause is."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.barnabeenet import repairs_issues as repairs
from custom_components.barnabeenet.const import DOMAIN

pytestmark = pytest.mark.usefixtures("starting")


def issues(hass: HomeAssistant) -> list[ir.IssueEntry]:
    return [issue for (domain, _), issue in ir.async_get(hass).issues.items() if domain == DOMAIN]


@pytest.fixture
def providers(home: HomeAssistant, entry: MockConfigEntry) -> list[str]:
    """Two providers."""
    for name in ("one", "two"):
        data: MappingProxyType[str, Any] = MappingProxyType({"kind": "groq", "model": "x", "tier": "cloud_fast"})
        subentry = ConfigSubentry(data=data, subentry_type="provider", title=name, unique_id=None)
        home.config_entries.async_add_subentry(entry, subentry)
    return list(entry.subentries)


def test_a_provider_that_refuses_is_an_issue_until_it_answers(
    home: HomeAssistant, entry: MockConfigEntry, providers: list[str], root: Path
) -> None:
    for _ in range(2):
        repairs.async_provider_refused(home, entry, providers[0], "The key was refused (401)")
    (issue,) = issues(home)
    assert (issue.severity, issue.is_fixable) == (ir.IssueSeverity.ERROR, False)
    check_texts(root, issue)

    repairs.async_provider_answers(home, entry, providers[1])
    assert issues(home) == [issue]
    repairs.async_provider_answers(home, entry, providers[0])
    assert issues(home) == []


def test_a_provider_that_was_taken_away_has_no_issue(
    home: HomeAssistant, entry: MockConfigEntry, providers: list[str]
) -> None:
    for subentry_id in providers:
        repairs.async_provider_refused(home, entry, subentry_id, "no")
    home.config_entries.async_remove_subentry(entry, providers[0])
    repairs.async_keep_refused(home, entry, entry.subentries)
    (issue,) = issues(home)
    assert issue.translation_placeholders == {"provider": "two", "name": "Barnabee", "error": "no"}
    repairs.async_provider_refused(home, entry, providers[0], "no")
    assert issues(home) == [issue]


def test_a_red_day_is_told_once_and_taken_back(home: HomeAssistant, entry: MockConfigEntry, root: Path) -> None:
    repairs.async_budget_red(home, entry, 0.81234, 1.0)
    repairs.async_budget_red(home, entry, 0.9, 1.0)
    (issue,) = issues(home)
    assert issue.severity is ir.IssueSeverity.WARNING
    assert issue.translation_placeholders == {"name": "Barnabee", "spent": "0.81", "limit": "1.00"}
    check_texts(root, issue)
    repairs.async_budget_fine(home, entry)
    assert issues(home) == []


def test_nothing_outlives_the_entry(home: HomeAssistant, entry: MockConfigEntry, providers: list[str]) -> None:
    repairs.async_provider_refused(home, entry, providers[0], "no")
    repairs.async_budget_red(home, entry, 1, 1)
    repairs.async_forget(home, entry)
    assert issues(home) == []


def check_texts(root: Path, issue: ir.IssueEntry) -> None:
    """The texts need nothing that the issue does not give, and the other way round."""
    texts = json.loads((root / "custom_components/barnabeenet/translations/en.json").read_text())["issues"]
    text = texts[str(issue.translation_key)]
    assert issue.translation_placeholders is not None
    whole = text["title"] + text["description"]
    assert whole.format(**issue.translation_placeholders)
    assert all(f"{{{name}}}" in whole for name in issue.translation_placeholders)
