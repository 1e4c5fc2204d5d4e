"""What a person does with money that could not be applied by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction

from django_tenant_billing import payments
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import InsideTransaction, NotInReview
from django_tenant_billing.gateways.base import Outcome, Proof
from django_tenant_billing.models import Activation, PaymentTransaction, Subscription
from django_tenant_billing.payments import settling
from tests.test_payments import pay, plan_of, start, tamper
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)

Act = Callable[..., PaymentTransaction]


@pytest.fixture
def waiting(organization: Organization, simulator: Server) -> PaymentTransaction:
    """Another amount than was asked for."""
    payment = start(organization)
    pay(simulator, payment)
    tamper(simulator, payment, total_amount=389_900)
    payment = payments.settle(payment)
    assert (payment.status, payment.detail) == ("review", "amount")
    return payment


def test_what_waited_is_applied_by_name_and_reason(waiting: PaymentTransaction, organization: Organization) -> None:
    payment = payments.apply_review(waiting, actor="anna", reason="a rupee less, agreed")
    assert (payment.status, plan_of(organization)) == ("paid", "PRO")
    assert payment.paid_at is not None
    assert payment.next_check_at is not None
    moved = payment.events.get(to_status="paid")
    assert (moved.actor, moved.detail, moved.data) == ("anna", "amount", {"reason": "a rupee less, agreed"})
    with pytest.raises(NotInReview, match="it is paid"):
        payments.apply_review(payment, actor="anna", reason="again")
    assert Activation.objects.count() == 1


def test_a_duplicate_that_is_applied_counts_as_a_purchase_of_its_own(
    organization: Organization, simulator: Server
) -> None:
    first, second = start(organization), start(organization)
    for payment in (first, second):
        pay(simulator, payment)
        payments.settle(payment)
    second.refresh_from_db()
    assert (second.status, second.detail) == ("review", "duplicate")
    once = Subscription.objects.get().period_end
    payments.apply_review(second, actor="anna", reason="they want two months")
    twice = Subscription.objects.get().period_end
    assert once is not None
    assert twice is not None
    assert twice > once
    assert Activation.objects.count() == 2


@pytest.mark.parametrize("came", [195_000, 500_000])
def test_what_came_is_what_counts_as_paid_when_it_is_applied_and_when_it_goes_back(
    organization: Organization, simulator: Server, came: int
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    tamper(simulator, payment, total_amount=came)
    payment = payments.apply_review(payments.settle(payment), actor="anna", reason="as agreed")
    span = Activation.objects.get()
    assert (payment.status, payment.amount_minor, payment.received_minor) == ("paid", 390_000, came)
    assert (span.value_minor, span.price_minor, span.interval) == (came, came, "month")
    tamper(simulator, payment, status="Refunded")
    payment = payments.verify(payment)
    assert (payment.status, payment.refunded_minor, plan_of(organization)) == ("refunded", came, "FREE")


def test_a_part_of_the_amount_is_applied_for_a_part_of_the_time(organization: Organization, simulator: Server) -> None:
    payment = start(organization)
    pay(simulator, payment)
    tamper(simulator, payment, total_amount=195_000)
    payments.apply_review(payments.settle(payment), actor="anna", reason="half of it came", days=15)
    row, span = Subscription.objects.get(), Activation.objects.get()
    assert (row.plan_id, row.period_end) == ("PRO", span.ends_at)
    assert (span.ends_at - span.starts_at, span.value_minor) == (timedelta(days=15), 195_000)
    assert payment.events.get(to_status="paid").data == {"reason": "half of it came", "days": 15}
    # Renewing goes on in months, as ever.
    renewal = start(organization)
    pay(simulator, renewal)
    assert payments.settle(renewal).status == "paid"
    row.refresh_from_db()
    assert row.period_end is not None
    assert row.period_end - span.ends_at >= timedelta(days=28)


@pytest.mark.parametrize("days", [0, -1, payments.MOST_DAYS + 1])
def test_what_is_no_number_of_days_applies_nothing(waiting: PaymentTransaction, days: int) -> None:
    with pytest.raises(ValueError, match=f"not for {days}"):
        payments.apply_review(waiting, actor="anna", reason="agreed", days=days)
    waiting.refresh_from_db()
    assert waiting.status == "review"


@pytest.mark.parametrize("said", [None, -390_000])
def test_an_answer_without_an_amount_leaves_what_was_received_open(
    organization: Organization, simulator: Server, said: int | None
) -> None:
    payment = start(organization)
    proof = Proof(
        outcome=Outcome.SUCCEEDED, status="Completed", amount_minor=said, gateway_reference=payment.gateway_reference
    )
    payment = settling._apply(payment, proof, "")
    assert (payment.detail, payment.received_minor, payment.money_minor) == ("amount", None, 390_000)


def test_what_waited_for_another_reason_is_applied_too_where_a_second_attempt_was_meanwhile(
    waiting: PaymentTransaction, organization: Organization, simulator: Server
) -> None:
    second = start(organization)
    pay(simulator, second)
    assert payments.settle(second).status == "paid"
    assert second.purchase == waiting.purchase
    applied = payments.apply_review(waiting, actor="anna", reason="they paid twice, and want both")
    assert (applied.status, Activation.objects.count()) == ("paid", 2)
    assert applied.purchase != second.purchase


def test_what_is_dismissed_is_closed_and_gives_nothing(waiting: PaymentTransaction, organization: Organization) -> None:
    payment = payments.dismiss_review(waiting, actor="anna", reason="refunded in the dashboard")
    assert (payment.status, plan_of(organization)) == ("dismissed", "FREE")
    with pytest.raises(NotInReview, match="it is dismissed"):
        payments.dismiss_review(payment, actor="anna", reason="again")
    assert payments.settle(payment).status == "dismissed"


def test_a_late_answer_changes_nothing_about_what_is_in_review(waiting: PaymentTransaction) -> None:
    late = Proof(outcome=Outcome.FAILED, status="Failed", amount_minor=None, gateway_reference=None)
    payment = settling._apply(waiting, late, "late")
    assert (payment.status, payment.detail) == ("review", "amount")


@pytest.mark.breaks_the_log
def test_what_went_back_or_belongs_to_nobody_is_not_applied(
    waiting: PaymentTransaction, organization: Organization
) -> None:
    PaymentTransaction.objects.update(detail="refunded_before_activation")
    with pytest.raises(NotInReview, match="its money went back already"):
        payments.apply_review(waiting, actor="anna", reason="because")
    organization.delete()
    with pytest.raises(NotInReview, match="its organization was deleted"):
        payments.apply_review(waiting, actor="anna", reason="because")


@pytest.mark.parametrize("act", [payments.apply_review, payments.dismiss_review])
def test_a_decision_needs_a_reason_and_a_commit_of_its_own(waiting: PaymentTransaction, act: Act) -> None:
    with pytest.raises(ValueError, match="a reason and an actor"):
        act(waiting, actor="anna", reason=" ")
    with pytest.raises(InsideTransaction), transaction.atomic():
        act(waiting, actor="anna", reason="because")
    waiting.refresh_from_db()
    assert waiting.status == "review"
