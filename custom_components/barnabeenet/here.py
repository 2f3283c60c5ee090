"""Where a sentence comes from and what can be done about it: Home Assistant's side of a turn."""

from __future__ import annotations

from datetime import datetime

from homeassistant.components import conversation
from homeassistant.helpers import area_registry as ar, device_registry as dr, intent
from homeassistant.util import dt as dt_util

from .assist import Assist, Utterance
from .const import DOMAIN
from .dialog.local import Hold, LocalAgent, Memory
from .dialog.mind import Mind
from .dialog.turn import Said
from .identity import Identity
from .telemetry.trace import Voice
from .toolbox import Toolbox, Toolboxes


class HomeAssistantHere:
    """One sentence of a conversation in Home Assistant."""

    def __init__(
        self,
        assist: Assist,
        toolboxes: Toolboxes,
        spoken: conversation.ConversationInput,
        chat_log: conversation.ChatLog,
        *,
        identity: Identity,
        voice: Voice | None,
    ) -> None:
        self._assist, self._toolboxes, self._spoken, self._chat_log = assist, toolboxes, spoken, chat_log
        user = spoken.context.user_id
        self.said = Said(
            text=spoken.text,
            language=spoken.language,
            device_id=spoken.device_id or (f"user {user}" if user else f"conversation {chat_log.conversation_id}"),
            speaker=identity.speaker,
            is_sure=identity.is_sure,
            voice=voice,
            area=self._area(),
            conversation_id=chat_log.conversation_id,
        )

    def agent(self, text: str, memory: Memory, hold: Hold | None) -> LocalAgent[intent.IntentResponse]:
        """Assist, for this sentence or another one in its place."""
        spoken = self._spoken
        if text != spoken.text:
            spoken = conversation.ConversationInput(
                text=text,
                context=spoken.context,
                conversation_id=spoken.conversation_id,
                device_id=spoken.device_id,
                satellite_id=spoken.satellite_id,
                language=spoken.language,
                agent_id=spoken.agent_id,
            )
        return Utterance(self._assist, spoken, self._chat_log, memory, hold)

    async def is_command(self, text: str) -> bool:
        """Whether Home Assistant's sentences know it strictly."""
        return await self._assist.recognise(text, self._spoken.language, self._spoken.device_id) is not None

    async def tools(self) -> Toolbox:
        """Assist's tools, used in the name of who speaks."""
        return await self._toolboxes.open(self._spoken.as_llm_context(DOMAIN))

    def now(self) -> datetime:
        """The home's time."""
        return dt_util.now()

    def waits_for_an_answer(self, mind: Mind) -> bool:
        """Whether this speaker was asked something."""
        return mind.follow_ups.waiting(self.said.device_id, self.said.speaker) is not None

    def _area(self) -> str | None:
        hass, device_id = self._assist.hass, self._spoken.device_id
        device = dr.async_get(hass).async_get(device_id) if device_id else None
        area_id = dr.async_get_effective_area_id(hass, device) if device else None
        area = ar.async_get(hass).async_get_area(area_id) if area_id else None
        return area.name if area else None
