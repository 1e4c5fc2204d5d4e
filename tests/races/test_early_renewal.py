"""Early renewal stacks: what was bought ends where the calendar says, counted from the anchor, whenever it was paid."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from dateutil.relativedelta import relativedelta
from dateutil.tz import resolve_imaginary
from django.db import transaction
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from django_tenant_billing import clock
from django_tenant_billing.models import Activation, Subscription, quotes
from django_tenant_billing.models.purchases import buy
from django_tenant_billing.models.quotes import Purchase, Terms, quoted
from django_tenant_billing.periods import Interval, add, extended
from django_tenant_billing.testing import seed_catalogue
from tests.quota_tools import at
from tests.testapp.models import Organization

ZONES = [ZoneInfo(name) for name in ("Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe")]
"""No summer time; an hour of it; half an hour of it, in the other half of the year."""


class Renewal(NamedTuple):
    """Bought when this part of the time until the end has passed: from 1 on it is too late."""

    passed: float
    interval: Interval
    number: int


def renewals(parts: st.SearchStrategy[float], size: int) -> st.SearchStrategy[list[Renewal]]:
    """All by the calendar's months and years, or all by days."""
    by_month = st.builds(Renewal, parts, st.sampled_from([Interval.MONTH, Interval.YEAR]), st.integers(1, 14))
    by_day = st.builds(Renewal, parts, st.just(Interval.DAY), st.integers(1, 100))
    return st.lists(by_month, min_size=1, max_size=size) | st.lists(by_day, min_size=1, max_size=size)


DAYS = st.dates(date(2023, 1, 1), date(2029, 12, 31))
MOMENTS = st.builds(
    lambda day, minutes, zone: datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(minutes=minutes),
    DAYS | DAYS.filter(lambda day: day.day > 28),
    st.integers(0, 24 * 60 - 1),
    st.sampled_from(ZONES),
)
EARLY, ANY_TIME = st.floats(0, 0.999), st.floats(0, 0.999) | st.floats(1, 1.5)


def anchor_of(anchor: datetime, bought: list[Renewal]) -> datetime:
    """anchor(k) by another calendar than ours: the local time of the anchor, all months, years and days at once."""
    count = {interval: sum(one.number for one in bought if one.interval is interval) for interval in Interval}
    step = relativedelta(years=count[Interval.YEAR], months=count[Interval.MONTH], days=count[Interval.DAY])
    assert anchor.tzinfo is not None
    local = anchor.astimezone(UTC).astimezone(anchor.tzinfo)
    there = (local.replace(tzinfo=None, fold=0) + step).replace(tzinfo=anchor.tzinfo, fold=local.fold)
    return resolve_imaginary(there).astimezone(UTC)


def stacks(anchor: datetime, bought: list[Renewal]) -> None:
    """A subscription that never saw a database: what would be bought, again and again, always early."""
    begins, end = anchor.astimezone(UTC), anchor_of(anchor, bought[:1])
    row = Subscription(
        pk=1, organization=Organization(pk=1, name=str(anchor.tzinfo)), plan_id="PRO", anchor=begins,
        period_start=begins, period_end=end,
    )  # fmt: skip
    for number, one in enumerate(bought[1:], start=2):
        now = begins + (end - begins) * one.passed
        with at(now):
            offer = quoted(row, Terms("PRO", 390_000, "NPR", one.interval, one.number), now)
        assert (offer.purchase, offer.starts_at) == (Purchase.RENEWS, end)
        assert offer.ends_at > end
        assert offer.ends_at == anchor_of(anchor, bought[:number])
        row.period_end = end = offer.ends_at


@pytest.fixture(autouse=True)
def zone_in_the_name(settings: Any) -> None:
    settings.TENANT_BILLING_ORGANIZATION_TIME_ZONE = lambda organization: organization.name


@given(anchor=MOMENTS, bought=renewals(EARLY, 8))
@settings(max_examples=2000, deadline=None)
def test_after_any_early_renewals_the_end_is_counted_from_the_anchor(anchor: datetime, bought: list[Renewal]) -> None:
    stacks(anchor, bought)


def lives(anchor: datetime, bought: list[Renewal]) -> None:
    """The same in the database; and what comes too late begins where it is paid, with a new anchor."""
    with transaction.atomic():
        try:
            _live(anchor, bought)
        finally:
            transaction.set_rollback(True)


