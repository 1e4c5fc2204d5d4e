"""Which limit holds when: grace of soft limits, trials, and the periods in which what happens starts again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from django_tenant_billing import clock, quotas
from django_tenant_billing.decisions import Decision, LimitSource, Reason
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import Feature, Subscription, UsageCounter
from django_tenant_billing.testing import set_used, subscribe
from tests.quota_tools import at, change_limit, look, numbers, statements
from tests.testapp.models import Organization

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def refused(organization: Organization, amount: int = 1, feature: str = "invoices") -> Decision:
    with pytest.raises(QuotaExceeded) as caught:
        quotas.consume(organization, feature, amount)
    assert not quotas.check(organization, feature, amount)
    return caught.value.decision


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# Grace


@pytest.fixture
def soft(organization: Organization) -> Organization:
    """An organization whose limit of 10 invoices may be exceeded for three days, and that has used them up."""
    change_limit(grace_days=3)
    quotas.consume(organization, "invoices", 10)
    assert look(organization).grace_ends_at is None
    return organization


def test_grace_starts_at_the_first_unit_over_and_is_then_the_limit_again(soft: Organization) -> None:
    before = quotas.check(soft, "invoices")
    assert (before.allowed, before.fits, before.reason) == (True, False, Reason.IN_GRACE)
    first = clock.now()
    quotas.consume(soft, "invoices")
    ends = look(soft).grace_ends_at
    assert ends is not None
    assert first + 3 * DAY <= ends <= clock.now() + 3 * DAY
    assert (look(soft).used, look(soft).over) == (11, 1)
    with clock.moved(2 * DAY):
        quotas.consume(soft, "invoices", 4)
        assert (look(soft).used, look(soft).grace_ends_at) == (15, ends)
    with at(ends - MINUTE):
        quotas.consume(soft, "invoices")
    with at(ends):
        decision = refused(soft)
        assert (decision.reason, decision.grace_ends_at, decision.over) == (Reason.LIMIT_REACHED, ends, 6)
        assert (decision.grace_days, decision.retry_at) == (3, decision.period_end)
    assert numbers(soft) == (16, 0)


def test_a_look_starts_no_grace(soft: Organization) -> None:
    assert quotas.check(soft, "invoices").allowed
    assert quotas.enter(soft, "invoices").allowed
    assert UsageCounter.objects.get().grace_ends_at is None


def test_consuming_and_reserving_go_over_a_soft_limit_too(soft: Organization) -> None:
    with quotas.consuming(soft, "invoices"):
        pass
    ends = look(soft).grace_ends_at
    assert ends is not None
    reservation = quotas.reserve(soft, "invoices", 2)
    assert (numbers(soft), look(soft).grace_ends_at) == ((11, 2), ends)
    with at(ends + MINUTE):
        with pytest.raises(QuotaExceeded):
            quotas.reserve(soft, "invoices")
        # What was held within the grace time is committed.
        assert reservation.commit() is not None
    assert numbers(soft) == (13, 0)


def test_the_first_use_of_a_period_may_start_grace(organization: Organization) -> None:
    change_limit(grace_days=3)
    assert quotas.consume(organization, "invoices", 12, when_short="cap").amount == 12
    assert look(organization).grace_ends_at is not None
    with clock.moved(40 * DAY):
        assert look(organization).grace_ends_at is None
        quotas.consume(organization, "invoices", 11)
        assert look(organization).over == 1


def test_being_back_within_the_limit_ends_grace(soft: Organization) -> None:
    quotas.consume(soft, "invoices")
    first = look(soft).grace_ends_at
    assert first is not None
    quotas.release(soft, "invoices", 3)
    assert look(soft).grace_ends_at == first
    quotas.consume(soft, "invoices", 2)
    assert look(soft).grace_ends_at is None
    with at(first + MINUTE):
        quotas.consume(soft, "invoices")
        again = look(soft).grace_ends_at
        assert again is not None
        assert again > first + 2 * DAY


def test_holding_within_the_limit_ends_grace_too(soft: Organization) -> None:
    quotas.consume(soft, "invoices")
    quotas.release(soft, "invoices", 3)
    quotas.reserve(soft, "invoices", 2)
    assert (numbers(soft), look(soft).grace_ends_at) == ((8, 2), None)


def test_more_room_by_a_raised_limit_ends_grace(soft: Organization) -> None:
    quotas.consume(soft, "invoices", 5)
    change_limit(limit_value=20)
    quotas.consume(soft, "invoices")
    assert (numbers(soft), look(soft).grace_ends_at) == ((16, 0), None)


def test_after_grace_what_happened_is_counted_and_what_is_left_may_be_taken(soft: Organization) -> None:
    quotas.consume(soft, "invoices")
    ends = look(soft).grace_ends_at
    assert ends is not None
    with at(ends + HOUR):
        quotas.track(soft, "invoices", 5)
        assert (look(soft).used, refused(soft).grace_ends_at) == (16, ends)
        with pytest.raises(QuotaExceeded):
            quotas.consume(soft, "invoices", when_short="cap")
        quotas.release(soft, "invoices", 8)
        assert quotas.consume(soft, "invoices", 5, when_short="cap").amount == 2
        # Back within the limit: the next excess has its own grace time.
        assert (numbers(soft), look(soft).grace_ends_at) == ((10, 0), None)


def test_holding_more_than_there_is_keeps_the_end_of_the_grace_time(soft: Organization) -> None:
    quotas.reserve(soft, "invoices", 2, when_short="allow")
    ends = look(soft).grace_ends_at
    assert ends is not None
    with at(ends + MINUTE):
        quotas.reserve(soft, "invoices", 2, when_short="allow")
        assert (numbers(soft), look(soft).grace_ends_at) == ((10, 4), ends)


def test_a_limit_of_zero_has_no_grace(organization: Organization) -> None:
    change_limit(limit_value=0, grace_days=3)
    assert refused(organization).reason is Reason.NOT_INCLUDED
    change_limit(limit_value=1, grace_days=3)
    assert quotas.consume(organization, "invoices", 2).amount == 2


def test_grace_is_three_statements_more_than_a_plain_grant(soft: Organization) -> None:
    with statements() as asked:
        quotas.consume(soft, "invoices")
    assert [sql.split()[0] for sql in asked] == ["UPDATE", "SELECT", "SELECT", "SELECT", "UPDATE"]


# Trials


def test_what_has_happened_starts_the_grace_of_a_soft_limit_and_is_counted_after_it_too(
    organization: Organization,
) -> None:
    change_limit(grace_days=3)
    quotas.track(organization, "invoices", 12)
    ends = look(organization).grace_ends_at
    assert ends is not None
    with at(ends):
        assert not quotas.check(organization, "invoices")
        quotas.track(organization, "invoices", 3)
        decision = refused(organization)
    assert (decision.used, decision.grace_ends_at) == (15, ends)


def test_a_trial_has_its_own_limit_until_it_ends(organization: Organization) -> None:
    change_limit(trial_differs=True, trial_limit_value=2)
    ends = clock.now() + 3 * DAY
    Subscription.objects.update(trial_ends_at=ends)
    quotas.consume(organization, "invoices", 2)
    decision = refused(organization)
    assert (decision.limit, decision.limit_source, decision.limit_until) == (2, LimitSource.TRIAL, ends)
    assert decision.retry_at == ends
    with at(ends):
        quotas.consume(organization, "invoices", 8)
        decision = refused(organization)
        assert (decision.limit, decision.limit_source, decision.limit_until) == (10, LimitSource.PLAN, None)


@pytest.mark.parametrize(("limit", "granted"), [(None, 10**6), (50, 50)])
def test_a_trial_may_give_more_than_its_plan(organization: Organization, limit: int | None, granted: int) -> None:
    change_limit(trial_differs=True, trial_limit_value=limit)
    Subscription.objects.update(trial_ends_at=clock.now() + DAY)
    quotas.consume(organization, "invoices", granted)
    assert (look(organization).limit, look(organization).limit_source) == (limit, LimitSource.TRIAL)
    with clock.moved(DAY + MINUTE):
        assert refused(organization).over == granted - 10


def test_a_trial_may_leave_a_feature_out(organization: Organization) -> None:
    change_limit("reports", "BASIC", trial_differs=True, trial_limit_value=0)
    subscribe(organization, "BASIC")
    quotas.consume(organization, "reports")
    Subscription.objects.update(trial_ends_at=clock.now() + DAY)
    decision = refused(organization, feature="reports")
    assert (decision.limit, decision.limit_source, decision.reason) == (0, LimitSource.TRIAL, Reason.NOT_INCLUDED)


def test_during_a_trial_a_limit_that_does_not_differ_is_the_plans(organization: Organization) -> None:
    Subscription.objects.update(trial_ends_at=clock.now() + DAY)
    quotas.consume(organization, "invoices", 10)
    decision = refused(organization)
    assert (decision.limit, decision.limit_source, decision.limit_until) == (10, LimitSource.PLAN, None)


def test_a_soft_limit_of_a_trial_is_soft(organization: Organization) -> None:
    change_limit(trial_differs=True, trial_limit_value=2, grace_days=3)
    Subscription.objects.update(trial_ends_at=clock.now() + DAY)
    quotas.consume(organization, "invoices", 5)
    assert (look(organization).over, look(organization).limit_source) == (3, LimitSource.TRIAL)


# Periods


def born(moment: str, name: str = "Himal Traders", reset: str = "anchor") -> Organization:
    """An organization that signed up at this moment of UTC; invoices start again as told."""
    Feature.objects.filter(pk="invoices").update(reset=reset)
    with at(utc(moment)):
        return Organization.objects.create(name=name)


def periods(organization: Organization) -> list[tuple[datetime, datetime, int]]:
    rows = UsageCounter.objects.filter(organization=organization, feature="invoices").order_by("period_start")
    return list(rows.values_list("period_start", "period_end", "used"))


# The test project lives in Kathmandu, 5:45 ahead: its days begin at 18:15 of UTC. 10 March 2027 is a Wednesday.
@pytest.mark.parametrize(
    ("reset", "start", "end"),
    [
        ("month", "2027-02-28T18:15", "2027-03-31T18:15"),
        ("week", "2027-03-07T18:15", "2027-03-14T18:15"),
        ("day", "2027-03-10T18:15", "2027-03-11T18:15"),
    ],
)
def test_what_happens_starts_again_with_each_calendar_month_week_or_day(
    catalogue: None, reset: str, start: str, end: str
) -> None:
    organization = born("2027-03-10T20:00", reset=reset)
    with at(utc("2027-03-10T20:00")):
        decision = quotas.check(organization, "invoices")
        assert (decision.period_start, decision.period_end) == (utc(start), utc(end))
        quotas.consume(organization, "invoices", 10)
    with at(utc(end) - MINUTE):
        assert refused(organization).retry_at == utc(end)
    with at(utc(end)):
        quotas.consume(organization, "invoices", 3)
        assert look(organization).period_start == utc(end)
    first, second = periods(organization)
    assert first == (utc(start), utc(end), 10)
    assert (second[0], second[2]) == (utc(end), 3)


def test_what_happens_starts_again_each_month_from_the_anchor(catalogue: None) -> None:
    # 31 January, 17:45 in Kathmandu.
    organization = born("2027-01-31T12:00")
    anchor = Subscription.objects.get(organization=organization).anchor
    for moment in ("2027-02-01", "2027-03-01", "2027-03-31", "2027-04-01", "2027-05-05"):
        with at(utc(moment)):
            quotas.consume(organization, "invoices")
    starts = [start - (anchor - utc("2027-01-31T12:00")) for start, _end, _used in periods(organization)]
    assert starts == [utc(f"2027-{day}T12:00") for day in ("01-31", "02-28", "03-31", "04-30")]
    assert [used for _start, _end, used in periods(organization)] == [1, 2, 1, 1]


@pytest.mark.parametrize("reset", ["anchor", "month", "week", "day"])
def test_what_exists_never_starts_again(catalogue: None, reset: str) -> None:
    organization = born("2027-01-31T12:00")
    Feature.objects.filter(pk="customers").update(reset=reset)
    with at(utc("2027-02-01")):
        quotas.consume(organization, "customers", 5)
    with at(utc("2029-02-01")):
        decision = refused(organization, feature="customers")
        assert (decision.period_start, decision.period_end, decision.retry_at) == (None, None, None)


def test_at_one_instant_two_organizations_are_in_different_days(catalogue: None, settings: Any) -> None:
    settings.TENANT_BILLING_ORGANIZATION_TIME_ZONE = lambda organization: organization.name
    east, west = born("2027-06-01", "Asia/Kathmandu", "day"), born("2027-06-01", "America/New_York", "day")
    with at(utc("2027-06-15T20:00")):
        for organization in (east, west):
            quotas.consume(organization, "invoices", 10)
    assert periods(east) == [(utc("2027-06-15T18:15"), utc("2027-06-16T18:15"), 10)]
    assert periods(west) == [(utc("2027-06-15T04:00"), utc("2027-06-16T04:00"), 10)]
    with at(utc("2027-06-16T04:00")):
        assert [d.used for d in quotas.check_all(west) if d.feature == "invoices"] == [0]
        quotas.consume(west, "invoices", 10)
        assert refused(east).retry_at == utc("2027-06-16T18:15")
    with at(utc("2027-06-16T18:15")):
        quotas.consume(east, "invoices", 10)
        refused(west)


def test_without_the_setting_every_day_is_that_of_djangos_zone(catalogue: None, settings: Any) -> None:
    settings.TIME_ZONE = "America/New_York"
    organization = born("2027-06-01", "Asia/Kathmandu", "day")
    with at(utc("2027-06-15T20:00")):
        quotas.consume(organization, "invoices")
    assert periods(organization)[0][:2] == (utc("2027-06-15T04:00"), utc("2027-06-16T04:00"))


KINDS = ["anchor", "day", "month", "week", "anchor", "week", "day", "month"]


@pytest.mark.parametrize("hours", [1, 30, 100, 400])
def test_the_counters_of_a_reset_that_somebody_changes_never_overlap(catalogue: None, hours: int) -> None:
    organization = born("2027-01-20T09:30")
    for number, reset in enumerate(KINDS * 3):
        Feature.objects.filter(pk="invoices").update(reset=reset)
        with at(utc("2027-01-20T10:00") + number * timedelta(hours=hours)):
            quotas.consume(organization, "invoices", when_short="allow")
            decision = look(organization)
            assert decision.period_start is not None
            assert decision.period_end is not None
            assert decision.period_start <= clock.now() < decision.period_end
    rows = periods(organization)
    assert len(rows) > hours // 100
    for (_start, end, _used), (start, _end, _used_too) in pairwise(rows):
        assert end <= start
    assert sum(used for _start, _end, used in rows) == len(KINDS * 3)


def test_a_changed_reset_counts_from_the_next_period(catalogue: None) -> None:
    organization = born("2027-03-10T20:00", reset="week")
    with at(utc("2027-03-10T20:00")):
        quotas.consume(organization, "invoices", 10)
    Feature.objects.filter(pk="invoices").update(reset="day")
    with at(utc("2027-03-14T18:00")):
        assert refused(organization).period_end == utc("2027-03-14T18:15")
    with at(utc("2027-03-14T19:00")):
        quotas.consume(organization, "invoices", 10)
    Feature.objects.filter(pk="invoices").update(reset="month")
    with at(utc("2027-03-15T19:00")):
        quotas.consume(organization, "invoices", 10)
        refused(organization)
    assert periods(organization) == [
        (utc("2027-03-07T18:15"), utc("2027-03-14T18:15"), 10),
        (utc("2027-03-14T18:15"), utc("2027-03-15T18:15"), 10),
        # The rest of the month: what the day and the week have covered is theirs.
        (utc("2027-03-15T18:15"), utc("2027-03-31T18:15"), 10),
    ]


def test_the_count_of_a_period_is_set_and_given_back_in_the_organizations_day(catalogue: None, settings: Any) -> None:
    settings.TENANT_BILLING_ORGANIZATION_TIME_ZONE = lambda organization: organization.name
    organization = born("2027-06-01", "America/New_York", "day")
    with at(utc("2027-06-16T03:59")):
        set_used(organization, "invoices", 4)
        quotas.release(organization, "invoices")
    with at(utc("2027-06-16T04:01")):
        set_used(organization, "invoices", 7)
    assert [used for _start, _end, used in periods(organization)] == [3, 7]
