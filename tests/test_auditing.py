"""What must hold of every payment: each rule sees what breaks it, and is silent where nothing does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from django_tenant_billing import clock, payments
from django_tenant_billing.auditing import IDS, audit, reading
from django_tenant_billing.auditing.payments import SHOW, payment_findings
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import Activation, PaymentEvent, PaymentTransaction, SubscriptionEvent
from tests.manual import begin, came, use_bank
from tests.test_payments import pay, start, tamper
from tests.testapp.models import Organization

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_log]

LOG = PaymentEvent._meta.db_table


def found(*only: str) -> list[tuple[str, str]]:
    return [(finding.id, finding.problem) for finding in payment_findings("default", only or IDS)]


def rewrite(payment: PaymentTransaction, column: str, value: Any, kind: str, to: str = "") -> None:
    """Change what is written once, past the ORM, as only somebody at the database can."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {LOG} SET {column} = %s WHERE payment_id = %s AND kind = %s AND to_status = %s",
            [value, payment.pk, kind, to],
        )


def forge(payment: PaymentTransaction, **line: Any) -> None:
    facts = {"reference": payment.reference, "gateway": payment.gateway, "at": clock.now(), "actor": "mallory"}
    PaymentEvent.objects.create(payment=payment, **{**facts, **line})


def change(payment: PaymentTransaction, **columns: Any) -> None:
    assert PaymentTransaction.objects.filter(pk=payment.pk).update(**columns) == 1


@pytest.fixture
def paid(organization: Organization, settings: Any) -> PaymentTransaction:
    """Paid at the bank, recorded, applied."""
    use_bank(settings)
    payment = came(begin(organization))
    assert found() == []
    return payment


@pytest.fixture
def opened(organization: Organization, simulator: Server) -> PaymentTransaction:
    """Begun at Khalti, and not paid yet."""
    payment = start(organization)
    assert found() == []
    return payment


# I-1


def test_i1_a_paid_payment_that_gave_nothing_is_found(paid: PaymentTransaction) -> None:
    Activation.objects.all().delete()
    assert found() == [
        ("I-1", "it was paid, and nothing was given for it"),
        ("I-1", "the history of subscriptions counts it 1 times"),
    ]


def test_i1_a_plan_that_was_given_for_nothing_is_found(opened: PaymentTransaction, paid: PaymentTransaction) -> None:
    Activation.objects.update(payment=opened, purchase=opened.purchase)
    assert found("I-1") == [
        ("I-1", "a plan was given for it, and its log never says that it was paid"),
        ("I-1", "the history of subscriptions counts it 0 times"),
        ("I-1", "it was paid, and nothing was given for it"),
        ("I-1", "the history of subscriptions counts it 1 times"),
    ]


def test_i1_a_purchase_that_could_be_given_twice_is_found(paid: PaymentTransaction) -> None:
    Activation.objects.update(purchase=None)
    assert found() == [("I-1", f"it belongs to purchase {paid.purchase}, and what it gave to None")]


def test_i1_a_period_that_was_added_twice_is_found(paid: PaymentTransaction) -> None:
    line = SubscriptionEvent.objects.get(payment=paid)
    line.pk = None
    line.save(force_insert=True)
    assert found() == [("I-1", "the history of subscriptions counts it 2 times")]


# I-3


def test_i3_a_way_back_from_paid_is_found(paid: PaymentTransaction) -> None:
    forge(paid, kind="moved", from_status="paid", to_status="failed")
    change(paid, status="failed", paid_at=None)
    assert found() == [("I-3", "it was paid, and went from paid to failed")]


def test_i3_a_step_that_no_payment_can_take_is_found(opened: PaymentTransaction) -> None:
    forge(opened, kind="moved", from_status="initiated", to_status="dismissed")
    change(opened, status="dismissed")
    assert found() == [("I-3", "its log says initiated to dismissed, which is no step a payment can take")]


# I-5


def test_i5_money_that_went_back_of_what_is_paid_is_found(paid: PaymentTransaction) -> None:
    change(paid, refunded_minor=1)
    assert found() == [("I-5", "1 paisa of 390000 went back, and it is paid")]


def test_i5_a_refund_that_sent_less_back_than_came_is_found(paid: PaymentTransaction) -> None:
    refunded = payments.refund(paid, actor="anna", reason="asked for")
    assert (refunded.status, found()) == ("refunded", [])
    change(paid, refunded_minor=389_999)
    assert found() == [("I-5", "389999 paisa of 390000 went back, and it is refunded")]


