"""The conversation agent: takes a sentence, lets the dialogue answer it and keeps what happened."""

from __future__ import annotations

from home_assistant_intents import get_languages
from homeassistant.components import conversation
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import intent, start
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .assist import Assist, Utterance
from .coordinator import BarnabeeNetConfigEntry
from .dialog.endpoint import Endpoint
from .dialog.local import Answer
from .dialog.turn import take_turn
from .entity import BarnabeeNetEntity
from .telemetry import trace

# Turns are short, and people in different rooms do not wait for each other.
PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: BarnabeeNetConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Adds the entry's one conversation agent, and with it the judge of when a command is whole."""
    assist = Assist(hass, entry.runtime_data.vocabulary.home)
    entry.runtime_data.endpoint = Endpoint(assist, entry.runtime_data.vocabulary.names)
    async_add_entities([Conversation(entry, assist)])

    @callback
    def warm_up(_: HomeAssistant) -> None:
        entry.async_create_background_task(hass, assist.warm_up(hass.config.language), "barnabeenet warm-up")

    # Earlier, and what is loaded would be thrown away with every entity that still comes.
    entry.async_on_unload(start.async_at_started(hass, warm_up))


class Conversation(BarnabeeNetEntity, conversation.ConversationEntity):
    """Answers without the sidecar too: what it understands locally needs nobody else."""

    _attr_name = None
    _attr_supported_features = conversation.ConversationEntityFeature.CONTROL
    # Answers from HA's sentences come whole; there is nothing to stream before they are done.
    _attr_supports_streaming = False

    def __init__(self, entry: BarnabeeNetConfigEntry, assist: Assist) -> None:
        super().__init__(entry)
        self._assist = assist

    @property
    def supported_languages(self) -> list[str]:
        """The languages that Home Assistant has sentences for."""
        return get_languages()

    async def async_prepare(self, language: str | None = None) -> None:
        """Makes the first sentence as fast as the second."""
        await self._assist.agent.async_prepare(language)

    async def _async_handle_message(
        self, user_input: conversation.ConversationInput, chat_log: conversation.ChatLog
    ) -> conversation.ConversationResult:
        context = _context_of(user_input)
        with context.stage("conversation"):
            utterance = Utterance(self._assist, user_input, chat_log)
            answer = await take_turn(user_input.text, user_input.language, utterance, context)
        chat_log.async_add_assistant_content_without_tools(
            conversation.AssistantContent(agent_id=user_input.agent_id, content=answer.speech)
        )
        self._data.turns.finish(context)
        return conversation.ConversationResult(
            response=_response(answer, user_input.language), conversation_id=chat_log.conversation_id
        )


def _context_of(user_input: conversation.ConversationInput) -> trace.VoiceContext:
    """The turn that the speech to text of this pipeline run has begun, or a new one for a written sentence."""
    context = trace.pending()
    if context is None or context.text != user_input.text:
        context = trace.begin()
    context.device_id, context.satellite_id = user_input.device_id, user_input.satellite_id
    return context


def _response(answer: Answer[intent.IntentResponse], language: str) -> intent.IntentResponse:
    if answer.response is not None:
        if not answer.response.speech:
            answer.response.async_set_speech(answer.speech)
        return answer.response
    response = intent.IntentResponse(language=language)
    if answer.error is None:
        response.async_set_speech(answer.speech)
    else:
        response.async_set_error(intent.IntentResponseErrorCode.NO_INTENT_MATCH, answer.speech)
    return response
