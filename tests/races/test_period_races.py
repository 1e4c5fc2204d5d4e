"""Where one period ends and the next begins: each unit counted once, in exactly one of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest
from django.db import transaction
from django.db.models import F

from django_tenant_billing import clock, quotas
from django_tenant_billing.models import Subscription, UsageCounter
from django_tenant_billing.periods import Interval
from tests.quota_tools import put_on
from tests.races.counting import Together, consume_many, set_limit, size_here, used
from tests.races.harness import meeting
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)

MONTH = (Interval.MONTH, 1)
MILLISECOND = timedelta(milliseconds=1)


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


def test_a_purchase_while_others_consume_leaves_one_open_period(
    contended: Organization, together: Together, runs: int
) -> None:
    """The period that a purchase closes and the one it opens never overlap, and no unit is counted twice."""
    set_limit(10**6)
    set_limit(10**6, plan="BASIC")
    for _run in range(runs):
        UsageCounter.objects.all().delete()
        before = used(contended)

        def act(index: int) -> int:
            if index == 0:
                with transaction.atomic():
                    subscription = Subscription.objects.lock(contended.pk, clock.now())
                    subscription.plan_id = "FREE"
                    subscription.period_end = None
                    put_on(subscription, "BASIC", *MONTH, now=clock.now())
                return 0
            return consume_many(contended, 20)

        granted = together(8, act)
        now = clock.now()
        assert used(contended) - before == sum(granted) == 140
        assert UsageCounter.objects.filter(period_start__lte=now, period_end__gt=now).count() <= 1
        ordered = list(UsageCounter.objects.order_by("period_start"))
        assert all(first.period_end <= second.period_start for first, second in pairwise(ordered))


def boundary(organization: Organization) -> datetime:
    """The end of the current period, which starts now."""
    Subscription.objects.update(anchor=clock.now())
    quotas.consume(organization, "invoices").release()
    return UsageCounter.objects.get().period_end


def consume_around(organization: Organization, end: datetime, index: int, tries: int = 10) -> int:
    """Units granted to calls whose moments lie up to 1 ms before and after the boundary, in turn."""
    granted = 0
    for number in range(tries):
        at = end + MILLISECOND * ((index + number) % 3 - 1)
        granted += UsageCounter.objects.consume(organization.pk, "invoices", 1, at)
    return granted


def test_each_unit_at_a_boundary_is_counted_in_exactly_one_period(
    contended: Organization, together: Together, runs: int
) -> None:
    """The moment travels as a parameter: -1 ms is the old period; the boundary itself and +1 ms are the new one."""
    set_limit(40)
    size = 9
    for _run in range(runs * 5 // 2):
        UsageCounter.objects.all().delete()
        end = boundary(contended)
        with clock.moved(end - clock.now()):
            quotas.consume(contended, "invoices").release()
        granted = together(size, partial(consume_around, contended, end))
        old, new = UsageCounter.objects.order_by("period_start")
        assert old.period_end == end == new.period_start
        # 90 calls: 30 for the old period, 60 for the new one, of which 40 fit.
        assert (old.used, new.used, sum(granted)) == (30, 40, 70)


def test_calls_while_the_clock_passes_the_boundary_open_one_period_and_lose_nothing(
    contended: Organization, together: Together, runs: int
) -> None:
    set_limit(10**6)
    for _run in range(runs):
        UsageCounter.objects.all().delete()
        end = boundary(contended)
        # Everybody starts 20 ms before it, and goes on until it has passed.
        with clock.moved(end - clock.now() - 20 * MILLISECOND):

            def work(_index: int, end: datetime = end) -> int:
                granted = 0
                while clock.now() <= end + 5 * MILLISECOND:
                    granted += consume_many(contended, 1)
                return granted + consume_many(contended, 1)

            granted = together(8, work)
        old, new = UsageCounter.objects.order_by("period_start")
        assert old.period_end == end == new.period_start
        assert old.used + new.used == sum(granted)
        assert new.used >= 8


def naive_reset(organization: Organization, now: datetime, looked: Callable[[], object], _index: int) -> int:
    """What a hurried developer writes: a period that is over is set to 0 and moved on, then counted in."""
    counter = UsageCounter.objects.get(organization=organization)
    looked()
    if counter.period_end <= now:
        UsageCounter.objects.filter(pk=counter.pk).update(used=0, period_end=now + timedelta(days=30))
    UsageCounter.objects.filter(pk=counter.pk).update(used=F("used") + 1)
    return 1


def test_the_naive_version_resets_twice_at_the_boundary_and_loses_units(
    contended: Organization, together: Together, runs: int
) -> None:
    lost = 0
    for _run in range(runs):
        UsageCounter.objects.all().delete()
        end = boundary(contended)
        granted = together(8, partial(naive_reset, contended, end, meeting(8)))
        lost += used(contended) < sum(granted)
        naive_reset(contended, end, meeting(1), 0)  # alone, and in the middle of a period, it looks right
    assert lost