def test_i5_a_part_that_went_back_is_right_up_to_all_that_came(paid: PaymentTransaction) -> None:
    part = payments.refund(paid, 100_000, actor="anna", reason="asked for")
    assert (part.status, found()) == ("partially_refunded", [])


def test_i5_money_that_was_counted_twice_is_found(paid: PaymentTransaction) -> None:
    Activation.objects.update(value_minor=780_000)
    assert found() == [("I-5", "390000 paisa came, and 780000 were counted as paid")]


# I-6


def test_i6_a_line_of_another_payment_is_found(paid: PaymentTransaction) -> None:
    rewrite(paid, "reference", "TB-SOMEBODYELSES", "proof")
    assert found() == [("I-6", "its log has a line of TB-SOMEBODYELSES at bank")]


def test_i6_another_amount_that_nobody_reviewed_is_found(paid: PaymentTransaction) -> None:
    change(paid, received_minor=1)
    assert found("I-6") == [("I-6", "1 paisa came for 390000, and nobody reviewed it")]


def test_i6_another_amount_that_somebody_reviewed_is_right(opened: PaymentTransaction, simulator: Server) -> None:
    pay(simulator, opened)
    tamper(simulator, opened, total_amount=195_000)
    payment = payments.apply_review(payments.settle(opened), actor="anna", reason="as agreed")
    assert (payment.status, payment.received_minor, found()) == ("paid", 195_000, [])


def test_i6_what_costs_more_than_came_is_found(paid: PaymentTransaction) -> None:
    Activation.objects.update(price_minor=3_900_000)
    assert found() == [("I-6", "390000 paisa came, and it gave what costs 3900000")]


def test_i6_another_plan_than_was_paid_for_is_found(paid: PaymentTransaction) -> None:
    Activation.objects.update(plan="BASIC", currency="USD")
    assert found() == [("I-6", "it is for PRO in NPR, and gave BASIC in USD")]


def test_i6_money_that_paid_twice_is_found(paid: PaymentTransaction, organization: Organization) -> None:
    other = came(begin(organization), number="SLIP-2")
    assert found() == []
    if connection.vendor == "mysql":
        with pytest.raises(IntegrityError), transaction.atomic():
            change(other, gateway_transaction_id="slip-1")
        return
    change(other, gateway_transaction_id="slip-1")
    assert found() == [("I-6", f"transaction slip-1 of bank also paid for {other.reference}")]
    assert found("I-5") == []


# I-8


@pytest.mark.parametrize(
    ("column", "value", "then"),
    [("plan_id", "BASIC", "plan PRO"), ("amount_minor", 1, "amount_minor 390000"), ("currency", "USD", "currency NPR"),
     ("interval", "year", "interval month"), ("interval_count", 12, "interval_count 1"),
     ("credit_minor", 5, "credit_minor 0")],
)  # fmt: skip
def test_i8_a_price_that_changed_since_the_start_is_found(
    opened: PaymentTransaction, column: str, value: Any, then: str
) -> None:
    change(opened, **{column: value})
    assert found() == [("I-8", f"it was started with {then}, and has {value}")]


def test_i8_a_log_from_before_all_facts_were_told_is_right(opened: PaymentTransaction) -> None:
    rewrite(opened, "data", '{"plan": "PRO", "more": 1}', "started", "created")
    assert found() == []


# I-9


def test_i9_an_open_payment_that_nobody_will_ask_about_is_found_with_the_command(opened: PaymentTransaction) -> None:
    change(opened, next_check_at=None)
    (finding,) = payment_findings("default", IDS)
    assert (finding.id, finding.subject) == ("I-9", opened.reference)
    assert finding.problem == "it is initiated, and nobody will ask about it"
    day = opened.created_at - timedelta(days=1)
    assert finding.command == f"manage.py reconcile_payments --since {day:%Y-%m-%d}"


def test_i9_more_answers_than_are_planned_are_told(opened: PaymentTransaction) -> None:
    for _number in range(17):
        forge(opened, kind="proof", detail="Initiated", actor="reconcile")
    forge(opened, kind="proof", detail="Initiated", actor="user 1: samir")
    forge(opened, kind="proof", detail="Initiated", actor="reconcile", at=clock.now() + timedelta(days=8))
    assert found() == []
    forge(opened, kind="proof", detail="Initiated", actor="reconcile")
    assert [(f.id, f.severity, f.problem) for f in payment_findings("default", IDS)] == [
        ("I-9", "warning", "it was asked about 18 times in its first 7 days, and 17 are planned")
    ]


