"""Calendar arithmetic of billing periods: pure functions, always from the anchor, never by chained addition.

Moments go in aware and come out in UTC. The calendar is the local one of the zone that is given, by these rules:

- A period is half-open, never empty, and ends where the next one starts.
- A local time that clocks skip is counted on from before the gap: 02:30 becomes 03:30, a skipped midnight 01:00.
- A local time that comes twice is the first one, unless the anchor itself was a second one. What is then repeated of
  the day before belongs to the new day: a period that has ended does not come back.
- Time runs from year 2 until ``FOREVER.end``. Nothing ends after that, and what would ends there.
"""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import NamedTuple


class Interval(StrEnum):
    """What a price buys."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class Reset(StrEnum):
    """When a feature that happens starts again."""

    ANCHOR = "anchor"
    """Each month, counted from the subscription's anchor."""
    MONTH = "month"
    """On the first of each calendar month."""
    WEEK = "week"
    """Each Monday."""
    DAY = "day"
    """Each midnight."""


class Period(NamedTuple):
    """A half-open span of time, ``start <= t < end``; both aware."""

    start: datetime
    end: datetime


FOREVER = Period(datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
"""The one period of a feature that never resets. A date, not NULL: NULLs do not conflict in a unique constraint."""

EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
"""The first moment with a calendar here: room for the period before it, in any zone, within what Python can count."""

# Local days, and months since year 0, that have a UTC moment in any zone. What is later is after FOREVER.end in all.
_DAYS = range(date(1, 2, 1).toordinal(), date(9999, 2, 1).toordinal())
_MONTHS = range(1 * 12 + 1, 9999 * 12 + 1)


def add(anchor: datetime, interval: Interval, count: int, zone: tzinfo) -> datetime:
    """The moment ``count`` intervals after ``anchor`` (before it where negative), by the local calendar of ``zone``.

    The day of the month is the anchor's, or the last of a shorter month: 31 January, 28 February, 31 March. Never
    later than ``FOREVER.end``. Raises ValueError for a naive anchor or one out of time, OverflowError for a result
    before there is time.
    """
    return _boundary(_wall("anchor", anchor, zone), interval, count, zone)


def month_around(anchor: datetime, moment: datetime, zone: tzinfo) -> Period:
    """The month counted from ``anchor`` that ``moment`` lies in, as ``period_around`` with ``Reset.ANCHOR``."""
    return period_around(Reset.ANCHOR, anchor, moment, zone)


def period_around(reset: Reset, anchor: datetime, moment: datetime, zone: tzinfo) -> Period:
    """The period that ``moment`` lies in, by the local calendar of ``zone``. Moments before the anchor have one too.

    The last one of all ends at ``FOREVER.end``, cut short. Raises ValueError for an anchor or moment that is naive or
    out of time; ``FOREVER.end`` itself may be an anchor, but is in no period.
    """
    here, then = _wall("moment", moment, zone), _wall("anchor", anchor, zone)
    if moment >= FOREVER.end:
        raise ValueError(f"moment is {moment}: the last period ends at {FOREVER.end}.")
    if reset is Reset.ANCHOR:
        months = (here.year - then.year) * 12 + here.month - then.month
        return _around(moment, then, Interval.MONTH, 1, months, zone)
    midnight = datetime.combine(here, time())
    if reset is Reset.MONTH:
        return _around(moment, midnight.replace(day=1), Interval.MONTH, 1, 0, zone)
    if reset is Reset.WEEK:
        return _around(moment, midnight - timedelta(days=here.weekday()), Interval.DAY, 7, 0, zone)
    return _around(moment, midnight, Interval.DAY, 1, 0, zone)


def extended(anchor: datetime, end: datetime, interval: Interval, count: int, zone: tzinfo) -> datetime:
    """The end of a subscription that ends at ``end`` and is renewed early by ``count`` intervals.

    Counted from the anchor: the first boundary that lies ``count`` whole intervals after ``end``. Never later than
    ``FOREVER.end``. Raises ValueError for an anchor or end that is naive or out of time.
    """
    there, then = _wall("end", end, zone), _wall("anchor", anchor, zone)
    if interval is Interval.DAY:
        step, passed, more = Interval.DAY, (there.date() - then.date()).days, count
    else:
        step, passed = Interval.MONTH, (there.year - then.year) * 12 + there.month - then.month
        more = count * 12 if interval is Interval.YEAR else count
    # In UTC: Python finds no local time of an hour that comes twice equal to one of another zone.
    ended = end.astimezone(UTC)
    for number in (passed, passed - 1):  # the one before, where a gap moved its boundary over midnight
        if _boundary(then, step, number, zone) == ended:
            return _boundary(then, step, number + more, zone)
    # An end that is no boundary of the anchor (set by hand) must never be shortened by renewing.
    return _boundary(there, interval, count, zone)


def _wall(name: str, moment: datetime, zone: tzinfo) -> datetime:
    """What a clock on the wall in ``zone`` shows at ``moment``: naive, with the fold."""
    if moment.utcoffset() is None:
        raise ValueError(f"{name} is {moment!r}, which has no time zone. Give an aware datetime: see USE_TZ.")
    if not EARLIEST <= moment <= FOREVER.end:
        raise ValueError(f"{name} is {moment}: it must lie between {EARLIEST} and {FOREVER.end}.")
    return moment.astimezone(zone).replace(tzinfo=None)


def _boundary(wall: datetime, interval: Interval, count: int, zone: tzinfo) -> datetime:
    """The moment ``count`` intervals after the local time ``wall``."""
    if interval is Interval.DAY:
        place, places = wall.toordinal() + count, _DAYS
    else:
        place, places = wall.year * 12 + wall.month - 1 + count * (12 if interval is Interval.YEAR else 1), _MONTHS
    if place >= places.stop:
        return FOREVER.end
    if place < places.start:
        raise OverflowError(f"{count} {interval}s from {wall} is before there is time.")
    if interval is Interval.DAY:
        moved = datetime.combine(date.fromordinal(place), wall.time())
    else:
        year, month = divmod(place, 12)
        moved = wall.replace(year=year, month=month + 1, day=min(wall.day, calendar.monthrange(year, month + 1)[1]))
    found = moved.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if wall.fold:
        # The second of two; in a gap it would be an hour early, before the clocks get there, so never the earlier.
        found = max(found, moved.replace(tzinfo=zone, fold=1).astimezone(UTC))
    return min(found, FOREVER.end)


def _around(moment: datetime, wall: datetime, step: Interval, size: int, index: int, zone: tzinfo) -> Period:
    """The period of ``size`` steps counted from ``wall`` that ``moment`` lies in; ``index`` says about which."""
    start, end = _boundary(wall, step, index * size, zone), _boundary(wall, step, (index + 1) * size, zone)
    # At most two turns: the day of the month is still to come, and a gap moved the boundary before it as well.
    while moment < start:
        index -= 1
        start, end = _boundary(wall, step, index * size, zone), start
    # At most one: clocks went back over the boundary.
    while moment >= end:
        index += 1
        start, end = end, _boundary(wall, step, (index + 1) * size, zone)
    return Period(start, end)
