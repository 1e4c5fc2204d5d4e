"""Signs that something waits for a person, or stands still."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_tenant_billing import clock, payments
from django_tenant_billing.auditing import IDS, audit, books
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import Breaker, Heartbeat, PaymentTransaction, Subscription
from tests.test_payments import pay, start, tamper
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


def found(after: timedelta = timedelta(0), only: tuple[str, ...] = IDS) -> list[str]:
    findings = list(audit("default", clock.now() + after, only))
    assert {finding.severity.value for finding in findings} <= {"warning"}
    return [f"{finding.id} {finding.subject}: {finding.problem}. {finding.command}" for finding in findings]


def test_money_that_waits_for_a_person_is_told(organization: Organization, simulator: Server) -> None:
    payment = start(organization)
    pay(simulator, payment)
    tamper(simulator, payment, total_amount=389_900)
    assert found() == []
    payment = payments.settle(payment)
    assert found() == [
        f"inbox {payment.reference}: NPR 3,899 waits for a person since {payment.updated_at:%Y-%m-%d}: amount. "
        f"manage.py billing_verify --payment {payment.reference}"
    ]
    assert found(only=("clock",)) == []
    (book,) = books("default").values()
    assert (book.came, book.in_review) == (389_900, 389_900)
    payments.dismiss_review(payment, actor="anna", reason="sent back by hand")
    (book,) = books("default").values()
    assert (book.came, book.applied, book.in_review, book.dismissed, book.refunded) == (389_900, 0, 0, 389_900, 0)


def test_an_open_payment_that_nobody_asks_about_is_told_after_two_hours(
    organization: Organization, simulator: Server
) -> None:
    payment = start(organization)
    assert payment.next_check_at is not None
    due, late = payment.next_check_at, timedelta(hours=2)
    assert list(audit("default", due + late)) == []
    (finding,) = audit("default", due + late + timedelta(seconds=1))
    assert (finding.id, finding.subject, finding.command) == (
        "unasked", payment.reference, "manage.py reconcile_payments"
    )  # fmt: skip
    assert finding.problem == f"it is initiated, and waits to be asked about since {due:%Y-%m-%d %H:%M} UTC"


@pytest.mark.breaks_the_log
def test_an_attempt_that_nobody_closes_is_told(organization: Organization, simulator: Server) -> None:
    payment = start(organization)
    created = payment.created_at
    PaymentTransaction.objects.update(status="created", initiated_at=None, next_check_at=None)
    only = ("unasked",)
    assert found(timedelta(hours=2), only) == []
    (line,) = found(timedelta(hours=2, minutes=16), only)
    assert f"it is created, and waits to be asked about since {created:%Y-%m-%d %H:%M} UTC" in line


def test_commands_that_stopped_are_told_by_their_last_run(organization: Organization) -> None:
    now = clock.now()
    for name in ("reconcile_payments", "run_billing"):
        Heartbeat.objects.beat(name, now)
    assert found(timedelta(minutes=9)) == []
    told = [
        f"heartbeats reconcile_payments: it is to run every minute, and last did at {now:%Y-%m-%d %H:%M} UTC. "
        "manage.py reconcile_payments",
        f"heartbeats run_billing: it has not run since {now:%Y-%m-%d %H:%M} UTC. manage.py run_billing",
    ]
    assert found(timedelta(minutes=11)) == told[:1]
    assert found(timedelta(hours=27)) == told
    Heartbeat.objects.all().delete()
    assert found() == []
    Subscription.objects.update(due_at=now)
    assert found(timedelta(hours=27)) == told[1:]


def test_a_gateway_that_is_not_asked_is_told_with_the_command_that_resumes(organization: Organization) -> None:
    now = clock.now()
    for _failure in range(4):
        Breaker.objects.unanswered("esewa", now)
    assert found() == []
    Breaker.objects.unanswered("esewa", now)
    Breaker.objects.halt("khalti", "It refuses our key.")
    assert found() == [
        "breakers gateway esewa: 5 questions in a row found no answer. manage.py reconcile_payments --resume esewa",
        "breakers gateway khalti: It refuses our key. manage.py reconcile_payments --resume khalti",
    ]


def test_a_clock_that_was_ahead_is_told(organization: Organization, simulator: Server) -> None:
    with clock.moved(timedelta(minutes=4)):
        start(organization)
    assert found() == []
    with clock.moved(timedelta(hours=1)):
        start(organization)
        ahead = clock.now()
        assert found() == []
    assert found() == [
        f"clock clock: the last line of the log is of {ahead:%Y-%m-%d %H:%M} UTC, which is to come. date -u"
    ]
