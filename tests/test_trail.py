"""A2: what is done to a payment is a line of its log: by whom, from where to where, and what was answered."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from django_tenant_billing import payments
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import IllegalTransition
from django_tenant_billing.gateways.base import Claim
from django_tenant_billing.models import Activation, PaymentEvent, PaymentTransaction
from django_tenant_billing.payments import door
from django_tenant_billing.states import PaymentState
from tests.test_payments import fault, pay, start, tamper
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)


def trail(payment: PaymentTransaction) -> list[tuple[str, str, str, str]]:
    columns = ("kind", "from_status", "to_status", "actor")
    return list(PaymentEvent.objects.filter(payment=payment).values_list(*columns))


def test_a2_attempt_claim_question_proof_steps_and_acts_of_staff_each_have_a_line_with_their_actor(
    organization: Organization, simulator: Server
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    tamper(simulator, payment, total_amount=389_900)
    claim = Claim(reference=payment.reference, gateway_reference=None, status="Completed", data={"status": "Completed"})
    payments.record_claim("khalti", claim, payment, actor="a browser")
    fault(simulator, "500", 1)
    payments.settle(payment, actor="a browser")
    payments.settle(payment, actor="reconcile")
    payments.apply_review(payment, actor="anna", reason="a rupee less, agreed")
    payments.refund(payment, actor="binod", reason="they changed their mind")
    assert trail(payment) == [
        ("started", "", "created", "user 1: samir"),
        ("moved", "created", "initiated", "user 1: samir"),
        ("claim", "", "", "a browser"),
        ("asked", "", "", "a browser"),
        ("no_answer", "", "", "a browser"),
        ("asked", "", "", "reconcile"),
        ("proof", "", "", "reconcile"),
        ("moved", "initiated", "review", "reconcile"),
        ("moved", "review", "paid", "anna"),
        ("moved", "paid", "refund_pending", "binod"),
        ("asked", "", "", "binod"),
        ("proof", "", "", "binod"),
        ("moved", "refund_pending", "refunded", "binod"),
    ]
    proof = payment.events.filter(kind="proof").earliest("pk")
    assert (proof.detail, proof.data["total_amount"], proof.data["pidx"]) == (
        "Completed", 389_900, payment.gateway_reference
    )  # fmt: skip
    reasons = payment.events.filter(kind="moved", actor__in=["anna", "binod"]).values_list("data__reason", flat=True)
    assert list(reasons)[:2] == ["a rupee less, agreed", "they changed their mind"]


def test_p13_lines_that_were_committed_outlive_the_work_that_fails(
    organization: Organization, simulator: Server
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    before = trail(payment)

    def refusing(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("INSERT") and Activation._meta.db_table in sql:
            raise IntegrityError("a rival was faster")
        return execute(sql, *rest)

    with connection.execute_wrapper(refusing), pytest.raises(IntegrityError, match="a rival was faster"):
        payments.settle(payment, actor="reconcile")
    # That it was asked about stays; of the commit that failed nothing is there, and nothing is half done.
    assert trail(payment) == [*before, ("asked", "", "", "reconcile")]
    payment.refresh_from_db()
    assert payment.status == "initiated"
    PaymentTransaction.objects.update(leased_until=None)
    assert payments.settle(payment).status == "paid"


def test_a2_a_step_that_the_table_refuses_leaves_neither_a_line_nor_a_change(
    organization: Organization, simulator: Server
) -> None:
    payment = start(organization)
    before = trail(payment)
    with pytest.raises(IllegalTransition), transaction.atomic():
        door.move(payment, PaymentState.DISMISSED)
    assert trail(payment) == before
    pay(simulator, payment)
    assert payments.settle(payment).status == "paid"


def test_i17_garbage_is_a_line_too_cut_to_what_one_may_tell(organization: Organization, simulator: Server) -> None:
    payment = start(organization)
    garbage = {f"field{number}\x00\ud800": "x" * 5000 for number in range(100)}
    claim = Claim(reference="\x00" * 99, gateway_reference=None, status="?" * 9000, data=garbage)
    assert payments.record_claim("khalti", claim, payment) is False
    line = payment.events.get(kind="claim")
    assert line.detail == "mismatch"
    assert 0 < len(line.data) < len(garbage)
    assert max(len(str(value)) for value in line.data.values()) <= 500
