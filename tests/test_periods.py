"""Calendar arithmetic: always from the anchor, by the calendar of a place, half-open and without gaps."""

import calendar
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_tenant_billing.periods import FOREVER, Interval, add, extended, month_around

KATHMANDU = ZoneInfo("Asia/Kathmandu")
NEW_YORK = ZoneInfo("America/New_York")
DAY, MONTH, YEAR = Interval.DAY, Interval.MONTH, Interval.YEAR
INSTANT = timedelta(microseconds=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def new_york(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK, fold=fold)


def kathmandu(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=KATHMANDU)


@pytest.mark.parametrize(
    ("anchor", "interval", "count", "result"),
    [
        ("2026-01-31", MONTH, 0, "2026-01-31"),
        ("2026-01-31", MONTH, 1, "2026-02-28"),
        ("2026-01-31", MONTH, 2, "2026-03-31"),
        ("2026-01-31", MONTH, 3, "2026-04-30"),
        ("2026-01-31", MONTH, 12, "2027-01-31"),
        ("2028-01-31", MONTH, 1, "2028-02-29"),
        ("2026-01-30", MONTH, 1, "2026-02-28"),
        ("2028-01-30", MONTH, 1, "2028-02-29"),
        ("2028-01-29", MONTH, 1, "2028-02-29"),
        ("2026-11-30", MONTH, 3, "2027-02-28"),
        ("2026-12-31", MONTH, 1, "2027-01-31"),
        ("2026-12-31", MONTH, 2, "2027-02-28"),
        ("2026-03-31", MONTH, -1, "2026-02-28"),
        ("2026-01-31", MONTH, -2, "2025-11-30"),
        ("2026-05-15T23:59:59.999999", MONTH, 1, "2026-06-15T23:59:59.999999"),
        ("2028-02-29", YEAR, 1, "2029-02-28"),
        ("2028-02-29", YEAR, 2, "2030-02-28"),
        ("2028-02-29", YEAR, 4, "2032-02-29"),
        ("2096-02-29", YEAR, 4, "2100-02-28"),
        ("2026-06-30", YEAR, 1, "2027-06-30"),
        ("2026-12-31", DAY, 1, "2027-01-01"),
        ("2028-02-28", DAY, 1, "2028-02-29"),
        ("2026-02-28", DAY, 1, "2026-03-01"),
        ("2026-01-31", DAY, 30, "2026-03-02"),
        ("2026-01-31", DAY, 365, "2027-01-31"),
    ],
)
def test_intervals_follow_the_calendar(anchor: str, interval: Interval, count: int, result: str) -> None:
    assert add(utc(anchor), interval, count, UTC) == utc(result)


def test_the_result_is_in_utc_whatever_the_zone() -> None:
    moved = add(kathmandu("2026-01-31T00:00"), MONTH, 1, KATHMANDU)
    assert moved.tzinfo is UTC
    assert moved == utc("2026-02-27T18:15")


@pytest.mark.parametrize(
    ("anchor", "interval", "count", "result"),
    [
        # Before a quarter to six in the morning Kathmandu has another date than UTC.
        ("2026-01-31T05:00", MONTH, 1, "2026-02-28T05:00"),
        ("2026-03-01T01:30", MONTH, -1, "2026-02-01T01:30"),
        ("2028-02-29T05:44", YEAR, 1, "2029-02-28T05:44"),
        ("2028-02-29T23:59", YEAR, 4, "2032-02-29T23:59"),
        ("2026-12-31T00:00", DAY, 1, "2027-01-01T00:00"),
    ],
)
def test_the_calendar_is_that_of_the_zone(anchor: str, interval: Interval, count: int, result: str) -> None:
    assert add(kathmandu(anchor).astimezone(UTC), interval, count, KATHMANDU) == kathmandu(result)


def test_the_same_anchor_has_another_month_end_in_another_zone() -> None:
    anchor = utc("2026-01-30T20:00")
    assert add(anchor, MONTH, 1, UTC) == utc("2026-02-28T20:00")
    assert add(anchor, MONTH, 2, UTC) == utc("2026-03-30T20:00")
    # It is the 31st in Kathmandu already.
    assert add(anchor, MONTH, 2, KATHMANDU) == kathmandu("2026-03-31T01:45")


@pytest.mark.parametrize(
    ("anchor", "interval", "result"),
    [
        # The wall clock stays; the offset changes.
        (new_york("2026-02-15T09:00"), MONTH, utc("2026-03-15T13:00")),
        (new_york("2026-10-15T09:00"), MONTH, utc("2026-11-15T14:00")),
        (new_york("2026-03-07T09:00"), DAY, utc("2026-03-08T13:00")),
        # 8 March 2026, 02:30 does not exist: counted on from before the gap.
        (new_york("2026-02-08T02:30"), MONTH, utc("2026-03-08T07:30")),
        (new_york("2026-03-07T02:30"), DAY, utc("2026-03-08T07:30")),
        # 1 November 2026, 01:30 exists twice: the first, unless the anchor was a second one.
        (new_york("2026-10-01T01:30"), MONTH, utc("2026-11-01T05:30")),
        (new_york("2026-10-31T01:30"), DAY, utc("2026-11-01T05:30")),
        (new_york("2020-11-01T01:30", fold=1), MONTH, utc("2020-12-01T06:30")),
    ],
)
def test_the_wall_clock_stays_through_summer_time(anchor: datetime, interval: Interval, result: datetime) -> None:
    assert add(anchor.astimezone(UTC), interval, 1, NEW_YORK) == result


def test_an_anchor_in_the_second_of_two_equal_hours_meets_it_again() -> None:
    anchor = new_york("2020-11-01T01:30", fold=1)
    assert anchor.astimezone(UTC) == utc("2020-11-01T06:30")
    assert add(anchor, YEAR, 6, NEW_YORK) == utc("2026-11-01T06:30")


def test_an_anchor_beside_the_gap_comes_back_to_its_hour_the_month_after() -> None:
    anchor = new_york("2026-02-08T02:30")
    assert add(anchor, MONTH, 2, NEW_YORK) == new_york("2026-04-08T02:30")


@pytest.mark.parametrize(
    ("anchor", "moment", "start", "end"),
    [
        ("2026-01-31", "2026-01-31", "2026-01-31", "2026-02-28"),
        ("2026-01-31", "2026-02-27T23:59:59.999999", "2026-01-31", "2026-02-28"),
        ("2026-01-31", "2026-02-28", "2026-02-28", "2026-03-31"),
        ("2026-01-31", "2026-03-30", "2026-02-28", "2026-03-31"),
        ("2026-01-31", "2026-03-31", "2026-03-31", "2026-04-30"),
        ("2028-01-31", "2028-02-28T12:00", "2028-01-31", "2028-02-29"),
        ("2028-01-31", "2028-02-29", "2028-02-29", "2028-03-31"),
        ("2026-05-15T12:00", "2026-06-15T11:59", "2026-05-15T12:00", "2026-06-15T12:00"),
        ("2026-05-15T12:00", "2026-06-15T12:00", "2026-06-15T12:00", "2026-07-15T12:00"),
        ("2026-01-15", "2031-12-20", "2031-12-15", "2032-01-15"),
        # A moment before the anchor has its month too.
        ("2026-05-31", "2026-05-30", "2026-04-30", "2026-05-31"),
        ("2026-05-31", "2026-02-28", "2026-02-28", "2026-03-31"),
    ],
)
def test_the_month_around_a_moment_is_half_open_and_counted_from_the_anchor(
    anchor: str, moment: str, start: str, end: str
) -> None:
    assert month_around(utc(anchor), utc(moment), UTC) == (utc(start), utc(end))


def months_by_hand(anchor: datetime, number: int) -> list[datetime]:
    """The boundaries as a person reads them off a calendar on the wall of the same zone."""
    boundaries, year, month = [], anchor.year, anchor.month
    for _number in range(number):
        last = calendar.monthrange(year, month)[1]
        boundaries.append(anchor.replace(year=year, month=month, day=min(anchor.day, last)))
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return boundaries


@pytest.mark.parametrize(("zone", "hour"), [(UTC, 0), (KATHMANDU, 5)], ids=["utc", "kathmandu"])
def test_from_every_day_of_six_years_the_periods_are_contiguous_half_open_and_anchored(zone: tzinfo, hour: int) -> None:
    first = datetime(2023, 1, 1, hour, tzinfo=zone)
    days = [first + timedelta(days=day) for day in range((date(2029, 1, 1) - date(2023, 1, 1)).days)]
    assert len(days) == 2192
    for anchor in days:
        for start, end in pairwise(months_by_hand(anchor, 15)):
            assert month_around(anchor, start, zone) == (start, end)
            assert month_around(anchor, end - INSTANT, zone) == (start, end)


MICROSECONDS = st.integers(0, 20 * 365 * 86_400 * 10**6)
MOMENTS = MICROSECONDS.map(lambda passed: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=passed))
ZONES = st.sampled_from([UTC, KATHMANDU, NEW_YORK])


