"""Traps that other quota engines fell into, each with the naive version beside ours. What needs two connections at once
is in ``races/``: a guard in a sub-select, user code under a row lock, seats beside their rows.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.db.models import Sum

from django_tenant_billing import clock, quotas
from django_tenant_billing.exceptions import QuotaExceeded, ReleaseTooLarge
from django_tenant_billing.models import Hold, PlanLimit, Subscription, Usage, UsageCounter
from django_tenant_billing.periods import Interval, Reset, period_around
from django_tenant_billing.signals import usage_warning
from django_tenant_billing.testing import set_used, subscribe
from tests.clocks import expire_all
from tests.quota_tools import put_on
from tests.testapp.models import Customer, Organization


def rows_used(organization: Organization) -> list[int]:
    rows = UsageCounter.objects.filter(organization=organization, feature="invoices").order_by("period_start")
    return [row.used for row in rows]


def buy(organization: Organization, plan: str) -> None:
    with transaction.atomic():
        put_on(Subscription.objects.lock(organization.pk, clock.now()), plan, Interval.MONTH, 1, clock.now())


def test_count_then_insert(organization: Organization) -> None:
    """Two who both counted before either inserted. Ours counts again, in the statement that takes the unit."""
    set_used(organization, "customers", 4)
    Customer.objects.bulk_create(Customer(organization=organization, name=str(number)) for number in range(4))
    allowed = [Customer.objects.count() < 5 for _caller in range(2)]
    assert allowed == [True, True]
    with quotas.consuming(organization, "customers"):
        Customer.objects.create(organization=organization, name="first")
        with pytest.raises(QuotaExceeded), quotas.consuming(organization, "customers"):
            Customer.objects.create(organization=organization, name="second")
            quotas.consume(organization, "customers")
    assert Customer.objects.count() == quotas.check(organization, "customers").used == 5


def test_check_sums_but_consume_hits_one_row(organization: Organization) -> None:
    """Rows of past and future periods: a check over all of them promises, or denies, what consuming does not."""
    with clock.moved(-timedelta(days=40)):
        quotas.consume(organization, "invoices", 9)
    with clock.moved(timedelta(days=40)):
        quotas.consume(organization, "invoices", 9)
    naive = 10 - UsageCounter.objects.aggregate(used=Sum("used"))["used"]
    assert naive == -8
    remaining = quotas.check(organization, "invoices").remaining
    assert remaining == 10
    assert quotas.consume(organization, "invoices", remaining)
    assert not quotas.check(organization, "invoices")


def test_no_rows_is_success(organization: Organization) -> None:
    """Where nothing says what the limit is, there is none to use, whatever row is missing."""
    PlanLimit.objects.filter(plan="FREE", feature="invoices").delete()
    naive: Any = PlanLimit.objects.filter(plan="FREE", feature="invoices").first()
    assert naive is None or naive.limit_value > 0  # "no row, no limit"
    for _time in range(2):
        with pytest.raises(QuotaExceeded):
            quotas.consume(organization, "invoices")
        with pytest.raises(QuotaExceeded):
            quotas.reserve(organization, "invoices")
        UsageCounter.objects.all().delete()
        Subscription.objects.all().delete()
    assert not UsageCounter.objects.filter(used__gt=0).exists()


def test_clamp_to_0_hides_overshoot(organization: Organization) -> None:
    quotas.track(organization, "invoices", 13)
    decision = quotas.check(organization, "invoices")
    naive = max(10 - 13, 0)
    assert decision.remaining == naive == 0
    assert (decision.used, decision.over, decision.percent) == (13, 3, 130)
    with pytest.raises(ReleaseTooLarge):
        quotas.release(organization, "invoices", 14)
    # Giving 2 back is not room: 11 are still used.
    quotas.release(organization, "invoices", 2)
    with pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices")


def test_refund_by_rule_instead_of_by_receipt(organization: Organization) -> None:
    """Work that asked for 4, got 2 and failed in the next period gives back 2, to the period they were taken from."""
    set_used(organization, "invoices", 8)
    grant = quotas.consume(organization, "invoices", 4, when_short="cap")
    assert grant.amount == 2
    with clock.moved(timedelta(days=40)):
        quotas.consume(organization, "invoices", 5)
        assert grant.release()
        assert rows_used(organization) == [8, 5]
        quotas.release(organization, "invoices", 4)  # the naive version: what was asked for, off the period it is now
        assert rows_used(organization) == [8, 1]


def test_an_absolute_snapshot_overwrites_a_newer_grant(organization: Organization) -> None:
    quotas.consume(organization, "invoices", 3)
    snapshot = UsageCounter.objects.get()
    quotas.consume(organization, "invoices")
    quotas.consume(organization, "invoices")
    assert rows_used(organization) == [5]
    snapshot.used += 1
    snapshot.save()
    assert rows_used(organization) == [4]  # the naive version: two more were granted than counted
    assert quotas.set_usage(organization, "invoices", 6) == (4, 6)


def test_a_client_clock_for_expiry(organization: Organization) -> None:
    """A worker whose clock is a day ahead lets go of nothing. See test_quota_clocks.py."""
    quotas.reserve(organization, "invoices", 10)
    with clock.moved(timedelta(days=1)):
        assert Hold.objects.get().expires_at <= clock.now()
        with pytest.raises(QuotaExceeded):
            quotas.consume(organization, "invoices")


def test_a_reservation_without_expiry(organization: Organization) -> None:
    for never in (timedelta(0), timedelta(days=8), timedelta.max, -timedelta(1)):
        with pytest.raises(ValueError, match="at most 7 days"):
            quotas.reserve(organization, "invoices", expires_in=never)
    with pytest.raises(TypeError):
        quotas.reserve(organization, "invoices", expires_in=None)  # type: ignore[arg-type]
    # The naive version: units that nobody gives back when the worker dies.
    UsageCounter.objects.update(held=10)
    quotas.reserve(organization, "api_calls", 100)
    expire_all()
    assert quotas.consume(organization, "api_calls", 100)
    UsageCounter.objects.filter(feature="invoices").update(held=10)
    assert not Hold.objects.filter(expires_at__isnull=True).exists()


def test_set_usage_and_window_counters_diverge(organization: Organization) -> None:
    """There is one number, so that what is set is what everybody reads, and the gate too."""
    with clock.moved(-timedelta(days=40)):
        quotas.consume(organization, "invoices", 5)
    quotas.consume(organization, "invoices", 2)
    quotas.set_usage(organization, "invoices", 9)
    assert quotas.check(organization, "invoices").used == 9
    assert {d.feature: d.used for d in quotas.check_all(organization)}["invoices"] == 9
    assert Usage.objects.get().invoices_created == 9
    assert rows_used(organization) == [5, 9]
    quotas.consume(organization, "invoices")
    with pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices")
    # The naive version: a column beside the counter, which is set and never read.
    naive = {"total": 9, "window": 2}
    assert naive["total"] != naive["window"]


def test_an_upgrade_re_anchors_and_refreshes_caps(organization: Organization) -> None:
    """Ours does at a paid change of plan, on purpose; and never at a renewal, however often it is bought."""
    set_used(organization, "invoices", 10)
    with clock.moved(timedelta(minutes=1)):
        buy(organization, "BASIC")
        assert quotas.check(organization, "invoices").used == 0
        quotas.consume(organization, "invoices", 1000)
    anchor = Subscription.objects.get().anchor
    for day in range(2, 5):
        with clock.moved(timedelta(days=day)):
            buy(organization, "BASIC")
            with pytest.raises(QuotaExceeded):
                quotas.consume(organization, "invoices")
    assert Subscription.objects.get().anchor == anchor
    # A change of plan without a purchase moves nothing either.
    subscribe(organization, "PRO")
    with clock.moved(timedelta(days=5)):
        assert quotas.check(organization, "invoices").used == 1000


def test_an_alert_re_fires(organization: Organization, django_capture_on_commit_callbacks: Any) -> None:
    heard: list[int] = []
    naive: list[int] = []

    def receive(percent: int, **_facts: Any) -> None:
        heard.append(percent)

    usage_warning.connect(receive)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            for _number in range(10):
                quotas.consume(organization, "invoices")
                percent = quotas.check(organization, "invoices").percent or 0
                naive += [mark for mark in (60, 80, 100) if percent >= mark]
            for _refusal in range(2):
                with pytest.raises(QuotaExceeded):
                    quotas.consume(organization, "invoices")
    finally:
        usage_warning.disconnect(receive)
    assert heard == [60, 80, 100]
    assert len(naive) == 5 + 3 + 1


def test_a_double_reset_at_the_boundary(organization: Organization) -> None:
    """The first call of a period starts it, and nobody else does. See races/test_period_races.py."""
    quotas.consume(organization, "invoices", 10)
    end = UsageCounter.objects.get().period_end
    for later in (0, 1, 1000):
        with clock.moved(end - clock.now() + timedelta(milliseconds=later)):
            quotas.consume(organization, "invoices", 3)
    assert rows_used(organization) == [10, 9]
    with clock.moved(end - clock.now() + timedelta(seconds=2)), pytest.raises(QuotaExceeded):
        quotas.consume(organization, "invoices", 2)


def test_the_31st_of_january_drifts(organization: Organization) -> None:
    """Periods are counted from the anchor: February's short month does not make the 28th of every month after it."""
    anchor = datetime(2027, 1, 31, 12, tzinfo=UTC)
    zone = ZoneInfo("UTC")
    Subscription.objects.update(anchor=anchor, period_start=anchor)
    starts = []
    for day in (1, 29, 60, 90, 120):
        with clock.moved(anchor + timedelta(days=day) - clock.now()):
            starts.append(period_around(Reset.ANCHOR, anchor, clock.now(), zone).start)
            quotas.consume(organization, "invoices")
    days = [start.day for start in UsageCounter.objects.order_by("period_start").values_list("period_start", flat=True)]
    assert days == [start.day for start in starts] == [31, 28, 31, 30, 31]
    naive = [31]
    for length in (28, 31, 30, 31):
        naive.append(min(naive[-1], length))
    assert naive == [31, 28, 28, 28, 28]
