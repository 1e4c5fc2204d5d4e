"""The JSON of what was used in each period."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_tenant_billing import quotas
from django_tenant_billing.testing import set_used
from tests.members import member
from tests.quota_tools import at
from tests.sales import START, on, pay
from tests.testapp.models import Organization


@pytest.fixture
def client(sold: Organization, user: User) -> Client:
    return member(sold, user)


def test_each_period_of_what_starts_again_is_told_newest_first_and_what_exists_has_none(
    client: Client, sold: Organization
) -> None:
    pay(sold, "PRO", START)
    pay(sold, "PRO", on(10, 2))
    set_used(sold, "customers", 3)
    for day, used in ((on(10, 2), 4), (on(10, 3), 6)):
        with at(day):
            quotas.consume(sold, "invoices", used)
    with at(on(10, 3)):
        quotas.consume(sold, "api_calls", 7)
        body = client.get("/billing/api/usage/history/").json()
    march = {"period_start": on(28, 2).isoformat(), "period_end": on(31, 3).isoformat()}
    assert body == {
        "results": [
            {"feature": "api_calls", **march, "used": 7},
            {"feature": "invoices", **march, "used": 6},
            {"feature": "invoices", "period_start": START.isoformat(), "period_end": on(28, 2).isoformat(), "used": 4},
        ],
        "next": None,
    }


def test_the_history_of_another_organization_is_not_told(client: Client, sold: Organization) -> None:
    quotas.consume(Organization.objects.create(name="Other"), "invoices")
    assert client.get("/billing/api/usage/history/").json()["results"] == []