def _live(anchor: datetime, bought: list[Renewal]) -> None:
    seed_catalogue()
    organization = Organization.objects.create(name=str(anchor.tzinfo))
    begins = end = anchor.astimezone(UTC)
    Subscription.objects.update(anchor=begins - timedelta(days=400), period_start=begins - timedelta(days=400))
    counted: list[Renewal] = []
    for one in bought:
        now = begins + (end - begins) * one.passed if counted else begins
        if now >= end:
            begins, anchor, counted = now, now.astimezone(anchor.tzinfo), []
        counted.append(one)
        starts, end = end, anchor_of(anchor, counted)
        with at(now):
            row = Subscription.objects.lock(organization.pk, now)
            made = buy(row, Terms("PRO", 0, "NPR", one.interval, one.number), now, paid_minor=0, actor="payer")
        row = Subscription.objects.get()
        assert (made.starts_at, made.ends_at) == (max(now, starts), end)
        assert (row.anchor, row.period_start, row.period_end, row.plan_in_force(now)) == (begins, begins, end, "PRO")
        assert end > starts
    spans = Activation.objects.order_by("pk")
    assert len(spans) == len(bought)
    assert all(span.ends_at == later.starts_at or span.ends_at <= later.at for span, later in pairwise(spans))


@pytest.mark.django_db
@given(anchor=MOMENTS, bought=renewals(ANY_TIME, 6))
@settings(max_examples=100, deadline=None)
def test_so_it_is_in_the_database_and_late_renewal_starts_now(anchor: datetime, bought: list[Renewal]) -> None:
    lives(anchor, bought)


# --- planted bugs ----------------------------------------------------------------------------------------------------

Extended = Callable[[datetime, datetime, Interval, int, Any], datetime]


def from_now(_anchor: datetime, _end: datetime, interval: Interval, count: int, zone: Any) -> datetime:
    return add(clock.now(), interval, count, zone)


def from_the_end(_anchor: datetime, end: datetime, interval: Interval, count: int, zone: Any) -> datetime:
    """28 February, 28 March: the month after a short one is short too."""
    return add(end, interval, count, zone)


def doubled(anchor: datetime, end: datetime, interval: Interval, count: int, zone: Any) -> datetime:
    """What is left is given once more."""
    return extended(anchor, end, interval, count, zone) + (end - clock.now())


def by_days(_anchor: datetime, end: datetime, interval: Interval, count: int, _zone: Any) -> datetime:
    return end + count * timedelta(days={Interval.DAY: 1, Interval.MONTH: 30, Interval.YEAR: 365}[interval])


def by_utc(anchor: datetime, end: datetime, interval: Interval, count: int, _zone: Any) -> datetime:
    """Early on 1 March in Kathmandu it is still February in UTC."""
    return extended(anchor, end, interval, count, UTC)


BUGS: dict[str, Extended] = {
    "renewal from now": from_now, "chained additions drift": from_the_end, "doubling": doubled,
    "a month of 30 days": by_days, "months of UTC": by_utc,
}  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
@pytest.mark.parametrize("prove", [stacks, lives])
def test_a_planted_bug_is_seen(
    monkeypatch: pytest.MonkeyPatch, prove: Callable[[datetime, list[Renewal]], None], bug: Extended
) -> None:
    begins = datetime(2026, 1, 31, 3, 0, tzinfo=ZONES[0])
    monthly = [Renewal(0.5, Interval.MONTH, 1)] * 3
    prove(begins, monthly)
    monkeypatch.setattr(quotes, "extended", bug)
    with pytest.raises(AssertionError):
        prove(begins, monthly)


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_the_property_finds_a_planted_bug_by_itself(monkeypatch: pytest.MonkeyPatch, bug: Extended) -> None:
    @given(anchor=MOMENTS, bought=renewals(EARLY, 8))
    @settings(
        max_examples=2000, phases=[Phase.generate], derandomize=True, database=None, deadline=None, print_blob=False,
        report_multiple_bugs=False,
    )  # fmt: skip
    def prove(anchor: datetime, bought: list[Renewal]) -> None:
        stacks(anchor, bought)

    monkeypatch.setattr(quotes, "extended", bug)
    with pytest.raises(AssertionError):
        prove()


def test_a_year_from_the_leap_day_comes_back_to_it() -> None:
    leap_day = datetime(2028, 2, 29, 23, 30, tzinfo=ZONES[0])
    yearly = [Renewal(0.1, Interval.YEAR, 1)] * 8
    ends = [anchor_of(leap_day, yearly[:number]).astimezone(ZONES[0]) for number in range(1, 9)]
    assert [(end.month, end.day) for end in ends] == [(2, 28), (2, 28), (2, 28), (2, 29)] * 2
    stacks(leap_day, yearly)


def test_a_local_time_that_clocks_skip_comes_an_hour_later_and_is_not_kept() -> None:
    # 02:30 of 14 March 2027 is nowhere in New York.
    begins = datetime(2026, 12, 14, 2, 30, tzinfo=ZONES[1])
    monthly = [Renewal(0.9, Interval.MONTH, 1)] * 4
    ends = [anchor_of(begins, monthly[:number]).astimezone(ZONES[1]) for number in range(1, 5)]
    assert [(end.month, end.hour) for end in ends] == [(1, 2), (2, 2), (3, 3), (4, 2)]
    stacks(begins, monthly)
