"""Several of the staff record the same money at once: one activation, and every slip counts once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from django_tenant_billing import payments
from django_tenant_billing.exceptions import NotRecordable
from django_tenant_billing.models import Activation, PaymentEvent, PaymentTransaction, Subscription
from django_tenant_billing.periods import Interval
from django_tenant_billing.testing import seed_catalogue
from tests.folding import assert_log_folds_to_state
from tests.manual import begin, came, use_bank
from tests.quota_tools import put_on
from tests.races.harness import kill_at, meeting, points_of
from tests.races.test_payment_races import Together, owner
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _bank(settings: Any, transactional_db: None) -> None:
    use_bank(settings)
    seed_catalogue()


def awaited(name: str) -> PaymentTransaction:
    return begin(Organization.objects.create(name=name))


def recorded(payment: PaymentTransaction, index: int, number: str = "") -> int:
    try:
        came(payment, number=number or f"{payment.reference}-{index}")
    except NotRecordable:
        return 0
    return 1


def test_of_eight_who_record_the_same_payment_one_does(together: Together, runs: int) -> None:
    for run in range(runs):
        payment = awaited(f"run {run}")
        assert sum(together(8, partial(recorded, payment))) == 1
        payment.refresh_from_db()
        assert (payment.status, Activation.objects.filter(payment=payment).count()) == ("paid", 1)
        assert PaymentEvent.objects.filter(payment=payment, kind="proof").count() == 1
    assert_log_folds_to_state()


def naive_record(payment: PaymentTransaction, looked: Callable[[], object], _index: int) -> int:
    """What a hurried developer writes: look whether it is open, write it down, give the plan."""
    payment = PaymentTransaction.objects.get(pk=payment.pk)
    looked()
    if payment.status == "created":
        subscription = Subscription.objects.get(organization=owner(payment))
        put_on(subscription, payment.plan_id, Interval.MONTH, 1, payment.created_at)
        PaymentEvent.objects.create(
            payment=payment, kind="moved", to_status="paid", gateway="bank", at=payment.created_at
        )
        PaymentTransaction.objects.filter(pk=payment.pk).update(status="paid", paid_at=payment.created_at)
    return 0


@pytest.mark.breaks_the_log
def test_the_naive_version_gives_it_eight_times(together: Together, runs: int) -> None:
    for run in range(runs):
        payment = awaited(f"run {run}")
        together(8, partial(naive_record, payment, meeting(8)))
        assert PaymentEvent.objects.filter(payment=payment, to_status="paid").count() == 8
        naive_record(payment, meeting(1), 0)  # alone it looks right
        assert PaymentEvent.objects.filter(payment=payment, to_status="paid").count() == 8


def test_one_slip_recorded_for_two_payments_at_once_pays_one(together: Together, runs: int) -> None:
    for run in range(runs):
        pair = [awaited(f"run {run} {name}") for name in ("a", "b")]

        def record_one(index: int, pair: list[PaymentTransaction] = pair, number: str = f"SLIP-{run}") -> int:
            return recorded(pair[index], index, number)

        assert sum(together(2, record_one)) == 1
        states = PaymentTransaction.objects.filter(pk__in=[payment.pk for payment in pair])
        assert sorted(states.values_list("status", flat=True)) == ["created", "paid"]
    assert_log_folds_to_state()


def test_a_recording_killed_anywhere_is_whole_or_never_was() -> None:
    came(awaited("first"), number="first")  # the first receipt costs more statements than the others
    points = points_of(partial(came, awaited("rehearsal"), number="rehearsal"))
    assert len(points) > 10
    seen = set()
    for number, point in enumerate(points):
        payment = awaited(f"{point}"[:80])
        assert kill_at(point, partial(came, payment, number=f"{number}"))
        assert_log_folds_to_state()
        payment.refresh_from_db()
        assert payment.status in ("created", "paid")
        seen.add(payment.status)
        if payment.status == "created":
            came(payment, number=f"{number}")
        assert Activation.objects.filter(payment=payment).count() == 1
    assert seen == {"created", "paid"}
    assert payments.reconcile().asked == 0
