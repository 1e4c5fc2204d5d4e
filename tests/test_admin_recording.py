"""What staff does in the admin about money that no gateway tells of."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from django_tenant_billing.models import PaymentEvent, PaymentTransaction, PlanPrice
from tests.manual import begin, use_bank
from tests.test_admin_payments import do, staff
from tests.test_payments import plan_of
from tests.testapp.models import Organization

__all__ = ["staff"]  # a fixture

pytestmark = pytest.mark.django_db

RECORD = "/admin/tenant_billing/paymenttransaction/record/"
LIST = "/admin/tenant_billing/paymenttransaction/"


@pytest.fixture(autouse=True)
def _bank(settings: Any) -> None:
    use_bank(settings)


def record_new(client: Client, **form: str) -> str:
    given = {"plan": "PRO", "term": "", "gateway": "bank", "amount": "3900", "number": "R-1", "reason": "cash"}
    answer = client.post(RECORD, {**given, **form}, follow=True)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_money_that_came_is_recorded_by_amount_number_and_reason(staff: Client, organization: Organization) -> None:
    payment = begin(organization)
    assert f"Payment {payment.reference} is paid." in do(staff, payment, "record", amount="3900", number="SLIP-1")
    assert (payment.gateway_transaction_id, plan_of(organization)) == ("SLIP-1", "PRO")
    proof = PaymentEvent.objects.get(kind="proof")
    assert (proof.actor, proof.data["reason"]) == ("asha", "as agreed")
    assert f"Payment {payment.reference} is partially refunded." in do(staff, payment, "refund", amount="1000")
    assert f"Payment {payment.reference} is refunded." in do(staff, payment, "refund")
    assert plan_of(organization) == "FREE"


@pytest.mark.parametrize("form", [{"number": "SLIP-1"}, {"amount": "3900"}, {"amount": "x", "number": "SLIP-1"}])
def test_without_amount_and_number_nothing_is_recorded(
    staff: Client, organization: Organization, form: dict[str, str]
) -> None:
    payment = begin(organization)
    page = do(staff, payment, "record", **form)
    assert "Of money that came this is needed." in page or "Enter a number." in page
    assert payment.status == "created"


def test_what_does_not_fit_is_told_and_changes_nothing(staff: Client, organization: Organization) -> None:
    payment = begin(organization)
    assert "NPR 3,900 is due, not NPR 3,899" in do(staff, payment, "record", amount="3899", number="SLIP-1")
    assert (payment.status, plan_of(organization)) == ("created", "FREE")


def test_money_without_an_attempt_is_recorded_from_the_list(staff: Client, organization: Organization) -> None:
    PlanPrice.objects.create(plan_id="PRO", amount_minor=3_900_000, interval="year")
    assert RECORD in staff.get(LIST).content.decode()
    assert "Bank transfer" in staff.get(RECORD).content.decode()
    key = str(organization.pk)
    assert "NPR 39,000 is due, not NPR 3,900" in record_new(staff, organization=key, term="year")
    assert "is paid." in record_new(staff, organization=key, term="year", amount="39000")
    payment = PaymentTransaction.objects.get()
    assert (payment.interval, payment.actor, plan_of(organization)) == ("year", "asha", "PRO")


@pytest.mark.parametrize("key", ["", "999999", "nobody", "1 OR 1=1"])
def test_an_organization_that_is_not_there_pays_nothing(staff: Client, organization: Organization, key: str) -> None:
    page = record_new(staff, organization=key)
    assert "There is no such organization." in page or "This field is required." in page
    assert not PaymentTransaction.objects.exists()


def test_a_wallet_is_no_way_to_record_money(staff: Client, organization: Organization) -> None:
    assert "Select a valid choice." in record_new(staff, organization=str(organization.pk), gateway="khalti")
    assert not PaymentTransaction.objects.exists()


def test_who_may_only_look_records_nothing(organization: Organization) -> None:
    looker = User.objects.create_user("bina", password="secret", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_paymenttransaction"))
    client = Client()
    client.force_login(looker)
    assert RECORD not in client.get(LIST).content.decode()
    assert client.get(RECORD).status_code == 403
    assert client.post(RECORD, {"organization": str(organization.pk)}).status_code == 403
    looker.user_permissions.add(Permission.objects.get(codename="change_paymenttransaction"))
    assert client.get(RECORD).status_code == 200
