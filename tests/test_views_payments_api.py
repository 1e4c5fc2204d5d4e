"""The JSON of the organization's payments."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_tenant_billing.contrib.simulator.server import Server
from django_tenant_billing.payments import settle
from tests.members import member
from tests.test_payments import pay, start
from tests.testapp.models import Organization


@pytest.fixture
def client(organization: Organization, user: User) -> Client:
    return member(organization, user)


def test_a_payment_is_told_alone_as_it_is_in_the_list(
    client: Client, simulator: Server, organization: Organization
) -> None:
    payment = start(organization)
    pay(simulator, payment)
    payment = settle(payment)
    assert payment.paid_at is not None
    with CaptureQueriesContext(connection) as queries:
        told = client.get(f"/billing/api/payments/{payment.reference}/").json()
    assert len([query for query in queries if "tenant_billing" in query["sql"]]) == 1
    assert told == {
        "payment_id": payment.reference, "reference": payment.reference, "gateway": "khalti", "plan": "PRO",
        "amount": 3900, "amount_minor": 390_000, "currency": "NPR", "status": "paid", "interval": "month",
        "interval_count": 1, "credit": 0, "credit_minor": 0, "refunded": 0, "refunded_minor": 0,
        "created_at": payment.created_at.isoformat(), "paid_at": payment.paid_at.isoformat(),
        "receipt": 1,
    }  # fmt: skip
    assert client.get("/billing/api/payments/").json() == {"results": [told], "next": None}


def test_the_payment_of_somebody_else_is_not_there_and_neither_is_what_is_no_reference(
    client: Client, simulator: Server, organization: Organization
) -> None:
    theirs, mine = start(Organization.objects.create(name="Other")), start(organization)
    assert mine.gateway_reference is not None
    assert (
        client.get(f"/billing/api/payments/{mine.reference}/").json().items()
        >= {"paid_at": None, "receipt": None}.items()
    )
    names = (theirs.reference, mine.reference.lower(), mine.gateway_reference, f"{mine.reference}%20", "%00", "x" * 999)
    for name in (*names, "%D9%A1", "%ED%A0%80", "%0A", "'"):
        answer = client.get(f"/billing/api/payments/{name}/")
        assert (answer.status_code, answer.json()["code"]) == (404, "payment_not_found"), name
    assert [row["reference"] for row in client.get("/billing/api/payments/").json()["results"]] == [mine.reference]


def test_what_is_told_of_money_is_kept_by_no_cache(client: Client) -> None:
    answer = client.get("/billing/api/payments/")
    assert "no-store" in answer.headers["Cache-Control"]
    assert "ETag" not in answer.headers