# I-16


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"status": "pending"}, "its log leads to initiated, and its row says pending"),
        ({"detail": "odd"}, "its log leads to initiated, and its row says initiated odd"),
    ],
)
def test_i16_a_row_that_its_log_does_not_lead_to_is_found(
    opened: PaymentTransaction, columns: dict[str, Any], problem: str
) -> None:
    change(opened, **columns)
    assert found() == [("I-16", problem)]


def test_i16_a_payment_without_a_log_is_found(organization: Organization) -> None:
    payment = PaymentTransaction.objects.create(
        organization=organization, organization_key="1", reference="TB-NOLOG", purchase="1" * 32, gateway="khalti",
        plan_id="PRO", amount_minor=1, currency="NPR", interval="month", interval_count=1, created_at=clock.now(),
    )  # fmt: skip
    assert found() == [("I-16", "its log leads to nothing, and its row says created")]
    forge(payment, kind="moved", from_status="created", to_status="initiated")
    assert found("I-16") == [
        ("I-16", "a step begins at created where it was nothing yet"),
        ("I-16", "its log leads to initiated, and its row says created"),
    ]


def test_i16_a_line_that_was_taken_out_or_put_in_is_found(opened: PaymentTransaction) -> None:
    forge(opened, kind="moved", from_status="pending", to_status="initiated")
    assert found() == [("I-16", "a step begins at pending where it was initiated")]
    forge(opened, kind="started", to_status="initiated")
    assert found("I-16")[-1] == ("I-16", "it was started twice")


# I-19


def test_i19_money_without_a_proof_is_found(paid: PaymentTransaction) -> None:
    rewrite(paid, "kind", "claim", "proof")
    assert found() == []  # a person recorded it, with a reason
    rewrite(paid, "data", "{}", "moved", "paid")
    assert found() == [("I-19", "it was paid with neither a proof nor a person's reason")]


def test_i19_a_review_that_nobody_decided_is_found(opened: PaymentTransaction, simulator: Server) -> None:
    pay(simulator, opened)
    tamper(simulator, opened, total_amount=1)
    payment = payments.dismiss_review(payments.settle(opened), actor="anna", reason="went back")
    assert found() == []
    rewrite(payment, "data", "{}", "moved", "dismissed")
    assert found() == [("I-19", "nothing in its log says who made it dismissed in the review, and why")]


def test_i19_an_end_that_nobody_answers_for_is_found(opened: PaymentTransaction, simulator: Server) -> None:
    pay(simulator, opened, Act.CANCEL)
    payment = payments.settle(opened)
    assert (payment.status, payment.events.get(to_status="canceled").actor, found()) == ("canceled", "", [])
    rewrite(payment, "kind", "no_answer", "proof")
    assert found() == []
    rewrite(payment, "kind", "claim", "no_answer")
    assert found() == [("I-19", "nothing in its log says who or what made it canceled")]


# Others at work


def meanwhile(work: Callable[[], Any]) -> Any:
    """Do it once, between the reading of payments and of their logs."""
    todo = [work]

    def wrapper(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        if todo and f"FROM {connection.ops.quote_name(LOG)}" in sql:
            todo.pop()()
        return execute(sql, params, many, context)

    return connection.execute_wrapper(wrapper)


def test_a_payment_that_moves_while_it_is_read_is_no_finding(opened: PaymentTransaction, simulator: Server) -> None:
    pay(simulator, opened)
    with meanwhile(lambda: payments.settle(opened)):
        assert found() == []
    opened.refresh_from_db()
    assert opened.status == "paid"
    # And the same, written past the log, is one.
    with meanwhile(lambda: change(opened, detail="odd")):
        assert found() == []
    assert [id_ for id_, _problem in found()] == ["I-16"]


def test_reading_again_goes_on_until_nothing_moves(opened: PaymentTransaction, simulator: Server) -> None:
    pay(simulator, opened)
    with meanwhile(lambda: payments.settle(opened)):
        (case,) = reading.case_of("default", opened.pk)
    assert (case.payment.status, case.story.status) == ("paid", "paid")
    assert reading.case_of("default", 0) == []


def test_batches_miss_nobody(organization: Organization, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use_bank(settings)
    monkeypatch.setattr(reading, "BATCH", 2)
    begun = [came(begin(organization), number=f"SLIP-{number}") for number in range(5)]
    PaymentTransaction.objects.update(detail="odd")
    findings = list(audit("default", clock.now(), ["I-16"]))
    assert [finding.subject for finding in findings] == [payment.reference for payment in begun]
    assert findings[0].command == SHOW.format(reference=begun[0].reference)
    assert found("I-11") == []
