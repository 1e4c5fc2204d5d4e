"""Money that staff has seen: the same door, the same log, one activation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from django_tenant_billing import clock, payments
from django_tenant_billing.exceptions import (
    BillingError,
    GatewayNotConfigured,
    InsideTransaction,
    NotForSale,
    NotRecordable,
    NotRefundable,
)
from django_tenant_billing.models import (
    Activation,
    PaymentEvent,
    PaymentTransaction,
    Plan,
    PlanPrice,
    Subscription,
    SubscriptionEvent,
)
from django_tenant_billing.testing import subscribe
from tests.manual import BASE, begin, came, use_bank
from tests.test_payments import kinds, plan_of
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _bank(settings: Any, organization: Organization) -> None:
    use_bank(settings)


def rows() -> list[Any]:
    """Every row that a payment could change."""
    tables: tuple[Any, ...] = (PaymentTransaction, PaymentEvent, Activation, Subscription, SubscriptionEvent)
    return [list(model.objects.order_by("pk").values()) for model in tables]


def refused(act: Callable[[], object], error: type[BillingError] = NotRecordable) -> str:
    """What it says; nothing is changed."""
    before = rows()
    with pytest.raises(error) as caught:
        act()
    assert rows() == before
    return str(caught.value)


def test_a_payment_by_hand_stays_created_until_its_money_is_recorded(organization: Organization) -> None:
    payment, checkout = payments.start(organization, "PRO", "bank", base_url=BASE, actor="user 1: samir")
    assert (payment.status, payment.amount_minor, payment.gateway_reference) == ("created", 390_000, None)
    assert checkout.url.startswith(f"{BASE}/billing/payments/{payment.reference}/")
    assert plan_of(organization) == "FREE"
    paid = came(payment)
    assert (paid.status, paid.gateway_transaction_id, paid.next_check_at) == ("paid", "SLIP-1", None)
    assert paid.paid_at is not None
    assert plan_of(organization) == "PRO"
    assert kinds(payment) == ["started:created", "proof:recorded", "moved:paid"]
    proof = payment.events.get(kind="proof")
    assert proof.data == {"amount_minor": 390_000, "number": "SLIP-1", "reason": "on the account"}
    assert (proof.actor, payment.events.get(kind="moved").data) == ("anna", {"reason": "on the account"})


def test_money_that_came_without_an_attempt_is_recorded_in_one_commit(organization: Organization) -> None:
    facts: dict[str, Any] = {"amount_minor": 390_000, "number": " CASH-7 ", "actor": "anna", "reason": "at the counter"}
    payment = payments.record_new(organization, "PRO", "bank", **facts)
    assert (payment.status, payment.actor, payment.gateway_transaction_id) == ("paid", "anna", "CASH-7")
    assert plan_of(organization) == "PRO"
    assert kinds(payment) == ["started:created", "proof:recorded", "moved:paid"]


def test_another_price_is_recorded_by_its_term(organization: Organization) -> None:
    PlanPrice.objects.create(plan_id="PRO", amount_minor=3_900_000, interval="year")
    facts: dict[str, Any] = {
        "price": "year",
        "amount_minor": 3_900_000,
        "number": "1",
        "actor": "anna",
        "reason": "cash",
    }
    payment = payments.record_new(organization, "PRO", "bank", **facts)
    assert (payment.interval, payment.status) == ("year", "paid")


def test_what_does_not_fit_what_is_due_is_not_recorded_as_new_either(organization: Organization) -> None:
    facts: dict[str, Any] = {"number": "1", "actor": "anna", "reason": "cash"}
    said = refused(lambda: payments.record_new(organization, "PRO", "bank", amount_minor=389_900, **facts))
    assert "NPR 3,900 is due, not NPR 3,899" in said
    assert payments.record_new(organization, "PRO", "bank", amount_minor=390_000, **facts).status == "paid"


@pytest.mark.parametrize("amount", [389_999, 390_001, 3_900, 39_000_000, 0, -390_000, 390_000.0, "390000", None, True])
def test_another_amount_is_not_recorded_and_the_right_one_is(organization: Organization, amount: Any) -> None:
    payment = begin(organization)
    assert "NPR 3,900 is due, not" in refused(lambda: came(payment, amount_minor=amount))
    assert came(payment).status == "paid"


@pytest.mark.parametrize("number", ["", "   ", "x" * 101, "a\nb", "बैंक"])
def test_a_number_that_cannot_be_kept_is_not_recorded(organization: Organization, number: str) -> None:
    payment = begin(organization)
    assert "1 to 100 plain characters" in refused(lambda: came(payment, number=number))
    assert came(payment, number="x" * 100).status == "paid"


def test_a_number_is_recorded_once(organization: Organization) -> None:
    other = Organization.objects.create(name="Pahad Foods")
    first, second = begin(organization), begin(other)
    came(first)
    assert "the number 'SLIP-1' was recorded before" in refused(lambda: came(second))
    assert plan_of(other) == "FREE"
    assert came(second, number="SLIP-2").status == "paid"


def test_what_is_recorded_is_not_recorded_again(organization: Organization) -> None:
    payment = begin(organization)
    came(payment)
    assert "it is paid" in refused(lambda: came(payment, number="SLIP-2"))
    assert Activation.objects.count() == 1


def test_the_money_of_a_wallet_is_never_recorded_by_hand(organization: Organization) -> None:
    payment = begin(organization)
    PaymentTransaction.objects.update(gateway="khalti")
    assert "Khalti is asked about its payments" in refused(lambda: came(payment))
    facts: dict[str, Any] = {"amount_minor": 390_000, "number": "1", "actor": "anna", "reason": "cash"}
    refused(lambda: payments.record_new(organization, "PRO", "khalti", **facts))
    PaymentTransaction.objects.update(gateway="bank")
    assert came(payment).status == "paid"


def test_money_for_a_gateway_that_is_gone_is_not_recorded(organization: Organization, settings: Any) -> None:
    payment = begin(organization)
    settings.TENANT_BILLING_GATEWAYS = {}
    refused(lambda: came(payment), GatewayNotConfigured)


def test_money_for_a_plan_that_is_no_longer_for_sale_is_not_recorded(organization: Organization) -> None:
    payment = begin(organization)
    Plan.objects.filter(pk="PRO").update(is_active=False)
    assert "no longer for sale" in refused(lambda: came(payment), NotForSale)
    Plan.objects.filter(pk="PRO").update(is_active=True)
    assert came(payment).status == "paid"


def test_money_for_what_cannot_be_bought_as_it_stands_is_not_recorded(organization: Organization) -> None:
    payment = begin(organization, "BASIC")
    subscribe(organization, "PRO")
    assert "cannot buy this plan as it stands" in refused(lambda: came(payment))


def test_money_for_an_organization_that_is_gone_is_not_recorded(organization: Organization) -> None:
    payment = begin(organization)
    organization.delete()
    assert "its organization was deleted" in refused(lambda: came(payment))


def test_a_purchase_that_was_activated_is_not_paid_by_hand_as_well(organization: Organization) -> None:
    first, second = begin(organization), begin(organization)
    assert first.purchase == second.purchase
    came(first)
    assert "another payment of the same purchase was applied" in refused(lambda: came(second, number="2"))
    facts: dict[str, Any] = {"amount_minor": 390_000, "number": "2", "actor": "anna", "reason": "for May"}
    assert payments.record_new(organization, "PRO", "bank", **facts).purchase != first.purchase


def test_late_money_takes_nothing_away_that_was_bought_after_it(organization: Organization) -> None:
    cheap = begin(organization, "BASIC")
    with clock.moved(timedelta(minutes=5)):
        came(begin(organization))
        assert "bought something else since" in refused(lambda: came(cheap, number="2"))


def test_credit_that_was_spent_meanwhile_is_not_spent_again(organization: Organization) -> None:
    Subscription.objects.update(credit_minor=50_000, credit_currency="NPR")
    payment = begin(organization)
    assert (payment.amount_minor, payment.credit_minor) == (340_000, 50_000)
    Subscription.objects.update(credit_minor=0)
    assert "the credit that was to pay for the rest is spent" in refused(lambda: came(payment))


@pytest.mark.breaks_the_log
def test_a_wallet_and_a_bank_transfer_for_the_same_thing_are_one_purchase(organization: Organization) -> None:
    payment = begin(organization)
    other = Organization.objects.create(name="Other")
    PaymentTransaction.objects.update(gateway="khalti", status="initiated", initiated_at=clock.now())
    assert begin(organization).purchase == payment.purchase != begin(other).purchase
    PaymentEvent.objects.append(payment, PaymentEvent.Kind.MOVED, source="created", to="initiated")


@pytest.mark.parametrize(("actor", "reason"), [("", "cash"), (" ", "cash"), ("anna", ""), ("anna", "  ")])
def test_nothing_is_recorded_without_a_name_and_a_reason(organization: Organization, actor: str, reason: str) -> None:
    payment = begin(organization)
    before = rows()
    with pytest.raises(ValueError, match="who has seen the money"):
        came(payment, actor=actor, reason=reason)
    with pytest.raises(ValueError, match="who has seen the money"):
        payments.record_new(organization, "PRO", "bank", amount_minor=390_000, number="1", actor=actor, reason=reason)
    assert rows() == before


def test_recording_commits_or_refuses_to_begin(organization: Organization) -> None:
    payment = begin(organization)
    acts: tuple[Callable[[], object], ...] = (lambda: came(payment), lambda: begin(organization))
    for act in acts:
        with transaction.atomic(), pytest.raises(InsideTransaction):
            act()
    payment.refresh_from_db()
    assert payment.status == "created"


def test_what_is_not_for_sale_begins_nothing(organization: Organization) -> None:
    refused(lambda: begin(organization, "FREE"), NotForSale)
    Subscription.objects.update(credit_minor=390_000, credit_currency="NPR")
    assert "nothing has to be paid" in refused(lambda: begin(organization), NotForSale)
    PlanPrice.objects.filter(plan="BASIC").update(currency="USD")
    assert "Bank transfer does not take USD" in refused(lambda: begin(organization, "BASIC"), NotForSale)


def test_nobody_is_asked_about_a_payment_by_hand(organization: Organization) -> None:
    payment = begin(organization)
    before = rows()
    assert payments.settle(payment).status == payments.verify(payment).status == "created"
    assert rows() == before
    came(payment)
    before = rows()
    assert payments.settle(payment).status == payments.verify(payment).status == "paid"
    with clock.moved(timedelta(days=8)):
        assert payments.reconcile().asked == 0
    assert rows() == before


def test_the_sweep_gives_a_bank_transfer_thirty_days(organization: Organization) -> None:
    payment = begin(organization)
    for wait in (timedelta(minutes=16), timedelta(days=29, hours=23)):
        with clock.moved(wait):
            assert payments.reconcile().closed == 0
    with clock.moved(timedelta(days=30, seconds=1)):
        assert payments.reconcile().closed == 1
        assert payments.reconcile().asked == 0
    payment.refresh_from_db()
    assert (payment.status, payment.detail, payment.next_check_at) == ("failed", "not_received", None)
    assert "it is failed; record it as new money" in refused(lambda: came(payment))


def test_the_price_that_a_payer_by_hand_was_told_holds_until_the_money_came(organization: Organization) -> None:
    payment = begin(organization)
    PlanPrice.objects.filter(plan="PRO").update(amount_minor=450_000)
    with clock.moved(timedelta(days=2)):
        assert came(payment).status == "paid"
    assert Activation.objects.get().value_minor == 390_000


def test_what_was_paid_by_hand_is_sent_back_by_hand_with_name_and_reason(organization: Organization) -> None:
    payment = came(begin(organization))
    back = payments.refund(payment, actor="anna", reason="paid twice")
    assert (back.status, back.refunded_minor, back.next_check_at) == ("refunded", 390_000, None)
    assert plan_of(organization) == "FREE"
    lines = [(event.to_status, event.actor, event.data["reason"]) for event in payment.events.filter(kind="moved")]
    assert lines[1:] == [("refund_pending", "anna", "paid twice"), ("refunded", "anna", "paid twice")]


def test_parts_are_sent_back_by_hand_until_nothing_is_left(organization: Organization) -> None:
    payment = came(begin(organization))
    assert payments.refund(payment, 100_000, actor="anna", reason="agreed").status == "partially_refunded"
    assert plan_of(organization) == "PRO"
    assert payments.refund(payment, 200_000, actor="anna", reason="agreed").refunded_minor == 300_000
    for amount in (90_001, 0, -1):
        said = refused(lambda: payments.refund(payment, amount, actor="anna", reason="agreed"), NotRefundable)  # noqa: B023
        assert "is no amount of paisa from 1 to 90000" in said
    back = payments.refund(payment, 90_000, actor="anna", reason="agreed")
    assert (back.status, back.refunded_minor) == ("refunded", 390_000)
    assert plan_of(organization) == "FREE"
    assert "it is refunded" in refused(lambda: payments.refund(payment, actor="a", reason="b"), NotRefundable)


def test_what_did_not_come_is_not_sent_back(organization: Organization) -> None:
    payment = begin(organization)
    assert "it is created" in refused(lambda: payments.refund(payment, actor="a", reason="b"), NotRefundable)
