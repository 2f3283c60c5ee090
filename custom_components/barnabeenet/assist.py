"""Assist as the dialogue sees it: Home Assistant's own agent understands a sentence and does what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
import logging
from typing import Final

from hassil.intents import Intents
from hassil.recognize import RecognizeResult
from home_assistant_intents import ErrorKey
from homeassistant.components import conversation
from homeassistant.components.conversation.agent_manager import get_agent_manager
from homeassistant.components.conversation.default_agent import DefaultAgent, LanguageIntents
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import intent
from homeassistant.util.ulid import ulid_now

from .dialog.carry_out import carry_out
from .dialog.endpoint import Recognition
from .dialog.local import Answer, Hold, Memory
from .dialog.near_miss import Doubt, Names, find_name
from .dialog.rooms import borrowing_words, may_borrow_room
from .dialog.several import commands_of
from .dialog.slots import Home
from .rescue import judge

_LOGGER = logging.getLogger(__name__)

# No sentence of anybody's: it only makes Home Assistant's rescue read the registries.
_WARM_UP_TEXT: Final = "zzz barnabee zzz"
# A sentence, the one in it that a timer carries out, and what is in that.
_PUT_OFF_MAX: Final = 4


class Assist:
    """Home Assistant's agent for one entry."""

    def __init__(self, hass: HomeAssistant, home: Callable[[], Home | None] = lambda: None) -> None:
        self.hass = hass
        self._home = home
        self._names: tuple[Home, Names] | None = None
        self._borrowing: tuple[Intents, frozenset[str]] | None = None

    @property
    def agent(self) -> DefaultAgent:
        """Home Assistant's own agent; there from the set-up of conversation on, which ours depends on."""
        agent = get_agent_manager(self.hass).default_agent
        assert agent is not None
        return agent

    async def sentences(self, language: str) -> LanguageIntents | None:
        """What Home Assistant understands in a language; None where it has nothing."""
        return await self.agent.async_get_or_load_intents(language)

    async def names(self, language: str) -> Names | None:
        """The names of the home as they sound in a language; None while the home is not known."""
        home = self._home()
        if home is None:
            return None
        if self._names is None or self._names[0] is not home or self._names[1].language != language:
            names = await self.hass.async_add_executor_job(Names, replace(home, language=language))
            self._names = (home, names)
        return self._names[1]

    async def may_borrow_room(self, text: str, language: str) -> bool:
        """Whether the sentence may mean the room it is spoken in; see `dialog.rooms`."""
        loaded = await self.sentences(language)
        if loaded is None:
            return False
        if self._borrowing is None or self._borrowing[0] is not loaded.intents:
            words = await self.hass.async_add_executor_job(borrowing_words, loaded.intents)
            self._borrowing = (loaded.intents, words)
        return may_borrow_room(text, self._borrowing[1])

    async def recognise(self, text: str, language: str, device_id: str | None) -> Recognition | None:
        """Understands a sentence strictly and does nothing about it."""
        return await self.understand(self.input_of(text, language, device_id))

    async def understand(self, spoken: conversation.ConversationInput) -> Recognition | None:
        """The same for a sentence that was really said."""
        found = await self.agent.async_recognize_intent(spoken, strict_intents_only=True)
        if found is None or found.unmatched_entities or found.intent_sentence is None:
            return None
        # The satellite's room is filled in like a spoken one, but was not said.
        said = spoken.text.casefold()
        targets = [found.entities[slot].text_clean for slot in ("name", "area", "floor") if slot in found.entities]
        return Recognition(
            intent=found.intent.name,
            response=found.response,
            template=found.intent_sentence.text or "",
            targets=tuple(target for target in targets if target.casefold() in said),
            open_ended=any(entity.is_wildcard for entity in found.entities_list),
            slots=_slots_of(found),
            kind=_kind_of(found),
        )

    async def warm_up(self, language: str) -> None:
        """Loads the sentences and makes the rescue ready, whose first use would keep a speaker waiting for 0.4 s."""
        if await self.sentences(language) is None:
            return
        text = self.input_of(_WARM_UP_TEXT, language, None)
        # Somebody may have made a sentence of their own in which any words have a place: that must not run now.
        if await self.agent.async_recognize_sentence_trigger(text) or await self.agent.async_recognize_intent(text):
            return
        await self.rescue(text)
        await self.names(language)

    async def rescue(self, spoken: conversation.ConversationInput) -> conversation.ConversationResult:
        """Asks Home Assistant's agent with all its means, in a conversation apart: it writes its failure into it."""
        return await conversation.async_converse(
            self.hass,
            text=spoken.text,
            conversation_id=ulid_now(),
            context=spoken.context,
            language=spoken.language,
            agent_id=conversation.HOME_ASSISTANT_AGENT,
            device_id=spoken.device_id,
            satellite_id=spoken.satellite_id,
        )

    @staticmethod
    def input_of(text: str, language: str, device_id: str | None) -> conversation.ConversationInput:
        """A sentence that no pipeline has sent."""
        return conversation.ConversationInput(
            text=text,
            context=Context(),
            conversation_id=None,
            device_id=device_id,
            satellite_id=None,
            language=language,
            agent_id=conversation.HOME_ASSISTANT_AGENT,
        )


