"""Calendar arithmetic of billing periods: pure functions, always from the anchor, never by chained addition."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import NamedTuple


class Interval(StrEnum):
    """What a price buys."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class Period(NamedTuple):
    """A half-open span of time, ``start <= t < end``; both aware."""

    start: datetime
    end: datetime


FOREVER = Period(datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
"""The one period of a feature that never resets. A date, not NULL: NULLs do not conflict in a unique constraint."""


def add(anchor: datetime, interval: Interval, count: int, zone: tzinfo) -> datetime:
    """The moment ``count`` intervals after ``anchor``, by the local calendar of ``zone``; UTC.

    The day of the month is the anchor's, or the last of a shorter month: 31 January, 28 February, 31 March.
    """
    local = anchor.astimezone(zone)
    if interval is Interval.DAY:
        moved = local.replace(tzinfo=None) + timedelta(days=count)
    else:
        months = local.year * 12 + local.month - 1 + count * (12 if interval is Interval.YEAR else 1)
        year, month = divmod(months, 12)
        day = min(local.day, calendar.monthrange(year, month + 1)[1])
        moved = local.replace(year=year, month=month + 1, day=day, tzinfo=None)
    return moved.replace(tzinfo=zone, fold=local.fold).astimezone(UTC)


def month_around(anchor: datetime, moment: datetime, zone: tzinfo) -> Period:
    """The month counted from ``anchor`` that ``moment`` lies in."""
    here, then = moment.astimezone(zone), anchor.astimezone(zone)
    index = (here.year - then.year) * 12 + here.month - then.month
    # The calendar months say which one it is, or the one before where the day of the month is still to come.
    while add(anchor, Interval.MONTH, index, zone) > moment:
        index -= 1
    return Period(add(anchor, Interval.MONTH, index, zone), add(anchor, Interval.MONTH, index + 1, zone))


def extended(anchor: datetime, end: datetime, interval: Interval, count: int, zone: tzinfo) -> datetime:
    """The end of a subscription that ends at ``end`` and is renewed early by ``count`` intervals.

    Counted from the anchor: the first boundary that lies ``count`` whole intervals after ``end``.
    """
    there, then = end.astimezone(zone), anchor.astimezone(zone)
    if interval is Interval.DAY:
        step, passed, more = Interval.DAY, (there.date() - then.date()).days, count
    else:
        step, passed = Interval.MONTH, (there.year - then.year) * 12 + there.month - then.month
        more = count * 12 if interval is Interval.YEAR else count
    if add(anchor, step, passed, zone) == end:
        return add(anchor, step, passed + more, zone)
    # An end that is no boundary of the anchor (set by hand) must never be shortened by renewing.
    return add(end, interval, count, zone)
