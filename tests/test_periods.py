"""Calendar arithmetic: always from the anchor, by the calendar of a place, half-open and without gaps."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import partial
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given, settings
from hypothesis import strategies as st

from django_tenant_billing.periods import EARLIEST, FOREVER, Interval, Reset, add, extended, month_around, period_around

KATHMANDU = ZoneInfo("Asia/Kathmandu")
NEW_YORK = ZoneInfo("America/New_York")
DAY, MONTH, YEAR = Interval.DAY, Interval.MONTH, Interval.YEAR
INSTANT = timedelta(microseconds=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


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


SIX_YEARS = [date(2023, 1, 1) + timedelta(days=day) for day in range((date(2029, 1, 1) - date(2023, 1, 1)).days)]
SIXTY_MONTHS = [relativedelta(months=number) for number in range(61)]


def test_from_every_day_of_six_years_sixty_months_are_contiguous_half_open_and_do_not_drift() -> None:
    # Before a quarter to six in Kathmandu, so that UTC has another day of the month, and often another month.
    checked = 0
    for turn, day in enumerate(SIX_YEARS):
        first = datetime.combine(day, time(5))
        anchor = first.replace(tzinfo=KATHMANDU).astimezone(UTC)
        # Kathmandu is always 5:45 ahead: the oracle needs a calendar, and no zone.
        boundaries = [(first + months - timedelta(hours=5, minutes=45)).replace(tzinfo=UTC) for months in SIXTY_MONTHS]
        for number, (start, end) in enumerate(pairwise(boundaries)):
            assert start < end == add(anchor, MONTH, number + 1, KATHMANDU)
            checked += 1
            # Each of the sixty is looked up from each day of the month, if not from each of each year: time is short.
            if (number + turn) % 6 == 0:
                assert period_around(Reset.ANCHOR, anchor, start, KATHMANDU) == (start, end)
                assert period_around(Reset.ANCHOR, anchor, end - INSTANT, KATHMANDU) == (start, end)
    assert checked == 2192 * 60 == 131_520


def test_months_told_by_chained_addition_drift_after_the_28th() -> None:
    """The control: what billing by "the last end plus a month" does to those who bought on the wrong day."""
    drifted = set()
    for day in SIX_YEARS[:365]:
        chained = first = datetime(day.year, day.month, day.day, tzinfo=UTC)
        for _month in range(60):
            chained = add(chained, MONTH, 1, UTC)
        if chained != first + relativedelta(months=60):
            drifted.add(day.day)
    assert drifted == {29, 30, 31}
    end = utc("2026-01-31")
    for _month in range(2):
        end = add(end, MONTH, 1, UTC)
    assert end == utc("2026-03-28") != add(utc("2026-01-31"), MONTH, 2, UTC)


@pytest.mark.parametrize(
    ("anchor", "interval", "count", "step"),
    [
        ("2028-02-29", YEAR, 1, relativedelta(years=1)),
        ("2026-11-30", MONTH, 3, relativedelta(months=3)),
        ("2026-01-31", DAY, 7, relativedelta(weeks=1)),
        ("2026-01-31", DAY, 45, relativedelta(days=45)),
    ],
    ids=["yearly from 29 February", "quarterly from 30 November", "weekly", "each 45 days"],
)
def test_a_hundred_renewals_end_where_the_calendar_says(
    anchor: str, interval: Interval, count: int, step: relativedelta
) -> None:
    first = end = utc(anchor)
    for number in range(1, 101):
        renewed = extended(first, end, interval, count, UTC)
        assert renewed == add(first, interval, number * count, UTC) == first + number * step
        assert renewed > end
        end = renewed


@pytest.mark.parametrize(
    ("anchor", "interval", "count", "step"),
    [
        ("2028-02-29", YEAR, 1, relativedelta(years=1)),
        ("2026-11-30", MONTH, 3, relativedelta(months=3)),
    ],
)
def test_a_hundred_chained_renewals_end_somewhere_else(
    anchor: str, interval: Interval, count: int, step: relativedelta
) -> None:
    first = end = utc(anchor)
    for _number in range(100):
        end = add(end, interval, count, UTC)
    assert end < first + 100 * step


@pytest.mark.parametrize(
    ("reset", "start", "end"),
    [
        (Reset.ANCHOR, "2026-02-28T09:30", "2026-03-31T09:30"),
        (Reset.MONTH, "2026-03-01", "2026-04-01"),
        (Reset.WEEK, "2026-03-09", "2026-03-16"),
        (Reset.DAY, "2026-03-15", "2026-03-16"),
    ],
)
def test_a_feature_starts_again_by_its_anchor_its_month_its_monday_or_its_midnight(
    reset: Reset, start: str, end: str
) -> None:
    # 15 March 2026 is a Sunday.
    around = partial(period_around, reset, utc("2026-01-31T09:30"), zone=UTC)
    assert around(utc("2026-03-15T12:00")) == (utc(start), utc(end))
    assert around(utc(start)) == around(utc(end) - INSTANT) == (utc(start), utc(end))
    assert around(utc(end)).start == utc(end)
    assert around(utc(start) - INSTANT).end == utc(start)


@pytest.mark.parametrize("reset", [Reset.MONTH, Reset.WEEK, Reset.DAY])
def test_what_follows_the_calendar_does_not_ask_for_the_anchor(reset: Reset) -> None:
    moment = utc("2026-03-15T12:00")
    assert len({period_around(reset, utc(anchor), moment, UTC) for anchor in ("1999-12-31", "2026-03-15T11:59")}) == 1


@pytest.mark.parametrize(
    ("reset", "step"),
    [
        (Reset.ANCHOR, relativedelta(months=1)),
        (Reset.MONTH, relativedelta(months=1)),
        (Reset.WEEK, relativedelta(weeks=1)),
        (Reset.DAY, relativedelta(days=1)),
    ],
)
def test_a_hundred_periods_in_a_row_are_those_of_the_calendar(reset: Reset, step: relativedelta) -> None:
    first = utc("2026-06-01")  # a Monday, the first of a month
    for number in range(100):
        start, end = first + number * step, first + (number + 1) * step
        assert (
            period_around(reset, first, start, UTC) == period_around(reset, first, end - INSTANT, UTC) == (start, end)
        )


MICROSECONDS = st.integers(0, 20 * 365 * 86_400 * 10**6)
MOMENTS = MICROSECONDS.map(lambda passed: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=passed))
ZONES = st.sampled_from([UTC, KATHMANDU, NEW_YORK])


@settings(deadline=None)
@given(st.sampled_from(Reset), MOMENTS, MOMENTS, ZONES)
def test_around_any_moment_the_period_holds_it_and_meets_its_neighbours(
    reset: Reset, anchor: datetime, moment: datetime, zone: tzinfo
) -> None:
    around = partial(period_around, reset, anchor, zone=zone)
    period = around(moment)
    assert period.start <= moment < period.end
    assert around(period.end).start == period.end
    assert around(period.start - INSTANT).end == period.start
    shortest, longest = {Reset.DAY: (1, 1), Reset.WEEK: (7, 7)}.get(reset, (28, 31))
    hour = timedelta(hours=1)
    assert timedelta(days=shortest) - hour <= period.end - period.start <= timedelta(days=longest) + hour
    # A clock that is put back finds the same period, or the one before: nothing in between, nothing negative.
    back = around(moment - timedelta(minutes=5))
    assert back == period or back.end == period.start


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


# The edges of time


def test_a_leap_second_cannot_be_said_and_moves_no_boundary() -> None:
    with pytest.raises(ValueError, match="second must be in"):
        utc("2016-12-31T23:59:60")
    assert period_around(Reset.DAY, utc("2016-01-01"), utc("2016-12-31T23:59:59.999999"), UTC).end == utc("2017-01-01")


NAIVE = datetime(2026, 1, 31)  # noqa: DTZ001 - what is to be refused
AWARE = utc("2026-01-31")


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("anchor", partial(add, NAIVE, MONTH, 1, UTC)),
        ("anchor", partial(month_around, NAIVE, AWARE, UTC)),
        ("moment", partial(month_around, AWARE, NAIVE, UTC)),
        ("anchor", partial(extended, NAIVE, AWARE, MONTH, 1, UTC)),
        ("end", partial(extended, AWARE, NAIVE, MONTH, 1, UTC)),
        *(("anchor", partial(period_around, reset, NAIVE, AWARE, UTC)) for reset in Reset),
        *(("moment", partial(period_around, reset, AWARE, NAIVE, UTC)) for reset in Reset),
    ],
)
def test_a_datetime_without_a_zone_is_refused_by_name(name: str, call: partial[object]) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is datetime.datetime\(2026, 1, 31, 0, 0\), which has no time zone"):
        call()


@pytest.mark.parametrize("zone", [UTC, KATHMANDU, NEW_YORK], ids=str)
@pytest.mark.parametrize("reset", Reset)
def test_the_last_period_ends_with_time_itself(reset: Reset, zone: tzinfo) -> None:
    anchor = utc("2026-01-31T09:30")
    last = period_around(reset, anchor, FOREVER.end - INSTANT, zone)
    assert last.end == FOREVER.end
    assert period_around(reset, anchor, last.start - INSTANT, zone).end == last.start < FOREVER.end
    first = period_around(reset, anchor, EARLIEST, zone)
    assert first.start <= EARLIEST < first.end
    assert period_around(reset, EARLIEST, FOREVER.end - INSTANT, zone).end == FOREVER.end
    assert period_around(reset, FOREVER.end, EARLIEST, zone).end > EARLIEST
    with pytest.raises(ValueError, match=r"^moment is 9999-01-01 .*: the last period ends at 9999-01-01"):
        period_around(reset, anchor, FOREVER.end, zone)


@pytest.mark.parametrize("zone", [UTC, KATHMANDU, NEW_YORK], ids=str)
@pytest.mark.parametrize("interval", Interval)
def test_nothing_is_bought_beyond_the_end_of_time(interval: Interval, zone: tzinfo) -> None:
    late = utc("9998-12-31T12:00")
    for count in (1, 31, 366, 10**9):
        assert add(late, interval, count, zone) == FOREVER.end
        assert extended(AWARE, late, interval, count, zone) == FOREVER.end
        assert extended(AWARE, FOREVER.end, interval, count, zone) == FOREVER.end
    with pytest.raises(OverflowError, match=r"^-1000000000 (day|month|year)s from .* is before there is time\.$"):
        add(late, interval, -(10**9), zone)


@pytest.mark.parametrize("zone", [UTC, KATHMANDU, NEW_YORK], ids=str)
@pytest.mark.parametrize(
    "outside",
    ["0001-01-01", "0001-12-31", "9999-01-02", "9999-12-31T23:59:59.999999"],
)
def test_a_moment_outside_time_is_refused_by_name(outside: str, zone: tzinfo) -> None:
    extreme = datetime.fromisoformat(outside).replace(tzinfo=zone)
    for name, call in (
        ("anchor", partial(add, extreme, MONTH, 0, zone)),
        ("moment", partial(month_around, AWARE, extreme, zone)),
        ("end", partial(extended, AWARE, extreme, DAY, 1, zone)),
    ):
        with pytest.raises(ValueError, match=rf"^{name} is .*: it must lie between 0002-01-01 .* and 9999-01-01 "):
            call()


@pytest.mark.parametrize(("interval", "back"), [(DAY, -334), (MONTH, -11)])
def test_the_calendar_begins_in_the_second_month_there_is_and_not_before(interval: Interval, back: int) -> None:
    assert add(EARLIEST, interval, back, UTC) == utc("0001-02-01")
    with pytest.raises(OverflowError, match="is before there is time"):
        add(EARLIEST, interval, back - 1, UTC)


@pytest.mark.parametrize(
    ("interval", "last_but_one"), [(DAY, "9998-12-30"), (MONTH, "9998-11-30"), (YEAR, "9997-12-30")]
)
def test_the_last_day_and_month_before_the_end_of_time_are_still_told(interval: Interval, last_but_one: str) -> None:
    last = utc("9998-12-31") if interval is DAY else utc("9998-12-30")
    assert add(utc(last_but_one), interval, 1, UTC) == last


def test_the_end_of_time_is_refused_as_a_moment_in_a_whole_sentence() -> None:
    with pytest.raises(ValueError, match=r"^moment is .*: the last period ends at 9999-01-01 00:00:00\+00:00\.$"):
        month_around(utc("2026-01-31"), FOREVER.end, UTC)


def test_the_second_of_two_equal_hours_is_told_in_utc_too() -> None:
    again = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=1)
    assert add(again, MONTH, 0, NEW_YORK).isoformat() == "2026-11-01T06:30:00+00:00"
