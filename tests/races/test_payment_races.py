"""The same callback many times at once: one activation, one period, every claim in the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from django_tenant_billing import clock, payments
from django_tenant_billing.gateways.base import Order, Outcome, Proof
from django_tenant_billing.gateways.khalti import KhaltiGateway
from django_tenant_billing.gateways.registry import get_gateway
from django_tenant_billing.models import Activation, PaymentEvent, PaymentTransaction, Subscription
from django_tenant_billing.payments import door
from django_tenant_billing.periods import Interval, add
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
    """The payer's browser comes back; each payer from an address of its own, for those are counted."""
    query = {"pidx": payment.gateway_reference or "", "status": "Completed", "purchase_order_id": payment.reference}
    address = f"10.0.{payment.pk // 250 % 250}.{payment.pk % 250 + 1}"
    return Client(REMOTE_ADDR=address).get(f"/billing/khalti/callback/{payment.reference}/", query).status_code


def deliver_one_of(payments_: Sequence[PaymentTransaction], index: int) -> int:
    return deliver(payments_[index])


class SlowKhalti(KhaltiGateway):
    """A wallet that takes 50 milliseconds longer to answer, so that more callbacks meet."""

    def look_up(self, order: Order) -> Proof:
        time.sleep(0.05)
        return super().look_up(order)


def slow_down(settings: Any) -> None:
    gateways = settings.TENANT_BILLING_GATEWAYS
    settings.TENANT_BILLING_GATEWAYS = {
        **gateways,
        "khalti": {**gateways["khalti"], "BACKEND": f"{__name__}.SlowKhalti"},
    }


@pytest.mark.parametrize("slow", [False, True], ids=["at once", "after 50 ms"])
@pytest.mark.parametrize("size", [2, 8, 32])
def test_p1_the_same_callback_delivered_at_once_activates_once(
    wallet: str, together: Together, runs: int, settings: Any, size: int, slow: bool
) -> None:
    if slow:
        slow_down(settings)
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
def test_p1_the_naive_version_activates_more_than_once(wallet: str, together: Together, runs: int) -> None:
    for run in range(max(runs // 4, 1)):
        payment = paid_at_the_wallet(wallet, f"run {run}")
        together(8, partial(naive_settle, payment, meeting(8)))
        assert PaymentEvent.objects.filter(payment=payment, to_status="paid").count() == 8
        naive_settle(payment, meeting(1), 0)  # alone it looks right, which is why it gets written
        assert PaymentEvent.objects.filter(payment=payment, to_status="paid").count() == 8


def enter(payment: PaymentTransaction, admin: User, index: int) -> int:
    """By the browser, by the sweep, or by a person in the admin."""
    if index % 3 == 0:
        return deliver(payment)
    if index % 3 == 1:
        payments.reconcile(per_second=1000)
        return 303
    client = Client()
    client.force_login(admin)
    path = reverse("admin:tenant_billing_paymenttransaction_act", args=[payment.pk])
    return client.post(path, {"act": "verify", "reason": "the payer called"}).status_code + 1


def test_p2_browser_sweep_and_admin_race_to_one_activation(wallet: str, together: Together, runs: int) -> None:
    admin = User.objects.create_superuser("admin")
    for run in range(runs):
        payment = paid_at_the_wallet(wallet, f"run {run}")
        PaymentTransaction.objects.filter(pk=payment.pk).update(next_check_at=payment.created_at)
        assert together(24, partial(enter, payment, admin)) == [303] * 24
        payment.refresh_from_db()
        assert (payment.status, Activation.objects.filter(payment=payment).count()) == ("paid", 1)
        assert PaymentEvent.objects.filter(payment=payment, to_status="paid").count() == 1
    assert_log_folds_to_state()


@pytest.mark.breaks_the_log
def test_activating_at_once_gives_everybody_the_one_activation(together: Together, runs: int) -> None:
    for run in range(runs):
        organization = Organization.objects.create(name=f"run {run}")
        payment = PaymentTransaction.objects.create(
            organization=organization, organization_key="1", reference=f"TB-{run}", purchase=f"{run}",
            gateway="khalti", plan_id="PRO", amount_minor=390_000, currency="NPR", interval="month",
            interval_count=1, created_at=clock.now(), paid_at=clock.now(), status="paid",
        )  # fmt: skip
        assert len(set(together(8, partial(activate, payment)))) == 1


def activate(payment: PaymentTransaction, _index: int) -> int:
    return payment.activate_plan().pk


@pytest.mark.parametrize("number", [2, 8])
def test_p4_different_payments_of_one_organization_all_count(
    wallet: str, together: Together, runs: int, number: int
) -> None:
    for run in range(max(runs * 2 // number, 1)):
        # Started by several, as no organization may have so many open; then all are of the first.
        bought = [paid_at_the_wallet(wallet, f"run {run}.{one}") for one in range(number)]
        organization = owner(bought[0])
        PaymentTransaction.objects.filter(pk__in=[payment.pk for payment in bought]).update(organization=organization)
        assert together(number, partial(deliver_one_of, bought)) == [303] * number
        subscription = Subscription.objects.get(organization=organization)
        end = add(subscription.anchor, Interval.MONTH, number, subscription.zone)
        assert (subscription.anchor, subscription.period_end) == (subscription.period_start, end)
        spans = Activation.objects.filter(subscription=subscription).order_by("starts_at")
        assert spans[0].starts_at == subscription.period_start
        assert all(earlier.ends_at == later.starts_at for earlier, later in pairwise(spans))
        assert sum(span.value_minor for span in spans) == number * bought[0].amount_minor
    assert_log_folds_to_state()


def naive_extend(organization: Organization, looked: Callable[[], object], _index: int) -> int:
    """Read the end of what is paid, add a month, save."""
    subscription = Subscription.objects.get(organization=organization)
    end = add(subscription.period_end or subscription.period_start, Interval.MONTH, 1, subscription.zone)
    looked()
    Subscription.objects.filter(pk=subscription.pk).update(period_end=end)
    return 0


def test_p4_the_naive_version_loses_all_but_one(wallet: str, together: Together, runs: int) -> None:
    for run in range(max(runs // 4, 1)):
        organization = Organization.objects.create(name=f"run {run}")
        together(8, partial(naive_extend, organization, meeting(8)))
        subscription = Subscription.objects.get(organization=organization)
        one, two = (add(subscription.period_start, Interval.MONTH, months, subscription.zone) for months in (1, 2))
        assert subscription.period_end == one
        naive_extend(organization, meeting(1), 0)  # alone it looks right
        assert Subscription.objects.get(organization=organization).period_end == two


def test_p5_two_attempts_of_one_purchase_paid_at_once_activate_one(wallet: str, together: Together, runs: int) -> None:
    for run in range(runs):
        organization = Organization.objects.create(name=f"run {run}")
        first, second = pair = started(organization), started(organization)
        act(wallet, first, "close_tab")
        act(wallet, second, "pay")
        together(2, partial(deliver_one_of, pair))
        states = PaymentTransaction.objects.filter(organization=organization).values_list("status", "detail")
        assert sorted(states) == [("paid", ""), ("review", "duplicate")]
        assert Activation.objects.filter(purchase=first.purchase).count() == 1
