"""Several workers sweep at once: each payment is asked about by one of them, at the pace of one gateway."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from django_tenant_billing import clock, payments
from django_tenant_billing.gateways.registry import get_gateway
from django_tenant_billing.models import PaymentEvent, PaymentTransaction
from django_tenant_billing.payments import door
from tests.folding import assert_log_folds_to_state
from tests.races.harness import meeting
from tests.testapp.models import Organization

Together = Callable[[int, Callable[[int], int]], list[int]]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("site")]

DUE = 60
"""More than one batch."""


def started(number: int) -> None:
    for index in range(number):
        organization = Organization.objects.create(name=f"Organization {index}")
        payments.start(organization, "PRO", "esewa", base_url="http://testserver")


def test_workers_share_what_is_due_and_none_is_asked_about_twice(wallet: str, together: Together) -> None:
    started(DUE)
    with clock.moved(timedelta(minutes=2)):
        asked = together(4, lambda _worker: payments.reconcile(per_second=1000).asked)
    assert sum(asked) == DUE
    for payment in PaymentTransaction.objects.all():
        assert PaymentEvent.objects.filter(payment=payment, kind="asked").count() == 1
    assert_log_folds_to_state()


def naive_sweep(read: Callable[[], object], _worker: int) -> int:
    """What a cron job does that nobody expected to overlap: read what is due, then ask about each."""
    due = list(PaymentTransaction.objects.filter(next_check_at__lte=clock.now()))
    read()
    for payment in due:
        get_gateway("esewa").look_up(door.order_of(payment))
    return len(due)


def test_the_naive_version_asks_about_each_as_often_as_there_are_workers(wallet: str, together: Together) -> None:
    started(5)
    with clock.moved(timedelta(minutes=2)):
        assert together(4, partial(naive_sweep, meeting(4))) == [5] * 4
        assert naive_sweep(meeting(1), 0) == 5  # alone it looks right


def test_workers_together_keep_the_pace_of_a_gateway(wallet: str, together: Together) -> None:
    started(12)

    def sweep(_worker: int) -> int:
        # Batches of one, so that all of them have something to do.
        return sum(payments.reconcile(limit=1, per_second=10).asked for _run in range(3))

    began = time.monotonic()
    with clock.moved(timedelta(minutes=2)):
        assert sum(together(4, sweep)) == 12
    assert time.monotonic() - began >= 11 / 10