@settings(deadline=None)
@given(MOMENTS, MOMENTS, ZONES)
def test_around_any_moment_the_month_holds_it_and_meets_its_neighbours(
    anchor: datetime, moment: datetime, zone: tzinfo
) -> None:
    period = month_around(anchor, moment, zone)
    assert period.start <= moment < period.end
    assert month_around(anchor, period.end, zone).start == period.end
    assert month_around(anchor, period.start - INSTANT, zone).end == period.start
    assert timedelta(days=27, hours=23) <= period.end - period.start <= timedelta(days=31, hours=1)


@pytest.mark.parametrize(
    ("anchor", "end", "interval", "count", "renewed"),
    [
        ("2026-01-31", "2026-02-28", MONTH, 1, "2026-03-31"),
        ("2026-01-31", "2026-03-31", MONTH, 1, "2026-04-30"),
        ("2026-01-31", "2026-02-28", MONTH, 12, "2027-02-28"),
        ("2026-01-31", "2026-02-28", YEAR, 1, "2027-02-28"),
        ("2027-01-31", "2027-02-28", YEAR, 1, "2028-02-29"),
        ("2028-02-29", "2029-02-28", YEAR, 1, "2030-02-28"),
        ("2028-02-29", "2031-02-28", YEAR, 1, "2032-02-29"),
        ("2026-01-31", "2026-03-02", DAY, 30, "2026-04-01"),
        # Ends that somebody set by hand lie on no boundary: the bought time is added to them as they are.
        ("2026-01-31", "2026-03-15", MONTH, 1, "2026-04-15"),
        ("2026-01-31", "2026-03-30", MONTH, 1, "2026-04-30"),
        ("2026-01-31", "2026-03-15T08:00", YEAR, 1, "2027-03-15T08:00"),
        ("2026-01-31", "2026-03-15T08:00", DAY, 30, "2026-04-14T08:00"),
    ],
)
def test_renewing_early_counts_on_from_the_anchor(
    anchor: str, end: str, interval: Interval, count: int, renewed: str
) -> None:
    assert extended(utc(anchor), utc(end), interval, count, UTC) == utc(renewed)


