"""Calendars, weather and people of a real Home Assistant, as a turn's context has them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, cast

from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.components.calendar.const import DATA_COMPONENT as CALENDARS
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.components.weather import Forecast, WeatherEntity, WeatherEntityFeature
from homeassistant.components.weather.const import DATA_COMPONENT as WEATHER
from homeassistant.const import UnitOfTemperature
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest

from custom_components.barnabeenet.dialog.cache import Answers
from custom_components.barnabeenet.dialog.context import Profile
from custom_components.barnabeenet.identity import Household
from custom_components.barnabeenet.sources import HomeCalendars, HomeWeather, People
from custom_components.barnabeenet.state.voices import Voices

NOW = dt_util.utcnow().replace(microsecond=0)


class FamilyCalendar(CalendarEntity):
    """Entries that the test scripts, or a failure."""

    def __init__(self, name: str, events: list[CalendarEvent], failure: Exception | None = None) -> None:
        self.entity_id = f"calendar.{name.lower()}"
        self._attr_name = name
        self._attr_unique_id = name
        self.events, self.failure = events, failure

    @property
    def event(self) -> CalendarEvent | None:
        return None

    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        if self.failure is not None:
            raise self.failure
        return [event for event in self.events if event.start_datetime_local < end_date]


class Sky(WeatherEntity):
    """Rain, with a forecast if it can make one."""

    _attr_native_temperature = 8.0
    _attr_native_temperature_unit = UnitOfTemperature.CELSIUS
    _attr_humidity = 81
    _attr_condition = "rainy"

    def __init__(self, name: str, *, forecasts: bool) -> None:
        self.entity_id = f"weather.{name.lower()}"
        self._attr_name = name
        self._attr_unique_id = name
        self._attr_supported_features = WeatherEntityFeature.FORECAST_DAILY if forecasts else WeatherEntityFeature(0)
        self.asked = 0

    async def async_forecast_daily(self) -> list[Forecast] | None:
        self.asked += 1
        days = (NOW + timedelta(days=each) for each in range(4))
        return [
            Forecast(
                datetime=day.isoformat(),
                condition="sunny",
                native_temperature=12.0,
                native_templow=4.0,
                precipitation_probability=20,
            )
            for day in days
        ]


def _event(hours: float, summary: str, location: str | None = None) -> CalendarEvent:
    start = NOW + timedelta(hours=hours)
    return CalendarEvent(start=start, end=start + timedelta(hours=1), summary=summary, location=location)


@pytest.fixture
async def house(home: HomeAssistant) -> HomeAssistant:
    for component in ("conversation", "calendar", "weather"):
        assert await async_setup_component(home, component, {})
    return home


async def _add(home: HomeAssistant, key: Any, *entities: Any, exposed: bool = True) -> None:
    await home.data[key].async_add_entities(list(entities))
    await home.async_block_till_done()
    for entity in entities:
        async_expose_entity(home, "conversation", entity.entity_id, exposed)


async def _summaries(home: HomeAssistant, limit: int = 5) -> list[str]:
    found = await HomeCalendars(home).events(NOW, NOW + timedelta(hours=24), speaker=None, limit=limit)
    return [event.summary for event in found]


async def test_events_of_all_exposed_calendars_come_in_their_order(house: HomeAssistant) -> None:
    await _add(house, CALENDARS, FamilyCalendar("Family", [_event(3, "Dinner", "Home"), _event(30, "Later")]))
    await _add(house, CALENDARS, FamilyCalendar("Work", [_event(1, "Meeting"), _event(5, "Call")]))
    await _add(house, CALENDARS, FamilyCalendar("Secret", [_event(2, "Surprise")]), exposed=False)
    assert await _summaries(house) == ["Meeting", "Dinner", "Call"]
    assert await _summaries(house, limit=1) == ["Meeting"]


async def test_an_event_has_its_place_and_calendar(house: HomeAssistant) -> None:
    await _add(house, CALENDARS, FamilyCalendar("Family", [_event(3, "Dinner", "Home")]))
    (event,) = await HomeCalendars(house).events(NOW, NOW + timedelta(hours=24), speaker="anna", limit=5)
    assert (event.summary, event.location, event.calendar, event.all_day) == ("Dinner", "Home", "Family", False)
    assert event.start == NOW + timedelta(hours=3)


async def test_a_whole_day_begins_at_the_homes_midnight(house: HomeAssistant) -> None:
    await house.config.async_set_time_zone("Europe/Berlin")
    whole = CalendarEvent(start=date(2026, 11, 20), end=date(2026, 11, 21), summary="Holiday")
    await _add(house, CALENDARS, FamilyCalendar("Family", [whole]))
    (event,) = await HomeCalendars(house).events(NOW, NOW + timedelta(days=9_000), speaker=None, limit=5)
    assert event.all_day
    assert event.start.isoformat() == "2026-11-20T00:00:00+01:00"


async def test_one_calendar_may_fail_but_not_all(house: HomeAssistant) -> None:
    broken = FamilyCalendar("Broken", [], HomeAssistantError("no network"))
    await _add(house, CALENDARS, broken)
    with pytest.raises(HomeAssistantError, match="no network"):
        await _summaries(house)
    await _add(house, CALENDARS, FamilyCalendar("Family", [_event(1, "Dinner")]))
    assert await _summaries(house) == ["Dinner"]


async def test_a_home_without_calendars_has_no_events(home: HomeAssistant) -> None:
    assert await _summaries(home) == []


async def test_the_weather_is_told_with_the_days_to_come_and_kept(house: HomeAssistant) -> None:
    sky = Sky("Garden", forecasts=True)
    await _add(house, WEATHER, sky)
    source = HomeWeather(house, Answers())
    weather = await source.weather("en")
    assert weather is not None
    assert weather.place == "Garden"
    assert weather.text.startswith("rainy; 8.0 °C; humidity 81 %; ")
    assert weather.text.count("sunny, 4.0 to 12.0 degrees, rain 20 %") == 2
    assert await source.weather("en") == weather
    assert sky.asked == 1


async def test_weather_without_a_forecast_is_the_weather_now(house: HomeAssistant) -> None:
    await _add(house, WEATHER, Sky("Garden", forecasts=False))
    weather = await HomeWeather(house, Answers()).weather("en")
    assert weather is not None
    assert weather.text == "rainy; 8.0 °C; humidity 81 %"


async def test_weather_that_is_not_exposed_is_none(house: HomeAssistant) -> None:
    assert await HomeWeather(house, Answers()).weather("en") is None
    await _add(house, WEATHER, Sky("Garden", forecasts=True), exposed=False)
    assert await HomeWeather(house, Answers()).weather("en") is None


async def test_people_are_known_by_login_and_by_name(home: HomeAssistant) -> None:
    home.states.async_set("person.anna", "home", {"friendly_name": "Anna", "user_id": "abc"})
    people = People(home, Household(home, Voices(cast(Any, None), ())))
    assert await people.profile("user abc") == Profile("Anna")
    assert await people.profile("anna") == Profile("Anna")
    assert await people.profile("user other") is None
    assert await people.profile("abc") is None
    assert await people.profile("ben") is None
