"""The JSON of the organization's receipts."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_tenant_billing import clock
from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.models import PaymentTransaction, Receipt
from django_tenant_billing.payments import settle
from tests.members import member
from tests.test_payments import pay, start
from tests.testapp.models import Organization

SELLER = {"name": "Himal Software Pvt. Ltd.", "address": "New Road, Kathmandu", "pan": "301234567"}


@pytest.fixture
def client(organization: Organization, user: User) -> Client:
    return member(organization, user)


def paid(organization: Organization, simulator: Server) -> PaymentTransaction:
    payment = start(organization)
    pay(simulator, payment)
    return settle(payment)


def issued(payment: PaymentTransaction, number: int) -> Receipt:
    return Receipt(
        payment=payment, organization=payment.organization, organization_key=payment.organization_key,
        organization_name=payment.organization_name, number=number, issued_at=clock.now(), buyer_name="Buyer",
        description="PRO plan: 1 month", currency="NPR", net_minor=100, vat_minor=0, total_minor=100, vat_percent=0,
    )  # fmt: skip


def test_a_receipt_is_told_alone_as_it_is_in_the_list(
    client: Client, simulator: Server, organization: Organization, settings: Any
) -> None:
    settings.TENANT_BILLING_SELLER, settings.TENANT_BILLING_VAT = SELLER, "inclusive"
    payment = paid(organization, simulator)
    with CaptureQueriesContext(connection) as queries:
        told = client.get("/billing/api/receipts/1/").json()
    assert len([query for query in queries if "tenant_billing" in query["sql"]]) == 1
    assert told == {
        "number": 1, "issued_at": payment.receipt.issued_at.isoformat(), "payment": payment.reference,
        "description": "PRO plan: 1 month", "seller": SELLER,
        "buyer": {"name": "Himal Traders", "address": "", "pan": ""},
        "currency": "NPR", "net": 3451.33, "net_minor": 345_133, "vat": 448.67, "vat_minor": 44_867,
        "vat_percent": 13, "total": 3900, "total_minor": 390_000,
    }  # fmt: skip
    assert client.get("/billing/api/receipts/").json() == {"results": [told], "next": None}
    assert client.get(f"/billing/api/payments/{payment.reference}/").json()["receipt"] == 1


def test_the_receipt_of_somebody_else_is_not_there_and_neither_is_what_is_no_number(
    client: Client, simulator: Server, organization: Organization
) -> None:
    paid(Organization.objects.create(name="Other"), simulator)
    paid(organization, simulator)
    assert client.get("/billing/api/receipts/2/").status_code == 200
    for name in ("1", "3", "0", "-2", "02", "2.0", "%D9%A2", "%C2%B2", "9" * 18, "9" * 19, "9" * 5000, "%00", "x"):
        answer = client.get(f"/billing/api/receipts/{name}/")
        assert (answer.status_code, answer.json()["code"]) == (404, "receipt_not_found"), name
    assert [row["number"] for row in client.get("/billing/api/receipts/").json()["results"]] == [2]


@pytest.mark.breaks_the_log
def test_receipts_are_read_by_pages_newest_first_in_one_query_each(
    client: Client, simulator: Server, organization: Organization
) -> None:
    payments = [start(Organization.objects.create(name=f"Number {number}")) for number in range(5)]
    PaymentTransaction.objects.update(organization=organization)
    for number, payment in enumerate(payments, 1):
        payment.organization = organization
        issued(payment, number).save(force_insert=True)
    pages, url = [], "/billing/api/receipts/?limit=2"
    while url:
        with CaptureQueriesContext(connection) as queries:
            body = client.get(url).json()
        assert len([query for query in queries if "tenant_billing" in query["sql"]]) == 1
        pages.append([row["number"] for row in body["results"]])
        url = body["next"]
    assert pages == [[5, 4], [3, 2], [1]]
