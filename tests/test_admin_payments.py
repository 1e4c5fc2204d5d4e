"""What staff does about payments in the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client

from django_tenant_billing import payments
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import Activation, PaymentTransaction, Subscription
from tests.test_payments import pay, plan_of, start, tamper
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("asha", password="secret"))
    return client


def page(payment: PaymentTransaction, name: str = "act") -> str:
    return f"/admin/tenant_billing/paymenttransaction/{payment.pk}/{name}/"


def do(client: Client, payment: PaymentTransaction, act: str, **form: str) -> str:
    answer = client.post(page(payment), {"act": act, "reason": "as agreed", "amount": "", **form}, follow=True)
    assert answer.status_code == 200
    payment.refresh_from_db()
    return " ".join(answer.content.decode().split())


@pytest.mark.parametrize("atomic", [False, True])
def test_a_payment_is_verified_and_sent_back_in_parts_and_as_a_whole(
    staff: Client, organization: Organization, simulator: Server, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)
    payment = start(organization)
    assert page(payment) in staff.get(page(payment, "change")).content.decode()
    assert "Himal Traders: PRO, NPR 3,900, initiated" in staff.get(page(payment)).content.decode()
    pay(simulator, payment)
    assert f"Payment {payment.reference} is paid." in do(staff, payment, "verify")
    assert payment.events.filter(actor="asha: as agreed").exists()
    assert f"Payment {payment.reference} is partially refunded." in do(staff, payment, "refund", amount="1000.50")
    assert (payment.refunded_minor, plan_of(organization)) == (100_050, "PRO")
    assert "only a whole payment can be sent back from here" in do(staff, payment, "refund", amount="1")
    assert f"Payment {payment.reference} is refunded." in do(staff, payment, "refund")
    assert plan_of(organization) == "FREE"


def test_what_is_in_review_is_decided_with_a_reason(
    staff: Client, organization: Organization, simulator: Server
) -> None:
    waiting = []
    for _time in range(2):
        payment = start(organization)
        pay(simulator, payment)
        tamper(simulator, payment, total_amount=1)
        waiting.append(payments.settle(payment))
    first, second = waiting
    assert "This field is required." in do(staff, first, "apply_review", reason="")
    assert first.status == "review"
    assert "NPR 3,900, in review (amount). What came: NPR 0.01." in staff.get(page(first)).content.decode()
    assert "greater than or equal to 1." in do(staff, first, "apply_review", days="0")
    assert f"Payment {first.reference} is paid." in do(staff, first, "apply_review", days="3")
    assert Activation.objects.get().interval == "day"
    assert f"Payment {second.reference} is dismissed." in do(staff, second, "dismiss_review")
    assert "cannot be decided so: it is dismissed" in do(staff, second, "apply_review")
    listed = staff.get("/admin/tenant_billing/paymenttransaction/?status=paid").content.decode()
    assert "amount" in listed


def test_money_that_nobody_can_add_up_with_credit_stays_in_review(
    staff: Client, organization: Organization, simulator: Server
) -> None:
    basic, waiting = start(organization, "BASIC"), start(organization)
    for payment in (basic, waiting):
        pay(simulator, payment)
    payments.settle(basic)
    tamper(simulator, waiting, total_amount=1)
    waiting = payments.settle(waiting)
    Subscription.objects.update(credit_minor=1, credit_currency="USD")
    assert "what is unused was paid in another money" in do(staff, waiting, "apply_review")
    assert (waiting.status, plan_of(organization)) == ("review", "BASIC")


def test_who_may_only_look_does_nothing_and_what_is_not_there_is_not_found(
    staff: Client, organization: Organization, simulator: Server
) -> None:
    payment = start(organization)
    looker = User.objects.create_user("bina", password="secret", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_paymenttransaction"))
    client = Client()
    client.force_login(looker)
    shown = client.get(page(payment, "change"))
    assert shown.status_code == 200
    assert page(payment) not in shown.content.decode()
    assert client.get(page(payment)).status_code == 403
    assert client.post(page(payment), {"act": "refund", "reason": "x"}).status_code == 403
    payment.pk += 1
    assert staff.get(page(payment)).status_code == 404