class Utterance:
    """One sentence of a conversation: the local agent of `dialog.local`.

    `memory` is what the same device and session last commanded; without one, every sentence stands for itself. `hold`
    has a say before anything is carried out.
    """

    def __init__(
        self,
        assist: Assist,
        spoken: conversation.ConversationInput,
        chat_log: conversation.ChatLog,
        memory: Memory | None = None,
        hold: Hold | None = None,
    ) -> None:
        self._assist = assist
        self._spoken = spoken
        self._chat_log = chat_log
        self._memory = memory
        self._hold = hold

    async def strict(self) -> Answer[intent.IntentResponse] | None:
        """Automations' sentences, then Home Assistant's and the user's own."""
        # A pipeline listens to the log and has tried the automations itself; `conversation.process` has not.
        if self._chat_log.delta_listener is None:
            said = await conversation.async_handle_sentence_triggers(self._assist.hass, self._spoken, self._chat_log)
            if said is not None:
                return Answer(said, tier="trigger")
        return self._noted(await self._do(self._spoken.text))

    async def several(self) -> Answer[intent.IntentResponse] | None:
        """Several commands in one sentence, or what is said of the last one."""
        spoken = self._spoken
        last = () if self._memory is None else self._memory.recall()
        commands = await commands_of(spoken.text, spoken.language, self._understand, last=last)
        return self._noted(await carry_out(commands, spoken.language, self._do, self._merge)) if commands else None

    async def rescue(self) -> Answer[intent.IntentResponse] | None:
        """Names that were misheard, words that were put otherwise; and Home Assistant's word on what was wrong."""
        assist, spoken = self._assist, replace(self._spoken, conversation_id=ulid_now())
        if not await assist.may_borrow_room(spoken.text, spoken.language):
            spoken = replace(spoken, device_id=None, satellite_id=None)
        verdict = await judge(assist.hass, assist.agent, spoken)
        if not verdict.may_act:
            refusal = verdict.refusal
            return None if refusal is None else Answer(refusal, tier="rescue", error="not understood")
        for name, slots in verdict.actions:
            if self._hold is not None and (held := self._hold(self._spoken.text, name, slots)) is not None:
                return held
        response = (await assist.rescue(spoken)).response
        answer = _answer(response, "rescue")
        if answer.error is not None and await self._says_nothing(answer.speech, response.error_code):
            return None
        return self._noted(answer)

    async def near_miss(self) -> Answer[intent.IntentResponse] | None:
        """The name that was meant; a question when that is not sure or the command is not harmless."""
        names = await self._assist.names(self._spoken.language)
        if names is None:
            return None
        meant = await find_name(self._spoken.text, names, self._understand)
        if isinstance(meant, Doubt):
            return Answer(meant.text, tier="near_miss", question=meant.question)
        answer = None if meant is None else await self._do(meant)
        return None if answer is None else self._noted(replace(answer, tier="near_miss"))

    async def _do(self, text: str) -> Answer[intent.IntentResponse] | None:
        """Carries out a sentence that is understood strictly, unless something stands before it."""
        hass, spoken, gate = self._assist.hass, replace(self._spoken, text=text), _Gate(text, self._hold)
        try:
            response = await conversation.async_handle_intents(hass, spoken, self._chat_log, intent_filter=gate.stops)
            if gate.held is None and gate.later is not None:
                gate.held = await self._held_later(gate)
                if gate.held is None:
                    response = await conversation.async_handle_intents(hass, spoken, self._chat_log)
        except intent.IntentError as error:
            # "Turn up the volume" is a sentence of Home Assistant's also in a home that has nothing with a volume.
            _LOGGER.debug("Nothing here handles %r: %s", text, error)
            return None
        if gate.held is not None:
            return gate.held
        return None if response is None else replace(_answer(response, "strict"), commands=(text,))

    async def _held_later(self, gate: _Gate) -> Answer[intent.IntentResponse] | None:
        """What stands before the sentence that a sentence puts off, and the one that that puts off."""
        later = gate.later
        for _ in range(_PUT_OFF_MAX):
            found = await self._understand(later) if later else None
            if found is None:
                break
            if (held := gate.asked(found.intent, found.kind, found.slots)) is not None:
                return held
            later = found.slots.get("conversation_command")
        return None

    async def _understand(self, text: str) -> Recognition | None:
        return await self._assist.understand(replace(self._spoken, text=text))

    def _noted(self, answer: Answer[intent.IntentResponse] | None) -> Answer[intent.IntentResponse] | None:
        """Remembers what was done: also that it was something that no pronoun can mean."""
        if self._memory is not None and answer is not None and answer.error is None and answer.question is None:
            self._memory.note(answer.commands)
        return answer

    def _merge(self, responses: Sequence[intent.IntentResponse]) -> intent.IntentResponse:
        """One response for several: a pipeline reads from it whether only the satellite's room was acted in."""
        merged = intent.IntentResponse(language=self._spoken.language, intent=responses[0].intent)
        merged.response_type = responses[0].response_type
        for response in responses:
            merged.success_results.extend(response.success_results)
            merged.failed_results.extend(response.failed_results)
        return merged

    async def _says_nothing(self, speech: str, code: intent.IntentResponseErrorCode | None) -> bool:
        """Whether an error is only "I did not understand", or was meant for a developer."""
        loaded = await self._assist.sentences(self._spoken.language)
        if loaded is None or not speech:
            return True
        if code is intent.IntentResponseErrorCode.UNKNOWN:
            return speech != loaded.error_responses.get(ErrorKey.HANDLE_ERROR.value)
        generic = loaded.error_responses.get(ErrorKey.NO_INTENT.value)
        return generic is not None and speech.startswith(generic)


