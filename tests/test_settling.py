"""One question about a payment: who may ask meanwhile, what its answer leaves behind, and what none leaves."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from django.db import transaction
from django.utils import timezone

from django_tenant_billing import clock, payments
from django_tenant_billing.contrib.simulator.khalti_payment import Act
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.exceptions import GatewayUnavailable, InsideTransaction
from django_tenant_billing.gateways.base import Order, Proof
from django_tenant_billing.gateways.khalti import KhaltiGateway
from django_tenant_billing.models import Breaker, PaymentTransaction
from django_tenant_billing.states import LATE_CHECKS
from tests.clocks import only_looks_take_time
from tests.test_payments import fault, kinds, pay, start, tamper
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    only_looks_take_time(monkeypatch)


def initiated(payment: PaymentTransaction) -> datetime:
    assert payment.initiated_at is not None
    return payment.initiated_at


def asked_in_vain(
    server: Server, payment: PaymentTransaction, after: timedelta = timedelta(0)
) -> tuple[PaymentTransaction, timedelta]:
    """The payment after a question that got no answer, and how long until it is asked about again, to the second."""
    fault(server, "502", 1)
    with clock.moved(after):
        payment = payments.settle(payment, actor="anna")
        assert payment.next_check_at is not None
        wait = payment.next_check_at - clock.now()
    assert kinds(payment).count("no_answer:GatewayUnavailable") > 0
    payment.refresh_from_db()
    return payment, timedelta(seconds=round(wait.total_seconds()))


# --- no answer -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("still")
def test_two_questions_in_vain_are_repeated_after_a_minute_and_the_third_by_the_schedule(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    for minutes, counted, again in ((100, 1, 1), (101, 2, 1), (102, 0, 18), (120, 1, 1)):
        payment, wait = asked_in_vain(simulator, payment, timedelta(minutes=minutes))
        assert (payment.unanswered, wait) == (counted, timedelta(minutes=again))
        assert (payment.status, payment.leased_until) == ("initiated", None)
    assert payments.settle(payment).unanswered == 0  # an answer, whatever it is


@pytest.mark.usefixtures("still")
def test_of_what_is_over_a_question_in_vain_is_repeated_after_a_day(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment, Act.CANCEL)
    payment = payments.settle(payment)
    assert (payment.status, payment.next_check_at) == ("canceled", initiated(payment) + LATE_CHECKS[0])
    for counted in (1, 2):
        payment, wait = asked_in_vain(simulator, payment, 2 * DAY)
        assert (payment.unanswered, wait) == (counted, DAY)
    payment, _wait = asked_in_vain(simulator, payment, 2 * DAY)
    assert (payment.status, payment.unanswered) == ("canceled", 0)
    assert payment.next_check_at == initiated(payment) + LATE_CHECKS[1]


@pytest.mark.usefixtures("still")
def test_of_a_refund_a_question_in_vain_is_repeated_by_its_own_schedule(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    assert payments.settle(payment).status == "paid"
    fault(simulator, "lost", 1)
    payment = payments.refund(payment, actor="anna", reason="agreed")
    for _time in range(2):
        payment, wait = asked_in_vain(simulator, payment)
        assert (payment.status, payment.unanswered, wait) == ("refund_pending", 0, timedelta(hours=1))


def test_a_question_in_vain_after_the_horizon_ends_it_and_the_log_says_who_asked_and_why(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    payment, _wait = asked_in_vain(simulator, payment, timedelta(days=7))
    assert (payment.status, payment.detail, payment.unanswered) == ("expired", "horizon", 0)
    assert payment.next_check_at == initiated(payment) + LATE_CHECKS[1]
    asked, unanswered, moved = payment.events.order_by("pk")[2:]
    assert (asked.kind, asked.actor) == ("asked", "anna")
    assert (unanswered.kind, unanswered.detail, unanswered.actor) == ("no_answer", "GatewayUnavailable", "anna")
    assert "HTTP 502" in unanswered.data["error"]
    assert (moved.kind, moved.detail, moved.actor) == ("moved", "horizon", "anna")
    assert (moved.from_status, moved.to_status) == ("initiated", "expired")


def test_what_changes_nothing_is_still_a_change_of_the_row(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    for vain in (True, False):
        before = payment.updated_at
        fault(simulator, "502", int(vain))
        payments.settle(payment)
        payment.refresh_from_db()
        assert payment.updated_at > before


def test_a_refused_key_is_told_with_the_command_that_goes_on(
    simulator: Server, organization: Organization, caplog: pytest.LogCaptureFixture
) -> None:
    payment = start(organization)
    fault(simulator, "401", 1)
    with caplog.at_level(logging.ERROR, "tenant_billing"):
        payments.settle(payment)
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("Gateway 'khalti' is not asked any more: Khalti refused our key (HTTP 401).")
    assert told.endswith(" Then: reconcile_payments --resume khalti")
    assert "HTTP 401" in Breaker.objects.get(gateway="khalti").halted


# --- who may ask -----------------------------------------------------------------------------------------------------


class Watched(KhaltiGateway):
    """Looks at the row while it is asked, and asks about it once more."""

    leases: ClassVar[list[timedelta]] = []

    def look_up(self, order: Order) -> Proof:
        payment = PaymentTransaction.objects.get(reference=order.reference)
        assert payment.leased_until is not None
        Watched.leases.append(payment.leased_until - timezone.now())
        payments.settle(payment)
        raise GatewayUnavailable("seen")


def test_while_one_asks_nobody_else_does_for_a_minute_by_the_databases_clock(
    simulator: Server, organization: Organization, settings: Any
) -> None:
    payment = start(organization)
    khalti = settings.TENANT_BILLING_GATEWAYS["khalti"]
    settings.TENANT_BILLING_GATEWAYS = {"khalti": {**khalti, "BACKEND": f"{__name__}.Watched"}}
    Watched.leases.clear()
    payments.settle(payment)
    [lease] = Watched.leases
    assert timedelta(seconds=50) < lease <= timedelta(seconds=61)
    assert kinds(payment).count("asked:") == 1


@pytest.mark.parametrize(("seconds", "asks"), [(-1, True), (30, False)])
def test_a_lease_that_is_over_is_no_obstacle_and_one_that_holds_is(
    simulator: Server, organization: Organization, seconds: int, asks: bool
) -> None:
    payment = start(organization)
    leased = PaymentTransaction.objects.filter(pk=payment.pk)
    assert leased.update(leased_until=clock.DatabaseNow() + timedelta(seconds=seconds)) == 1
    payments.settle(payment)
    assert kinds(payment).count("asked:") == asks


def test_what_was_paid_or_partly_sent_back_is_asked_about_by_verify_alone(
    simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    payments.settle(payment)
    was = "paid"
    for told, status in (("Partially Refunded", "partially_refunded"), ("Refunded", "refunded")):
        tamper(simulator, payment, status=told)
        assert payments.settle(payment, actor="sita").status == was
        assert payments.verify(payment, actor="anna").status == status
        assert payment.events.filter(kind="asked").latest("pk").actor == "anna"
        was = status


@pytest.mark.django_db(transaction=True)
def test_inside_a_transaction_it_refuses_by_its_name(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    with pytest.raises(InsideTransaction, match=r"^payments\.settle\(\) "), transaction.atomic():
        payments.settle(payment)
    assert payments.settle(payment).status == "initiated"


# --- an answer -------------------------------------------------------------------------------------------------------


def test_what_was_proved_is_in_the_log_and_on_the_row(simulator: Server, organization: Organization) -> None:
    payment = start(organization)
    pay(simulator, payment)
    before = clock.now()
    payment = payments.settle(payment, actor="anna")
    assert payment.paid_at is not None
    assert before <= payment.paid_at <= clock.now()
    assert (payment.received_minor, payment.unanswered, payment.leased_until) == (390_000, 0, None)
    proof = payment.events.get(kind="proof")
    assert (proof.detail, proof.actor) == ("Completed", "anna")
    assert proof.data["transaction_id"] == payment.gateway_transaction_id != ""
    assert payment.events.get(kind="moved", to_status="paid").actor == "anna"


@pytest.mark.parametrize(("told", "received"), [(0, 0), (1, 1), (-1, None), (None, None), ("390000", None)])
def test_what_came_is_kept_where_it_is_an_amount(
    simulator: Server, organization: Organization, told: object, received: int | None
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    tamper(simulator, payment, total_amount=told)
    payments.settle(payment)
    payment.refresh_from_db()
    assert (payment.status, payment.detail, payment.paid_at) == ("review", "amount", None)
    assert payment.received_minor == received
    assert payment.gateway_transaction_id is not None


def test_the_transaction_of_another_payment_is_not_noted_as_of_this_one(
    simulator: Server, organization: Organization
) -> None:
    first, second = start(organization), start(Organization.objects.create(name="Other"))
    for payment in (first, second):
        pay(simulator, payment)
        tamper(simulator, payment, transaction_id="T1")
        payments.settle(payment)
        payment.refresh_from_db()
    assert (first.status, first.gateway_transaction_id) == ("paid", "T1")
    assert (second.status, second.detail, second.gateway_transaction_id) == ("review", "transaction_reused", None)
    assert second.received_minor == 390_000


@pytest.mark.parametrize(("act", "status"), [(Act.PENDING, "pending"), (Act.CANCEL, "canceled")])
def test_an_answer_that_proves_no_money_leaves_none_on_the_row(
    simulator: Server, organization: Organization, act: Act, status: str
) -> None:
    payment = start(organization)
    pay(simulator, payment, act)
    tamper(simulator, payment, transaction_id="T1")
    payments.settle(payment)
    payment.refresh_from_db()
    assert (payment.status, payment.received_minor, payment.gateway_transaction_id) == (status, None, None)
    assert payment.events.get(kind="proof").data["total_amount"] == 390_000
    assert {event.actor for event in payment.events.filter(kind__in=["asked", "proof"])} == {""}
