"""Days and months as they are at home: their first and last moment in UTC, also where clocks are put forward or back."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple


class Period(NamedTuple):
    """From `start` on and before `end`, both UTC."""

    start: datetime
    end: datetime

    def __contains__(self, moment: object) -> bool:
        """Whether a moment lies in it."""
        return isinstance(moment, datetime) and self.start <= moment < self.end


def midnight(day: date, zone: tzinfo) -> datetime:
    """The first moment of a day; where midnight is skipped, the moment that follows it."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def day_of(moment: datetime, zone: tzinfo) -> Period:
    """The day at home that holds the moment: 23 to 25 hours."""
    today = moment.astimezone(zone).date()
    return days(today, today, zone)


def month_of(moment: datetime, zone: tzinfo) -> Period:
    """The calendar month at home that holds the moment."""
    first = moment.astimezone(zone).date().replace(day=1)
    return Period(midnight(first, zone), midnight(_next_month(first), zone))


def month(year: int, number: int, zone: tzinfo) -> Period:
    """A calendar month; raises ValueError for one that is not."""
    first = date(year, number, 1)
    return Period(midnight(first, zone), midnight(_next_month(first), zone))


def days(first: date, last: date, zone: tzinfo) -> Period:
    """Whole days, both counted; raises ValueError when they are the wrong way round."""
    if last < first:
        raise ValueError(f"The range ends on {last}, before it begins on {first}: give the earlier day first")
    return Period(midnight(first, zone), midnight(last + timedelta(days=1), zone))


def _next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
