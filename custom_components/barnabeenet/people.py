"""The people of a home, as its entry's subentries tell of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from homeassistant.components.person import ATTR_USER_ID
from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import HomeAssistant

from .const import DOMAIN, SUBENTRY_PERSON
from .dialog.second_factor import Permission

CONF_PERSON: Final = "person_entity_id"
CONF_USER: Final = "user_id"
CONF_MAY: Final = "may"
CONF_ONLY_WHEN_SURE: Final = "only_when_sure"
# What is stored of the code; what is typed has another name.
CONF_CODE_HASH: Final = "code_hash"

# What can be set; `Permission.UNSURE` comes about by itself.
PERMISSIONS: Final = (Permission.NO, Permission.YES, Permission.CODE, Permission.PHONE)
_SPEAKER_PREFIX: Final = f"{SUBENTRY_PERSON} "


@dataclass(frozen=True)
class Person:
    """Somebody who lives here; `key` never changes, whatever they are called."""

    key: str
    name: str
    person_entity_id: str | None = None
    user_id: str | None = None
    may: Permission = Permission.NO
    only_when_sure: bool = False
    code_hash: str | None = field(default=None, repr=False)

    @property
    def speaker(self) -> str:
        """What they are called in sessions, reports, memories and voices."""
        return speaker_of(self.key)

    def login(self, hass: HomeAssistant) -> str | None:
        """The user of Home Assistant that they are: their own, else their person entity's."""
        if self.user_id is not None or self.person_entity_id is None:
            return self.user_id
        state = hass.states.get(self.person_entity_id)
        user_id = state.attributes.get(ATTR_USER_ID) if state is not None else None
        return user_id if isinstance(user_id, str) else None


def speaker_of(key: str) -> str:
    """The speaker's key of the person with this subentry."""
    return f"{_SPEAKER_PREFIX}{key}"


def people_of(entry: ConfigEntry) -> tuple[Person, ...]:
    """The people of an entry."""
    return tuple(_people(entry.subentries.values()))


def people_of_home(hass: HomeAssistant) -> tuple[Person, ...]:
    """The people of all entries: what is known of them is in one place."""
    entries = hass.config_entries.async_entries(DOMAIN, include_ignore=False)
    return tuple(person for entry in entries for person in people_of(entry))


def _people(subentries: Iterable[ConfigSubentry]) -> Iterator[Person]:
    for subentry in subentries:
        if subentry.subentry_type == SUBENTRY_PERSON:
            yield _person(subentry.subentry_id, subentry.title, subentry.data)


def _person(key: str, name: str, data: Mapping[str, Any]) -> Person:
    may = data.get(CONF_MAY)
    return Person(
        key=key,
        name=name,
        person_entity_id=cast(str | None, data.get(CONF_PERSON)),
        user_id=cast(str | None, data.get(CONF_USER)),
        may=Permission(may) if may in PERMISSIONS else Permission.NO,
        only_when_sure=data.get(CONF_ONLY_WHEN_SURE) is True,
        code_hash=cast(str | None, data.get(CONF_CODE_HASH)),
    )
