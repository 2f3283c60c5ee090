"""The home as speculation sees it: what a sentence would change, and whether that could be put back exactly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
import re
from typing import Any, Final

from hassil.recognize import RecognizeResult
from homeassistant.components import automation, conversation, script
from homeassistant.components.conversation.agent_manager import get_agent_manager
from homeassistant.const import ATTR_ENTITY_ID, SERVICE_TURN_OFF, SERVICE_TURN_ON, STATE_OFF, STATE_ON
from homeassistant.core import Context, Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.exceptions import HomeAssistantError, TemplateError
from homeassistant.helpers import chat_session, device_registry as dr, entity_registry as er, intent
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.helpers.state import async_reproduce_state
from homeassistant.helpers.template import Template, TemplateState

from .assist import Assist
from .dialog.speculate import CannotAct, Plan

# A switch is not among them: whatever hangs on it, a pump or a gate, is not put back by switching it back.
_DOMAINS: Final = frozenset({"light", "fan"})
_SERVICES: Final = {"HassTurnOn": (SERVICE_TURN_ON, STATE_ON), "HassTurnOff": (SERVICE_TURN_OFF, STATE_OFF)}
# What a reply may say of the states that a command leaves behind.
_LATER: Final = re.compile(r"\bquery\b|\bstate\b(?!\.(?:domain|name)\b)")
# With more of them it is no quick command any more.
_THINGS_MAX: Final = 16
_EXPECTED_MAX: Final = 64
_NO_EFFECT: Final = frozenset({None, "None", "none", "off"})

# Conversations of pipeline runs that have told our agent to prepare itself, because it will be asked.
_expected: dict[str, None] = {}


@callback
def expect_question() -> None:
    """Notes that the pipeline run of this task will ask our agent; for the agent's `async_prepare`."""
    session = chat_session.current_session.get()
    if session is not None:
        _expected[session.conversation_id] = None
        while len(_expected) > _EXPECTED_MAX:
            del _expected[next(iter(_expected))]


@callback
def is_question_expected() -> bool:
    """Whether what is heard in this task will be asked of our agent; true once for each run."""
    session = chat_session.current_session.get()
    return session is not None and _expected.pop(session.conversation_id, True) is None


