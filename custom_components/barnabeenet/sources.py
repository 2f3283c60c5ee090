"""What Home Assistant knows besides states: its calendars, the weather and the people; see `dialog.context`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
import logging
from typing import Any, Final

from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.components.calendar.const import DATA_COMPONENT as CALENDARS
from homeassistant.components.conversation import DOMAIN as CONVERSATION
from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.components.person import ATTR_USER_ID
from homeassistant.components.weather.const import DOMAIN as WEATHER, SERVICE_GET_FORECASTS
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from .dialog.cache import Answers
from .dialog.context import Event, Profile, Weather
from .identity import Household

_LOGGER = logging.getLogger(__name__)

_CALENDARS_MAX: Final = 8
_DAYS_FORECAST: Final = 2
# How a speaker is called who is known by a login.
_USER_PREFIX: Final = "user "
_MEASURES: Final = (
    ("temperature", "temperature_unit", ""),
    ("humidity", None, "humidity "),
    ("wind_speed", "wind_speed_unit", "wind "),
)


class HomeCalendars:
    """The calendars that are exposed to Assist, the same for everybody."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass

    async def events(self, start: datetime, end: datetime, *, speaker: str | None, limit: int) -> Sequence[Event]:  # noqa: ARG002
        """The next entries of all of them, the earliest first; one that fails is left out, the last one raises."""
        component = self._hass.data.get(CALENDARS)
        exposed = [
            entity
            for entity in (component.entities if component is not None else ())
            if async_should_expose(self._hass, CONVERSATION, entity.entity_id)
        ][:_CALENDARS_MAX]
        found = await asyncio.gather(
            *(entity.async_get_events(self._hass, start, end) for entity in exposed), return_exceptions=True
        )
        failed = [each for each in found if isinstance(each, BaseException)]
        if failed and len(failed) == len(exposed):
            raise failed[0]
        for error in failed:
            _LOGGER.debug("A calendar does not answer: %r", error)
        events = [
            _event(event, entity)
            for entity, some in zip(exposed, found, strict=True)
            if not isinstance(some, BaseException)
            for event in some
        ]
        return sorted(events, key=lambda event: event.start)[:limit]


class HomeWeather:
    """The first weather entity that is exposed, with the forecast of today and tomorrow where it has one."""

    def __init__(self, hass: HomeAssistant, answers: Answers) -> None:
        self._hass = hass
        self._answers = answers

    async def weather(self, language: str) -> Weather | None:
        """The weather now, for some minutes the same."""
        states = sorted(self._hass.states.async_all(WEATHER), key=lambda state: state.entity_id)
        exposed = (state for state in states if async_should_expose(self._hass, CONVERSATION, state.entity_id))
        state = next((each for each in exposed if each.state not in {STATE_UNAVAILABLE, STATE_UNKNOWN}), None)
        if state is None:
            return None
        return await self._answers.weather(state.entity_id, language, lambda: self._read(state))

    async def _read(self, state: State) -> Weather:
        forecast = await self._forecast(state.entity_id)
        said = [state.state, *_measures(state.attributes), *map(_day, forecast[:_DAYS_FORECAST])]
        return Weather(place=state.name, text="; ".join(said))

    async def _forecast(self, entity_id: str) -> list[Mapping[str, Any]]:
        """The days to come; none where the integration offers only other forecasts."""
        try:
            response = await self._hass.services.async_call(
                WEATHER,
                SERVICE_GET_FORECASTS,
                {"entity_id": entity_id, "type": "daily"},
                blocking=True,
                return_response=True,
            )
        except HomeAssistantError as error:
            _LOGGER.debug("No daily forecast of %s: %s", entity_id, error)
            return []
        answer: Any = (response or {}).get(entity_id)
        days = answer.get("forecast") if isinstance(answer, Mapping) else None
        return [day for day in days if isinstance(day, Mapping)] if isinstance(days, list) else []


class People:
    """The people of the home, by their key, their login or their name."""

    def __init__(self, hass: HomeAssistant, household: Household) -> None:
        self._hass = hass
        self._household = household

    async def profile(self, speaker: str) -> Profile | None:
        """The name of a person of the home, else of somebody whom Home Assistant has as a person."""
        if (person := self._household.person(speaker)) is not None:
            return Profile(person.name)
        user_id = speaker.removeprefix(_USER_PREFIX) if speaker.startswith(_USER_PREFIX) else None
        for state in self._hass.states.async_all("person"):
            if user_id is not None and state.attributes.get(ATTR_USER_ID) == user_id:
                return Profile(state.name)
            if user_id is None and state.name.casefold() == speaker.casefold():
                return Profile(state.name)
        return None


def _event(event: CalendarEvent, entity: CalendarEntity) -> Event:
    name = entity.name
    return Event(
        start=_moment(event.start),
        end=_moment(event.end),
        summary=event.summary,
        location=event.location,
        calendar=name if isinstance(name, str) else None,
        all_day=event.all_day,
    )


def _moment(value: date | datetime) -> datetime:
    """A whole day begins at midnight of the home's time."""
    if isinstance(value, datetime):
        return dt_util.as_local(value)
    return datetime.combine(value, time(), tzinfo=dt_util.get_default_time_zone())


def _measures(attributes: Mapping[str, Any]) -> list[str]:
    said = []
    for name, unit_name, title in _MEASURES:
        if (value := attributes.get(name)) is not None:
            unit = attributes.get(unit_name, "") if unit_name else "%"
            said.append(f"{title}{value} {unit}".strip())
    return said


def _day(day: Mapping[str, Any]) -> str:
    """One day, such as "2026-11-21: rainy, 4 to 9 degrees, rain 80 %"."""
    said = [str(day.get("condition") or "unknown")]
    low, high = day.get("templow"), day.get("temperature")
    if high is not None:
        said.append(f"up to {high} degrees" if low is None else f"{low} to {high} degrees")
    if (chance := day.get("precipitation_probability")) is not None:
        said.append(f"rain {chance} %")
    return f"{str(day.get('datetime', ''))[:10]}: {', '.join(said)}"