def test_days_too_are_counted_from_the_anchor_and_not_from_an_end_that_summer_time_moved() -> None:
    anchor = new_york("2026-03-01T02:30")
    moved = add(anchor, DAY, 7, NEW_YORK)
    assert moved == utc("2026-03-08T07:30")  # half past three: half past two does not exist
    assert extended(anchor, moved, DAY, 7, NEW_YORK) == new_york("2026-03-15T02:30")


@settings(deadline=None)
@given(MOMENTS, st.integers(0, 60), st.integers(1, 30), st.sampled_from(Interval), ZONES)
def test_renewing_early_again_and_again_gives_what_one_long_purchase_gives(
    anchor: datetime, bought: int, count: int, interval: Interval, zone: tzinfo
) -> None:
    end = add(anchor, interval, bought, zone)
    assert extended(anchor, end, interval, count, zone) == add(anchor, interval, bought + count, zone)


@settings(deadline=None)
@given(MOMENTS, MOMENTS, st.integers(1, 30), st.sampled_from(Interval), ZONES)
def test_renewing_early_never_shortens_whatever_the_end(
    anchor: datetime, end: datetime, count: int, interval: Interval, zone: tzinfo
) -> None:
    renewed = extended(anchor, end, interval, count, zone)
    shortest = {DAY: timedelta(days=1), MONTH: timedelta(days=28), YEAR: timedelta(days=365)}[interval]
    assert renewed - end >= count * shortest - timedelta(hours=1)


def test_the_one_period_of_what_never_resets_holds_every_moment() -> None:
    for moment in (utc("1970-01-01"), utc("2026-11-23"), utc("9998-12-31T23:59:59.999999")):
        assert FOREVER.start <= moment < FOREVER.end
