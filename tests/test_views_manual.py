"""A payer who pays by bank transfer: what is shown, and what JSON answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_tenant_billing import clock, payments
from django_tenant_billing.models import PaymentEvent, PaymentTransaction
from django_tenant_billing.views.shared import result_url
from tests.manual import BASE, begin, came, use_bank
from tests.members import member
from tests.testapp.models import Organization

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _bank(settings: Any) -> None:
    use_bank(settings)


def page_of(payment: PaymentTransaction) -> str:
    return " ".join(Client().get(result_url(payment)).content.decode().split())


def test_the_payer_chooses_it_at_the_checkout_and_is_told_what_to_do(organization: Organization, user: User) -> None:
    browser = member(organization, user)
    assert "Pay NPR 3,900 with Bank transfer" in browser.get("/billing/checkout/?plan=PRO").content.decode()
    answer = browser.post("/billing/checkout/", {"plan": "PRO", "gateway": "bank"})
    payment = PaymentTransaction.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (303, BASE + result_url(payment))
    page = page_of(payment)
    assert "Account 0123456789 at Himal Bank,<br>New Road &lt;branch&gt; &amp; others" in page
    assert payment.reference in page
    assert "NPR 3,900" in page
    assert "Look again" not in page


def test_json_answers_the_page_of_the_payment_as_where_to_go(organization: Organization, user: User) -> None:
    client = member(organization, user)
    answer = client.post("/billing/bank/init/", {"plan": "PRO"}, content_type="application/json").json()
    payment = PaymentTransaction.objects.get()
    assert answer["payment_url"] == BASE + result_url(payment)
    assert (answer["method"], answer["data"], answer["pidx"], answer["amount"]) == ("GET", {}, None, 3900)
    body = {"reference": payment.reference}
    assert client.post("/billing/bank/verify/", body, content_type="application/json").status_code == 202
    came(payment)
    verified = client.post("/billing/bank/verify/", body, content_type="application/json")
    assert (verified.status_code, verified.json()["status"]) == (200, "success")
    assert "Payment received" in page_of(payment)


def test_no_browser_makes_it_paid(organization: Organization) -> None:
    payment = begin(organization)
    for path in ("callback", "success", "failure"):
        answer = Client().get(f"/billing/bank/{path}/{payment.reference}/?status=paid&amount=390000")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/billing/payments/")
    payment.refresh_from_db()
    assert payment.status == "created"
    assert PaymentEvent.objects.filter(kind="claim", detail="mismatch").count() == 3
    assert came(payment).status == "paid"


def test_without_instructions_there_is_the_reference(organization: Organization, settings: Any) -> None:
    settings.TENANT_BILLING_GATEWAYS["bank"] = {**settings.TENANT_BILLING_GATEWAYS["bank"], "OPTIONS": {}}
    payment = begin(organization)
    assert "Quote the reference below." in page_of(payment)
    assert "tb-lead" not in page_of(payment)


def test_a_payment_whose_gateway_is_gone_is_still_shown(organization: Organization, settings: Any) -> None:
    payment = begin(organization)
    settings.TENANT_BILLING_GATEWAYS = {}
    assert "We are confirming your payment" in page_of(payment)


def test_what_was_not_received_in_time_says_so(organization: Organization) -> None:
    payment = begin(organization)
    with clock.moved(timedelta(days=31)):
        assert payments.reconcile().closed == 1
    assert "We have not seen your money in time." in page_of(payment)