@dataclass
class _Gate:
    """Looks at what a sentence was understood as before it is carried out; so it is understood only once.

    `held` is what stands before it, `later` the sentence that it puts off: "in five minutes, unlock the door" is as
    grave as doing it now.
    """

    text: str
    hold: Hold | None
    held: Answer[intent.IntentResponse] | None = None
    later: str | None = None

    def stops(self, found: RecognizeResult) -> bool:
        """Whether it must not be carried out, or not yet."""
        if self.hold is None:
            return False
        slots = _slots_of(found)
        self.held, self.later = self.asked(found.intent.name, _kind_of(found), slots), slots.get("conversation_command")
        return self.held is not None or self.later is not None

    def asked(
        self, name: str, kind: tuple[str | None, str | None], slots: Mapping[str, str]
    ) -> Answer[intent.IntentResponse] | None:
        """What stands before an intent."""
        domain, device_class = kind
        hold = self.hold
        return (
            None if hold is None else hold(self.text, name, {"domain": domain, "device_class": device_class, **slots})
        )


def _slots_of(found: RecognizeResult) -> dict[str, str]:
    return {name: str(entity.value) for name, entity in found.entities.items()}


def _kind_of(found: RecognizeResult) -> tuple[str | None, str | None]:
    said = {name: entity.value for name, entity in found.entities.items()}
    domain, device_class = (said.get(key, found.context.get(key)) for key in ("domain", "device_class"))
    return domain if isinstance(domain, str) else None, device_class if isinstance(device_class, str) else None


def _answer(response: intent.IntentResponse, tier: str) -> Answer[intent.IntentResponse]:
    failed = response.response_type is intent.IntentResponseType.ERROR
    return Answer(
        speech=response.speech.get("plain", {}).get("speech", ""),
        tier=tier,
        intent=response.intent.intent_type if response.intent is not None else None,
        error=str(response.error_code) if failed else None,
        response=response,
    )
