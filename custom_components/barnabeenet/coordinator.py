"""What an entry holds while it is loaded, and the eye that is kept on its sidecar."""

from __future__ import annotations

from dataclasses import dataclass
import logging
from typing import TypeAlias

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, instance_id, issue_registry as ir
from homeassistant.loader import async_get_integration

from .brain import Brain
from .client.errors import ContractMismatch, Impostor, Unauthorized
from .client.sidecar import Sidecar
from .const import DOMAIN
from .dialog.endpoint import Endpoint
from .entity import device_info
from .quick_words_keeper import QuickWordsKeeper
from .telemetry.trace import Turns
from .vocabulary_keeper import VocabularyKeeper

_LOGGER = logging.getLogger(__name__)


@dataclass
class BarnabeeNet:
    """An entry's runtime data."""

    sidecar: Sidecar
    turns: Turns
    vocabulary: VocabularyKeeper
    quick_words: QuickWordsKeeper
    brain: Brain
    # The conversation platform knows what a whole command is.
    endpoint: Endpoint | None = None


BarnabeeNetConfigEntry: TypeAlias = ConfigEntry[BarnabeeNet]


async def async_introduction(hass: HomeAssistant) -> tuple[str, str]:
    """The home's id and our name and version, as the hello gives them."""
    integration = await async_get_integration(hass, DOMAIN)
    return await instance_id.async_get(hass), f"BarnabeeNet {integration.version}"


class SidecarWatch:
    """Tells people about their sidecar: one log line when it goes, one when it is back, and what only they can mend."""

    def __init__(self, hass: HomeAssistant, entry: BarnabeeNetConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._sidecar = entry.runtime_data.sidecar
        self._was_available = True
        self._asked_for_token = False

    @callback
    def update(self) -> None:
        """Looks at the sidecar's state; to be called on every change of it."""
        if self._sidecar.available:
            self._welcome()
        else:
            self._miss()

    @callback
    def forget(self) -> None:
        """Takes back what it told that would outlive the entry."""
        ir.async_delete_issue(self._hass, DOMAIN, self._issue_id)

    def _welcome(self) -> None:
        if not self._was_available:
            _LOGGER.info("The sidecar of %s is back", self._entry.title)
        self._was_available = True
        self._asked_for_token = False
        self.forget()
        dr.async_get(self._hass).async_get_or_create(
            config_entry_id=self._entry.entry_id, **device_info(self._entry, self._sidecar.identity)
        )

    def _miss(self) -> None:
        if self._hass.is_stopping:
            return  # we hung up ourselves
        error = self._sidecar.error
        if self._was_available:
            _LOGGER.warning("The sidecar of %s is not available: %s", self._entry.title, error)
        self._was_available = False
        if isinstance(error, (Unauthorized, Impostor)) and not self._asked_for_token:
            self._asked_for_token = True
            self._entry.async_start_reauth(self._hass)
        elif isinstance(error, ContractMismatch):
            ir.async_create_issue(
                self._hass,
                DOMAIN,
                self._issue_id,
                is_fixable=False,
                severity=ir.IssueSeverity.ERROR,
                translation_key="contract_mismatch",
                translation_placeholders={"name": self._entry.title, "error": str(error)},
            )

    @property
    def _issue_id(self) -> str:
        return f"contract_mismatch_{self._entry.entry_id}"
