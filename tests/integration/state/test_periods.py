"""Days and months at home, where clocks are put forward and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.barnabeenet.state.periods import day_of, days, midnight, month, month_of

HOURS = timedelta(hours=1)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 11, 20), 24),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        # Midnight is skipped here, and there it comes twice.
        ("Africa/Cairo", date(2026, 4, 24), 23),
        ("America/Havana", date(2026, 11, 1), 25),
    ],
)
def test_a_day_is_as_long_as_it_is(zone: str, day: date, hours: float) -> None:
    period = days(day, day, ZoneInfo(zone))
    assert period.end - period.start == hours * HOURS
    assert day_of(period.start, ZoneInfo(zone)) == day_of(period.end - timedelta(microseconds=1), ZoneInfo(zone))
    assert day_of(period.end, ZoneInfo(zone)).start == period.end


def test_a_month_is_the_calendars() -> None:
    zone = ZoneInfo("America/New_York")
    december = month(2026, 12, zone)
    assert december == (datetime(2026, 12, 1, 5, tzinfo=UTC), datetime(2027, 1, 1, 5, tzinfo=UTC))
    assert month_of(december.end - timedelta(microseconds=1), zone) == december
    assert month_of(december.end, zone) == month(2027, 1, zone)
    assert month(2026, 3, zone).end - month(2026, 3, zone).start == timedelta(days=31) - HOURS


def test_a_range_is_not_backwards() -> None:
    with pytest.raises(ValueError, match="give the earlier day first"):
        days(date(2026, 2, 2), date(2026, 2, 1), ZoneInfo("Europe/Berlin"))


@settings(max_examples=300)
@given(
    # From 2024 to 2037.
    moment=st.integers(1_704_067_200, 2_114_380_800).map(lambda at_s: datetime.fromtimestamp(at_s, UTC)),
    zone=st.sampled_from(sorted(available_timezones())).map(ZoneInfo),
)
def test_every_moment_lies_in_its_day_and_days_follow_without_a_gap(moment: datetime, zone: ZoneInfo) -> None:
    day = day_of(moment, zone)
    assert moment in day
    assert moment in month_of(moment, zone)
    assert day_of(day.end, zone).start == day.end
    # So that sums by quarters of an hour serve every zone.
    assert midnight(moment.astimezone(zone).date(), zone).timestamp() % 900 == 0
