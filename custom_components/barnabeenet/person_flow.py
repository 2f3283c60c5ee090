"""Subentry flow: adds somebody who lives here to an entry, and changes what is known of them and what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.components.person.const import DOMAIN as PERSON
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.helpers.selector import (
    EntitySelector,
    EntitySelectorConfig,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import probatio

from .dialog.second_factor import Permission
from .people import (
    CONF_CODE_HASH,
    CONF_MAY,
    CONF_ONLY_WHEN_SURE,
    CONF_PERSON,
    CONF_USER,
    PERMISSIONS,
    Person,
    people_of_home,
)
from .phones import phones_of
from .state.spoken_code import hash_code, is_code

# What is typed; never stored.
CONF_CODE: Final = "code"
CONF_REMOVE_CODE: Final = "remove_code"

_NAME_MAX_CHARS: Final = 100
_PASSWORD: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
_MAY: Final = SelectSelector(SelectSelectorConfig(options=list(PERMISSIONS), translation_key="permission"))
_STORED: Final = (CONF_PERSON, CONF_USER, CONF_MAY, CONF_ONLY_WHEN_SURE)


class _Invalid(Exception):
    """What was entered cannot be kept."""

    def __init__(self, field: str, error: str) -> None:
        super().__init__(error)
        self.field = field
        self.error = error


class PersonFlow(ConfigSubentryFlow):
    """A person's data: whom they are in Home Assistant, what they may do, and a hash of their code; the title is their name."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Asks for everything about a new person."""
        return await self._async_step("user", {}, user_input)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Asks what has changed; a code that is there is kept unless another one is typed."""
        subentry = self._get_reconfigure_subentry()
        return await self._async_step("reconfigure", {CONF_NAME: subentry.title, **subentry.data}, user_input)

    async def _async_step(
        self, step_id: str, stored: Mapping[str, Any], user_input: dict[str, Any] | None
    ) -> SubentryFlowResult:
        errors = None
        if user_input is not None:
            try:
                return await self._async_save(stored, user_input)
            except _Invalid as error:
                errors = {error.field: error.error}
        typed = stored if user_input is None else user_input
        shown = {key: value for key, value in typed.items() if key not in (CONF_CODE, CONF_CODE_HASH)}
        fields = await self._async_fields(has_code=CONF_CODE_HASH in stored)
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(probatio.Schema(fields), shown),
            errors=errors,
            description_placeholders={"name": stored.get(CONF_NAME, "")},
        )

    async def _async_save(self, stored: Mapping[str, Any], user_input: dict[str, Any]) -> SubentryFlowResult:
        """Ends the flow; raises _Invalid."""
        name = self._checked_name(user_input)
        self._check_links(user_input)
        data = {key: user_input[key] for key in _STORED if user_input.get(key) is not None}
        code_hash = await self._async_code_hash(stored, user_input)
        if code_hash is not None:
            data[CONF_CODE_HASH] = code_hash
        elif data[CONF_MAY] == Permission.CODE:
            raise _Invalid(CONF_CODE, "code_missing")
        login = Person("", "", data.get(CONF_PERSON), data.get(CONF_USER)).login(self.hass)
        if data[CONF_MAY] == Permission.PHONE and not phones_of(self.hass, login):
            raise _Invalid(CONF_MAY, "phone_missing")
        if self.source == SOURCE_RECONFIGURE:
            subentry = self._get_reconfigure_subentry()
            return self.async_update_and_abort(self._get_entry(), subentry, title=name, data=data)
        return self.async_create_entry(title=name, data=data)

    async def _async_code_hash(self, stored: Mapping[str, Any], user_input: Mapping[str, Any]) -> str | None:
        code = "".join(user_input.get(CONF_CODE, "").split())
        if not code:
            kept: str | None = stored.get(CONF_CODE_HASH)
            return None if user_input.get(CONF_REMOVE_CODE) else kept
        if not is_code(code):
            raise _Invalid(CONF_CODE, "invalid_code")
        return await self.hass.async_add_executor_job(hash_code, code)

    def _checked_name(self, user_input: Mapping[str, Any]) -> str:
        name = " ".join(user_input[CONF_NAME].split())
        if not 0 < len(name) <= _NAME_MAX_CHARS or not name.isprintable() or not any(map(str.isalpha, name)):
            raise _Invalid(CONF_NAME, "invalid_name")
        if name.casefold() in {person.name.casefold() for person in self._others()}:
            raise _Invalid(CONF_NAME, "name_taken")
        return name

    def _check_links(self, user_input: Mapping[str, Any]) -> None:
        others = self._others()
        entity_id, user_id = user_input.get(CONF_PERSON), user_input.get(CONF_USER)
        if entity_id is not None and entity_id in {person.person_entity_id for person in others}:
            raise _Invalid(CONF_PERSON, "already_linked")
        mine = Person("", "", entity_id, user_id).login(self.hass)
        if mine is not None and mine in {person.login(self.hass) for person in others}:
            raise _Invalid(CONF_USER, "already_linked")

    def _others(self) -> list[Person]:
        """Everybody else in the home, of all entries."""
        mine = self._reconfigure_subentry_id if self.source == SOURCE_RECONFIGURE else None
        return [person for person in people_of_home(self.hass) if person.key != mine]

    async def _async_fields(self, *, has_code: bool) -> dict[Any, Any]:
        users = [
            user for user in await self.hass.auth.async_get_users() if user.is_active and not user.system_generated
        ]
        options = [SelectOptionDict(value=user.id, label=user.name or user.id) for user in users]
        fields: dict[Any, Any] = {
            probatio.Required(CONF_NAME): TextSelector(),
            probatio.Optional(CONF_PERSON): EntitySelector(EntitySelectorConfig(domain=PERSON)),
            probatio.Optional(CONF_USER): SelectSelector(
                SelectSelectorConfig(options=options, mode=SelectSelectorMode.DROPDOWN)
            ),
            probatio.Required(CONF_MAY, default=Permission.NO.value): _MAY,
            probatio.Required(CONF_ONLY_WHEN_SURE, default=False): bool,
            probatio.Optional(CONF_CODE): _PASSWORD,
        }
        return fields | ({probatio.Required(CONF_REMOVE_CODE, default=False): bool} if has_code else {})
