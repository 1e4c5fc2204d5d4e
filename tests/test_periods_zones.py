"""Where clocks change: skipped and repeated hours, midnights and days, and a zone that is never at the full hour."""

from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import cache, partial
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from django_tenant_billing.periods import Interval, Period, Reset, add, extended, period_around

KATHMANDU = ZoneInfo("Asia/Kathmandu")
NEW_YORK = ZoneInfo("America/New_York")
CASABLANCA = ZoneInfo("Africa/Casablanca")
DAY, MONTH, YEAR = Interval.DAY, Interval.MONTH, Interval.YEAR
INSTANT, MINUTE, HOUR = timedelta(microseconds=1), timedelta(minutes=1), timedelta(hours=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def new_york(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK, fold=fold)


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


def test_days_too_are_counted_from_the_anchor_and_not_from_an_end_that_summer_time_moved() -> None:
    anchor = new_york("2026-03-01T02:30")
    moved = add(anchor, DAY, 7, NEW_YORK)
    assert moved == utc("2026-03-08T07:30")  # half past three: half past two does not exist
    assert extended(anchor, moved, DAY, 7, NEW_YORK) == new_york("2026-03-15T02:30")


@cache
def transitions(zone: tzinfo) -> list[datetime]:
    """The moments from 2023 to 2028 at which the clocks of this zone jump."""
    hours = [datetime(2023, 1, 1, tzinfo=UTC) + number * HOUR for number in range(6 * 8766 + 12)]
    changes = [
        late
        for early, late in pairwise(hours)
        if early.astimezone(zone).utcoffset() != late.astimezone(zone).utcoffset()
    ]
    # All of these change at a full hour of UTC; one that did not would show a jump a minute before as well.
    assert all(
        (late - INSTANT).astimezone(zone).utcoffset() == (late - HOUR).astimezone(zone).utcoffset() for late in changes
    )
    return changes


def jumped(zone: tzinfo, change: datetime) -> tuple[datetime, datetime]:
    """What the clock on the wall showed when it jumped, and what it showed then: a gap, or an hour to come again."""
    after = change.astimezone(zone).replace(tzinfo=None)
    return (change - INSTANT).astimezone(zone).replace(tzinfo=None) + INSTANT, after


# How often each changes its clocks in these six years. The last two do so at midnight.
CHANGES = {
    "Asia/Kathmandu": 0,
    "UTC": 0,
    "Pacific/Apia": 0,
    "America/New_York": 12,
    "Africa/Casablanca": 12,
    "Africa/Cairo": 12,
    "America/Havana": 12,
}
PLACES = pytest.mark.parametrize("zone", [ZoneInfo(name) for name in CHANGES], ids=str)


def test_these_zones_change_their_clocks_as_often_as_the_tests_below_believe() -> None:
    assert {name: len(transitions(ZoneInfo(name))) for name in CHANGES} == CHANGES


def assert_neighbours(reset: Reset, anchor: datetime, moment: datetime, zone: tzinfo) -> Period:
    around = partial(period_around, reset, anchor, zone=zone)
    period = around(moment)
    assert period.start <= moment < period.end
    assert around(period.start) == around(period.end - INSTANT) == period
    assert around(period.end).start == period.end
    assert around(period.start - INSTANT).end == period.start
    return period


@PLACES
@pytest.mark.parametrize("reset", Reset)
def test_periods_meet_around_every_change_of_the_clocks(reset: Reset, zone: tzinfo) -> None:
    nearby = [jump + side for jump in (-HOUR, timedelta(0), HOUR) for side in (-INSTANT, timedelta(0), INSTANT)]
    for change in transitions(zone) or [utc("2026-02-28T18:15")]:
        gap_or_overlap = [sorted(jumped(zone, change))[0] + into for into in (timedelta(0), HOUR / 2, HOUR - INSTANT)]
        for wall in gap_or_overlap:
            # A boundary of the anchor falls on that time of the wall, in the first and in the second such hour.
            for months in (1, 12) if reset is Reset.ANCHOR else (1,):
                for fold in (0, 1):
                    anchor = add(wall.replace(tzinfo=UTC), MONTH, -months, UTC).replace(tzinfo=zone, fold=fold)
                    for near in nearby:
                        assert_neighbours(reset, anchor.astimezone(UTC), change + near, zone)


@PLACES
def test_days_weeks_and_months_start_with_the_first_minute_that_the_local_calendar_gives_them(zone: tzinfo) -> None:
    """The oracle looks at the calendar minute by minute, and knows nothing of midnights."""
    anchor = utc("2026-01-31T09:30")
    for change in transitions(zone) or [utc("2026-02-28T18:15")]:
        minutes = [change + number * MINUTE for number in range(-36 * 60, 36 * 60)]
        starts = [
            late for early, late in pairwise(minutes) if late.astimezone(zone).date() != early.astimezone(zone).date()
        ]
        assert len(starts) == 3
        for start, end in pairwise(starts):
            assert period_around(Reset.DAY, anchor, start, zone) == (start, end)
            assert period_around(Reset.DAY, anchor, end - INSTANT, zone) == (start, end)
        for start in starts:
            day = start.astimezone(zone).date()
            week = period_around(Reset.WEEK, anchor, start, zone)
            assert (week.start == start) == (day.weekday() == 0)
            month = period_around(Reset.MONTH, anchor, start, zone)
            assert (month.start == start) == (day.day == 1)


@PLACES
def test_days_of_24_hours_are_wrong_as_often_as_clocks_change(zone: tzinfo) -> None:
    """The control: from midnight, 24 hours miss the next one on each day of a change, and on no other."""
    moment, last = (datetime(year, 1, 1, tzinfo=zone).astimezone(UTC) for year in (2023, 2029))
    days, wrong = 0, []
    while moment < last:
        start, end = period_around(Reset.DAY, moment, moment, zone)
        assert start == moment
        days += 1
        if start + 24 * HOUR != end:
            wrong.append((start, end))
        moment = end
    assert days == 2192
    changes = transitions(zone)
    assert len(wrong) == len(changes)
    assert all(start <= change < end for (start, end), change in zip(wrong, changes, strict=True))


# Midnights


@pytest.mark.parametrize(
    ("place", "moment", "start", "end"),
    [
        # Cairo skips the first hour of 24 April 2026: the day begins at one.
        ("Africa/Cairo", "2026-04-23T22:00", "2026-04-23T22:00", "2026-04-24T21:00"),
        ("Africa/Cairo", "2026-04-23T21:59", "2026-04-22T22:00", "2026-04-23T22:00"),
        # It repeats the last hour of 29 October: that day ends at the second midnight.
        ("Africa/Cairo", "2026-10-29T21:30", "2026-10-28T21:00", "2026-10-29T22:00"),
        ("Africa/Cairo", "2026-10-29T20:30", "2026-10-28T21:00", "2026-10-29T22:00"),
        # Havana repeats the first hour of 1 November 2026: the day, and the month, begin at the first midnight.
        ("America/Havana", "2026-11-01T04:30", "2026-11-01T04:00", "2026-11-02T05:00"),
        ("America/Havana", "2026-11-01T05:30", "2026-11-01T04:00", "2026-11-02T05:00"),
        # St. John's went back from 00:01 on 1 November 2009: the evening that came again belongs to the new day.
        ("America/St_Johns", "2009-11-01T02:29", "2009-10-31T02:30", "2009-11-01T02:30"),
        ("America/St_Johns", "2009-11-01T02:30", "2009-11-01T02:30", "2009-11-02T03:30"),
        ("America/St_Johns", "2009-11-01T03:00", "2009-11-01T02:30", "2009-11-02T03:30"),
        # Toronto skipped from 23:30 to 00:30 in 1919: half an hour after midnight, which never was, is one o'clock.
        ("America/Toronto", "1919-03-31T04:59", "1919-03-30T05:00", "1919-03-31T05:00"),
        # There was no 30 December 2011 in Samoa.
        ("Pacific/Apia", "2011-12-30T09:59", "2011-12-29T10:00", "2011-12-30T10:00"),
        ("Pacific/Apia", "2011-12-30T10:00", "2011-12-30T10:00", "2011-12-31T10:00"),
    ],
)
def test_a_midnight_that_is_missing_or_comes_twice_is_one_boundary(
    place: str, moment: str, start: str, end: str
) -> None:
    zone = ZoneInfo(place)
    assert assert_neighbours(Reset.DAY, utc("2009-01-01"), utc(moment), zone) == (utc(start), utc(end))


@pytest.mark.parametrize("reset", [Reset.MONTH, Reset.ANCHOR])
def test_a_month_that_began_does_not_end_again_when_clocks_go_back_over_its_midnight(reset: Reset) -> None:
    zone = ZoneInfo("America/St_Johns")
    anchor = datetime(2009, 1, 1, tzinfo=zone)
    second_evening = datetime(2009, 10, 31, 23, 30, tzinfo=zone, fold=1)
    assert second_evening.astimezone(UTC) == utc("2009-11-01T03:00")
    november = (utc("2009-11-01T02:30"), utc("2009-12-01T03:30"))
    assert assert_neighbours(reset, anchor, second_evening, zone) == november


def test_a_boundary_that_a_gap_moved_into_the_next_month_still_ends_the_month_before() -> None:
    # Sofia skipped from 23:00 on 31 March 1979 to midnight.
    sofia = ZoneInfo("Europe/Sofia")
    anchor = datetime(1979, 1, 31, 23, 30, tzinfo=sofia)
    moved = datetime(1979, 4, 1, 0, 30, tzinfo=sofia)
    assert add(anchor, MONTH, 2, sofia) == moved.astimezone(UTC)
    period = assert_neighbours(Reset.ANCHOR, anchor, datetime(1979, 4, 1, 0, 15, tzinfo=sofia), sofia)
    assert period == (add(anchor, MONTH, 1, sofia), moved)
    assert extended(anchor, moved, MONTH, 1, sofia) == datetime(1979, 4, 30, 23, 30, tzinfo=sofia)
    assert extended(anchor - timedelta(days=7), moved, DAY, 7, sofia) == datetime(1979, 4, 7, 23, 30, tzinfo=sofia)


def test_the_second_of_two_equal_hours_is_not_an_hour_early_in_a_gap() -> None:
    # Casablanca repeats and skips the same hour of the wall: two to three, before and after Ramadan.
    anchor = datetime(2024, 3, 10, 2, 30, tzinfo=CASABLANCA, fold=1)
    assert anchor.astimezone(UTC) == utc("2024-03-10T02:30")
    # 14 April 2024, 02:30 does not exist; half past three does.
    assert add(anchor, DAY, 35, CASABLANCA) == utc("2024-04-14T02:30")
    assert add(anchor.replace(fold=0), DAY, 35, CASABLANCA) == utc("2024-04-14T02:30")
    assert add(anchor, DAY, 34, CASABLANCA) == utc("2024-04-13T02:30")


def test_an_end_in_a_repeated_hour_is_known_as_a_boundary_in_whatever_zone_it_is_told() -> None:
    # Cairo repeated the last hour of September 2010.
    cairo = ZoneInfo("Africa/Cairo")
    anchor, end = datetime(2010, 8, 31, 23, 30, tzinfo=cairo), datetime(2010, 9, 30, 23, 30, tzinfo=cairo)
    assert add(anchor, MONTH, 1, cairo) - end.astimezone(UTC) == timedelta(0)
    assert add(anchor, MONTH, 1, cairo) != end  # one moment, and yet Python never finds the two equal
    for told in (end, end.astimezone(UTC), end.astimezone(KATHMANDU)):
        # Counted from an end of its own it would be the 30th.
        assert extended(anchor, told, MONTH, 1, cairo) == datetime(2010, 10, 31, 23, 30, tzinfo=cairo)


# Kathmandu


def minutes_of_three_days() -> list[datetime]:
    """Around the end of a month, so that its last evening is in question too."""
    return [utc("2026-02-27") + number * MINUTE for number in range(3 * 24 * 60)]


def test_from_a_quarter_past_six_in_the_evening_of_utc_it_is_tomorrow_in_kathmandu() -> None:
    ahead = timedelta(hours=5, minutes=45)
    for moment in minutes_of_three_days():
        day = (moment + ahead).date()
        start = datetime.combine(day, time(), UTC) - ahead
        assert period_around(Reset.DAY, utc("2026-01-31"), moment, KATHMANDU) == (start, start + 24 * HOUR)
        month = period_around(Reset.MONTH, utc("2026-01-31"), moment, KATHMANDU)
        assert month.start == datetime.combine(day.replace(day=1), time(), UTC) - ahead


def test_days_of_utc_are_wrong_in_kathmandu_on_every_one_of_these_evenings() -> None:
    """The control: a quarter of all minutes would be counted on another day than the organization's own."""
    wrong = [
        moment
        for moment in minutes_of_three_days()
        if not _same_local_day(moment, period_around(Reset.DAY, utc("2026-01-31"), moment, UTC))
    ]
    assert len(wrong) == 3 * 345
    assert {moment.time() for moment in wrong} == {
        (utc("2026-02-27T18:15") + number * MINUTE).time() for number in range(345)
    }


def _same_local_day(moment: datetime, period: Period) -> bool:
    """Is this day, named by its start, the day on the calendar in Kathmandu?"""
    return period.start.date() == moment.astimezone(KATHMANDU).date()
