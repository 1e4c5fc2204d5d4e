"""Refunds asked for by several at once, and refunds that die on their way: sent once, and never lost sight of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
import requests

from django_tenant_billing import clock, payments
from django_tenant_billing.exceptions import NotRefundable
from django_tenant_billing.gateways.registry import get_gateway
from django_tenant_billing.models import PaymentTransaction, Subscription
from django_tenant_billing.payments import door
from tests.folding import assert_log_folds_to_state
from tests.races.harness import kill_at, meeting, points_of
from tests.races.test_kills import lease_is_over
from tests.races.test_payment_races import Together, owner, paid_at_the_wallet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("site")]

PART = 1000
"""In paisa: the wallet itself would refuse to send the whole back twice."""


def paid(wallet: str, name: str) -> PaymentTransaction:
    return payments.settle(paid_at_the_wallet(wallet, name))


def sent_back(wallet: str, payment: PaymentTransaction) -> int:
    """What the wallet's own ledger says."""
    lines = requests.get(f"{wallet}control/ledger/", timeout=10).json()
    return sum(line["refunded"] for line in lines if line["pidx"] == payment.gateway_reference)


def refund_a_part(payment: PaymentTransaction, _index: int) -> int:
    try:
        payments.refund(payment, PART, actor="anna", reason="agreed")
    except NotRefundable:
        return 0
    return 1


def test_of_several_who_refund_at_once_one_sends_the_money(wallet: str, together: Together, runs: int) -> None:
    for run in range(runs):
        payment = paid(wallet, f"run {run}")
        assert sum(together(8, partial(refund_a_part, payment))) == 1
        payment.refresh_from_db()
        assert (payment.status, payment.refunded_minor) == ("partially_refunded", PART)
        assert sent_back(wallet, payment) == PART
    assert_log_folds_to_state()


def naive_refund(payment: PaymentTransaction, looked: Callable[[], object], _index: int) -> int:
    """What a hurried developer writes: look whether it is paid, send, write it down."""
    payment = PaymentTransaction.objects.get(pk=payment.pk)
    looked()
    if payment.status == "paid":
        get_gateway("khalti").refund(door.order_of(payment), PART)
        PaymentTransaction.objects.filter(pk=payment.pk).update(status="partially_refunded", refunded_minor=PART)
    return 0


@pytest.mark.breaks_the_log
def test_the_naive_version_sends_it_several_times(wallet: str, together: Together, runs: int) -> None:
    for run in range(runs):
        payment = paid(wallet, f"run {run}")
        together(8, partial(naive_refund, payment, meeting(8)))
        assert sent_back(wallet, payment) == 8 * PART
        naive_refund(payment, meeting(1), 0)  # alone it looks right
        assert sent_back(wallet, payment) == 8 * PART


def test_k1_a_refund_killed_anywhere_is_as_the_wallet_says_after_a_day(wallet: str) -> None:
    def refund(payment: PaymentTransaction) -> None:
        payments.refund(payment, actor="anna", reason="agreed")

    points = points_of(partial(refund, paid(wallet, "rehearsal")))
    assert len(points) > 60
    killed = [paid(wallet, f"{point}"[:80]) for point in points]
    for point, payment in zip(points, killed, strict=True):
        assert kill_at(point, partial(refund, payment))
    assert_log_folds_to_state()
    for hours in (25, 26):
        lease_is_over()
        with clock.moved(timedelta(hours=hours)):
            payments.reconcile(per_second=1000)
    seen = set()
    for payment in killed:
        payment.refresh_from_db()
        went_back = sent_back(wallet, payment) == payment.amount_minor
        assert payment.status == ("refunded" if went_back else "paid")
        plan = Subscription.objects.get(organization=owner(payment)).plan_in_force(clock.now())
        assert plan == ("FREE" if went_back else "PRO")
        seen.add(went_back)
    assert seen == {True, False}
    assert_log_folds_to_state()
