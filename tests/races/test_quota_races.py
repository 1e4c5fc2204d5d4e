"""Exactly the limit, whatever the concurrency; and the naive ways beside it, which overshoot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection, transaction
from django.db.models import F

from django_tenant_billing import clock, quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import PlanLimit, Subscription, UsageCounter
from django_tenant_billing.periods import Interval
from django_tenant_billing.testing import seed_catalogue
from tests.testapp.models import Customer, Organization

Together = Callable[[int, Callable[[int], int]], list[int]]

pytestmark = pytest.mark.django_db(transaction=True)

TRIES = 640
LIMIT = 100
SIZES = [8, 32]
MONTH = (Interval.MONTH, 1)


@pytest.fixture
def contended() -> Organization:
    seed_catalogue()
    PlanLimit.objects.filter(plan="FREE").update(limit_value=LIMIT)
    return Organization.objects.create(name="Contended")


def size_here(size: int) -> int:
    """SQLite has one writer at a time: 32 processes would queue, not contend."""
    return 8 if connection.vendor == "sqlite" else size


def used(organization: Organization, feature: str = "invoices") -> int:
    return sum(UsageCounter.objects.filter(organization=organization, feature=feature).values_list("used", flat=True))


def consume_many(organization: Organization, tries: int, feature: str = "invoices") -> int:
    granted = 0
    for _try in range(tries):
        try:
            quotas.consume(organization, feature)
        except QuotaExceeded:
            continue
        granted += 1
    return granted


def naive_many(organization: Organization, tries: int) -> int:
    """What a hurried developer writes: read, compare, then count."""
    granted = 0
    for _try in range(tries):
        counter = UsageCounter.objects.get(organization=organization, feature="invoices")
        if counter.used + 1 <= LIMIT:
            UsageCounter.objects.filter(pk=counter.pk).update(used=F("used") + 1)
            granted += 1
    return granted


@pytest.mark.parametrize("size", SIZES)
def test_640_contended_tries_grant_exactly_the_limit(
    contended: Organization, together: Together, runs: int, size: int
) -> None:
    size = size_here(size)
    for _run in range(runs):
        UsageCounter.objects.all().delete()
        granted = together(size, lambda _index: consume_many(contended, TRIES // size))
        assert (sum(granted), used(contended)) == (LIMIT, LIMIT)


@pytest.mark.parametrize("size", SIZES)
def test_the_naive_version_overshoots_in_nearly_every_run(
    contended: Organization, together: Together, runs: int, size: int
) -> None:
    size = size_here(size)
    overshot = 0
    for _run in range(runs):
        UsageCounter.objects.all().delete()
        quotas.consume(contended, "invoices").release()
        # Near the limit from the start, so that every connection meets the last unit.
        UsageCounter.objects.update(used=LIMIT - 20)
        granted = together(size, lambda _index: naive_many(contended, TRIES // size))
        overshot += sum(granted) > 20
    assert overshot >= runs * 19 // 20


def test_first_use_of_a_period_makes_one_row_and_counts_every_unit(
    contended: Organization, together: Together, runs: int
) -> None:
    size = size_here(32)
    for _run in range(runs):
        UsageCounter.objects.all().delete()
        granted = together(size, lambda _index: consume_many(contended, 1))
        assert sum(granted) == size
        assert list(UsageCounter.objects.values_list("used", flat=True)) == [size]


def test_first_use_at_the_start_of_the_next_period_is_race_free(
    contended: Organization, together: Together, runs: int
) -> None:
    size = size_here(32)
    for month in range(1, runs + 1):
        with clock.moved(timedelta(days=31 * month)):
            granted = together(size, lambda _index: consume_many(contended, 1))
            assert sum(granted) == size
            counters = UsageCounter.objects.filter(period_start__lte=clock.now(), period_end__gt=clock.now())
            assert list(counters.values_list("used", flat=True)) == [size]


def test_consuming_keeps_rows_and_count_equal_under_concurrency(
    contended: Organization, together: Together, runs: int
) -> None:
    size = 8

    def create(index: int) -> int:
        created = 0
        for number in range(20):
            try:
                with quotas.consuming(contended, "customers"):
                    Customer.objects.create(organization=contended, name=f"{index}-{number}")
            except QuotaExceeded:
                continue
            created += 1
        return created

    for _run in range(max(runs // 4, 1)):
        UsageCounter.objects.all().delete()
        Customer.objects.all().delete()
        created = together(size, create)
        assert (sum(created), used(contended, "customers"), Customer.objects.count()) == (LIMIT, LIMIT, LIMIT)


def test_counting_rows_and_then_inserting_overshoots_where_writers_are_not_serialised(
    contended: Organization, together: Together, runs: int
) -> None:
    """The negative control of consuming()."""

    def create(index: int) -> int:
        for number in range(4):
            with transaction.atomic():
                if Customer.objects.filter(organization=contended).count() < 10:
                    Customer.objects.create(organization=contended, name=f"{index}-{number}")
        return 0

    overshot = 0
    for _run in range(runs):
        Customer.objects.all().delete()
        together(8, create)
        overshot += Customer.objects.count() > 10
    # SQLite has one writer at a time, so there even this holds.
    assert overshot == 0 if connection.vendor == "sqlite" else overshot >= runs * 19 // 20


def test_a_purchase_while_others_consume_leaves_one_open_period(
    contended: Organization, together: Together, runs: int
) -> None:
    """The period that a purchase closes and the one it opens never overlap, and no unit is counted twice."""
    PlanLimit.objects.update(limit_value=10**6)
    for _run in range(runs):
        UsageCounter.objects.all().delete()
        before = used(contended)

        def act(index: int) -> int:
            if index == 0:
                with transaction.atomic():
                    subscription = Subscription.objects.lock(contended.pk, clock.now())
                    subscription.plan_id = "FREE"
                    subscription.period_end = None
                    subscription.extend("BASIC", *MONTH, now=clock.now())
                return 0
            return consume_many(contended, 20)

        granted = together(8, act)
        now = clock.now()
        assert used(contended) - before == sum(granted) == 140
        assert UsageCounter.objects.filter(period_start__lte=now, period_end__gt=now).count() <= 1
        ordered = list(UsageCounter.objects.order_by("period_start"))
        assert all(first.period_end <= second.period_start for first, second in pairwise(ordered))
