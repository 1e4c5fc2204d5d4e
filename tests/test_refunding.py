"""Money that goes back: asked for here, or sent back in the gateway's dashboard. Over real HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from django_tenant_billing import clock, payments, signals, subscriptions
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import (
    GatewayRejected,
    GatewayUnavailable,
    InsideTransaction,
    NotRefundable,
)
from django_tenant_billing.gateways.base import Order
from django_tenant_billing.gateways.esewa import EsewaGateway
from django_tenant_billing.gateways.registry import get_gateway
from django_tenant_billing.models import Activation, PaymentTransaction, Subscription
from django_tenant_billing.states import REFUND_GIVEN_UP_AFTER
from tests.test_payments import fault, kinds, pay, plan_of, start, tamper
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paid(organization: Organization, simulator: Server) -> PaymentTransaction:
    payment = start(organization)
    pay(simulator, payment)
    return payments.settle(payment)


def sent_back(simulator: Server) -> int:
    return sum(line.refunded for line in simulator.khalti.ledger())


def refund(payment: PaymentTransaction, amount_minor: int | None = None) -> PaymentTransaction:
    return payments.refund(payment, amount_minor, actor="anna", reason="a mistake")


def test_a_payment_is_sent_back_and_what_it_gave_is_taken_back(
    paid: PaymentTransaction, organization: Organization, simulator: Server
) -> None:
    told: list[Any] = []

    def hear(payment: PaymentTransaction, **_more: Any) -> None:
        told.append((payment.status, payment.refunded_minor))

    signals.payment_refunded.connect(hear)
    before = sent_back(simulator)
    payment = refund(paid)
    signals.payment_refunded.disconnect(hear)
    assert (payment.status, payment.refunded_minor, payment.detail) == ("refunded", 390_000, "")
    assert sent_back(simulator) - before == 390_000
    assert plan_of(organization) == "FREE"
    assert Activation.objects.get().taken_back_at is not None
    assert kinds(payment)[-4:] == ["moved:refund_pending", "asked:", "proof:Refunded", "moved:refunded"]
    asked = payment.events.get(to_status="refund_pending")
    assert (asked.actor, asked.data) == ("anna", {"amount_minor": 390_000, "reason": "a mistake"})
    assert told == [("refunded", 390_000)]
    with pytest.raises(NotRefundable, match="it is refunded"):
        refund(payment)
    assert payments.settle(payment).status == "refunded"


def test_a_part_is_sent_back_and_takes_nothing_back_then_the_rest(
    paid: PaymentTransaction, organization: Organization, simulator: Server
) -> None:
    payment = refund(paid, 100_000)
    assert (payment.status, payment.refunded_minor) == ("partially_refunded", 100_000)
    assert plan_of(organization) == "PRO"
    assert Activation.objects.get().value_minor == 290_000  # what unused days are worth from now on
    with pytest.raises(NotRefundable, match="only a whole payment"):
        refund(payment, 1000)
    before = sent_back(simulator)
    payment = refund(payment)
    assert (payment.status, payment.refunded_minor) == ("refunded", 390_000)
    assert sent_back(simulator) - before == 290_000
    assert plan_of(organization) == "FREE"


@pytest.mark.parametrize("amount", [0, -1, 390_001, True, 1.5, "100"])
def test_what_is_no_amount_is_refused(paid: PaymentTransaction, simulator: Server, amount: Any) -> None:
    before = sent_back(simulator)
    with pytest.raises(NotRefundable, match="is no amount of paisa from 1 to 390000"):
        refund(paid, amount)
    assert sent_back(simulator) == before


def test_what_cannot_be_sent_back_says_why(
    paid: PaymentTransaction, organization: Organization, simulator: Server
) -> None:
    with pytest.raises(NotRefundable, match="it is initiated"):
        refund(start(organization, "BASIC"))
    with pytest.raises(ValueError, match="a reason and an actor"):
        payments.refund(paid, actor="anna", reason=" ")
    with pytest.raises(InsideTransaction), transaction.atomic():
        refund(paid)
    PaymentTransaction.objects.filter(pk=paid.pk).update(gateway_transaction_id=None)
    with pytest.raises(NotRefundable, match="Khalti never told its number"):
        refund(paid)
    PaymentTransaction.objects.filter(pk=paid.pk).update(gateway="esewa")
    with pytest.raises(NotRefundable, match="eSewa refunds in its own dashboard alone"):
        refund(PaymentTransaction.objects.get(pk=paid.pk))
    PaymentTransaction.objects.filter(pk=paid.pk).update(gateway="khalti")


@pytest.mark.breaks_the_log
def test_a_refund_that_the_gateway_refuses_leaves_all_as_it_was(
    paid: PaymentTransaction, organization: Organization, simulator: Server
) -> None:
    # More than Khalti took.
    PaymentTransaction.objects.filter(pk=paid.pk).update(received_minor=500_000)
    with pytest.raises(GatewayRejected) as refused:
        refund(paid, 400_000)
    assert refused.value.reasons == {"detail": "Cannot refund this transaction"}
    paid.refresh_from_db()
    assert (paid.status, paid.detail, plan_of(organization)) == ("paid", "refund_refused", "PRO")


def test_an_answer_that_never_came_is_never_asked_for_again_but_looked_up(
    paid: PaymentTransaction, organization: Organization, simulator: Server
) -> None:
    before = sent_back(simulator)
    fault(simulator, "500", 1)
    payment = refund(paid)
    assert payment.status == "refund_pending"
    assert plan_of(organization) == "PRO"
    # It did not go back, and for a day it may still.
    assert payments.settle(payment).status == "refund_pending"
    with pytest.raises(NotRefundable, match="it is refund pending"):
        refund(payment)
    with clock.moved(REFUND_GIVEN_UP_AFTER):
        sweep = payments.reconcile()
        payment.refresh_from_db()
        assert (sweep.asked, payment.status, payment.detail) == (1, "paid", "refund_not_made")
    assert payment.paid_at == paid.paid_at
    assert sent_back(simulator) == before
    assert plan_of(organization) == "PRO"


def test_a_refund_that_the_gateway_calls_pending_is_not_given_up(
    paid: PaymentTransaction, organization: Organization, simulator: Server
) -> None:
    fault(simulator, "500", 1)
    payment = refund(paid)
    tamper(simulator, paid, status="Pending")
    for days in (1, 2):
        with clock.moved(timedelta(days=days)):
            assert payments.settle(payment).status == "refund_pending"
    tamper(simulator, paid, status="Refunded")
    with clock.moved(timedelta(days=3)):
        assert payments.settle(payment).status == "refunded"


def test_a_refund_whose_answer_was_lost_is_found_by_the_sweep(
    paid: PaymentTransaction, organization: Organization, simulator: Server
) -> None:
    fault(simulator, "500", 1)
    payment = refund(paid)
    simulator.khalti.refund("simulated_secret_key", str(paid.gateway_transaction_id), {})
    with clock.moved(timedelta(hours=1)):
        sweep = payments.reconcile()
    payment.refresh_from_db()
    assert (sweep.refunded, payment.status, payment.refunded_minor) == (1, "refunded", 390_000)
    assert plan_of(organization) == "FREE"


@pytest.mark.parametrize(
    ("amount", "status", "plan"), [({}, "refunded", "FREE"), ({"amount": 1000}, "partially_refunded", "PRO")]
)
def test_a_refund_made_in_the_dashboard_is_found_within_a_week(
    paid: PaymentTransaction,
    organization: Organization,
    simulator: Server,
    amount: dict[str, int],
    status: str,
    plan: str,
) -> None:
    simulator.khalti.refund("simulated_secret_key", str(paid.gateway_transaction_id), amount)
    assert payments.settle(paid).status == "paid"  # of what is paid nobody asks but the sweep
    with clock.moved(timedelta(days=6)):
        assert payments.reconcile().asked == 0
    with clock.moved(timedelta(days=7, minutes=1)):
        sweep = payments.reconcile()
        assert (sweep.asked, sweep.refunded) == (1, 1)
        assert plan_of(organization) == plan
    paid.refresh_from_db()
    assert (paid.status, paid.detail) == (status, "at_gateway")
    assert paid.refunded_minor == (390_000 if status == "refunded" else 0)  # nobody tells how much a part was


def test_what_went_back_in_part_is_told_once_however_often_it_is_looked_at(
    paid: PaymentTransaction, simulator: Server
) -> None:
    told: list[str] = []

    def hear(payment: PaymentTransaction, **_more: Any) -> None:
        told.append(payment.status)

    simulator.khalti.refund("simulated_secret_key", str(paid.gateway_transaction_id), {"amount": 1_000})
    signals.payment_refunded.connect(hear)
    looked = [payments.verify(paid).status for _again in range(3)]
    signals.payment_refunded.disconnect(hear)
    assert looked == ["partially_refunded"] * 3
    assert kinds(paid).count("proof:Partially Refunded") == 3
    assert told == ["partially_refunded"]


def test_what_is_paid_is_looked_at_weekly_and_after_five_weeks_no_more(
    paid: PaymentTransaction, simulator: Server
) -> None:
    asked = 0
    for day in range(60):
        with clock.moved(timedelta(days=day, minutes=day)):
            asked += payments.reconcile().asked
    paid.refresh_from_db()
    assert (asked, paid.next_check_at) == (5, None)


def test_what_was_never_applied_is_sent_back_from_review(organization: Organization, simulator: Server) -> None:
    payment = start(organization)
    pay(simulator, payment)
    tamper(simulator, payment, total_amount=1)
    payment = payments.settle(payment)
    assert payment.status == "review"
    fault(simulator, "500", 1)
    payment = refund(payment)
    assert (payment.status, payment.paid_at is None) == ("refund_pending", False)
    with clock.moved(REFUND_GIVEN_UP_AFTER):
        payment = payments.settle(payment)
        assert (payment.status, payment.paid_at, payment.detail) == ("review", None, "refund_not_made")
    payment = refund(payment)
    assert (payment.status, plan_of(organization)) == ("refunded", "FREE")
    assert not Activation.objects.exists()


def test_a_refused_refund_of_what_is_in_review_leaves_it_there(organization: Organization, simulator: Server) -> None:
    payment = start(organization)
    pay(simulator, payment)
    tamper(simulator, payment, total_amount=1)
    payment = payments.settle(payment)
    simulator.khalti.refund("simulated_secret_key", str(payment.gateway_transaction_id), {})
    with pytest.raises(GatewayRejected):
        refund(payment)
    payment.refresh_from_db()
    assert (payment.status, payment.paid_at) == ("review", None)


def test_proof_for_another_payment_takes_nothing_back(
    paid: PaymentTransaction, organization: Organization, simulator: Server
) -> None:
    tamper(simulator, paid, status="Refunded", pidx="another")
    with clock.moved(timedelta(days=8)):
        payments.reconcile()
        paid.refresh_from_db()
        assert (paid.status, plan_of(organization)) == ("paid", "PRO")
        tamper(simulator, paid, pidx=paid.gateway_reference)
    with clock.moved(timedelta(days=16)):
        payments.reconcile()
        paid.refresh_from_db()
    assert paid.status == "refunded"


def test_where_credit_of_two_currencies_would_come_of_it_access_stays_and_the_log_says_so(
    paid: PaymentTransaction, organization: Organization, simulator: Server
) -> None:
    Activation.objects.update(spent_credit_minor=1000)
    Subscription.objects.update(credit_minor=5, credit_currency="USD")
    payment = refund(paid)
    assert (payment.status, plan_of(organization)) == ("refunded", "PRO")
    assert "another currency" in payment.events.get(detail="access_kept").data["error"]


def test_money_goes_back_also_when_the_organization_is_gone(
    paid: PaymentTransaction, organization: Organization, simulator: Server
) -> None:
    organization.delete()
    assert refund(paid).status == "refunded"


def test_the_next_plan_that_was_prepaid_comes_when_the_running_one_goes_back(
    paid: PaymentTransaction, organization: Organization, simulator: Server
) -> None:
    second = start(organization, "BASIC")
    pay(simulator, second)
    payments.settle(second)
    refund(paid)
    assert plan_of(organization) == "BASIC"
    assert subscriptions.subscription_of(organization).next_plan_id is None


def test_a_gateway_without_refunds_says_so() -> None:
    order = Order(
        reference="TB-1", amount_minor=100, currency="NPR", description="PRO plan", return_url="", website_url=""
    )
    with pytest.raises(GatewayRejected, match="eSewa has no way to refund but its own dashboard"):
        EsewaGateway(merchant_code="a", merchant_secret="b").refund(order, None)


def test_khalti_is_asked_for_its_own_number_and_answers_nothing_certain(simulator: Server) -> None:
    order = Order(
        reference="TB-1", amount_minor=100, currency="NPR", description="PRO plan", return_url="", website_url="",
        gateway_transaction_id="unknown",
    )  # fmt: skip
    with pytest.raises(GatewayUnavailable, match="Khalti answered refund with HTTP 404"):
        get_gateway("khalti").refund(order, None)
