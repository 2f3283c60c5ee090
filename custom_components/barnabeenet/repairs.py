"""What a person can do about an issue right where it is shown."""

from __future__ import annotations

from typing import Final

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow, RepairsFlowResult
from homeassistant.core import HomeAssistant

from .database_issues import DAMAGED, UNAVAILABLE
from .database_keeper import async_keeper

# The file is opened anew: it was made accessible, or it is restored.
_REOPENED: Final = (DAMAGED, UNAVAILABLE)


async def async_create_fix_flow(
    hass: HomeAssistant,  # noqa: ARG001
    issue_id: str,
    data: dict[str, str | int | float | None] | None,  # noqa: ARG001
) -> RepairsFlow:
    """The flow of a fixable issue: most are to be read."""
    return Reopen() if issue_id in _REOPENED else ConfirmRepairFlow()


class Reopen(ConfirmRepairFlow):
    """Opens the database anew once a person has said so."""

    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Closes the issue when that went well, and leaves it when it did not."""
        if user_input is not None:
            await async_keeper(self.hass).reopen()
            error = async_keeper(self.hass).error
            if error is not None:
                return self.async_abort(reason="still_unavailable", description_placeholders={"error": str(error)})
        return await super().async_step_confirm(user_input)