class EarlyHome:
    """Home Assistant's things; see `dialog.speculate.Home`."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass

    async def plan(self, text: str, language: str, device_id: str | None) -> Plan | None:
        """Understands a sentence strictly; one that an automation waits for is the automation's."""
        agent = get_agent_manager(self._hass).default_agent
        if agent is None:
            return None
        spoken = Assist.input_of(text, language, device_id)
        if await agent.async_recognize_sentence_trigger(spoken):
            return None
        found = await agent.async_recognize_intent(spoken, strict_intents_only=True)
        if found is None or found.unmatched_entities or any(entity.is_wildcard for entity in found.entities_list):
            return None
        targets = self._targets(found)
        loaded = await agent.async_get_or_load_intents(language)
        replies = {} if loaded is None else loaded.intent_responses.get(found.intent.name, {})
        reply = self._reply(replies.get(found.response), found, targets)
        return Plan(text, reply, self._undoable(found, targets), found.intent.name)

    def mark(self) -> str:
        """The id of a context."""
        return Context().id

    def state(self, thing: str) -> State | None:
        """None for a group, whose members differ, and for a light that plays an effect, which would begin anew."""
        state = self._hass.states.get(thing)
        if state is None or state.state not in {STATE_ON, STATE_OFF} or ATTR_ENTITY_ID in state.attributes:
            return None
        return state if state.attributes.get("effect") in _NO_EFFECT else None

    def watch(self, things: Sequence[str], changed: Callable[[str, State | None, str], None]) -> Callable[[], None]:
        """Home Assistant gives a change the context of the command that it follows within five seconds.

        A hand at the wall in that time looks like ours, unless it leaves the thing otherwise than we commanded.
        """
        last: dict[str, tuple[str, str]] = {}

        @callback
        def tell(event: Event[EventStateChangedData]) -> None:
            new = event.data["new_state"]
            if new is None:
                return
            mark, before = new.context.id, last.get(new.entity_id)
            if before is not None and before[0] == mark and before[1] != new.state:
                mark = ""
            else:
                last[new.entity_id] = (mark, new.state)
            changed(new.entity_id, self.state(new.entity_id), mark)

        return async_track_state_change_event(self._hass, things, tell)

    async def carry_out(self, plan: Plan, mark: str) -> None:
        """Turns on or off, and nothing else."""
        service, _ = _SERVICES[plan.action]
        for domain in sorted({thing.split(".")[0] for thing in plan.undoable}):
            things = [thing for thing in plan.undoable if thing.startswith(f"{domain}.")]
            try:
                await self._hass.services.async_call(
                    domain, service, {ATTR_ENTITY_ID: things}, blocking=True, context=Context(id=mark)
                )
            except HomeAssistantError as error:
                raise CannotAct(str(error)) from error

    async def restore(self, thing: str, state: State, mark: str) -> None:  # noqa: ARG002
        """State and attributes, by Home Assistant's own means."""
        try:
            await async_reproduce_state(self._hass, state, context=Context(id=mark))
        except HomeAssistantError as error:
            raise CannotAct(str(error)) from error

    def _targets(self, found: RecognizeResult) -> list[State]:
        """What Home Assistant would choose; none where it would refuse or ask."""
        values = {name: entity.value for name, entity in found.entities.items()}
        constraints = intent.MatchTargetsConstraints(
            name=_text(values.get("name")),
            area_name=_text(values.get("area")),
            floor_name=_text(values.get("floor")),
            domains=_texts(values.get("domain")),
            device_classes=_texts(values.get("device_class")),
            assistant=conversation.DOMAIN,
        )
        if not constraints.has_constraints:
            return []
        preferences = intent.MatchTargetsPreferences(area_id=_text(values.get("preferred_area_id")))
        matched = intent.async_match_targets(self._hass, constraints, preferences)
        return matched.states if matched.is_match else []

    def _undoable(self, found: RecognizeResult, targets: Sequence[State]) -> tuple[str, ...]:
        service = _SERVICES.get(found.intent.name)
        if service is None or not 0 < len(targets) <= _THINGS_MAX:
            return ()
        if any(target.domain not in _DOMAINS or self.state(target.entity_id) is None for target in targets):
            return ()
        changing = tuple(target.entity_id for target in targets if target.state != service[1])
        return () if any(self._sets_off_more(thing) for thing in changing) else changing

    def _sets_off_more(self, thing: str) -> bool:
        """Whether an automation or a script has to do with it: what that would do nobody puts back."""
        hass = self._hass
        if automation.automations_with_entity(hass, thing) or script.scripts_with_entity(hass, thing):
            return True
        entry = er.async_get(hass).async_get(thing)
        device = dr.async_get(hass).async_get(entry.device_id) if entry is not None and entry.device_id else None
        area = (entry.area_id if entry is not None else None) or (device.area_id if device is not None else None)
        return bool(
            (device is not None and automation.automations_with_device(hass, device.id))
            or (area is not None and automation.automations_with_area(hass, area))
        )

    def _reply(self, template: str | None, found: RecognizeResult, targets: Sequence[State]) -> str | None:
        """What Home Assistant will probably say; None where that depends on what the command does."""
        if template is None or _LATER.search(template):
            return None
        slots: dict[str, Any] = {name: entity.text or entity.value for name, entity in found.entities.items()}
        state = TemplateState(self._hass, targets[0]) if targets else None
        try:
            said = Template(template, self._hass).async_render({"slots": slots, "state": state, "query": None})
        except TemplateError:
            return None
        return " ".join(str(said).split()) or None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> Collection[str] | None:
    if value is None:
        return None
    return {value} if isinstance(value, str) else set(value)
