"""The same callback many times at once: one activation, one period, every claim in the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import pytest
import requests
from django.test import Client

from django_tenant_billing import payments
from django_tenant_billing.gateways.base import Outcome
from django_tenant_billing.gateways.registry import get_gateway
from django_tenant_billing.models import Activation, PaymentEvent, PaymentTransaction, Subscription
from django_tenant_billing.payments import door
from django_tenant_billing.periods import Interval
from tests.folding import assert_log_folds_to_state
from tests.quota_tools import put_on
from tests.races.harness import meeting
from tests.testapp.models import Organization

Together = Callable[[int, Callable[[int], int]], list[int]]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("site")]


def paid_at_the_wallet(wallet: str, name: str, plan: str = "PRO") -> PaymentTransaction:
    payment = started(Organization.objects.create(name=name), plan)
    act(wallet, payment, "close_tab")
    return payment


def started(organization: Organization, plan: str = "PRO") -> PaymentTransaction:
    return payments.start(organization, plan, "khalti", base_url="http://testserver")[0]


def act(wallet: str, payment: PaymentTransaction, action: str) -> None:
    body = {"pidx": payment.gateway_reference, "action": action}
    requests.post(f"{wallet}control/khalti/", json=body, timeout=10).raise_for_status()


def owner(payment: PaymentTransaction) -> Organization:
    organization = payment.organization
    assert isinstance(organization, Organization)
    return organization


def deliver(payment: PaymentTransaction) -> int:
    """The payer's browser comes back."""
    query = {"pidx": payment.gateway_reference or "", "status": "Completed", "purchase_order_id": payment.reference}
    return Client().get(f"/billing/khalti/callback/{payment.reference}/", query).status_code


def deliver_one_of(payments_: Sequence[PaymentTransaction], index: int) -> int:
    return deliver(payments_[index])


@pytest.mark.parametrize("size", [2, 8])
def test_the_same_callback_delivered_at_once_activates_once(
    wallet: str, together: Together, runs: int, size: int
) -> None:
    for run in range(runs):
        payment = paid_at_the_wallet(wallet, f"run {run}")
        assert together(size, partial(deliver_one_of, [payment] * size)) == [303] * size
        payment.refresh_from_db()
        subscription = Subscription.objects.get(organization=owner(payment))
        assert payment.status == "paid"
        assert Activation.objects.filter(payment=payment).count() == 1
        assert subscription.period_end is not None
        assert subscription.period_end - subscription.period_start <= timedelta(days=31)
        assert PaymentEvent.objects.filter(payment=payment, kind="claim").count() == size
        assert PaymentEvent.objects.filter(payment=payment, kind="moved", to_status="paid").count() == 1
    assert_log_folds_to_state()


def naive_settle(payment: PaymentTransaction, looked: Callable[[], object], _index: int) -> int:
    """What a hurried developer writes: ask, look whether it was done, do it."""
    payment = PaymentTransaction.objects.get(pk=payment.pk)
    proof = get_gateway("khalti").look_up(door.order_of(payment))
    looked()
    if proof.outcome is Outcome.SUCCEEDED and payment.status != "paid":
        subscription = Subscription.objects.get(organization=owner(payment))
        put_on(subscription, payment.plan_id, Interval.MONTH, 1, payment.created_at)
        PaymentEvent.objects.create(
            payment=payment, kind="moved", to_status="paid", gateway="khalti", at=payment.created_at
        )
        PaymentTransaction.objects.filter(pk=payment.pk).update(status="paid", paid_at=payment.created_at)
    return 0


@pytest.mark.breaks_the_log
def test_the_naive_version_activates_more_than_once(wallet: str, together: Together, runs: int) -> None:
    for run in range(runs):
        payment = paid_at_the_wallet(wallet, f"run {run}")
        together(8, partial(naive_settle, payment, meeting(8)))
        assert PaymentEvent.objects.filter(payment=payment, to_status="paid").count() == 8
        naive_settle(payment, meeting(1), 0)  # alone it looks right, which is why it gets written
        assert PaymentEvent.objects.filter(payment=payment, to_status="paid").count() == 8


def test_callback_sweep_and_verify_race_to_one_activation(wallet: str, together: Together, runs: int) -> None:
    for run in range(runs):
        payment = paid_at_the_wallet(wallet, f"run {run}")
        PaymentTransaction.objects.filter(pk=payment.pk).update(next_check_at=payment.created_at)

        def enter(index: int, payment: PaymentTransaction = payment) -> int:
            if index % 3 == 0:
                return deliver(payment)
            if index % 3 == 1:
                return payments.reconcile().asked
            return len(payments.settle(payment).status)

        together(9, enter)
        payment.refresh_from_db()
        assert (payment.status, Activation.objects.filter(payment=payment).count()) == ("paid", 1)


def test_two_different_payments_of_one_organization_both_count(wallet: str, together: Together, runs: int) -> None:
    for run in range(runs):
        first = paid_at_the_wallet(wallet, f"run {run}")
        payments.settle(first)
        organization = owner(first)
        pair = [started(organization) for _number in range(2)]
        for payment in pair:
            # Two purchases, as when the first was settled between the two starts.
            PaymentTransaction.objects.filter(pk=payment.pk).update(purchase=payment.reference)
            act(wallet, payment, "close_tab")
        together(2, partial(deliver_one_of, pair))
        subscription = Subscription.objects.get(organization=organization)
        assert subscription.period_end is not None
        assert subscription.period_end - subscription.period_start >= timedelta(days=28 + 30 + 31)
        assert Activation.objects.filter(payment__organization=organization).count() == 3


def test_two_attempts_of_one_purchase_paid_at_once_activate_one(wallet: str, together: Together, runs: int) -> None:
    for run in range(runs):
        organization = Organization.objects.create(name=f"run {run}")
        first, second = pair = started(organization), started(organization)
        act(wallet, first, "close_tab")
        act(wallet, second, "pay")
        together(2, partial(deliver_one_of, pair))
        states = PaymentTransaction.objects.filter(organization=organization).values_list("status", "detail")
        assert sorted(states) == [("paid", ""), ("review", "duplicate")]
        assert Activation.objects.filter(purchase=first.purchase).count() == 1
