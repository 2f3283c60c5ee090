"""The conversation agent: takes a sentence, lets the dialogue answer it and keeps what happened."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from home_assistant_intents import get_languages
from homeassistant.components import conversation
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import intent, start
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .assist import Assist
from .coordinator import BarnabeeNetConfigEntry
from .dialog.endpoint import Endpoint
from .dialog.local import Answer
from .dialog.turn import take_turn
from .early import expect_question
from .entity import BarnabeeNetEntity
from .here import HomeAssistantHere
from .telemetry import trace
from .toolbox import Toolboxes

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
    _attr_supports_streaming = True

    def __init__(self, entry: BarnabeeNetConfigEntry, assist: Assist) -> None:
        super().__init__(entry)
        self._assist = assist
        things = self._data.brain.house.things
        self._toolboxes = Toolboxes(assist.hass, lambda: things.revision)

    @property
    def supported_languages(self) -> list[str]:
        """The languages that Home Assistant has sentences for."""
        return get_languages()

    async def async_prepare(self, language: str | None = None) -> None:
        """Makes the first sentence as fast as the second; a pipeline run that will ask us has begun."""
        expect_question()
        await self._assist.agent.async_prepare(language)

    async def _async_handle_message(
        self, user_input: conversation.ConversationInput, chat_log: conversation.ChatLog
    ) -> conversation.ConversationResult:
        context = _context_of(user_input)
        household = self._data.brain.household
        identity = household.who(context.voice, user_input.context.user_id, user_input.device_id)
        context.confidence = identity.confidence
        here = HomeAssistantHere(
            self._assist, self._toolboxes, user_input, chat_log, identity=identity, voice=context.voice
        )
        with context.stage("conversation"):
            reply = await take_turn(here.said, here, self._data.brain.mind, context)
            if context.text != user_input.text:
                _keep_secret(chat_log, user_input.text, context.text or "")
            if reply.words is None:
                chat_log.async_add_assistant_content_without_tools(
                    conversation.AssistantContent(agent_id=user_input.agent_id, content=reply.answer.speech)
                )
            else:
                await _stream(reply.words, user_input.agent_id, chat_log)
        self._data.turns.finish(context)
        return conversation.ConversationResult(
            response=_response(reply.answer, context, user_input.language),
            conversation_id=chat_log.conversation_id,
            continue_conversation=reply.asks or here.waits_for_an_answer(self._data.brain.mind),
        )


def _keep_secret(chat_log: conversation.ChatLog, text: str, shown: str) -> None:
    """Takes a code out of what Home Assistant keeps of the talk, which others may read later."""
    for at, content in enumerate(chat_log.content):
        if isinstance(content, conversation.UserContent) and content.content == text:
            chat_log.content[at] = replace(content, content=shown)


async def _stream(words: AsyncGenerator[str, None], agent_id: str, chat_log: conversation.ChatLog) -> None:
    """Gives words to whoever listens, the text to speech of a pipeline above all, as they come."""

    async def deltas() -> AsyncGenerator[conversation.AssistantContentDeltaDict]:
        yield {"role": "assistant"}
        async for piece in words:
            yield {"content": piece}

    async with aclosing(words), aclosing(chat_log.async_add_delta_content_stream(agent_id, deltas())) as contents:
        async for _ in contents:
            pass


def _context_of(user_input: conversation.ConversationInput) -> trace.VoiceContext:
    """The turn that the speech to text of this pipeline run has begun, or a new one for a written sentence."""
    context = trace.pending()
    if context is None or context.text != user_input.text:
        context = trace.begin()
    context.device_id, context.satellite_id = user_input.device_id, user_input.satellite_id
    return context


def _response(
    answer: Answer[intent.IntentResponse], context: trace.VoiceContext, language: str
) -> intent.IntentResponse:
    if answer.response is not None:
        if not answer.response.speech:
            # That of several commands, which is nobody's own words.
            answer.response.async_set_speech(answer.speech)
        return answer.response
    response = intent.IntentResponse(language=language)
    if answer.error is None:
        response.async_set_speech(answer.speech or context.reply or "")
    else:
        response.async_set_error(intent.IntentResponseErrorCode.NO_INTENT_MATCH, answer.speech)
    return response
