"""Two clocks that disagree: what is held ends by the database's; what is counted never goes below 0."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from django_tenant_billing import clock, quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import Hold, Subscription, UsageCounter
from django_tenant_billing.quotas import engine
from tests.clocks import expire_all
from tests.testapp.models import Organization

MINUTES = timedelta(minutes=1)
OFFSETS = [-5 * MINUTES, timedelta(0), 5 * MINUTES]


@pytest.fixture
def settled(organization: Organization) -> Organization:
    """An organization that came two weeks ago: minutes do not take it to another period."""
    Subscription.objects.update(anchor=clock.now() - timedelta(days=14))
    return organization


def numbers(organization: Organization) -> tuple[int, int]:
    counter = UsageCounter.objects.get(organization=organization)
    return counter.used, counter.held


@pytest.mark.parametrize("reserved_at", OFFSETS)
@pytest.mark.parametrize("asked_at", OFFSETS)
def test_a_reservation_lasts_by_the_databases_clock_whatever_the_sites_says(
    settled: Organization, reserved_at: timedelta, asked_at: timedelta
) -> None:
    quotas.consume(settled, "invoices").release()
    with clock.moved(reserved_at):
        reservation = quotas.reserve(settled, "invoices", 10, expires_in=2 * MINUTES)
    with clock.moved(asked_at):
        engine.sweep(settled, "invoices")
        with pytest.raises(QuotaExceeded):
            quotas.consume(settled, "invoices")
        assert numbers(settled) == (0, 10)
        grant = reservation.commit(4)
    assert grant is not None
    assert not grant.late
    assert numbers(settled) == (4, 0)


@pytest.mark.parametrize("asked_at", OFFSETS)
def test_an_expired_reservation_has_expired_whatever_the_sites_clock_says(
    settled: Organization, asked_at: timedelta
) -> None:
    quotas.consume(settled, "invoices", 3)
    reservation = quotas.reserve(settled, "invoices", 7)
    expire_all()
    with clock.moved(asked_at):
        for _time in range(2):
            engine.sweep(settled, "invoices")
            assert numbers(settled) == (3, 0)
        finished_at = Hold.objects.get().finished_at
        assert reservation.release() is False
        assert quotas.consume(settled, "invoices", 7)
    assert (Hold.objects.get().state, Hold.objects.get().finished_at) == ("expired", finished_at)
    assert numbers(settled) == (10, 0)


def test_the_naive_version_lets_go_too_early_and_too_late(organization: Organization) -> None:
    """What a hurried developer writes: the site's clock against the row's end."""

    def naive_expired() -> bool:
        return Hold.objects.get().expires_at <= clock.now()

    quotas.reserve(organization, "invoices", 1, expires_in=2 * MINUTES)
    with clock.moved(5 * MINUTES):
        assert naive_expired()
    assert not naive_expired()
    Hold.objects.update(expires_at=clock.DatabaseNow() - MINUTES)
    with clock.moved(-5 * MINUTES):
        assert not naive_expired()


@pytest.mark.parametrize("step", [5 * MINUTES, timedelta(days=40)])
def test_a_clock_that_steps_back_leaves_ordered_periods_and_whole_counts(
    organization: Organization, step: timedelta
) -> None:
    """Also across the end of a period, and to before the moment at which the organization came."""
    with clock.moved(step):
        ahead = quotas.consume(organization, "invoices", 3)
    now = quotas.consume(organization, "invoices", 2)
    with clock.moved(-step):
        behind = quotas.consume(organization, "invoices", 1)
    with clock.moved(step):
        quotas.consume(organization, "invoices", 1)
    assert sum(UsageCounter.objects.values_list("used", flat=True)) == 7
    for grant in (now, ahead, behind):
        assert grant.release()
        assert not grant.release()
    counters = list(UsageCounter.objects.order_by("period_start"))
    assert all(counter.period_start < counter.period_end for counter in counters)
    assert all(first.period_end <= second.period_start for first, second in pairwise(counters))
    assert sum(counter.used for counter in counters) == 1
    assert min(counter.used for counter in counters) >= 0


def test_a_hold_of_a_period_that_has_passed_is_finished_in_that_period(organization: Organization) -> None:
    with clock.moved(timedelta(days=40)):
        reservation = quotas.reserve(organization, "invoices", 6)
    quotas.consume(organization, "invoices", 10)
    assert reservation.commit(2)
    rows = UsageCounter.objects.order_by("period_start").values_list("used", "held")
    assert list(rows) == [(10, 0), (2, 0)]
